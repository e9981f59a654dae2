"""The chain beside the weights engine and the ODE, in law and in the limit."""

import functools

import numba
import numpy as np
import pytest
from models import GENERAL, MODELS, generic_start
from scipy import stats

import tsode
from tsode.sgd import driver


@pytest.fixture(params=["samples", "blocks"])
def form(request, monkeypatch):
    """Both forms of the chain at any p."""
    monkeypatch.setattr(driver, "in_blocks", lambda model, runs: request.param == "blocks")
    return request.param


def same_law(a, b):
    """Kolmogorov-Smirnov p-values of loss, |M|^2 and tr Q at all times but the first."""
    functions = (
        lambda sgd: sgd.loss,
        lambda sgd: np.square(sgd.M).sum(axis=(2, 3)),
        lambda sgd: np.trace(sgd.Q, axis1=2, axis2=3) + sgd.model.spherical * sgd.Q[:, :, 0, 1],
    )
    times = range(1, a.alpha.size)
    return [stats.ks_2samp(f(a)[:, i], f(b)[:, i]).pvalue for f in functions for i in times]


def moments_agree(a, b):
    """Largest deviation of mean and covariance of all overlaps at all times, in standard errors."""
    worst = 0.0
    for i in range(1, a.alpha.size):
        x, y = (np.hstack([s.M[:, i].reshape(s.runs, -1), s.Q[:, i].reshape(s.runs, -1)]) for s in (a, b))
        kept = x.std(axis=0) > 1e-9
        x, y = x[:, kept], y[:, kept]
        error = np.sqrt(x.var(axis=0) / len(x) + y.var(axis=0) / len(y))
        worst = max(worst, np.max(np.abs(x.mean(axis=0) - y.mean(axis=0)) / error))
        products = [np.einsum("na,nb->nab", s - s.mean(axis=0), s - s.mean(axis=0)) for s in (x, y)]
        error = np.sqrt(sum(product.var(axis=0) / len(product) for product in products))
        worst = max(worst, np.max(np.abs(products[0].mean(axis=0) - products[1].mean(axis=0)) / error))
    return worst


@functools.cache
def runs_of_weights(model, N, runs):
    """Runs of the weights engine, beside which both forms of the chain go."""
    return tsode.simulate(model, None, [0.0, 1.0, 3.0, 8.0], N=N, runs=runs, seed=1, engine="weights")


@pytest.mark.quick(2)
@pytest.mark.parametrize("constraint", ["free", "spherical"])
@pytest.mark.parametrize("N", [5, pytest.param(6, marks=pytest.mark.slow), 100])
def test_chain_has_the_law_of_the_weights(N, constraint, form):
    """9 Kolmogorov-Smirnov tests a case, none below 1e-4; down to N = p + p*, where nothing is left over."""
    model = tsode.TeacherStudent(**{**GENERAL, "learning_rate": 0.3 if N > 50 else 0.05, "constraint": constraint})
    a = runs_of_weights(model, N, runs := 400)
    b = tsode.simulate(model, None, a.alpha, N=N, runs=runs, seed=2)
    assert min(same_law(a, b)) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("N", [100, 1000])
@pytest.mark.parametrize("name", MODELS)
def test_chain_has_the_law_of_the_weights_far(name, N):
    """2000 runs, four times: 12 Kolmogorov-Smirnov tests above 1e-4, mean and covariance within 4.6 errors.

    Some 600 moments are compared a case, so 4 standard errors would fail by chance in one case out of 30.
    """
    # half the learning rate: at N = 100 some runs of the general model diverge at the full one
    model = tsode.TeacherStudent(**MODELS[name])
    model = model.replace(learning_rate=model.learning_rate / 2)
    start, alpha = generic_start(model), [0.0, 1.0, 3.0, 6.0, 12.0]
    a = tsode.simulate(model, start, alpha, N=N, runs=2000, seed=1, engine="weights")
    b = tsode.simulate(model, start, alpha, N=N, runs=2000, seed=2)
    assert min(same_law(a, b)) > 1e-4
    assert moments_agree(a, b) < 4.6


# (p, p*), learning rate, noise, constraint, activations of student and teacher
OTHERS = {
    "erf": ((3, 2), 0.5, 0.1, "free", "erf", "erf"),
    "erf, spherical": ((3, 2), 0.5, 0.1, "spherical", "erf", "erf"),
    "erf, wide": ((4, 3), 1.0, 0.0, "free", "erf", "erf"),
    "erf from quadratic": ((2, 3), 0.5, 0.2, "free", "erf", "quadratic"),
    "quadratic from erf": ((3, 1), 0.1, 0.1, "free", "quadratic", "erf"),
}


def same_law_of_overlaps(name, N, runs):
    """Kolmogorov-Smirnov p-values of |M|^2, tr Q and one overlap of two units, at three times."""
    (p, p_star), rate, noise, constraint, student, teacher = OTHERS[name]
    model = tsode.TeacherStudent(
        p, p_star, rate, noise, constraint=constraint, activation=student, teacher_activation=teacher
    )
    a = runs_of_weights(model, N, runs)
    b = tsode.simulate(model, None, a.alpha, N=N, runs=runs, seed=2)
    functions = (
        lambda sgd: np.square(sgd.M).sum(axis=(2, 3)),
        lambda sgd: sgd.Q[:, :, 0, 1],
        lambda sgd: np.trace(sgd.Q, axis1=2, axis2=3) + constraint.startswith("s") * sgd.M[:, :, 0, 0],
    )
    return [stats.ks_2samp(f(a)[:, i], f(b)[:, i]).pvalue for f in functions for i in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["erf", "erf from quadratic"])
def test_other_activations_have_the_law_of_the_weights(name, form):
    """9 Kolmogorov-Smirnov tests a case, none below 1e-4."""
    assert min(same_law_of_overlaps(name, N=30, runs=400)) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("N", [8, 100, 1000])
@pytest.mark.parametrize("name", OTHERS)
def test_other_activations_have_the_law_of_the_weights_far(name, N):
    """2000 runs: 9 Kolmogorov-Smirnov tests a case, none below 1e-4; N = 8 is close to p + p*."""
    assert min(same_law_of_overlaps(name, N, runs=2000)) > 1e-4


@pytest.mark.quick(1)
def test_given_starts_agree_with_the_weights_engine(model):
    start, alpha, model = generic_start(model), [0.0, 1.0, 4.0], model.replace(learning_rate=0.1)
    a = tsode.simulate(model, start, alpha, N=60, runs=400, seed=3, engine="weights")
    b = tsode.simulate(model, start, alpha, N=60, runs=400, seed=4)
    np.testing.assert_allclose(b.Q[:, 0], np.broadcast_to(start.Q, b.Q[:, 0].shape), atol=1e-12)
    np.testing.assert_allclose(b.M[:, 0], np.broadcast_to(start.M, b.M[:, 0].shape), atol=1e-12)
    assert min(same_law(a, b)) > 1e-4


@pytest.mark.quick(2)
def test_deviation_from_the_ode_falls_as_one_over_root_N(model):
    """N from 1e3 to 1e5 at 40 runs: an rms is known to 5 %, the slope over a factor of 100 to 0.015."""
    start, alpha = generic_start(model), np.linspace(0, 2, 5)
    ode, dimensions, sizes = tsode.integrate(model, start, alpha), [10**3, 10**4, 10**5], []
    for N in dimensions:
        sgd = tsode.simulate(model, start, alpha, N=N, runs=40, seed=N)
        sizes.append(np.sqrt(np.mean((sgd.M - ode.M) ** 2) + np.mean((sgd.Q - ode.Q) ** 2)))
    assert np.polyfit(np.log(dimensions), np.log(sizes), 1)[0] == pytest.approx(-0.5, abs=0.05)


def test_result_does_not_depend_on_threads_or_groups(form):
    model, alpha, threads = tsode.TeacherStudent(4, 2, 0.3, 0.2), [0.0, 0.5, 1.0], numba.get_num_threads()
    results = []
    try:
        for count in {1, threads}:
            numba.set_num_threads(count)
            # with one thread 33 runs go in groups of 16, 20 runs on two threads in groups of 8
            results += [tsode.simulate(model, None, alpha, N=1100, runs=runs, seed=9) for runs in (20, 33)]
    finally:
        numba.set_num_threads(threads)
    results.append(tsode.simulate(model, None, alpha, N=1100, runs=1, seed=9))
    for other in results[1:]:
        shared = min(other.runs, 20)
        np.testing.assert_array_equal(other.M[:shared], results[0].M[:shared])
        np.testing.assert_array_equal(other.Q[:shared], results[0].Q[:shared])
    assert len(np.unique(results[0].Q[:, -1, 0, 0])) == 20


def test_records_do_not_change_the_run(form):
    model = tsode.TeacherStudent(3, 1, 0.3, 0.1)
    few = tsode.simulate(model, None, [0.0, 3.0], N=100, seed=2)
    many = tsode.simulate(model, None, np.linspace(0, 3.0, 101), N=100, seed=2)
    np.testing.assert_array_equal(few.Q[0, -1], many.Q[0, -1])


def test_runs_are_independent():
    """Correlations between neighbouring runs, in a group and across: |r| below 4.5 / sqrt(n), 3 tests."""
    sgd = tsode.simulate(tsode.TeacherStudent(2, 1, 0.1), None, [0.0, 2.0], N=50, runs=4000, seed=5)
    x = stats.norm.ppf(stats.rankdata(sgd.loss[:, -1]) / 4001)
    for lag in (1, 8, 16):
        assert abs(np.mean(x[lag:] * x[:-lag])) < 4.5 / np.sqrt(4000)


def test_diverging_runs_leave_the_others_alone(form):
    """Close to the largest learning rate some runs of a group diverge and their neighbours learn on."""
    model = tsode.TeacherStudent(2, 1, 0.3)
    sgd = tsode.simulate(model, None, np.linspace(0, 30, 61), N=60, runs=64, seed=0)
    diverged = sgd.status == "diverged"
    assert 5 < diverged.sum() < 60
    assert np.isfinite(sgd.loss[~diverged]).all()
    assert (sgd.stopped_at[~diverged] == 30).all()
    for run in np.flatnonzero(diverged):
        alive = sgd.alpha < sgd.stopped_at[run]
        assert np.isfinite(sgd.loss[run, alive]).all()
        assert not np.isfinite(sgd.loss[run, ~alive]).any()


@pytest.mark.quick(1)
def test_rank_deficient_end_keeps_q_semidefinite(form):
    """p > p*: Q tends to rank p*; p = p*: the part off the teacher dies exponentially, down to rounding."""
    N, runs = (200, 8) if form == "samples" else (100, 2)  # blocks take longer for narrow students
    for p, alpha in ((4, 3000.0), (2, 400.0)):
        model = tsode.TeacherStudent(p, 2, 0.1 * p)
        sgd = tsode.simulate(model, None, [0.0, alpha], N=N, runs=runs, seed=1)
        values = np.linalg.eigvalsh(sgd.Q[:, -1])
        assert values.min() > -1e-14
        assert np.isfinite(sgd.M).all()
        assert sgd.excess_loss[:, -1].max() < 1e-5
    assert sgd.excess_loss[:, -1].max() < 1e-15


def test_rank_deficient_starts_run(form):
    model = tsode.TeacherStudent(3, 2, 0.2)
    M = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    sgd = tsode.simulate(model, tsode.Overlaps(M, M @ M.T), [0.0, 1.0], N=50, runs=2)
    np.testing.assert_allclose(sgd.Q[:, 0], np.stack([M @ M.T] * 2), atol=1e-12)
    assert np.isfinite(sgd.loss).all()
    still = tsode.simulate(model, tsode.Overlaps(np.zeros((3, 2)), np.zeros((3, 3))), [0.0, 1.0], N=50)
    assert not still.Q.any()


@pytest.mark.slow
def test_start_of_low_rank_has_the_law_of_the_weights(form):
    """Three units in two dimensions and a teacher in one: 9 Kolmogorov-Smirnov tests, none below 1e-4."""
    model = tsode.TeacherStudent(3, 2, 0.1, 0.1, teacher_overlap=np.ones((2, 2)))
    along, beside = np.array([1.0, 0.5, 0.2]), np.array([0.0, 0.3, 0.7])
    start = tsode.Overlaps(
        np.outer(along, [1, 1]), np.outer(along, along) + np.outer(beside, beside), model.teacher_overlap
    )
    a, b = (
        tsode.simulate(model, start, [0.0, 0.5, 1.0, 3.0], N=30, runs=250, seed=seed, engine=engine)
        for seed, engine in enumerate(("weights", "chain"))
    )
    assert min(same_law(a, b)) > 1e-4


def test_huge_dimension_takes_the_steps_asked_for(form):
    model = tsode.TeacherStudent(2, 1, 0.2)
    sgd = tsode.simulate(model, None, [0.0, 2e-10], N=10**15, runs=2, seed=0)
    assert (sgd.status == "completed").all()
    assert np.abs(sgd.M).max() < 1e-6
    np.testing.assert_allclose(sgd.Q[:, -1], np.stack([np.eye(2)] * 2), atol=1e-6)


@pytest.mark.slow
def test_no_drift_over_a_billion_samples():
    """1e9 samples in all at a noisy fixed point: the loss stays at the ODE's, Q stays semidefinite.

    Rounding would show as a trend: the means over the second and the third third agree within 4.5 errors.
    """
    model, N, runs = tsode.TeacherStudent(2, 1, 0.2, 0.1), 1000, 16
    start = tsode.Overlaps([[1.0], [1.0]], np.ones((2, 2)) * 1.0)
    alpha = np.linspace(0, 10**9 / (N * runs), 601)
    sgd = tsode.simulate(model, start, alpha, N=N, runs=runs, seed=3)
    assert (sgd.status == "completed").all()
    thirds = sgd.excess_loss[:, 1:].reshape(runs, 3, -1).mean(axis=2)
    difference = thirds[:, 2] - thirds[:, 1]
    assert abs(difference.mean()) < 4.5 * difference.std(ddof=1) / np.sqrt(runs)
    ode = tsode.integrate(model, start, [0.0, 200.0])  # long at rest; later rounding parts the parallel students
    assert thirds[:, 2].mean() == pytest.approx(ode.excess_loss[-1], rel=0.02)
    assert np.linalg.eigvalsh(sgd.Q).min() > -1e-13


def test_weights_are_taken_as_a_start():
    model = tsode.TeacherStudent(2, 1, 0.2)
    W, W_star = generic_start(model).realise(30, 0)
    sgd = tsode.simulate(model, (W, W_star), [0.0, 1.0], N=30)
    np.testing.assert_allclose(sgd.Q[0, 0], W @ W.T / 30, atol=1e-12)

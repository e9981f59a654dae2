"""The weights engine beside plain SGD and the ODE."""

import numba
import numpy as np
import pytest
from models import GENERAL, MODELS, generic_start
from reference import sgd as plain_sgd
from scipy import stats

import tsode


def run_on_rows(model, start, rows, alpha):
    return tsode.simulate(model, start, alpha, N=rows.shape[1], engine="weights", inputs=rows)


@pytest.mark.parametrize("N", [7, 60, 1500])
def test_blocks_do_what_sgd_does_sample_by_sample(model, N):
    """Given rows, the blocked engine follows the definition of SGD up to rounding, through ragged blocks."""
    rng = np.random.default_rng(N)
    W, W_star = generic_start(model).realise(N, rng)
    rows = rng.standard_normal((43, N))
    quiet = model.replace(noise_variance=0.0)
    history = plain_sgd(quiet, W, W_star, rows)
    steps = np.array([0, 1, 2, 9, 16, 30, 43])
    found = run_on_rows(quiet, (W, W_star), rows, steps / N)
    for i, step in enumerate(steps):
        wanted = tsode.Overlaps.from_weights(history[step], W_star)
        np.testing.assert_allclose(found.M[0, i], wanted.M, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.Q[0, i], wanted.Q, rtol=1e-10, atol=1e-12)


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("name", "inputs"), [*((name, "gaussian") for name in MODELS), ("general", "rademacher"), ("general", "uniform")]
)
def test_mean_of_runs_is_on_the_ode(name, inputs):
    """At N = 1000 the mean of 32 runs is within 5 standard errors plus 1/N effects of the ODE, for every law.

    The weights are dense random vectors, so that preactivations are Gaussian whatever the law.
    """
    model = tsode.TeacherStudent(**MODELS[name])
    start, alpha, N = generic_start(model), np.linspace(0, 3, 7), 1000
    ode = tsode.integrate(model, start, alpha)
    sgd = tsode.simulate(model, start, alpha, N=N, runs=32, seed=3, engine="weights", inputs=inputs)
    assert (sgd.status == "completed").all()
    for which in ("M", "Q"):
        runs, theory = getattr(sgd, which)[:, 1:], getattr(ode, which)[1:]
        error = runs.std(axis=0, ddof=1) / np.sqrt(32)
        assert np.all(np.abs(runs.mean(axis=0) - theory) < 5 * error + 10 / N)


def slope_of_deviation(model, dimensions, runs):
    """Log-log slope against N of the root-mean-square deviation of single runs from the ODE."""
    start, alpha = generic_start(model), np.linspace(0, 3, 7)
    ode = tsode.integrate(model, start, alpha)
    sizes = []
    for N in dimensions:
        sgd = tsode.simulate(model, start, alpha, N=N, runs=runs, seed=N, engine="weights")
        sizes.append(np.sqrt(np.mean((sgd.M - ode.M) ** 2) + np.mean((sgd.Q - ode.Q) ** 2)))
    return np.polyfit(np.log(dimensions), np.log(sizes), 1)[0]


@pytest.mark.parametrize("constraint", ["free", pytest.param("spherical", marks=pytest.mark.slow)])
def test_deviation_from_the_ode_falls_as_one_over_root_N(constraint):
    """With 40 runs an rms is known to about 5 %, the slope over a factor of 8 to 0.034: 3 standard errors."""
    model = tsode.TeacherStudent(**{**GENERAL, "constraint": constraint})
    assert slope_of_deviation(model, [125, 250, 500, 1000], runs=40) == pytest.approx(-0.5, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_deviation_from_the_ode_falls_as_one_over_root_N_far(constraint):
    model = tsode.TeacherStudent(**{**GENERAL, "constraint": constraint})
    dimensions = [250, 500, 1000, 2000, 4000, 8000, 16000]
    assert slope_of_deviation(model, dimensions, runs=100) == pytest.approx(-0.5, abs=0.1)


def test_start_none_draws_random_weights():
    """tr Q N is chi-squared with p N degrees of freedom, N M_kr^2 with one: Kolmogorov-Smirnov at 1e-4."""
    model, N = tsode.TeacherStudent(3, 2, 0.2, teacher_overlap=[[1, 0.4], [0.4, 0.7]]), 50
    sgd = tsode.simulate(model, None, [0.0], N=N, runs=600, seed=1, engine="weights")
    norms = N * np.trace(sgd.Q[:, 0], axis1=1, axis2=2)
    assert stats.kstest(norms, stats.chi2(3 * N).cdf).pvalue > 1e-4
    unit = np.linalg.solve(np.linalg.cholesky(model.teacher_overlap), np.swapaxes(sgd.M[:, 0], 1, 2)) * np.sqrt(N)
    assert stats.kstest(unit.ravel(), "norm").pvalue > 1e-4


def test_spherical_rows_keep_their_norm():
    model = tsode.TeacherStudent(**MODELS["general spherical"])
    sgd = tsode.simulate(model, None, [0.0, 10.0], N=300, runs=2, engine="weights")
    np.testing.assert_allclose(np.diagonal(sgd.Q, axis1=2, axis2=3), 1.0, atol=1e-12)


def test_same_bits_on_any_number_of_threads_and_runs():
    model, alpha = tsode.TeacherStudent(4, 2, 0.3, 0.2), [0.0, 0.5, 1.0]
    threads = numba.get_num_threads()
    results = []
    try:
        for count in {1, threads}:
            numba.set_num_threads(count)
            results.append(tsode.simulate(model, None, alpha, N=1100, runs=4, seed=9, engine="weights"))
    finally:
        numba.set_num_threads(threads)
    results.append(tsode.simulate(model, None, alpha, N=1100, runs=6, seed=9, engine="weights"))
    for other in results[1:]:
        np.testing.assert_array_equal(other.M[:4], results[0].M)
        np.testing.assert_array_equal(other.Q[:4], results[0].Q)
    assert not np.array_equal(results[0].Q[0], results[0].Q[1])
    again = tsode.simulate(model, None, alpha, N=1100, runs=4, seed=results[0].seed, engine="weights")
    np.testing.assert_array_equal(again.Q, results[0].Q)


def test_records_do_not_change_the_run():
    model = tsode.TeacherStudent(3, 1, 0.3, 0.1)
    few = tsode.simulate(model, None, [0.0, 3.0], N=100, seed=2, engine="weights")
    many = tsode.simulate(model, None, np.linspace(0, 3.0, 101), N=100, seed=2, engine="weights")
    np.testing.assert_allclose(few.Q[0, -1], many.Q[0, -1], rtol=1e-9)


def test_label_noise_has_its_variance():
    """From W = 0 nothing moves, whatever the noise; near it, the noise drives Q as 4 eta^2 v^2 Delta q says."""
    alpha, N = np.linspace(0, 2, 5), 1000
    quiet, loud = (tsode.TeacherStudent(2, 1, 0.4, noise_variance=d) for d in (0.0, 2.0))
    start = tsode.Overlaps(np.zeros((2, 1)), 0.5 * np.eye(2))
    runs = [tsode.simulate(m, start, alpha, N=N, runs=24, seed=4, engine="weights").Q for m in (quiet, loud)]
    odes = [tsode.integrate(m, start, alpha).Q for m in (quiet, loud)]
    difference = np.trace(runs[1] - runs[0], axis1=2, axis2=3)[:, -1]
    wanted = np.trace(odes[1] - odes[0], axis1=1, axis2=2)[-1]
    assert wanted > 0.2
    assert abs(difference.mean() - wanted) < 4.5 * difference.std(ddof=1) / np.sqrt(24) + 10 / N


@pytest.mark.parametrize("inputs", ["gaussian", "rows"])
def test_label_noise_never_repeats_itself(inputs):
    """The change that noise makes to a step has the sign of that sample's noise: 4.5 standard errors of 1024 signs."""
    N, samples = 20, 1024
    model = tsode.TeacherStudent(1, 1, 1e-6)  # so slow that noise before a sample does not change its step
    W = generic_start(model).realise(N, 1)
    rows = {"inputs": np.random.default_rng(0).standard_normal((samples, N)) if inputs == "rows" else inputs}
    alpha = np.arange(samples + 1) / N
    clean, noisy = (
        tsode.simulate(model.replace(noise_variance=noise), W, alpha, N=N, engine="weights", **rows).Q[0, :, 0, 0]
        for noise in (0.0, 1.0)
    )
    signs = np.sign(np.diff(noisy) - np.diff(clean))
    assert np.all(signs != 0)
    for lag in range(1, 600):
        assert abs(np.sum(signs[lag:] * signs[:-lag])) < 4.5 * np.sqrt(samples - lag)


def test_rows_may_come_from_an_iterator():
    model = tsode.TeacherStudent(2, 1, 0.2)
    start, rows = generic_start(model), np.random.default_rng(0).standard_normal((50, 20))
    W = start.realise(20, 1)
    from_array = run_on_rows(model, W, rows, [0.0, 2.5])
    from_iterator = tsode.simulate(model, W, [0.0, 2.5], N=20, engine="weights", inputs=(list(row) for row in rows))
    np.testing.assert_array_equal(from_array.Q, from_iterator.Q)


def test_exhausted_rows_keep_the_trajectory():
    model = tsode.TeacherStudent(2, 1, 0.2)
    start, rows = generic_start(model), np.random.default_rng(0).standard_normal((30, 20))
    W = start.realise(20, 1)
    with pytest.raises(tsode.InputsExhausted, match=r"must hold 50 rows .* ran out after 30") as caught:
        run_on_rows(model, W, rows, [0.0, 1.0, 2.0, 2.5])
    kept = caught.value.trajectory
    assert kept.status.tolist() == ["exhausted"]
    assert kept.stopped_at.tolist() == [1.5]
    assert kept.alpha.tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(kept.Q, run_on_rows(model, W, rows, [0.0, 1.0]).Q)


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_diverging_runs_end_with_what_they_had(constraint):
    """Free norms run away; on the sphere nothing can, and the run completes."""
    model = tsode.TeacherStudent(2, 1, 6.0, noise_variance=0.5, constraint=constraint)
    sgd = tsode.simulate(model, None, np.linspace(0, 20, 41), N=200, runs=5, seed=0, engine="weights")
    if constraint == "spherical":
        assert (sgd.status == "completed").all()
        return
    assert (sgd.status == "diverged").all()
    for run in range(5):
        alive = sgd.alpha < sgd.stopped_at[run]
        assert np.isfinite(sgd.loss[run, alive]).all()
        assert not np.isfinite(sgd.loss[run, ~alive]).any()
        assert np.isfinite(sgd.M[run, 0]).all()


def test_progress_is_silent_in_a_pipe(capfd):
    tsode.simulate(tsode.TeacherStudent(2, 1, 0.2), None, 0.5, N=50, engine="weights", progress=True)
    assert capfd.readouterr() == ("", "")


def test_records_do_not_change_a_run_on_rows():
    model, rows = tsode.TeacherStudent(**GENERAL), np.random.default_rng(0).standard_normal((30, 20))
    options = {"N": 20, "engine": "weights", "inputs": rows, "seed": 3}
    few = tsode.simulate(model, generic_start(model), [0.0, 1.5], **options)
    many = tsode.simulate(model, generic_start(model), np.arange(31) / 20, **options)
    np.testing.assert_allclose(few.Q[0, -1], many.Q[0, -1], rtol=1e-9)

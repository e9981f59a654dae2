"""The right-hand sides of the ODEs against the formulas term by term, and what the solver is given and gives back."""

import numpy as np
import pytest
import scipy.integrate
from models import GENERAL, generic_start
from reference import derivatives
from scipy.integrate import quad

import tsode
from tsode._states import unpack
from tsode.ode import many, rhs, single

GENERAL_MODEL = tsode.TeacherStudent(**GENERAL)

SMALL = tsode.TeacherStudent(2, 1, 0.3, 0.1)

TEN = np.linspace(0, 3, 10)


def flatten(M, Q):
    return np.concatenate([M.ravel(), Q.ravel()])


def blind(q, p=3, p_star=2):
    return tsode.Overlaps(np.zeros((p, p_star)), q * np.eye(p))


def time_to_reach(model, q0, q1):
    """Time that Q = q 1 takes from q0 to q1 at M = 0 with equal readouts, as the integral of dalpha/dq."""
    M, one = np.zeros((model.p, model.p_star)), np.eye(model.p)
    rate = lambda s: derivatives(model, M, np.exp(s) * one)[1][0, 0] / np.exp(s)  # noqa: E731
    return quad(lambda s: 1 / rate(s), np.log(q0), np.log(q1), epsabs=0, epsrel=1e-11)[0]


# --- one solution


@pytest.mark.parametrize("blas_width", [1, 1000])
@pytest.mark.parametrize("gradient_flow", [False, True])
def test_right_hand_sides_agree(model, start, gradient_flow, blas_width, monkeypatch):
    """Compiled loops and matrix products, against the formulas term by term."""
    monkeypatch.setattr(rhs, "BLAS_WIDTH", blas_width)
    wanted = flatten(*derivatives(model, start.M, start.Q, gradient_flow))
    found = rhs.right_hand_side(model, gradient_flow)(0.0, flatten(start.M, start.Q))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)


def test_states_are_unpacked_into_M_and_Q():
    M, Q = unpack(np.arange(60.0).reshape(2, 2, 15), GENERAL_MODEL)
    assert (M.shape, Q.shape) == ((2, 2, 3, 2), (2, 2, 3, 3))
    assert M[0, 1].tolist() == [[15, 16], [17, 18], [19, 20]]
    assert Q[0, 1].tolist() == [[21, 22, 23], [24, 25, 26], [27, 28, 29]]


@pytest.mark.parametrize("points", [2, 400])
def test_a_run_ends_when_its_norms_reach_the_limit(monkeypatch, points):
    """At M = 0 with equal readouts the time at which tr Q = 60 is an integral."""
    monkeypatch.setattr(single, "divergence_limit", lambda model, Q: 60.0)
    model = tsode.TeacherStudent(3, 2, 4.0, 0.2)
    end = time_to_reach(model, 1.0, 20.0)
    run = tsode.integrate(model, blind(1.0), 0.5 + 2 * end * np.linspace(0, 1, points))
    assert run.status == "diverged"
    assert run.stopped_at == pytest.approx(0.5 + end, rel=1e-6)
    assert len(run.alpha) == points // 2
    assert np.trace(run.Q[-1]) < 60
    if points > 2:
        assert time_to_reach(model, 1.0, run.Q[-1, 0, 0]) == pytest.approx(run.alpha[-1] - 0.5, rel=1e-6)


def test_records_that_are_not_finite_are_cut_off(monkeypatch):
    """LSODA can report success with nan in its states."""
    right, solve_ivp = tsode.integrate(SMALL, generic_start(SMALL), TEN), scipy.integrate.solve_ivp

    def broken(*args, **options):
        solution = solve_ivp(*args, **options)
        solution.y[2, 7:] = np.nan
        return solution

    monkeypatch.setattr(scipy.integrate, "solve_ivp", broken)
    found = tsode.integrate(SMALL, generic_start(SMALL), TEN)
    assert found.status == "diverged"
    np.testing.assert_array_equal(found.Q, right.Q[:7])


# --- many


@pytest.mark.parametrize("gradient_flow", [False, True])
def test_rates_of_many_are_the_plain_ones_in_a_row(gradient_flow):
    models = [
        GENERAL_MODEL,
        GENERAL_MODEL.replace(learning_rate=0.7, constraint="spherical"),
        GENERAL_MODEL.replace(noise_variance=2.0, student_readout=[1.0, -0.4, 0.1], teacher_readout=[-0.3, 0.6]),
        GENERAL_MODEL.replace(teacher_overlap=np.eye(2)),
    ]
    starts = [generic_start(model, seed) for seed, model in enumerate(models)]
    y = np.concatenate([flatten(start.M, start.Q) for start in starts])
    kernel = many.batch_kernel(GENERAL_MODEL.rule.averages(GENERAL_MODEL))
    found = kernel(y, *many._constants(models, gradient_flow))
    wanted = [flatten(*derivatives(m, s.M, s.Q, gradient_flow)) for m, s in zip(models, starts)]
    np.testing.assert_allclose(found, np.concatenate(wanted), rtol=0, atol=1e-13)


def test_solutions_are_grouped_by_widths_and_speed():
    """Every position once; in a group one pair of widths, no more than CHUNK, in the order of eta max|v|."""
    rng = np.random.default_rng(0)
    sizes = {(2, 1): 2 * many.CHUNK + 1, (2, 2): 3, (3, 1): many.CHUNK}
    models = [
        tsode.TeacherStudent(p, p_star, rng.uniform(0.5, 2), student_readout=-rng.uniform(0.1, 3, p))
        for (p, p_star), count in sizes.items()
        for _ in range(count)
    ]
    order = rng.permutation(len(models))
    models = [models[i] for i in order]
    chunks = list(many._chunks(models))
    assert sorted(i for chunk in chunks for i in chunk) == list(range(len(models)))
    assert [len(chunk) for chunk in chunks] == [many.CHUNK, many.CHUNK, 1, 3, many.CHUNK]
    for chunk in chunks:
        assert len({(models[i].p, models[i].p_star) for i in chunk}) == 1
        speeds = [models[i].learning_rate * max(abs(models[i].student_readout)) for i in chunk]
        assert speeds == sorted(speeds)
    assert list(many._chunks([])) == []


def test_only_what_runs_away_is_finished_alone(monkeypatch):
    """The others are solved together, to the same digits, and all come back in the order given."""
    alone = []

    def recorded(model, *arguments, **options):
        alone.append(model.learning_rate)
        return tsode.integrate(model, *arguments, **options)

    monkeypatch.setattr(many, "integrate", recorded)
    base, alpha, options = tsode.TeacherStudent(3, 2, 0.1), [0.2, 0.5, 1.0, 2.0], {"rtol": 1e-5, "atol": 1e-7}
    models = [base.replace(learning_rate=eta) for eta in (0.3, 8.0, 0.1, 4.0, 0.2)]
    start = generic_start(base)
    found = tsode.integrate_many(models, start, alpha, **options)
    assert alone == [4.0, 8.0]
    for model, run in zip(models, found):
        wanted = tsode.integrate(model, start, alpha, **options)
        assert run.model == model
        assert (run.status, run.alpha.tolist()) == (wanted.status, wanted.alpha.tolist())
        assert run.stopped_at == pytest.approx(wanted.stopped_at)
        np.testing.assert_allclose(run.M, wanted.M, rtol=0, atol=1e-4)
        np.testing.assert_allclose(run.Q, wanted.Q, rtol=0, atol=1e-4)


def test_each_solution_keeps_its_tolerance_among_many(monkeypatch):
    """The solver bounds the root mean square error of all; one of n may hold all of it."""
    seen, solve_ivp = [], scipy.integrate.solve_ivp

    def recorded(*args, rtol, atol, **options):
        seen.append((rtol, atol))
        return solve_ivp(*args, rtol=rtol, atol=atol, **options)

    monkeypatch.setattr(scipy.integrate, "solve_ivp", recorded)
    tsode.integrate_many([SMALL] * 9, generic_start(SMALL), [0.0, 1.0], rtol=3e-6, atol=6e-9)
    np.testing.assert_allclose(seen, [(1e-6, 2e-9)], rtol=1e-12)


def test_what_runs_away_is_seen_in_any_unit(monkeypatch):
    """Unit 0 of readout 0 stays where it is, unit 1 diverges; the units stay orthogonal."""
    model = tsode.TeacherStudent(2, 2, 1.0, student_readout=[0.0, 1.0])
    starts = [tsode.Overlaps(np.zeros((2, 2)), np.diag([1.0, size])) for size in (4.0, 0.01)]
    alone = []
    monkeypatch.setattr(
        many,
        "integrate",
        lambda model, start, *a, **k: alone.append(start) or tsode.integrate(model, start, *a, **k),
    )
    diverged, stayed = tsode.integrate_many(model, starts, np.linspace(0, 0.01, 3))
    assert (diverged.status, stayed.status) == ("diverged", "completed")
    assert alone == starts[:1]

"""The right-hand sides of the ODEs against the formulas term by term, and what the solver is given and gives back."""

import threading
import time

import numba
import numpy as np
import pytest
import scipy.integrate
from models import GENERAL, generic_start
from reference import derivatives
from scipy.integrate import quad

import tsode
from tsode._lanes import WIDTH
from tsode._states import unpack
from tsode.ode import dop853, lockstep, rhs

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
    monkeypatch.setattr(lockstep, "divergence_limit", lambda model, Q: 60.0)
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
    start, method, solve_ivp = generic_start(SMALL), "LSODA", scipy.integrate.solve_ivp
    right = tsode.integrate(SMALL, start, TEN, method=method)

    def broken(*args, **options):
        solution = solve_ivp(*args, **options)
        solution.y[2, 7:] = np.nan
        return solution

    monkeypatch.setattr(scipy.integrate, "solve_ivp", broken)
    found = tsode.integrate(SMALL, start, TEN, method=method)
    assert found.status == "diverged"
    np.testing.assert_array_equal(found.Q, right.Q[:7])


# --- the compiled method


@pytest.mark.parametrize("gradient_flow", [False, True])
def test_compiled_method_finds_the_digits_of_scipy(model, start, gradient_flow):
    """SciPy's DOP853 on the formulas term by term: only rounding differs, which these solutions hardly amplify."""
    alpha, n = np.linspace(0.3, 5.0, 12), start.M.size

    def plain(time, y):
        dM, dQ = derivatives(model, y[:n].reshape(start.M.shape), y[n:].reshape(start.Q.shape), gradient_flow)
        return flatten(dM, dQ)

    for rtol, atol in ((1e-4, 1e-3), (1e-8, 1e-10), (1e-11, 1e-12)):
        wanted = scipy.integrate.solve_ivp(
            plain, alpha[[0, -1]], flatten(start.M, start.Q), "DOP853", alpha, rtol=rtol, atol=atol
        )
        found = tsode.integrate(model, start, alpha, rtol=rtol, atol=atol, gradient_flow=gradient_flow)
        states = np.array([flatten(M, Q) for M, Q in zip(found.M, found.Q)])
        np.testing.assert_allclose(states, wanted.y.T, rtol=0, atol=3e-11)


@pytest.mark.parametrize("activation", ["quadratic", "erf"])
@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_a_solution_does_not_depend_on_its_neighbours(activation, constraint):
    """Alone, in lockstep with others of any speed, or with one that diverges: the same to the last bit."""
    base = tsode.TeacherStudent(3, 2, 0.2, 0.1, constraint=constraint, activation=activation)
    start, alpha = generic_start(base), np.linspace(0, 3, 7)
    rates = [0.2, 0.01, 0.5, 40.0]
    alone = tsode.integrate(base, start, alpha)
    among = tsode.integrate_many([base.replace(learning_rate=eta) for eta in rates], start, alpha)
    pair = tsode.integrate_many([base.replace(learning_rate=0.3), base], start, alpha)
    np.testing.assert_array_equal(among[0].Q, pair[1].Q)
    np.testing.assert_array_equal(among[0].Q, alone.Q)
    np.testing.assert_array_equal(among[0].M, alone.M)
    if constraint == "free" and activation == "quadratic":
        assert [ode.status for ode in among] == ["completed"] * 3 + ["diverged"]


def test_more_solutions_than_go_together():
    """Every one in its place, with its own steps, whatever stands beside it."""
    rng = np.random.default_rng(0)
    models = [tsode.TeacherStudent(2, 1 + i % 2, rng.uniform(0.02, 0.3)) for i in range(2 * WIDTH + 5)]
    starts = [generic_start(model, seed) for seed, model in enumerate(models)]
    found = tsode.integrate_many(models, starts, TEN)
    for model, start, ode in zip(models, starts, found):
        assert ode.model == model
        np.testing.assert_allclose(ode.Q, tsode.integrate(model, start, TEN).Q, rtol=0, atol=1e-12)


# --- threads


def several(count):
    """Models of two widths, and starts, that do not all go together."""
    models = [tsode.TeacherStudent(2, 1 + i % 2, 0.02 + 0.3 * i / count) for i in range(count)]
    return models, [generic_start(model, seed) for seed, model in enumerate(models)]


def test_the_same_on_any_number_of_threads(monkeypatch):
    models, starts = several(5 * WIDTH + 1)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(numba, "get_num_threads", lambda count=threads: count)
        odes = tsode.integrate_many(models, starts, TEN)
        assert [ode.model for ode in odes] == models
        found.append(np.concatenate([flatten(ode.M, ode.Q) for ode in odes]))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize("which", [0, 1])
def test_an_interrupt_stops_what_is_under_way(which, monkeypatch):
    """The first or second of two threads meets it while the other would go on for ever; what waits is not begun."""
    advance, main, under_way, begun = dop853.advance, threading.get_ident(), threading.Event(), []

    def endless(*given):
        if threading.get_ident() == main:
            return advance(*given)
        if threading.get_ident() not in begun:
            begun.append(threading.get_ident())
        if begun.index(threading.get_ident()) == which:
            under_way.wait(60)
            raise KeyboardInterrupt
        under_way.set()
        time.sleep(0.001)
        return True

    monkeypatch.setattr(dop853, "advance", endless)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        tsode.integrate_many(*several(6 * WIDTH), TEN)
    assert len(begun) == 2

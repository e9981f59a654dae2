"""Beyond the largest learning rate a run says when it diverged and keeps what it had; its neighbours do not notice."""

import numpy as np
import pytest
from models import MODELS, generic_start

import tsode

TIMES = np.linspace(0, 20, 41)
BEYOND = [1.5, 10.0, 1e3, 1e15, 8e29]  # times the largest learning rate that the norms settle at


def beyond(factor, **changes):
    """Return a model whose learning rate is `factor` times the largest one of free norms."""
    model = tsode.TeacherStudent(**{**MODELS["plain"], **changes})
    largest = tsode.plateau(model.replace(constraint="free")).max_learning_rate
    return model.replace(learning_rate=factor * largest)


def check_end(trajectory):
    """Finite numbers before the end, an end within the times asked for, the status of each run."""
    statuses, ends = np.atleast_1d(trajectory.status), np.atleast_1d(trajectory.stopped_at)
    M = trajectory.M.reshape(len(statuses), len(trajectory.alpha), -1)
    Q = trajectory.Q.reshape(len(statuses), len(trajectory.alpha), -1)
    loss = trajectory.loss.reshape(len(statuses), -1)
    assert (statuses == "diverged").all()
    for run, end in enumerate(ends):
        assert 0 <= end <= TIMES[-1]
        before = trajectory.alpha < end
        for values in (M[run, before], Q[run, before], loss[run, before]):
            assert np.isfinite(values).all()
        for values in (M[run, trajectory.alpha > end], Q[run, trajectory.alpha > end]):
            assert np.isnan(values).all()


@pytest.mark.parametrize("noise_variance", [0.0, 0.5])
@pytest.mark.parametrize("factor", BEYOND)
def test_ode_diverges_and_says_when(factor, noise_variance):
    model = beyond(factor, noise_variance=noise_variance)
    start = generic_start(model)
    ode = tsode.integrate(model, start, TIMES)
    check_end(ode)
    assert ode.alpha[-1] <= ode.stopped_at
    np.testing.assert_array_equal(ode.Q[0], start.Q)


def test_ode_diverges_as_one_over_the_learning_rate_squared():
    """Far beyond, the term of second order rules and time counts in eta^2 alpha: the end moves accordingly."""
    ends = [tsode.integrate(beyond(f), generic_start(beyond(f)), TIMES).stopped_at for f in (1e3, 1e4, 1e5)]
    np.testing.assert_allclose(np.diff(np.log10(ends)), -2, atol=0.01)


@pytest.mark.parametrize("engine", ["chain", "weights"])
@pytest.mark.parametrize("factor", BEYOND)
def test_sgd_diverges_and_says_when(factor, engine):
    sgd = tsode.simulate(beyond(factor), None, TIMES, N=60, runs=3, seed=0, engine=engine)
    check_end(sgd)
    assert np.isfinite(sgd.Q[:, 0]).all()


@pytest.mark.parametrize("engine", ["chain", "weights"])
@pytest.mark.parametrize("factor", BEYOND[:3])
def test_nothing_diverges_on_the_sphere(factor, engine):
    sgd = tsode.simulate(beyond(factor, constraint="spherical"), None, TIMES, N=60, runs=3, seed=0, engine=engine)
    assert (sgd.status == "completed").all()
    assert (sgd.stopped_at == TIMES[-1]).all()
    np.testing.assert_allclose(np.diagonal(sgd.Q, axis1=-2, axis2=-1), 1.0, rtol=0, atol=1e-9)
    assert np.isfinite(sgd.loss).all()


@pytest.mark.parametrize("engine", ["chain", "weights"])
@pytest.mark.parametrize("factor", BEYOND[3:])
def test_overflow_on_the_sphere_is_told_as_divergence(factor, engine):
    """Where the square of one step overflows, a run ends with that status or gets through: never with silent nan."""
    sgd = tsode.simulate(beyond(factor, constraint="spherical"), None, TIMES, N=60, runs=3, seed=0, engine=engine)
    for run in range(3):
        ended = sgd.status[run] == "diverged"
        reached = sgd.alpha < sgd.stopped_at[run] if ended else np.full(len(TIMES), True)
        assert np.isfinite(sgd.Q[run, reached]).all()
        assert np.isfinite(sgd.M[run, reached]).all()


@pytest.mark.parametrize("factor", BEYOND[:2])
def test_ode_on_the_sphere_completes(factor):
    model = beyond(factor, constraint="spherical")
    ode = tsode.integrate(model, generic_start(model), TIMES)
    assert ode.status == "completed"
    assert np.isfinite(ode.loss).all()
    assert np.linalg.eigvalsh(ode.Q).min() > -1e-5  # the solver's tolerance, grown on the way


@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_neighbours_of_diverging_runs_keep_every_bit(engine):
    """Run k of many, some of which diverge, is run k of the first k + 1."""
    model = tsode.TeacherStudent(2, 1, 0.3)
    sgd = tsode.simulate(model, None, TIMES, N=60, runs=16, seed=0, engine=engine)
    survivors = np.flatnonzero(sgd.status == "completed")
    assert 0 < len(survivors) < 16
    assert np.isfinite(sgd.M[survivors]).all()
    first, last = survivors[[0, -1]]
    for k in (first, last):
        fewer = tsode.simulate(model, None, TIMES, N=60, runs=int(k) + 1, seed=0, engine=engine)
        np.testing.assert_array_equal(fewer.Q[k], sgd.Q[k])
        np.testing.assert_array_equal(fewer.M[k], sgd.M[k])


def test_neighbours_of_diverging_odes_keep_their_digits():
    models = [beyond(factor) for factor in (0.2, 1e3, 0.4, 8e29, 0.6)]
    start = generic_start(models[0])
    found = tsode.integrate_many(models, start, TIMES)
    assert [ode.status for ode in found] == ["completed", "diverged"] * 2 + ["completed"]
    calm = tsode.integrate_many(models[::2], start, TIMES)
    for ode, alone in zip(found[::2], calm):
        np.testing.assert_allclose(ode.Q, alone.Q, rtol=0, atol=1e-6)
    for ode in found[1::2]:
        check_end(ode)

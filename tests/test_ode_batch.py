"""Many solutions of the ODEs at once, and what one and many have in common."""

import numpy as np
import pytest
from models import GENERAL, MODELS, generic_start
from reference import derivatives
from scipy.integrate import quad

import tsode

SMALL = tsode.TeacherStudent(2, 1, 0.3, 0.1)


def blind(q, p=3, p_star=2):
    return tsode.Overlaps(np.zeros((p, p_star)), q * np.eye(p))


def time_to_reach(model, q0, q1):
    """Time that Q = q 1 takes from q0 to q1 at M = 0 with equal readouts, as the integral of dalpha/dq."""
    M, one = np.zeros((model.p, model.p_star)), np.eye(model.p)
    rate = lambda s: derivatives(model, M, np.exp(s) * one)[1][0, 0] / np.exp(s)  # noqa: E731
    return quad(lambda s: 1 / rate(s), np.log(q0), np.log(q1), epsabs=0, epsrel=1e-11)[0]


def both(models, start, alpha, **options):
    """The same by `integrate` and by `integrate_many`."""
    return tsode.integrate(models, start, alpha, **options), tsode.integrate_many([models], start, alpha, **options)[0]


TIMES = np.linspace(0, 6, 13)


def difference(a, b):
    assert a.status == b.status
    assert a.model == b.model
    np.testing.assert_array_equal(a.alpha, b.alpha)
    return max(np.abs(a.M - b.M).max(), np.abs(a.Q - b.Q).max())


GENERAL_MODEL = tsode.TeacherStudent(**GENERAL)


# --- one and many


@pytest.mark.parametrize("alpha", [[0.7], [0.7, 1.0], [0.7, 1.0, 2.0, 2.5]])
def test_only_the_time_since_the_start_counts(alpha):
    """A run from alpha[0] > 0 is the run from 0, later; one time alone is the start."""
    start = generic_start(SMALL)
    wanted = tsode.integrate(SMALL, start, np.array(alpha) - 0.7)
    for found in both(SMALL, start, alpha):
        assert found.alpha.tolist() == alpha
        assert (found.status, found.stopped_at) == ("completed", alpha[-1])
        assert len(found.M) == len(alpha)
        np.testing.assert_array_equal(found.M[0], start.M)
        np.testing.assert_array_equal(found.Q[0], start.Q)
        np.testing.assert_allclose(found.M, wanted.M, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.Q, wanted.Q, rtol=0, atol=1e-8)


def test_one_and_many_have_the_same_defaults():
    start = generic_start(SMALL)
    one, of_many = both(SMALL, start, [0.0, 1.0])
    assert one.engine == of_many.engine == "ode, DOP853, rtol=1e-08, atol=1e-10"
    for gradient_flow in (False, True):
        for found in both(SMALL, start, [0.0, 1e-4], gradient_flow=gradient_flow):
            assert ("gradient flow" in found.engine) == gradient_flow
            wanted = derivatives(SMALL, start.M, start.Q, gradient_flow)[1]
            np.testing.assert_allclose((found.Q[1] - found.Q[0]) / 1e-4, wanted, rtol=0, atol=1e-3)
    assert np.array_equal(one.Q[1], tsode.integrate(SMALL, start, [0.0, 1.0], gradient_flow=False).Q[1])
    assert np.array_equal(of_many.Q[1], tsode.integrate_many([SMALL], start, [0.0, 1.0], gradient_flow=False)[0].Q[1])


@pytest.mark.parametrize("method", ["LSODA", "BDF", "Radau"])
def test_overlaps_of_implicit_methods_are_symmetric(method):
    for found in both(GENERAL_MODEL, generic_start(GENERAL_MODEL), [0.0, 0.5, 1.0], method=method, rtol=1e-4):
        assert np.array_equal(found.Q, np.swapaxes(found.Q, 1, 2))
        assert np.array_equal(found.Q[0], generic_start(GENERAL_MODEL).Q)


@pytest.mark.parametrize("integrate", [tsode.integrate, tsode.integrate_many])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rtol": 0.0}, "`rtol` must be larger than 0"),
        ({"rtol": -0.5}, "`rtol` must be larger than 0"),
        ({"rtol": 1.5}, "`rtol` must be at most 1"),
        ({"atol": 0.0}, "`atol` must be larger than 0"),
        ({"atol": -0.5}, "`atol` must be larger than 0"),
    ],
)
def test_tolerances_out_of_range(integrate, options, message):
    with pytest.raises(ValueError, match=message):
        integrate(SMALL, generic_start(SMALL), [0.0, 1.0], **options)


def test_tolerances_at_their_limits():
    for found in both(SMALL, generic_start(SMALL), [0.0, 0.1], rtol=0.5, atol=1e-30):
        assert found.engine == "ode, DOP853, rtol=0.5, atol=1e-30"


def test_time_of_divergence_is_the_integral_up_to_infinity():
    model = tsode.TeacherStudent(3, 2, 4.0, 0.2)
    for run in both(model, blind(1.0), [0.5, 2.0, 4.0]):
        assert run.status == "diverged"
        assert run.stopped_at == pytest.approx(0.5 + time_to_reach(model, 1.0, 1e8), rel=1e-6)
        assert run.alpha.tolist() == [0.5]


def test_large_norms_that_shrink_are_no_divergence():
    """What counts is the growth over the start: gradient flow brings any norm back."""
    for run in both(tsode.TeacherStudent(3, 2, 0.1), blind(1e7), [0.0, 1.0, 100.0], gradient_flow=True):
        assert run.status == "completed"
        assert run.Q[-1, 0, 0] == pytest.approx(3 / 5, rel=1e-3)


# --- many


@pytest.mark.parametrize("gradient_flow", [False, True])
def test_batch_finds_what_single_runs_find(gradient_flow):
    """Mixed widths, constraints, rates and starts, more than one chunk, in the order given."""
    models, starts = [], []
    for i in range(45):
        model = tsode.TeacherStudent(**MODELS[list(MODELS)[i % 4]]).replace(learning_rate=0.02 + 0.01 * ((7 * i) % 30))
        models.append(model)
        starts.append(generic_start(model, seed=i))
    found = tsode.integrate_many(models, starts, TIMES, rtol=1e-9, gradient_flow=gradient_flow)
    for model, start, ode in zip(models, starts, found):
        alone = tsode.integrate(model, start, TIMES, rtol=1e-11, atol=1e-13, gradient_flow=gradient_flow)
        assert difference(ode, alone) < 1e-7
        np.testing.assert_array_equal(ode.Q[0], start.Q)


def test_one_model_or_one_start_is_repeated():
    model = tsode.TeacherStudent(3, 1, 0.2)
    starts = [generic_start(model, seed=i) for i in range(3)]
    rates = [model.replace(learning_rate=eta) for eta in (0.1, 0.2)]
    for given in (starts, tuple(starts)):
        assert len(tsode.integrate_many(model, given, TIMES)) == 3
    for given in (rates, tuple(rates)):
        assert [ode.model for ode in tsode.integrate_many(given, starts[0], TIMES)] == rates
    assert len(tsode.integrate_many(model, starts[0], TIMES)) == 1


def test_diverging_solutions_leave_the_others_alone():
    base, start = tsode.TeacherStudent(4, 2, 0.4), tsode.Overlaps(np.full((4, 2), 0.1), np.eye(4))
    models = [base.replace(learning_rate=eta) for eta in (0.2, 5.0, 0.4, 1.3, 0.6, 2.0)]
    found = tsode.integrate_many(models, start, TIMES)
    assert [ode.status for ode in found] == ["completed", "diverged", "completed", "diverged", "completed", "diverged"]
    for model, ode in zip(models, found):
        assert difference(ode, tsode.integrate(model, start, TIMES)) < 1e-6
        assert np.isfinite(ode.loss).all()


@pytest.mark.parametrize("eta", [1e3, 1e30])
@pytest.mark.parametrize("alpha", [[0.0, 1.0], [1.0, 2.0], [1e15, 1e15 + 10]])
def test_neighbours_of_one_that_runs_away_within_the_rounding_of_time(alpha, eta):
    """The instant at which it leaves is not resolved, or none of its steps."""
    models = [SMALL.replace(learning_rate=eta) for eta in (0.1, eta)]
    calm, lost = tsode.integrate_many(models, generic_start(SMALL), alpha)
    assert (calm.status, lost.status) == ("completed", "diverged")
    np.testing.assert_allclose(calm.Q, tsode.integrate(models[0], generic_start(SMALL), alpha).Q, rtol=0, atol=1e-7)


def test_batch_refuses_what_single_runs_refuse():
    model = tsode.TeacherStudent(3, 1, 0.2)
    start = generic_start(model)
    with pytest.raises(ValueError, match=r"`starts` must be one or as many as `models` \(3\), but are 2"):
        tsode.integrate_many([model] * 3, [start] * 2, TIMES)
    with pytest.raises(TypeError, match="`models` must be a TeacherStudent"):
        tsode.integrate_many([model, 3], start, TIMES)
    with pytest.raises(ValueError, match="`starts` must have widths"):
        tsode.integrate_many([model, model.replace(p=2)], start, TIMES)
    assert tsode.integrate_many([], [], TIMES) == []

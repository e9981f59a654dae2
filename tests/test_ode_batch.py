import numpy as np
import pytest
from models import MODELS, generic_start

import tsode

TIMES = np.linspace(0, 6, 13)


def difference(a, b):
    assert a.status == b.status
    assert a.model == b.model
    np.testing.assert_array_equal(a.alpha, b.alpha)
    return max(np.abs(a.M - b.M).max(), np.abs(a.Q - b.Q).max())


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
    assert len(tsode.integrate_many(model, starts, TIMES)) == 3
    assert [ode.model for ode in tsode.integrate_many(rates, starts[0], TIMES)] == rates


def test_diverging_solutions_leave_the_others_alone():
    base, start = tsode.TeacherStudent(4, 2, 0.4), tsode.Overlaps(np.full((4, 2), 0.1), np.eye(4))
    models = [base.replace(learning_rate=eta) for eta in (0.2, 5.0, 0.4, 1.3, 0.6, 2.0)]
    found = tsode.integrate_many(models, start, TIMES)
    assert [ode.status for ode in found] == ["completed", "diverged", "completed", "diverged", "completed", "diverged"]
    for model, ode in zip(models, found):
        assert difference(ode, tsode.integrate(model, start, TIMES)) < 1e-6
        assert np.isfinite(ode.loss).all()


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

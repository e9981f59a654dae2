"""Derivatives of the loss of an ODE solution, against differences of solutions."""

import numpy as np
import pytest
from models import generic_start

import tsode

ALPHA = np.array([0.2, 0.5, 1.5, 3.0])
FINE = {"rtol": 1e-12, "atol": 1e-14}


def slope(loss, step=1e-4):
    """Return the derivative at 0 with an error of order step^4."""
    return (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step)


def along(found, direction):
    return sum(float(np.sum(getattr(found, name) * value)) for name, value in direction.items())


def random_direction(model, start, rng):
    """A change of every field and of the start that leaves symmetric what is symmetric, and norms on the sphere."""
    P, Q = (rng.standard_normal((n, n)) / 10 for n in (model.p_star, model.p))
    P, Q = (P + P.T) / 2, (Q + Q.T) / 2
    if model.spherical:
        np.fill_diagonal(Q, 0.0)
    return {
        "learning_rate": 0.1 * model.learning_rate, "noise_variance": 0.3 * model.noise_variance,
        "student_readout": rng.standard_normal(model.p) / 10, "teacher_readout": rng.standard_normal(model.p_star) / 10,
        "teacher_overlap": P, "M": rng.standard_normal((model.p, model.p_star)) / 10, "Q": Q,
    }  # fmt: skip


def moved(model, start, direction, step):
    """Return the loss at the end from a model and a start that lie so far in a direction."""
    changes = {name: getattr(model, name) + step * value for name, value in direction.items() if name not in "MQ"}
    other = model.replace(**changes)
    start = tsode.Overlaps(start.M + step * direction["M"], start.Q + step * direction["Q"], other.teacher_overlap)
    return other, start


def check(model, start, gradient_flow=False):
    direction = random_direction(model, start, np.random.default_rng(1))

    def loss(step):
        ode = tsode.integrate(*moved(model, start, direction, step), ALPHA, gradient_flow=gradient_flow, **FINE)
        return ode.excess_loss[-1]

    found = tsode.gradient(model, start, ALPHA, gradient_flow=gradient_flow, rtol=1e-11, atol=1e-13)
    assert found.loss == pytest.approx(loss(0.0), rel=1e-9)
    wanted = slope(loss)
    assert along(found, direction) == pytest.approx(wanted, rel=1e-7, abs=1e-9)
    return found


@pytest.mark.parametrize("gradient_flow", [False, True])
def test_all_derivatives_along_one_direction(model, start, gradient_flow):
    found = check(model, start, gradient_flow)
    assert found.learning_rate == pytest.approx(found.learning_rates.sum(), rel=1e-12)


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_averages_without_derivatives_of_their_own(constraint):
    model = tsode.TeacherStudent(2, 2, 0.5, 0.1, [0.7, -0.4], activation="erf", constraint=constraint)
    check(model, generic_start(model))


def test_learning_rates_and_weights():
    """Each rate on its own; the integrated loss; the noise variance at none."""
    model, rates = tsode.TeacherStudent(3, 2, 0.1), np.array([0.1, 0.3, 0.2])
    start, weights = generic_start(model), np.array([0.0, 1.0, 0.5, 2.0])

    def loss(rates, noise_variance=0.0):
        total, now = 0.0, start
        for i, eta in enumerate(rates):
            each = model.replace(learning_rate=eta, noise_variance=noise_variance)
            ode = tsode.integrate(each, now, ALPHA[i : i + 2], **FINE)
            total, now = total + weights[i + 1] * ode.excess_loss[-1], ode.overlaps(-1)
        return total

    found = tsode.gradient(model, start, ALPHA, rates, weights, rtol=1e-11, atol=1e-13)
    assert found.loss == pytest.approx(loss(rates), rel=1e-10)
    for i, derivative in enumerate(found.learning_rates):
        assert derivative == pytest.approx(slope(lambda h, i=i: loss(rates + h * np.eye(3)[i])), rel=1e-7)
    forward = (4 * loss(rates, 1e-4) - loss(rates, 2e-4) - 3 * loss(rates)) / 2e-4
    assert found.noise_variance == pytest.approx(forward, rel=1e-5)
    assert "Δ = 0" in repr(found)
    assert not tsode.gradient(model, start, ALPHA, rates, 0 * weights).learning_rates.any()  # of no loss at all


def test_what_cannot_be_differentiated():
    model = tsode.TeacherStudent(3, 2, 4.0)
    start = generic_start(model)
    with pytest.raises(ValueError, match="`alpha` must end before the solution diverges, but ends at 50"):
        tsode.gradient(model, start, [0.0, 50.0])
    rough = model.replace(activation="relu", teacher_activation="erf")
    with pytest.raises(tsode.NoClosedForm, match="`model` must have activations with compiled averages"):
        tsode.gradient(rough, start, [0.0, 1.0])

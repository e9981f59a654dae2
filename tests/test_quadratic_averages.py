"""The averages of the square that drive the ODEs, and its loss."""

import numpy as np
import pytest
from models import GENERAL, generic_start
from reference import joint_moments

import tsode


def in_loops(model, start):
    """J, F, K through the plain Python of the compiled loops."""
    averages, parameters = model.rule.averages(model), model.rule.parameters(model)
    p, n = model.p, model.p + model.p_star
    J, K = np.empty((p, n)), np.empty((p, p))
    averages.drift(start.joint, parameters, J)
    averages.noise(start.joint, parameters, J, J @ start.joint, K)
    return J, J @ start.joint, K


def in_arrays(model, start):
    averages, parameters = model.rule.averages(model), model.rule.parameters(model)
    J = averages.drift_arrays(start.joint, parameters, model.p)
    return J, J @ start.joint, averages.noise_arrays(start.joint, parameters, J, J @ start.joint)


@pytest.mark.parametrize("form", [in_loops, in_arrays])
def test_averages_agree_with_the_joint_moments(form, model, start):
    v, eta = model.student_readout, model.learning_rate
    first, second = joint_moments(
        v, model.teacher_readout, start.M, start.Q, model.teacher_overlap, model.noise_variance
    )
    p = model.p
    _, F, K = form(model, start)
    np.testing.assert_allclose(F, -2 * eta * v[:, None] * first[:p], rtol=0, atol=1e-14)
    np.testing.assert_allclose(K, 4 * eta**2 * np.outer(v, v) * second[:p, :p], rtol=0, atol=1e-14)


def test_moments_agree_with_monte_carlo():
    """Every entry within 4.5 standard errors: with 24 entries a false alarm has probability below 2e-4."""
    model = tsode.TeacherStudent(**GENERAL)
    start = generic_start(model)
    rng = np.random.default_rng(11)
    n, p = 400_000, model.p
    z = rng.multivariate_normal(np.zeros(p + model.p_star), start.joint, size=n)
    lam, mu = z[:, :p], z[:, p:]
    noise = np.sqrt(model.noise_variance) * rng.standard_normal(n)
    D = lam**2 @ model.student_readout - mu**2 @ model.teacher_readout - noise
    C = -2 * model.learning_rate * model.student_readout * D[:, None] * lam
    samples = C[:, :, None] * z[:, None, :], C[:, :, None] * C[:, None, :]
    _, *exact = in_loops(model, start)
    for sample, value in zip(samples, exact):
        error = sample.std(axis=0) / np.sqrt(n)
        assert np.max(np.abs(sample.mean(axis=0) - value) / error) < 4.5
    loss = model.excess_loss(start.M, start.Q) + model.noise_variance / 2
    assert abs(np.mean(D**2 / 2) - loss) < 4.5 * np.std(D**2 / 2) / np.sqrt(n)


def test_loss_is_zero_exactly_on_a_solution():
    model = tsode.TeacherStudent(p=3, p_star=2, learning_rate=0.1)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 2)))[0]
    M = np.sqrt(3 / 2) * rotation
    assert model.excess_loss(M, M @ M.T) < 1e-30


def test_loss_takes_leading_axes(model, start):
    M, Q = np.stack([start.M, 0 * start.M]), np.stack([start.Q, start.Q])
    both = model.excess_loss(M, Q)
    for i in range(2):
        assert both[i] == pytest.approx(model.excess_loss(M[i], Q[i]), rel=1e-14)

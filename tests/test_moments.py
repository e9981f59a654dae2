import numpy as np
import pytest
from models import GENERAL, generic_start
from reference import joint_moments
from twins import python_twin

import tsode
from tsode.moments import error_moments, error_moments_kernel, excess_loss


def arguments(model, start):
    return model.student_readout, model.teacher_readout, start.M, start.Q, start.P


def in_loops(function, model, start):
    out = np.empty_like(start.M), np.empty_like(start.Q), np.empty_like(start.Q)
    function(*arguments(model, start), model.noise_variance, *out)
    return out


def test_moments_agree_with_the_joint_formulas(model, start):
    first, second = joint_moments(*arguments(model, start), model.noise_variance)
    p = model.p
    wanted = first[:p, p:], first[:p, :p], second[:p, :p]
    for found in (
        error_moments(*arguments(model, start), model.noise_variance),
        in_loops(error_moments_kernel, model, start),
        in_loops(python_twin(error_moments_kernel), model, start),
    ):
        for a, b in zip(found, wanted):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)


def test_moments_agree_with_monte_carlo():
    """Every entry within 4.5 standard errors: with 22 entries a false alarm has probability below 2e-4."""
    model = tsode.TeacherStudent(**GENERAL)
    start = generic_start(model)
    rng = np.random.default_rng(11)
    n, p = 400_000, model.p
    z = rng.multivariate_normal(np.zeros(p + model.p_star), start.joint, size=n)
    lam, mu = z[:, :p], z[:, p:]
    noise = np.sqrt(model.noise_variance) * rng.standard_normal(n)
    D = lam**2 @ model.student_readout - mu**2 @ model.teacher_readout - noise
    samples = (
        D[:, None, None] * lam[:, :, None] * mu[:, None, :],
        D[:, None, None] * lam[:, :, None] * lam[:, None, :],
        D[:, None, None] ** 2 * lam[:, :, None] * lam[:, None, :],
    )
    exact = error_moments(*arguments(model, start), model.noise_variance)
    for sample, value in zip(samples, exact):
        error = sample.std(axis=0) / np.sqrt(n)
        assert np.max(np.abs(sample.mean(axis=0) - value) / error) < 4.5
    loss = excess_loss(*arguments(model, start)) + model.noise_variance / 2
    assert abs(np.mean(D**2 / 2) - loss) < 4.5 * np.std(D**2 / 2) / np.sqrt(n)


def test_loss_is_zero_exactly_on_a_solution():
    model = tsode.TeacherStudent(p=3, p_star=2, learning_rate=0.1)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 2)))[0]
    M = np.sqrt(3 / 2) * rotation
    assert excess_loss(*arguments(model, tsode.Overlaps(M, M @ M.T))) < 1e-30


def test_loss_takes_leading_axes(model, start):
    M, Q = np.stack([start.M, 0 * start.M]), np.stack([start.Q, start.Q])
    both = excess_loss(model.student_readout, model.teacher_readout, M, Q, start.P)
    for i in range(2):
        alone = excess_loss(model.student_readout, model.teacher_readout, M[i], Q[i], start.P)
        assert both[i] == pytest.approx(alone, rel=1e-14)

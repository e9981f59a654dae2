"""Fluctuations at finite N: their formulas against exact quadrature, and all that is made of them against the chain."""

import numpy as np
import pytest
from models import GENERAL, generic_start
from reference import derivatives
from scipy.stats import chi2

import tsode
from tsode.activations import Polynomial
from tsode.finite_size.layout import entries_of, matrices_of, random_covariance
from tsode.finite_size.rates import BEND, DRIFT, Rates
from tsode.finite_size.squares import exceeds
from tsode.plot import loss_band

NOISY = {"p": 2, "p_star": 2, "learning_rate": 0.3, "noise_variance": 0.37, "student_readout": [0.5, -0.3],
         "teacher_readout": [0.7, 0.2], "teacher_overlap": [[1.0, 0.3], [0.3, 0.8]]}  # fmt: skip
SPHERICAL = {**NOISY, "learning_rate": 0.15, "constraint": "spherical"}  # higher powers of eta/N are smaller
BOTH = pytest.mark.parametrize("case", [NOISY, SPHERICAL], ids=["free", "spherical"])


def rates_of(model):
    return Rates(model, model.rule.averages(model).step)


def step(model, M, Q, z, D, size):
    """The overlaps after one sample, as the definition says; M, Q and z with any leading axes, `size` is |x|^2 / N."""
    N, p = model.N, model.p
    c, lam, mu = -2 * model.learning_rate * model.student_readout * D[..., None] * z[..., :p], z[..., :p], z[..., p:]
    both = c[..., :, None] * lam[..., None, :]
    M = M + c[..., :, None] * mu[..., None, :] / N
    Q = Q + (both + np.swapaxes(both, -1, -2)) / N + c[..., :, None] * c[..., None, :] * size[..., None, None] / N
    if model.spherical:
        norms = np.sqrt(np.diagonal(Q, axis1=-2, axis2=-1))
        M, Q = M / norms[..., None], Q / (norms[..., :, None] * norms[..., None, :])
    return np.concatenate([M.reshape(*M.shape[:-2], -1), Q[..., *np.tril_indices(p)]], axis=-1)


def error_of(model, z, xi):
    u = np.concatenate([model.student_readout, -model.teacher_readout])
    return z**2 @ u - np.sqrt(model.noise_variance) * xi


def at_dimension(case, N):
    model = tsode.TeacherStudent(**case)
    object.__setattr__(model, "N", N)
    return model


def quadrature(model, start, nodes=7):
    """The mean of N times a step, and its covariance at |x|^2 = N, exact for polynomials of degree 2 nodes - 1.

    In the mean |x|^2 is its mean given z, which is enough as the step of a free student is linear in it.
    """
    line, weights = np.polynomial.hermite_e.hermegauss(nodes)
    d, N, o = model.p + model.p_star, model.N, entries_of(start.M, start.Q)
    x = np.stack(np.meshgrid(*[line] * (d + 1), indexing="ij"), axis=-1).reshape(-1, d + 1)
    w = np.prod(np.stack(np.meshgrid(*[weights] * (d + 1), indexing="ij"), axis=-1).reshape(-1, d + 1), axis=1)
    w, z = w / w.sum(), x[:, :d] @ np.linalg.cholesky(start.joint).T
    D, size = error_of(model, z, x[:, d]), (np.sum(x[:, :d] ** 2, axis=1) + N - d) / N
    mean = w @ (N * (step(model, start.M, start.Q, z, D, size) - o))
    X = N * (step(model, start.M, start.Q, z, D, np.ones(len(w))) - o)
    return mean, (X * w[:, None]).T @ X - np.outer(w @ X, w @ X)


@BOTH
def test_moments_of_a_step_are_those_of_exact_quadrature(case):
    N, tight, loose = (10, 1e-11, 1e-10) if case is NOISY else (10**5, 1e-6, 2e-4)  # on the sphere 1/N has higher powers
    models = [at_dimension(case, n) for n in (N, 2 * N)]
    start = generic_start(models[0])
    o = entries_of(start.M, start.Q)
    J, B, lines = rates_of(models[0]).moments(o, np.zeros((len(o), len(o))))
    (mean, cov), (mean_2, cov_2) = (quadrature(model, start) for model in models)
    np.testing.assert_allclose(lines[DRIFT], 2 * mean_2 - mean, atol=tight)
    np.testing.assert_allclose(B, 2 * cov_2 - cov, atol=tight)
    np.testing.assert_allclose(lines[BEND] + J @ lines[DRIFT] / 2, 2 * N * (mean - mean_2), atol=loose)


@BOTH
def test_derivatives_of_the_drift_are_those_of_its_polynomial(case):
    """f is of degree 3, on the sphere 4: these differences are exact, and need no weights that have the overlaps."""
    model = tsode.TeacherStudent(**case)
    start = generic_start(model)
    o, rates = entries_of(start.M, start.Q), rates_of(model)
    C = random_covariance(model, 1.0)
    C = C + 0.1 * (C @ np.ones_like(C) @ C)  # on the sphere norms do not fluctuate

    def f(o):
        return entries_of(*derivatives(model, *matrices_of(o, model)))

    J, _, lines = rates.moments(o, C)
    moving = np.diagonal(C) > 0
    slopes = [(8 * (f(o + h) - f(o - h)) - f(o + 2 * h) + f(o - 2 * h)) / 12 for h in np.eye(len(o))]
    np.testing.assert_allclose(J[:, moving], np.transpose(slopes)[:, moving], atol=1e-10)
    values, vectors = np.linalg.eigh(C)
    bent = [-f(o + 2 * h) + 16 * f(o + h) - 30 * f(o) + 16 * f(o - h) - f(o - 2 * h) for h in vectors.T]
    flat = rates.moments(o, 0 * C)[2][BEND]
    np.testing.assert_allclose((lines[BEND] - flat)[moving], (values @ bent / 24)[moving], atol=1e-10)


@pytest.mark.slow
@BOTH
def test_mean_of_the_overlaps_with_a_control_variate(case):
    """Y' = (1 + J/N) Y + (X - E[X]) / N along the ODE has mean 0 and takes the noise of order 1/sqrt(N) off the chain.

    The level is 1e-4: rms z of at least 7 entries.
    """
    N, runs, end, rng = 800, 2000, 1.0, np.random.default_rng(3)
    model = at_dimension(case, N)
    start, d = generic_start(model), model.p + model.p_star
    found = tsode.fluctuations(model, start, np.arange(int(end * N) + 1) / N)
    rates, zero = rates_of(model), np.zeros_like(found.covariance[0])
    o, Y = np.tile(entries_of(start.M, start.Q), (runs, 1)), np.zeros((runs, len(zero)))
    for M_ode, Q_ode in zip(found.ode.M[:-1], found.ode.Q[:-1]):
        x, xi = rng.standard_normal((runs, d)), rng.standard_normal(runs)
        size = (np.sum(x**2, axis=1) + rng.chisquare(N - d, runs)) / N
        both = []
        for M, Q in (matrices_of(o, model), (M_ode, Q_ode)):
            joint = np.zeros((*Q.shape[:-2], d, d))
            joint[..., :2, :2], joint[..., :2, 2:], joint[..., 2:, 2:] = Q, M, model.teacher_overlap
            joint[..., 2:, :2] = np.swapaxes(M, -1, -2)
            z = np.einsum("...ij,...j->...i", np.linalg.cholesky(joint), x)
            both.append(step(model, M, Q, z, error_of(model, z, xi), size))
        along, J = entries_of(M_ode, Q_ode), rates.moments(entries_of(M_ode, Q_ode), zero)[0]
        mean = quadrature(model, tsode.Overlaps(M_ode, Q_ode, model.teacher_overlap), nodes=5)[0]
        o, Y = both[0], Y + (Y @ J.T + N * (both[1] - along) - mean) / N
    left = N * (o - Y - entries_of(found.ode.M[-1], found.ode.Q[-1]))
    moving = left.std(axis=0) > 1e-6
    wanted, error = found.correction[-1, moving], left.std(axis=0)[moving] / np.sqrt(runs)
    z = (left.mean(axis=0)[moving] - wanted) / np.hypot(error, 0.03 * np.abs(wanted).max())  # O(1/N)
    assert np.sqrt(np.mean(z**2)) < 1.9
    assert np.sqrt(np.mean((wanted / error) ** 2)) > 5  # it is seen

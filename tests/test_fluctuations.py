"""Fluctuations at finite N: their formulas against exact quadrature, and all that is made of them against the chain."""

import dataclasses

import numpy as np
import pytest
from models import GENERAL, generic_start
from reference import derivatives
from scipy.stats import chi2

import tsode
from tsode.activations import Quadratic
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
    return np.concatenate([M.reshape(*M.shape[:-2], -1), Q[(..., *np.tril_indices(p))]], axis=-1)


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
    N, tight, loose = (10, 1e-11, 1e-10) if case is NOISY else (10**5, 1e-6, 2e-4)  # the sphere has higher powers
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


def against_chain(case, alpha, N, runs, seed=1):
    """Root mean squares of (found - theory) / error, of all covariances and of the mean loss; C is right to O(1/N)."""
    model = tsode.TeacherStudent(**case)
    start = generic_start(model, 3)
    theory = tsode.fluctuations(model, start, alpha)
    sgd = tsode.simulate(model, start, alpha, N=N, runs=runs, seed=seed)
    o = np.concatenate([sgd.M.reshape(runs, len(alpha), -1), sgd.Q[(..., *np.tril_indices(model.p))]], axis=-1)[:, 1:]
    xi = np.sqrt(N) * (o - o.mean(axis=0))
    products = xi[..., :, None] * xi[..., None, :]
    C, spread = theory.covariance[1:], np.sqrt(np.einsum("tii,tjj->tij", *2 * [theory.covariance[1:]]))
    error = np.hypot(products.std(axis=0) / np.sqrt(runs), 30 / N * spread)
    moving = spread > 1e-9
    loss_error = theory.loss_std(N)[1:] / np.sqrt(runs)
    loss = (sgd.excess_loss.mean(axis=0)[1:] - theory.loss_mean(N)[1:]) / loss_error
    covariance = (products.mean(axis=0) - C)[moving] / error[moving]
    return np.sqrt(np.mean(covariance**2)), np.sqrt(np.mean(loss**2)), np.abs(loss_error * N)


CASES = {
    "noise": {"p": 4, "p_star": 2, "learning_rate": 0.3, "noise_variance": 0.2},
    "readouts": {**GENERAL, "learning_rate": 0.2},
    "one": {"p": 1, "p_star": 1, "learning_rate": 0.015, "noise_variance": 0.2},
    "spherical": {"p": 2, "p_star": 1, "learning_rate": 0.3, "constraint": "spherical"},
    "general spherical": {**GENERAL, "learning_rate": 0.2, "constraint": "spherical"},
    "decay": {"p": 2, "p_star": 2, "learning_rate": 0.2, "noise_variance": 0.1, "weight_decay": 0.3},
}


@pytest.mark.slow
def test_batches_and_decay_against_the_chain():
    """A batch of 100 is one long step: its mean is far from the ODE's. Level 1e-4 or so: 28 covariances, 2 means."""
    case = {**CASES["decay"], "learning_rate": 10.0, "batch_size": 100}
    covariance, loss, resolved = against_chain(case, np.array([0.0, 0.5, 1.5]), N=4000, runs=8000)
    assert covariance < 2.2
    assert loss < 2.8
    model = tsode.TeacherStudent(**case)
    found = tsode.fluctuations(model, generic_start(model, 3), [0.0, 0.5, 1.5])
    assert (np.abs(found._loss_correction[1:]) > 3 * resolved).any()  # the correction is seen


@pytest.mark.slow
@pytest.mark.parametrize("N", [1000, 4000, 16000])
@pytest.mark.parametrize("name", CASES)
def test_covariances_against_the_chain(name, N):
    covariance, loss, _ = against_chain(CASES[name], np.array([0.0, 0.5, 1.5]), N, runs=2000)
    assert covariance < 2.2
    assert loss < 3.0


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_other_activations_against_the_chain(activation):
    case = {"p": 1, "p_star": 1, "learning_rate": 0.5, "noise_variance": 0.1, "activation": activation}
    covariance, loss, _ = against_chain(case, np.array([0.0, 1.0, 4.0]), N=1000, runs=4000)
    assert covariance < 2.2
    assert loss < 3.0


class Sampled(Quadratic):
    name = "square by quadrature"

    def averages(self, teacher):
        return dataclasses.replace(super().averages(teacher), step=None)


def test_quadrature_finds_the_numbers_of_the_square():
    case = {"p": 1, "p_star": 1, "learning_rate": 0.1, "noise_variance": 0.2, "batch_size": 2, "weight_decay": 0.1}
    model = tsode.TeacherStudent(**case)
    start = generic_start(model, 3)
    wanted = tsode.fluctuations(model, start, [0.0, 1.0, 4.0])
    found = tsode.fluctuations(model.replace(activation=Sampled(), teacher_activation=None), start,
                               [0.0, 1.0, 4.0])  # fmt: skip
    np.testing.assert_allclose(found.covariance, wanted.covariance, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(found.correction, wanted.correction, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(found.loss_mean(10), wanted.loss_mean(10), rtol=1e-4)


@BOTH
def test_random_starts_have_the_covariance_of_random_weights(case):
    model, N, runs = tsode.TeacherStudent(**case), 50, 2000
    rng = np.random.default_rng(0)
    drawn = [tsode.Overlaps.random(model, N, 0.7, rng) for _ in range(runs)]
    o = np.array([entries_of(one.M, one.Q) for one in drawn])
    products = N * (o - o.mean(axis=0))[:, :, None] * (o - o.mean(axis=0))[:, None, :]
    wanted = tsode.fluctuations(model, None, [0.0], scale=0.7).covariance[0]
    error = np.maximum(products.std(axis=0) / np.sqrt(runs), 1e-12)
    assert np.max(np.abs(products.mean(axis=0) - wanted) / error) < 4.5  # 49 entries, level 1e-3


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_escape_has_its_law_where_readouts_are_equal(constraint):
    model = tsode.TeacherStudent(3, 2, 0.3, 0.1, constraint=constraint)
    law = tsode.escape_law(model, 10**5, 0.05, start="random")
    alpha = np.append(0.0, law.ppf([0.01, 0.1, 0.5, 0.9, 0.99]))
    found = tsode.fluctuations(model, None, alpha).escape_cdf(10**5, 0.05)
    np.testing.assert_allclose(found, law.cdf(alpha), atol=1e-4)


def test_law_of_a_sum_of_squares():
    levels = [0.3, 2.0, 9.0, 30.0]
    np.testing.assert_allclose([exceeds(np.ones(3), x) for x in levels], chi2(3).sf(levels), atol=1e-9)
    two = [exceeds(np.array([1.0, 1.0, 3.0, 3.0]), x) for x in levels]  # two exponential variables
    np.testing.assert_allclose(
        two, 1.5 * np.exp(np.divide(levels, -6)) - 0.5 * np.exp(np.divide(levels, -2)), atol=1e-9
    )


@pytest.mark.slow
def test_runs_that_are_drawn_escape_as_the_chain_does():
    """Times to tr M M^T = .3: the law of both, level 1e-4."""
    model, N = tsode.TeacherStudent(2, 1, 0.2), 10**4
    time, starts = tsode.fluctuations(model, None, 40.0).sample(N, 400, rng=0)
    alpha = np.linspace(time, 60, 400)
    drawn = [tsode.escape_time(run, 0.3) for run in tsode.integrate_many(model, starts, alpha)]
    chain = tsode.escape_time(tsode.simulate(model, None, 60.0, N, 200, until=tsode.escaped(0.35)), 0.3)
    assert (
        abs(np.mean(drawn) - chain.mean())
        < 4 * np.hypot(np.std(drawn) / 20, chain.std() / np.sqrt(200)) + 0.02 * chain.mean()
    )


@pytest.mark.parametrize(("p", "variance"), [(1, 2.0), (3, 2 / 3)])
def test_noise_floor_at_small_learning_rates(p, variance):
    """2/p and 2: the loss is a sum of squares about the floor."""
    found = tsode.stationary_fluctuations(tsode.TeacherStudent(p, p, 0.0005, 0.3))
    assert found.relative_variance == pytest.approx(variance, rel=1e-3)
    assert found.relative_correction == pytest.approx(2, rel=2e-2)
    assert np.linalg.matrix_rank(found.diffusion, tol=1e-3 * max(found.diffusion.max(), 1e-30)) == p * (p - 1) // 2


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_late_fluctuations_are_the_stationary_ones(constraint):
    """C -> C_s + alpha D."""
    model = tsode.TeacherStudent(2, 2, 0.2, 0.3, constraint=constraint)
    rest = tsode.stationary_fluctuations(model)
    found = tsode.fluctuations(model, rest.point.overlaps, [0.0, 300.0, 400.0])
    np.testing.assert_allclose((found.covariance[2] - found.covariance[1]) / 100, rest.diffusion, atol=1e-7)
    assert 100 * found.loss_std(100)[2] ** 2 == pytest.approx(rest.loss_variance, rel=1e-4)
    assert found._loss_correction[2] == pytest.approx(rest.loss_correction, rel=1e-3)


def test_a_plateau_has_a_spread_of_its_own():
    """Nothing of what grows is in it: M, which has no spread at rest."""
    model = tsode.TeacherStudent(3, 2, 0.3, 0.1)
    found = tsode.stationary_fluctuations(model, tsode.plateau(model).overlaps)
    assert np.abs(found.covariance[:6]).max() < 1e-12
    assert found.relative_variance > 0
    late = tsode.fluctuations(model, found.point.overlaps, [0.0, 60.0])
    np.testing.assert_allclose(late.covariance[1, 6:, 6:], found.covariance[6:, 6:], atol=1e-5)


def test_validity_ends_with_the_escape_and_the_band_with_it():
    model = tsode.TeacherStudent(4, 2, 0.4)
    found, certain = (tsode.fluctuations(model, start, 40.0) for start in (None, generic_start(model)))
    ends = [found.valid_until(N) for N in (10**4, 10**6, 10**8)]
    assert 0 < ends[0] < ends[1] < ends[2] < 40
    assert certain.valid_until(10**6) == np.inf
    lower, upper = certain.loss_band(10**4, 2.0)
    np.testing.assert_allclose(np.log(upper / lower), 4 * certain.loss_std(10**4) / certain.ode.excess_loss)
    axes = [loss_band(one, N=[10**6]) for one in (found, certain)]
    bands = [ax.collections[0].get_paths()[0].vertices[:, 0].max() for ax in axes]
    assert bands[0] < ends[1]
    assert bands[1] == 40
    assert any("escape_law" in str(line.get_label()) for line in axes[0].lines)
    assert not any("escape_law" in str(line.get_label()) for line in axes[1].lines)

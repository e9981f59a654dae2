"""Spectral densities by Lanczos quadrature."""

import types

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from test_hessian_empirical import at_the_plateau

import tsode
from tsode import hessian
from tsode.hessian import SpectralDensity, spectral_density


def test_density_moments_against_dense_eigenvalues():
    model, W, _, X, y = at_the_plateau(4, 2, 80, 640)
    H = hessian.empirical_operator(model, W, X, y)
    values = hessian.empirical_spectrum(model, W, X, y).expanded
    estimate = hessian.spectral_density(H, steps=60, probes=30, rng=1)
    np.testing.assert_allclose(estimate.weights.sum(axis=1), 1.0, atol=1e-12)
    for function in (lambda x: x, np.square, lambda x: np.exp(-x), lambda x: x**4):
        mean, error = estimate.mean(function)
        assert abs(mean - function(values).mean()) < 5 * error  # 5 standard errors, 29 degrees of freedom: 3e-5
    x = np.linspace(-2, 3, 400)
    width = 0.1
    exact = np.mean(np.exp(-(((x[:, None] - values) / width) ** 2) / 2), axis=1) / (width * np.sqrt(2 * np.pi))
    assert np.abs(estimate.density(x, width) - exact).max() < 0.05 * exact.max()


def test_density_without_reorthogonalisation_keeps_the_weights_of_spikes():
    # 200 steps on 4 distinct eigenvalues: Lanczos breaks down after 4, or makes copies whose weights add up.
    model = tsode.TeacherStudent(4, 2, 0.1)
    W, W_star = hessian.gradient_flow_plateau(model)[0].realise(100, rng=0)
    estimate = hessian.spectral_density(hessian.population_operator(model, W, W_star), steps=200, probes=50, rng=2)
    for value, count in ((-0.5, 8), (0.0, 382), (1 / 3, 9), (1.0, 1)):
        mean, error = estimate.mean(lambda x, value=value: (np.abs(x - value) < 1e-6).astype(float))
        assert abs(400 * mean - count) < 5 * 400 * error


def test_density_takes_matrices_and_repeats_itself():
    matrix = np.diag([1.0, 2.0, 2.0, 3.0])
    first, second = (hessian.spectral_density(matrix, rng=7) for _ in range(2))
    np.testing.assert_array_equal(first.nodes, second.nodes)
    assert first.dimension == 4
    assert np.isnan(hessian.spectral_density(matrix, probes=1).mean(np.square)[1])
    assert "Lanczos" in repr(first)
    assert "<table>" in first._repr_html_()


def test_all_steps_give_the_eigenvalues_weighted_by_the_probe():
    values = np.array([-2.0, -0.5, 0.1, 1.0, 3.0])
    estimate = spectral_density(np.diag(values), steps=9, probes=2, rng=3)
    rng = np.random.default_rng(3)
    for nodes, weights in zip(estimate.nodes, estimate.weights):
        probe = rng.standard_normal(5)
        np.testing.assert_allclose(nodes, values, atol=1e-12)
        np.testing.assert_allclose(weights, probe**2 / (probe @ probe), atol=1e-12)
    assert estimate.dimension == 5


def test_one_step_gives_the_rayleigh_quotient_of_the_probe():
    estimate = spectral_density(np.diag([1.0, 2.0, 4.0]), steps=1, probes=1, rng=3)
    probe = np.random.default_rng(3).standard_normal(3)
    assert estimate.nodes == pytest.approx((probe**2 @ [1.0, 2.0, 4.0]) / (probe @ probe))
    assert estimate.weights.tolist() == [[1.0]]


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e8])
def test_a_krylov_space_that_is_exhausted_leaves_nodes_without_weight(scale):
    estimate = spectral_density(scale * np.diag([1.0, 1.0, -2.0, -2.0, -2.0]), steps=5, rng=1)
    np.testing.assert_allclose(estimate.nodes[:, :2], np.tile([-2 * scale, scale], (4, 1)), rtol=1e-12)
    np.testing.assert_allclose(estimate.nodes[:, 2:], scale, rtol=1e-12)
    np.testing.assert_array_equal(estimate.weights[:, 2:], 0)
    np.testing.assert_allclose(estimate.weights.sum(axis=1), 1, rtol=1e-14)


def test_the_zero_operator_has_one_node():
    estimate = spectral_density(np.zeros((3, 3)), probes=1)
    assert estimate.nodes.tolist() == [[0.0, 0.0, 0.0]]
    assert estimate.weights[0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-15)


def test_mean_and_standard_error_over_probes():
    made = SpectralDensity(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, 0.5], [0.25, 0.75]]), 2)
    # 1.5 and 3.75 differ by 2.25: their mean has the error 2.25 / 2
    assert made.mean(lambda x: x) == pytest.approx((2.625, 1.125), rel=1e-14)
    assert made.mean(np.square) == pytest.approx(((2.5 + 14.25) / 2, 11.75 / 2), rel=1e-14)
    mean, error = SpectralDensity(np.array([[1.0, 2.0]]), np.array([[0.5, 0.5]]), 2).mean(lambda x: x)
    assert mean == 1.5
    assert np.isnan(error)
    expected = [0.5, 0.5, 0.25, 0.75] @ np.exp(-((3.0 - np.arange(1, 5)) ** 2) / 2) / 2 / np.sqrt(2 * np.pi)
    assert made.density([3.0], 1.0) == pytest.approx(expected, rel=1e-14)


def test_eighty_steps_and_four_probes_of_seed_zero_by_default():
    matrix = np.diag(np.arange(90.0))
    estimate = spectral_density(matrix)
    assert estimate.nodes.shape == (4, 80)
    np.testing.assert_array_equal(estimate.nodes, spectral_density(matrix, 80, 4, rng=0).nodes)


class OnlyProducts:
    def __matmul__(self, other):
        return other


@pytest.mark.parametrize(
    "operator", [types.SimpleNamespace(shape=(2, 2)), OnlyProducts(), "H", np.ones(3), np.ones((2,) * 3)]
)
def test_what_has_no_products_or_is_no_matrix_is_no_operator(operator):
    with pytest.raises(TypeError, match="`operator` must be a LinearOperator or a matrix"):
        spectral_density(operator)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
def test_an_operator_is_square(shape):
    with pytest.raises(ValueError, match="`operator` must be square"):
        spectral_density(aslinearoperator(np.ones(shape)))


def test_the_smallest_operator_is_a_number():
    density = spectral_density(aslinearoperator(np.array([[3.0]])))
    np.testing.assert_allclose(density.nodes, 3.0, rtol=1e-15)
    with pytest.raises(ValueError, match="`operator` must be square"):
        spectral_density(LinearOperator((0, 0), matvec=lambda x: x, dtype=np.float64))


def test_products_have_to_be_finite_at_every_step():
    """The message has the product that is not."""
    calls = []

    def product(x):
        calls.append(x)
        return np.arange(5) * x + (np.nan if len(calls) == 3 else 0.0)

    with pytest.raises(ValueError, match="`operator` must have finite products, but has nan"):
        spectral_density(LinearOperator((5, 5), matvec=product, dtype=np.float64), steps=4)
    assert len(calls) == 3


@pytest.mark.parametrize("name", ["steps", "probes"])
def test_there_is_at_least_one_step_and_one_probe(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
        spectral_density(np.eye(2), **{name: 0})

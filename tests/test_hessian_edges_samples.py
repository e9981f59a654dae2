"""Hessians on samples, Lanczos quadrature, and their approach to the population: at sizes where all is known."""

import inspect
import types

import numpy as np
import pytest
from hessian_points import dense_population, dense_samples, spherical
from models import GENERAL
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from twins import python_twin

import tsode
from tsode import hessian
from tsode.hessian import Separation, SpectralDensity, Spectrum, spectral_density
from tsode.hessian.empirical import product_kernel
from tsode.hessian.samples import check_ratios, gaussian_samples
from tsode.hessian.separation import RATIOS, _descent

# ---- the empirical loss


def five_samples(constraint="free"):
    model = tsode.TeacherStudent(**GENERAL, constraint=constraint)
    W, _ = tsode.Overlaps.random(model, 6, rng=4).realise(6, rng=5)
    rng = np.random.default_rng(6)
    return model, W, rng.standard_normal((5, 6)), rng.standard_normal(5)


def plain_gradient(model, W, X, y):
    total = np.zeros(W.shape)
    for x, label in zip(X, y):
        lam = W @ x / np.sqrt(W.shape[1])
        total += (model.student_readout @ lam**2 - label) * 2 * np.outer(model.student_readout * lam, x)
    return total / len(X)


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_gradient_operator_and_spectrum_of_five_samples(constraint):
    model, W, X, y = five_samples(constraint)
    U, H, g = W / np.sqrt(6), dense_samples(model, W, X, y), plain_gradient(model, W, X, y)
    operator = hessian.empirical_operator(model, W, X, y) @ np.eye(18)
    values, zeros = np.linalg.eigvalsh(H), []
    if model.spherical:
        values, zeros = np.linalg.eigvalsh(spherical(H, U, g)), [0.0] * 3
        g = g - np.sum(g * U, axis=1, keepdims=True) * U
        radial = np.zeros((3, 3, 6))
        radial[range(3), range(3)] = U
        np.testing.assert_allclose(operator @ radial.reshape(3, 18).T, 0, atol=1e-13)
    else:
        np.testing.assert_allclose(operator, H, atol=1e-13)
    np.testing.assert_allclose(np.linalg.eigvalsh(operator), np.sort([*values, *zeros]), atol=1e-13)
    np.testing.assert_allclose(hessian.empirical_gradient(model, W, X, y), g, atol=1e-14)
    spectrum = hessian.empirical_spectrum(model, W, X, y, tolerance=1e-7)
    np.testing.assert_allclose(spectrum.expanded, values, atol=1e-10)
    assert (spectrum.gradient_norm, spectrum.tolerance) == (pytest.approx(np.linalg.norm(g), rel=1e-13), 1e-7)


@pytest.mark.parametrize("tile", [1, 36, 10**4])  # 8, 12 and all rows at a time
def test_products_do_not_depend_on_how_many_rows_are_taken_together(tile):
    rng = np.random.default_rng(7)
    Z, X = rng.standard_normal((2, 3)), rng.standard_normal((25, 3))
    J, R = rng.standard_normal((2, 25, 2))
    zeta = X @ Z.T
    C = J * np.sum(J * zeta, axis=1, keepdims=True) + R * zeta
    found = python_twin(product_kernel)(Z, X, J, R, tile)
    np.testing.assert_allclose(found, C.T @ X / 25, rtol=1e-12, atol=1e-14)


def test_inputs_as_lists_as_one_row_and_of_wrong_shape():
    model, W, X, y = five_samples()
    expected = hessian.empirical_gradient(model, W, X, y)
    np.testing.assert_array_equal(hessian.empirical_gradient(model, W, X.tolist(), y.tolist()), expected)
    one = hessian.empirical_gradient(model, W, X[:1], y[:1])
    np.testing.assert_allclose(one, plain_gradient(model, W, X[:1], y[:1]), atol=1e-14)
    for wrong in (X[0], X[:, :, None], X[:, :5], X[:0], np.ones((5, 6, 6))):
        with pytest.raises(ValueError, match=r"`X` must have shape \(n, N\) = \(at least 1, 6\), but has shape"):
            hessian.empirical_gradient(model, W, wrong, y[: len(wrong)])
    with pytest.raises(ValueError, match=r"`X` must be finite, but has inf at index \(1, 2\)"):
        hessian.empirical_gradient(model, W, np.where(np.arange(30).reshape(5, 6) == 8, np.inf, X), y)
    for kind in (complex, object):
        with pytest.raises(TypeError, match="`X` must be an array of real numbers"):
            hessian.empirical_gradient(model, W, X.astype(kind), y)


# ---- Lanczos quadrature


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
    "operator", [types.SimpleNamespace(shape=(2, 2)), OnlyProducts(), np.ones(3), np.ones((2,) * 3)]
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


# ---- samples of a teacher


def test_labels_are_the_output_of_the_teacher_plus_noise():
    model = tsode.TeacherStudent(**{**GENERAL, "noise_variance": 0.25})
    W_star = np.random.default_rng(1).standard_normal((2, 5))
    X, y = gaussian_samples(model, W_star, 1.5, np.random.default_rng(8))
    rng = np.random.default_rng(8)
    np.testing.assert_array_equal(X, rng.standard_normal((8, 5)))  # 7.5, rounded to an even number
    output = [sum(v * (w @ x / np.sqrt(5)) ** 2 for v, w in zip(model.teacher_readout, W_star)) for x in X]
    np.testing.assert_allclose(y - output, 0.5 * rng.standard_normal(8), atol=1e-14)


def test_ratios_rise_from_one_sample_on():
    np.testing.assert_array_equal(check_ratios([0.1, 0.7, 4], 10), [0.1, 0.7, 4.0])
    assert check_ratios([3], 10).shape == (1,)
    for wrong in ([0.04, 4.0], [2, 2], [2.0, 1.5], [], [-1.0, 2.0]):
        with pytest.raises(ValueError, match="`ratios` must be positive and strictly increasing"):
            check_ratios(wrong, 10)


# ---- convergence and separation, replayed in plain steps


def replay(model, N, ratios, seed):
    """Weights at the plateau, inputs and labels, from the stream of run 0 of the seed."""
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    q = model.p / (model.p + 2)  # the plateau of default readouts
    W, W_star = tsode.Overlaps(np.zeros((model.p, model.p_star)), q * np.eye(model.p)).realise(N, rng)
    X = rng.standard_normal((round(ratios[-1] * N), N))
    noise = np.sqrt(model.noise_variance) * rng.standard_normal(len(X))
    y = np.mean(np.square(X @ W_star.T / np.sqrt(N)), axis=1) + noise
    return W, W_star, X, y


def test_convergence_against_dense_hessians_of_the_same_samples():
    model, N, ratios = tsode.TeacherStudent(3, 2, 0.1, noise_variance=0.1), 5, [0.5, 2.0, 3.0]
    found = hessian.convergence(model, N, ratios, seed=7)
    W, W_star, X, y = replay(model, N, ratios, 7)
    solution = tsode.manifold.solution_weights(model, W_star)
    for side, weights in ((found.plateau, W), (found.manifold, solution)):
        for spectrum, n in zip(side, (2, 10, 15), strict=True):
            values = np.linalg.eigvalsh(dense_samples(model, weights, X[:n], y[:n]))
            np.testing.assert_allclose(spectrum.expanded, values, atol=1e-9)
    limit = np.linalg.eigvalsh(dense_population(model, W, W_star))
    assert found.distances.shape == (2, 3)
    assert found.distances[0, 2] == pytest.approx(np.mean(np.abs(found.plateau[2].expanded - limit)), rel=1e-9)


def test_default_sizes_of_convergence():
    found = hessian.convergence(tsode.TeacherStudent(1, 1, 0.1))
    assert found.ratios.tolist() == [2, 8, 32, 128]
    assert found.population.N == 100
    model = tsode.TeacherStudent(2, 1, 0.1)
    first, second = (hessian.convergence(model, 10, [2], **seed) for seed in ({}, {"seed": 0}))
    np.testing.assert_array_equal(first.plateau[0].values, second.plateau[0].values)


def test_separation_against_dense_hessians_of_the_same_samples():
    model, N, ratios = tsode.TeacherStudent(2, 1, 0.1, noise_variance=0.1), 6, [1.5, 4.0, 8.0]
    found = hessian.separation(model, N, ratios, seed=7)
    W, W_star, X, y = replay(model, N, ratios, 7)
    descent = np.linalg.eigh(dense_population(model, W, W_star))[1][:, :2]
    assert (found.index, found.N, found.lowest.shape) == (2, N, (3, 6))
    for lowest, alignment, n in zip(found.lowest, found.alignment, (9, 24, 48)):
        values, vectors = np.linalg.eigh(dense_samples(model, W, X[:n], y[:n]))
        np.testing.assert_allclose(lowest, values[:6], atol=1e-9)
        projections = [np.sum((descent.T @ vectors[:, i]) ** 2) for i in range(2)]
        assert alignment == pytest.approx(min(projections), rel=1e-6)


def test_default_sizes_of_separation():
    defaults = {name: value.default for name, value in inspect.signature(hessian.separation).parameters.items()}
    grid = np.array(defaults["ratios"])
    assert (defaults["N"], defaults["seed"]) == (200, 0)
    assert (len(grid), grid[0], grid[-1]) == (13, 1.0, pytest.approx(64.0))
    np.testing.assert_allclose(grid[1:] ** 2, 2 * grid[:-1] ** 2)  # two steps double the samples


def test_separation_needs_as_many_directions_again():
    one, two = tsode.TeacherStudent(1, 1, 0.1), tsode.TeacherStudent(2, 1, 0.1)
    for model, N, index in ((one, 5, 1), (two, 4, 2)):
        assert hessian.separation(model, N, [4], seed=1).lowest.shape == (1, 2 * index + 2)
    for model, N, index in ((one, 4, 1), (two, 3, 2)):
        with pytest.raises(ValueError, match=f"`N` must be well above 2 for {index} outliers, but is {N}"):
            hessian.separation(model, N, [4])


@pytest.mark.parametrize("Q", [np.diag([0.0, 1.0]), np.array([[2.0, 0.0], [0.0, 0.0]])])
def test_directions_of_descent_outside_the_span_or_none_at_all(Q):
    # diag(0, 1): t = -1/2, and the block outside is diag(-1/2, 1/2); the other is a solution
    model = tsode.TeacherStudent(2, 1, 0.1)
    point = tsode.Overlaps([[Q[0, 0] ** 0.5], [0.0]], Q)
    with pytest.raises(ValueError, match="directions of descent that does not grow with N"):
        _descent(model, point, *point.realise(8, rng=0))


def made(lowest, alignment):
    """Two outliers, at ratios 1, 2, 4, ..."""
    lowest = np.array(lowest, dtype=float)
    ratios = 2.0 ** np.arange(len(lowest))
    return Separation(tsode.TeacherStudent(2, 1, 0.1), 1000, 2, ratios, lowest, np.array(alignment))


def test_separate_is_a_gap_larger_than_the_spread_with_the_direction():
    apart, wide = [-4.0, -3.5, -1.0, -0.5, -0.25, 1.0], [-4.0, -3.0, -1.0, -0.5, -0.25, 1.0]
    cases = made([apart, wide, apart, [-4.0, -3.0, -1.5, -0.5, -0.25, 1.0]], [0.75, 0.75, 0.5, 0.75])
    assert cases.separated.tolist() == [True, False, False, False]
    assert cases.threshold == np.inf
    for pattern, threshold in (("11", 1), ("011", 2), ("1011", 4), ("10101", 16), ("00101", 16), ("0110", np.inf)):
        assert made([apart] * len(pattern), [int(i) for i in pattern]).threshold == threshold


def test_tables_of_separation_and_spectra_in_numbers():
    table = repr(made([[-4.0, -3.5, -1.0, -0.5, -0.25, 1.0]] * 2, [0.25, 0.75]))
    assert table.split("\n") == [
        "Outliers at the plateau, p = 2, p* = 1, N = 1,000: separate from n/N = 2",
        "  n/N  lowest 2            next     alignment  separate",
        "  1    -4.0000 to -3.5000  -1.0000  0.25       no",
        "  2    -4.0000 to -3.5000  -1.0000  0.75       yes",
    ]
    population = types.SimpleNamespace(
        plateau=Spectrum([-1.0, 2.0]), manifold=Spectrum([0.0, 4.0]), model=tsode.TeacherStudent(2, 1, 0.1), N=1000
    )
    sides = (Spectrum([-3.0, 4.0]),), (Spectrum([-0.25, 1.0], tolerance=0.25),)
    both = hessian.Convergence(population, np.array([2.0]), *sides)
    np.testing.assert_allclose(both.distances, [[2.0], [1.625]])
    assert [line.split() for line in repr(both).split("\n")[2:]] == [
        ["2", "2.0000", "-3.0000", "1", "1.6250", "0.0000", "1", "1.0000"],
        ["infinite", "0", "-1.0000", "1", "0", "0.0000", "1", "4.0000"],
    ]
    steep = hessian.Convergence(population, np.array([2.0]), sides[0], (Spectrum([-0.5, 1.0]),))
    assert repr(steep).split("\n")[2].split()[5] == "-0.5000"


def test_ratios_of_the_separation_run_from_1_to_64_in_half_octaves():
    np.testing.assert_allclose(np.log2(RATIOS), np.linspace(0, 6, 13))


@pytest.mark.parametrize("shape", [(3, 4), (4, 3)])
def test_density_is_of_a_square_operator(shape):
    with pytest.raises(ValueError, match="`operator` must be square"):
        spectral_density(aslinearoperator(np.ones(shape)))

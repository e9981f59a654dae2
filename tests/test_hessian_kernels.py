"""Parts of the Hessians under private names: spheres, reduction, dense points, splits of null spaces, samples."""

import numpy as np
import pytest
from hessian_points import dense_population, overlaps_of, spherical
from models import GENERAL
from test_hessian_population import general_point, plain_gradient

import tsode
from tsode import hessian
from tsode.hessian import (
    landscape,
    reduction,
    spheres,
)
from tsode.hessian.nullspace import _kernel, _split
from tsode.hessian.samples import check_ratios, gaussian_samples
from tsode.hessian.separation import _descent

# ---- spheres

ROWS = np.array([[3.0, 0.0, 4.0], [1.0, -2.0, 2.0]])  # of norms 5 and 3


def test_the_tangent_part_of_a_row_is_orthogonal_to_it_whatever_its_norm():
    Z = np.array([[1.0, 1.0, 1.0], [9.0, 0.0, 0.0]])
    np.testing.assert_allclose(spheres.curvature(ROWS, Z), [7 / 25, 1.0])
    np.testing.assert_allclose(spheres.project(ROWS, Z), [[1 - 21 / 25, 1.0, 1 - 28 / 25], [8.0, 2.0, -2.0]])


def test_tangent_basis_is_orthonormal_and_orthogonal_to_the_rows():
    basis = spheres.tangent_basis(ROWS).toarray()
    assert basis.shape == (6, 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-14)
    np.testing.assert_allclose(np.einsum("kim,ki->km", basis.reshape(2, 3, 4), ROWS), 0, atol=1e-14)


def test_riemannian_hessian_of_a_linear_function():
    # f = g . u has no second derivative in flat space; on the spheres, -c along every tangent and 0 along u.
    g = np.array([[1.0, 2.0, 3.0], [0.5, 0.5, 4.0]])
    apply = spheres.on_spheres(lambda Z: 0 * Z, ROWS, g)
    tangent = np.array([[4.0, 1.0, -3.0], [2.0, 2.0, 1.0]])
    c = np.array([[15 / 25], [7.5 / 9]])
    np.testing.assert_allclose(apply(tangent + 2 * ROWS), -c * tangent, atol=1e-14)
    np.testing.assert_allclose(apply(ROWS), 0, atol=1e-14)


# ---- the reduction and dense points


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_dense_hessian_and_gradient_at_a_general_point(constraint):
    model, W, W_star = general_point(constraint)
    U, U_star = W / np.sqrt(6), W_star / np.sqrt(6)
    g, H = plain_gradient(model, W, W_star), dense_population(model, W, W_star)
    found, basis, slope = landscape.Point(model, U, U_star).dense()
    if not model.spherical:
        np.testing.assert_allclose(found, H, atol=1e-14)
        np.testing.assert_array_equal(basis, np.eye(18))
        np.testing.assert_allclose(slope, g, atol=1e-14)
        return
    np.testing.assert_allclose(slope, g - np.sum(g * U, axis=1, keepdims=True) * U, atol=1e-14)
    np.testing.assert_allclose(np.linalg.eigvalsh(found), np.linalg.eigvalsh(spherical(H, U, g)), atol=1e-13)
    operator = hessian.population_operator(model, W, W_star) @ np.eye(18)
    np.testing.assert_allclose(basis @ found @ basis.T, operator, atol=1e-13)


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_directions_outside_the_span_share_one_block(constraint):
    model, W, W_star = general_point(constraint, N=8)
    parts = reduction.Reduction.of(model, overlaps_of(model, W, W_star), 8)
    assert (parts.U.shape, parts.U_star.shape, parts.copies) == ((3, 5), (2, 5), 3)
    # the block of a unit vector e orthogonal to all weights, from the full Hessian
    e = np.linalg.svd(np.vstack([W, W_star]))[2][-1]
    H = dense_population(model, W, W_star).reshape(3, 8, 3, 8)
    block = np.einsum("i,kilj,j->kl", e, H, e)
    if model.spherical:
        block -= np.diag(np.sum(plain_gradient(model, W, W_star) * W, axis=1) / np.sqrt(8))
    np.testing.assert_allclose(parts.outside, block, atol=1e-13)
    found = hessian.population_spectrum(model, overlaps_of(model, W, W_star), 8)
    assert found.dimension == 3 * (8 - model.spherical)


def test_the_rank_of_the_span_counts_what_rounding_of_the_largest_overlap_leaves():
    joint = np.diag([1e-14, 1e-12, 0.1, 100.0])  # rounding of 100 is 1e-14
    rows = reduction._span_coordinates(joint, sparse=False)
    assert rows.shape == (4, 3)
    np.testing.assert_allclose(rows @ rows.T, np.diag([0, 1e-12, 0.1, 100.0]), atol=1e-15)


# ---- splitting a null space


def test_only_exact_zeros_are_in_the_null_space_at_tolerance_zero():
    np.testing.assert_array_equal(np.abs(_kernel(np.diag([0.0, 1e-300, 1.0]), 0.0)), [[1.0], [0.0], [0.0]])


def test_directions_split_what_is_left_of_the_kernel():
    kernel = np.eye(4)[:, :3]
    for size in (1e-9, 1.0, 1e9):  # no matter how long they are, and how often they come
        part, rest = _split("x", kernel, kernel, size * np.array([[1.0, 1.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0]]))
        np.testing.assert_allclose(np.abs(part.T), [[0.5**0.5, 0.5**0.5, 0.0, 0.0]], atol=1e-15)
        assert rest.shape == (4, 2)
        np.testing.assert_allclose(part.T @ rest, 0, atol=1e-15)
    nothing, rest = _split("x", kernel, kernel, np.zeros((0, 4)))
    assert (nothing.shape, rest.shape) == ((4, 0), (4, 3))


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_directions_that_leave_the_kernel_are_named_with_the_part_that_does(size):
    kernel = np.eye(2)[:, :1]
    with pytest.raises(ValueError, match=r"`families` must hold zero modes, but 'x' has parts of size 0.8 that"):
        _split("x", kernel, kernel, size * np.array([[3.0, 4.0], [3.0, 4.0]]))
    part, _ = _split("x", kernel, kernel, size * np.array([[1.0, 1e-7]]))
    assert part.shape == (2, 1)


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


@pytest.mark.parametrize("Q", [np.diag([0.0, 1.0]), np.array([[2.0, 0.0], [0.0, 0.0]])])
def test_directions_of_descent_outside_the_span_or_none_at_all(Q):
    # diag(0, 1): t = -1/2, and the block outside is diag(-1/2, 1/2); the other is a solution
    model = tsode.TeacherStudent(2, 1, 0.1)
    point = tsode.Overlaps([[Q[0, 0] ** 0.5], [0.0]], Q)
    with pytest.raises(ValueError, match="directions of descent that does not grow with N"):
        _descent(model, point, *point.realise(8, rng=0))

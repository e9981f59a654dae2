"""Spectra, spheres and the population Hessian: formulas at single points, limits, defaults and tables."""

import numpy as np
import pytest
from hessian_points import dense_population, overlaps_of, spherical
from models import GENERAL

import tsode
from tsode import hessian
from tsode.hessian import Spectrum, landscape, reduction, spheres
from tsode.hessian.spectrum import smooth

# ---- spectra


def test_the_default_tolerance_is_a_billionth_of_the_largest_eigenvalue():
    spectrum = Spectrum([-0.9e-9, 1.1e-9, 1.0])
    assert (spectrum.nullity, spectrum.index, spectrum.gradient_norm) == (1, 0, 0.0)
    assert Spectrum([-1.1e-9, 1.0]).index == 1
    assert Spectrum([-0.9, 1.1, 1e9]).nullity == 1


def test_a_value_of_just_the_tolerance_is_zero():
    edge = Spectrum([-0.25, 1.0], tolerance=0.25)
    assert (edge.index, edge.nullity, edge.verdict) == (0, 1, "marginal minimum")
    assert "           0  x 1" in repr(edge)
    assert Spectrum([1.0], gradient_norm=0.25, tolerance=0.25).verdict == "strict minimum"
    assert Spectrum([1.0], gradient_norm=0.26, tolerance=0.25).verdict == "not a critical point"


def test_values_closer_than_rounding_are_one():
    assert len(Spectrum([1.0, 1.0 + 5e-12]).values) == 1
    assert len(Spectrum([1.0, 1.0 + 5e-11]).values) == 2
    # rounding is that of the largest value
    assert len(Spectrum([1.0, 1.0 + 5e-10, 100.0]).values) == 2
    assert len(Spectrum([0.01, 0.01 + 1e-12]).values) == 2
    zeros = Spectrum([0.0, 0.0, 0.0])
    assert (len(zeros.values), zeros.nullity, zeros.verdict) == (1, 3, "marginal minimum")


def test_values_of_multiplicity_zero_are_dropped():
    spectrum = Spectrum([3.0, -5.0, 1.0, 7.0], [2, 0, 1, 0])
    assert (spectrum.values.tolist(), spectrum.multiplicities.tolist()) == ([1.0, 3.0], [1, 2])


def test_merged_values_become_their_weighted_mean():
    spectrum = Spectrum([3.0, 1.0, 1.0 + 4e-12, 2.0, 2.0 + 8e-12], [2, 1, 3, 1, 1])
    np.testing.assert_array_equal(spectrum.multiplicities, [4, 2, 2])
    np.testing.assert_allclose(spectrum.values - [1.0, 2.0, 3.0], [3e-12, 4e-12, 0.0], rtol=1e-3)


def test_thirteen_values_are_abbreviated_and_twelve_are_not():
    rows = repr(Spectrum(np.arange(13.0) + 1)).split("\n")[-13:]
    assert [row.split()[-3] if "x" in row else row.strip() for row in rows] == [
        *"123456", "...", "8", "9", "10", "11", "12", "13",
    ]  # fmt: skip
    assert "..." not in repr(Spectrum(np.arange(12.0) + 1))


@pytest.mark.parametrize("name", ["gradient_norm", "tolerance"])
def test_no_negative_norm_or_tolerance(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 0"):
        Spectrum([1.0], **{name: -0.5})
    assert getattr(Spectrum([1.0], **{name: 0.0}), name) == 0.0


def test_gaussians_at_the_values():
    # a single one of area 3 and standard deviation 2 at 1, read off at its top and one and two deviations away
    top = 3 / (2 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(smooth([1.0, 3.0, -3.0], 2.0, [1.0], [3.0]), top * np.exp([0, -0.5, -2]), rtol=1e-14)
    # two of them add up
    both = smooth([0.0], 0.5, [0.0, 1.0], [0.25, 0.75])
    assert both == pytest.approx((0.25 + 0.75 * np.exp(-2)) / (0.5 * np.sqrt(2 * np.pi)), rel=1e-14)
    # and a spectrum counts each value as often as it occurs
    density = Spectrum([0.0, 1.0], [1, 3]).density([0.0], 0.5)
    assert density == pytest.approx(both, rel=1e-14)
    with pytest.raises(ValueError, match="`width` must be larger than 0"):
        smooth([0.0], -0.5, [0.0], [1.0])


# ---- spheres


ROWS = np.array([[3.0, 0.0, 4.0], [1.0, -2.0, 2.0]])  # of norms 5 and 3


def test_the_tangent_part_of_a_row_is_orthogonal_to_it_whatever_its_norm():
    Z = np.array([[1.0, 1.0, 1.0], [9.0, 0.0, 0.0]])
    np.testing.assert_allclose(spheres.curvature(ROWS, Z), [7 / 25, 1.0])
    np.testing.assert_allclose(spheres.project(ROWS, Z), [[1 - 21 / 25, 1.0, 1 - 28 / 25], [8.0, 2.0, -2.0]])


def test_tangent_basis_is_orthonormal_and_orthogonal_to_the_rows():
    basis = spheres.tangent_basis(ROWS)
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


# ---- the reduction and the operator


def general_point(constraint, N=6):
    model = tsode.TeacherStudent(**GENERAL, constraint=constraint)
    point = tsode.Overlaps.random(model, N, rng=4)
    return model, *point.realise(N, rng=5)


def plain_gradient(model, W, W_star):
    """2 V (t U + 2 U B), with the N x N matrix B."""
    U, U_star = (rows / np.sqrt(W.shape[1]) for rows in (W, W_star))
    B = U.T @ np.diag(model.student_readout) @ U - U_star.T @ np.diag(model.teacher_readout) @ U_star
    return 2 * np.diag(model.student_readout) @ (np.trace(B) * U + 2 * U @ B)


def test_hessian_gradient_and_operator_at_a_general_point():
    model, W, W_star = general_point("free")
    U, U_star = W / np.sqrt(6), W_star / np.sqrt(6)
    g, H = plain_gradient(model, W, W_star), dense_population(model, W, W_star)
    found, basis, slope = landscape.Point(model, U, U_star).dense()
    np.testing.assert_allclose(found, H, atol=1e-14)
    np.testing.assert_array_equal(basis, np.eye(18))
    for gradient in (slope, hessian.population_gradient(model, W, W_star)):
        np.testing.assert_allclose(gradient, g, atol=1e-14)
    np.testing.assert_allclose(hessian.population_operator(model, W, W_star) @ np.eye(18), H, atol=1e-14)


def test_hessian_gradient_and_operator_at_a_general_point_of_the_spheres():
    model, W, W_star = general_point("spherical")
    U, U_star = W / np.sqrt(6), W_star / np.sqrt(6)
    g, H = plain_gradient(model, W, W_star), dense_population(model, W, W_star)
    found, basis, slope = landscape.Point(model, U, U_star).dense()
    tangent = g - np.sum(g * U, axis=1, keepdims=True) * U
    np.testing.assert_allclose(slope, tangent, atol=1e-14)
    np.testing.assert_allclose(hessian.population_gradient(model, W, W_star), tangent, atol=1e-14)
    values = np.linalg.eigvalsh(spherical(H, U, g))
    np.testing.assert_allclose(np.linalg.eigvalsh(found), values, atol=1e-13)
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


def test_the_smallest_dimension_has_room_for_all_weights_and_no_more():
    model = tsode.TeacherStudent(3, 2, 0.1)
    point = tsode.Overlaps.random(model, 50, rng=1)
    assert reduction.Reduction.of(model, point, 5).copies == 0
    assert hessian.population_spectrum(model, point, 5).dimension == 15
    with pytest.raises(ValueError, match="`N` must be at least 5"):
        hessian.population_spectrum(model, point, 4)


def test_the_rank_of_the_span_counts_what_rounding_of_the_largest_overlap_leaves():
    joint = np.diag([1e-14, 1e-12, 0.1, 100.0])  # rounding of 100 is 1e-14
    rows = reduction._span_coordinates(joint)
    assert rows.shape == (4, 3)
    np.testing.assert_allclose(rows @ rows.T, np.diag([0, 1e-12, 0.1, 100.0]), atol=1e-15)


# ---- weights that are refused


def test_refused_weights_are_named_with_the_norm_that_is_furthest_off():
    model = tsode.TeacherStudent(2, 1, 0.1, constraint="spherical")
    W, W_star = np.eye(2, 4) * 2, np.full((1, 4), 1.0)
    hessian.population_gradient(model, W * np.sqrt([[1 + 1e-10], [1.0]]), W_star)
    for squares, said in (([1.6, 0.9], "1.6 N"), ([0.5, 1.2], "0.5 N"), ([1.0, 1 + 1e-8], "1 N")):
        with pytest.raises(ValueError, match=f"squared norm N under the spherical constraint, but has {said}"):
            hessian.population_gradient(model, W * np.sqrt(squares)[:, None], W_star)
    hessian.population_gradient(model.replace(constraint="free"), W * 1.3, W_star)
    with pytest.raises(ValueError, match=r"`W_star` must have shape \(p_star, N\) = \(1, 4\)"):
        hessian.population_gradient(model, W, W_star[:, :3])


def test_no_negative_tolerance_of_the_population():
    model = tsode.TeacherStudent(2, 1, 0.1)
    with pytest.raises(ValueError, match="`tolerance` must be at least 0"):
        hessian.population_spectrum(model, tsode.Overlaps.random(model, 50, rng=1), 50, tolerance=-0.5)

"""The Hessian of the population: formula, reduction and operator, and the special points."""

import numpy as np
import pytest
from hessian_points import (
    dense_population,
    numerical_hessian,
    overlaps_of,
    population_loss,
    random_points,
    spherical,
)
from models import GENERAL
from reference import derivatives

import tsode
from tsode import hessian

N = 12

CONSTRAINTS = ("free", "spherical")


UNEQUAL = {
    "student_readout": [0.2, 0.5, 0.3],
    "teacher_readout": [0.7, 0.2],
    "teacher_overlap": [[1.0, 0.3], [0.3, 0.8]],
}

UNIFORM = [(1, 1), (2, 1), (2, 2), (4, 2), (5, 3), (3, 3)]


def plateau_of_gradient_flow(p, p_star, constraint="free"):
    """The closed form: q = v* p* / (v (p + 2)) with default readouts; q = 1 on the spheres."""
    return tsode.Overlaps(np.zeros((p, p_star)), (p / (p + 2) if constraint == "free" else 1.0) * np.eye(p))


def counted(spectrum):
    return {round(float(value), 9) + 0.0: int(count) for value, count in zip(spectrum.values, spectrum.multiplicities)}


def expected_counts(pairs):
    counts = {}
    for value, count in pairs:
        if count:
            counts[round(value, 9) + 0.0] = counts.get(round(value, 9) + 0.0, 0) + count
    return counts


def general_point(constraint, N=6):
    model = tsode.TeacherStudent(**GENERAL, constraint=constraint)
    point = tsode.Overlaps.random(model, N, rng=4)
    return model, *point.realise(N, rng=5)


def plain_gradient(model, W, W_star):
    """2 V (t U + 2 U B), with the N x N matrix B."""
    U, U_star = (rows / np.sqrt(W.shape[1]) for rows in (W, W_star))
    B = U.T @ np.diag(model.student_readout) @ U - U_star.T @ np.diag(model.teacher_readout) @ U_star
    return 2 * np.diag(model.student_readout) @ (np.trace(B) * U + 2 * U @ B)


# ---- the formula, from the loss itself


def test_dense_formula_against_differences_of_the_loss():
    # Roundoff 1e-16 / step^2 = 1e-10; central differences of fourth order are exact for a quartic up to sixth order.
    for model, W, W_star in random_points(3, 4, seed=1):
        U, U_star = W / 2, W_star / 2
        numerical = numerical_hessian(lambda u, m=model, t=U_star: population_loss(m, u, t), U)
        dense = dense_population(model, W, W_star)
        np.testing.assert_allclose(dense, numerical, atol=2e-7 * np.abs(dense).max())


def test_spherical_hessian_against_differences_along_great_circles():
    rng = np.random.default_rng(2)
    for model, W, W_star in random_points(5, 6, seed=2, constraint="spherical"):
        U, U_star = W / np.sqrt(6), W_star / np.sqrt(6)
        H = hessian.population_operator(model, W, W_star)
        Z = rng.standard_normal(U.shape)
        Z -= np.sum(Z * U, axis=1, keepdims=True) * U
        speed = np.linalg.norm(Z, axis=1, keepdims=True)

        def loss(s, model=model, U=U, Z=Z, speed=speed, U_star=U_star):
            return population_loss(model, np.cos(s * speed) * U + np.sin(s * speed) * Z / speed, U_star)

        h = 1e-2
        second = (-loss(2 * h) + 16 * loss(h) - 30 * loss(0) + 16 * loss(-h) - loss(-2 * h)) / (12 * h**2)
        assert Z.ravel() @ (H @ Z.ravel()) == pytest.approx(second, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_gradient_is_that_of_the_formula(constraint):
    model, W, W_star = general_point(constraint)
    g, U = plain_gradient(model, W, W_star), W / np.sqrt(6)
    if model.spherical:
        g = g - np.sum(g * U, axis=1, keepdims=True) * U
    np.testing.assert_allclose(hessian.population_gradient(model, W, W_star), g, atol=1e-14)


# ---- the reduction


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_spectrum_against_dense_diagonalisation(constraint):
    for model, W, W_star in random_points(50, N, seed=3, constraint=constraint):
        H = dense_population(model, W, W_star)
        gradient = hessian.population_gradient(model, W, W_star)
        if model.spherical:
            full = hessian.population_gradient(model.replace(constraint="free"), W, W_star)
            H = spherical(H, W / np.sqrt(N), full)
        spectrum = hessian.population_spectrum(model, overlaps_of(model, W, W_star), N)
        values = np.linalg.eigvalsh(H)
        assert spectrum.dimension == model.p * (N - model.spherical)
        np.testing.assert_allclose(spectrum.expanded, values, atol=1e-10 * np.abs(values).max())
        assert spectrum.trace == pytest.approx(np.trace(H), abs=1e-9)
        assert spectrum.gradient_norm == pytest.approx(np.linalg.norm(gradient), abs=1e-9)


def test_spectrum_of_zero_weights():
    model = tsode.TeacherStudent(2, 1, 0.1)
    spectrum = hessian.population_spectrum(model, tsode.Overlaps(np.zeros((2, 1)), np.zeros((2, 2))), 10)
    assert spectrum.verdict == "maximum"
    assert counted(spectrum) == {-3.0: 2, -1.0: 18}  # -2 v (v* p* + 2 v*) along the teacher, -2 v v* p* elsewhere


def test_the_smallest_dimension_has_room_for_all_weights_and_no_more():
    model = tsode.TeacherStudent(3, 2, 0.1)
    point = tsode.Overlaps.random(model, 50, rng=1)
    assert hessian.population_spectrum(model, point, 5).dimension == 15
    with pytest.raises(ValueError, match="`N` must be at least 5"):
        hessian.population_spectrum(model, point, 4)


# ---- the operator


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_operator_against_the_dense_matrix(constraint):
    for model, W, W_star in random_points(20, N, seed=4, constraint=constraint):
        operator = hessian.population_operator(model, W, W_star) @ np.eye(W.size)
        H = dense_population(model, W, W_star)
        if not model.spherical:
            np.testing.assert_allclose(operator, H, atol=1e-12 * np.abs(H).max())
            continue
        full = hessian.population_gradient(model.replace(constraint="free"), W, W_star)
        values = np.linalg.eigvalsh(spherical(H, W / np.sqrt(N), full))
        found = np.linalg.eigvalsh(operator)
        np.testing.assert_allclose(found, np.sort([*values, *np.zeros(model.p)]), atol=1e-11 * np.abs(H).max())
        radial = np.zeros((model.p, model.p, N))
        radial[np.arange(model.p), np.arange(model.p)] = W
        np.testing.assert_allclose(operator @ radial.reshape(model.p, -1).T, 0, atol=1e-11 * np.abs(H).max())


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_operator_is_self_adjoint(constraint):
    rng = np.random.default_rng(5)
    for model, W, W_star in random_points(10, 200, seed=5, constraint=constraint):
        H = hessian.population_operator(model, W, W_star)
        a, b = rng.standard_normal((2, W.size))
        left, right = a @ (H @ b), b @ (H @ a)
        assert abs(left - right) <= 1e-12 * np.linalg.norm(a) * np.linalg.norm(H @ b)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_taylor_remainder_has_slope_three(constraint):
    rng = np.random.default_rng(6)
    for model, W, W_star in random_points(8, 20, seed=6, constraint=constraint):
        U, U_star = W / np.sqrt(20), W_star / np.sqrt(20)
        H = hessian.population_operator(model, W, W_star)
        g = hessian.population_gradient(model, W, W_star)
        Z = rng.standard_normal(U.shape)
        if model.spherical:
            Z -= np.sum(Z * U, axis=1, keepdims=True) * U
        Z /= np.linalg.norm(Z)
        steps = 10.0 ** -np.linspace(2.5, 3.5, 5)
        remainder = []
        for step in steps:
            moved = U + step * Z
            if model.spherical:  # scaling back to the sphere agrees with the great circle to second order
                moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            model_loss = population_loss(model, U, U_star) + step * np.sum(g * Z)
            model_loss += step**2 / 2 * (Z.ravel() @ (H @ Z.ravel()))
            remainder.append(abs(population_loss(model, moved, U_star) - model_loss))
        if min(remainder) < 1e-13 * population_loss(model, U, U_star):
            continue  # the third order vanishes here
        slope = np.polyfit(np.log(steps), np.log(remainder), 1)[0]
        assert slope == pytest.approx(3.0, abs=0.1)


def test_operator_on_a_million_weights():
    model = tsode.TeacherStudent(4, 2, 0.1)
    W, W_star = plateau_of_gradient_flow(4, 2).realise(250_000, rng=7)
    towards = np.outer([1.0, -2.0, 0.5, 3.0], W_star[1]).ravel()  # a direction of escape
    product = hessian.population_operator(model, W, W_star) @ towards
    np.testing.assert_allclose(product, -0.5 * towards, atol=1e-11 * np.abs(towards).max())


# ---- the special points


@pytest.mark.parametrize(("p", "p_star"), UNIFORM)
@pytest.mark.parametrize("dimension", [14, 10**6])
def test_multiplicities_on_the_plateau(p, p_star, dimension):
    model = tsode.TeacherStudent(p, p_star, 0.1)
    v, v_star, q = 1 / p, 1 / p_star, p / (p + 2)
    spectrum = hessian.population_spectrum(model, plateau_of_gradient_flow(p, p_star), dimension)
    assert counted(spectrum) == expected_counts(
        [
            (-4 * v * v_star, p * p_star),
            (0.0, p * (dimension - p - p_star) + p * (p - 1) // 2),
            (8 * v**2 * q, p * (p + 1) // 2 - 1),
            (4 * v**2 * q * (p + 2), 1),
        ]
    )
    assert spectrum.dimension == p * dimension
    assert spectrum.verdict == "saddle"
    assert spectrum.index == p * p_star
    assert spectrum.lowest == pytest.approx(-4 * v * v_star, abs=1e-13)


@pytest.mark.parametrize(("p", "p_star"), UNIFORM)
@pytest.mark.parametrize("dimension", [14, 10**6])
def test_multiplicities_on_the_solution_manifold(p, p_star, dimension):
    model = tsode.TeacherStudent(p, p_star, 0.1)
    v, v_star = 1 / p, 1 / p_star
    solution = tsode.manifold.solution(model, tsode.manifold.random_rotation(model, rng=1))
    spectrum = hessian.population_spectrum(model, solution, dimension)
    assert counted(spectrum) == expected_counts(
        [
            (0.0, (p - p_star) * dimension + p_star * (p_star - 1) // 2),
            (4 * v * v_star, p_star * (dimension - p_star)),
            (8 * v * v_star, p_star * (p_star + 1) // 2 - 1),
            (4 * v * v_star * (p_star + 2), 1),
        ]
    )
    assert spectrum.dimension == p * dimension
    assert spectrum.verdict == ("marginal minimum" if spectrum.nullity else "strict minimum")


@pytest.mark.parametrize(("p", "p_star"), UNIFORM)
def test_multiplicities_on_the_spherical_plateau(p, p_star):
    model = tsode.TeacherStudent(p, p_star, 0.1, constraint="spherical")
    v, v_star = 1 / p, 1 / p_star
    spectrum = hessian.population_spectrum(model, plateau_of_gradient_flow(p, p_star, "spherical"), 14)
    assert counted(spectrum) == expected_counts(
        [
            (-4 * v * v_star, p * p_star),
            (0.0, p * (14 - p - p_star) + p * (p - 1) // 2),
            (8 * v**2, p * (p - 1) // 2),
        ]
    )
    assert spectrum.dimension == p * 13
    assert spectrum.verdict == ("saddle" if p > 1 else "maximum")  # one row on the equator has no way up


@pytest.mark.parametrize("p", [1, 2, 4])
def test_multiplicities_of_spherical_solutions_of_equal_width(p):
    model = tsode.TeacherStudent(p, p, 0.1, constraint="spherical")
    solution = tsode.manifold.solution(model, tsode.manifold.random_rotation(model, rng=1))
    spectrum = hessian.population_spectrum(model, solution, 14)
    turns = p * (p - 1) // 2
    assert counted(spectrum) == expected_counts([(0.0, turns), (4 / p**2, p * (14 - p)), (8 / p**2, turns)])


def test_accuracy_close_to_a_span_that_does_not_grow():
    # As the docstring says: 1e-16/d for weights that leave the span by d, at worst 1e-7 where d is taken for zero.
    model = tsode.TeacherStudent(3, 2, 0.1)
    W_star = plateau_of_gradient_flow(3, 2).realise(N, rng=0)[1]
    solution = tsode.manifold.solution_weights(model, W_star)
    off = np.random.default_rng(0).standard_normal(solution.shape)
    for distance, error in ((1e-3, 1e-11), (1e-5, 1e-9), (1e-7, 2e-7), (1e-9, 2e-9), (1e-12, 2e-12)):
        W = solution + distance * off
        found = hessian.population_spectrum(model, overlaps_of(model, W, W_star), N).expanded
        np.testing.assert_allclose(found, np.linalg.eigvalsh(dense_population(model, W, W_star)), atol=error)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("readouts", [{}, UNEQUAL])
def test_lowest_eigenvalue_is_minus_the_escape_rate_of_gradient_flow(constraint, readouts):
    model = tsode.TeacherStudent(3, 2, 0.1, constraint=constraint, **readouts)
    saddle, rate = hessian.gradient_flow_plateau(model)
    spectrum = hessian.population_spectrum(model, saddle, 30)
    assert spectrum.lowest == pytest.approx(-rate, abs=1e-12)
    # and of the ODEs themselves: to first order in M they are linear, the error being of relative order M^2
    model = model.replace(learning_rate=1.0)
    size = 1e-8
    jacobian = np.empty((6, 6))
    for i in range(6):
        M = np.zeros((3, 2))
        M.flat[i] = size
        jacobian[:, i] = derivatives(model, M, saddle.Q, gradient_flow=True)[0].ravel() / size
    assert np.linalg.eigvals(jacobian).real.max() == pytest.approx(-spectrum.lowest, abs=1e-12)


def test_the_spectrum_does_not_change_under_rotations_of_hidden_units():
    model = tsode.TeacherStudent(4, 2, 0.1)
    point = tsode.Overlaps.random(model, 50, rng=1)
    R = np.linalg.qr(np.random.default_rng(2).standard_normal((4, 4)))[0]
    turned = tsode.Overlaps(R @ point.M, R @ point.Q @ R.T)
    np.testing.assert_allclose(
        hessian.population_spectrum(model, point, 50).expanded,
        hessian.population_spectrum(model, turned, 50).expanded,
        atol=1e-13,
    )


# ---- bad input


def test_bad_input():
    model = tsode.TeacherStudent(3, 2, 0.1)
    point = tsode.Overlaps.random(model, 50, rng=1)
    W, W_star = point.realise(10, rng=1)
    with pytest.raises(TypeError, match="`model`"):
        hessian.population_spectrum("model", point, 50)
    with pytest.raises(TypeError, match="`overlaps`"):
        hessian.population_spectrum(model, (W, W_star), 50)
    with pytest.raises(ValueError, match="`overlaps`"):
        hessian.population_spectrum(model.replace(p=2), point, 50)
    with pytest.raises(ValueError, match="`tolerance` must be at least 0"):
        hessian.population_spectrum(model, point, 50, tolerance=-0.5)
    with pytest.raises(ValueError, match="`W`"):
        hessian.population_operator(model, W[:2], W_star)
    with pytest.raises(ValueError, match="`W` must have rows of squared norm"):
        hessian.population_operator(model.replace(constraint="spherical"), W, W_star)


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


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("activation", ["quadratic", "erf", "relu"])
def test_wide_students_in_groups_that_are_orthogonal(activation, constraint):
    """Most entries of their Hessian vanish; what is left is diagonalised part by part."""
    p, p_star = 26, 3  # 754 directions in the span
    rng, joint = np.random.default_rng(3), np.zeros((p + p_star, p + p_star))
    groups = np.split(rng.permutation(p + p_star), [1, 2, 5, 9, 15, 20])  # students alone, with teachers, rank 3
    for group in groups:
        part = rng.standard_normal((len(group), 3))
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        joint[np.ix_(group, group)] = part @ part.T
    point = tsode.Overlaps(joint[:p, p:], joint[:p, :p], joint[p:, p:])
    readouts = {"student_readout": rng.uniform(0.1, 1, p), "teacher_readout": rng.uniform(0.1, 1, p_star)}
    model = tsode.TeacherStudent(
        p, p_star, 0.1, **readouts, teacher_overlap=point.P, constraint=constraint, activation=activation
    )
    spectrum = hessian.population_spectrum(model, point, p + p_star)
    dense = hessian.population_operator(model, *point.realise(p + p_star, rng=1)) @ np.eye(p * (p + p_star))
    values = np.linalg.eigvalsh((dense + dense.T) / 2)
    if constraint == "spherical":  # the operator is zero along the p radial directions
        values = np.delete(values, np.argsort(np.abs(values))[:p])
    np.testing.assert_allclose(spectrum.expanded, values, atol=1e-7 * np.abs(values).max())

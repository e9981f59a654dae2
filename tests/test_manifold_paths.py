"""Rotations that belong to solutions: random ones, and the paths between them."""

import numpy as np
import pytest
from scipy.linalg import block_diag
from test_manifold import CLOSEST, N, all_of, loss, orthogonal, student, teacher

import tsode
from tsode import manifold


def turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


# --- random rotations, and what is none


def test_random_rotations_are_uniform():
    """O_11 of a Haar column in R^4 has variance 1/4 and fourth moment 3/24; 4000 draws, 5 standard errors."""
    model = tsode.TeacherStudent(4, 2, 0.1)
    rng = np.random.default_rng(0)
    first = np.array([manifold.random_rotation(model, rng)[0, 0] for _ in range(4000)])
    assert abs(first.mean()) < 5 * 0.5 / np.sqrt(4000)
    assert abs(np.mean(first**2) - 0.25) < 5 * np.sqrt(1 / 8 - 1 / 16) / np.sqrt(4000)
    assert abs(np.mean(first**4) - 0.125) < 5 * np.std(first**4) / np.sqrt(4000)


def test_random_rows_are_uniform_where_eigenvalues_tie():
    """E[O^T O] = diag(1, 1/3, 1/3, 1/3) for two rows, one sure and one of three; 1000 draws, 5 standard errors."""
    model = student(2, [3.0, 1.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    O = np.array([manifold.random_rotation(model, rng) for _ in range(1000)])
    mean = np.einsum("nkr,nks->rs", O, O) / len(O)
    np.testing.assert_allclose(mean, np.diag([1, 1 / 3, 1 / 3, 1 / 3]), rtol=0, atol=5 * 0.3 / np.sqrt(1000))
    assert abs(np.mean(O[:, 0, 0] ** 2) - 0.5) < 5 * np.sqrt(1 / 8) / np.sqrt(1000)


@pytest.mark.parametrize(
    ("model", "rotation", "message"),
    [
        (student(3, [1.0] * 3), np.ones((3, 3)), "orthonormal columns, but its Gram matrix is off by 3"),
        (student(3, [1.0] * 2), np.full((3, 2), 0.5), "orthonormal columns, but its Gram matrix is off by 0.75"),
        (student(2, [1.0] * 3), np.full((2, 3), 0.5), "orthonormal rows, but its Gram matrix is off by 0.75"),
        (student(2, [1.0] * 3), (1 + 1e-6) * np.eye(2, 3), "orthonormal rows, but its Gram matrix is off by 2e-06"),
        (student(2, [4.0, 2.0, 1.0]), np.eye(3)[[0, 2]], "leading eigenvectors of the teacher, but misses 0.167 of"),
    ],
)
def test_rotations_that_belong_to_no_solution(model, rotation, message):
    with pytest.raises(ValueError, match=message):
        manifold.solution(model, rotation)


# --- paths


@all_of(CLOSEST)
def test_paths_stay_on_the_solutions(model):
    first = manifold.random_rotation(model, 0)
    best = loss(model, manifold.solution(model))
    joined = 0
    for seed in range(1, 8):
        second = manifold.random_rotation(model, seed)
        try:
            rotations = manifold.path(model, first, second, np.linspace(0, 1, 7))
        except ValueError:  # the second one lies on another component
            continue
        joined += 1
        np.testing.assert_allclose(rotations[[0, -1]], [first, second], rtol=0, atol=1e-10)
        assert max(abs(loss(model, manifold.solution(model, one)) - best) for one in rotations) < 1e-12
        steps = np.linalg.norm(np.diff(rotations, axis=0), axis=(1, 2))
        np.testing.assert_allclose(steps, steps[0], rtol=1e-9)  # constant speed
    assert joined > 0


@all_of(CLOSEST)
def test_tangent_space_is_that_of_all_paths(model):
    """Rank of the derivatives of random paths through one point: an independent count of the dimension."""
    W_star, rotation = teacher(model), manifold.random_rotation(model, 5)
    basis = (manifold.tangent_basis(model, rotation) @ W_star).reshape(-1, model.p * N) / np.sqrt(N)
    moves = []
    for seed in range(60):
        try:
            ends = manifold.path(model, rotation, manifold.random_rotation(model, seed), [-1e-5, 1e-5])
        except ValueError:  # the other one lies on another component
            continue
        ends = [manifold.solution_weights(model, W_star, end) for end in ends]
        moves.append(((ends[1] - ends[0]) / 2e-5).ravel() / np.sqrt(N))
    assert len(moves) > 2 * len(basis)
    assert np.linalg.matrix_rank(np.array(moves), tol=1e-6) == len(basis) == manifold.dimension(model)
    np.testing.assert_allclose(moves @ basis.T @ basis, moves, rtol=0, atol=1e-7)


@pytest.mark.parametrize("p", [3, 4, 6])
@pytest.mark.parametrize("angle", [0.7, 2.5])
def test_paths_of_one_vector_are_great_circles(p, angle):
    first, other = orthogonal(p)[:, :1], orthogonal(p)[:, 1:2]
    s = np.array([0.0, 0.3, 0.5, 1.0])
    rotations = manifold.path(student(p, [1.0]), first, np.cos(angle) * first + np.sin(angle) * other, s)
    wanted = [np.cos(a) * first + np.sin(a) * other for a in s * angle]
    np.testing.assert_allclose(rotations, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("angles", [(0.4,), (2.0, 2.5), (1.0, -2.8), (0.5, 2.0, 3.0)])
@pytest.mark.parametrize("fixed", [0, 1, 2, 3])
def test_paths_of_square_rotations_turn_each_plane_evenly(angles, fixed):
    n = 2 * len(angles) + fixed
    Z, first = orthogonal(n, 1), orthogonal(n, 2)
    s = np.array([0.25, 1.0])
    moved = [Z @ block_diag(*[turn(part * angle) for angle in angles], np.eye(fixed)) @ Z.T @ first for part in s]
    rotations = manifold.path(student(n, [1.0] * n), first, moved[1], s)
    np.testing.assert_allclose(rotations, moved, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("flipped", "angles", "fixed"), [(2, (), 1), (4, (), 0), (6, (), 0), (2, (2.0,), 2)])
def test_paths_flip_directions_in_pairs(flipped, angles, fixed):
    """Each pair turns by pi in a plane of its own, so that |R(s) - 1|^2 is 4 [1 - cos(s angle)] for each plane."""
    n = flipped + 2 * len(angles) + fixed
    Z = orthogonal(n, 3)
    R = Z @ block_diag(-np.eye(flipped), *[turn(angle) for angle in angles], np.eye(fixed)) @ Z.T
    half, end = manifold.path(student(n, [1.0] * n), np.eye(n), R, [0.5, 1.0])
    np.testing.assert_allclose(end, R, rtol=0, atol=1e-9)
    np.testing.assert_allclose(half @ half.T, np.eye(n), rtol=0, atol=1e-12)
    planes = [np.pi] * (flipped // 2) + list(angles)
    assert np.sum((half - np.eye(n)) ** 2) == pytest.approx(sum(4 - 4 * np.cos(angle / 2) for angle in planes))


def test_paths_of_too_few_students_turn_their_rows():
    # eigenvalues all equal: the row itself moves along a great circle
    a, b = orthogonal(4)[:2]
    found = manifold.path(student(1, [1.0] * 4), [a], [np.cos(2.0) * a + np.sin(2.0) * b], [0.5])[0]
    np.testing.assert_allclose(found, [np.cos(1.0) * a + np.sin(1.0) * b], rtol=0, atol=1e-12)
    # eigenvalues partly equal: rows of one span turn into each other, other spans are not reached
    model, rows = student(2, [3.0, 1.0, 1.0, 1.0]), np.eye(4)[[0, 2]]
    found = manifold.path(model, rows, turn(2.0) @ rows, [0.5])[0]
    np.testing.assert_allclose(found, turn(1.0) @ rows, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="must span the same rows where some eigenvalues of the teacher tie"):
        manifold.path(model, rows, np.eye(4)[[0, 3]], [0.5])


def test_reflections_are_on_another_component():
    for n in (1, 2, 3):
        reflected = np.diag([1.0] * (n - 1) + [-1.0])
        with pytest.raises(ValueError, match="determinants of one sign"):
            manifold.path(student(n, [1.0] * n), np.eye(n), reflected, [0.5])

"""The set of solutions in closed form: eigenvalues, dimensions, ties, paths along great circles, refusals."""

import numpy as np
import pytest
from scipy.linalg import block_diag

import tsode
from tsode import manifold
from tsode.activations.quadratic.minima import Minima


def student(p, eigenvalues, readout=1.0, **options):
    """A model whose teacher has these eigenvalues: orthogonal rows of these squared lengths, readouts 1."""
    n = len(eigenvalues)
    return tsode.TeacherStudent(p, n, 0.1, 0.0, [readout] * p, [1.0] * n, np.diag(eigenvalues), **options)


def orthogonal(n, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


# --- which models have solutions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("v", "v_star"),
    [
        ([0.5, 0.0, 0.3], [0.7, 0.4]),
        ([0.0, 0.5, 0.3], [0.7, 0.4]),
        ([0.5, 0.3, 0.2], [0.7, -0.4]),
        ([-0.5, -0.3, -0.2], [0.7, 0.4]),
        ([-0.5, 0.3, 0.2], [0.0, 0.0]),
    ],
)
def test_readouts_of_two_signs_or_a_dead_student_are_refused(v, v_star):
    with pytest.raises(ValueError, match="readouts of one sign, none zero in the student"):
        manifold.solution(tsode.TeacherStudent(3, 2, 0.1, 0.0, v, v_star))


def test_a_teacher_may_have_dead_neurons():
    half = manifold.solution(tsode.TeacherStudent(3, 2, 0.1, 0.0, [0.5] * 3, [0.7, 0.0]))
    np.testing.assert_allclose(np.diagonal(half.Q), [1.4, 0.0, 0.0], rtol=1e-14)


@pytest.mark.parametrize("p", [2, 3, 4])
def test_a_silent_teacher_is_solved_by_a_silent_student(p):
    model = tsode.TeacherStudent(p, 3, 0.1, teacher_readout=[0.0] * 3)
    rotation = manifold.random_rotation(model, 0)
    assert np.abs(manifold.solution(model, rotation).Q).max() == 0
    start = tsode.Overlaps.random(model, 50, rng=0)
    assert manifold.distance(model, start, rotation) == pytest.approx(np.sqrt(np.trace(start.Q)))


@pytest.mark.parametrize(
    ("p", "p_star", "options"),
    [
        (4, 2, {"student_readout": [0.5] * 4}),
        (2, 2, {"student_readout": [0.4] * 2}),
        (2, 2, {"teacher_readout": [0.5, 0.4]}),
        (2, 2, {"student_readout": [0.5, 0.4], "teacher_readout": [0.5, 0.5]}),
        (2, 2, {"teacher_overlap": [[1.0, 0.1], [0.1, 1.0]]}),
    ],
)
def test_unit_norms_cut_the_set_of_solutions(p, p_star, options):
    with pytest.raises(ValueError, match="must be free, or have p = p_star"):
        manifold.solution(tsode.TeacherStudent(p, p_star, 0.1, constraint="spherical", **options))


def test_one_neuron_learns_one_neuron():
    for constraint in ("free", "spherical"):
        model = tsode.TeacherStudent(1, 1, 0.1, constraint=constraint)
        assert manifold.solution(model).Q == [[1.0]]
        assert manifold.dimension(model) == 0
        assert manifold.tangent_basis(model).shape == (0, 1, 1)


@pytest.mark.parametrize("p", [2, 3])
def test_by_default_students_are_the_rows_of_the_teacher_up_to_their_norms(p):
    P = np.array([[1.0, 0.3], [0.3, 0.8]])
    model = tsode.TeacherStudent(p, 2, 0.1, 0.0, [0.5, 0.3, 0.2][:p], [0.7, 0.4], P)
    M = np.sqrt([[0.7 / 0.5], [0.4 / 0.3]]) * P
    np.testing.assert_allclose(manifold.solution(model).M, np.vstack([M, np.zeros((p - 2, 2))]), rtol=1e-14)


@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_kept_eigenvalues_and_the_smallest_loss(p):
    """V^{1/2} Q V^{1/2} keeps the p largest eigenvalues of V* P, each raised by R / (p + 2)."""
    P = [[1.0, 0.3, 0.1], [0.3, 0.8, -0.2], [0.1, -0.2, 1.5]]
    v, v_star = np.array([0.5, 0.3, 0.7, 0.2])[:p], np.array([0.7, 0.4, 0.9])
    best = manifold.solution(tsode.TeacherStudent(p, 3, 0.1, 0.0, -v, -v_star, P))
    l = np.sort(np.linalg.eigvals(v_star[:, None] * P).real)[::-1]
    wanted = np.append(l[:p] + l[p:].sum() / (p + 2), np.zeros(max(p - 3, 0)))
    found = np.linalg.eigvalsh(np.sqrt(np.outer(v, v)) * best.Q)[::-1]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


# --- rank and ties ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "eigenvalues", "dimension"),
    [
        (4, [1.0, 1.0], 5),
        (3, [1.0, 1.0, 1.0], 3),
        (2, [1.0] * 4, 5),
        (3, [1.0] * 5, 9),
        (2, [2.0, 1.0, 0.5], 1),
        (3, [4.0, 3.0, 2.0, 1.0], 3),
        (2, [3.0, 1.0, 1.0, 1.0], 3),
        (3, [3.0, 2.0, 2.0, 2.0, 1.0], 5),
        (1, [1.0, 0.0], 0),
        (3, [1.0, 0.0, 0.0, 0.0], 2),
        (4, [1e6, 1e-4], 3),  # eigenvalues below 1e-9 of the largest count as zero
        (4, [1e6, 1e-2], 5),
        (2, [1e6, 1 + 5e-4, 1.0, 0.01], 2),  # differences below 1e-9 of the largest count as ties
        (2, [1e6, 1 + 5e-3, 1.0, 0.01], 1),
    ],
)
def test_dimension(p, eigenvalues, dimension):
    model = student(p, eigenvalues)
    assert manifold.dimension(model) == dimension
    C = manifold.tangent_basis(model)
    P = model.teacher_overlap
    gram = np.array([[np.trace(A @ P @ B.T) for B in C] for A in C]).reshape(dimension, dimension)
    np.testing.assert_allclose(gram, np.eye(dimension), rtol=0, atol=1e-9)
    if p >= len(eigenvalues):  # along all of them W^T V W stays: C^T O + O^T C = 0
        np.testing.assert_allclose(P @ (C[:, : len(P)] + np.swapaxes(C[:, : len(P)], 1, 2)) @ P, 0.0, atol=1e-9)


def test_nothing_ties_where_the_student_keeps_everything():
    assert Minima(student(3, [2.0, 1.0, 1.0])).tied.size == 0
    assert Minima(student(4, [1.0, 1.0])).tied.size == 0
    np.testing.assert_array_equal(Minima(student(2, [3.0, 1.0, 1.0, 0.5])).tied, [1, 2])


@pytest.mark.parametrize("eigenvalues", [[3.0, 1.0, 1.0], [3.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
def test_closest_solution_is_refused_where_a_tie_leaves_a_choice(eigenvalues):
    model = student(2, eigenvalues)
    with pytest.raises(ValueError, match="at places p and p \\+ 1 differ, or are all the same"):
        manifold.closest_solution(model, tsode.Overlaps.random(model, 50, rng=0))


@pytest.mark.parametrize("eigenvalues", [[2.0, 2.0, 1.0], [1.0, 0.0, 0.0], [1e6, 1e-4, 1e-4]])
def test_ties_among_the_kept_or_at_zero_leave_no_choice(eigenvalues):
    model = student(2, eigenvalues)
    start = tsode.Overlaps.random(model, 50, rng=0)
    here = manifold.distance(model, start)
    others = [manifold.distance(model, start, manifold.random_rotation(model, seed)) for seed in range(20)]
    assert here <= min(others)
    found = manifold.solution(model, manifold.closest_rotation(model, start))
    assert np.trace(found.Q) == pytest.approx(sum(eigenvalues[:2]) + eigenvalues[2] / 2, rel=1e-9)


def test_a_singular_teacher_that_the_student_cannot_hold():
    """Eigenvalues 4, 2, 0 and one student: R = 2, kept 4 + 2/3."""
    assert manifold.solution(student(1, [4.0, 2.0, 0.0])).Q[0, 0] == pytest.approx(14 / 3, rel=1e-14)


def test_random_rows_are_uniform_where_eigenvalues_tie():
    """E[O^T O] = diag(1, 1/3, 1/3, 1/3) for two rows, one sure and one of three; 1000 draws, 5 standard errors."""
    model = student(2, [3.0, 1.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    O = np.array([manifold.random_rotation(model, rng) for _ in range(1000)])
    mean = np.einsum("nkr,nks->rs", O, O) / len(O)
    np.testing.assert_allclose(mean, np.diag([1, 1 / 3, 1 / 3, 1 / 3]), rtol=0, atol=5 * 0.3 / np.sqrt(1000))
    assert abs(np.mean(O[:, 0, 0] ** 2) - 0.5) < 5 * np.sqrt(1 / 8) / np.sqrt(1000)


# --- what belongs to a solution --------------------------------------------------------------------------------------


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


def test_a_start_is_overlaps_or_a_pair_of_weights():
    model = student(2, [1.0, 1.0])
    W = np.eye(2, 5)
    for start in ([W, W], (W, W, W), (W,)):
        with pytest.raises(TypeError, match="`start` must be an Overlaps"):
            manifold.closest_rotation(model, start)


def test_closest_weights_are_those_of_the_closest_rotation():
    model = tsode.TeacherStudent(3, 2, 0.1, 0.0, [0.5, 0.3, 0.2], [0.7, 0.4])
    W, W_star = np.random.default_rng(0).standard_normal((3, 40)), np.sqrt(40) * orthogonal(40)[:2]
    O = manifold.closest_rotation(model, (W, W_star))
    wanted = np.diag([0.5, 0.3, 0.2]) ** 0.5 @ manifold.closest_solution(model, (W, W_star))
    np.testing.assert_allclose(wanted, O @ np.diag([0.7, 0.4]) ** 0.5 @ W_star, rtol=0, atol=1e-12)
    found = manifold.closest_solution(model, tsode.Overlaps.from_weights(W, W_star))
    assert isinstance(found, tsode.Overlaps)


def test_a_solution_is_at_distance_zero_from_itself():
    """Also where rounding makes the squared distance negative."""
    model = tsode.TeacherStudent(3, 2, 0.1, 0.0, [0.5, 0.3, 0.2], [0.7, 0.4], [[1.0, 0.3], [0.3, 0.8]])
    for seed in range(40):
        rotation = manifold.random_rotation(model, seed)
        assert 0 <= manifold.distance(model, manifold.solution(model, rotation), rotation) < 1e-7


# --- paths -----------------------------------------------------------------------------------------------------------


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

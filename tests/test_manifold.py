"""The set of solutions in closed form: loss, dimension, ties, closest solutions, what is refused."""

import numpy as np
import pytest
from models import all_of
from scipy.optimize import minimize

import tsode
from tsode import manifold
from tsode.activations.quadratic.minima import Minima

P3 = [[1.0, 0.4, 0.2], [0.4, 2.0, -0.3], [0.2, -0.3, 0.5]]


MODELS = {
    "surplus students": tsode.TeacherStudent(4, 2, 0.1),
    "equal widths": tsode.TeacherStudent(3, 3, 0.1),
    "too few students": tsode.TeacherStudent(2, 4, 0.1),
    "negative outputs": tsode.TeacherStudent(3, 2, 0.1, 0.0, [-0.4] * 3, [-0.5, -0.3]),
    "general": tsode.TeacherStudent(3, 2, 0.1, 0.0, [0.5, 0.3, 0.2], [0.7, 0.4], [[1.0, 0.3], [0.3, 0.8]]),
    "general, too few": tsode.TeacherStudent(2, 3, 0.1, 0.0, [0.5, 0.3], [0.7, 0.4, 0.5], P3),
    "partly tied": tsode.TeacherStudent(2, 4, 0.1, teacher_overlap=np.diag([3.0, 1.0, 1.0, 1.0])),
    "singular P": tsode.TeacherStudent(3, 2, 0.1, teacher_overlap=[[1.0, 1.0], [1.0, 1.0]]),
}

CLOSEST = {name: model for name, model in MODELS.items() if name != "partly tied"}

N = 12


def loss(model, overlaps):
    o = overlaps
    return float(model.excess_loss(o.M, o.Q))


def teacher(model):
    return tsode.Overlaps(np.zeros((model.p, model.p_star)), np.eye(model.p), model.teacher_overlap).realise(N, 7)[1]


def student(p, eigenvalues, readout=1.0, **options):
    """A model whose teacher has these eigenvalues: orthogonal rows of these squared lengths, readouts 1."""
    n = len(eigenvalues)
    return tsode.TeacherStudent(p, n, 0.1, 0.0, [readout] * p, [1.0] * n, np.diag(eigenvalues), **options)


def orthogonal(n, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


# --- which models have solutions


@pytest.mark.parametrize(
    ("v", "v_star"),
    [
        ([0.5, 0.0, 0.3], [0.7, 0.4]),
        ([0.0, 0.5, 0.3], [0.7, 0.4]),
        ([0.5, 0.3, -0.2], [0.7, 0.4]),
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


def test_spherical_solutions_of_equal_widths():
    model = tsode.TeacherStudent(3, 3, 0.1, constraint="spherical")
    assert loss(model, manifold.solution(model, manifold.random_rotation(model, 0))) < 1e-15


# --- the smallest loss


def best_loss(model):
    """Smallest loss that minimisation over the weights finds."""
    W_star = teacher(model)
    v, v_star, P = model.student_readout, model.teacher_readout, model.teacher_overlap

    def value_and_gradient(w):
        W = w.reshape(model.p, N)
        M, Q = W @ W_star.T / N, W @ W.T / N
        t = v @ np.diagonal(Q) - v_star @ np.diagonal(P)
        gradient = 2 * v[:, None] * (t * W + 2 * (Q * v @ W - M * v_star @ W_star)) / N
        return float(model.excess_loss(M, Q)), gradient.ravel()

    starts = np.random.default_rng(1).standard_normal((5, model.p * N))
    return min(minimize(value_and_gradient, w, jac=True, method="BFGS", options={"gtol": 1e-10}).fun for w in starts)


@all_of(MODELS)
def test_solutions_have_the_smallest_loss(model):
    best = loss(model, manifold.solution(model))
    assert best == pytest.approx(best_loss(model), abs=1e-8)
    assert best > 0.01 if model.p < model.p_star else best < 1e-15
    for seed in range(5):
        rotation = manifold.random_rotation(model, seed)
        assert loss(model, manifold.solution(model, rotation)) == pytest.approx(best, abs=1e-13)


def test_truncated_student_keeps_raised_eigenvalues():
    """v = v* = 1, eigenvalues 4, 2, 1, 0.5, two of them kept: R = 1.5, kept l + R/4, loss R^2/4 + 1.25."""
    model = tsode.TeacherStudent(2, 4, 0.1, 0.0, [1.0] * 2, [1.0] * 4, np.diag([4.0, 2.0, 1.0, 0.5]))
    best = manifold.solution(model)
    np.testing.assert_allclose(np.linalg.eigvalsh(best.Q), [2.375, 4.375], rtol=1e-14)
    assert loss(model, best) == pytest.approx(1.5**2 / 4 + 1.25, rel=1e-14)


@all_of(MODELS)
def test_weights_and_overlaps_agree(model):
    W_star, rotation = teacher(model), manifold.random_rotation(model, 3)
    W = manifold.solution_weights(model, W_star, rotation)
    found, wanted = tsode.Overlaps.from_weights(W, W_star), manifold.solution(model, rotation)
    np.testing.assert_allclose(found.joint, wanted.joint, rtol=0, atol=1e-13)


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


def test_a_singular_teacher_that_the_student_cannot_hold():
    """Eigenvalues 4, 2, 0 and one student: R = 2, kept 4 + 2/3."""
    assert manifold.solution(student(1, [4.0, 2.0, 0.0])).Q[0, 0] == pytest.approx(14 / 3, rel=1e-14)


# --- dimension and tangents


@all_of(MODELS)
def test_tangent_basis_spans_the_motions_along_the_solutions(model):
    W_star, rotation = teacher(model), manifold.random_rotation(model, 5)
    C = manifold.tangent_basis(model, rotation)
    assert len(C) == manifold.dimension(model)
    moves = (C @ W_star).reshape(len(C), -1)
    np.testing.assert_allclose(moves @ moves.T / N, np.eye(len(C)), rtol=0, atol=1e-9)
    # along a tangent the loss changes in fourth order, its increase per step^2 vanishes
    W = manifold.solution_weights(model, W_star, rotation)
    best = loss(model, manifold.solution(model))
    for direction in C @ W_star:
        rise = [loss(model, tsode.Overlaps.from_weights(W + h * direction, W_star)) - best for h in (0.1, 0.05)]
        assert rise[0] / rise[1] == pytest.approx(16, rel=0.35)


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


# --- the closest one


@all_of(CLOSEST)
def test_closest_solution_is_closer_than_all_others(model):
    W_star = teacher(model)
    W = np.random.default_rng(2).standard_normal((model.p, N))
    start = tsode.Overlaps.from_weights(W, W_star)
    closest = manifold.closest_solution(model, (W, W_star))
    weights = np.abs(model.student_readout) / np.abs(model.student_readout).mean()
    d = np.sqrt(weights @ np.square(W - closest).sum(axis=1) / N)
    assert manifold.distance(model, start) == pytest.approx(d, rel=1e-12)
    np.testing.assert_allclose(
        tsode.Overlaps.from_weights(closest, W_star).M, manifold.closest_solution(model, start).M, rtol=0, atol=1e-12
    )
    rotation = manifold.closest_rotation(model, start)
    for seed in range(50):
        other = manifold.random_rotation(model, seed)
        assert manifold.distance(model, start, other) > d
        try:
            near = manifold.path(model, rotation, other, [1e-3])[0]
        except ValueError:  # the other one lies on another component
            continue
        assert manifold.distance(model, start, near) > d
    assert manifold.distance(model, (closest, W_star)) < 1e-7


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


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: manifold.solution(MODELS["equal widths"], np.eye(2)), ValueError, r"\(p, p_star\) = \(3, 3\)"),
        (lambda: manifold.distance(MODELS["equal widths"], 3), TypeError, "`overlaps` must be an Overlaps"),
        (
            lambda: manifold.distance(MODELS["partly tied"], manifold.solution(MODELS["partly tied"])),
            ValueError,
            "no closed form",
        ),
        (lambda: manifold.invariants(3), TypeError, "`trajectory` must be a Trajectory"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- kernels


def test_nothing_ties_where_the_student_keeps_everything():
    assert Minima(student(3, [2.0, 1.0, 1.0])).tied.size == 0
    assert Minima(student(4, [1.0, 1.0])).tied.size == 0
    np.testing.assert_array_equal(Minima(student(2, [3.0, 1.0, 1.0, 0.5])).tied, [1, 2])

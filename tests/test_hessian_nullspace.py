import numpy as np
import pytest

import tsode
from tsode import hessian
from tsode.hessian import Family, null_space, rotations

UNEQUAL = {
    "student_readout": [0.2, 0.5, 0.3],
    "teacher_readout": [0.7, 0.2],
    "teacher_overlap": [[1.0, 0.3], [0.3, 0.8]],
}
N = 25


def tangents(model, rotation):
    C = tsode.manifold.tangent_basis(model, rotation)
    return Family("tangent", np.pad(C, ((0, 0), (0, 0), (model.p, 0))))


def equal_norm_frame(p, p_star, seed=0):
    """A generic solution on the spheres: orthogonal columns and rows of norm 1, by alternating projections."""
    O = np.random.default_rng(seed).standard_normal((p, p_star))
    for _ in range(20_000):
        U, _, V = np.linalg.svd(O, full_matrices=False)
        O = U @ V * np.sqrt(p / p_star)
        norms = np.linalg.norm(O, axis=1, keepdims=True)
        O /= norms
        if np.ptp(norms) < 1e-15:
            break
    return O


@pytest.mark.parametrize(
    "model",
    [
        tsode.TeacherStudent(4, 2, 0.1),
        tsode.TeacherStudent(5, 3, 0.1),
        tsode.TeacherStudent(3, 1, 0.1),
        tsode.TeacherStudent(3, 3, 0.1),
        tsode.TeacherStudent(3, 2, 0.1, **UNEQUAL),
    ],
    ids=["4,2", "5,3", "3,1", "3,3", "unequal"],
)
def test_zero_modes_of_the_solution_manifold(model):
    p, p_star = model.p, model.p_star
    rotation = tsode.manifold.random_rotation(model, rng=3)
    modes = null_space(model, tsode.manifold.solution(model, rotation), N, [tangents(model, rotation)])
    assert modes.names == ("tangent", "flat to second order")
    assert modes.counts == (p * p_star - p_star * (p_star + 1) // 2, (p - p_star) * (N - p_star))
    assert modes.nullity == (p - p_star) * N + p_star * (p_star - 1) // 2
    for count, order, expected in zip(modes.counts, modes.orders, (np.inf, 4.0)):
        if count == 0:
            assert np.isnan(order)
        else:
            assert order == expected or order == pytest.approx(expected, abs=0.05)


def test_all_rotations_explain_the_tangents_and_no_more():
    model = tsode.TeacherStudent(5, 2, 0.1)
    rotation = tsode.manifold.random_rotation(model, rng=4)
    solution = tsode.manifold.solution(model, rotation)
    both = null_space(model, solution, N, [rotations(model, solution), tangents(model, rotation)])
    assert both.counts == (7, 0, 3 * (N - 2))
    other = null_space(model, solution, N, [tangents(model, rotation), rotations(model, solution)])
    assert other.counts == (7, 0, 3 * (N - 2))


def test_without_families_everything_is_flat():
    model = tsode.TeacherStudent(4, 2, 0.1)
    modes = null_space(model, tsode.manifold.solution(model), N)
    assert modes.names == ("flat to second order",)
    assert modes.nullity == modes.counts[0] == 2 * N + 1


@pytest.mark.parametrize("constraint", ["free", "spherical"])
@pytest.mark.parametrize(("p", "p_star"), [(4, 2), (2, 3), (3, 3), (1, 1)])
def test_zero_modes_of_the_plateau_are_rotations(p, p_star, constraint):
    model = tsode.TeacherStudent(p, p_star, 0.1, constraint=constraint)
    saddle, _ = hessian.gradient_flow_plateau(model)
    modes = null_space(model, saddle, N, [rotations(model, saddle)])
    assert modes.counts == (p * (N - p - p_star) + p * (p - 1) // 2, 0)
    assert modes.orders[0] == np.inf


def test_rotations_of_a_teacher_with_an_idle_unit():
    # The idle unit's input is like any other: the plateau may turn towards it at no cost.
    model = tsode.TeacherStudent(3, 2, 0.1, teacher_readout=[0.5, 0.0])
    saddle, _ = hessian.gradient_flow_plateau(model)
    modes = null_space(model, saddle, N, [rotations(model, saddle)])
    assert modes.counts == (3 * (N - 4) + 3, 0)


def test_zero_modes_of_spherical_solutions():
    p, p_star = 5, 2
    model = tsode.TeacherStudent(p, p_star, 0.1, constraint="spherical")
    O = equal_norm_frame(p, p_star)
    solution = tsode.Overlaps(O, O @ O.T)
    spectrum = hessian.population_spectrum(model, solution, N)
    assert spectrum.verdict == "marginal minimum"
    tangent = p * p_star - p_star * (p_star + 1) // 2 - (p - 1)
    assert spectrum.nullity == (p - p_star) * (N - p_star) + tangent
    assert spectrum.multiplicities[np.isclose(spectrum.values, 4 / (p * p_star))].sum() == p_star * (N - p_star)
    assert spectrum.dimension == p * (N - 1)
    # tangent: A O antisymmetric in the hidden units, and no row changes its norm
    turns = []
    for k in range(p):
        for l in range(k):
            A = np.zeros((p, p))
            A[k, l], A[l, k] = 1.0, -1.0
            turns.append(A @ O)
    turns = np.array(turns)
    stretch = np.einsum("akr,kr->ak", turns, O)
    mix = np.linalg.svd(stretch.T)[2][np.linalg.matrix_rank(stretch) :]
    family = Family("tangent", np.pad(np.einsum("ba,akr->bkr", mix, turns), ((0, 0), (0, 0), (p, 0))))
    modes = null_space(model, solution, N, [family])
    assert modes.counts == (tangent, (p - p_star) * (N - p_star))
    assert modes.orders[0] == np.inf
    assert modes.orders[1] == pytest.approx(4.0, abs=0.05)


def test_loss_rises_in_fourth_order_off_the_manifold_and_stays_zero_along_it():
    # The same with weights, and no reduction: straight lines in surplus directions, paths of solutions in tangent ones.
    model = tsode.TeacherStudent(4, 2, 0.1)
    first, second = (tsode.manifold.random_rotation(model, rng=seed) for seed in (1, 2))
    rng = np.random.default_rng(3)
    W_star = tsode.Overlaps(np.zeros((4, 2)), np.eye(4)).realise(30, rng)[1]
    W = tsode.manifold.solution_weights(model, W_star, first)
    steps = 10.0 ** np.linspace(-2.5, -0.5, 5)
    surplus = np.eye(4) - first @ first.T  # the hidden units' directions that the solution does not use
    outwards = rng.standard_normal((4, 30))
    outwards -= outwards @ W_star.T @ W_star / 30
    Z = surplus @ outwards
    H = hessian.population_operator(model, W, W_star)
    assert np.linalg.norm(H @ Z.ravel()) < 1e-12 * np.linalg.norm(Z)
    loss = [excess(model, W + step * Z, W_star) for step in steps]
    assert np.polyfit(np.log(steps), np.log(loss), 1)[0] == pytest.approx(4.0, abs=0.05)
    rotations = tsode.manifold.path(model, first, second, [0.0, 1e-6, 0.3, 1.0])
    for rotation in rotations:
        assert excess(model, tsode.manifold.solution_weights(model, W_star, rotation), W_star) < 1e-28
    velocity = (tsode.manifold.solution_weights(model, W_star, rotations[1]) - W) / 1e-6
    assert np.linalg.norm(H @ velocity.ravel()) < 1e-5 * np.linalg.norm(velocity)


def excess(model, W, W_star):
    N = W.shape[1]
    B = W.T @ (model.student_readout[:, None] * W) / N - W_star.T @ (model.teacher_readout[:, None] * W_star) / N
    return np.trace(B) ** 2 / 2 + np.sum(B**2)


def test_representations():
    model = tsode.TeacherStudent(4, 2, 0.1)
    rotation = tsode.manifold.random_rotation(model, rng=3)
    modes = null_space(model, tsode.manifold.solution(model, rotation), N, [tangents(model, rotation)])
    assert "loss constant" in repr(modes)
    assert "order 4.000" in repr(modes)
    assert "<table>" in modes._repr_html_()


def test_bad_input():
    model = tsode.TeacherStudent(3, 2, 0.1)
    solution = tsode.manifold.solution(model)
    with pytest.raises(ValueError, match="`overlaps` must be a critical point"):
        null_space(model, tsode.Overlaps.random(model, N, rng=0), N)
    stiff = Family("growth of all weights", [np.eye(3, 5)])
    with pytest.raises(ValueError, match="'growth of all weights'"):
        null_space(model, solution, N, [stiff])
    with pytest.raises(ValueError, match="`families`"):
        null_space(model, solution, N, [Family("odd", [np.eye(3)])])
    with pytest.raises(ValueError, match="but 'out' has parts"):
        null_space(model, solution, N, [Family("out", outside=[[1.0, 0.0, 0.0]])])
    with pytest.raises(ValueError, match="`tolerance`"):
        null_space(model, solution, N, tolerance=-1.0)

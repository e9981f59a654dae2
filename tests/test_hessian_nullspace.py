"""Zero modes of solutions and plateaus: how many, which motions explain them, and how the loss changes along them."""

import numpy as np
import pytest
from tables import rows

import tsode
from tsode import hessian
from tsode.hessian import Family, NullSpace, null_space, rotations

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


def excess(model, W, W_star):
    N = W.shape[1]
    B = W.T @ (model.student_readout[:, None] * W) / N - W_star.T @ (model.teacher_readout[:, None] * W_star) / N
    return np.trace(B) ** 2 / 2 + np.sum(B**2)


# ---- solutions


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


def solution_and_tangents(model, rng=1):
    rotation = tsode.manifold.random_rotation(model, rng=rng)
    C = tsode.manifold.tangent_basis(model, rotation)
    family = Family("tangent", np.concatenate([np.zeros((len(C), model.p, model.p)), C], axis=2))
    return tsode.manifold.solution(model, rotation), family


@pytest.mark.parametrize("squared_unit", [1e-6, 1.0, 1e6])
def test_counts_and_orders_do_not_depend_on_the_unit_of_the_weights(squared_unit):
    model = tsode.TeacherStudent(3, 1, 0.1, teacher_overlap=[[squared_unit]])
    solution, tangents = solution_and_tangents(model)
    modes = null_space(model, solution, 12, [tangents])
    assert modes.counts == (2, 22)
    assert modes.nullity == 24
    assert modes.orders == (np.inf, pytest.approx(4.0, abs=0.005))
    saddle, _ = hessian.gradient_flow_plateau(model)
    assert null_space(model, saddle, 12, [rotations(model, saddle)]).orders[0] == np.inf


@pytest.mark.parametrize("p", [2, 3])
def test_tangents_of_spherical_solutions_keep_the_loss_constant(p):
    model = tsode.TeacherStudent(p, p, 0.1, constraint="spherical")
    solution, tangents = solution_and_tangents(model)
    modes = null_space(model, solution, 12, [tangents])
    assert modes.counts == (p * (p - 1) // 2, 0)
    assert modes.orders[0] == np.inf
    assert np.isnan(modes.orders[1])
    assert len(rotations(model, solution).inside) == p * (p - 1) // 2  # of the inputs alone


def test_orders_are_along_directions_of_seed_zero_by_default():
    model = tsode.TeacherStudent(3, 1, 0.1)
    solution, _ = solution_and_tangents(model)
    first, second, other = (null_space(model, solution, 12, **rng).orders for rng in ({}, {"rng": 0}, {"rng": 1}))
    assert first == second != other


# ---- plateaus and rotations


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


def test_a_spherical_plateau_turns_at_no_cost():
    model = tsode.TeacherStudent(2, 1, 0.1, constraint="spherical")
    saddle, _ = hessian.gradient_flow_plateau(model)
    modes = null_space(model, saddle, 10, [rotations(model, saddle)])
    assert (modes.counts, modes.orders[0]) == ((2 * 7 + 1, 0), np.inf)
    assert null_space(model, saddle, 10).orders == (np.inf,)


def test_rotations_are_those_that_readouts_and_teacher_allow():
    # equal readouts of the teacher: one plane of the inputs turns, at a solution along the tangent, as do the units
    model = tsode.TeacherStudent(2, 2, 0.1, student_readout=[0.3, 0.6])
    solution, tangents = solution_and_tangents(model)
    family = rotations(model, solution)
    assert (len(family.inside), len(family.outside)) == (1 + 1, 0)
    assert null_space(model, solution, 12, [family, tangents]).counts == (1, 0, 0)
    # of opposite sign: a boost of the units alone
    model = tsode.TeacherStudent(2, 2, 0.1, student_readout=[0.3, -0.6], teacher_readout=[0.5, -0.5])
    start = tsode.Overlaps.random(model, 50, rng=1)
    assert (
        sum(map(len, (rotations(model, start).inside, rotations(model, start).outside))) == 1 + 1 + 2
    )  # off the teacher
    # any readouts: three planes of the hidden units
    model = tsode.TeacherStudent(3, 2, 0.1, student_readout=[0.2, 0.2, 0.3], teacher_readout=[0.1, 0.2])
    start = tsode.Overlaps.random(model, 50, rng=1)
    assert (len(rotations(model, start).inside), len(rotations(model, start).outside)) == (3 + 3, 3)


def test_small_readouts_of_the_teacher_are_as_unequal_as_large_ones():
    model = tsode.TeacherStudent(3, 2, 0.1, teacher_readout=[1e-4, 2e-4])
    saddle, _ = hessian.gradient_flow_plateau(model)
    family = rotations(model, saddle)
    assert (len(family.inside), len(family.outside)) == (3 + 3, 3)
    assert null_space(model, saddle, 12, [family]).counts == (3 * 7 + 3, 0)


def test_families_of_a_single_number():
    # p = 1 at the plateau: the only direction c = 1 moves the unit to an unused input
    model = tsode.TeacherStudent(1, 1, 0.1)
    saddle, _ = hessian.gradient_flow_plateau(model)
    assert null_space(model, saddle, 10, [Family("turn", outside=[[1.0]])]).counts == (8, 0)
    with pytest.raises(ValueError, match=r"`outside` must have shape \(any, any\)"):
        null_space(model, saddle, 10, [Family("turn", outside=[1.0])])


# ---- tables and bad input


def test_table_of_zero_modes():
    modes = NullSpace(("turns", "flat", "others"), (1000, 7, 0), (np.inf, 3.9996, np.nan))
    assert rows(modes) == {
        "turns": ["1,000, loss constant"],
        "flat": ["7, loss changes with order 4.000"],
        "others": ["none"],
        "all zero modes": ["1,007"],
    }
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

"""Zero modes, plateau beside solutions, and the path along a trajectory: single cases, tables, errors."""

import types

import numpy as np
import pytest
from models import GENERAL

import tsode
from tsode import hessian
from tsode.hessian import Comparison, Family, HessianPath, NullSpace, Spectrum, null_space, rotations
from tsode.hessian.nullspace import _kernel, _split

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


# ---- zero modes of special points


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


def test_a_spherical_plateau_turns_at_no_cost():
    model = tsode.TeacherStudent(2, 1, 0.1, constraint="spherical")
    saddle, _ = hessian.gradient_flow_plateau(model)
    modes = null_space(model, saddle, 10, [rotations(model, saddle)])
    assert (modes.counts, modes.orders[0]) == ((2 * 7 + 1, 0), np.inf)
    assert null_space(model, saddle, 10).orders == (np.inf,)


def test_rotations_are_those_that_readouts_and_teacher_allow():
    # equal readouts of the teacher alone: one plane of the inputs turns, which at a solution is the tangent
    model = tsode.TeacherStudent(2, 2, 0.1, student_readout=[0.3, 0.6])
    solution, tangents = solution_and_tangents(model)
    family = rotations(model, solution)
    assert (len(family.inside), len(family.outside)) == (1, 0)
    assert null_space(model, solution, 12, [family, tangents]).counts == (1, 0, 0)
    # of opposite sign: none
    model = tsode.TeacherStudent(2, 2, 0.1, student_readout=[0.3, -0.6], teacher_readout=[0.5, -0.5])
    start = tsode.Overlaps.random(model, 50, rng=1)
    assert sum(map(len, (rotations(model, start).inside, rotations(model, start).outside))) == 1 + 2  # off the teacher
    # two of three readouts equal: one plane of the hidden units
    model = tsode.TeacherStudent(3, 2, 0.1, student_readout=[0.2, 0.2, 0.3], teacher_readout=[0.1, 0.2])
    start = tsode.Overlaps.random(model, 50, rng=1)
    assert (len(rotations(model, start).inside), len(rotations(model, start).outside)) == (3 + 1, 3)


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


def test_orders_are_along_directions_of_seed_zero_by_default():
    model = tsode.TeacherStudent(3, 1, 0.1)
    solution, _ = solution_and_tangents(model)
    first, second, other = (null_space(model, solution, 12, **rng).orders for rng in ({}, {"rng": 0}, {"rng": 1}))
    assert first == second != other


def test_no_zero_modes_away_from_critical_points_or_at_a_negative_tolerance():
    model = tsode.TeacherStudent(2, 1, 0.1)
    solution, _ = solution_and_tangents(model)
    with pytest.raises(ValueError, match="`tolerance` must be at least 0"):
        null_space(model, solution, 10, tolerance=-0.5)
    with pytest.raises(ValueError, match="`overlaps` must be a critical point, but has a gradient of norm"):
        null_space(model, tsode.Overlaps.random(model, 50, rng=1), 10)


def test_table_of_zero_modes():
    modes = NullSpace(("turns", "flat", "others"), (1000, 7, 0), (np.inf, 3.9996, np.nan))
    assert repr(modes).split("\n") == [
        "Zero modes",
        "  turns           1,000, loss constant",
        "  flat            7, loss changes with order 4.000",
        "  others          none",
        "  all zero modes  1,007",
    ]


# ---- plateau beside solutions


def comparison(plateau, manifold, plateau_modes, manifold_modes):
    model = tsode.TeacherStudent(2, 1, 0.1)
    return Comparison(model, 1000, (), plateau, manifold, plateau_modes, manifold_modes, 3, 0.25)


def test_table_of_a_comparison_lists_eight_values_and_abbreviates_nine():
    names = ("known", "others")
    table = repr(
        comparison(
            Spectrum(np.arange(9.0) - 3, np.arange(9) + 1, 0.125),
            Spectrum([-0.25, 0.0, 1, 2, 3, 4, 5, 6], tolerance=0.25 / 6),
            NullSpace(names, (4, 1500), (np.inf, 3.0)),
            NullSpace(names, (2, 0), (np.inf, np.nan)),
        )
    ).split("\n")
    assert table[0] == "Hessians at p = 2, p* = 1, N = 1,000, free"
    assert table[1].split() == ["plateau", "solution", "manifold"]
    assert [line.split() for line in table[2:]] == [
        ["verdict", "not", "a", "critical", "point", "marginal", "minimum"],
        ["index", "(negative)", "6", "0"],
        ["nullity", "4", "2"],
        ["rotations", "|", "tangent", "4", "2"],
        ["others,", "order", "of", "the", "loss", "1,500,", "order", "3.000", "0"],
        ["escape", "rate", "/", "η", "0.25"],
        ["trace", "105", "20.75"],
        ["gradient", "norm", "0.12", "0"],
        ["eigenvalues", "-3", "x", "1", "0", "x", "1"],
        ["-2", "x", "2", "0", "x", "1"],
        ["-1", "x", "3", "1", "x", "1"],
        ["0", "x", "4", "2", "x", "1"],
        ["...", "3", "x", "1"],
        ["2", "x", "6", "4", "x", "1"],
        ["3", "x", "7", "5", "x", "1"],
        ["4", "x", "8", "6", "x", "1"],
        ["5", "x", "9"],
    ]


def test_a_trace_of_rounding_size_and_constant_others_in_the_table():
    both = comparison(
        Spectrum([-1.0, 1.0 - 2**-7], tolerance=2**-8),  # the trace is minus just what two zeros may add up to
        Spectrum([-1.0, 1.0 - 2**-6], tolerance=2**-8),
        NullSpace(("a", "b", "c"), (1, 2, 3), (np.inf, 4.0, np.inf)),
        NullSpace(("a", "b", "c"), (1, 2, 3), (np.inf, np.inf, 6.0)),
    )
    lines = {line[2:7]: line.split() for line in repr(both).split("\n")[2:]}
    assert lines["trace"] == ["trace", "0", "-0.015625"]
    assert lines["  oth"] == ["others,", "order", "of", "the", "loss", "3,", "loss", "constant", "3,", "order", "6.000"]
    found = both.to_dict()
    assert [mode["order"] for mode in found["plateau"]["zero_modes"]] == [None, 4.0, None]
    assert [mode["count"] for mode in found["manifold"]["zero_modes"]] == [1, 2, 3]
    assert (found["N"], found["escape_rate"], found["tangent_dimension"]) == (1000, 0.25, 3)


@pytest.mark.parametrize(("p", "p_star"), [(3, 2), (2, 2), (2, 3)])
def test_comparison_of_small_networks(p, p_star):
    both = hessian.compare(tsode.TeacherStudent(p, p_star, 0.3), 8)
    assert both.escape_rate == pytest.approx(4 / (p * p_star), rel=1e-12)
    used = min(p, p_star)  # the solutions are the frames of that many orthonormal vectors in max(p, p_star) dimensions
    assert both.tangent_dimension == both.manifold_modes.counts[0] == p * p_star - used * (used + 1) // 2
    assert both.plateau_modes.counts == (p * (8 - p - p_star) + p * (p - 1) // 2, 0)
    assert (both.N, both.points[0].p_star, both.plateau.dimension) == (8, p_star, 8 * p)


def test_no_plateau_no_comparison():
    model = tsode.TeacherStudent(2, 1, 0.1, student_readout=[0.0, 0.0])
    with pytest.raises(ValueError, match="`model` must have a plateau, but has none: the student"):
        hessian.gradient_flow_plateau(model)
    with pytest.raises(ValueError, match="`N` must be at least 3"):
        hessian.compare(tsode.TeacherStudent(2, 1, 0.1), 2)


# ---- along a trajectory


@pytest.mark.parametrize("arguments", [{"p": 1, "p_star": 1, "learning_rate": 0.1}, GENERAL])
def test_the_path_is_the_spectrum_at_every_time(arguments):
    model = tsode.TeacherStudent(**arguments)
    ode = tsode.integrate(model, tsode.Overlaps.random(model, 50, rng=1), [0.0, 1.0, 4.0, 9.0])
    path = hessian.along(ode, N=50)
    assert (path.N, path.tolerance) == (50, 1e-6)
    np.testing.assert_array_equal(path.alpha, ode.alpha)
    for name in ("index", "nullity", "lowest", "highest", "gradient_norm"):
        spectra = [hessian.population_spectrum(model, ode.overlaps(i), 50, 1e-6) for i in range(4)]
        np.testing.assert_array_equal(getattr(path, name), [getattr(spectrum, name) for spectrum in spectra])


def test_the_path_of_a_run_ends_where_the_run_ended():
    model = tsode.TeacherStudent(2, 1, 0.1)
    points = [tsode.Overlaps.random(model, 50, rng=seed) for seed in range(3)]
    M, Q = (np.stack([[getattr(point, name) for point in points]] * 2) for name in "MQ")
    M[1, 2], Q[1, 2] = np.nan, np.nan
    status, ends = np.array(["completed", "diverged"]), np.array([2.0, 1.5])
    runs = tsode.Trajectory(model, np.array([0.0, 1.0, 2.0]), M, Q, status, ends, N=50)
    assert len(hessian.along(runs, run=0).lowest) == 3
    early = hessian.along(runs, run=1)
    assert (early.alpha.tolist(), early.N) == ([0.0, 1.0], 50)
    assert early.lowest[1] == hessian.population_spectrum(model, points[1], 50).lowest
    assert hessian.along(runs, N=60, run=0).N == 60
    with pytest.raises(ValueError, match="`run` must be one of 2 runs"):
        hessian.along(runs)
    with pytest.raises(ValueError, match="`N` must be at least 3"):
        hessian.along(runs, N=2, run=0)
    with pytest.raises(TypeError, match="`trajectory` must be a Trajectory, but is SimpleNamespace"):
        hessian.along(types.SimpleNamespace(model=model))


def test_table_of_a_path_from_first_to_last_point():
    path = HessianPath(
        alpha=np.array([0.5, 1.0, 2.0, 3.0]),
        index=np.array([4, 9, 1200, 3]),
        nullity=np.zeros(4, int),
        lowest=np.array([-0.5, -0.25, -0.75, -0.125]),
        highest=np.ones(4),
        gradient_norm=np.array([0.1, 0.2, 0.3, 0.4]),
        N=1000,
        tolerance=1e-6,
    )
    assert repr(path).split("\n") == [
        "Population Hessian along a trajectory",
        "  time alpha         0.5 to 3, 4 points",
        "  input dimension N  1,000",
        "  index (negative)   4 to 3, at most 1,200",
        "  lowest eigenvalue  -0.5 to -0.125, at least -0.75",
        "  gradient norm      0.1 to 0.4",
    ]

"""The plateau beside the solutions, and the Hessian along a trajectory."""

import json
import types

import numpy as np
import pytest
from models import GENERAL
from tables import rows

import tsode
from tsode import hessian
from tsode.hessian import Comparison, HessianPath, NullSpace, Spectrum


@pytest.fixture
def model():
    return tsode.TeacherStudent(4, 2, 0.1)


# ---- plateau beside solutions


def test_plateau_beside_manifold(model):
    both = hessian.compare(model, 10**6)
    assert (both.plateau.verdict, both.manifold.verdict) == ("saddle", "marginal minimum")
    assert both.plateau.index == 8
    assert both.escape_rate == pytest.approx(-both.plateau.lowest, abs=1e-12)
    assert both.tangent_dimension == both.manifold_modes.counts[0] == 5
    assert both.manifold_modes.nullity == both.manifold.nullity
    assert both.plateau_modes.counts == (both.plateau.nullity, 0)


def test_the_learning_rate_and_the_noise_do_not_enter(model):
    first = hessian.compare(model, 100).to_dict()
    second = hessian.compare(model.replace(learning_rate=0.7, noise_variance=0.5), 100).to_dict()
    assert first.pop("model") != second.pop("model")
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ({"p": 2, "p_star": 3}, "marginal minimum"),
        ({"p": 1, "p_star": 1}, "strict minimum"),
        ({"p": 3, "p_star": 3, "constraint": "spherical"}, "marginal minimum"),
        ({"p": 3, "p_star": 2, "teacher_overlap": [[1.0, 0.3], [0.3, 0.8]]}, "marginal minimum"),
    ],
)
def test_other_models(arguments, verdict):
    both = hessian.compare(tsode.TeacherStudent(learning_rate=0.1, **arguments), 50)
    assert both.plateau.verdict == "saddle"
    assert both.manifold.verdict == verdict
    assert both.manifold_modes.counts[0] == both.tangent_dimension
    assert both.escape_rate == pytest.approx(-both.plateau.lowest, abs=1e-12)


@pytest.mark.parametrize(("p", "p_star"), [(3, 2), (2, 2), (2, 3)])
def test_comparison_of_small_networks(p, p_star):
    both = hessian.compare(tsode.TeacherStudent(p, p_star, 0.3), 8)
    assert both.escape_rate == pytest.approx(4 / (p * p_star), rel=1e-12)
    used = min(p, p_star)  # the solutions are the frames of that many orthonormal vectors in max(p, p_star) dimensions
    assert both.tangent_dimension == both.manifold_modes.counts[0] == p * p_star - used * (used + 1) // 2
    assert both.plateau_modes.counts == (p * (8 - p - p_star) + p * (p - 1) // 2, 0)
    assert (both.N, both.points[0].p_star, both.plateau.dimension) == (8, p_star, 8 * p)


def test_rotation_says_which_solution():
    """With unequal readouts the solutions have different spectra, and each its own tangents."""
    model = tsode.TeacherStudent(3, 2, 0.1, student_readout=[0.5, 0.3, 0.2])
    rotation = tsode.manifold.random_rotation(model, 1)
    default, both = hessian.compare(model, 50), hessian.compare(model, 50, rotation)
    point = tsode.manifold.solution(model, rotation)
    np.testing.assert_array_equal(both.points[1].M, point.M)
    wanted = hessian.population_spectrum(model, point, 50)
    np.testing.assert_allclose(both.manifold.expanded, wanted.expanded, rtol=0, atol=1e-12)
    assert np.abs(both.manifold.expanded - default.manifold.expanded).max() > 0.1
    assert both.manifold_modes.counts[0] == both.tangent_dimension == 3
    np.testing.assert_array_equal(both.plateau.values, default.plateau.values)


def test_bad_input(model):
    with pytest.raises(TypeError, match="`model`"):
        hessian.compare(4, 100)
    with pytest.raises(ValueError, match="`N`"):
        hessian.compare(model, 5)
    with pytest.raises(ValueError, match="`rotation`"):
        hessian.compare(model, 100, rotation=np.ones((4, 2)))


def test_no_plateau_no_comparison():
    model = tsode.TeacherStudent(2, 1, 0.1, student_readout=[0.0, 0.0])
    with pytest.raises(ValueError, match="`model` must have a plateau, but has none: the student"):
        hessian.gradient_flow_plateau(model)
    with pytest.raises(ValueError, match="`N` must be at least 3"):
        hessian.compare(tsode.TeacherStudent(2, 1, 0.1), 2)


def comparison(plateau, manifold, plateau_modes, manifold_modes):
    model = tsode.TeacherStudent(2, 1, 0.1)
    both = Comparison(model, 1000, (), plateau, manifold, 3, 0.25)
    vars(both).update(plateau_modes=plateau_modes, manifold_modes=manifold_modes)  # else sorted when first asked for
    return both


def test_tables_and_dictionary(model):
    both = hessian.compare(model, 1000)
    text, page = repr(both), both._repr_html_()
    for word in ("saddle", "marginal minimum", "-0.5 x 8", "order 4.000", "solution manifold"):
        assert word in text
        assert word in page
    found = json.loads(json.dumps(both.to_dict(), allow_nan=False))
    assert found["plateau"]["multiplicities"] == both.plateau.multiplicities.tolist()
    assert found["manifold"]["zero_modes"][1]["count"] == 2 * 998
    assert (found["N"], found["escape_rate"], found["tangent_dimension"]) == (1000, both.escape_rate, 5)


def test_table_of_a_comparison_lists_eight_values_and_abbreviates_nine():
    names = ("known", "others")
    both = comparison(
        Spectrum(np.arange(9.0) - 3, np.arange(9) + 1, 0.125),
        Spectrum([-0.25, 0.0, 1, 2, 3, 4, 5, 6], tolerance=0.25 / 6),
        NullSpace(names, (4, 1500), (np.inf, 3.0)),
        NullSpace(names, (2, 0), (np.inf, np.nan)),
    )
    found = rows(both)
    assert found["verdict"] == ["not a critical point", "marginal minimum"]
    assert found["index (negative)"] == ["6", "0"]
    assert found["nullity"] == ["4", "2"]
    assert found["rotations | tangent"] == ["4", "2"]
    assert found["others, order of the loss"] == ["1,500, order 3.000", "0"]
    assert found["trace"] == ["105", "20.75"]
    assert repr(both).count(" x ") == 8 + 8  # nine values, of which one is left out, and eight
    assert repr(both).count("...") == 1


def test_a_trace_of_rounding_size_and_constant_others_in_the_table():
    both = comparison(
        Spectrum([-1.0, 1.0 - 2**-7], tolerance=2**-8),  # the trace is minus just what two zeros may add up to
        Spectrum([-1.0, 1.0 - 2**-6], tolerance=2**-8),
        NullSpace(("a", "b", "c"), (1, 2, 3), (np.inf, 4.0, np.inf)),
        NullSpace(("a", "b", "c"), (1, 2, 3), (np.inf, np.inf, 6.0)),
    )
    assert rows(both)["trace"] == ["0", "-0.015625"]
    assert rows(both)["others, order of the loss"] == ["3, loss constant", "3, order 6.000"]
    found = both.to_dict()
    assert [mode["order"] for mode in found["plateau"]["zero_modes"]] == [None, 4.0, None]
    assert [mode["count"] for mode in found["manifold"]["zero_modes"]] == [1, 2, 3]


# ---- along a trajectory


def test_along_a_trajectory_from_plateau_to_solution(model):
    saddle, rate = hessian.gradient_flow_plateau(model)
    start = tsode.Overlaps(saddle.M + 1e-4 * np.eye(4, 2), saddle.Q + 1e-6 * np.eye(4))
    ode = tsode.integrate(model, start, [0.0, 40.0, 400.0, 4000.0], rtol=1e-11, atol=1e-13, gradient_flow=True)
    path = hessian.along(ode, N=1000)
    np.testing.assert_array_equal(path.alpha, ode.alpha)
    assert path.lowest[0] == pytest.approx(-rate, abs=1e-3)
    assert path.index[0] == 8
    assert path.lowest[-1] == pytest.approx(0.0, abs=1e-2)
    assert np.all(np.diff(path.gradient_norm[-2:]) < 0)
    # late, two surplus units decay as 1/alpha: their 998 directions are nearly flat, the other two stiff
    assert path.highest[-1] == pytest.approx(2.0, rel=0.05)


def test_along_a_simulated_run(model):
    sgd = tsode.simulate(model, None, [0.0, 1.0], N=60, runs=2, seed=1, engine="weights")
    path = hessian.along(sgd, run=1)
    assert path.N == 60
    single = hessian.population_spectrum(model, sgd.overlaps(1, run=1), 60, tolerance=path.tolerance)
    assert (path.index[1], path.lowest[1]) == (single.index, single.lowest)
    assert "index" in repr(path)
    assert "<table>" in path._repr_html_()


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


def test_bad_trajectories(model):
    ode = tsode.integrate(model, tsode.Overlaps.random(model, 100, rng=0), [0.0, 1.0])
    with pytest.raises(TypeError, match="`trajectory`"):
        hessian.along(model)
    with pytest.raises(ValueError, match="`N` must be given"):
        hessian.along(ode)
    with pytest.raises(ValueError, match="`run`"):
        hessian.along(ode, N=100, run=0)


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
    assert rows(path) == {
        "time alpha": ["0.5 to 3, 4 points"],
        "input dimension N": ["1,000"],
        "index (negative)": ["4 to 3, at most 1,200"],
        "lowest eigenvalue": ["-0.5 to -0.125, at least -0.75"],
        "gradient norm": ["0.1 to 0.4"],
    }


@pytest.mark.slow
def test_wide_students():
    p, p_star, N = 256, 2, 10**6
    both = hessian.compare(tsode.TeacherStudent(p, p_star, 0.1), N)
    plateau = [p * p_star, p * (N - p - p_star) + p * (p - 1) // 2, p * (p + 1) // 2 - 1, 1]
    manifold = [(p - p_star) * N + 1, p_star * (N - p_star), 2, 1]
    assert both.plateau.multiplicities.tolist() == plateau
    assert both.manifold.multiplicities.tolist() == manifold
    rate = 4 / (p * p_star)
    np.testing.assert_allclose(both.plateau.lowest, -rate, rtol=1e-12)
    np.testing.assert_allclose(both.manifold.values, [0, rate, 2 * rate, (p_star + 2) * rate], rtol=1e-12, atol=1e-15)
    assert "tangent" not in repr(both)  # it takes a dense matrix
    assert both.to_dict()["plateau"]["zero_modes"] == []

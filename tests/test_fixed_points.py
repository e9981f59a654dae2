"""The branches of fixed points, formula by formula, against the plain ODEs and against what defines each limit."""

from functools import cache

import numpy as np
import pytest
from models import all_of
from reference import derivatives
from test_plateaus import MODELS

import tsode
from tsode.activations.quadratic.fixed_points import Branch, EqualBranch, FollowedBranch, SphericalBranch, branch_of

P = [[1.0, 0.3], [0.3, 0.8]]
EQUAL = {
    "positive": tsode.TeacherStudent(4, 2, 0.2, 0.3, [0.7] * 4, [0.9, 0.4], P),
    "negative": tsode.TeacherStudent(3, 2, 0.2, 0.1, [-0.4] * 3, [-0.5, -0.3]),
    "much noise": tsode.TeacherStudent(3, 2, 0.01, 9.0, [0.6] * 3, [0.8, 0.3], P),
    "traceless": tsode.TeacherStudent(2, 2, 0.3, 2.0, None, [0.5, -0.5]),
    "one unit": tsode.TeacherStudent(1, 2, 0.05, 0.1, [0.8]),
    "escape ends just before": tsode.TeacherStudent(1, 1, 0.05, 10.0),
}
FOLLOWED = {
    "unequal": tsode.TeacherStudent(3, 2, 0.2, 0.05, [0.5, 0.3, 0.2], [0.7, 0.4], P),
    "mixed signs": tsode.TeacherStudent(3, 2, 0.2, 0.1, [0.5, 0.3, -0.2], [0.7, 0.4]),
    "escape ends": tsode.TeacherStudent(3, 2, 0.01, 10.0, [0.36, 0.33, 0.3], [0.1, 0.18]),
    "opposed": tsode.TeacherStudent(2, 2, 0.3, 0.1, None, [-0.5, -0.3]),
    "one at rest": tsode.TeacherStudent(3, 1, 0.2, 0.1, [0.5, 0.3, 0.0]),
    "one dies": tsode.TeacherStudent(2, 2, 0.1, 0.1, [-0.93, -0.14], [0.56, -1.03]),
    "one of three dies": tsode.TeacherStudent(3, 1, 0.05, 10.0, [0.12, 0.56, 0.86], [1.12]),
}
SPHERICAL = {
    "sphere, equal": tsode.TeacherStudent(4, 2, 0.4, 0.1, constraint="spherical"),
    "sphere, noisy": tsode.TeacherStudent(4, 2, 0.4, 10.0, constraint="spherical"),
    "sphere, unequal": tsode.TeacherStudent(3, 2, 0.2, 0.1, [0.3, 0.5, 0.2], [0.7, 0.4], P, constraint="spherical"),
    "sphere, negative": tsode.TeacherStudent(2, 2, 0.2, 0.1, [-0.3, -0.9], [-0.7, 0.4], constraint="spherical"),
    "sphere, two at rest": tsode.TeacherStudent(
        4, 2, 0.2, 3.0, [0.5, 0.4, 0.0, 0.0], [0.7, 0.4], constraint="spherical"
    ),
    "sphere, no end": tsode.TeacherStudent(3, 2, 0.2, 5.0, [0.5, 0.2, 0.1], [1.2, 0.5], constraint="spherical"),
    "sphere, small units": tsode.TeacherStudent(3, 2, 0.2, 0.0, [0.1, 1.0, 0.3], [1.7, 0.5], constraint="spherical"),
    "sphere, loud": tsode.TeacherStudent(3, 2, 0.01, 50.0, [0.4, 0.7, 0.6], [1.8, 1.9], constraint="spherical"),
    "sphere, opposed": tsode.TeacherStudent(2, 2, 0.1, 0.1, None, [-0.5, -0.3], constraint="spherical"),
}


branch_for = cache(branch_of)  # a followed branch takes a moment


def generic_point(model, seed=3):
    """A point y that is no fixed point, its rows all alive; v = 0 counts as q = 1."""
    q = np.random.default_rng(seed).uniform(0.4, 1.6, model.p)
    return np.ones(model.p) if model.spherical else q


def slopes_of_M(model, q, gradient_flow=False):
    """The largest growth rate of an infinitesimal M at Q = diag(q), column by column from the plain ODE."""
    shape, h = (model.p, model.p_star), 1e-7
    units = h * np.eye(model.p * model.p_star).reshape(-1, *shape)
    columns = [derivatives(model, M, np.diag(q), gradient_flow)[0].ravel() / h for M in units]
    return np.linalg.eigvals(np.array(columns).T).real.max()


def slopes_of_angles(model, q):
    """d(dQ_kl/dalpha)/dQ_kl off the diagonal at M = 0, Q = diag(q), by central differences of the plain ODE."""
    rates, h, M = np.zeros((model.p, model.p)), 1e-4, np.zeros((model.p, model.p_star))
    for k, l in zip(*np.triu_indices(model.p, 1)):
        e = np.zeros((model.p, model.p))
        e[k, l] = e[l, k] = h
        difference = derivatives(model, M, np.diag(q) + e)[1] - derivatives(model, M, np.diag(q) - e)[1]
        rates[k, l] = rates[l, k] = difference[k, l] / (2 * h)
    return rates


def at(model, eta):
    return model.replace(learning_rate=float(eta))


@all_of({**EQUAL, **FOLLOWED})
@pytest.mark.parametrize("gradient_flow", [False, True])
def test_rates_of_norms_are_those_of_the_plain_ode(model, gradient_flow):
    """dQ_kk/dalpha = 4 eta v_k Q_kk f_k at any point, not at fixed points alone."""
    q, v, branch = generic_point(model), model.student_readout, Branch(model)
    dM, dQ = derivatives(model, np.zeros((model.p, model.p_star)), np.diag(q), gradient_flow)
    f = branch.growth(0.0 if gradient_flow else model.learning_rate, v * q)
    np.testing.assert_allclose(np.diag(4 * model.learning_rate * v * q * f), dQ, rtol=1e-12, atol=1e-13)
    assert not dM.any()


@all_of({**EQUAL, **FOLLOWED})
def test_jacobian_of_the_norms_is_the_slope_of_their_rates(model):
    """f is a polynomial of degree 2, so that central differences are exact."""
    y, eta, branch = np.linspace(-0.4, 0.9, model.p), 0.7, Branch(model)
    steps = 0.5 * np.eye(model.p)
    slopes = np.array([branch.growth(eta, y + e) - branch.growth(eta, y - e) for e in steps]).T
    np.testing.assert_allclose(branch.growth_jacobian(eta, y), slopes, rtol=0, atol=1e-12)


@all_of({**EQUAL, **FOLLOWED, **SPHERICAL})
@pytest.mark.parametrize("gradient_flow", [False, True])
def test_escape_rate_is_the_growth_of_a_small_M(model, gradient_flow):
    q = generic_point(model)
    rate = Branch(model).escape_rate(model.learning_rate, model.student_readout * q, gradient_flow)
    assert rate == pytest.approx(slopes_of_M(model, q, gradient_flow), rel=1e-8, abs=1e-9)


@all_of({**EQUAL, **FOLLOWED})
def test_rates_of_angles_are_those_of_the_plain_ode(model):
    q = generic_point(model)
    found = 2 * model.learning_rate * Branch(model).angle_growth(model.learning_rate, model.student_readout * q)
    np.testing.assert_allclose(found, slopes_of_angles(model, q), rtol=0, atol=1e-7)


def test_escape_rate_is_that_of_sgd_by_default():
    branch, y = SphericalBranch(SPHERICAL["sphere, noisy"]), np.full(4, 0.25)
    assert branch.escape_rate(0.4, y) == branch.escape_rate(0.4, y, False) != branch.escape_rate(0.4, y, True)


def test_norms_of_rows_at_rest_count_as_one():
    model = FOLLOWED["unequal"].replace(student_readout=[0.5, 0.0, -1.0])
    q = Branch(model).norms(np.array([0.2, 0.0, 0.0]))
    assert q.tolist() == [0.4, 1.0, 0.0]
    assert not np.signbit(q).any()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, EqualBranch),
        ({"p": 1}, EqualBranch),
        ({"teacher_readout": [0.5, -0.5]}, EqualBranch),  # T_1 = 0
        ({"student_readout": [-1, -1, -1], "teacher_readout": [-1, -1]}, EqualBranch),
        ({"teacher_readout": [-0.01, -0.02]}, FollowedBranch),
        ({"student_readout": [1.0, 0.0, 1.0]}, FollowedBranch),
        ({"student_readout": [1.0, 0.0, 1.0], "constraint": "spherical"}, SphericalBranch),
        ({"student_readout": [0.0, 0.0, 0.0], "constraint": "spherical"}, Branch),
        ({"teacher_readout": [0.0, 0.0]}, Branch),
    ],
)
def test_every_model_has_its_branch(changes, kind):
    assert type(branch_of(tsode.TeacherStudent(**{"p": 3, "p_star": 2, "learning_rate": 0.1, **changes}))) is kind


def test_without_output_there_is_nothing_and_a_reason():
    branch = branch_of(tsode.TeacherStudent(3, 2, 0.1, teacher_readout=[0.0, 0.0]))
    assert branch.point(0.1) is None
    for name in ("end", "escape", "fastest"):
        assert np.isnan(getattr(branch, name))
        assert "puts out zero" in branch.reasons[name]


@pytest.mark.quick(7)
@pytest.mark.parametrize(("a", "b"), [(200.0, 0.01)])
@all_of({**EQUAL, **FOLLOWED})
def test_units_of_the_outputs(model, a, b):
    """With v -> a v, v* -> b v*, Delta -> b^2 Delta the branch is the same in y / b and in eta a b."""
    scaled = model.replace(
        student_readout=a * model.student_readout, teacher_readout=b * model.teacher_readout,
        noise_variance=b * b * model.noise_variance,
    )  # fmt: skip
    branch, other = branch_for(model), branch_of(scaled)
    assert type(branch) is type(other)
    assert other.reasons == branch.reasons
    assert other.scale == pytest.approx(a * b * branch.scale, rel=1e-12)
    for name, accuracy in (("end", 1e-11), ("escape", 1e-11), ("fastest", 1e-6)):
        assert getattr(other, name) * a * b == pytest.approx(getattr(branch, name), rel=accuracy, nan_ok=True)
    eta = 0.3 * branch.end
    np.testing.assert_allclose(other.point(eta / (a * b)), b * branch.point(eta), rtol=1e-10)


@all_of(EQUAL)
def test_closed_form_ends_where_two_fixed_points_meet(model):
    branch = EqualBranch(model)
    for eta in branch.end * np.array([0.0, 1e-6, 0.3, 0.999]):
        np.testing.assert_allclose(branch.growth(eta, branch.point(eta)), 0.0, atol=1e-13)
        assert np.linalg.eigvals(branch.growth_jacobian(eta, branch.point(eta))).real.max() < 0
    y = branch.point(branch.end)
    np.testing.assert_allclose(branch.growth(branch.end, y), 0.0, atol=1e-13)
    assert abs(np.linalg.eigvals(branch.growth_jacobian(branch.end, y)).real).min() < 1e-6
    assert branch.point(branch.end * (1 + 1e-9)) is None


@all_of({**EQUAL, **FOLLOWED, **SPHERICAL})
def test_escape_ends_and_is_fastest_where_the_rate_says_so(model):
    """Against the escape rate on a grid of learning rates up to the end of the branch."""
    branch = branch_for(model)
    end = branch.end if np.isfinite(branch.end) else 1.5 * branch.escape
    etas = end * np.linspace(0.0, 1.0, 51)[1:]
    rates = np.array([branch.escape_rate(eta, branch.point(eta)) for eta in etas])
    if not rates.max() > 0:
        assert "M decays" in branch.reasons["escape"]
        assert "M decays" in branch.reasons["fastest"]
        return
    best = branch.escape_rate(branch.fastest, branch.point(branch.fastest))
    assert best >= rates.max() * (1 - 1e-12)
    for eta in (0.999 * branch.fastest, min(1.001 * branch.fastest, branch.end)):
        assert branch.escape_rate(eta, branch.point(eta)) <= best
    if rates[-1] > 0:
        assert "M grows at every" in branch.reasons["escape"]
        return
    assert (rates[etas < branch.escape] > 0).all()
    assert (rates[etas > branch.escape] <= 0).all()  # rows at rest keep their M
    assert branch.escape_rate(branch.escape, branch.point(branch.escape)) == pytest.approx(0.0, abs=1e-11 * best)


@all_of(SPHERICAL)
def test_rows_on_the_sphere_align_from_the_end_on(model):
    branch, q = SphericalBranch(model), np.ones(model.p)
    if branch.end == np.inf:
        assert max(slopes_of_angles(at(model, eta), q).max() for eta in (1e-2, 1.0, 100.0)) <= 0
        return
    below, end, above = (slopes_of_angles(at(model, x * branch.end), q) for x in (0.999, 1.0, 1.001))
    assert below.max() <= 0
    assert end.max() == pytest.approx(0.0, abs=1e-7)
    assert above.max() > 1e-5
    assert branch.point(branch.end).tolist() == model.student_readout.tolist()
    assert branch.point(branch.end * (1 + 1e-12)) is None


def test_one_row_on_the_sphere_has_no_angle():
    branch = SphericalBranch(tsode.TeacherStudent(1, 2, 0.3, 0.1, [0.5], [0.7, 0.4], constraint="spherical"))
    assert branch.end == np.inf
    assert branch.escape_rate(branch.escape, branch.v) == pytest.approx(0.0, abs=1e-14)
    assert branch.fastest == pytest.approx(branch.escape / 2, rel=1e-14)  # a parabola in eta


def test_fastest_row_on_the_sphere_where_another_is_still_speeding_up_at_the_end():
    """Row 1 is fastest at the end, rows 0 and 2 before; row 2 is the fastest of all."""
    model = tsode.TeacherStudent(3, 1, 0.1, 0.0, [0.9, 0.14, 0.84], [0.74], constraint="spherical")
    branch = SphericalBranch(model)
    etas = np.linspace(0, branch.end, 2001)[1:]
    rates = np.array([branch.escape_rate(eta, branch.point(eta)) for eta in etas])
    assert branch.fastest == pytest.approx(etas[np.argmax(rates)], rel=1e-3)
    assert branch.fastest < 0.5 * branch.end


@all_of(FOLLOWED)
def test_followed_branch_begins_in_gradient_flow(model):
    """At eta = 0: y = T_1 / (n + 2) in each of the n rows of the sign of T_1, and 0 elsewhere."""
    branch = branch_for(model)
    T1 = model.teacher_readout @ np.diagonal(model.teacher_overlap)
    alive = np.sign(model.student_readout) == np.sign(T1)
    np.testing.assert_allclose(branch.point(0.0), np.where(alive, T1 / (alive.sum() + 2), 0.0), rtol=1e-14)


@pytest.mark.parametrize("name", ["one dies", "one of three dies"])
def test_followed_branch_goes_on_where_a_row_dies(name):
    dead = (np.array(branch_for(FOLLOWED[name]).points) == 0).sum(axis=1)
    assert dead[0] == 0
    assert dead[-1] == 1


@pytest.mark.quick(1)
@pytest.mark.parametrize("readout", [[0.21, -0.57], [0.5, 0.5]])
def test_teacher_without_trace_but_for_rounding(readout):
    """Its T_1 may be a rounding error of either sign: the branch is that of T_1 = 0."""
    wanted = None
    for last in (-(0.59 - 1.11), 0.52, 0.52 + 2e-16, 0.52 + 1e-13, 0.52 - 1e-13):
        branch = branch_of(tsode.TeacherStudent(2, 3, 0.2, 1.0, readout, [0.59, -1.11, last]))
        found = [branch.end, branch.escape, branch.escape_rate(0.2, branch.point(0.2)), *branch.point(0.2)]
        wanted = wanted or found
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


@all_of(FOLLOWED)
def test_followed_branch_attracts_up_to_its_end(model):
    """Each point is at rest, with norms not negative, and no row that is dead would grow."""
    branch, M = branch_for(model), np.zeros((model.p, model.p_star))
    for eta in branch.end * np.array([1e-3, 0.2, 0.5, 0.9, 1.0]):
        y = branch.point(eta)
        q = branch.norms(y)
        assert (q >= 0).all()
        np.testing.assert_allclose(derivatives(at(model, eta), M, np.diag(q))[1], 0.0, atol=1e-12)
        dead = (y == 0) & (model.student_readout != 0)
        assert (model.student_readout * branch.growth(eta, y))[dead].max(initial=-1.0) <= 0
    assert branch.point(branch.end * (1 + 1e-9)) is None


@pytest.mark.parametrize(("v", "noise", "dies"), [([0.5, 0.3, -0.4], 0.1, False), ([1.0, 0.9, 0.05], 10.0, True)])
def test_last_row_dies_or_comes_alive_where_its_growth_changes_sign(v, noise, dies):
    """At y = 0 it grows as v f with f = -t + eta v E: noise feeds rows of the wrong sign, and starves weak ones."""
    branch = branch_for(tsode.TeacherStudent(3, 2, 0.1, noise, v, [0.3, 0.2]))
    etas = np.linspace(0.0, branch.end, 101)[1:]
    y = np.array([branch.point(eta) for eta in etas])
    dead = y[:, 2] == 0
    assert np.flatnonzero(np.diff(dead)).size == 1
    assert (dead[0], dead[-1]) == (not dies, dies)
    t = y.sum(axis=1) - 0.5
    growth = v[2] * (-t + etas * v[2] * (t**2 + 2 * (np.square(y).sum(axis=1) + 0.3**2 + 0.2**2) + noise))
    assert growth[dead].max() < 0
    assert np.ptp(growth[dead]) > 5 * abs(growth[dead].max())  # it vanishes at the switch
    assert (y[~dead, 2] * v[2] > 0).all()


def test_attraction_is_that_of_the_plain_ode():
    """At every zero of f that Newton's method finds: Q returns there if and only if the Jacobian says so."""
    model = tsode.TeacherStudent(3, 2, 0.2, 0.3, [0.5, 0.35, -0.25], [0.7, 0.4], P)
    branch, rng, upper, seen = branch_for(model), np.random.default_rng(1), np.triu_indices(3), set()
    M, h = np.zeros((3, 2)), 1e-5
    directions = [np.maximum(e, e.T) for e in (np.outer(*np.eye(3)[[k, l]]) for k, l in zip(*upper))]
    for _ in range(60):
        eta = branch.end * rng.uniform(0.3, 1.0)
        y = branch._newton(eta, rng.uniform(0.0, 2.0, 3) * model.student_readout, np.full(3, True))
        if y is None:
            continue
        Q, here = np.diag(branch.norms(y)), at(model, eta)
        slopes = [derivatives(here, M, Q + h * e)[1] - derivatives(here, M, Q - h * e)[1] for e in directions]
        largest = np.linalg.eigvals(np.array([slope[upper] for slope in slopes]).T / (2 * h)).real.max()
        if abs(largest) > 1e-5:
            assert branch._attracts(eta, y, np.full(3, True)) == (largest < 0)
            seen.add(bool(largest < 0))
    assert seen == {True, False}


def test_newton_keeps_dead_rows_dead_and_gives_up_where_there_is_no_zero():
    branch = branch_for(FOLLOWED["unequal"])
    assert branch._newton(1.5 * branch.end, branch.points[-1], np.full(3, True)) is None
    y = branch._newton(0.3 * branch.end, np.array([0.4, 0.3, 0.2]), np.array([True, False, True]))
    f = branch.growth(0.3 * branch.end, y)
    assert y[1] == 0
    assert abs(f[1]) > 0.1
    np.testing.assert_allclose(f[[0, 2]], 0.0, atol=1e-13)


def test_newton_gives_up_where_the_jacobian_is_singular():
    """p = 1, T_1 = 0, at eta v = 1: f' = -3 + 30 y vanishes at y = 1/10, where f does not."""
    branch = FollowedBranch(tsode.TeacherStudent(1, 2, 0.1, 0.3, [1.0], [0.5, -0.5]))
    assert branch._newton(1.0, np.array([0.1]), np.array([True])) is None


@pytest.mark.parametrize("readout", [[0.6, 0.4], [0.5, 0.2, 0.3]])
def test_followed_branch_escapes_fastest_where_it_says(readout):
    """No learning rate of a fine grid escapes faster, and those on both sides nearby escape more slowly."""
    branch = FollowedBranch(tsode.TeacherStudent(len(readout), 2, 0.1, student_readout=readout))

    def rate(eta):
        return branch.escape_rate(eta, branch.point(eta))

    best = rate(branch.fastest)
    assert best > 0
    assert best >= max(rate(eta) for eta in np.linspace(0.01, 1, 40) * branch.end)
    assert 0.05 < branch.fastest / branch.end < 0.95
    for factor in (0.99, 1.01):
        assert rate(factor * branch.fastest) < best


@all_of({name: MODELS[name] for name in ("default", "noisy", "underparameterised", "one student", "negative outputs")})
def test_closed_form_agrees_with_the_followed_branch(model):
    closed, followed = EqualBranch(model), FollowedBranch(model)
    assert followed.end == pytest.approx(closed.end, rel=1e-11)
    assert followed.escape == pytest.approx(closed.escape, rel=1e-11, nan_ok=True)
    assert followed.fastest == pytest.approx(closed.fastest, rel=1e-6)
    for eta in np.linspace(0.05, 0.95, 5) * closed.end:
        np.testing.assert_allclose(followed.point(eta), closed.point(eta), rtol=1e-11)

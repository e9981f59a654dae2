"""Fixed points of any model: against closed forms, formulas of the literature, and the ODE itself."""

from itertools import permutations

import numpy as np
import pytest
from models import all_of
from test_averages import Tanh
from test_plateaus import MODELS, at, flatten, jacobian, right_hand_side

import tsode
from tsode.activations import Activation, Erf
from tsode.plateaus.symmetric_states import basis, changes, orbits


class ErfByQuadrature(Erf):
    """The error function, by an activation of the user's own that knows no averages."""

    name = "slow erf"
    averages, pair, pair_slopes = Activation.averages, Activation.pair, Activation.pair_slopes


def committee(K, eta, **more):
    """Soft committee machines of K units, those of Saad & Solla."""
    return tsode.TeacherStudent(K, K, eta, student_readout=[1] * K, teacher_readout=[1] * K, activation="erf", **more)


def alike(K, off=0.05):
    """Students all alike, but for norms of their own: near the plateau of small learning rates."""
    R, C = 1 / np.sqrt(K * (2 * K - 1)), 1 / (2 * K - 1)
    return tsode.Overlaps(np.full((K, K), R), C + off * np.eye(K))


def specialisation(model, point):
    """The rate of the perturbations of M whose rows and columns sum to zero, as averages over two units."""
    s, eta, v, v_star = model.activation, model.learning_rate, model.student_readout[0], model.teacher_readout[0]
    M, Q = point.overlaps.M, point.overlaps.Q
    q, P = Q[0, 0], np.eye(model.p_star)
    own, others = s.pair_slopes(s, q, Q[0], q), s.pair_slopes(s, q, M[0], P[0, 0])
    error_curvature = 2 * (v * own[0].sum() - v_star * others[0].sum())
    curvatures = s.pair_curvatures(s, q, M[0, 0], 1.0)[3]
    return -eta * v * (error_curvature + v * (own[1][0] - own[1][1]) - v_star * curvatures)


def physical(model, J):
    """Eigenvalues of a Jacobian of all entries of M and Q, for symmetric Q alone and, on the sphere, fixed norms."""
    n, (k, l) = model.p * model.p_star, np.triu_indices(model.p, 1 if model.spherical else 0)
    E = np.zeros((n + model.p**2, n + len(k)))
    E[np.arange(n), np.arange(n)] = 1
    E[n + model.p * k + l, n + np.arange(len(k))] = E[n + model.p * l + k, n + np.arange(len(k))] = 1
    return np.linalg.eigvals(np.linalg.pinv(E) @ J @ E)


@pytest.mark.quick(10)
@all_of(MODELS)
@pytest.mark.parametrize("factor", [0.1, 0.5, 0.9, None])
def test_plateau_of_the_square_is_the_closed_one(model, factor):
    flow = factor is None
    if not flow and model.spherical and not np.isfinite(tsode.plateau(model).max_learning_rate):
        factor = None
    model = model if factor is None else at(model, factor, "max_learning_rate")
    closed = tsode.plateau(model, flow)
    Q = closed.overlaps.Q if model.spherical else 0.95 * closed.overlaps.Q + 1e-4 * np.eye(model.p)
    found = tsode.fixed_point(model, tsode.Overlaps(closed.overlaps.M, Q, model.teacher_overlap), gradient_flow=flow)
    np.testing.assert_allclose(flatten(found.overlaps), flatten(closed.overlaps), rtol=0, atol=1e-8)
    assert found.loss == pytest.approx(closed.loss, rel=1e-9)
    scale = np.abs(found.eigenvalues).max()
    rates = found.eigenvalues.real if closed.escape_rate < 0 else found.escape_rate  # Q may decay more slowly than M
    assert np.abs(rates - closed.escape_rate).min() <= 1e-6 * abs(closed.escape_rate) + 1e-9 * scale
    wanted = physical(model, jacobian(right_hand_side(model, flow), flatten(found.overlaps)))
    np.testing.assert_allclose(found.eigenvalues.real, np.sort(wanted.real)[::-1], rtol=0, atol=1e-7 * scale)
    assert found.verdict == ("saddle" if closed.escape_rate > 1e-6 * scale else "stable")


@pytest.mark.parametrize(
    ("eta", "Q", "C", "R", "loss", "rate"),
    [
        (0.1, 0.33882385, 0.33203125, 0.40923453, 0.01208524, 0.06531582),
        (0.5, 0.36771970, 0.32538555, 0.41439415, 0.01464485, 0.06323632),
        (1.0, 0.43508495, 0.31021282, 0.42613831, 0.02065653, 0.05914044),
        (2.0, 1.08102877, 0.13297233, 0.52022968, 0.06517425, 0.03588617),
    ],
)
def test_symmetric_plateau_of_two_committee_machines(eta, Q, C, R, loss, rate):
    """Roots of the four equations for students all alike, by another program."""
    found = tsode.fixed_point(committee(2, eta), alike(2), relax=30.0)
    np.testing.assert_allclose(found.overlaps.Q, [[Q, C], [C, Q]], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.overlaps.M, R, rtol=0, atol=1e-8)
    assert found.loss == pytest.approx(loss, abs=1e-8)
    assert found.escape_rate / eta == pytest.approx(rate, abs=1e-8)
    assert (found.verdict, found.unstable) == ("saddle", 1)
    np.testing.assert_allclose(flatten(tsode.plateau(committee(2, eta)).overlaps), flatten(found.overlaps), atol=1e-9)


@pytest.mark.parametrize("K", [2, 3])
def test_gradient_flow_rests_where_saad_and_solla_say(K):
    """There students merge so slowly that rates which vanish are right to the root of rounding only."""
    model = committee(K, 0.3)
    found = tsode.fixed_point(model, alike(K), gradient_flow=True)
    np.testing.assert_allclose(flatten(found.overlaps), flatten(alike(K, off=0.0)), rtol=0, atol=1e-6)
    assert found.loss == pytest.approx(K / np.pi * (np.pi / 6 - K * np.arcsin(1 / (2 * K))), abs=1e-7)
    rate = 2 / np.pi * K * (2 * K - 1) ** -0.5 * (2 * K + 1) ** -1.5
    assert found.escape_rate / 0.3 == pytest.approx(rate, rel=1e-6)
    assert found.unstable == (K - 1) ** 2


@pytest.mark.parametrize(("K", "eta"), [(2, 0.7), (3, 0.4), (3, 1.0)])
def test_students_specialise_at_the_rate_found(K, eta):
    """The rate is that of the formula, and that at which the ODE leaves the plateau."""
    model = committee(K, eta, noise_variance=0.02)
    plateau = tsode.plateau(model)
    found = tsode.fixed_point(model, plateau.overlaps)
    assert found.residual < 1e-13
    assert plateau.escape_rate == pytest.approx(specialisation(model, found), rel=1e-8)
    start = tsode.Overlaps(found.overlaps.M + 1e-7 * (np.eye(K) - 1 / K), found.overlaps.Q)
    ode = tsode.integrate(model, start, [0.0, 5 / found.escape_rate], rtol=1e-11, atol=1e-16)
    apart = ode.M[:, 0, 0] - ode.M[:, 0, 1]
    assert np.log(apart[1] / apart[0]) == pytest.approx(5.0, rel=1e-5)


@pytest.mark.parametrize("constraint", ["free", "spherical"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_end_of_committee_machines(constraint, noise):
    """The ODE ends where Newton's method did; without noise that is the teacher."""
    model = committee(2, 0.5, noise_variance=noise, constraint=constraint)
    start = tsode.Overlaps([[0.9, 0.1], [0.05, 0.8]], np.eye(2))
    found = tsode.fixed_point(model, start)
    assert found.verdict == "stable"
    ode = tsode.integrate(model, start, [0.0, 40 / -found.escape_rate], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(flatten(found.overlaps), flatten(ode.overlaps(-1)), rtol=0, atol=1e-7)
    assert found.loss == pytest.approx(noise / 2 + found.excess_loss)
    assert (found.excess_loss < 1e-12) == (noise == 0)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_solutions_of_the_square_are_a_manifold(noise):
    """p > p*: the orbit of O(p), and the floor of the loss in closed form; without noise own weights die out slowly."""
    model = tsode.TeacherStudent(4, 2, 0.1, noise)
    found = tsode.fixed_point(model, tsode.Overlaps.random(model, N=100, rng=0), relax=100.0)
    assert found.excess_loss == pytest.approx(tsode.manifold.loss_floor(model), rel=1e-9, abs=1e-12)
    assert found.verdict == "manifold"
    extra = 3 if noise == 0 else 0  # symmetric changes of Q outside of the teacher's span
    assert found.nullity == tsode.manifold.dimension(model) + extra
    again = tsode.fixed_point(model, tsode.Overlaps.random(model, N=100, rng=1), relax=100.0)
    scale = np.abs(found.eigenvalues).max()
    np.testing.assert_allclose(again.eigenvalues, found.eigenvalues, rtol=0, atol=1e-6 * scale)


def test_unequal_students_of_the_square_on_the_sphere():
    model = tsode.TeacherStudent(2, 2, 0.1, constraint="spherical")
    found = tsode.fixed_point(model, tsode.Overlaps([[0.8, 0.2], [0.1, 0.7]], np.eye(2)))
    assert found.excess_loss < 1e-12
    assert found.eigenvalues.shape == (5,)
    np.testing.assert_allclose(np.diag(found.overlaps.Q), 1.0, rtol=0, atol=1e-14)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["noisy", "underparameterised", "any teacher", "negative outputs"])
def test_followed_to_the_largest_learning_rate(name):
    model = at(MODELS[name], 0.3, "max_learning_rate")
    closed = tsode.plateau(model)
    found = tsode.fixed_point(model, closed.overlaps).follow()
    assert found.max_learning_rate == pytest.approx(closed.max_learning_rate, rel=1e-8)
    assert found.ends == ("", "fold")
    assert found.min_learning_rate == 0
    assert (np.diff(found.learning_rates) > 0).all()
    losses = [tsode.plateau(each.model).loss for each in found.points[:-1]]
    np.testing.assert_allclose([each.loss for each in found.points[:-1]], losses, rtol=1e-4)  # steep at the fold
    assert "(fold)" in repr(found)


def test_followed_to_where_stability_changes():
    """On the sphere rows align from one learning rate on; with more noise M has stopped growing before."""
    model = MODELS["spherical"]
    closed = tsode.plateau(model)
    found = tsode.fixed_point(model, closed.overlaps).follow(highest=3.0)
    assert found.max_learning_rate == np.inf
    escape, align = found.changes
    assert escape.learning_rate == pytest.approx(closed.escape_learning_rate, rel=1e-5)
    assert align.learning_rate == pytest.approx(closed.max_learning_rate, rel=1e-5)
    assert (escape.below, escape.above, align.below) == (8, 0, 0)
    assert f"{align.learning_rate:.6g}" in repr(found)


@pytest.mark.slow
def test_plateau_of_committee_machines_goes_to_infinity():
    found = tsode.fixed_point(committee(2, 1.0), alike(2)).follow()
    assert found.ends == ("", "far away")
    assert found.points[-1].overlaps.Q[0, 0] > 30
    assert tsode.plateau(committee(2, 5.0)).overlaps is None


def test_border_of_what_weights_can_have():
    """Averages by quadrature end where students are the teacher or all alike; their Jacobian there does not."""
    for start, flow in ((tsode.Overlaps(0.98 * np.eye(2), np.eye(2)), False), (alike(2), False)):
        exact = tsode.fixed_point(committee(2, 0.5), start, gradient_flow=flow)
        found = tsode.fixed_point(committee(2, 0.5).replace(activation=ErfByQuadrature()), start, gradient_flow=flow)
        scale = np.abs(exact.eigenvalues).max()
        np.testing.assert_allclose(found.eigenvalues, exact.eigenvalues, rtol=0, atol=1e-6 * scale)
        np.testing.assert_allclose(flatten(found.overlaps), flatten(exact.overlaps), rtol=0, atol=1e-7)


def test_activation_of_ones_own_has_its_plateau():
    model = committee(2, 0.2).replace(activation=Tanh())
    saddle = tsode.plateau(model)
    found = tsode.fixed_point(model, saddle.overlaps)
    assert saddle.escape_rate == pytest.approx(specialisation(model, found), rel=1e-5) == found.escape_rate
    assert "follow() finds it" in repr(saddle)


def test_plateau_without_closed_form_asks_for_equal_units():
    with pytest.raises(tsode.NoClosedForm, match=r"tsode\.fixed_point finds those of others"):
        tsode.plateau(committee(2, 0.1).replace(student_readout=[1.0, 0.5]))
    ode = tsode.integrate(committee(2, 0.5), tsode.Overlaps([[0.42, 0.4], [0.4, 0.42]], alike(2).Q), 300.0)
    assert 0 < tsode.escape_time(ode, loss_fraction=0.5) < 300


@pytest.mark.parametrize("spread", [(1.0, 1.0, 1.0), (1.0, 1.0, 0.5)])
def test_classes_of_overlaps_are_orbits(spread):
    """Against all permutations of three students and three teachers."""
    model = tsode.TeacherStudent(3, 3, 0.1, student_readout=spread)
    for M, Q in (
        (np.full((3, 3), 0.2), np.eye(3)),
        (0.5 * np.eye(3), np.eye(3)),
        (0.2 + 0.1 * np.roll(np.eye(3), 1, axis=0), np.eye(3) + 0.1 * (np.ones((3, 3)) - np.eye(3))),
        (np.diag([0.5, 0.5, 0.3]), np.eye(3)),
    ):
        total = np.zeros((18, 18))
        for pi in map(list, permutations(range(3))):
            for tau in map(list, permutations(range(3))):
                same = np.array_equal(M[pi][:, tau], M) and np.array_equal(Q[pi][:, pi], Q)
                if same and np.array_equal(model.student_readout[pi], model.student_readout):
                    index = np.arange(9).reshape(3, 3)
                    moved = np.concatenate([index[pi][:, tau].ravel(), 9 + index[pi][:, pi].ravel()])
                    total += np.eye(18)[moved]
        symmetric = basis(changes(model)) @ basis(changes(model)).T
        wanted = np.linalg.matrix_rank(symmetric @ total @ symmetric)
        E = basis(orbits(model, M, Q))
        assert E.shape[1] == wanted
        np.testing.assert_allclose(total @ E, total.sum(axis=1)[0] * E, atol=1e-12)


def test_one_unit_on_the_sphere_has_nothing_but_M():
    model = tsode.TeacherStudent(1, 2, 0.1, constraint="spherical")
    found = tsode.fixed_point(model, tsode.Overlaps(np.zeros((1, 2)), np.eye(1)))
    assert found.eigenvalues.shape == (2,)
    assert found.escape_rate == pytest.approx(tsode.plateau(model).escape_rate, rel=1e-9)


def test_result_is_readable():
    found = tsode.fixed_point(committee(2, 0.1), alike(2))
    for part in ("saddle", "0.00653158", "1, 0 of 7", "σ = erf", "learning rate η"):
        assert part in repr(found)

"""One solution of the ODEs: against plain integrators and closed forms, at its times, tolerances and divergence."""

import numpy as np
import pytest
from models import GENERAL, generic_start
from reference import runge_kutta

import tsode
from tsode.ode import METHODS

SMALL = tsode.TeacherStudent(2, 1, 0.3, 0.1)

TIMES = np.linspace(0.0, 4.0, 5)


# --- against plain integrators, closed forms and symmetries


@pytest.mark.quick(3)
@pytest.mark.parametrize("gradient_flow", [False, True])
def test_integrate_agrees_with_a_plain_integrator(model, start, gradient_flow):
    """Runge-Kutta of order 4 with h = 0.005 has an error of order h^4 = 6e-10."""
    M, Q = runge_kutta(model, start, TIMES, steps=200, gradient_flow=gradient_flow)
    ode = tsode.integrate(model, start, TIMES, rtol=1e-10, atol=1e-12, gradient_flow=gradient_flow)
    assert max(np.abs(ode.M - M).max(), np.abs(ode.Q - Q).max()) < 1e-8


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_same(method):
    model = tsode.TeacherStudent(**GENERAL)
    start = generic_start(model)
    reference = tsode.integrate(model, start, TIMES, rtol=1e-11, atol=1e-13)
    ode = tsode.integrate(model, start, TIMES, method=method, rtol=1e-7, atol=1e-9)
    assert np.abs(ode.Q - reference.Q).max() < 1e-5
    assert np.array_equal(ode.M[0], start.M)
    assert np.array_equal(ode.Q[0], start.Q)
    assert np.array_equal(ode.Q, np.swapaxes(ode.Q, 1, 2))


def test_aligned_unit_learns_along_a_logistic_curve():
    """Gradient flow of w = m w*: with u = m^2, E[D lam mu] = 3 m (u - 1), hence du/dalpha = 12 eta u (1 - u)."""
    model, u0 = tsode.TeacherStudent(p=1, p_star=1, learning_rate=0.05), 0.01
    alpha = np.linspace(0, 15, 31)
    ode = tsode.integrate(
        model, tsode.Overlaps([[np.sqrt(u0)]], [[u0]]), alpha, rtol=1e-11, atol=1e-13, gradient_flow=True
    )
    u = 1 / (1 + (1 / u0 - 1) * np.exp(-12 * model.learning_rate * alpha))
    np.testing.assert_allclose(ode.Q[:, 0, 0], u, rtol=1e-9)
    np.testing.assert_allclose(ode.M[:, 0, 0], np.sqrt(u), rtol=1e-9)
    np.testing.assert_allclose(ode.excess_loss, 3 / 2 * (1 - u) ** 2, atol=1e-11)


@pytest.mark.parametrize(("p", "p_star"), [(4, 2), (2, 3), (1, 1)])
def test_blind_student_relaxes_to_its_norm(p, p_star):
    """M = 0, Q = q I, gradient flow: t + 2 v q = (p + 2) v q - T1, hence a logistic curve again."""
    v, v_star, eta, q0 = 0.3, 0.4, 0.1, 0.05
    model = tsode.TeacherStudent(p, p_star, eta, 0.0, np.full(p, v), np.full(p_star, v_star))
    start = tsode.Overlaps(np.zeros((p, p_star)), q0 * np.eye(p))
    alpha = np.linspace(0, 400, 41)
    ode = tsode.integrate(model, start, alpha, rtol=1e-11, atol=1e-13, gradient_flow=True)
    end = v_star * p_star / (v * (p + 2))
    q = end / (1 + (end / q0 - 1) * np.exp(-4 * eta * v * v_star * p_star * alpha))
    np.testing.assert_allclose(ode.Q, q[:, None, None] * np.eye(p), atol=1e-9)
    assert ode.Q[-1, 0, 0] == pytest.approx(end, rel=1e-6)
    assert not ode.M.any()


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_rotation_of_hidden_units(constraint):
    """With uniform readouts W -> O W is a symmetry; the sphere keeps only the permutations."""
    model = tsode.TeacherStudent(4, 2, 0.4, constraint=constraint)
    start, rng = generic_start(model), np.random.default_rng(3)
    O = np.eye(4)[rng.permutation(4)] if model.spherical else np.linalg.qr(rng.standard_normal((4, 4)))[0]
    ode = tsode.integrate(model, start, TIMES)
    turned = tsode.integrate(model, tsode.Overlaps(O @ start.M, O @ start.Q @ O.T), TIMES)
    np.testing.assert_allclose(turned.M, O @ ode.M, atol=1e-8)
    np.testing.assert_allclose(turned.Q, O @ ode.Q @ O.T, atol=1e-8)
    np.testing.assert_allclose(turned.loss, ode.loss, atol=1e-8)


def test_permutation_of_hidden_units(model, start):
    order = np.roll(np.arange(model.p), 1)
    permuted = tsode.TeacherStudent(**{**model.to_dict(), "student_readout": model.student_readout[order]})
    ode = tsode.integrate(model, start, TIMES)
    other = tsode.integrate(permuted, tsode.Overlaps(start.M[order], start.Q[np.ix_(order, order)], start.P), TIMES)
    np.testing.assert_allclose(other.M, ode.M[:, order], atol=1e-8)
    np.testing.assert_allclose(other.loss, ode.loss, atol=1e-8)


def test_spherical_norms_stay(model, start):
    ode = tsode.integrate(model, start, np.linspace(0, 30, 11))
    norms = np.diagonal(ode.Q, axis1=1, axis2=2)
    assert (np.ptp(norms, axis=0).max() < 1e-7) == model.spherical


@pytest.mark.parametrize("gradient_flow", [False, True])
def test_spherical_norms_stay_where_the_loss_pulls_them_inwards(gradient_flow):
    """One unit against two: it would rather be shorter, and an error of its norm would grow as exp(0.4 alpha)."""
    model = tsode.TeacherStudent(p=1, p_star=2, learning_rate=0.1, constraint="spherical")
    start = tsode.Overlaps.random(model, 1000, rng=0)
    for ode in (
        tsode.integrate(model, start, 400.0, gradient_flow=gradient_flow),
        *tsode.integrate_many([model, model], [start, start], 400.0, gradient_flow=gradient_flow),
    ):
        assert ode.status == "completed"
        np.testing.assert_array_equal(ode.Q, np.broadcast_to(start.Q, ode.Q.shape))


def test_wide_spherical_student_keeps_its_norms():
    model = tsode.TeacherStudent(
        p=64, p_star=4, learning_rate=2.0, teacher_readout=np.full(4, 0.01), constraint="spherical"
    )
    start = tsode.Overlaps.random(model, 10**6, rng=0)
    ode = tsode.integrate(model, start, [0.0, 20.0])
    np.testing.assert_array_equal(np.diagonal(ode.Q[-1]), np.diagonal(start.Q))


def test_large_width_runs_through_matrix_products():
    model = tsode.TeacherStudent(p=512, p_star=4, learning_rate=20.0)
    start = tsode.Overlaps.random(model, 10**6, scale=1.5, rng=0)
    ode = tsode.integrate(model, start, [0.0, 0.5], rtol=1e-5, method="RK45")
    assert ode.status == "completed"
    assert ode.loss[-1] < 0.9 * ode.loss[0]


# --- times


def test_grid_of_times(model, start):
    ode = tsode.integrate(model, start, 3.0)
    assert ode.alpha[0] == 0
    assert ode.alpha[-1] == 3.0
    coarse = tsode.integrate(model, start, [0.0, 3.0])
    np.testing.assert_array_equal(coarse.M[-1], ode.M[-1])


# --- divergence


def test_divergence_ends_the_run_with_what_it_had():
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=4.0)
    start = tsode.Overlaps.random(model, 1000, rng=0)
    for method in METHODS:
        ode = tsode.integrate(model, start, 50.0, method=method, rtol=1e-6)
        assert ode.status == "diverged"
        assert ode.stopped_at == pytest.approx(0.086446, abs=1e-5)
        assert 0 < len(ode.alpha) < 201
        assert ode.alpha[-1] <= ode.stopped_at
        assert np.isfinite(ode.M).all()
        assert np.isfinite(ode.loss).all()
        assert np.array_equal(ode.Q[0], start.Q)


@pytest.mark.parametrize("alpha", [[0.0, 1.0], [0.5, 1.0, 2.0]])
def test_divergence_in_the_first_step_leaves_the_start(alpha):
    start = generic_start(SMALL)
    ode = tsode.integrate(SMALL.replace(learning_rate=1e30), start, alpha)
    assert ode.status == "diverged"
    assert abs(ode.stopped_at - alpha[0]) < (1e-12 if alpha[0] else 1e-50)
    assert ode.alpha.tolist() == alpha[:1]
    np.testing.assert_array_equal(ode.Q, start.Q[None])


def test_rounding_that_grows_out_of_all_overlaps_is_told():
    """Parallel students are unstable at M = 0: their squared distance, 0 exactly, becomes what no weights have."""
    model, parallel = tsode.TeacherStudent(2, 1, 0.2), tsode.Overlaps(np.zeros((2, 1)), np.ones((2, 2)))
    with pytest.warns(RuntimeWarning, match="no weights have the overlaps of this solution: at alpha = 100 an eigenva"):
        ode = tsode.integrate(model, parallel, 100.0)
    assert np.linalg.eigvalsh(ode.Q[-1])[0] < -1e-3
    with pytest.warns(RuntimeWarning, match="no weights have the overlaps"):
        tsode.integrate_many(model, [parallel], 100.0)
    unit = 2.0**14  # of the weights, in which the outputs and their changes stay what they are
    other = tsode.TeacherStudent(2, 1, 0.2 * unit**2, student_readout=[0.5 / unit**2] * 2)
    start, options = tsode.Overlaps(np.zeros((2, 1)), unit**2 * np.ones((2, 2))), {"atol": 1e-10 * unit**2}
    with pytest.warns(RuntimeWarning, match="at alpha = 100 an eigenvalue is -0.") as warned:
        tsode.integrate(other, start, 100.0, **options)
    tsode.integrate(other, start, 10.0, **options)
    assert warned[0].filename == __file__
    tsode.integrate(model, tsode.Overlaps(np.zeros((2, 1)), np.ones((2, 2)) - 0.01 * (1 - np.eye(2))), 100.0)
    tsode.integrate(model, parallel, 10.0)

"""Late times: rates and power laws, by hand and along the ODE, and the floor as a fixed point of the plain ODEs."""

import itertools

import numpy as np
import pytest
from reference import derivatives
from scipy.optimize import root

import tsode
from tsode import manifold


def loss(model, overlaps):
    o = overlaps
    return float(model.excess_loss(o.M, o.Q))


def student(p, eigenvalues, v=0.3, eta=0.2):
    """A model whose teacher has these eigenvalues."""
    n = len(eigenvalues)
    return tsode.TeacherStudent(p, n, eta, 0.0, [v] * p, [1.0] * n, np.diag(eigenvalues))


def uniform(p, p_star, eta, noise_variance, v=0.3, v_star=0.7):
    return tsode.TeacherStudent(p, p_star, eta, noise_variance, [v] * p, [v_star] * p_star)


# --- rates and power laws


@pytest.mark.parametrize(
    ("p", "eigenvalues", "gap"),
    [
        (2, [3.0, 0.5], 0.5),
        (1, [3.0], 3.0),
        (2, [3.0, 2.0, 0.5], 1.5),
        (2, [3.0, 2.0, 2.0, 0.25], 1.75),
        (1, [2.0, 2.0, 2.0], 2.0),
        (2, [3.0, 0.5, 0.0], 0.5),
        (3, [3.0, 0.5], 0.0),
        (2, [3.0, 0.0], 0.0),
        (2, [1e6, 1 + 5e-4, 1.0, 0.5], 0.5005),  # differences below 1e-9 of the largest count as ties
    ],
)
def test_slowest_rate_is_the_gap_below_the_kept_eigenvalues(p, eigenvalues, gap):
    """8 eta v (l_p - next smaller one), 0 where students are left over."""
    assert manifold.relaxation_rate(student(p, eigenvalues)) == pytest.approx(8 * 0.2 * 0.3 * gap, rel=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        tsode.TeacherStudent(2, 2, 0.1),
        tsode.TeacherStudent(3, 3, 0.1, 0.0, None, [0.9, 0.6, 0.5]),
        tsode.TeacherStudent(2, 4, 0.1),
        tsode.TeacherStudent(1, 2, 0.1, 0.0, None, [0.9, 0.6]),
    ],
    ids=lambda model: f"{model.p}-{model.p_star}-{model.learning_rate:g}",
)
def test_exponential_rate(model):
    start = tsode.Overlaps.random(model, 1000, rng=0)
    ode = tsode.integrate(model, start, np.linspace(0, 400, 801), rtol=1e-12, atol=1e-14, gradient_flow=True)
    excess = ode.excess_loss - loss(model, manifold.solution(model))
    window = (excess < 1e-5) & (excess > 1e-9)
    assert window.sum() > 20
    slope = np.polyfit(ode.alpha[window], np.log(excess[window]), 1)[0]
    assert -slope == pytest.approx(manifold.relaxation_rate(model), rel=0.01)


def test_power_law_by_hand():
    """(p - r)(r + 2) / [64 v^2 (p + 2) (eta alpha)^2] with r eigenvalues that are not zero."""
    alpha = np.array([0.5, 10.0, 20.0])
    for p, eigenvalues, r in ((5, [1.0] * 3, 3), (3, [2.0, 1.0], 2), (3, [2.0, 0.0], 1), (2, [1.0, 0.0, 0.0], 1)):
        wanted = (p - r) * (r + 2) / (64 * 0.3**2 * (p + 2) * (0.2 * alpha) ** 2)
        np.testing.assert_allclose(manifold.power_law(student(p, eigenvalues), alpha), wanted, rtol=1e-13)
    assert manifold.power_law(student(3, [1.0]), 1.0).shape == ()


@pytest.mark.parametrize("widths", [(4, 2), (5, 3), (2, 1)])
def test_power_law_of_surplus_students(widths):
    model = tsode.TeacherStudent(*widths, 0.1)
    alpha = np.array([0.0, 1e5, 2e5])
    start = tsode.Overlaps.random(model, 1000, rng=0)
    ode = tsode.integrate(model, start, alpha, method="LSODA", rtol=1e-9, atol=1e-12, gradient_flow=True)
    np.testing.assert_allclose(ode.excess_loss[1:], manifold.power_law(model, alpha[1:]), rtol=0.01)
    assert manifold.relaxation_rate(model) == 0


@pytest.mark.parametrize("alpha", [0.0, -0.5, [1.0, -0.5, 2.0]])
def test_power_law_needs_times_after_the_start(alpha):
    with pytest.raises(ValueError, match="`alpha` must be larger than 0"):
        manifold.power_law(student(3, [1.0]), alpha)


@pytest.mark.parametrize(("p", "eigenvalues", "r"), [(2, [1.0, 1.0], 2), (2, [1.0] * 3, 3), (1, [1.0, 0.0], 1)])
def test_power_law_needs_students_left_over(p, eigenvalues, r):
    with pytest.raises(ValueError, match=f"but has p = {p}, p_star = {r}"):
        manifold.power_law(student(p, eigenvalues), 1.0)


def test_late_times_are_those_of_a_free_student_with_equal_readouts():
    calls = [manifold.relaxation_rate, lambda model: manifold.power_law(model, 1.0), manifold.loss_floor]
    for call in calls:
        with pytest.raises(ValueError, match="must be free: the late times"):
            call(tsode.TeacherStudent(2, 2, 0.1, constraint="spherical"))
        with pytest.raises(ValueError, match="must have equal readouts of the student"):
            call(tsode.TeacherStudent(3, 2, 0.1, student_readout=[0.5, 0.5, 0.3]))
    for teacher in ({"teacher_readout": [0.5, 0.4]}, {"teacher_overlap": np.ones((2, 2))}):
        with pytest.raises(ValueError, match="equal readouts of the teacher and P = 1"):
            manifold.loss_floor(tsode.TeacherStudent(2, 2, 0.1, **teacher))


# --- the floor


def floor_of_the_odes(model, surplus=0.001):
    """Excess loss at the zero of dM and dQ near the solutions, among M = m (1 0) and Q = diag(q, ..., z, ...)."""
    p, p_star = model.p, model.p_star
    k, end = min(p, p_star), p - 1

    def overlaps(x):
        return x[0] * np.eye(p, p_star), np.diag([x[1]] * k + [x[2]] * (p - k))

    def force(x):
        dM, dQ = derivatives(model, *overlaps(x))
        return dM[0, 0] / x[0], dQ[0, 0], dQ[end, end] / x[2] if p > k else x[2]

    solution = manifold.solution(model)
    zero = root(force, [solution.M[0, 0] * (1 - surplus), solution.Q[0, 0], surplus], tol=1e-14)
    M, Q = overlaps(zero.x)
    assert np.abs(np.concatenate([d.ravel() for d in derivatives(model, M, Q)])).max() < 1e-12
    V = np.concatenate([model.student_readout, -model.teacher_readout])
    A = np.diag(V) @ np.block([[Q, M], [M.T, np.eye(p_star)]])
    return np.trace(A) ** 2 / 2 + np.trace(A @ A)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("widths", [(1, 1), (3, 3), (3, 1), (4, 2), (6, 3), (1, 2), (2, 3), (3, 5)])
def test_floor_is_a_fixed_point_of_the_odes(widths, sign):
    for eta, noise_variance in ((0.1, 0.02), (0.25, 0.1)):
        model = uniform(*widths, eta, noise_variance, sign * 0.3, sign * 0.7)
        floor = manifold.loss_floor(model)
        assert floor > 0
        assert floor == pytest.approx(floor_of_the_odes(model), rel=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        tsode.TeacherStudent(2, 2, 0.1, 0.1),
        tsode.TeacherStudent(4, 2, 0.3, 0.1),
        tsode.TeacherStudent(6, 3, 0.5, 0.05),
        tsode.TeacherStudent(2, 3, 0.1, 0.1),
        tsode.TeacherStudent(3, 5, 0.2, 0.0),
    ],
    ids=lambda model: f"{model.p}-{model.p_star}-{model.learning_rate:g}",
)
def test_floor_under_label_noise(model):
    floor = manifold.loss_floor(model)
    start = tsode.Overlaps.random(model, 1000, rng=0)
    ode = tsode.integrate(model, start, [0.0, 20000.0], rtol=1e-11, atol=1e-13)
    assert ode.excess_loss[-1] == pytest.approx(floor, rel=1e-6)


def test_floor_in_closed_form_and_where_it_ends():
    """p = p*: L = p v v* eta Delta / [1 - 2 eta v v* (p + 2)], up to eta = p^2 / (2 (p + 2))."""
    for p in (1, 2, 5):
        last = p**2 / (2 * (p + 2))
        model = tsode.TeacherStudent(p, p, 0.4 * last, 0.3)
        assert manifold.loss_floor(model) == pytest.approx(0.4 * last * 0.3 / p / (1 - 0.4), rel=1e-12)
        assert np.isnan(manifold.loss_floor(model.replace(learning_rate=1.01 * last)))
    assert manifold.loss_floor(tsode.TeacherStudent(4, 2, 0.3)) == 0


def test_floor_is_proportional_to_weak_noise():
    """p v v* eta Delta / [1 - 2 eta v v* (p* + 2)] for p = p*; linear in Delta for any widths, down to rounding."""
    for widths in ((3, 3), (4, 2), (6, 3)):
        floors = [manifold.loss_floor(uniform(*widths, 0.3, noise)) for noise in (1e-6, 1e-10, 1e-12)]
        np.testing.assert_allclose(floors, np.array([1, 1e-4, 1e-6]) * floors[0], rtol=0.02)


def test_floor_without_noise_is_zero_at_any_learning_rate_below_the_last():
    rng = np.random.default_rng(0)
    for _ in range(40):
        v, v_star = rng.uniform(0.1, 1.0, 2)
        p_star = int(rng.integers(1, 4))
        last = 1 / (2 * v * v_star * (p_star + 2))
        for p in (p_star, p_star + 1, p_star + 3):
            assert abs(manifold.loss_floor(uniform(p, p_star, 0.9 * last, 0.0, v, v_star))) < 1e-12
        assert np.isnan(manifold.loss_floor(uniform(p_star, p_star, 1.1 * last, 0.0, v, v_star)))


@pytest.mark.parametrize("widths", [(2, 1), (4, 2)])
def test_surplus_students_have_a_floor_without_noise_above_that_learning_rate(widths):
    model = uniform(*widths, 1.02 / (2 * 0.3 * 0.7 * (widths[1] + 2)), 0.0)
    assert manifold.loss_floor(model) == pytest.approx(floor_of_the_odes(model, 0.2), rel=1e-9)
    assert manifold.loss_floor(model) > 0.01


def test_no_floor_above_the_largest_learning_rate():
    """For p = p* and p < p* the floor exists up to some eta and is nan above; it is never negative."""
    for widths, unit in itertools.product([(2, 2), (4, 2), (2, 4)], [1.0, 1e-3]):  # unit of the outputs
        etas = np.linspace(0.02, 2.0, 34) / unit
        models = [uniform(*widths, eta, 0.1 * unit**2, v_star=0.7 * unit) for eta in etas]
        floors = np.array([manifold.loss_floor(model) for model in models])
        exists = np.isfinite(floors)
        assert exists[0]
        assert not exists[-1]
        assert np.all(floors[exists] > 0)
        assert np.all(np.diff(exists.astype(int)) <= 0)


@pytest.mark.parametrize("widths", [(4, 4), (5, 5), (4, 5)])
def test_no_floor_where_noise_outshines_the_teacher(widths):
    """The squared overlap with the teacher, positive in weak noise, would have to be negative: M dies out."""
    quiet, loud = (uniform(*widths, 0.08, noise, 1.0, 0.2) for noise in (0.1, 10.0))
    assert manifold.loss_floor(quiet) > 0
    assert np.isnan(manifold.loss_floor(loud))
    start = manifold.solution(loud)
    ode = tsode.integrate(loud, start, 3e3)
    assert ode.status == "diverged" or np.abs(ode.M[-1]).max() < 1e-6

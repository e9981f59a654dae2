"""Averages of functions with a kink at zero: closed forms beside quadrature that knows where the kinks are."""

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.special import erf, ndtr, owens_t
from test_averages import COVARIANCES, GENERIC, KINDS, READOUTS, covariance

import tsode
from tsode.activations import Custom, Erf, Hermite, NoClosedForm, Polynomial, ReLU, Tanh, kinked_noise
from tsode.activations import piecewise_noise as noise
from tsode.activations.units import unit_rows

KINKED = [(ReLU(), ReLU()), (ReLU(0.2), ReLU(-1.0))]
NODES, WEIGHTS = leggauss(40)


def pieces(ends):
    """Nodes and weights by Gauss and Legendre between any two neighbours of `ends`."""
    ends = np.sort(ends)
    half, middle = np.diff(ends)[:, None] / 2, (ends[1:, None] + ends[:-1, None]) / 2
    return (middle + half * NODES).ravel(), (half * WEIGHTS).ravel()


def root_of(c_xx, c_xz, c_zz):
    """A triangular root: the angle of parallel units survives, which eigenvalues lose."""
    a = np.sqrt(c_xx)
    b = c_xz / a if a > 0 else 0.0
    return np.array([[a, 0.0], [b, np.sqrt(max(c_zz - b * b, 0.0))]])


def plane(root):
    """Angles and weights that end at the zeros of both rows of a root, and the two numbers at these angles."""
    zeros = np.arctan2(-root[:, 0], root[:, 1]) % np.pi
    angles, weights = pieces([0, *zeros, *(zeros + np.pi), 2 * np.pi])
    return root @ [np.cos(angles), np.sin(angles)], weights


@pytest.mark.parametrize(("first", "second"), KINKED, ids=str)
def test_pairs_of_kinked_functions(first, second):
    """In polar coordinates the radius is done by hand; singular covariances too."""
    for c in COVARIANCES.T:
        (x, z), weights = plane(root_of(*c))
        s, g = first.function(x), second.function(z)
        assert first.pair(second, *c) == pytest.approx(weights @ (s[0] * g[0]) / np.pi, abs=1e-12)
        if c[0] * c[2] > 0:  # units of norm zero have no direction
            wanted = weights @ (s[1] * g[1]) / (2 * np.pi)
            assert first.pair_slopes(second, *c)[1] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [*KINKED, (ReLU(0.2), Tanh()), (Hermite(3), ReLU())], ids=str)
def test_derivatives_of_pairs(first, second):
    for c in np.array(GENERIC):
        around = c[:, None, None] + 1e-4 * np.multiply.outer(np.eye(3), [1, -1])
        up, down = np.moveaxis(first.pair(second, *around), -1, 0)
        np.testing.assert_allclose(first.pair_slopes(second, *c), (up - down) / 2e-4, rtol=0, atol=1e-7)
        up, down = np.moveaxis(first.pair_slopes(second, *around), -1, 0)
        curvatures = np.array(first.pair_curvatures(second, *c))[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]]
        np.testing.assert_allclose(curvatures, (up - down) / 2e-4, rtol=0, atol=3e-6)


@pytest.mark.parametrize("smooth", [Erf(), Tanh(), Hermite(3)], ids=str)
def test_pairs_with_a_smooth_function(smooth):
    """Every side of the kink by itself, in the plane."""
    kinked = ReLU(0.2)
    x, weights = pieces([-12, -4, 0, 4, 12])
    for c_xx, c_xz, c_zz in GENERIC:
        spread = np.sqrt(c_zz - c_xz**2 / c_xx)
        u, density = x / np.sqrt(c_xx), np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * weights
        outer = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi * c_xx) * weights
        g, g_1 = (part @ density for part in smooth.function((c_xz / c_xx * x)[:, None] + spread * x))
        s, s_1 = kinked.function(x)
        assert kinked.pair(smooth, c_xx, c_xz, c_zz) == pytest.approx(outer @ (s * g), abs=1e-10)
        assert smooth.pair(kinked, c_zz, c_xz, c_xx) == pytest.approx(outer @ (s * g), abs=1e-10)
        assert kinked.pair_slopes(smooth, c_xx, c_xz, c_zz)[1] == pytest.approx(outer @ (s_1 * g_1), abs=1e-10)
    assert np.isfinite([kinked.pair_slopes(smooth, *c) for c in COVARIANCES.T]).all()


def sign_means(h, k, r):
    """E[sgn sgn] of two unit normals of means h and k and correlation r, by Owen's T function."""
    root = np.sqrt(1 - r * r)
    apart = np.where(h * k > 0, 0.0, 0.5)
    both = (ndtr(h) + ndtr(k)) / 2 - owens_t(h, (k - r * h) / (h * root)) - owens_t(k, (h - r * k) / (k * root)) - apart
    return 4 * both - 2 * ndtr(h) - 2 * ndtr(k) + 1


def four_point(activation, teacher, C):
    """E[s'_a s'_b s_c s_d]: a and b by Owen's T function given c and d, those in polar coordinates."""
    given, rest = C[2:, 2:], C[:2, 2:] @ np.linalg.inv(C[2:, 2:])
    left = C[:2, :2] - rest @ C[2:, :2]
    (c, d), weights = plane(np.linalg.cholesky(given))
    radius, lengths = pieces([0, 0.5, 1.5, 4, 12])
    lengths = lengths * radius**3 * np.exp(-(radius**2) / 2) / (2 * np.pi)
    means = np.tensordot(rest, [np.multiply.outer(c, radius), np.multiply.outer(d, radius)], axes=1)
    h, k = (mean / np.sqrt(variance) for mean, variance in zip(means, np.diag(left)))
    below, above = activation.sides
    m, j = (above + below) / 2, (above - below) / 2
    r = left[0, 1] / np.sqrt(left[0, 0] * left[1, 1])
    slopes = m * m + m * j * (erf(h / np.sqrt(2)) + erf(k / np.sqrt(2))) + j * j * sign_means(h, k, r)
    return weights @ (teacher(c) * teacher(d) * (slopes @ lengths))


@pytest.mark.parametrize(("student", "teacher"), KINKED, ids=str)
def test_four_point_average_to_ten_digits(student, teacher):
    """Of four different units, from averages of D^2 with one and two readouts."""
    rng = np.random.default_rng(0)
    for _ in range(12):
        W = rng.standard_normal((4, 5)) / np.sqrt(5)
        omega = W @ W.T

        def squared(*v_star, omega=omega):
            return student.error_squared(teacher, omega, np.zeros(2), np.array(v_star), 0.0)[0, 1]

        found = (squared(1.0, 1.0) - squared(1.0, 0.0) - squared(0.0, 1.0)) / 2
        assert found == pytest.approx(four_point(student, teacher, omega), abs=1e-10)


@pytest.mark.parametrize("angle", [1e-1, 1e-2, 1e-4, 1e-6])
def test_four_units_close_together(angle):
    """Every average over four differs from that of equal units by the order of the angle."""
    rng = np.random.default_rng(1)
    W = np.array([1.0, 0, 0, 0]) + angle * rng.standard_normal((4, 4))
    v, v_star = np.array([0.3, -0.2]), np.array([0.9, -0.7])
    found = ReLU().error_squared(ReLU(), W @ W.T, v, v_star, 0.0)
    wanted = np.full((2, 2), (0.3 - 0.2 - 0.9 + 0.7) ** 2 / 2)
    assert np.abs(found - wanted).max() < 20 * angle


def test_orthants_of_reflection_groups():
    """A cone {x: w_i x > 0} of the simple roots of A4, B4, D4, F4, H4 is one of as many as the group has elements."""
    golden = (1 + np.sqrt(5)) / 4
    chains = {"A4": [0.5] * 3, "B4": [0.5, 0.5, np.sqrt(0.5)], "F4": [0.5, np.sqrt(0.5), 0.5], "H4": [golden, 0.5, 0.5]}
    orders = {"A4": 120, "B4": 384, "F4": 1152, "H4": 14400, "D4": 192}
    grams = {name: np.eye(4) - np.diag(r, 1) - np.diag(r, -1) for name, r in chains.items()}
    grams["D4"] = np.eye(4)
    grams["D4"][1, [0, 2, 3]] = grams["D4"][[0, 2, 3], 1] = -0.5
    for name, gram in grams.items():
        pairs = 2 / np.pi * np.arcsin(gram[np.triu_indices(4, 1)]).sum()
        assert (1 + pairs + four_signs(gram)) / 16 == pytest.approx(1 / orders[name], rel=1e-9)


def four_signs(gram):
    """E[sgn sgn sgn sgn] of four units of norm 1."""
    norms, X, R = np.empty(4), np.empty((4, 8)), np.empty((4, 4, 8))
    r, rho, arcs = np.empty((4, 4)), np.empty((4, 4)), np.empty((4, 4))
    unit_rows(gram, norms, X)
    X[:, 4:] = noise.OWN * np.eye(4)
    noise.residuals(X, r, arcs, rho, R)
    return noise.four_signs(0, 1, 2, 3, X, R, arcs)


def three_units(kinked, smooth, omega, u, slopes_of_kinked):
    """E[D^2 s' s'] of two units with a kink, or of the smooth third; that given those, which in polar coordinates."""
    root = np.linalg.cholesky(omega)
    directions, weights = plane(root[:2, :2])
    radius, lengths = pieces([0, 0.5, 1.5, 4, 9])
    y, density = pieces([-9, -4, -1, 1, 4, 9])
    weights = np.outer(weights, lengths * radius * np.exp(-(radius**2) / 2) / (2 * np.pi)).ravel()
    a, b = (np.outer(row, radius).ravel() for row in directions)
    along = root[2, :2] @ np.linalg.solve(root[:2, :2], [a, b])
    (s, s_1), (g, g_1) = kinked.function(np.array([a, b])), smooth.function(along[:, None] + root[2, 2] * y)
    squared = np.square((u[:2] @ s)[:, None] + u[2] * g)
    density = density * np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi)
    if slopes_of_kinked:
        return np.einsum("m,km,lm->kl", weights * (squared @ density), s_1, s_1)
    return np.array([[weights @ ((squared * g_1**2) @ density)]])


@pytest.mark.parametrize("smooth", [Tanh(), Hermite(3)], ids=str)
def test_noise_beside_a_smooth_function_against_quadrature(smooth):
    u = np.array([0.8, -0.5, -0.7])
    for seed in range(1):
        W = np.random.default_rng(seed).standard_normal((3, 4)) / 2
        other = np.roll(W, 1, axis=0)  # the third unit first
        cases = (
            (ReLU(0.2), smooth, W @ W.T, u[:2], -u[2:]),
            (smooth, ReLU(0.2), other @ other.T, u[2:], -u[:2]),
        )
        for (student, teacher, *given), slopes_of_kinked in zip(cases, (True, False)):
            wanted = three_units(ReLU(0.2), smooth, W @ W.T, u, slopes_of_kinked)
            error = np.abs(student.error_squared(teacher, *given, 0.0, 3) - wanted).max() / np.abs(wanted).max()
            assert error < 1e-8
            # the estimate, at the first level; 1e-11 is that of this quadrature
            coarse = np.abs(student.error_squared(teacher, *given, 0.0, 0) - wanted).max() / np.abs(wanted).max()
            assert student.accuracy(teacher, *given, 0.0, 1.0) == pytest.approx(coarse, rel=0.3, abs=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_beside_a_straight_line(kind):
    """Which is a polynomial and piecewise linear, and all averages are closed: two ways that share nothing."""
    line, cubic, same = Polynomial([0.0, 1.0]), Polynomial([0.3, 0.5, -0.4, 0.1]), ReLU(1.0)
    given = covariance(kind, 2, 3), *READOUTS, 0.1
    for sides, other in (
        ((ReLU(0.2), line), (ReLU(0.2), same)), ((line, ReLU(0.2)), (same, ReLU(0.2))),
        ((cubic, same), (cubic, line)), ((same, cubic), (line, cubic)),
    ):  # fmt: skip
        wanted = other[0].error_squared(other[1], *given)
        assert np.abs(kinked_noise.error_squared(*sides, *given) - wanted).max() < 1e-8 * np.abs(wanted).max()


def test_second_derivative_of_the_loss_away_from_parallel_units():
    """Central differences of its first derivatives; a unit with itself has none but is no kink of the loss."""
    model = tsode.TeacherStudent(3, 2, 0.1, student_readout=[0.4, -0.7, 0.9], activation="relu")
    start, rng = tsode.Overlaps.random(model, 12, rng=0), np.random.default_rng(1)
    dM, dQ = rng.standard_normal((3, 2)), rng.standard_normal((3, 3))
    dQ = dQ + dQ.T
    up, down = (model.loss_slopes(start.M + h * dM, start.Q + h * dQ) for h in (1e-5, -1e-5))
    for found, above, below in zip(model.loss_curvature(start.M, start.Q)(dM, dQ), up, down):
        np.testing.assert_allclose(found, (above - below) / 2e-5, rtol=0, atol=1e-7)


def test_what_is_not_known_says_so():
    one = np.ones((2, 2))
    model = tsode.TeacherStudent(2, 2, 0.1, activation="relu")
    with pytest.raises(NoClosedForm, match="must have no parallel units"):
        model.loss_curvature(0.1 * one, one)
    rough = model.replace(teacher_activation=Custom(np.abs))
    with pytest.raises(NoClosedForm, match="must be smooth, or have averages of its own"):
        tsode.integrate(rough, tsode.Overlaps(0.1 * np.eye(2), np.eye(2)), 1.0)


def test_reference_values():
    """Of an independent program, rtol 1e-10."""
    model = tsode.TeacherStudent(2, 2, 0.2, student_readout=[1, 1], teacher_readout=[1, 1], activation="relu")
    start = tsode.Overlaps([[0.01, -0.005], [0.003, 0.008]], [[0.5, 0.01], [0.01, 0.3]])
    ode = tsode.integrate(model, start, [0.0, 5, 10, 20, 30, 60], rtol=1e-11, atol=1e-13)
    wanted = [0.2767434017, 0.1499530015, 0.08773457008, 0.08101991493, 0.07799161527]
    np.testing.assert_allclose(ode.loss[1:], wanted, rtol=2e-9)
    np.testing.assert_allclose(ode.M[4], [[0.524780527, 0.48647696], [0.510166499, 0.547155381]], rtol=0, atol=2e-8)


@pytest.mark.parametrize("kind", ["generic", "equal", "zero", "all zero", "1e-2", "1e-4", "1e-6", "1e-8"])
def test_degenerate_covariances(kind):
    omega = covariance(kind, 2, 3)
    start = tsode.Overlaps(omega[:2, 2:], omega[:2, :2], omega[2:, 2:])
    for student, teacher in [*KINKED, (ReLU(), Erf()), (Hermite(3), ReLU())]:
        parameters = {"activation": student, "teacher_activation": teacher}
        model = tsode.TeacherStudent(2, 3, 0.3, 0.1, *READOUTS, omega[2:, 2:], **parameters)
        assert np.isfinite(np.concatenate(model.loss_slopes(start.M, start.Q), axis=1)).all()
        found = student.error_squared(teacher, omega, *READOUTS, 0.1)
        assert np.isfinite(found).all()
        assert np.linalg.eigvalsh(found)[0] > -1e-9
        if student.averages(teacher).drift is not None:  # the others are slow
            assert np.isfinite(tsode.integrate(model, start, 1.0, rtol=1e-6).loss).all()

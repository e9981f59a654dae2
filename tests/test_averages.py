"""Gaussian averages of activations: closed forms, quadrature and Monte Carlo beside one another."""

import dataclasses
import functools

import numpy as np
import pytest
from numba import njit
from numpy.polynomial import Polynomial as Poly
from numpy.polynomial.hermite_e import hermegauss
from scipy.integrate import dblquad
from scipy.special import erf

import tsode
from tsode.activations import Activation, Erf, Hermite, Polynomial, Quadratic, ReLU, Tanh, averages
from tsode.activations.error_averages import by_quadrature, error_squared, error_squared_accuracy


def erf_derivatives(x):
    slope = np.sqrt(2 / np.pi) * np.exp(-(x**2) / 2)
    return erf(x / np.sqrt(2)), slope, -x * slope, (x**2 - 1) * slope, (3 * x - x**3) * slope


def square_derivatives(x):
    return x**2, 2 * x, 2 + 0 * x, 0 * x, 0 * x


def polynomial_derivatives(activation):
    """Of Hermite and Polynomial, whose coefficients are checked against NumPy's below."""
    a = Poly(activation.coefficients)
    return lambda x: (a(x), *(a.deriv(m)(x) for m in range(1, 5)))


DERIVATIVES = {"erf": erf_derivatives, "quadratic": square_derivatives}
CUBIC = Polynomial([0.2, -0.5, 0.3, 0.1])
PAIRS = [(s, g) for s in (Erf(), Quadratic()) for g in (Erf(), Quadratic())]
PAIRS += [(Hermite(3), Hermite(3)), (Quadratic(), Hermite(3)), (CUBIC, Hermite(2, False)), (Hermite(3), Erf())]
# what the activation offers, which is closed for equal ones, and quadrature for those too
WAYS = [(type(s), s, g) for s, g in PAIRS] + [(averages, s, g) for s, g in PAIRS if s == g]
GENERIC = [(1.0, 0.5, 1.0), (0.3, -0.2, 1.8), (1.5, 0.9, 0.6)]
SINGULAR = [(1.0, 1.0, 1.0), (1.0, -2.0, 4.0), (0.0, 0.0, 1.0), (0.7, 0.0, 0.0), (0.0, 0.0, 0.0)]
NEARLY = [(1.0, 1.0 - 1e-8, 1.0), (1e-12, 5e-7, 1.0), (1e-5, 2e-3, 1.0), (0.5, 3e-4, 1e-6), (1e-30, 1e-15, 1.0)]
COVARIANCES = np.array(GENERIC + SINGULAR + NEARLY).T
# derivatives of the average: orders of those of s and g, and the factor, by Price's theorem
FIRST = [(2, 0, 1 / 2), (1, 1, 1), (0, 2, 1 / 2)]
SECOND = [(4, 0, 1 / 4), (3, 1, 1 / 2), (2, 2, 1 / 4), (2, 2, 1), (1, 3, 1 / 2), (0, 4, 1 / 4)]


def named(case):
    return "-".join(getattr(part, "name", None) or part.__name__.split(".")[-1] for part in case)


@functools.cache
def hermite_rule(first, second):
    """E[s^(m)(x) g^(n)(z)], m, n < 5, at all COVARIANCES by Gauss-Hermite quadrature: exact to 1e-12 for these."""
    nodes, weights = hermegauss(100)
    found = []
    for c_xx, c_xz, c_zz in COVARIANCES.T:
        values, vectors = np.linalg.eigh([[c_xx, c_xz], [c_xz, c_zz]])
        root = vectors * np.sqrt(np.maximum(values, 0))
        x, z = np.tensordot(root, np.meshgrid(nodes, nodes), axes=1).reshape(2, -1)
        s, g = (
            (DERIVATIVES[one.name] if one.name in DERIVATIVES else polynomial_derivatives(one))(y)
            for one, y in ((first, x), (second, z))
        )
        found.append((np.array(s) * np.outer(weights, weights).ravel() / (2 * np.pi)) @ np.array(g).T)
    return np.moveaxis(found, 0, -1)


@pytest.mark.parametrize(("way", "first", "second"), WAYS, ids=map(named, WAYS))
class TestPair:
    def test_average_and_slopes(self, way, first, second):
        found = [way.pair(first, second, *COVARIANCES), *way.pair_slopes(first, second, *COVARIANCES)]
        wanted = [factor * hermite_rule(first, second)[m, n] for m, n, factor in [(0, 0, 1), *FIRST]]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)

    def test_curvatures(self, way, first, second):
        found = way.pair_curvatures(first, second, *COVARIANCES)
        wanted = [factor * hermite_rule(first, second)[m, n] for m, n, factor in SECOND]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-8)

    def test_derivatives_are_those_of_the_average(self, way, first, second):
        for c in np.array(GENERIC):
            around = c[:, None, None] + 1e-4 * np.multiply.outer(np.eye(3), [1, -1])
            up, down = np.moveaxis(way.pair(first, second, *around), -1, 0)
            slopes = way.pair_slopes(first, second, *c)
            np.testing.assert_allclose(slopes, (up - down) / 2e-4, rtol=0, atol=1e-7)
            up, down = np.moveaxis(way.pair_slopes(first, second, *around), -1, 0)
            curvatures = np.array(way.pair_curvatures(first, second, *c))
            np.testing.assert_allclose(curvatures[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]], (up - down) / 2e-4, atol=1e-7)

    def test_shapes(self, way, first, second):
        arguments = np.ones((3, 1)), np.full(2, 0.5), 1.0
        found = [way.pair(first, second, *arguments)]
        found += [*way.pair_slopes(first, second, *arguments), *way.pair_curvatures(first, second, *arguments)]
        assert {np.shape(values) for values in found} == {(3, 2)}
        alone = way.pair(first, second, 1.0, 0.5, 1.0)
        assert np.shape(alone) == ()
        np.testing.assert_allclose(found[0], alone, rtol=0, atol=1e-14)


@pytest.mark.parametrize("other", [Tanh(), Erf()], ids=["tanh", "erf"])
def test_pair_with_a_function_of_the_user(other):
    """Adaptive quadrature of the density, tolerance 1e-10; tanh has poles near the real axis."""
    c_xx, c_xz, c_zz = 1.3, 0.6, 0.8
    precision = np.linalg.inv([[c_xx, c_xz], [c_xz, c_zz]])

    def integrand(z, x):
        form = precision[0, 0] * x * x + 2 * precision[0, 1] * x * z + precision[1, 1] * z * z
        return np.tanh(x) * other.function(z)[0] * np.exp(-form / 2)

    wanted = dblquad(integrand, -9, 9, -8, 8, epsabs=1e-10)[0] * np.sqrt(np.linalg.det(precision)) / (2 * np.pi)
    assert Tanh().pair(other, c_xx, c_xz, c_zz) == pytest.approx(wanted, abs=1e-9)


def test_wide_preactivations_get_more_nodes():
    for deviation in (3.0, 8.0):
        c = deviation**2
        closed, rule = Erf().pair(Erf(), c, 0.5 * c, c), averages.pair(Erf(), Erf(), c, 0.5 * c, c)
        assert rule == pytest.approx(closed, abs=1e-10)


def test_covariances_that_rounding_put_outside():
    """A unit of norm zero but for rounding, whose covariance has rounding of its own: as independent."""
    _, xz, zz = Tanh().pair_slopes(Erf(), 1e-20, 1e-8, 1.0)
    assert xz == pytest.approx(Erf().slope(0.0) * Erf().pair_slopes(Erf(), 0.0, 0.0, 1.0)[1] / Erf().slope(0.0) ** 2)
    assert zz == pytest.approx(0.0, abs=1e-9)


def test_many_entries_are_the_same_as_one_by_one():
    c = np.random.default_rng(0).uniform(0.5, 1.0, 1000)
    found = averages.pair(Erf(), Erf(), c, 0.3, 1.0)
    np.testing.assert_allclose(found, Erf().pair(Erf(), c, 0.3, 1.0), rtol=0, atol=1e-13)


# Averages over the error


def covariance(kind, p, p_star, seed=0):
    """A joint covariance from weights of norm about 1, some of them special."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((p + p_star, p + p_star + 2)) / np.sqrt(p + p_star + 2)
    if kind == "equal":
        W[1] = W[0]
        W[p] = -W[0]
    elif kind == "zero":
        W[0] = 0.0
    elif kind == "all zero":
        W[:p] = 0.0
    elif kind == "learned":
        W[:p] = W[p : 2 * p]
    elif kind == "nearly learned":
        W[:p] = W[p : 2 * p] + 0.05 * W[:p]
    elif kind != "generic":
        W[1] = W[0] + float(kind) * W[1]
    return W @ W.T


KINDS = ["generic", "equal", "zero", "all zero", "nearly learned", "1e-2", "1e-4", "1e-6", "1e-7", "1e-8"]
READOUTS = np.array([0.8, -0.5]), np.array([1.0, 0.4, -0.7])


def square_error_squared(omega, v, v_star, noise_variance):
    """4 E[D^2 z z^T] of the square, by Isserlis' theorem."""
    S = np.diag(np.concatenate([v, -v_star]))
    A = S @ omega
    t, s = np.trace(A), np.trace(A @ A)
    return 4 * ((t**2 + 2 * s + noise_variance) * omega + 4 * t * omega @ A + 8 * omega @ A @ A)[: len(v), : len(v)]


compiled = functools.cache(njit)


def gradient_averages(averages, omega, parameters, constants=()):
    """J and K of gradient descent, through whichever functions there are."""
    eta, noise_std, v, v_star = parameters
    p, parameters = len(v), np.concatenate([[eta, noise_std], v, -v_star, constants])
    if averages.drift is None:
        J = averages.drift_arrays(omega, parameters, p)
        return J, averages.noise_arrays(omega, parameters, J, J @ omega)
    J, K = np.empty((p, len(omega))), np.empty((p, p))
    drift, noise = averages.drift, averages.noise
    if constants:  # addresses, which only compiled code can call
        drift, noise = compiled(drift), compiled(noise)
    drift(omega, parameters, J)
    noise(omega, parameters, J, J @ omega, K)
    return J, K


SMOOTH = [(Erf(), Erf()), (Erf(), Quadratic()), (Quadratic(), Erf()), (Tanh(), Erf())]
MIXED = [*SMOOTH, (ReLU(0.1), ReLU()), (Hermite(3), Quadratic()), (ReLU(0.1), Tanh()), (Erf(), ReLU())]


@pytest.mark.parametrize(("student", "teacher"), MIXED, ids=map(named, MIXED))
def test_averages_against_samples(student, teacher):
    """2e5 samples; 13 averages for each of six pairs within 4.5 standard errors: by chance one seed in 1900 fails."""
    v, v_star, noise_std, n = *READOUTS, 0.3, 200_000
    omega, rng = covariance("generic", 2, 3), np.random.default_rng(1)
    z = rng.multivariate_normal(np.zeros(5), omega, n)
    (s, s_1), s_star = student.function(z[:, :2]), teacher(z[:, 2:])
    D = s @ v - s_star @ v_star - noise_std * rng.standard_normal(n)
    C = -0.7 * v * D[:, None] * s_1
    constants = student.constants(teacher)
    J, K = gradient_averages(student.averages(teacher), omega, (0.7, noise_std, v, v_star), constants)
    for samples, wanted in ((C[:, :, None] * z[:, None], J @ omega), (C[:, :, None] * C[:, None], K)):
        assert np.max(np.abs(samples.mean(0) - wanted) / samples.std(0)) < 4.5 / np.sqrt(n)


@pytest.mark.parametrize("kind", KINDS)
def test_four_point_averages_by_conditioning(kind):
    """Against the closed forms of erf and of the square, which know nothing of each other or of conditioning."""
    omega = covariance(kind, 2, 3)
    arguments = omega, *READOUTS, 0.1
    wanted = Erf().error_squared(Erf(), *arguments)
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(error_squared(Erf(), Erf(), *arguments), wanted, rtol=0, atol=1e-7)
    wanted, found = square_error_squared(*arguments), error_squared(Quadratic(), Quadratic(), *arguments)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-7 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("kind", ["1e-2", "1e-5", "1e-8", "1e-11"])
def test_nearly_parallel_units_tend_to_parallel_ones(kind):
    """Two units at an angle `kind`: their second moment differs from that of equal units by the order of the angle."""
    omega, equal = covariance(kind, 2, 3), covariance("0", 2, 3)
    for student, teacher in MIXED:
        difference = student.error_squared(teacher, omega, *READOUTS, 0.1) - student.error_squared(
            teacher, equal, *READOUTS, 0.1
        )
        assert np.abs(difference).max() < 20 * float(kind) + 2e-8


def test_four_point_averages_of_wide_preactivations():
    arguments = 2.5**2 * covariance("generic", 2, 3), *READOUTS, 0.1
    wanted = Erf().error_squared(Erf(), *arguments)
    np.testing.assert_allclose(error_squared(Erf(), Erf(), *arguments, 2), wanted, rtol=0, atol=1e-7)


def test_four_point_averages_follow_the_covariance_smoothly():
    """Students of one norm, orthogonal, have no principal axes: the nodes must not turn with rounding."""
    omega = np.eye(4) + np.diag([0.3, 0.3], 2) + np.diag([0.3, 0.3], -2)
    near = omega + 1e-13 * np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    v = np.array([0.8, -0.5])
    found, moved = (error_squared(Tanh(), Erf(), each, v, v, 0.0, 0) for each in (omega, near))
    np.testing.assert_allclose(found, moved, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", [Erf(), Quadratic(), Tanh()], ids=lambda activation: activation.name)
def test_second_moment_vanishes_where_the_task_is_learned(activation):
    v = np.array([0.8, -0.5])
    for level in (0, 1, 2):
        found = error_squared(activation, activation, covariance("learned", 2, 2), v, v, 0.0, level)
        assert np.abs(found).max() < 1e-12
        assert (np.diagonal(found) >= 0).all()


def test_second_moment_is_positive_semidefinite():
    for kind in KINDS:
        for student, teacher in MIXED:
            found = student.error_squared(teacher, covariance(kind, 2, 3), *READOUTS, 0.0)
            assert np.array_equal(found, found.T)
            assert np.linalg.eigvalsh(found)[0] >= -1e-14 * np.trace(found)


@pytest.mark.parametrize("level", [0, 1])
def test_estimate_of_the_error(level):
    """Close to the solution, where the terms of the series cancel and its error shows."""
    v = np.array([0.8, -0.5])
    arguments = covariance("nearly learned", 2, 2), v, v, 0.0
    exact = Erf().error_squared(Erf(), *arguments)
    error = np.abs(error_squared(Erf(), Erf(), *arguments, level) - exact).max()
    assert 0.5 < error_squared_accuracy(Erf(), Erf(), *arguments, level) / error < 2
    assert error < (1e-5, 1e-6)[level] * np.abs(exact).max()


def test_second_moment_of_a_solution_that_diverges_is_nan():
    found = error_squared(Tanh(), Tanh(), np.full((2, 2), np.inf), np.ones(1), np.ones(1), 0.0)
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("student", "teacher"), [*PAIRS, (Tanh(), Erf()), (ReLU(), ReLU(0.3))], ids=lambda one: one.name
)
def test_drift_is_the_slope_of_the_loss(student, teacher):
    """J = -2 eta dL/dOmega, the entries of Omega taken as independent; central differences."""
    v, v_star, omega = *READOUTS, covariance("generic", 2, 3)
    constants = student.constants(teacher)
    J, _ = gradient_averages(student.averages(teacher), omega, (0.7, 0.0, v, v_star), constants)
    u, sides = np.concatenate([v, -v_star]), [student] * 2 + [teacher] * 3

    def loss(omega):
        return sum(
            u[i] * u[j] * sides[i].pair(sides[j], omega[i, i], omega[i, j], omega[j, j]) / 2
            for i in range(5)
            for j in range(5)
        )

    for k, j in np.ndindex(2, 5):
        step = np.zeros((5, 5))
        step[k, j] = 1e-4
        assert J[k, j] == pytest.approx(-1.4 * (loss(omega + step) - loss(omega - step)) / 2e-4, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_closed_averages_of_erf_against_quadrature(kind):
    omega, parameters = covariance(kind, 2, 3), (0.7, 0.3, *READOUTS)
    found = gradient_averages(Erf().averages(Erf()), omega, parameters)
    wanted = gradient_averages(by_quadrature(Erf(), Erf()), omega, parameters)
    for one, other in zip(found, wanted):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11)


def test_soft_committee_machine_leaves_its_plateau():
    """Reference values of an independent program, of the same method in Gaussian integrals of three and four units."""
    model = tsode.TeacherStudent(2, 2, 0.5, student_readout=[1.0, 1.0], teacher_readout=[1.0, 1.0], activation="erf")
    start = tsode.Overlaps([[0.01, -0.005], [0.003, 0.008]], [[0.5, 0.01], [0.01, 0.3]])
    alpha = [0.0, 10.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0]
    ode = tsode.integrate(model, start, alpha, rtol=1e-11, atol=1e-13)
    early, late = [0.01750029881, 0.01525234101, 0.01454118665], [0.01083313121, 0.002720819618, 3.839289370e-5]
    np.testing.assert_allclose(ode.loss[1:4], early, rtol=1e-9)
    # the escape amplifies rounding
    np.testing.assert_allclose(ode.loss[4:], [*late, 4.655730202e-7], rtol=2e-6)
    wanted = [[0.820926178, 0.098876406], [0.099056473, 0.82121012]]
    np.testing.assert_allclose(ode.M[5], wanted, rtol=0, atol=1e-9)


def test_saad_and_solla_symmetric_plateau():
    """Gradient flow from equal students: Q_kl = 1/(2K-1), M_kr = 1/sqrt(K(2K-1)) and the loss below."""
    for K in (2, 3):
        model = tsode.TeacherStudent(
            K, K, 1.0, student_readout=np.ones(K), teacher_readout=np.ones(K), activation="erf"
        )
        start = tsode.Overlaps(np.full((K, K), 0.2), np.full((K, K), 0.3))
        end = tsode.integrate(model, start, [0.0, 1000.0], rtol=1e-10, gradient_flow=True)
        np.testing.assert_allclose(end.Q[-1], 1 / (2 * K - 1), rtol=1e-7)
        np.testing.assert_allclose(end.M[-1], 1 / np.sqrt(K * (2 * K - 1)), rtol=1e-7)
        assert end.loss[-1] == pytest.approx(K / np.pi * (np.pi / 6 - K * np.arcsin(1 / (2 * K))), rel=1e-7)


def test_growth_rate_of_specialisation():
    """A small difference between the rows of M on that plateau grows at eta (2/pi) a / (2 (1 + Q) - a^2)^(3/2)."""
    K, tiny = 2, 1e-7
    model = tsode.TeacherStudent(K, K, 1.0, student_readout=np.ones(K), teacher_readout=np.ones(K), activation="erf")
    Q, a = 1 / (2 * K - 1), 1 / np.sqrt(K * (2 * K - 1))
    start = tsode.Overlaps(a + tiny * np.array([[1, -1], [-1, 1]]), np.full((K, K), Q) + 1e-12 * np.eye(K))
    ode = tsode.integrate(model, start, [0.0, 10.0, 20.0], rtol=1e-12, atol=1e-15, gradient_flow=True)
    apart = ode.M[:, 0, 0] - ode.M[:, 0, 1]
    rate = 2 / np.pi * a / (2 * (1 + Q) - a**2) ** 1.5
    assert np.log(apart[2] / apart[1]) / 10 == pytest.approx(rate, rel=1e-4)


class Softsign(Activation):
    """Smooth to first order only."""

    name = "softsign"

    @property
    def function(self):
        """Plain function x -> (value, slope)."""
        return lambda x: (x / (1 + np.abs(x)), 1 / (1 + np.abs(x)) ** 2)


class Wrong(Tanh):
    """A slope that is not the derivative."""

    name = "wrong"

    @property
    def function(self):
        """Plain function x -> (value, slope)."""
        return lambda x: (np.tanh(x), 1 - np.tanh(x))


def test_quadrature_refuses_what_it_cannot_do():
    one = np.ones((1, 1))
    for activation, message in ((Softsign(), "varies too fast for quadrature"), (Wrong(), "derivative as its slope")):
        model = tsode.TeacherStudent(1, 1, 0.1, activation=activation)
        with pytest.raises(ValueError, match=message):
            model.excess_loss(0.1 * one, one)
        with pytest.raises(ValueError, match=message):
            tsode.integrate(model, tsode.Overlaps(0.1 * one, one), 1.0)
    rough = tsode.simulate(tsode.TeacherStudent(1, 1, 0.1, activation=Quadratic()), None, 1.0, N=10)
    assert "none finite" in repr(
        dataclasses.replace(rough, model=tsode.TeacherStudent(1, 1, 0.1, activation=Softsign()))
    )

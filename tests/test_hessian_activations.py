"""Hessians of networks with other activations than the square, from the averages of pairs alone."""

import numpy as np
import pytest
from hessian_points import overlaps_of, random_points

import tsode
from tsode import hessian
from tsode.activations import Activation, Hermite, NoClosedForm

CONSTRAINTS = ("free", "spherical")
SIDES = [("erf", "erf"), ("erf", "quadratic"), ("quadratic", "erf")]
# central differences of eighth order
OFFSETS = np.array([-4, -3, -2, -1, 1, 2, 3, 4])
FIRST = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
SECOND = np.array([-1 / 560, 8 / 315, -1 / 5, 8 / 5, 8 / 5, -1 / 5, 8 / 315, -1 / 560])
MIDDLE = -205 / 72
STEP = 0.02


class Kink(Activation):
    """A rectified linear unit: no second derivative."""

    name = "kink"

    @property
    def function(self):
        """Plain function x -> (value, slope)."""
        return lambda x: (np.maximum(x, 0.0), np.where(x > 0, 1.0, 0.0))


def points(count, N, seed, constraint="free", sides=("erf", "erf")):
    for model, W, W_star in random_points(count, N, seed, constraint):
        yield model.replace(activation=sides[0], teacher_activation=sides[1]), W, W_star


def loss(model, W, W_star, v=None):
    """Half the mean squared error as a sum over pairs of units, one by one, of weights with any leading axes."""
    rows = np.concatenate([W, np.broadcast_to(W_star, (*W.shape[:-2], *W_star.shape))], axis=-2)
    C = rows @ np.swapaxes(rows, -1, -2) / W.shape[-1]
    v = model.student_readout if v is None else v
    u = np.concatenate([v, np.broadcast_to(-model.teacher_readout, (*v.shape[:-1], model.p_star))], axis=-1)
    sides = [model.activation] * model.p + [model.teacher_activation] * model.p_star
    total = 0.0
    for i in range(u.shape[-1]):
        for j in range(u.shape[-1]):
            total = total + u[..., i] * u[..., j] * sides[i].pair(sides[j], C[..., i, i], C[..., i, j], C[..., j, j])
    return total / 2


def sample_loss(model, W, X, y):
    lam = X @ np.swapaxes(W, -1, -2) / np.sqrt(W.shape[-1])
    return np.mean((model.activation(lam) @ model.student_readout - y) ** 2, axis=-1) / 2


def dense_differences(function, W):
    """The Hessian of a function of W / sqrt(N) entry by entry, each from 64 values."""
    n, size = W.size, STEP * np.sqrt(W.shape[1])
    found = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            moved = np.zeros((8, 8, n))
            moved[..., i] += size * OFFSETS[:, None]
            moved[..., j] += size * OFFSETS
            found[i, j] = found[j, i] = FIRST @ function(W + moved.reshape(8, 8, *W.shape)) @ FIRST / STEP**2
    return found


def along(model, W, Z):
    """Weights at a distance s from W / sqrt(N) in the direction Z, along great circles on the spheres."""
    root = np.sqrt(W.shape[1])
    if not model.spherical:
        return lambda s: W + s * root * Z
    speed = np.linalg.norm(Z, axis=1, keepdims=True)
    return lambda s: np.cos(s * speed) * W + np.sin(s * speed) * root * Z / speed


def direction(model, W, rng):
    Z = rng.standard_normal(W.shape)
    if model.spherical:
        Z -= np.sum(Z * W, axis=1, keepdims=True) * W / W.shape[1]
    return Z / np.linalg.norm(Z)


def slope_and_curvature(function):
    values = [function(STEP * a) for a in OFFSETS]
    return FIRST @ values / STEP, (SECOND @ values + MIDDLE * function(0.0)) / STEP**2


# ---- the loss as a function of the overlaps


@pytest.mark.parametrize("sides", [("quadratic", "quadratic"), *SIDES, (Hermite(3), "quadratic")])
def test_derivatives_of_the_loss_with_respect_to_the_overlaps(sides):
    rng = np.random.default_rng(1)
    for model, W, W_star in points(3, 9, 1, sides=sides):
        start, P = tsode.Overlaps.from_weights(W, W_star), 1.3 * model.teacher_overlap
        changed = model.replace(teacher_overlap=P)
        dM, dQ = rng.standard_normal(start.M.shape) / 20, rng.standard_normal(start.Q.shape) / 20
        dQ = dQ + dQ.T

        def at(s, dM=dM, dQ=dQ, start=start):
            return start.M + s * dM, start.Q + s * dQ

        slope, curvature = slope_and_curvature(lambda s, model=changed, at=at: model.excess_loss(*at(s)))
        L_M, L_Q = model.loss_slopes(*at(0.0), P)
        assert np.sum(L_M * dM) + np.sum(L_Q * dQ) == pytest.approx(slope, rel=1e-8)
        up, down = (changed.loss_slopes(*at(s)) for s in (1e-4, -1e-4))
        changes = model.loss_curvature(*at(0.0), P)(dM, dQ)
        for found, above, below in zip(changes, up, down):
            np.testing.assert_allclose(found, (above - below) / 2e-4, atol=1e-7)
        assert np.sum(changes[0] * dM) + np.sum(changes[1] * dQ) == pytest.approx(curvature, rel=1e-6, abs=1e-8)
        stacked = model.loss_curvature(*at(0.0), P)(np.stack([dM, 0 * dM]), np.stack([dQ, 0 * dQ]))
        for found, one in zip(stacked, changes):
            np.testing.assert_allclose(found, [one, 0 * one], atol=1e-14)


# ---- the population


def test_population_hessian_against_dense_differences_of_the_loss():
    for N, seed in ((6, 2), (7, 3)):
        model, W, W_star = next(m for m in points(10, N, seed) if m[0].p == 2)
        expected = dense_differences(lambda w, m=model, t=W_star: loss(m, w, t), W)
        found = hessian.population_operator(model, W, W_star) @ np.eye(W.size)
        np.testing.assert_allclose(found, expected, atol=1e-8)


def test_hessian_of_weights_and_a_trained_readout_against_dense_differences():
    """With the gradient, and along a trajectory at the readout of each time."""
    N, p = 6, 2
    model, W, W_star = next(m for m in points(10, N, 2) if m[0].p == p)
    model = model.replace(readout_learning_rate=0.3)
    n = p * N + p
    z = np.sqrt(n) * np.concatenate([W.ravel() / np.sqrt(N), model.student_readout])[None]

    def of_both(z):
        z = z[..., 0, :] / np.sqrt(n)
        U = z[..., : p * N].reshape(*z.shape[:-1], p, N)
        return loss(model, np.sqrt(N) * U, W_star, z[..., p * N :])

    start = tsode.Overlaps.from_weights(W, W_star)
    found = hessian.population_spectrum(model, start, N)
    np.testing.assert_allclose(found.expanded, np.linalg.eigvalsh(dense_differences(of_both, z)), atol=1e-7)
    slopes = [FIRST @ of_both(z + np.sqrt(n) * STEP * OFFSETS[:, None, None] * e) / STEP for e in np.eye(n)]
    assert found.gradient_norm == pytest.approx(np.linalg.norm(slopes), rel=1e-8)
    ode = tsode.integrate(model, start, [0.0, 1.0])
    here = model.replace(student_readout=ode.readout[1])
    last = hessian.population_spectrum(here, ode.overlaps(1), N)
    assert hessian.along(ode, N).lowest[1] == last.lowest


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("sides", SIDES)
def test_population_gradient_and_hessian_along_lines_and_great_circles(sides, constraint):
    rng = np.random.default_rng(3)
    for model, W, W_star in points(3, 10, 3, constraint, sides):
        Z = direction(model, W, rng)
        path = along(model, W, Z)
        expected = slope_and_curvature(lambda s, m=model, path=path, t=W_star: loss(m, path(s), t))
        g, H = hessian.population_gradient(model, W, W_star), hessian.population_operator(model, W, W_star)
        np.testing.assert_allclose([np.sum(g * Z), Z.ravel() @ (H @ Z.ravel())], expected, atol=1e-8)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_taylor_remainder_of_the_population_has_slope_three(constraint):
    rng, orders = np.random.default_rng(4), []
    for model, W, W_star in points(9, 8, 4, constraint):
        Z = direction(model, W, rng)
        path = along(model, W, Z)
        slope = np.sum(hessian.population_gradient(model, W, W_star) * Z)
        curvature = Z.ravel() @ (hessian.population_operator(model, W, W_star) @ Z.ravel())
        steps, start = 10.0 ** -np.linspace(2, 3, 5), loss(model, W, W_star)
        remainder = [abs(loss(model, path(s), W_star) - start - s * slope - s * s / 2 * curvature) for s in steps]
        orders.append(np.polyfit(np.log(steps), np.log(remainder), 1)[0])
    assert min(orders) > 2.9  # more where the third order happens to be small
    assert np.median(orders) == pytest.approx(3.0, abs=0.1)


@pytest.mark.quick(3)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("sides", SIDES)
def test_spectrum_against_the_operator(sides, constraint):
    atol = 1e-12 if sides[0] == sides[1] else 1e-8  # second derivatives of mixed pairs come from quadrature, to 1e-9
    for model, W, W_star in points(12 if sides[0] == sides[1] else 2, 11, 5, constraint, sides):
        values = np.linalg.eigvalsh(hessian.population_operator(model, W, W_star) @ np.eye(W.size))
        spectrum = hessian.population_spectrum(model, overlaps_of(model, W, W_star), 11)
        radial = np.zeros(model.p * model.spherical)
        np.testing.assert_allclose(np.sort([*spectrum.expanded, *radial]), values, atol=atol)
        norm = np.linalg.norm(hessian.population_gradient(model, W, W_star))
        assert spectrum.gradient_norm == pytest.approx(norm, rel=1e-9, abs=1e-12)


def test_solutions_of_equal_width_are_strict_minima():
    # No rotation of hidden units leaves a soft committee alone: the mean of squared derivatives is positive definite.
    model = tsode.TeacherStudent(3, 3, 0.1, activation="erf")
    solution = tsode.Overlaps(np.eye(3), np.eye(3))
    spectrum = hessian.population_spectrum(model, solution, 20)
    assert (spectrum.verdict, spectrum.dimension) == ("strict minimum", 60)
    copies = model.replace(p=4, student_readout=[0.1, 1 / 3 - 0.1, 1 / 3, 1 / 3])
    M = np.eye(3)[[0, 0, 1, 2]]
    modes = hessian.null_space(copies, tsode.Overlaps(M, M @ M.T), 20)
    assert modes.nullity == 20  # moving the two copies apart, weighted with their readouts, in any direction
    assert modes.orders == (pytest.approx(4.0, abs=0.01),)


@pytest.mark.parametrize(
    ("sides", "v_star", "turns", "axes"),
    [
        (("erf", "erf"), [0.5, 0.5], 3, 3),
        (("erf", "erf"), [0.5, 0.0], 6, 4),  # a unit that is not read out fixes nothing
        (("erf", "quadratic"), [0.5, 0.5], 3 + 1, 3),
        (("erf", "quadratic"), [0.5, 0.4], 3, 3),
        (("quadratic", "erf"), [0.5, 0.5], 3 + 3, 3),
    ],
)
def test_rotations_leave_the_loss_alone_at_any_point(sides, v_star, turns, axes):
    model = tsode.TeacherStudent(3, 2, 0.1, teacher_readout=v_star, activation=sides[0], teacher_activation=sides[1])
    point = tsode.Overlaps.random(model, 12, rng=6)
    W, W_star = point.realise(12, rng=7)
    family, gradient = hessian.rotations(model, point), hessian.population_gradient(model, W, W_star)
    assert (len(family.inside), family.outside.shape) == (turns, (axes, 3))
    for turn in family.inside:
        Z = turn @ np.vstack([W, W_star]) / np.sqrt(12)
        assert np.linalg.norm(Z) > 0.1
        assert abs(np.sum(gradient * Z)) < 1e-10
    assert np.linalg.matrix_rank(np.reshape(family.inside, (turns, -1))) == turns


# ---- samples


def case(seed, constraint="free", n=30, N=8, teacher="erf"):
    rng = np.random.default_rng(seed)
    model = tsode.TeacherStudent(3, 2, 0.1, student_readout=[0.4, -0.7, 0.9], activation="erf",
                                 teacher_activation=teacher, constraint=constraint)  # fmt: skip
    W, W_star = tsode.Overlaps.random(model, N, rng=rng).realise(N, rng)
    X = rng.standard_normal((n, N))
    y = model.teacher_activation(X @ W_star.T / np.sqrt(N)) @ model.teacher_readout
    return model, W, W_star, X, y + 0.3 * rng.standard_normal(n)


@pytest.mark.parametrize("teacher", ["erf", "quadratic"])
def test_empirical_hessian_against_dense_differences_of_the_sample_loss(teacher):
    model, W, _, X, y = case(8, N=5, teacher=teacher)
    expected = dense_differences(lambda w: sample_loss(model, w, X, y), W)
    np.testing.assert_allclose(hessian.empirical_operator(model, W, X, y) @ np.eye(15), expected, atol=1e-8)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_empirical_gradient_operator_and_spectrum(constraint):
    model, W, _, X, y = case(9, constraint)
    g, H = hessian.empirical_gradient(model, W, X, y), hessian.empirical_operator(model, W, X, y)
    rng = np.random.default_rng(10)
    for _ in range(4):
        Z = direction(model, W, rng)
        path = along(model, W, Z)
        expected = slope_and_curvature(lambda s, path=path: sample_loss(model, path(s), X, y))
        np.testing.assert_allclose([np.sum(g * Z), Z.ravel() @ (H @ Z.ravel())], expected, atol=1e-8)
    values, spectrum = np.linalg.eigvalsh(H @ np.eye(W.size)), hessian.empirical_spectrum(model, W, X, y)
    np.testing.assert_allclose(np.sort([*spectrum.expanded, *np.zeros(3 * model.spherical)]), values, atol=1e-12)
    assert spectrum.gradient_norm == pytest.approx(np.linalg.norm(g), rel=1e-12)


def test_empirical_operator_approaches_the_population_as_the_root_of_samples():
    model, W, W_star, X, y = case(11, n=64_000, N=20)
    limit = hessian.population_operator(model, W, W_star) @ np.eye(60)
    sizes = np.array([250, 1000, 4000, 16_000, 64_000])
    errors = [np.linalg.norm(hessian.empirical_operator(model, W, X[:n], y[:n]) @ np.eye(60) - limit) for n in sizes]
    # The Frobenius norm averages 3600 entries, so each error is known to a few percent and the slope to 0.02.
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] == pytest.approx(-0.5, abs=0.06)


# ---- what is not known


def test_what_belongs_to_the_square_is_said():
    model = tsode.TeacherStudent(4, 2, 0.1, activation="erf")
    for function in (lambda: hessian.compare(model, 20), lambda: hessian.gradient_flow_plateau(model),
                     lambda: hessian.convergence(model), lambda: hessian.separation(model)):  # fmt: skip
        with pytest.raises(NoClosedForm, match="`model` must have the quadratic activation for closed forms"):
            function()


def test_a_kink_has_a_gradient_on_samples_and_no_hessian():
    _, W, _, X, y = case(12)
    model = tsode.TeacherStudent(3, 2, 0.1, activation=Kink())
    path = along(model, W, np.eye(3, 8) / np.sqrt(3))
    lines = [sample_loss(model, path(s), X, y) for s in (1e-6, -1e-6)]
    found = np.sum(hessian.empirical_gradient(model, W, X, y) * np.eye(3, 8)) / np.sqrt(3)
    assert found == pytest.approx((lines[0] - lines[1]) / 2e-6, rel=1e-6)
    for function in (hessian.empirical_operator, hessian.empirical_spectrum):
        with pytest.raises(NoClosedForm, match="`activation` must have a second derivative"):
            function(model, W, X, y)

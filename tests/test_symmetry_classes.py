"""Students modulo symmetry: classes, canonical forms and distances; nullities against the rank of plain Jacobians."""

import itertools

import numpy as np
import pytest
from scipy.linalg import expm

import tsode
from tsode import hessian
from tsode.activations import SHIPPED, Activation, Quadratic, jitable
from tsode.manifold import canonical, equivalent, nullity, symmetry_distance

N = 7


class Cube(Activation):
    """Odd and homogeneous, which no other here is at once."""

    name, degree, coefficients = "cube", 3, (0.0, 0.0, 0.0, 1.0)

    @property
    def function(self):
        return jitable(lambda x: (x**3, 3 * x**2))


class Hump(Activation):
    """Even and bounded."""

    name = "hump"

    @property
    def function(self):
        return jitable(lambda x: (1 / (1 + x * x), -2 * x / (1 + x * x) ** 2))


class Shifted(Quadratic):
    """A square with a constant, which forbids scales."""

    name, degree, coefficients = "shifted", None, (-1.0, 0.0, 1.0)

    @property
    def function(self):
        return jitable(lambda x: (x * x - 1, 2 * x))

    pair = Activation.pair


KINDS = {**{name: kind() for name, kind in SHIPPED.items()}, "cube": Cube(), "hump": Hump(), "shifted": Shifted()}
PARITIES = {"quadratic": 1, "shifted": 1, "hump": 1, "erf": -1, "tanh": -1, "cube": -1, "relu": None}
DEGREES = {"quadratic": 2, "relu": 1, "cube": 3}
READOUTS = {
    "equal": [0.25] * 4,
    "one sign": [0.5, 0.2, 0.2, 0.1],
    "two signs": [0.5, -0.5, 0.2, 0.5],
    "unread": [0.3, 0.0, 0.0, 0.3],
}
kinds = pytest.mark.parametrize("kind", KINDS)


def model_of(kind, v=READOUTS["equal"]):
    return tsode.TeacherStudent(len(v), 1, 0.1, student_readout=v, activation=KINDS[kind])


def weights(seed, p=4):
    return np.random.default_rng(seed).standard_normal((p, N))


def output(model, W, v, count=50):
    X = np.random.default_rng(99).standard_normal((count, N)) / np.sqrt(N)
    return model.activation(X @ W.T) @ v


def units_moved(kind, W, v, rng, trained):
    """Permute, flip and scale units as the activation allows, so that fixed readouts stay."""
    parity, degree = PARITIES[kind], DEGREES.get(kind)
    p = len(v)
    while True:  # by trial and error: the plainest way to a random element of the group
        order, flips = rng.permutation(p), rng.choice([1.0, -1.0] if parity else [1.0], p)
        u, new = flips[:, None] * W[order], np.where(flips < 0, parity or 1, 1) * v[order]
        if degree and trained:
            c = rng.uniform(0.5, 2, p)
            return c[:, None] * u, new / c**degree
        if trained or np.array_equal(new, v):
            return u, new
        if degree and np.array_equal(np.sign(new), np.sign(v)):
            ratio = np.divide(new, v, out=np.ones(p), where=v != 0)
            return ratio[:, None] ** (1 / degree) * u, v


def moved(kind, W, v, seed, trained=False):
    """Return a student that a random symmetry takes (W, v) to."""
    rng, v = np.random.default_rng(seed), np.asarray(v, dtype=float)
    if kind in ("quadratic", "shifted") and not (trained and kind == "shifted"):
        K = np.tril(rng.standard_normal((len(v), len(v))), -1) * (np.sign(v) ** 2 == np.sign(v)[:, None] ** 2)
        Y = 0.2 * (K - K.T) / np.where(v == 0, 1, v)[:, None]  # B^T V B = V for the Cayley transform B of Y
        W = np.linalg.solve(np.eye(len(v)) + Y, (np.eye(len(v)) - Y) @ W)
        if not trained:
            return W, v
    return units_moved(kind, W, v, rng, trained)


@kinds
def test_parity_is_found(kind):
    assert KINDS[kind].parity == PARITIES[kind]


CASES = [(kind, name, False) for kind in KINDS for name in READOUTS]
CASES += [(kind, name, True) for kind in KINDS for name in ("one sign", "two signs")]


@pytest.mark.parametrize(("kind", "name", "trained"), CASES)
def test_symmetries_lead_to_the_same_class(kind, name, trained):
    v = np.array(READOUTS[name])
    model, a = model_of(kind, v), weights(1)
    b, v_b = moved(kind, a, v, 2, trained)
    size = np.abs(output(model, a, v)).max()
    np.testing.assert_allclose(output(model, b, v_b), output(model, a, v), atol=1e-11 * size)
    both = [v, v_b] if trained else None
    assert symmetry_distance(model, a, b, both) < 1e-13 * np.linalg.norm(np.vstack([a, b]))
    found = equivalent(model, a, b, both)
    assert found
    assert found.symmetric
    special = name == "unread" or (kind == "shifted" and trained)
    assert found.generic == (found.reason == "") == (not special)
    if not trained:
        form, again, v_form = canonical(model, a), canonical(model, b), v
    else:
        (form, v_form), (again, v_again) = canonical(model, a, v), canonical(model, b, v_b)
        np.testing.assert_allclose(v_again, v_form, atol=1e-12)
    np.testing.assert_allclose(again, form, atol=1e-11 * np.abs(form).max())
    np.testing.assert_allclose(output(model, form, v_form), output(model, a, v), atol=1e-11 * size)
    assert symmetry_distance(model, a, form, [v, v_form] if trained else None) < 1e-12


@pytest.mark.parametrize(("kind", "name", "trained"), CASES)
def test_distance_is_a_metric_on_classes(kind, name, trained):
    v = np.array(READOUTS[name])
    model = model_of(kind, v)
    students = [(weights(seed), np.roll(v, seed) if trained else v) for seed in range(3)]
    students.append(moved(kind, *students[2], 3, trained))
    d = np.array([
        [symmetry_distance(model, a, b, [v_a, v_b] if trained else None) for b, v_b in students] for a, v_a in students
    ])  # fmt: skip
    np.testing.assert_allclose(d, d.T, atol=1e-12)
    np.testing.assert_allclose(d[3], d[2], atol=1e-12)
    assert (d[np.triu_indices(3, 1)] > 0.3).all()
    assert (d[:, None] <= d[:, :, None] + d + 1e-12).all()


@pytest.mark.parametrize(("kind", "v", "signs"), [
    ("erf", [0.25] * 4, [1]), ("erf", [0.5, -0.5, 0.2, 0.5], [1, -1]), ("hump", [0.5, 0.5, 0.2, 0.2], [1, -1]),
    ("relu", [0.25] * 4, [1]),
])  # fmt: skip
def test_distance_is_the_smallest_over_all_symmetries(kind, v, signs):
    """All permutations with all signs that leave the output alone: 384 at most."""
    model, (a, b) = model_of(kind, v), (weights(4), weights(5))
    found, wanted = [], output(model, b, v)
    for order, flips in itertools.product(itertools.permutations(range(4)), itertools.product(signs, repeat=4)):
        moved = np.array(flips)[:, None] * b[list(order)]
        if np.allclose(output(model, moved, v), wanted, atol=1e-12):
            found.append(np.linalg.norm(a - moved) / np.sqrt(N))
    assert len(found) > 1
    assert symmetry_distance(model, a, b) == pytest.approx(min(found), rel=1e-13)


@pytest.mark.parametrize("kind", ["erf", "relu", "quadratic"])
def test_units_that_are_not_read_count_as_they_are(kind):
    model, a, b = model_of(kind, [0.5, 0.5, 0.2, 0.0]), weights(1), weights(1)
    b[3] += 0.01
    assert symmetry_distance(model, a, b) == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize("v", [[0.25] * 4, [0.5, 0.2, 0.2, 0.1]])
def test_no_rotation_is_closer(v):
    """Nor is any near the best: the weighted distance to 300 random ones, as to the class of solutions."""
    model, a, b = model_of("quadratic", v), weights(6), weights(7)
    D, rng = np.sqrt(np.array(v) / 0.25)[:, None], np.random.default_rng(8)
    best = symmetry_distance(model, a, b) * np.sqrt(N)
    U, _, Vt = np.linalg.svd((D * a) @ (D * b).T)
    assert np.linalg.norm(D * a - U @ Vt @ (D * b)) == pytest.approx(best, rel=1e-12)
    K = np.repeat([0.01, 1.0], 150)[:, None, None] * rng.standard_normal((300, 4, 4))
    others = expm(K - np.swapaxes(K, 1, 2)) @ U @ Vt @ (D * b)
    assert np.linalg.norm(D * a - others, axis=(1, 2)).min() > best
    teacher = tsode.TeacherStudent(4, 4, 0.1, student_readout=v, teacher_readout=v, teacher_overlap=b @ b.T / N)
    assert tsode.manifold.distance(teacher, (a, b)) == pytest.approx(best / np.sqrt(N), rel=1e-9)


@kinds
def test_squared_difference_is_that_of_fresh_samples(kind):
    """Within 4.5 standard errors of 2e5 samples; and other students are told apart."""
    model, a, b = model_of(kind), weights(1), weights(2)
    found, v = equivalent(model, a, b), model.student_readout
    one, other = output(model, a, v, 200_000), output(model, b, v, 200_000)
    residual = (one - other) ** 2 - found.squared_difference * (one**2 + other**2)
    assert abs(residual.mean()) < 4.5 * residual.std() / np.sqrt(len(residual))
    assert (found.same_output, found.symmetric, found.generic) == (False, False, True)


E1, E2, E3 = np.eye(3, N)
PAIR, PAIRS = [1, -1], [1, -1, 1, -1]
BROKEN = {  # activation, readouts if trained, both weights, whether symmetric nevertheless, reason
    "a shared readout": ("erf", [[1, 1], [0.5, 1.5]], [E1, E1], [E1, E1], False, "parallel units, 0 and 1"),
    "units that cancel": ("erf", [[1, 1], [1, 1]], [E1, -E1], [E2, -E2], False, "parallel units, 0 and 1"),
    "a unit of zero": ("erf", [[1, 1], [1, 2]], [E1, 0 * E1], [E1, 0 * E1], False, "nothing or a constant, 1"),
    "an unread unit": ("erf", [[1, 0], [1, 0]], [E1, E2], [E1, E3], False, "nothing or a constant, 1"),
    "a form that vanishes": ("quadratic", None, [E1, E1], [E2, E2], True, "that the readouts cancel"),
    "the same, trained": ("quadratic", [PAIR, PAIR], [E1, E1], [E2, E2], True, "dependent units, and trained"),
    "cubes": ("cube", [[3, 3], [48, 0]], [E1, E1], [E1 / 2, E2], False, "linearly dependent units, and its"),
    "a linear function": (
        "relu", [PAIRS, PAIRS], [E1, -E1, E2, -E2], [E1 + E3, -E1 - E3, E2 - E3, E3 - E2], False, "parallel units"
    ),
    "three mirrored units": (
        "relu", None, [E1, E2, -E1 - E2], [-E1, -E2, E1 + E2], False, "mirror images, that are linearly dependent"
    ),
    "a sum of parallel units": ("relu", None, [E1, 3 * E1], [2 * E1, 2 * E1], False, "parallel units, 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_classes_is_said(name):
    kind, readouts, a, b, symmetric, reason = BROKEN[name]
    v = [0.5, -0.5] if kind == "quadratic" else [0.5] * len(a)
    model, found = model_of(kind, v), equivalent(model_of(kind, v), a, b, readouts)
    one, other = [v, v] if readouts is None else readouts
    np.testing.assert_allclose(output(model, np.array(a), one), output(model, np.array(b), other), atol=1e-12)
    assert (found.same_output, found.symmetric, found.generic) == (True, symmetric, False)
    assert reason in found.reason
    assert reason in repr(found)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "shifted"])
def test_tolerances_tell_close_students(kind):
    model, a = model_of(kind), weights(3)
    near = a + 1e-4 * weights(4)
    assert not equivalent(model, a, near)
    assert not equivalent(model, a, near).symmetric
    assert not equivalent(model, 1e-3 * a, 1e-3 * near).symmetric
    assert equivalent(model, a, near, tolerance=0.01).symmetric
    assert equivalent(model, a, near, tolerance=0.01)


# --- nullity


POINTS = {
    "generic": lambda W: W,
    "equal units": lambda W: W[[0, 0, 2, 3]],
    "parallel units": lambda W: np.vstack([W[:3], -2 * W[:1]]),
    "in a plane": lambda W: W[:2][[0, 1, 0, 1]] + W[:2][[0, 1, 1, 0]] * [[0], [0], [1], [-1]],
    "a unit of zero": lambda W: W * [[1], [0], [1], [1]],
    "close units": lambda W: np.vstack([W[:3], W[:1] + 0.2 * W[3:]]),
}


def plain_nullity(model, W, v, trained):
    """Number of parameters less the rank of the plain Jacobian at more points than parameters."""
    X = np.random.default_rng(5).standard_normal((400, N))
    z = X @ W.T / np.sqrt(N)
    J = (v * model.activation.slope(z))[:, :, None] * X[:, None]
    J = J.reshape(len(X), -1)
    if trained:
        J = np.hstack([J, model.activation(z)])
    sizes = np.linalg.svd(J, compute_uv=False)
    return int(np.sum(sizes < 1e-8 * sizes[0]))


@pytest.mark.parametrize("kind", [
    *SHIPPED, *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in SHIPPED)
])  # fmt: skip
@pytest.mark.parametrize("place", POINTS)
@pytest.mark.parametrize("trained", [False, True])
def test_nullity_is_that_of_the_jacobian(kind, place, trained):
    v = np.array([0.5, 0.5, -0.3, 0.2])
    model, W = model_of(kind, v), POINTS[place](weights(1))
    if kind == "relu" and place == "a unit of zero":
        with pytest.raises(ValueError, match="`W` must have no unit of zero, where the activation has its kink"):
            nullity(model_of(kind), np.zeros((4, N)))
        with pytest.raises(ValueError, match="`W` must have no unit of zero, where the activation has its kink"):
            nullity(model, W)
        return
    found = nullity(model, W, v if trained else None)
    assert found.nullity == plain_nullity(model, W, v, trained)
    turns = 6 if kind == "quadratic" or (kind == "shifted" and not trained) else 0
    scales = 4 if trained and kind in DEGREES else 0
    if place == "generic" and not (kind == "shifted" and trained):
        assert (found.orbit, found.excess) == (turns + scales, 0)
    assert 0 <= found.orbit <= turns + scales
    assert found.excess >= 0


@pytest.mark.parametrize("rank", [2, 4])
def test_square_of_low_rank(rank):
    """(p - r) N + r (r - 1) / 2; the orbit of O(p) has p (p - 1) / 2 - (p - r) (p - r - 1) / 2."""
    W = weights(1) if rank == 4 else weights(2) @ np.diag([1.0] * 2 + [0.0] * (N - 2))
    found = nullity(model_of("quadratic"), W)
    assert (found.nullity, found.orbit) == ((6, 6) if rank == 4 else (15, 5))


@pytest.mark.parametrize("kind", ["erf", "quadratic"])
@pytest.mark.parametrize("place", ["generic", "parallel units"])
def test_nullity_is_that_of_the_hessian_where_the_loss_is_zero(kind, place):
    v, W = [0.5, 0.5, -0.3, 0.2], POINTS[place](weights(1))
    P = W @ W.T / N
    model = tsode.TeacherStudent(4, 4, 0.1, 0.0, v, v, P, activation=kind)
    assert (
        hessian.null_space(model, tsode.Overlaps(P, P, P), N=40).nullity
        == nullity(model_of(kind, v), np.pad(W, ((0, 0), (0, 40 - N)))).nullity
    )


# --- degenerate students


@pytest.mark.parametrize("kind", SHIPPED)
@pytest.mark.parametrize("W", [np.zeros((4, N)), np.eye(4, N), np.ones((4, N)), np.ones((4, 1))], ids=lambda W: W.sum())
@pytest.mark.parametrize("name", READOUTS)
def test_a_degenerate_student_has_a_canonical_form(kind, W, name):
    model = model_of(kind, READOUTS[name])
    form = canonical(model, W)
    assert equivalent(model, W, form).symmetric
    assert equivalent(model, W, form)
    np.testing.assert_allclose(canonical(model, form), form, atol=1e-14)


def test_units_that_the_readouts_cancel_vanish():
    """Down to what rounding leaves of them, which no second call would find again."""
    assert not canonical(model_of("quadratic", [0.5, -0.5]), np.ones((2, 1)) / 3).any()
    form, readout = canonical(model_of("quadratic", [0.5, -0.5]), np.ones((2, N)) / 3, [1.0, -1.0])
    assert not np.any([*form.ravel(), *readout])

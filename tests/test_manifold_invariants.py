"""What is conserved, along trajectories and record by record in plain loops, and when each is said to be exact."""

import numpy as np
import pytest
from models import all_of
from reference import joint_moments
from scipy.linalg import expm, sqrtm, subspace_angles
from tables import rows

import tsode
from tsode import manifold
from tsode.manifold import Invariant, Invariants


def loss(model, overlaps):
    o = overlaps
    return float(model.excess_loss(o.M, o.Q))


FLOWS = {
    "equal widths": tsode.TeacherStudent(2, 2, 0.1),
    "surplus students": tsode.TeacherStudent(4, 2, 0.1),
    "too few students": tsode.TeacherStudent(2, 3, 0.1),
    "any teacher": tsode.TeacherStudent(3, 2, 0.1, 0.0, None, [0.7, 0.4], [[1.0, 0.3], [0.3, 0.8]]),
}

FEW = tsode.TeacherStudent(2, 3, 0.1, 0.0, [0.4, 0.4], [0.7, 0.4, 0.5], [[1.0, 0.3, 0], [0.3, 0.8, 0.1], [0, 0.1, 1.2]])

MANY = tsode.TeacherStudent(4, 2, 0.1, 0.0, [0.4] * 4, [0.7, 0.4], [[1.0, 0.3], [0.3, 0.8]])

UNEQUAL = FEW.replace(student_readout=[0.4, 0.2])

ALPHA = np.array([1.0, 1.5, 4.0])  # not from 0

PLAIN = tsode.TeacherStudent(2, 2, 0.1)


def trajectory(model, runs=(), scale=0.1, seed=0, **options):
    """Overlaps of unrelated weights at three times; those of N = 40 inputs, so that Q - A A^T is regular."""
    rng = np.random.default_rng(seed)
    rows = scale * rng.standard_normal((*runs, len(ALPHA), model.p, 40))
    M = rows[..., : model.p_star] @ np.linalg.cholesky(model.teacher_overlap).T
    return completed(model, M, rows @ np.swapaxes(rows, -1, -2), **options)


def completed(model, M, Q, **options):
    """A trajectory of one solution or of several runs, none of which ended early."""
    runs = M.shape[:-3]
    return tsode.Trajectory(model, ALPHA, M, Q, np.full(runs, "completed")[()], np.full(runs, 4.0)[()], **options)


# --- along the dynamics


@all_of(FLOWS)
def test_constant_of_gradient_flow(model):
    """From a general start until rounding takes the student's part outside the teacher: the loss is learned by then."""
    start = tsode.Overlaps.random(model, 300, rng=2)
    ode = tsode.integrate(model, start, np.linspace(0, 250, 251), rtol=3e-14, atol=1e-16, gradient_flow=True)
    kept = manifold.invariants(ode)
    assert kept.flow_constant.applies
    assert kept.flow_constant.drift < 1e-6
    resolved = np.flatnonzero(np.isfinite(kept.flow_constant.change))
    lost, best = ode.excess_loss - ode.excess_loss[-1], loss(model, manifold.solution(model))
    assert lost[resolved[-1]] < 0.02 * (ode.excess_loss[0] - best)
    # the same start is no constant of SGD at finite learning rate, nor of the naive form
    finite = manifold.invariants(tsode.integrate(model, start, np.linspace(0, 50, 51)))
    assert not finite.flow_constant.applies
    assert finite.flow_constant.drift > 0.1


def test_invariants_that_are_none_are_said_so():
    model = tsode.TeacherStudent(3, 2, 0.1, 0.0, [0.5, 0.3, 0.2], [0.7, 0.4])
    kept = manifold.invariants(tsode.integrate(model, tsode.Overlaps.random(model, 300, rng=2), 100.0))
    for one in vars(kept).values():
        assert not one.applies or one is kept.row_space
    assert kept.singular_vectors.drift > 0.01
    assert kept.polar_factor.drift > 0.01
    assert kept.angular_momentum.drift > 0.01
    few = tsode.TeacherStudent(2, 3, 0.1, 0.0, None, [0.7, 0.4, 0.2])
    kept = manifold.invariants(tsode.integrate(few, tsode.Overlaps.random(few, 300, rng=2), 100.0))
    assert not kept.row_space.applies
    assert kept.row_space.drift > 0.01


def test_angular_momentum_from_explicit_weights():
    """W dW^T of the population gradient of the weights, for equal and for unequal readouts."""
    for readout in ([1 / 3] * 3, [0.5, 0.3, 0.2]):
        model = tsode.TeacherStudent(3, 2, 0.1, 0.0, readout)
        W, W_star = tsode.Overlaps.random(model, 20, rng=1).realise(20, 2)
        V, V_star = np.diag(model.student_readout), np.diag(model.teacher_readout)
        B = (W.T @ V @ W - W_star.T @ V_star @ W_star) / 20
        dW = -2 * V @ W @ (np.trace(B) * np.eye(20) + 2 * B)
        X = W @ dW.T / 20
        o = tsode.Overlaps.from_weights(W, W_star)
        drift = manifold.invariants(tsode.integrate(model, o, [0.0])).angular_momentum.drift
        assert drift == pytest.approx(np.linalg.norm(X - X.T) / np.linalg.norm(X), abs=1e-13)


def test_invariants_of_sgd_have_a_run_axis_and_survive_divergence():
    model = tsode.TeacherStudent(2, 2, 0.2)
    sgd = tsode.simulate(model, None, 5.0, N=2000, runs=3, seed=0)
    kept = manifold.invariants(sgd)
    assert kept.polar_factor.change.shape == (3, 201)
    assert kept.polar_factor.drift.shape == (3,)
    assert not kept.polar_factor.applies
    assert "exact here" in repr(kept)
    assert "drift" in repr(kept.polar_factor)
    assert "drift" in kept._repr_html_() + kept.polar_factor._repr_html_()
    away = tsode.simulate(tsode.TeacherStudent(2, 1, 8.0), None, 4.0, N=100, runs=3)
    assert "diverged" in away.status
    np.testing.assert_array_equal(np.isnan(manifold.invariants(away).polar_factor.change), np.isnan(away.excess_loss))


# --- record by record


def changes(model, M, Q):
    """The five changes of one run, from the definitions."""
    norm = np.linalg.norm
    v, v_star, P = model.student_readout, model.teacher_readout, model.teacher_overlap
    root = np.linalg.cholesky(P)
    U, _, Vt = np.linalg.svd(M[0], full_matrices=False)

    def polar(X):
        return X @ np.linalg.inv(sqrtm(X.T @ X).real) if X.shape[0] >= X.shape[1] else polar(X.T).T

    def constant(i):
        A = M[i] @ np.linalg.inv(root).T
        back = expm(-4 * v[0] * model.learning_rate * (ALPHA[i] - ALPHA[0]) * root.T @ np.diag(v_star) @ root)
        return back @ A.T @ np.linalg.inv(Q[i] - A @ A.T) @ A @ back

    force = [joint_moments(v, v_star, M[i], Q[i], P, 0.0)[0][: model.p, : model.p] * v for i in range(len(M))]
    return {
        "singular_vectors": [
            np.sqrt(max(1 - sum((u @ X @ w) ** 2 for u, w in zip(U.T, Vt)) / norm(X) ** 2, 0.0)) for X in M
        ],
        "polar_factor": [norm(polar(X) - polar(M[0])) / norm(polar(X)) for X in M],
        "flow_constant": [norm(constant(i) - constant(0)) / norm(constant(i)) for i in range(len(M))],
        "angular_momentum": [norm(X - X.T) / max(norm(Y) for Y in force) for X in force],
        "row_space": [
            np.sin(subspace_angles(X.T, M[0].T).max()) if model.p < model.p_star else 0.0 for X in M
        ],
    }  # fmt: skip


@pytest.mark.parametrize("runs", [(), (3,)], ids=["one solution", "three runs"])
@pytest.mark.parametrize("model", [FEW, MANY, UNEQUAL], ids=["few", "many", "unequal readouts"])
def test_changes_record_by_record(model, runs):
    path = trajectory(model, runs)
    kept = manifold.invariants(path)
    for one in np.ndindex(runs):
        wanted = changes(model, path.M[one], path.Q[one])
        for name, change in wanted.items():
            found = getattr(kept, name).change
            assert found.shape == (*runs, 3)
            np.testing.assert_allclose(found[one], change, rtol=1e-8, atol=1e-7, err_msg=name)
            assert getattr(kept, name).drift[one] == pytest.approx(max(change), abs=1e-7)


def test_runs_that_ended_do_not_change_what_came_before():
    whole = trajectory(FEW, (2,))
    M, Q = whole.M.copy(), whole.Q.copy()
    M[1, 2], Q[1, 2] = np.nan, np.nan
    ended = manifold.invariants(tsode.Trajectory(FEW, ALPHA, M, Q, np.full(2, "diverged"), np.full(2, 1.5)))
    before = tsode.Trajectory(FEW, ALPHA[:2], whole.M[1, :2], whole.Q[1, :2], "completed", 1.5)
    for name, one in vars(manifold.invariants(before)).items():
        change = getattr(ended, name).change
        np.testing.assert_allclose(change[1, :2], one.change, rtol=0, atol=1e-13, err_msg=name)
        assert np.isnan(change[1, 2])
        assert np.isfinite(change[0]).all()


def test_one_neuron_has_invariants():
    model = tsode.TeacherStudent(1, 1, 0.1, constraint="spherical")
    M, Q = np.array([[[0.1]], [[0.5]]]), np.ones((2, 1, 1))
    kept = manifold.invariants(tsode.Trajectory(model, np.array([0.0, 1.0]), M, Q, "completed", 1.0))
    for name in ("singular_vectors", "polar_factor", "angular_momentum", "row_space"):
        np.testing.assert_allclose(getattr(kept, name).change, 0.0, atol=1e-15)
    assert kept.singular_vectors.applies
    assert kept.polar_factor.applies


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_changes_are_relative(scale):
    """M and the student's rest scale alike, so that nothing but the force of the teacher knows the unit."""
    small, large = (manifold.invariants(trajectory(PLAIN, scale=s)) for s in (scale, 1.0))
    for name in ("singular_vectors", "polar_factor", "flow_constant"):
        np.testing.assert_allclose(getattr(small, name).change, getattr(large, name).change, rtol=1e-9, atol=1e-12)
        assert getattr(small, name).drift > 0.1


def test_changes_that_do_not_exist_are_nan():
    path = trajectory(PLAIN)
    nothing = tsode.Trajectory(PLAIN, ALPHA, 0 * path.M, 0 * path.Q, "completed", 4.0)
    kept = manifold.invariants(nothing)
    for one in (kept.singular_vectors, kept.angular_momentum, kept.flow_constant):
        assert np.isnan(one.change).all()
        assert np.isnan(one.drift)
    # one row in the teacher's span: Q - A A^T is singular, and C is lost
    M, Q = path.M.copy(), path.Q.copy()
    M[1], Q[1] = [[0.5, 0.0], [0.0, 0.5]], np.diag([0.25, 0.5])
    change = manifold.invariants(completed(PLAIN, M, Q)).flow_constant.change
    np.testing.assert_array_equal(np.isnan(change), [False, True, False])
    # no basis of the teacher's span where P is singular
    flat = PLAIN.replace(teacher_overlap=[[1.0, 1.0], [1.0, 1.0]])
    M = np.repeat(path.M[..., :1], 2, axis=-1)
    for runs in (M, np.stack([M, M])):
        Q = np.broadcast_to(path.Q, (*runs.shape[:-2], 2, 2)).copy()
        change = manifold.invariants(completed(flat, runs, Q)).flow_constant.change
        assert change.shape == runs.shape[:-2]
        assert np.isnan(change).all()


def applies(model=PLAIN, Q=None, **options):
    """Names of the quantities that are exact for a trajectory from a given Q to another Q."""
    path = trajectory(model)
    first = np.eye(model.p) if Q is None else np.asarray(Q)
    Q = np.stack([first, *path.Q[1:]])
    kept = manifold.invariants(tsode.Trajectory(model, ALPHA, path.M, Q, "completed", 4.0, **options))
    return {name for name, one in vars(kept).items() if one.applies}


ALIGNED = {"singular_vectors", "polar_factor"}

ALWAYS = {"angular_momentum", "row_space"}


@pytest.mark.parametrize(
    ("options", "exact"),
    [
        ({}, ALIGNED | ALWAYS),
        ({"gradient_flow": True}, ALIGNED | ALWAYS | {"flow_constant"}),
        ({"gradient_flow": True, "model": MANY}, {"angular_momentum", "flow_constant"}),
        ({"gradient_flow": True, "model": UNEQUAL}, set()),
        ({"model": PLAIN.replace(student_readout=[0.5, 0.4])}, {"row_space"}),
        ({"N": 100}, {"angular_momentum"}),
        ({"N": 100, "model": PLAIN.replace(teacher_readout=[0.5, 0.4])}, {"angular_momentum"}),
        ({"model": PLAIN.replace(constraint="spherical")}, {"row_space"}),
        ({"gradient_flow": True, "model": PLAIN.replace(constraint="spherical")}, {"row_space"}),
        ({"model": tsode.TeacherStudent(1, 1, 0.1, constraint="spherical")}, ALIGNED | {"row_space"}),
        # the teacher is isotropic where V* P is proportional to 1
        ({"model": PLAIN.replace(teacher_readout=[0.5, 0.4])}, {"angular_momentum"}),
        ({"model": PLAIN.replace(teacher_overlap=[[1.0, 0.2], [0.2, 1.0]])}, {"angular_momentum"}),
        ({"model": PLAIN.replace(teacher_readout=[0.3, 0.1], teacher_overlap=np.diag([1.0, 3.0]))}, ALWAYS),
        ({"model": tsode.TeacherStudent(2, 1, 0.1, 0.0, None, [0.3], [[2.0]])}, ALWAYS),
        ({"model": tsode.TeacherStudent(1, 3, 0.1)}, ALIGNED | ALWAYS),
        # Q has to start proportional to 1, up to rounding
        ({"Q": 7 * np.eye(2)}, ALIGNED | ALWAYS),
        ({"Q": np.diag([1.0, 1.1])}, ALWAYS),
        ({"Q": [[1.0, 1e-9], [1e-9, 1.0]]}, ALWAYS),
        ({"Q": [[1e3, 1e-10], [1e-10, 1e3]]}, ALIGNED | ALWAYS),
    ],
)
def test_what_is_said_to_be_exact(options, exact):
    assert applies(**options) == exact


def test_one_run_that_starts_otherwise_is_enough():
    path = trajectory(PLAIN, (2,))
    Q = path.Q.copy()
    Q[:, 0] = np.eye(2)
    assert manifold.invariants(completed(PLAIN, path.M, Q)).polar_factor.applies
    Q = Q.copy()
    Q[1, 0, 0, 0] = 1.1
    assert not manifold.invariants(completed(PLAIN, path.M, Q)).polar_factor.applies


def test_drift_is_the_largest_change_that_is_known():
    nan = np.nan
    one = Invariant("a", "always", True, np.array([[0.0, nan, 0.3, 0.2], [nan] * 4, [0.0, 0.1, 0.5, nan]]))
    np.testing.assert_array_equal(one.drift, [0.3, nan, 0.5])
    alone = Invariant("a", "always", True, np.array([0.0, 0.25, nan])).drift
    assert alone == 0.25
    assert np.ndim(alone) == 0


def test_tables():
    one = Invariant("norm", "gradient flow", True, np.array([0.0, 0.012345]))
    two = Invariant("phase", "SGD", False, np.array([[0.0, 0.5], [0.0, 2.0]]))
    assert rows(one) == {"drift": ["0.0123"], "exact for": ["gradient flow"], "here exact": ["yes"]}
    assert rows(two) == {"drift": ["2"], "exact for": ["SGD"], "here exact": ["no"]}
    assert ">yes<" in one._repr_html_()
    assert ">no<" in two._repr_html_()
    kept = rows(Invariants(one, two, one, two, one))
    assert kept == {"norm": ["drift 0.0123; exact here: gradient flow"], "phase": ["drift 2; not exact here: SGD"]}

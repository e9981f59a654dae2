import numpy as np
import pytest
from scipy.optimize import minimize

import tsode
from tsode import manifold

P3 = [[1.0, 0.4, 0.2], [0.4, 2.0, -0.3], [0.2, -0.3, 0.5]]
MODELS = {
    "surplus students": tsode.TeacherStudent(4, 2, 0.1),
    "equal widths": tsode.TeacherStudent(3, 3, 0.1),
    "too few students": tsode.TeacherStudent(2, 4, 0.1),
    "negative outputs": tsode.TeacherStudent(3, 2, 0.1, 0.0, [-0.4] * 3, [-0.5, -0.3]),
    "general": tsode.TeacherStudent(3, 2, 0.1, 0.0, [0.5, 0.3, 0.2], [0.7, 0.4], [[1.0, 0.3], [0.3, 0.8]]),
    "general, too few": tsode.TeacherStudent(2, 3, 0.1, 0.0, [0.5, 0.3], [0.7, 0.4, 0.5], P3),
    "partly tied": tsode.TeacherStudent(2, 4, 0.1, teacher_overlap=np.diag([3.0, 1.0, 1.0, 1.0])),
    "singular P": tsode.TeacherStudent(3, 2, 0.1, teacher_overlap=[[1.0, 1.0], [1.0, 1.0]]),
}
CLOSEST = {name: model for name, model in MODELS.items() if name != "partly tied"}
N = 12


def all_of(models):
    return pytest.mark.parametrize("model", models.values(), ids=models)


def loss(model, overlaps):
    o = overlaps
    return float(model.excess_loss(o.M, o.Q))


def teacher(model):
    return tsode.Overlaps(np.zeros((model.p, model.p_star)), np.eye(model.p), model.teacher_overlap).realise(N, 7)[1]


def best_loss(model):
    """Smallest loss that minimisation over the weights finds."""
    W_star = teacher(model)
    v, v_star, P = model.student_readout, model.teacher_readout, model.teacher_overlap

    def value_and_gradient(w):
        W = w.reshape(model.p, N)
        M, Q = W @ W_star.T / N, W @ W.T / N
        t = v @ np.diagonal(Q) - v_star @ np.diagonal(P)
        gradient = 2 * v[:, None] * (t * W + 2 * (Q * v @ W - M * v_star @ W_star)) / N
        return float(model.excess_loss(M, Q)), gradient.ravel()

    starts = np.random.default_rng(1).standard_normal((5, model.p * N))
    return min(minimize(value_and_gradient, w, jac=True, method="BFGS", options={"gtol": 1e-10}).fun for w in starts)


@all_of(MODELS)
def test_solutions_have_the_smallest_loss(model):
    best = loss(model, manifold.solution(model))
    assert best == pytest.approx(best_loss(model), abs=1e-8)
    assert best > 0.01 if model.p < model.p_star else best < 1e-15
    for seed in range(5):
        rotation = manifold.random_rotation(model, seed)
        assert loss(model, manifold.solution(model, rotation)) == pytest.approx(best, abs=1e-13)


def test_truncated_student_keeps_raised_eigenvalues():
    """v = v* = 1, eigenvalues 4, 2, 1, 0.5, two of them kept: R = 1.5, kept l + R/4, loss R^2/4 + 1.25."""
    model = tsode.TeacherStudent(2, 4, 0.1, 0.0, [1.0] * 2, [1.0] * 4, np.diag([4.0, 2.0, 1.0, 0.5]))
    best = manifold.solution(model)
    np.testing.assert_allclose(np.linalg.eigvalsh(best.Q), [2.375, 4.375], rtol=1e-14)
    assert loss(model, best) == pytest.approx(1.5**2 / 4 + 1.25, rel=1e-14)


@all_of(MODELS)
def test_weights_and_overlaps_agree(model):
    W_star, rotation = teacher(model), manifold.random_rotation(model, 3)
    W = manifold.solution_weights(model, W_star, rotation)
    found, wanted = tsode.Overlaps.from_weights(W, W_star), manifold.solution(model, rotation)
    np.testing.assert_allclose(found.joint, wanted.joint, rtol=0, atol=1e-13)


@all_of(CLOSEST)
def test_closest_solution_is_closer_than_all_others(model):
    W_star = teacher(model)
    W = np.random.default_rng(2).standard_normal((model.p, N))
    start = tsode.Overlaps.from_weights(W, W_star)
    closest = manifold.closest_solution(model, (W, W_star))
    weights = np.abs(model.student_readout) / np.abs(model.student_readout).mean()
    d = np.sqrt(weights @ np.square(W - closest).sum(axis=1) / N)
    assert manifold.distance(model, start) == pytest.approx(d, rel=1e-12)
    np.testing.assert_allclose(
        tsode.Overlaps.from_weights(closest, W_star).M, manifold.closest_solution(model, start).M, rtol=0, atol=1e-12
    )
    rotation = manifold.closest_rotation(model, start)
    for seed in range(50):
        other = manifold.random_rotation(model, seed)
        assert manifold.distance(model, start, other) > d
        try:
            near = manifold.path(model, rotation, other, [1e-3])[0]
        except ValueError:  # the other one lies on another component
            continue
        assert manifold.distance(model, start, near) > d
    assert manifold.distance(model, (closest, W_star)) < 1e-7


@all_of(MODELS)
def test_tangent_basis_spans_the_motions_along_the_solutions(model):
    W_star, rotation = teacher(model), manifold.random_rotation(model, 5)
    C = manifold.tangent_basis(model, rotation)
    assert len(C) == manifold.dimension(model)
    moves = (C @ W_star).reshape(len(C), -1)
    np.testing.assert_allclose(moves @ moves.T / N, np.eye(len(C)), rtol=0, atol=1e-9)
    # along a tangent the loss changes in fourth order, its increase per step^2 vanishes
    W = manifold.solution_weights(model, W_star, rotation)
    best = loss(model, manifold.solution(model))
    for direction in C @ W_star:
        rise = [loss(model, tsode.Overlaps.from_weights(W + h * direction, W_star)) - best for h in (0.1, 0.05)]
        assert rise[0] / rise[1] == pytest.approx(16, rel=0.35)


@all_of(CLOSEST)
def test_tangent_space_is_that_of_all_paths(model):
    """Rank of the derivatives of random paths through one point: an independent count of the dimension."""
    W_star, rotation = teacher(model), manifold.random_rotation(model, 5)
    basis = (manifold.tangent_basis(model, rotation) @ W_star).reshape(-1, model.p * N) / np.sqrt(N)
    moves = []
    for seed in range(60):
        try:
            ends = manifold.path(model, rotation, manifold.random_rotation(model, seed), [-1e-5, 1e-5])
        except ValueError:  # the other one lies on another component
            continue
        ends = [manifold.solution_weights(model, W_star, end) for end in ends]
        moves.append(((ends[1] - ends[0]) / 2e-5).ravel() / np.sqrt(N))
    assert len(moves) > 2 * len(basis)
    assert np.linalg.matrix_rank(np.array(moves), tol=1e-6) == len(basis) == manifold.dimension(model)
    np.testing.assert_allclose(moves @ basis.T @ basis, moves, rtol=0, atol=1e-7)


@all_of(CLOSEST)
def test_paths_stay_on_the_solutions(model):
    first = manifold.random_rotation(model, 0)
    best = loss(model, manifold.solution(model))
    joined = 0
    for seed in range(1, 8):
        second = manifold.random_rotation(model, seed)
        try:
            rotations = manifold.path(model, first, second, np.linspace(0, 1, 7))
        except ValueError:  # the second one lies on another component
            continue
        joined += 1
        np.testing.assert_allclose(rotations[[0, -1]], [first, second], rtol=0, atol=1e-10)
        assert max(abs(loss(model, manifold.solution(model, one)) - best) for one in rotations) < 1e-12
        steps = np.linalg.norm(np.diff(rotations, axis=0), axis=(1, 2))
        np.testing.assert_allclose(steps, steps[0], rtol=1e-9)  # constant speed
    assert joined > 0


def test_path_turns_by_half_a_circle():
    """Eigenvalues -1 of a rotation have no principal logarithm; the path must not need it."""
    model = tsode.TeacherStudent(4, 4, 0.1)
    rotations = manifold.path(model, np.eye(4), -np.eye(4), np.linspace(0, 1, 5))
    np.testing.assert_allclose(rotations[-1], -np.eye(4), rtol=0, atol=1e-12)
    assert max(loss(model, manifold.solution(model, one)) for one in rotations) < 1e-14


def test_random_rotations_are_uniform():
    """O_11 of a Haar column in R^4 has variance 1/4 and fourth moment 3/24; 4000 draws, 5 standard errors."""
    model = tsode.TeacherStudent(4, 2, 0.1)
    rng = np.random.default_rng(0)
    first = np.array([manifold.random_rotation(model, rng)[0, 0] for _ in range(4000)])
    assert abs(first.mean()) < 5 * 0.5 / np.sqrt(4000)
    assert abs(np.mean(first**2) - 0.25) < 5 * np.sqrt(1 / 8 - 1 / 16) / np.sqrt(4000)
    assert abs(np.mean(first**4) - 0.125) < 5 * np.std(first**4) / np.sqrt(4000)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: manifold.solution(MODELS["general"].replace(student_readout=[0.5, 0.3, -0.2])),
            ValueError,
            "one sign",
        ),
        (
            lambda: manifold.solution(MODELS["surplus students"].replace(constraint="spherical")),
            ValueError,
            "spherical",
        ),
        (lambda: manifold.solution(MODELS["equal widths"], np.eye(2)), ValueError, r"\(p, p_star\) = \(3, 3\)"),
        (lambda: manifold.solution(MODELS["equal widths"], np.ones((3, 3))), ValueError, "orthonormal columns"),
        (lambda: manifold.solution(MODELS["general, too few"], np.eye(3)[[0, 2]]), ValueError, "leading eigenvectors"),
        (lambda: manifold.distance(MODELS["equal widths"], 3), TypeError, "`overlaps` must be an Overlaps"),
        (
            lambda: manifold.distance(MODELS["partly tied"], manifold.solution(MODELS["partly tied"])),
            ValueError,
            "no closed form",
        ),
        (
            lambda: manifold.path(MODELS["equal widths"], np.eye(3), np.diag([1, 1, -1]), [0.5]),
            ValueError,
            "determinants",
        ),
        (lambda: manifold.invariants(3), TypeError, "`trajectory` must be a Trajectory"),
        (lambda: manifold.power_law(MODELS["equal widths"], 1.0), ValueError, "p > p_star"),
        (lambda: manifold.power_law(MODELS["surplus students"], 0.0), ValueError, "`alpha` must be larger than 0"),
        (lambda: manifold.relaxation_rate(MODELS["general"]), ValueError, "equal readouts"),
        (lambda: manifold.loss_floor(MODELS["singular P"]), ValueError, "P = 1"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_spherical_solutions_of_equal_widths():
    model = tsode.TeacherStudent(3, 3, 0.1, constraint="spherical")
    assert loss(model, manifold.solution(model, manifold.random_rotation(model, 0))) < 1e-15


# --- the dynamics ----------------------------------------------------------------------------------------------------


def random_start(model, N=1000, seed=3, q=1.0):
    M = tsode.Overlaps.random(model, N, rng=seed).M
    return tsode.Overlaps(M, q * np.eye(model.p))


@pytest.mark.parametrize("q", [0.3, 1.0])
@pytest.mark.parametrize("eta", [0.01, 0.1, 0.3])
def test_ends_at_the_closest_solution(eta, q):
    model = tsode.TeacherStudent(2, 2, eta)
    start = random_start(model, q=q)
    ode = tsode.integrate(model, start, [0.0, 300 / eta], rtol=1e-11, atol=1e-13)
    assert manifold.distance(model, ode.overlaps(), manifold.closest_rotation(model, start)) < 1e-6
    kept = manifold.invariants(ode)
    assert kept.singular_vectors.applies
    assert kept.polar_factor.applies
    assert kept.singular_vectors.drift < 1e-9
    assert kept.polar_factor.drift < 1e-9


@pytest.mark.parametrize(("eta", "gradient_flow"), [(0.05, False), (0.4, False), (0.1, True)])
def test_surplus_students_end_at_the_closest_solution_too(eta, gradient_flow):
    """Slowly: the surplus students lose their norm as 1 / tau, so tau = 1e7 leaves 1e-7 in the overlaps."""
    model = tsode.TeacherStudent(4, 2, eta)
    start = random_start(model)
    ode = tsode.integrate(
        model, start, [0.0, 1e7 / eta], method="LSODA", rtol=1e-9, atol=1e-12, gradient_flow=gradient_flow
    )
    wanted = manifold.closest_solution(model, start)
    assert max(np.abs(ode.M[-1] - wanted.M).max(), np.abs(ode.Q[-1] - wanted.Q).max()) < 1e-6


def test_too_few_students_end_at_the_closest_of_the_best_in_gradient_flow():
    model = tsode.TeacherStudent(2, 4, 0.1)
    start = random_start(model)
    ode = tsode.integrate(model, start, [0.0, 3000.0], rtol=1e-11, atol=1e-13, gradient_flow=True)
    assert manifold.distance(model, ode.overlaps(), manifold.closest_rotation(model, start)) < 1e-6
    assert manifold.invariants(ode).row_space.drift < 1e-9


def test_from_random_weights_the_deviation_falls_with_the_root_of_the_dimension():
    """Mean distance of the end from the closest solution over 24 starts; slope -0.5 +- 0.1."""
    model = tsode.TeacherStudent(2, 2, 0.2)
    dimensions = [10**3, 10**4, 10**5, 10**6]
    deviations = []
    for N in dimensions:
        starts = [tsode.Overlaps.random(model, N, rng=seed) for seed in range(24)]
        ends = [tsode.integrate(model, start, [0.0, 400.0], rtol=1e-9, atol=1e-12).overlaps() for start in starts]
        rotations = [manifold.closest_rotation(model, start) for start in starts]
        deviations.append(np.mean([manifold.distance(model, *pair) for pair in zip(ends, rotations)]))
    slope = np.polyfit(np.log(dimensions), np.log(deviations), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)


FLOWS = {
    "equal widths": tsode.TeacherStudent(2, 2, 0.1),
    "surplus students": tsode.TeacherStudent(4, 2, 0.1),
    "too few students": tsode.TeacherStudent(2, 3, 0.1),
    "any teacher": tsode.TeacherStudent(3, 2, 0.1, 0.0, None, [0.7, 0.4], [[1.0, 0.3], [0.3, 0.8]]),
}


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


# --- late times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(4, 2), (5, 3), (2, 1)])
def test_power_law_of_surplus_students(widths):
    model = tsode.TeacherStudent(*widths, 0.1)
    alpha = np.array([0.0, 1e5, 2e5])
    start = tsode.Overlaps.random(model, 1000, rng=0)
    ode = tsode.integrate(model, start, alpha, method="LSODA", rtol=1e-9, atol=1e-12, gradient_flow=True)
    np.testing.assert_allclose(ode.excess_loss[1:], manifold.power_law(model, alpha[1:]), rtol=0.01)
    assert manifold.relaxation_rate(model) == 0


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

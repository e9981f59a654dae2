"""Systems of distillation that are schemes: each rule as the derivative of its sample's loss, and numbers of theory."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import ks_2samp, sem

import tsode
from tsode import distillation
from tsode.manifold import polar_factor

P = np.diag([1.6, 1.0, 0.6, 0.3])
TRUTH = tsode.TeacherStudent(
    3, 2, 0.3, 0.4, [0.5, 0.2, -0.3], [0.7, 0.2], [[1.0, 0.3], [0.3, 0.8]], activation="erf"
)  # fmt: skip


def unit(W, v, activation=TRUTH.activation):
    return v @ activation(W)


def truth_of(mu, xi, truth=TRUTH):
    return unit(mu, truth.teacher_readout) + np.sqrt(truth.noise_variance) * xi


def spectral():
    def loss(w, mu, xi, a):
        return (unit(a["amplitude"] * w["student"], TRUTH.student_readout) - truth_of(mu, xi)) ** 2 / 2

    return distillation.spectral(TRUTH), {"student": loss, "amplitude": loss}, 0.3


def features(projector, factors=None):
    U = np.eye(2) if factors is None else np.linalg.eigh(TRUTH.teacher_overlap)[1][:, -1:]
    K0 = np.arange(6.0).reshape(2, 3)[: U.shape[1]] / 4

    def loss(w, mu, xi, a):
        error = a.get("projector", K0) @ w["student"] - U.T @ mu
        return (unit(w["student"], TRUTH.student_readout) - truth_of(mu, xi)) ** 2 / 2 + 0.35 * error @ error

    task = distillation.features(TRUTH, 0.7, projector, factors, K0)
    return task, dict.fromkeys(["student", *task.scalars], loss), 0.3


def exits(mimic):
    task = distillation.exits(TRUTH.replace(readout_learning_rate=0.3), (1, 2, 3), [0.5, 1.0, 2.0], mimic)
    z, _, a = point(task)
    last = unit(z["student"], a["readout 3"])  # which mimicry does not move

    def loss(w, mu, xi, a):
        said = [unit(w["student"][:e], a[f"readout {e}"]) for e in (1, 2, 3)]
        wanted = [(1 - m) * truth_of(mu, xi) + m * last for m in mimic]
        return sum(weight * (f - y) ** 2 / 2 for weight, f, y in zip((0.5, 1.0, 2.0), said, wanted))

    return task, dict.fromkeys(["student", *task.scalars], loss), 0.3


def moving_teacher():
    v = TRUTH.student_readout

    def student(w, mu, xi, a):
        return (unit(w["student"], v) - taught) ** 2 / 2

    def teacher(w, mu, xi, a):  # its own error, and its student's, times what it says
        from_label = (unit(w["teacher"], v) - truth_of(mu, xi)) ** 2 / 2
        return 0.6 * from_label + 0.4 * (said - truth_of(mu, xi)) * unit(w["teacher"], v)

    task = distillation.moving_teacher(TRUTH, 0.3, 0.4)
    said, taught = (unit(point(task)[0][name], v) for name in ("student", "teacher"))
    return task, {"student": student, "teacher": teacher}, 0.3


def logits(T):
    def loss(w, mu, xi, a):
        lam = w["student"]
        if np.isinf(T):
            return np.var(lam - w["teacher"]) / 2
        taught = softmax(w["teacher"] / T)
        return T**2 * taught @ (np.log(taught) - log_softmax(lam / T))

    return distillation.logits(3, 0.3, T), {"student": loss}, 0.3


def point(task):
    rng = np.random.default_rng(1)
    z = {name: rng.standard_normal(count) for name, count in task.rows.items()}
    return z, rng.standard_normal(task.noises), {k: v + rng.standard_normal(v.shape) for k, v in task.scalars.items()}


SYSTEMS = {
    "spectral": spectral,
    "trained projector": lambda: features("trained"),
    "fixed projector": lambda: features("fixed"),
    "paraphraser": lambda: features("trained", 1),
    "exits": lambda: exits((0.0, 0.0, 0.0)),
    "mimicry": lambda: exits((1.0, 0.4, 0.0)),
    "moving teacher": moving_teacher,
    "temperature": lambda: logits(1.7),
    "matching": lambda: logits(np.inf),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_rule_is_the_derivative_of_its_samples_loss(name):
    task, losses, rate = SYSTEMS[name]()
    z, xi, a = point(task)
    found = task.rule(
        {k: v[None] for k, v in z.items()}, xi[None], {k: v[None] for k, v in a.items()}
    )  # fmt: skip
    assert set(found) == set(losses)
    for part, loss in losses.items():
        at = z if part in z else a
        wanted = np.empty(at[part].shape)
        for i in np.ndindex(wanted.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = at[part].copy()
                moved[i] += step
                given = (z | {part: moved}, a) if part in z else (z, a | {part: moved})
                values.append(loss(given[0], z.get("truth"), xi[0] if len(xi) else 0.0, given[1]))
            wanted[i] = -rate * (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(found[part][0], wanted, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spectral", "trained projector", "mimicry"])
def test_chain_and_weights_have_one_law(name):
    """After 3 N samples, N = 30, 300 runs each: of some 20 Kolmogorov-Smirnov tests none below 1e-4."""
    task = SYSTEMS[name]()[0]
    start = task.random(30, 0)
    both = [tsode.simulate(task, start, [0.0, 3.0], N=30, runs=300, seed=i, engine=engine)
            for i, engine in enumerate(("chain", "weights"))]  # fmt: skip
    flat = [np.hstack([part[:, 1].reshape(300, -1) for part in (run.M, run.Q, run.scalars)]) for run in both]
    assert min(ks_2samp(x, y).pvalue for x, y in zip(flat[0].T, flat[1].T)) > 1e-4


# --- spectral

PAIR = tsode.TeacherStudent(4, 2, 0.2, student_readout=[0.5] * 4, weight_decay=0.02)


def test_amplitudes_and_norms_balance_at_the_rate_of_decay():
    """In gradient flow their difference falls as exp(-2 kappa alpha), and without decay it is conserved."""
    for decay in (0.0, 0.02):
        task = distillation.spectral(PAIR.replace(weight_decay=decay), 1.2)
        run = tsode.integrate(task, task.random(100, 0), [0.0, 10.0, 30.0], gradient_flow=True)
        norms = np.diagonal(run.overlap("student", "student"), axis1=1, axis2=2)
        unlike = run.scalar("amplitude") ** 2 - norms
        np.testing.assert_allclose(unlike, np.exp(-2 * decay * run.alpha)[:, None] * unlike[0], atol=1e-7)


def test_a_spectral_student_becomes_as_large_as_its_teacher():
    task = distillation.spectral(PAIR)
    start, alpha = task.random(400, 0), [0.0, 300.0]
    plain = task.as_student(tsode.integrate(task, start, alpha, rtol=1e-6))
    assert distillation.active_units(plain) == 2
    # the group lasso's norm, least of (s^2 - 1)^2 + 2 mu s at mu = kappa / eta = 0.1
    norm = np.roots([4.0, 0.0, -4.0, 0.2]).real.max()
    np.testing.assert_allclose(np.sort(np.diagonal(plain.Q[-1]))[2:], norm**2, atol=1e-3)
    curve = distillation.pruning_curve(plain)
    np.testing.assert_allclose(curve[:3], distillation.pruning_law(2), atol=0.05)
    np.testing.assert_allclose(curve[2:], curve[-1], rtol=1e-4)
    control = tsode.integrate(PAIR, tsode.Overlaps.random(PAIR, 400, rng=0), alpha)
    assert distillation.active_units(control) == 4
    assert distillation.pruning_curve(control)[2] > 5 * curve[2]


@pytest.mark.slow
@pytest.mark.parametrize("p", [4, 8])
def test_sgd_of_spectral_students_has_as_many_active_units_as_the_teacher(p):
    """24 of 24 runs at N = 400 with label noise; of the direct control none."""
    truth = PAIR.replace(p=p, student_readout=[0.5] * p, noise_variance=0.02)
    task = distillation.spectral(truth)
    sgd = task.as_student(tsode.simulate(task, task.random(400, 0), [0.0, 1000.0], N=400, runs=24, seed=1))
    assert (distillation.active_units(sgd) == 2).all()
    curve = distillation.pruning_curve(sgd)
    np.testing.assert_allclose(curve[:, 2], curve[:, -1], rtol=0.05)
    control = tsode.simulate(truth, None, [0.0, 1000.0], N=400, runs=24, seed=1)
    assert (distillation.active_units(control) > 2).all()
    assert distillation.pruning_curve(control)[:, 2].mean() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("p", [6, 9])
def test_wider_spectral_students_of_three_units(p):
    truth = tsode.TeacherStudent(p, 3, 0.1, weight_decay=0.002)
    task = distillation.spectral(truth)
    plain = task.as_student(tsode.integrate(task, task.random(10_000, 0), [0.0, 4000.0], rtol=1e-6))
    assert distillation.active_units(plain) == 3
    np.testing.assert_allclose(distillation.pruning_curve(plain)[:4], distillation.pruning_law(3), atol=0.01)


# --- features

TWO = tsode.TeacherStudent(2, 2, 0.05)


def learnt(gamma, projector, N, rng=1):
    """Return the time at which the loss falls below 0.02, and how far the solution is from what is said of it."""
    task = distillation.features(TWO, gamma, projector, rng=rng)
    run = tsode.integrate(task, task.random(N, 2), np.linspace(0, 400, 2001), rtol=1e-6)
    M = run.overlap("student", "truth")[-1]
    picked = polar_factor(run.scalar("projector")[0].T) if task.scalars else np.eye(2)
    return run.alpha[np.argmax(run.loss["loss"] < 0.02)], np.abs(M - picked).max()


@pytest.mark.slow
def test_features_take_the_plateau_away_and_pick_the_solution():
    (labels, far), (later, _) = (learnt(0.0, "none", N) for N in (10**4, 10**8))
    slope = (later - labels) / np.log(10**4)
    assert slope == pytest.approx(1 / (2 * tsode.plateau(TWO).escape_rate), rel=0.05)
    assert far > 0.5
    for projector, error in (("none", 1e-4), ("trained", 0.05)):
        (first, one), (second, other) = (learnt(1.0, projector, N) for N in (10**4, 10**8))
        assert abs(first - second) < 0.02 * first < 0.02 * labels
        assert max(one, other) < error
    assert other < 1e-3  # the start's own part is of order 1/sqrt(N)


@pytest.mark.slow
def test_a_trained_projector_cures_the_conflict_of_features_and_labels():
    truth, ends = TWO.replace(student_readout=[1.0, 1.0], learning_rate=0.1), {}
    for projector in distillation.PROJECTORS:
        task = distillation.features(truth, projector=projector)
        run = tsode.integrate(task, task.random(10**4, 0), [0.0, 400.0], rtol=1e-7)
        ends[projector] = task.as_student(run).excess_loss[-1]
    assert ends["trained"] < 1e-9
    assert min(ends["none"], ends["fixed"]) > 5e-3


# --- exits

SPREAD = tsode.TeacherStudent(
    4, 4, 1.0, teacher_overlap=P, student_readout=np.ones(4), teacher_readout=np.ones(4)
)  # fmt: skip


def first_exit(weights, **changes):
    task = distillation.exits(SPREAD.replace(**changes), (2, 4), weights)
    run = tsode.integrate(task, task.start(np.kron(np.ones((2, 2)), P)), [0.0, 15.0], rtol=1e-7, gradient_flow=True)
    return run.loss["exit 1"], run.loss["exit 2"][-1], run


@pytest.mark.slow
def test_an_exact_last_exit_has_its_price():
    start, (best, _, _) = first_exit([1, 0])[0][0], first_exit([1, 0])
    assert start == pytest.approx(0.855)  # an exact last exit, the principal parts in the first
    assert best[-1] == pytest.approx(0.6525, abs=1e-6)
    assert distillation.exit_price(SPREAD, 2) == pytest.approx(start - best[-1], abs=1e-6)
    little = [first_exit([w, 1])[0][-1] for w in (0.04, 0.02)]
    assert 2 * little[1] - little[0] == pytest.approx(0.855, abs=1e-3)  # to second order in the weight


def test_readouts_of_their_own_take_the_price_away():
    """With v_1k / v_2k = 1 + R / ((r + 2) lambda_k)."""
    losses, last, run = first_exit([1, 1], readout_learning_rate=1.0)
    assert losses[-1] == pytest.approx(0.6525, abs=1e-6)
    assert last < 1e-8
    ratios = run.scalar("readout 1")[-1] / run.scalar("readout 2")[-1, :2]
    np.testing.assert_allclose(ratios, 1 + 0.9 / (4 * np.array([1.6, 1.0])), atol=1e-5)


FLOORS = {"labels": ([0, 0], 0.5 * 0.2 / (2 * 0.6)), "mimicry": ([1, 0], 0.5 * 0.1 / (2 * 0.8))}
NOISY = tsode.TeacherStudent(4, 2, 0.1, 0.5, [0.5] * 4)


@pytest.mark.parametrize("name", FLOORS)
def test_noise_enters_once_where_the_first_exit_mimics_the_last(name):
    """Exact where the last exit is no wider; units that it alone reads change two floors in a hundred."""
    mimic, floor = FLOORS[name]
    for p, error in ((2, 1e-6), (4, 0.02)):
        task = distillation.exits(NOISY.replace(p=p, student_readout=[0.5] * p), (2, p), mimic=mimic)
        run = tsode.integrate(task, task.random(10**4, 0), [0.0, 400.0], rtol=1e-6)
        for e in ("exit 1", "exit 2"):
            assert run.loss[e][-1] == pytest.approx(floor, rel=error)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOORS)
def test_sgd_of_exits_has_the_loss_of_the_ode(name):
    """48 runs at N = 2000: to 4 standard errors and the percent that N leaves."""
    task = distillation.exits(NOISY, (2, 4), mimic=FLOORS[name][0])
    start, alpha = task.random(2000, 0), [0.0, 200.0]
    ode, sgd = tsode.integrate(task, start, alpha), tsode.simulate(task, start, alpha, N=2000, runs=48, seed=4)
    for e in ("exit 1", "exit 2"):
        found, wanted = sgd.loss[e][:, -1], ode.loss[e][-1]
        assert found.mean() == pytest.approx(wanted, abs=4 * sem(found) + 0.01 * wanted)


# --- a moving teacher


def test_a_student_is_the_low_pass_filter_of_its_teacher():
    """As the rates fall: what is left falls at least in proportion."""
    for part in (0.5, 0.25):
        off = []
        for rate in (0.01, 0.005):
            truth = tsode.TeacherStudent(2, 2, rate, 0.1)
            task = distillation.moving_teacher(truth, rate * (1 / part - 1))
            run = tsode.integrate(task, task.start(np.kron(np.ones((3, 3)), np.eye(2))), [0.0, 20 / rate])
            off.append(run.loss["student"][-1] / run.loss["teacher"][-1] - part)
        assert 0 < abs(off[1]) < 0.02 * part
        assert off[0] / off[1] > 1.8


# --- logits


def overlaps_at(T, alpha=2.0):
    task = distillation.logits(3, temperature=T)
    run = tsode.integrate(task, task.random(200, 0, scale=1.5), [0.0, alpha], rtol=1e-6)
    return np.concatenate([run.M[-1], run.Q[-1]], axis=1)


def test_overlaps_differ_from_those_of_matching_by_the_square_of_the_inverse_temperature():
    limit = overlaps_at(np.inf)
    sizes = [np.abs(overlaps_at(T) - limit).max() for T in (4.0, 8.0, 16.0)]
    slopes = -np.diff(np.log2(sizes))
    np.testing.assert_allclose(slopes, 2.0, atol=0.1)
    assert abs(slopes[1] - 2) < abs(slopes[0] - 2)


def test_the_mean_row_is_conserved_by_every_sample():
    for T in (1.0, np.inf):
        task = distillation.logits(3, temperature=T)
        rows = np.random.default_rng(3).standard_normal((6, 8))
        start = task.start(rows @ rows.T / 8)
        run = tsode.simulate(task, start, [0.0, 5.0], N=100, runs=4, seed=0)
        for part in (run.M, run.Q.sum(axis=-1)[..., None]):
            np.testing.assert_allclose(part[:, 1].sum(axis=-2), part[:, 0].sum(axis=-2), atol=1e-12)
        assert np.abs(run.M[:, 1] - run.M[:, 0]).max() > 0.1

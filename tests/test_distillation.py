"""Lessons, soft labels and fixed samples: explicit weights and samples, and the numbers of theory."""

import json

import numpy as np
import pytest
import reference
from scipy.integrate import solve_ivp
from scipy.special import expit
from scipy.stats import sem

import tsode
from tsode import cli, distillation, plot
from tsode.distillation import fixed_sample

# --- lessons

TRUTH = tsode.TeacherStudent(2, 2, 0.3, noise_variance=0.5)
FLOOR = 0.1875  # Delta eta / (2 (1 - 2 eta))


def learnt(model, seed=1):
    return tsode.integrate(model, tsode.Overlaps.random(model, N=200, rng=seed), [0.0, 300.0])


@pytest.fixture(scope="module")
def first():
    return learnt(TRUTH)


def apart(truth, widths, N, rng):
    """Return weights of teachers whose rows are orthogonal outside of the span of the truth, and those of the truth."""
    basis = np.sqrt(N) * np.linalg.qr(rng.standard_normal((N, sum(widths) + truth.p_star)))[0].T
    star = np.linalg.cholesky(truth.teacher_overlap) @ basis[: truth.p_star]
    ends = np.cumsum(widths)[:-1] + truth.p_star
    own = np.split(basis, [truth.p_star, *ends])[1:]
    mixed = [rng.standard_normal((len(rows), len(rows) + truth.p_star)) / 2 for rows in own]
    return [mix @ np.vstack([star, rows]) for mix, rows in zip(mixed, own)], star


def as_run(truth, W, W_star):
    overlaps = tsode.Overlaps.from_weights(W, W_star)
    model = truth.replace(p=len(W), student_readout=0.3 + np.arange(len(W)), teacher_overlap=overlaps.P)
    return model, tsode.Trajectory(model, [0.0], overlaps.M[None], overlaps.Q[None], "completed", 0.0)


def test_a_lesson_is_sgd_on_the_mixed_target_as_the_definition_says():
    """Sample by sample with explicit weights and two teachers; the floor of the loss is that of the mixed noise."""
    N, rng = 30, np.random.default_rng(0)
    truth = TRUTH.replace(teacher_readout=[0.7, 0.4], teacher_overlap=[[1.0, 0.3], [0.3, 0.8]], learning_rate=0.05)
    (W1, W2), W_star = apart(truth, (3, 2), N, rng)
    (first, run1), (second, run2) = as_run(truth, W1, W_star), as_run(truth, W2, W_star)
    truth = truth.replace(teacher_overlap=first.teacher_overlap)
    task = distillation.lesson(truth, [run1, run2], soft=[0.2, 0.5])
    rows = np.vstack([W1, W2, W_star])
    np.testing.assert_allclose(task.model.teacher_overlap, rows @ rows.T / N, atol=1e-12)

    W, X, noise = rng.standard_normal((2, N)), rng.standard_normal((20, N)), rng.standard_normal(20)
    wanted = W.copy()
    for x, xi in zip(X, noise):
        f_star, f1, f2 = (
            v @ np.square(A @ x / np.sqrt(N))
            for v, A in ((truth.teacher_readout, W_star), (first.student_readout, W1), (second.student_readout, W2))
        )
        lam = wanted @ x / np.sqrt(N)
        D = np.mean(lam**2) - 0.3 * (f_star + np.sqrt(0.5) * xi) - 0.2 * f1 - 0.5 * f2
        wanted -= 0.05 * D * lam[:, None] * x / np.sqrt(N)  # 2 v = 1
    found = reference.sgd(task.model, W, rows, X, np.sqrt(task.model.noise_variance) * noise)[-1]
    np.testing.assert_allclose(found, wanted, atol=1e-12)

    overlaps = tsode.Overlaps.from_weights(found, rows)
    run = tsode.Trajectory(task.model, [0.0], overlaps.M[None], overlaps.Q[None], "completed", 0.0)
    plain = truth.excess_loss(found @ W_star.T / N, found @ found.T / N)
    np.testing.assert_allclose(task.loss(run), plain, rtol=1e-12)
    np.testing.assert_array_equal(task.as_teacher(run).readout[0], truth.student_readout)


@pytest.mark.parametrize(("p", "eta"), [(2, 0.3), (3, 0.5)])
def test_floor_of_labels_and_of_ensembles(p, eta):
    truth = TRUTH.replace(p=p, p_star=p, learning_rate=eta)
    run = learnt(truth)
    F = 0.5 * eta / p / (1 - 2 * (p + 2) * eta / p**2)
    assert run.excess_loss[-1] == pytest.approx(F, rel=1e-6)
    for K in (2, 4, 8):
        found = distillation.lesson(truth, [run] * K, soft=1.0).teachers_loss
        assert found == pytest.approx(F * (p * F / 4 + (1 - p * F / 4) / K), rel=1e-6)


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_the_truth_as_teacher_takes_its_part_of_the_noise_away(rho):
    task = distillation.lesson(TRUTH, soft=rho)
    assert task.loss(learnt(task.model))[-1] == pytest.approx((1 - rho) ** 2 * FLOOR, rel=1e-6)
    assert task.teachers_loss == 0.0


def test_pupils_of_ensembles(first):
    found = []
    for K in (1, 2, 4, 8):
        task = distillation.lesson(TRUTH, [first] * K, soft=1.0)
        found.append(task.loss(learnt(task.model))[-1] / FLOOR)
    np.testing.assert_allclose(found, [1.0, 0.561, 0.327, 0.206], atol=6e-4)


def generations(first, weights):
    """Return the losses of a born-again chain over that of its first student."""
    found = []
    for soft in weights:
        task = distillation.lesson(TRUTH, [first], soft=soft)
        first = task.as_teacher(learnt(task.model))
        found.append(first.excess_loss[-1] / FLOOR)
    return found


def test_born_again_chains(first):
    n = np.arange(2, 7)
    found = generations(first, (n - 1) / n)
    np.testing.assert_allclose(found, 1 / n, rtol=0.01)
    np.testing.assert_allclose(generations(first, [1.0] * 3), 1.0, rtol=1e-6)
    assert generations(first, [0.5] * 5)[-1] == pytest.approx(0.325, abs=1e-3)
    smaller = [learnt(TRUTH.replace(learning_rate=0.3 / k)).excess_loss[-1] / FLOOR for k in (2, 3, 4)]
    np.testing.assert_allclose(smaller, [0.286, 0.167, 0.118], atol=5e-4)
    assert (np.array(smaller) < found[:3]).all()


@pytest.mark.slow
def test_sgd_of_lessons_ends_at_their_floors():
    """48 runs at N = 1000, each taught by runs of its own: to 4 standard errors, and to the 2 % that N leaves."""
    alpha, N, runs = np.linspace(0, 90, 31), 1000, 48
    firsts = tsode.simulate(TRUTH, None, alpha, N=N, runs=4 * runs, seed=1)
    kept = slice(20, None)

    def floors(task_of):
        tasks = [task_of(r) for r in range(runs)]
        starts = [tsode.Overlaps.random(task.model, N=N, rng=10 + r) for r, task in enumerate(tasks)]
        found = tsode.simulate_many([task.model for task in tasks], starts, alpha, N=N, seed=2)
        return [task.loss(run)[0, kept].mean() / FLOOR for task, run in zip(tasks, found)]

    def ensemble(K):
        ends = [tsode.Trajectory(TRUTH, [0.0], M[-1:], Q[-1:], "completed", 0.0) for M, Q in zip(firsts.M, firsts.Q)]
        return lambda r: distillation.lesson(TRUTH, ends[r * K : r * K + K], soft=1.0)

    for wanted, task_of in (
        (0.561, ensemble(2)),
        (0.327, ensemble(4)),
        (0.5017, lambda r: distillation.lesson(TRUTH, [firsts], soft=0.5, run=r)),
    ):
        found = floors(task_of)
        assert np.mean(found) == pytest.approx(wanted, abs=4 * sem(found) + 0.02 * wanted)


# --- soft labels


@pytest.mark.parametrize("hard", [0.0, 0.4, 1.0])
def test_the_rule_is_the_derivative_of_the_cross_entropy(hard):
    model = distillation.soft_labels(2.0, 0.7, hard, temperature=1.5, smoothing=0.1).model
    u, v = np.random.default_rng(0).standard_normal((2, 50))
    t = 0.05 + 0.9 * ((1 - hard) * expit(v / 1.5) + hard * (v > 0))

    def loss(u):
        return np.logaddexp(0, u) - t * u

    ((_, c, _),) = model.rule.outcomes(model, u[None], v[None], np.empty((0, 50)), np.empty(0))
    np.testing.assert_allclose(c[0], -0.7 * (loss(u + 1e-5) - loss(u - 1e-5)) / 2e-5, atol=1e-9)


RISKS = {"soft": ({}, [0.2340, 0.0803, 0.0068]), "hard": ({"hard": 1.0}, [0.2763, 0.1338, 0.0587])}


@pytest.mark.parametrize("name", RISKS)
def test_risk_of_soft_and_hard_labels(name):
    options, wanted = RISKS[name]
    task = distillation.soft_labels(**options)
    np.testing.assert_allclose(task.risk([1.0, 5.0, 20.0]), wanted, atol=6e-5)
    assert task.risk([0.0, 1.0])[0] == 0.5


def test_hard_labels_do_not_know_the_norm_of_the_teacher():
    task = distillation.soft_labels(3.0, hard=1.0)
    np.testing.assert_allclose(task.risk([1.0, 5.0, 20.0]), RISKS["hard"][1], atol=6e-5)


def test_smoothing_does_not_help_and_temperature_is_the_norm():
    smoothed = distillation.soft_labels(hard=1.0, smoothing=0.2).risk([20.0])
    assert smoothed[0] == pytest.approx(0.0640, abs=6e-5)
    times = [1.0, 4.0]
    one, other = distillation.soft_labels(3.0).risk(times), distillation.soft_labels(6.0, temperature=2.0).risk(times)
    np.testing.assert_allclose(one, other, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", RISKS)
def test_sgd_has_the_risk_of_the_ode(name):
    """64 runs at N = 2000: six means to 4 standard errors."""
    options, wanted = RISKS[name]
    task = distillation.soft_labels(**options)
    risks = task.risk(tsode.simulate(task.model, task.start, [0.0, 1.0, 5.0, 20.0], N=2000, runs=64, seed=3))[:, 1:]
    assert (np.abs(risks.mean(axis=0) - wanted) < 4 * sem(risks) + 5e-5).all()


# --- a fixed sample


def angle(w, other):
    return np.arccos(min(1.0, w @ other / np.linalg.norm(w) / np.linalg.norm(other))) / np.pi


def test_risk_is_the_mean_angle_of_projections():
    """800 samples each: to 4 standard errors; and tends to its limit as 1/d."""
    rng, d = np.random.default_rng(1), 20
    star = rng.standard_normal(d)
    for n in (1, 5, 15):
        found = [angle(fixed_sample.learn(X, X @ star), star) for X in rng.standard_normal((800, n, d))]
        assert fixed_sample.risk(n / d, d) == pytest.approx(np.mean(found), abs=4 * sem(found))
    np.testing.assert_allclose([fixed_sample.risk(a, 100) for a in (0.25, 0.5, 0.75, 0.9)],
                               [0.3342, 0.25, 0.1658, 0.1003], atol=6e-5)  # fmt: skip
    assert [fixed_sample.risk(a, 100) for a in (0.0, 1.0, 3.0)] == [0.5, 0.0, 0.0]
    far = [fixed_sample.risk(0.3, d) - fixed_sample.risk(0.3) for d in (1000, 2000)]
    assert far[0] / far[1] == pytest.approx(2.0, rel=0.01)


def test_more_samples_never_hurt():
    rng = np.random.default_rng(2)
    for X, star in zip(rng.standard_normal((10, 30, 30)), rng.standard_normal((10, 30))):
        angles = [angle(fixed_sample.learn(X[:n], X[:n] @ star), star) for n in range(1, 31)]
        assert (np.diff(angles) < 1e-7).all()  # an angle of 0 is found to the root of rounding


@pytest.mark.parametrize("n", [5, 40])
def test_bound_holds_where_angles_are_uniform(n):
    """Risk by 4000 fresh inputs for each of 40 samples; the bound is loose."""
    rng, d = np.random.default_rng(3), 100
    star = np.eye(d)[0]

    def inputs(count):
        angles, rest = np.pi * rng.random((count, 1)), rng.standard_normal((count, d)) * (np.arange(d) > 0)
        return np.cos(angles) * star + np.sin(angles) * rest / np.linalg.norm(rest, axis=1, keepdims=True)

    risks = []
    for _ in range(40):
        X, fresh = inputs(n), inputs(4000)
        risks.append(np.mean((fresh @ fixed_sample.learn(X, X @ star) > 0) != (fresh @ star > 0)))
    found = fixed_sample.bound(lambda t: 1 - 2 * t / np.pi, n)
    assert found == pytest.approx({5: 0.465, 40: 0.113}[n], abs=5e-4)
    assert 0 < np.mean(risks) + 4 * sem(risks) < found


@pytest.mark.parametrize("layers", [1, 2])
def test_learn_is_the_end_of_gradient_flow_of_explicit_layers(layers):
    """Of the logistic loss; two layers from a balanced start, a scalar and a vector of one norm."""
    rng = np.random.default_rng(4)
    X, star, w = rng.standard_normal((3, 5)), rng.standard_normal(5), 0.5 * rng.standard_normal(5)
    size = np.sqrt(np.linalg.norm(w))
    start = w if layers == 1 else np.append(w / size, size)

    def product(state):
        return state if layers == 1 else state[:-1] * state[-1]

    def flow(_, state):
        fall = X.T @ (expit(X @ star) - expit(X @ product(state)))
        return fall if layers == 1 else np.append(state[-1] * fall, state[:-1] @ fall)

    end = solve_ivp(flow, (0, 2000), start, "LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(fixed_sample.learn(X, X @ star, w, layers), product(end), atol=1e-8)


@pytest.mark.parametrize("layers", [2, 4])
def test_deep_students_conserve_what_they_do_not_see(layers):
    rng = np.random.default_rng(5)
    X, star = rng.standard_normal((15, 40)), rng.standard_normal(40)
    across = np.eye(40) - np.linalg.pinv(X) @ X
    for size in (1e-3, 1.0, 1e3):
        start = size * rng.standard_normal(40)
        end = fixed_sample.learn(X, X @ star, start, layers)
        kept = [np.linalg.norm(across @ w) / np.linalg.norm(w) ** (1 - 1 / layers) for w in (start, end)]
        assert kept[1] == pytest.approx(kept[0], rel=1e-12)
        np.testing.assert_allclose(X @ end, X @ star, atol=1e-10 * max(size, 1.0))


def test_margin_meets_the_conditions_of_its_minimum():
    """Margins of at least 1, and a w made of the inputs at 1 with positive weights (Karush, Kuhn, Tucker)."""
    rng = np.random.default_rng(6)
    X, star = rng.standard_normal((60, 20)), rng.standard_normal(20)
    w = fixed_sample.margin(X, X @ star)
    signed = np.sign(X @ star)[:, None] * X
    margins = signed @ w
    assert margins.min() == pytest.approx(1.0, abs=1e-9)
    weights = np.linalg.lstsq(signed[margins < 1 + 1e-7].T, w, rcond=None)[0]
    np.testing.assert_allclose(weights @ signed[margins < 1 + 1e-7], w, atol=1e-8)
    assert (weights > 0).all()


# --- examples


def test_an_example_is_printed_drawn_and_written(tmp_path, capsys):
    """Theory within 4 standard errors of what is measured; lines and points of one name have one colour."""
    example = distillation.example("fixed_sample", runs=20, seed=3)
    for what, theory, measured, error in example.rows:
        assert measured == pytest.approx(theory, abs=4 * error), what
    assert cli.main(["distil", "fixed_sample", "--runs", "20", "--seed", "3", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert repr(example) in printed
    assert json.loads((tmp_path / "fixed_sample.json").read_text()) == example.to_dict()
    assert (tmp_path / "fixed_sample.png").read_bytes()[:4] == b"\x89PNG"
    ax = plot.distillation_curves(example)
    line = next(line for line in ax.lines if line.get_label() == "soft labels")
    bars = {bar.lines[0].get_color() for bar in ax.containers}
    assert line.get_color() in bars
    np.testing.assert_allclose(line.get_ydata(), example.curves["soft labels"][1])
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {*example.curves, *example.points}


@pytest.mark.slow
@pytest.mark.parametrize("name", distillation.EXAMPLES)
def test_every_example_meets_its_theory(name):
    """At N = 400, to 5 standard errors and 5 % that N leaves; floors of first order in the rates to 3 % more."""
    example = distillation.example(name, N=400, runs=8)
    assert set(example.to_dict()) == {"name", "title", "curves", "points", "rows"}
    for what, theory, measured, error in example.rows:
        assert measured == pytest.approx(theory, abs=5 * error + 0.08 * abs(theory)), what

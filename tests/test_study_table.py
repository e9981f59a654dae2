"""The table of a study, number by number, on trajectories made up so that the right numbers are known."""

import re
from html import unescape

import numpy as np
import pytest
from scipy import stats

import tsode
from tsode.studies.measurements import chosen_solution, random_rotations

MODEL = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
N, RUNS, ESCAPES, TIMES = 1000, 5, 7, 201
ALPHA = np.linspace(0.0, 100.0, TIMES)
RATES = 0.1 * (1 + 0.1 * np.random.default_rng(0).standard_normal(ESCAPES))  # of the runs from random weights
LEVELS = 0.3 * (1 + 0.1 * np.random.default_rng(1).standard_normal(RUNS))  # norms on the plateau, run by run


def trajectory(rate, norm, runs=None, model=MODEL, noise=None, **fields):
    """M grows as exp(rate alpha) up to 1, and half as fast below tr M M^T = 0.006, before the window of the fit.

    Q falls from 1 to the plateau's norm, and follows M from there on.
    """
    lead = () if runs is None else (runs,)
    rate, norm = (np.broadcast_to(x, lead)[..., None] for x in (rate, norm))
    size, slow = 1e-3 * np.exp(rate * ALPHA), np.sqrt(0.006)
    size = np.minimum(np.where(size > slow, size, np.sqrt(size * slow)), 1.0)
    M = np.stack([0.6 * size, 0.8 * size], axis=-1)[..., None]
    own = norm + (1 - norm) * np.maximum(1 - ALPHA / 5, 0.0) ** 2
    Q = own[..., None, None] * np.eye(2) + M * np.swapaxes(M, -1, -2)
    if noise is not None:
        M, Q = M + noise[0], Q + noise[1]
        M[:, 0], Q[:, 0] = M[0, 0], Q[0, 0]
    ends = {"status": np.full(lead, "completed")[()], "stopped_at": np.full(lead, ALPHA[-1])[()]}
    known = {} if runs is None else {"N": N, "seed": 3, "engine": "sgd"}
    return tsode.Trajectory(model=model, alpha=ALPHA, M=M, Q=Q, **{**ends, **known, **fields})


def noise(rng, size=1e-3):
    S = rng.standard_normal((RUNS, TIMES, 2, 2))
    return size * rng.standard_normal((RUNS, TIMES, 2, 1)), size * (S + np.swapaxes(S, 2, 3))


@pytest.fixture(scope="module")
def study():
    sgd = trajectory(0.08, LEVELS, RUNS, noise=noise(np.random.default_rng(2)))
    return tsode.Study(trajectory(0.07, 0.3), sgd, trajectory(RATES, 0.3, ESCAPES))


def excess_loss(norm):
    """With M = 0, Q = norm 1: half of (t^2 + 2 (sum of y^2 + 1)) with y = norm / 2, t = norm - 1."""
    return ((norm - 1) ** 2 + 2 * (2 * (norm / 2) ** 2 + 1)) / 2


def assert_row(row, theory, ode, runs, rel=1e-9):
    """Mean and standard error are over the runs that have a number."""
    runs = runs[np.isfinite(runs)]
    wanted = {"theory": theory, "ode": ode, "sgd": np.mean(runs), "sgd_error": stats.sem(runs)}
    assert row == pytest.approx({name: value for name, value in wanted.items() if value is not None}, rel, nan_ok=True)


def test_plateau_is_the_level_where_the_loss_rests(study):
    levels = excess_loss(LEVELS)  # M has not grown much yet, and the noise is small
    row = study.results["plateau excess loss"]
    assert_row(row, tsode.plateau(MODEL).excess_loss, excess_loss(0.3), levels, rel=2e-2)
    np.testing.assert_allclose(row["sgd_error"], stats.sem(levels), rtol=2e-2)


def resting(loss, runs=None):
    """A trajectory of hardly any overlap that has this excess loss (above 1.25), shape (T,) or (runs, T)."""
    norm, lead = 0.5 + np.sqrt(np.asarray(loss) - 1.25), () if runs is None else (runs,)
    M = np.broadcast_to([[6e-7], [8e-7]], (*norm.shape, 2, 1))
    alpha = np.linspace(0.0, 100.0, norm.shape[-1])
    ends = {"status": np.full(lead, "completed")[()], "stopped_at": np.full(lead, alpha[-1])[()]}
    return tsode.Trajectory(MODEL, alpha, M, norm[..., None, None] * np.eye(2), N=None if runs is None else N, **ends)


def test_level_of_the_plateau_is_the_mean_of_a_twentieth_of_the_times_before_the_fall():
    """The loss rests at 60 % of its fall, slowest halfway between two records; at 40 % and at its end it stands still.

    Two of three runs stand out by one record: by 1/21 of that they differ, in opposite directions.
    """
    i = np.arange(420)
    shelf = 2.32 - 1e-4 * (i - 160.5) - 1e-7 * (i - 160.5) ** 3
    loss = np.interp(i, [0, 100, 220, 270, 380, 395, 420], [3, 2.35, 2.29, 1.98, 1.98, 1.3, 1.3])
    loss[100:221] = shelf[100:221]
    out = np.zeros((3, 420))
    out[:, 160] = 0.1, -0.1, 0
    study = tsode.Study(resting(loss), sgd := resting(loss + out, 3), sgd)
    wanted = loss[150:171].mean() + out[:, 160] / 21
    row = study.results["plateau excess loss"]
    assert_row(row, tsode.plateau(MODEL).excess_loss, wanted[2], wanted, rel=1e-9)


def test_level_of_a_loss_that_never_falls_is_the_first():
    study = tsode.Study(resting([2.4, 2.45, 2.46]), sgd := resting([[2.4, 2.45, 2.46]] * 2, 2), sgd)
    assert_row(study.results["plateau excess loss"], tsode.plateau(MODEL).excess_loss, 2.4, np.array([2.4, 2.4]))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_a_few_records_say(count):
    """An interrupted study has few: three are enough for a level, two for a deviation of what differs in the runs."""
    loss = np.array([3, 2.5, 2.4])[:count]
    study = tsode.Study(resting(loss), sgd := resting(np.stack([loss, loss, loss + 0.1]), 3), sgd)
    level, final = (study.results[f"{name} excess loss"] for name in ("plateau", "final"))
    assert (level["ode"], final["ode"]) == pytest.approx((3 if count == 3 else np.nan, loss[-1]), nan_ok=True)
    M, Q = (study.results[f"largest deviation of {which} (standard errors)"] for which in "MQ")
    assert Q["sgd"] == pytest.approx(1 if count > 1 else np.nan, nan_ok=True)
    assert np.isfinite(Q["theory"]) == (count > 1)
    assert np.isnan([M["sgd"], M["theory"]]).all()  # the same in all runs has no statistical error
    rms = study.results["rms deviation of M"]["sgd"]
    assert rms == 0 if count > 1 else np.isnan(rms)


@pytest.mark.parametrize("last", [1, 2])
def test_one_run_that_lasts_has_no_deviation_and_two_have_one(study, last):
    M, Q = study.sgd.M.copy(), study.sgd.Q.copy()
    M[last:, 100:], Q[last:, 100:] = np.nan, np.nan
    status = np.array(["completed"] * last + ["diverged"] * (RUNS - last))
    stopped_at = np.where(status == "completed", 100.0, 49.75)
    sgd = tsode.Trajectory(M=M, Q=Q, status=status, stopped_at=stopped_at, model=MODEL, alpha=ALPHA, N=N)
    results = tsode.Study(study.ode, sgd, study.escapes).results
    final, largest = results["final excess loss"], results["largest deviation of M (standard errors)"]
    assert final["sgd"] == pytest.approx(study.sgd.excess_loss[:last, -1].mean())
    assert np.isfinite([final["sgd_error"], largest["sgd"], largest["theory"]]).tolist() == [last == 2] * 3


def growing(logs, runs=None):
    """M whose tr M M^T is exp(logs), one record a unit of alpha."""
    size, lead = np.exp(np.asarray(logs) / 2), () if runs is None else (runs,)
    M = size[..., None, None] * [[0.6], [0.8]]
    alpha = np.arange(float(size.shape[-1]))
    ends = {"status": np.full(lead, "completed")[()], "stopped_at": np.full(lead, alpha[-1])[()]}
    Q = 0.3 * np.eye(2) + M * np.swapaxes(M, -1, -2)
    return tsode.Trajectory(MODEL, alpha, M, Q, N=None if runs is None else N, **ends)


def test_escape_rate_is_fitted_to_the_first_way_from_a_fifth_of_the_threshold_to_it(study):
    """Four records are enough, three are not; before and behind them the growth is another."""
    four = [-9, -1.705, -1.5, -1.05, -0.6, -0.15, 0.3, -0.5]
    steeper = [-9, -1.705, -1.58, -1.06, -0.54, -0.02, 0.3, -0.5]
    three = [-9, -1.705, -1.35, -0.9, -0.45, 0.05, 0.3, -0.5]
    never = [-9, -1.705, -1.5, -1.05, -0.6, -0.15, -0.1, -0.5]
    logs = np.log(study.escape[1]) + np.array([four, steeper, three, never])
    row = tsode.Study(growing(logs[0]), sgd := growing(logs, 4), sgd).results["escape rate"]
    assert_row(row, tsode.plateau(MODEL).escape_rate, 0.225, np.array([0.225, 0.26]))


@pytest.mark.parametrize("widths", [(4, 2), (2, 3)])
def test_threshold_of_the_escape_is_far_from_start_and_end(widths):
    """2 % of the solutions', unless random weights, p p* / N on average, come near: then as far from both."""
    model = tsode.TeacherStudent(*widths, 0.1)
    end = model.solution_size
    for N in (5 * model.p * model.p_star / (0.02 * end * near) for near in (0.9, 1.1)):
        sgd = tsode.simulate(model, None, [0.0, 0.1], N=round(N), runs=2)
        ode = tsode.integrate(model, sgd.overlaps(0, 0), [0.0, 0.1])
        start, threshold = model.p * model.p_star / round(N), tsode.Study(ode, sgd, sgd).escape[1]
        if start < 0.004 * end:
            assert threshold == pytest.approx(0.02 * end, rel=1e-12)
        else:
            assert threshold / start == pytest.approx(end / threshold, rel=1e-12)


def test_escape_rate_is_that_of_the_runs_from_random_weights(study):
    assert_row(study.results["escape rate"], tsode.plateau(MODEL).escape_rate, 0.07, RATES, rel=1e-8)


def test_escape_times_are_those_of_their_own_runs(study):
    law, threshold = study.escape
    times = {name: tsode.escape_time(getattr(study, name), threshold) for name in ("ode", "sgd", "escapes")}
    assert times["ode"] == pytest.approx(np.log(threshold / 1e-6) / (2 * 0.07), rel=1e-3)
    assert_row(study.results["escape time from this start"], np.nan, times["ode"], times["sgd"])
    assert_row(study.results["escape time from random weights"], law.mean(), None, times["escapes"])
    assert law.mean() == pytest.approx(tsode.escape_law(MODEL, N, threshold, start="random").mean(), rel=1e-12)


def test_final_loss_is_the_last(study):
    runs = study.sgd.excess_loss[:, -1]
    assert_row(study.results["final excess loss"], np.nan, study.ode.excess_loss[-1], runs)


def test_distances_of_the_ends_are_run_by_run(study):
    """Here M keeps its direction but for the noise of the runs; random ones are at |sqrt(2) 2 sin(angle / 2)|."""
    found = study.results["distance of the end's solution to the start's"]
    turned = []
    for run in range(RUNS):
        first, last = (tsode.manifold.closest_rotation(MODEL, study.sgd.overlaps(i, run)) for i in (0, -1))
        turned.append(np.sqrt(2) * np.linalg.norm(first - last))  # of the weights: v* / v = 2
    assert found["ode"] < 1e-6
    assert found["sgd"] == pytest.approx(np.mean(turned), rel=1e-6)
    assert found["sgd_error"] == pytest.approx(stats.sem(turned), rel=1e-6)
    random = study.results["distance of the end's solution to random ones"]
    for column in ("ode", "sgd"):  # the mean of 200, within 4.5 standard errors
        assert random[column] == pytest.approx(np.sqrt(2) * 4 / np.pi, rel=0.15)
    assert "theory" not in {**found, **random}


@pytest.mark.parametrize("widths", [(4, 2), (2, 2), (2, 3)])
def test_what_stays_where_it_began_is_at_distance_zero(widths):
    """Up to rounding, of either sign under the root."""
    model = tsode.TeacherStudent(*widths, 0.1, teacher_readout=0.1 + np.arange(widths[1]))
    M = np.array([[tsode.Overlaps.random(model, 100, rng=seed).M] * 2 for seed in range(12)])
    Q, ends = np.broadcast_to(9.0 * np.eye(model.p), (*M.shape[:3], model.p)), np.full(12, "completed")
    still = tsode.Trajectory(model, [0.0, 1.0], M, Q, status=ends, stopped_at=np.ones(12), N=100)
    own, others = chosen_solution(still, random_rotations(model)[:9])
    assert own.max() < 1e-6
    assert others.min() > 0.01


@pytest.mark.parametrize(
    ("widths", "readouts", "name"),
    [
        ((2, 1), {}, "exponent in alpha"),
        ((2, 1), {"teacher_readout": [0.1]}, "exponent in alpha"),
        ((2, 2), {}, "rate"),
    ],
)
def test_late_times_are_those_of_gradient_flow(widths, readouts, name):
    """The exponent does not depend on the learning rate, the rate is proportional to it; both agree with theory."""
    rows = []
    for rate in (0.02, 0.4):
        model = tsode.TeacherStudent(*widths, rate, **readouts)
        start = tsode.Overlaps.random(model, 1000, rng=0)
        ode = tsode.integrate(model, start, [0.0, 1.0])
        sgd = tsode.simulate(model, start, [0.0, 1.0], N=1000, runs=2)
        row = tsode.Study(ode, sgd, sgd).results[f"late {name}, gradient flow"]
        law = -tsode.manifold.relaxation_rate(model) if name == "rate" else -2
        assert row["theory"] == pytest.approx(law, rel=1e-9)
        assert row["ode"] == pytest.approx(law, rel=0.005)
        rows.append(np.array([row["ode"], row["theory"]]) / (rate if name == "rate" else 1.0))
    np.testing.assert_allclose(*rows, rtol=1e-3)


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_noise_alone_exceeds_the_level_of_the_deviations_in_one_study_of_twenty(constraint):
    """Student's t of both signs in all entries that move, at all times but the first, sums up to 5 %."""
    model = MODEL.replace(constraint=constraint)
    M_noise, Q_noise = noise(np.random.default_rng(4))
    moving = {"M": 2, "Q": 4}
    if constraint == "spherical":
        Q_noise[:, :, [0, 1], [0, 1]] = 0.0
        moving["Q"] = 2
    sgd = trajectory(0.07, 0.3, RUNS, model=model, noise=(M_noise, Q_noise))
    ode = trajectory(0.07, 0.3, model=model)
    results = tsode.Study(ode, sgd, sgd).results
    for which, entries in moving.items():
        row = results[f"largest deviation of {which} (standard errors)"]
        assert 2 * stats.t.sf(row["theory"], RUNS - 1) * entries * (TIMES - 1) == pytest.approx(0.05, rel=1e-6)
        runs = getattr(sgd, which)[:, 1:]
        difference = np.mean(runs, axis=0) - getattr(ode, which)[1:]
        error = np.ma.masked_less(stats.sem(runs, axis=0), 1e-12)
        assert row["sgd"] == pytest.approx(np.abs(difference / error).max(), rel=1e-9)
        assert row["sgd"] < row["theory"]
        assert results[f"rms deviation of {which}"]["sgd"] == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-9)


def test_runs_that_ended_early_do_not_count(study):
    """A diverged run has no last loss; the others' numbers are as if there were only them."""
    M, Q = study.sgd.M.copy(), study.sgd.Q.copy()
    M[1, 100:], Q[1, 100:] = np.nan, np.nan
    status, stopped_at = np.full(RUNS, "completed", dtype="<U11"), np.full(RUNS, ALPHA[-1])
    status[1], stopped_at[1] = "diverged", 49.75
    more = {"model": MODEL, "alpha": ALPHA, "N": N}
    ended = tsode.Trajectory(M=M, Q=Q, status=status, stopped_at=stopped_at, **more)
    others = [0, 2, 3, 4]
    whole = tsode.Trajectory(M=M[others], Q=Q[others], status=status[others], stopped_at=stopped_at[others], **more)
    found, wanted = (tsode.Study(study.ode, sgd, study.escapes) for sgd in (ended, whole))
    assert found.results.keys() == wanted.results.keys()
    for name, row in found.results.items():
        if name not in ("plateau excess loss", "escape time from this start"):  # which this run still had
            assert row == pytest.approx(wanted.results[name], rel=1e-9, nan_ok=True), name
    assert "1 of 5 SGD runs did not finish, the first ended at alpha = 49.75" in repr(found)
    assert "did not finish" not in repr(wanted)


@pytest.mark.parametrize(("factor", "activation"), [(0.97, "quadratic"), (1.05, "quadratic"), (0.97, "erf")])
def test_remarks_say_what_diverged_and_above_which_learning_rate(study, factor, activation):
    """Once: the title names the largest learning rate where the model's is above it; without theory nobody knows it."""
    largest = tsode.plateau(MODEL).max_learning_rate
    model = MODEL.replace(learning_rate=factor * largest, activation=activation, teacher_activation=activation)
    M, Q = study.sgd.M.copy(), study.sgd.Q.copy()
    M[1:3, 100:], Q[1:3, 100:] = np.nan, np.nan
    status, stopped_at = np.array(["completed", *["diverged"] * 2, *["completed"] * 2]), np.full(RUNS, 100.0)
    stopped_at[1:3] = 49.9, 49.8
    sgd = tsode.Trajectory(M=M, Q=Q, status=status, stopped_at=stopped_at, model=model, alpha=ALPHA, N=N)
    ode = trajectory(0.07, 0.3, model=model, status="diverged", stopped_at=100.2)
    lines = repr(tsode.Study(ode, sgd, sgd)).splitlines()
    known = (factor, activation) == (0.97, "quadratic")
    limit = f"; no plateau above learning rate {largest:.4g}." if known else "."
    found = [line.strip() for line in lines if "ended at" in line or "ODE diverged" in line]
    assert found[0] == f"The ODE diverged at alpha = 100.2{limit}"
    assert found[1].startswith(f"2 of 5 SGD runs did not finish, the first ended at alpha = 49.8{limit}")
    text = " ".join(lines)
    assert ("no attracting fixed point above" in text) == (factor > 1)
    assert "Deviations: " in text
    assert ("The end's solution is" in text) == (activation == "quadratic")
    assert ("its rate is fitted" in text) == known


def test_title_says_what_was_run(study):
    assert repr(study).splitlines()[0].endswith(f": N = 1,000, {RUNS} runs, alpha to 100")


def test_remark_on_the_hessians_is_their_comparison(study):
    text, found = " ".join(repr(study).split()), tsode.hessian.compare(MODEL, N)
    for name, side in (("plateau of gradient flow", found.plateau), ("solutions", found.manifold)):
        assert f"{name}: {side.verdict}, {side.index} negative and {side.nullity:,} zero eigenvalues" in text


def cells(row, tag):
    return [unescape(re.sub("<.*?>", "", cell)).strip() for cell in re.findall(f"<{tag}.*?</{tag}>", row)]


def test_table_has_theory_ode_and_sgd_in_their_columns(study):
    """Four digits of each number, one of an error, nothing where there is none; the same as text and in a notebook."""
    rows = re.findall("<tr>.*?</tr>", study._repr_html_().replace("\n", ""))
    assert cells(rows[0], "th")[-3:] == ["theory", "ODE", "SGD"]
    table = {}
    for row in rows[1:]:
        name, *values = cells(row, "th") + cells(row, "td")
        table[name] = values
    assert table.keys() == study.results.keys()
    lines = repr(study).splitlines()
    for name, row in study.results.items():
        theory, ode, sgd = table[name]
        sgd, _, error = sgd.partition("±")
        for text, column, digits in ((theory, "theory", 4), (ode, "ode", 4), (sgd, "sgd", 4), (error, "sgd_error", 1)):
            value = row.get(column, np.nan)
            assert (float(text) if text.strip() else np.nan) == pytest.approx(value, 6 * 10.0**-digits, nan_ok=True)
        line = next(line for line in lines if line.strip().startswith(name + "  "))
        assert [word for word in re.split(r"\s{2,}", line.strip())[1:] if word] == [x for x in table[name] if x]


def test_summary_says_what_was_run(study):
    found = study.summary()
    assert (found["N"], found["runs"], found["seed"], found["alpha_max"], found["engine"]) == (N, RUNS, 3, 100.0, "sgd")
    assert found["status"] == {"ode": "completed", "sgd": ["completed"] * RUNS, "escapes": ["completed"] * ESCAPES}
    assert found["escape_threshold"] == study.escape[1]
    assert found["model"] == MODEL.to_dict()
    assert found["results"]["final excess loss"]["theory"] is None
    assert found["results"]["escape rate"] == study.results["escape rate"]
    assert found["hessian"] == tsode.hessian.compare(MODEL, N).to_dict()


@pytest.mark.usefixtures("undrawn")
def test_parts_are_saved_and_loaded_each_as_itself(study, tmp_path):
    study.save(tmp_path)
    for path in (tmp_path, tmp_path / "study.npz"):
        loaded = tsode.Study.load(path)
        for part in ("ode", "sgd", "escapes"):
            for name in ("size", "alpha") if part == "escapes" else ("M", "Q", "alpha"):
                np.testing.assert_array_equal(getattr(getattr(loaded, part), name), getattr(getattr(study, part), name))

"""Learning rates that change in time: what they are, in the ODEs, in both engines, and the best ones."""

import pickle

import numpy as np
import pytest
import reference
from models import GENERAL, all_of, generic_start
from scipy import stats

import tsode
from tsode.ode.rhs import right_hand_side
from tsode.schedules import Cosine, Function, PowerLaw, Schedule, Stored, Table, WarmUp

MODEL = tsode.TeacherStudent(**GENERAL)
START = generic_start(MODEL)
STEPS = [(0.0, 0.4), (1.5, 0.1), (3.0, 0.6)]


def halving(alpha):
    return 0.4 * 2.0 ** (-alpha / 2.0)


SMOOTH = {
    "power law": PowerLaw(0.5, 0.7, 2.0), "cosine": Cosine(0.5, 3.0, 0.05), "warm-up": WarmUp(0.4, 2.0),
    "warm-up and decay": WarmUp(PowerLaw(0.5, 1.0, 2.0), 2.0), "function": Function(halving),
}  # fmt: skip
ALL = {"table": Table(STEPS), **SMOOTH}


def with_rate(learning_rate, **changes):
    return MODEL.replace(learning_rate=learning_rate, **changes)


# --- what they are


def test_values():
    alpha = np.array([0.0, 1.0, 1.5, 2.0, 5.0])
    np.testing.assert_array_equal(ALL["table"](alpha), [0.4, 0.4, 0.1, 0.1, 0.6])
    np.testing.assert_allclose(ALL["power law"](alpha), 0.5 * (1 + alpha / 2) ** -0.7)
    wanted = 0.05 + 0.45 * (1 + np.cos(np.pi * np.minimum(alpha, 3) / 3)) / 2
    np.testing.assert_allclose(ALL["cosine"](alpha), wanted)
    np.testing.assert_allclose(ALL["warm-up"](alpha), [0.0, 0.2, 0.3, 0.4, 0.4])
    np.testing.assert_allclose(ALL["warm-up and decay"](alpha), [0.0, 1 / 6, 1.5 / 7, 0.25, 1 / 7])
    np.testing.assert_array_equal(ALL["function"](alpha), halving(alpha))
    np.testing.assert_array_equal(Table(STEPS)([0.1 + 0.2 + 1.2]), [0.1])  # a time within rounding of a jump is at it
    assert Table([(2.0, 0.3), (4.0, 0.2)])(0.0) == 0.3
    np.testing.assert_array_equal(Function(lambda alpha: 0.4 if alpha < 2 else 0.1)(alpha), [0.4, 0.4, 0.4, 0.1, 0.1])
    np.testing.assert_array_equal(Function(lambda alpha: 0.2)(alpha), np.full(5, 0.2))
    with pytest.raises(ValueError, match=r"not negative at all times, but is -0.5 at alpha = 3"):
        Function(lambda alpha: 1.0 - alpha / 2)([1.0, 3.0])


@all_of(ALL)
def test_models_hold_print_keep_and_compare_them(model):
    schedule, model = model, with_rate(model)
    assert model.schedule is schedule
    assert model.schedule == schedule
    assert f"η = {schedule!r}" in repr(tsode.integrate(model, START, [0.0, 0.1]))
    assert repr(schedule) in repr(model)
    assert pickle.loads(pickle.dumps(model)) == model == model.replace(noise_variance=0.1)
    again = tsode.TeacherStudent.from_dict(model.to_dict())
    assert again == model
    assert hash(again) == hash(model)
    assert model not in [with_rate(other) for other in ALL.values() if other is not schedule]
    largest = schedule(np.linspace(0, 8, 8001)).max()
    assert largest * (1 - 1e-12) <= model.largest_rate <= 2 * largest
    assert model.natural_time == pytest.approx(with_rate(model.largest_rate).natural_time)
    assert model.at(2.0) == with_rate(float(schedule(2.0)))


def test_what_may_be_given_for_one(tmp_path):
    assert with_rate(STEPS) == with_rate(np.array(STEPS)) == with_rate(Table(STEPS))
    assert with_rate(halving) == with_rate(Function(halving))
    assert type(with_rate(0.3).learning_rate) is float
    assert with_rate(0.3).schedule is None
    assert with_rate(0.3).at(1.0).learning_rate == with_rate(0.3).fastest.learning_rate == 0.3
    assert repr(Table([(i, 0.1 + i) for i in range(9)])) == "Table(9 rates 0.1 to 8.1, alpha 0 to 8)"
    ode = tsode.integrate(with_rate(halving), START, [0.0, 1.0])
    loaded = tsode.Trajectory.load(ode.save(tmp_path / "run"))
    assert loaded.model == ode.model
    assert repr(loaded.model.learning_rate) == "Stored('halving')"
    assert loaded.model.natural_time == ode.model.natural_time
    with pytest.raises(tsode.NoClosedForm, match=r"given again by model\.replace\(learning_rate=\.\.\.\)"):
        tsode.integrate(loaded.model, START, 1.0)


def test_closed_forms_ask_for_a_constant_rate():
    model = tsode.TeacherStudent(4, 2, STEPS)
    start = tsode.Overlaps.random(model, 100, rng=0)
    for function in (
        lambda: model.theory, lambda: tsode.plateau(model), lambda: tsode.fixed_point(model, start),
        lambda: tsode.escape_law(model, 100, 0.05), lambda: tsode.hessian.compare(model, 20),
        lambda: tsode.manifold.invariants(tsode.integrate(model, start, 1.0)),
        lambda: tsode.plateau(model.replace(activation="erf")),
        lambda: tsode.manifold.layer_balance(tsode.integrate(model, start, 1.0)),
    ):  # fmt: skip
        with pytest.raises(tsode.NoClosedForm, match=r"must have a constant learning rate here; take `model\.at"):
            function()
    assert not model.is_plain
    assert tsode.plateau(model.at(2.0)).escape_rate == tsode.plateau(model.replace(learning_rate=0.1)).escape_rate
    study = tsode.study(model, 40, runs=2, alpha_max=2.0)
    assert "constant learning rate" in study.plateau


# --- in the ODEs

TIMES = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
TRAINED = {"readout_learning_rate": 0.2, "readout_decay": 0.1, "batch_size": 2, "momentum": 0.2}
AVERAGED = {**TRAINED, "averaging_rate": 0.5}
SPECTRUM = {**TRAINED, "inputs": tsode.Inputs([2.0, 0.5], [1, 2])}


@pytest.mark.parametrize("method", ["DOP853", "LSODA"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"constraint": "spherical"},
        TRAINED,
        {"activation": "erf"},
        pytest.param(SPECTRUM, marks=pytest.mark.slow),
        AVERAGED,
    ],
)
def test_a_table_is_one_run_after_the_other(changes, method):
    model = with_rate(STEPS, **changes)
    start = generic_start(model) if model.inputs is None else tsode.Overlaps.random(model, 1000, rng=0)
    atol = 1e-9 if model.averaging_rate else 1e-10  # steps are those of the averages, too, which begin anew
    ode, now, one = tsode.integrate(model, start, TIMES, method), start, model
    for rate, times in ((0.4, [0.0, 1.0, 1.5]), (0.1, [1.5, 2.0, 3.0]), (0.6, [3.0, 4.0])):
        piece = tsode.integrate(one.replace(learning_rate=rate), now, times, method)
        now, one = piece.overlaps(-1), model.replace(student_readout=piece.readout[-1])
        i = np.searchsorted(TIMES, times[-2])
        np.testing.assert_allclose(ode.Q[i], piece.Q[-2], rtol=0, atol=atol)
    np.testing.assert_allclose(ode.M[-1], now.M, rtol=0, atol=atol)
    np.testing.assert_allclose(ode.readout[-1], one.student_readout, rtol=0, atol=atol)
    assert len(ode.alpha) == 5


def test_many_solutions_are_those_of_each_alone():
    models = [with_rate(rate) for rate in (0.2, STEPS, [(0, 0.2), (1.5, 0.3), (3, 0.2)], halving, 0.3, [(0, 0.1)])]
    models.append(with_rate([(0, 0.2), (1.5, 500.0), (3, 0.2)]))  # diverges beside others
    for model, found in zip(models, tsode.integrate_many(models, START, TIMES)):
        alone = tsode.integrate(model, START, TIMES)
        assert found.status == alone.status
        assert found.stopped_at == pytest.approx(alone.stopped_at, rel=1e-12)
        np.testing.assert_allclose(found.Q, alone.Q, rtol=0, atol=1e-12)
    assert alone.status == "diverged"
    assert 1.5 < alone.stopped_at < 1.6
    assert list(alone.alpha) == [0.0, 1.0]


@all_of(SMOOTH)
def test_gradient_flow_goes_on_by_the_integral_of_the_rate(model):
    grid = np.linspace(0.0, 4.0, 40001)
    rates = model(grid)
    tau = np.concatenate([[0.0], np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(grid))])[::10000]
    found = tsode.integrate(with_rate(model), START, TIMES, gradient_flow=True)
    wanted = tsode.integrate(with_rate(1.0), START, tau, gradient_flow=True)
    np.testing.assert_allclose(found.Q, wanted.Q, rtol=0, atol=2e-8)


@all_of(SMOOTH)
def test_a_smooth_rate_is_the_limit_of_tables(model):
    """Rates in the middle of 200 and of 400 pieces: errors fall as the square of their length."""
    alpha = {n: np.linspace(0.0, 4.0, n + 1)[:-1] for n in (200, 400)}
    coarse, fine = (
        tsode.integrate(with_rate(np.column_stack([at, model(at + 2 / n)])), START, [0.0, 4.0]).Q[-1]
        for n, at in alpha.items()
    )
    found = tsode.integrate(with_rate(model), START, [0.0, 4.0]).Q[-1]
    np.testing.assert_allclose(found, fine + (fine - coarse) / 3, rtol=0, atol=1e-7)


@pytest.mark.parametrize("changes", [{"p": 3}, {"p": 53}, {"p": 3, "batch_size": 4, "readout_learning_rate": 0.1}])
def test_the_right_hand_side_has_the_rate_of_the_time(changes):
    model = tsode.TeacherStudent(**{"p_star": 2, "learning_rate": halving, **changes})
    start = generic_start(model)
    y = np.concatenate([start.M.ravel(), start.Q.ravel(), model.rule.scalars(model)])
    function = right_hand_side(model)
    for alpha in (3.0, 0.5):
        wanted = right_hand_side(model.at(alpha))(0.0, y)
        np.testing.assert_allclose(function(alpha, y), wanted, rtol=1e-12, atol=1e-14)


def test_derivatives_at_the_rates_of_a_table():
    alpha = [0.0, 1.5, 3.0, 4.0]
    found, wanted = tsode.gradient(with_rate(STEPS), START, alpha), tsode.gradient(MODEL, START, alpha, [0.4, 0.1, 0.6])
    np.testing.assert_array_equal(found.learning_rates, wanted.learning_rates)
    assert tsode.gradient(with_rate(halving), START, alpha, [0.4, 0.1, 0.6]).loss == wanted.loss


# --- in the engines


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_a_sample_has_the_rate_of_its_time(constraint):
    """The weights engine on given rows, against the definition; the start is at another time than 0."""
    model = tsode.TeacherStudent(3, 2, WarmUp(PowerLaw(1.0, 1.0, 0.5), 0.8), constraint=constraint)
    N, rng = 20, np.random.default_rng(3)
    W, W_star, rows = (rng.standard_normal((n, N)) for n in (3, 2, 50))
    if model.spherical:
        W *= np.sqrt(N) / np.linalg.norm(W, axis=1, keepdims=True)
    W_star = np.linalg.qr(W_star.T)[0].T * np.sqrt(N)
    found = tsode.simulate(model, (W, W_star), [0.3, 0.75, 2.8], N, engine="weights", inputs=rows)
    for n, row in enumerate(rows):
        W = reference.sgd(model.at(0.3 + n / N), W, W_star, [row])[-1]
        if n == 8:
            np.testing.assert_allclose(found.Q[0, 1], W @ W.T / N, rtol=1e-12)
    np.testing.assert_allclose(found.Q[0, 2], W @ W.T / N, rtol=1e-12)


BATCHES = {"batch_size": 3, "momentum": 0.3, "readout_learning_rate": 0.1}


@pytest.mark.parametrize(
    ("engine", "p", "runs", "changes"),
    [
        ("chain", 3, 2, {}), ("chain", 3, 1, {}), ("chain", 46, 1, {}), ("weights", 3, 1, {}),
        ("chain", 3, 2, BATCHES), ("weights", 3, 1, BATCHES),
    ],
)  # fmt: skip
def test_engines_read_the_rate_before_each_sample(engine, p, runs, changes):
    """A constant function is the number, a table with all samples the function, and records change nothing.

    All samples of a batch have the rate of the first.
    """
    model, N = tsode.TeacherStudent(p, 2, 0.2, noise_variance=0.1, **changes), 50

    def final(learning_rate, alpha=(0.3, 3.3)):
        one = model.replace(learning_rate=learning_rate)
        return tsode.simulate(one, None, alpha, N, runs, seed=4, engine=engine).Q[:, -1]

    np.testing.assert_array_equal(final(lambda alpha: 0.2), final(0.2))
    times = 0.3 + np.arange(0, 150, model.batch_size) / N
    by_table = final(np.column_stack([times, halving(times)]))
    np.testing.assert_allclose(by_table, final(halving), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(final(halving, np.linspace(0.3, 3.3, 26)), final(halving), rtol=1e-10, atol=1e-12)
    assert np.abs(by_table - final(0.2)).max() > 1e-3


def test_both_engines_have_one_law():
    """Kolmogorov-Smirnov on 200 runs each, error level 1e-4 over six numbers."""
    model = with_rate(WarmUp(Cosine(0.3, 2.0, 0.1), 0.5))
    start = generic_start(model)
    chain, weights = (
        tsode.simulate(model, start, [0.0, 1.0, 2.0], 20, 200, seed=5, engine=engine) for engine in ("chain", "weights")
    )
    for i in (1, 2):
        for one, other in ((chain.loss, weights.loss), (chain.M[..., 0, 0], weights.M[..., 0, 0]),
                           (chain.Q[..., 0, 0], weights.Q[..., 0, 0])):  # fmt: skip
            assert stats.ks_2samp(one[:, i], other[:, i]).pvalue > 1e-4 / 6


@all_of({"table": [(0.0, 0.2), (1.5, 0.05), (3.0, 0.25)], "warm-up and decay": WarmUp(PowerLaw(0.3, 1.0, 2.0), 2.0)})
def test_the_odes_are_the_limit_of_sgd(model):
    """Means of 64 runs at N = 1000 within five standard errors and 5 / N of the ODE."""
    model = with_rate(model)
    ode = tsode.integrate(model, START, [0.0, 2.0, 4.0])
    sgd = tsode.simulate(model, START, [0.0, 2.0, 4.0], 1000, 64, seed=6)
    for found, wanted in ((sgd.M, ode.M), (sgd.Q, ode.Q)):
        error = found[:, 1:].std(axis=0, ddof=1) / 8
        assert (np.abs(found[:, 1:].mean(axis=0) - wanted[1:]) < 5 * error + 5e-3).all()


# --- the best ones

PLAIN = tsode.TeacherStudent(4, 2, 0.4)
RANDOM = tsode.Overlaps.random(PLAIN, 1000, rng=0)


@pytest.fixture(scope="module")
def best():
    return tsode.optimal_schedule(PLAIN.replace(noise_variance=0.1), RANDOM, np.linspace(0, 60, 21))


def loss_of(found, schedule):
    ode = tsode.integrate(found.model.replace(learning_rate=schedule), RANDOM, found.alpha)
    return float(ode.excess_loss[-1])


def test_the_best_schedule_beats_the_others(best):
    assert loss_of(best, best.schedule) == pytest.approx(best.loss, rel=1e-9)
    assert loss_of(best, best.greedy) == pytest.approx(best.greedy_loss, rel=1e-9)
    assert loss_of(best, best.constant) == pytest.approx(best.constant_loss, rel=1e-6)
    assert best.loss < 0.5 * best.constant_loss
    assert best.loss < 0.8 * best.greedy_loss
    nearby = [loss_of(best, best.constant * factor) for factor in (0.97, 1.03)]
    assert best.constant_loss < min(nearby)
    slopes = tsode.gradient(best.model.replace(learning_rate=best.schedule), RANDOM, best.alpha).learning_rates
    rates = best.schedule(best.alpha[:-1])
    assert np.abs(slopes * rates).max() < 1e-3 * best.loss
    assert "greedy schedule" in repr(best)


def test_the_greedy_rate_lowers_the_loss_fastest(best):
    """One short piece at the start: another rate lowers the loss less."""
    rate, model = best.greedy(0.0), best.model
    after = [
        tsode.integrate(model.replace(learning_rate=factor * rate), RANDOM, [0.0, 1e-3]).excess_loss[-1]
        for factor in (0.9, 1.0, 1.1)
    ]
    assert after[1] < min(after[0], after[2])


def test_weights_bounds_and_divergence():
    alpha = np.linspace(0.0, 30.0, 7)
    noisy = PLAIN.replace(noise_variance=0.2)
    found = tsode.optimal_schedule(noisy, RANDOM, alpha, weights=np.ones(7), bounds=(0.01, 0.5))
    rates = found.schedule(alpha[:-1])
    assert 0.01 <= rates.min() < rates.max() <= 0.5
    assert found.loss == pytest.approx(
        tsode.integrate(noisy.replace(learning_rate=found.schedule), RANDOM, alpha).excess_loss.sum(), rel=1e-9
    )
    assert found.loss <= found.constant_loss
    fast = tsode.optimal_schedule(PLAIN, RANDOM, alpha, bounds=(0.5, 1e4))  # most of these diverge
    assert fast.loss <= min(fast.constant_loss, fast.greedy_loss)
    with pytest.raises(ValueError, match=r"`bounds` must begin with a rate that does not diverge, but with 100 all do"):
        tsode.optimal_schedule(PLAIN, RANDOM, alpha, bounds=(100.0, 200.0))


def test_figure_of_the_best_schedule(best):
    ax = tsode.plot.learning_rates(best)
    np.testing.assert_array_equal(ax.patches[0].get_data().values, best.schedule(best.alpha[:-1]))
    assert [text.get_text().split(":")[0] for text in ax.get_legend().get_texts()] == [
        "best schedule", "greedy schedule", "best constant",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "end", "gain"), [(0.0, 30.0, 1.25), (0.1, 150.0, 3.0)], ids=["plateau", "noise"])
def test_sgd_gains_what_the_odes_promise(noise, end, gain):
    """Escape from the plateau, and the floor of the noise: mean loss of 96 runs at N = 20,000, five standard errors."""
    model, N = PLAIN.replace(noise_variance=noise), 20_000
    found = tsode.optimal_schedule(model, RANDOM, end)
    assert found.constant_loss > gain * found.loss
    for rate, loss in ((found.schedule, found.loss), (found.constant, found.constant_loss)):
        sgd = tsode.simulate(model.replace(learning_rate=rate), RANDOM, [0.0, end], N, 96, seed=8).excess_loss[:, -1]
        assert abs(sgd.mean() - loss) < 5 * sgd.std(ddof=1) / np.sqrt(96)


def test_what_is_shipped_is_a_schedule():
    assert all(issubclass(kind, Schedule) for kind in (Cosine, Function, PowerLaw, Stored, Table, WarmUp))

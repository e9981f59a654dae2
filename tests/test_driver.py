"""What `simulate` makes of its arguments, and of engines that diverge, run dry, fail or are interrupted."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import threadpoolctl
from models import GENERAL, generic_start

import tsode
from tsode.sgd import crew, driver, engines
from tsode.sgd.chain import ChainRuns
from tsode.sgd.weights import WeightsRun

MODEL = tsode.TeacherStudent(p=1, p_star=1, learning_rate=0.1)
TIMES = [1.0, 1.5, 2.0, 3.0]  # samples 0, 5, 10, 20 at N = 10


class Scripted:
    """An engine of either kind whose M counts the samples, and that does to run r at sample n as `script` says."""

    script, made, stride = {}, [], 4
    rule = SimpleNamespace(at_once=2**62, check=lambda: None)

    def __init__(self, model, start, N, *arguments):
        if isinstance(arguments[0], list):
            (sequences, limit), self.inputs = arguments, None
        else:
            sequence, self.inputs, limit, self.precision = arguments
            sequences = [sequence]
        self.numbers = [sequence.spawn_key[-1] for sequence in sequences]
        self.model, self.start, self.N, self.limit, self.runs, self.step = model, start, N, limit, len(sequences), 0
        self.ended, self.exhausted, self.trace = np.full(self.runs, -1), False, np.ones(self.runs)
        self.made.append(self)
        self.act()

    def act(self):
        for i, run in enumerate(self.numbers):
            what = self.script.get((run, self.step))
            if isinstance(what, BaseException):
                raise what
            if what in ("diverged", "exhausted"):
                self.ended[i], self.exhausted = self.step, what == "exhausted"
            elif what is not None:
                self.trace[i] = what

    def advance(self, stop):
        for step in range(self.step + 1, min(stop, self.step + self.stride) + 1):
            self.step = step
            self.act()
            if not (self.ended[: self.runs] < 0).any():
                return False
        return True

    def weights(self):
        return np.zeros((1, self.N)), np.zeros((1, self.N))

    def trained(self):
        return np.empty((self.runs, 0))

    def held(self, run):
        return {"trace": self.trace[run : run + 1]}

    def overlaps(self):
        M = np.full((self.runs, 1, 1), float(self.step))
        return M, self.trace[: self.runs, None, None].copy()


@pytest.fixture
def scripted(monkeypatch):
    """Simulate with scripted engines on one thread."""

    def call(script=(), threads=1, stride=4, alpha=TIMES, **options):
        engine = type("Engine", (Scripted,), {"script": dict(script), "made": [], "stride": stride})
        monkeypatch.setattr(engines, "ChainRuns", engine)
        monkeypatch.setattr(engines, "WeightsRun", engine)
        monkeypatch.setattr(driver.numba, "get_num_threads", lambda: threads)
        return tsode.simulate(MODEL, options.pop("start", None), alpha, **{"N": 10, **options}), engine.made

    return call


def recorded(sgd):
    """Return the samples at which each run was recorded."""
    assert (np.isnan(sgd.M) == np.isnan(sgd.Q)).all()
    return [[int(x) for x in row[np.isfinite(row)]] for row in sgd.M[:, :, 0, 0]]


# The arguments -------------------------------------------------------------------------------------------------------


def test_defaults_are_one_run_of_the_chain_from_seed_zero():
    sgd = tsode.simulate(MODEL, None, [0.0, 1.0], N=10)
    same = tsode.simulate(MODEL, None, [0.0, 1.0], N=10, runs=1, seed=0, engine="chain", inputs="gaussian")
    assert (sgd.runs, sgd.seed, sgd.N, sgd.engine) == (1, 0, 10, "sgd, chain, gaussian inputs")
    np.testing.assert_array_equal(sgd.Q, same.Q)


@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_run_i_is_the_engine_on_child_i_of_the_seed(engine):
    """Times count from the first one; a record follows round((alpha - alpha[0]) N) samples, here 0, 3, 10."""
    model = tsode.TeacherStudent(**GENERAL)
    start, alpha = generic_start(model), [2.0, 2.26, 3.0]
    sgd = tsode.simulate(model, start, alpha, N=10, runs=3, seed=5, engine=engine)
    for run in range(3):
        sequence = np.random.SeedSequence(5, spawn_key=(run,))
        if engine == "chain":
            alone = ChainRuns([model], [start], 10, [sequence], 1e8)
        else:
            alone = WeightsRun(model, start, 10, sequence, "gaussian", 1e8)
        for i, stop in enumerate((0, 3, 10)):
            while alone.step < stop:
                alone.advance(stop)
            M, Q = alone.overlaps()
            np.testing.assert_allclose(sgd.M[run, i], M[0], rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(sgd.Q[run, i], Q[0], rtol=1e-11, atol=1e-13)
    assert (sgd.status == "completed").all()
    assert (sgd.stopped_at == 3.0).all()


@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_smallest_dimension_holds_student_and_teacher(engine):
    model = tsode.TeacherStudent(3, 2, 0.01)
    assert tsode.simulate(model, None, [0.0, 1.0], N=5, engine=engine).status.tolist() == ["completed"]
    with pytest.raises(ValueError, match="`N` must be at least 5, but is 4"):
        tsode.simulate(model, None, [0.0, 1.0], N=4, engine=engine)


def test_weights_as_a_start_are_a_pair_of_arrays():
    """Lists of rows will do; anything but a tuple of two is refused, and so is a teacher other than the model's."""
    model = tsode.TeacherStudent(2, 1, 0.1)
    W, W_star = generic_start(model).realise(10, 0)
    given = [tsode.simulate(model, pair, [0.0], N=10, engine=engine).Q[0, 0] for engine in ("chain", "weights")
             for pair in ((W, W_star), (W.tolist(), W_star.tolist()))]  # fmt: skip
    for Q in given:
        np.testing.assert_allclose(Q, W @ W.T / 10, rtol=0, atol=1e-13)
    for wrong in ((W,), (W, W_star, W), [W, W_star], "ab"):
        with pytest.raises(TypeError, match=r"`start` must be an Overlaps, a tuple \(W, W_star\) or None"):
            tsode.simulate(model, wrong, [0.0], N=10)
    with pytest.raises(ValueError, match="`teacher_overlap` as its P, but has another"):
        tsode.simulate(model, (W, 2 * W_star), [0.0], N=10)
    with pytest.raises(ValueError, match=r"`start\[0\]` must have shape \(p, N\) = \(2, 10\)"):
        tsode.simulate(model, (W_star, W), [0.0], N=10)


@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_limit_is_a_million_times_the_norm_of_the_start(scripted, engine):
    """Given as overlaps or as weights; drawn student weights have the norm p, and a solution's counts if larger."""
    W, W_star = np.full((1, 10), 3.0), np.ones((1, 10))
    for start, norm in ((tsode.Overlaps([[0.0]], [[5.0]]), 5.0), ((W, W_star), 9.0), (None, 1.0)):
        _, made = scripted(start=start, engine=engine)
        assert made[0].limit == pytest.approx(1e6 * norm, rel=1e-12)


def test_chain_goes_in_groups_and_weights_one_by_one(scripted):
    """16 runs a group, and up to three a thread alone; every run once, in order."""
    for threads, runs, wanted in ((1, 36, [16, 16, 4]), (2, 20, [16, 1, 1, 1, 1]), (1, 15, [15]), (1, 3, [1, 1, 1])):
        sgd, made = scripted(threads=threads, runs=runs)
        made = sorted(made, key=lambda engine: engine.numbers)
        assert [engine.runs for engine in made] == wanted
        assert [number for engine in made for number in engine.numbers] == list(range(runs))
        assert recorded(sgd) == [[0, 5, 10, 20]] * runs
    _, made = scripted(engine="weights", runs=3, inputs="uniform")
    assert [(engine.numbers, engine.inputs) for engine in made] == [
        ([0], "uniform"),
        ([1], "uniform"),
        ([2], "uniform"),
    ]


def test_rows_reach_the_engine_checked_and_in_order(scripted):
    """A generator is not read ahead."""
    rows = np.random.default_rng(0).standard_normal((3, 10))
    for given in (rows, rows.tolist(), (row for row in rows)):
        sgd, made = scripted(engine="weights", inputs=given)
        np.testing.assert_array_equal(list(made[0].inputs), rows)
        assert sgd.engine == "sgd, weights, given inputs"
    with pytest.raises(
        ValueError, match="`runs` must be 1 with rows as `inputs`, each of which is used once, but is 3"
    ):
        scripted(engine="weights", inputs=rows, runs=3)


# What becomes of the runs --------------------------------------------------------------------------------------------


def test_runs_of_a_group_end_each_at_its_own_sample(scripted):
    """Run 1 diverges at sample 7, run 2 at the start, run 3 by a record at or beyond the limit, run 4 by nan."""
    script = {(1, 7): "diverged", (2, 0): "diverged", (3, 10): 1e6, (4, 10): np.nan, (5, 10): np.nextafter(1e6, 0),
              (6, 0): 2e6, (7, 20): 1e6}  # fmt: skip
    sgd, _ = scripted(script, runs=8)
    statuses = ["completed" if run in (0, 5) else "diverged" for run in range(8)]
    assert sgd.status.tolist() == statuses
    assert recorded(sgd) == [[0, 5, 10, 20], [0, 5], [], [0, 5], [0, 5], [0, 5, 10, 20], [], [0, 5, 10]]
    assert sgd.stopped_at.tolist() == [3.0, 1.7, 1.0, 2.0, 2.0, 3.0, 1.0, 3.0]
    assert sgd.alpha.tolist() == TIMES


def test_no_sample_is_spent_on_runs_that_have_reached_their_condition(scripted):
    """Run r of 8 has a norm of 2 from sample 2 r on: the last one goes on alone."""
    script = {(run, max(1, 2 * run)): 2.0 for run in range(8)}
    sgd, made = scripted(script, runs=8, alpha=np.arange(21) / 10, until=lambda M, Q: Q[:, 0, 0] > 1)
    assert sgd.status.tolist() == ["reached"] * 8
    assert sgd.stopped_at.tolist() == [max(1, 2 * run) / 10 for run in range(8)]
    assert [(engine.numbers, engine.step) for engine in made] == [(list(range(8)), 12), ([7], 14)]


def test_result_is_cut_after_the_last_time_that_anyone_recorded(scripted):
    sgd, _ = scripted({(0, 3): "diverged", (1, 11): "diverged", (2, 0): "diverged"}, runs=3)
    assert sgd.alpha.tolist() == TIMES[:3]
    assert sgd.M.shape == (3, 3, 1, 1)
    assert recorded(sgd) == [[0], [0, 5, 10], []]
    assert sgd.stopped_at.tolist() == [1.3, 2.1, 1.0]
    assert sgd.status.tolist() == ["diverged"] * 3
    sgd, _ = scripted({(0, 0): 1e7})  # one time is kept, be it nan
    assert sgd.alpha.tolist() == [1.0]
    assert recorded(sgd) == [[]]


def test_rows_that_run_out_say_how_many_were_needed(scripted):
    message = "`inputs` must hold 20 rows to reach alpha = 3, but ran out after 7"
    with pytest.raises(tsode.InputsExhausted, match=message) as caught:
        scripted({(0, 7): "exhausted"}, engine="weights", inputs=np.ones((7, 10)))
    sgd = caught.value.trajectory
    assert sgd.status.tolist() == ["exhausted"]
    assert sgd.stopped_at.tolist() == [1.7]
    assert recorded(sgd) == [[0, 5]]


@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_interrupt_keeps_what_was_recorded(scripted, engine):
    """Runs before it are complete; the one that it meets was last seen at the end of its last call."""
    first = 0 if engine == "weights" else 16
    sgd, _ = scripted(
        {(first + 1, 17): KeyboardInterrupt()}, runs=first + (2 if engine == "weights" else 4), engine=engine
    )
    complete, cut = (1, 1) if engine == "weights" else (16, 4)
    assert recorded(sgd) == [[0, 5, 10, 20]] * complete + [[0, 5, 10]] * cut
    assert sgd.status.tolist() == ["completed"] * complete + ["interrupted"] * cut
    assert sgd.stopped_at.tolist() == [3.0] * complete + [2.4] * cut
    sgd, _ = scripted(
        {(first + 1, 6): KeyboardInterrupt()}, runs=first + (2 if engine == "weights" else 4), engine=engine
    )
    assert sgd.stopped_at.tolist() == [3.0] * complete + [1.5] * cut  # last seen at the record after 5
    sgd, _ = scripted({(0, 0): KeyboardInterrupt()}, runs=2, engine=engine)
    assert sgd.status[0] == "interrupted"
    assert sgd.stopped_at[0] == 1.0


def test_interrupt_before_the_first_record_returns_one_time(scripted):
    sgd, _ = scripted({(0, 0): KeyboardInterrupt()})
    assert sgd.alpha.tolist() == [1.0]
    assert recorded(sgd) == [[]]


def test_stop_reaches_runs_that_are_on_their_way(scripted, monkeypatch):
    """With two threads, the other run stops between two calls, and those that wait are not begun."""
    inner, begun = Scripted.advance, threading.Event()

    def advance(self, stop):
        if self.numbers == [0]:
            begun.wait(60)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.002)
        return inner(self, stop)

    monkeypatch.setattr(Scripted, "advance", advance)
    sgd, made = scripted(threads=2, stride=1, runs=8, engine="weights", alpha=[0.0, 500.0])
    assert sgd.status.tolist() == ["interrupted"] * 8
    assert 0 < sgd.stopped_at[1] < 500
    assert len(made) < 8


@pytest.mark.parametrize("threads", [1, 2])
def test_errors_are_raised_and_nothing_else_is_begun(scripted, threads):
    with pytest.raises(ZeroDivisionError, match="in a run"):
        scripted({(1, 6): ZeroDivisionError("in a run")}, threads=threads, runs=4, engine="weights")


def test_progress_counts_the_samples_of_all_runs(scripted, monkeypatch):
    """The bar is opened and closed, its total is the samples of all runs, and the updates add up to it."""
    bars = []

    class Bar:
        disable = True

        def __init__(self, show, **options):
            self.show, self.options, self.updates, self.open = show, options, [], None
            bars.append(self)

        def __enter__(self):
            self.open = True

        def __exit__(self, *exception):
            self.open = False

        def update(self, samples):
            assert self.open
            self.updates.append(samples)

    monkeypatch.setattr(crew, "progress_bar", Bar)
    for progress in (False, True):
        each = [4, 1, 4, 1, 4, 4, 2]
        chain = [16 * samples for samples in each] + each * 2  # a group of 16, and two alone
        for engine, updates in (("chain", chain), ("weights", each * 18)):
            scripted(runs=18, engine=engine, progress=progress)
            bar = bars.pop()
            assert (bar.show, bar.open, bar.updates) == (progress, False, updates)
            assert bar.options == {"total": 360, "desc": "SGD", "unit": " samples", "unit_scale": True}
    scripted()
    assert bars.pop().show is False
    monkeypatch.undo()
    monkeypatch.setattr(crew, "progress_bar", Bar)
    for engine in ("chain", "weights"):  # the engines themselves
        tsode.simulate(tsode.TeacherStudent(2, 1, 0.1), None, [0.0, 0.5, 1.0], N=20, runs=3, engine=engine)
        assert sum(bars.pop().updates) == 60


def test_linear_algebra_is_left_one_thread(scripted, monkeypatch):
    """The runs fill the threads; a library that starts its own in each of them would only get in the way."""
    seen, inner = [], Scripted.overlaps

    def overlaps(self):
        seen.extend(info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas")
        return inner(self)

    monkeypatch.setattr(Scripted, "overlaps", overlaps)
    with threadpoolctl.threadpool_limits(2):
        scripted()
    assert set(seen) <= {1}

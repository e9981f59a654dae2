"""Runs that stop at a condition, that go on as if they had never stopped, and that record what is asked for."""

import itertools
import logging
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

import tsode
from tsode.averaging import UniformAverage
from tsode.sgd import crew, forecast

MODEL = tsode.TeacherStudent(3, 2, 0.4, 0.1, student_readout=[0.5, 0.4, 0.3])
WIDE = tsode.TeacherStudent(40, 8, 0.1, 0.1)
ALPHA = np.linspace(0.0, 12.0, 25)  # cuts the batches and blocks of all engines
# model, times, and how it is run: in groups, alone, in blocks of samples, with weights in both precisions
WAYS = {
    "chain": (MODEL, ALPHA, {"N": 35, "runs": 18}),
    "chain alone": (MODEL.replace(constraint="spherical"), ALPHA, {"N": 300, "runs": 2}),
    "trained readout": (MODEL.replace(readout_learning_rate=0.1), ALPHA, {"N": 35, "runs": 9}),
    "batches": (MODEL.replace(batch_size=3), ALPHA, {"N": 70, "runs": 5}),
    "momentum": (MODEL.replace(batch_size=2, momentum=0.5, learning_rate=0.2), ALPHA, {"N": 70, "runs": 2}),
    "average": (
        MODEL.replace(averaging_rate=0.5, readout_learning_rate=0.1, inputs=tsode.Inputs([1.5, 0.5], [1, 1])),
        ALPHA, {"N": 70, "runs": 2}
    ),
    "schedule": (MODEL.replace(learning_rate=lambda alpha: 0.4 / (1 + alpha)), ALPHA, {"N": 70, "runs": 4}),
    "blocks": (WIDE, ALPHA / 8, {"N": 100, "runs": 2}),
    "coarse steps": (MODEL, ALPHA, {"N": 400, "runs": 18, "engine": "diffusion", "step": 0.3}),
    "coarse steps of samples": (
        MODEL.replace(activation="erf", learning_rate=[(0.0, 0.4), (5.2, 0.2)]), ALPHA,
        {"N": 400, "engine": "diffusion"},
    ),
    "weights": (MODEL, ALPHA, {"N": 277, "runs": 2, "engine": "weights", "keep_weights": True}),
    "trained beside weights": (
        MODEL.replace(readout_learning_rate=0.1), ALPHA, {"N": 35, "engine": "weights", "keep_weights": True}
    ),
    "batches of weights": (
        MODEL.replace(batch_size=3, momentum=0.5), ALPHA, {"N": 70, "engine": "weights", "keep_weights": True}
    ),
    "average of weights": (
        MODEL.replace(averaging_rate=UniformAverage(1.7), batch_size=2), ALPHA,
        {"N": 70, "engine": "weights", "keep_weights": True}
    ),
    "single precision": (
        MODEL, ALPHA, {"N": 300, "engine": "weights", "inputs": "uniform", "precision": "single", "keep_weights": True}
    ),
}  # fmt: skip
SLOW = ("coarse steps of samples", "single precision")  # each compiles a kernel that no other way takes
all_ways = pytest.mark.parametrize(
    "way", [pytest.param(way, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, way in WAYS.items()]
)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    before = numba.get_num_threads()
    numba.set_num_threads(min(request.param, numba.config.NUMBA_NUM_THREADS))
    yield
    numba.set_num_threads(before)


def assert_same(found, wanted):
    """Every bit of two trajectories is the same, what they need to go on included."""
    found, wanted = found.to_arrays(), wanted.to_arrays()
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def reloaded(trajectory, folder):
    return tsode.Trajectory.load(trajectory.save(folder / "first.npz"))


# Until ----------------------------------------------------------------------------------------------------------------


@pytest.mark.quick(14)
@all_ways
@pytest.mark.parametrize("kind", ["number", "function"])
def test_each_run_stops_at_the_first_record_at_which_its_condition_holds(way, kind):
    model, alpha, options = way
    whole = tsode.simulate(model, None, alpha, **options)
    measure = whole.excess_loss if kind == "number" else -np.trace(whole.Q, axis1=2, axis2=3)
    level = np.nanmedian(measure[:, 12:])
    until = level if kind == "number" else lambda M, Q: -np.trace(Q, axis1=1, axis2=2) < level
    found = tsode.simulate(model, None, alpha, **options, until=until)
    for run, below in enumerate(measure < level):
        last = int(np.argmax(below)) if below.any() else len(alpha) - 1
        assert found.status[run] == ("reached" if below.any() else whole.status[run])
        assert found.stopped_at[run] == (alpha[last] if below.any() else whole.stopped_at[run])
        np.testing.assert_array_equal(found.Q[run, : last + 1], whole.Q[run, : last + 1])
        assert np.isnan(found.Q[run, last + 1 :]).all()
    assert "reached" in found.status


def test_the_start_is_looked_at_and_escape_is_that_of_escape_time():
    at_once = tsode.simulate(MODEL, None, 1.0, N=50, runs=3, until=lambda M, Q: np.ones(len(M), dtype=bool))
    assert at_once.alpha.tolist() == [0.0]
    assert at_once.status.tolist() == ["reached"] * 3
    whole, found = (
        tsode.simulate(MODEL, None, 30.0, N=500, runs=4, until=until) for until in (None, tsode.escaped(0.1))
    )
    assert (found.stopped_at < 30).all()
    np.testing.assert_array_equal(tsode.escape_time(found, 0.1), tsode.escape_time(whole, 0.1))


@pytest.mark.parametrize("method", ["DOP853", "RK45"])
@pytest.mark.parametrize("learning_rate", [0.4, 3.0], ids=["reached", "diverged"])
def test_solutions_of_the_ode_stop_there_too(method, learning_rate):
    """In lockstep each at its own record; one that diverges before is as it was."""
    models = [MODEL.replace(learning_rate=eta) for eta in (0.1, 0.2, learning_rate)]
    start, alpha = tsode.Overlaps.random(MODEL, 100, rng=0), np.linspace(0, 200, 401)
    many = tsode.integrate_many(models, start, alpha, method, until=0.1)
    for model, found in zip(models, many):
        whole, alone = (tsode.integrate(model, start, alpha, method, until=until) for until in (None, 0.1))
        below = whole.excess_loss < 0.1
        last = int(np.argmax(below)) if below.any() else len(below) - 1
        assert found.status == alone.status == ("reached" if below.any() else whole.status)
        assert found.stopped_at == alone.stopped_at == (alpha[last] if below.any() else whole.stopped_at)
        np.testing.assert_array_equal(found.Q, alone.Q)
        np.testing.assert_allclose(found.Q, whole.Q[: last + 1], rtol=1e-6, atol=1e-9)
    assert {found.status for found in many} == ({"reached"} if learning_rate < 1 else {"reached", "diverged"})
    early = tsode.integrate(models[0], start, alpha, method, until=lambda M, Q: np.ones(len(M), dtype=bool))
    assert (early.status, early.alpha.tolist()) == ("reached", [0.0])


# Going on -------------------------------------------------------------------------------------------------------------


@pytest.mark.quick(14)
@all_ways
def test_continued_runs_are_those_that_never_stopped(way, threads, tmp_path):
    model, alpha, options = way
    whole = tsode.simulate(model, None, alpha, **options)
    first = reloaded(tsode.simulate(model, None, alpha[:11], **options), tmp_path)
    assert_same(tsode.simulate(model, first, alpha[11:]), whole)
    assert_same(tsode.simulate(model, first, alpha), whole)


@pytest.mark.quick(14)
@all_ways
def test_runs_that_met_a_condition_go_on_where_each_had_stopped(way, threads):
    model, alpha, options = way
    whole = tsode.simulate(model, None, alpha, **options)
    until = np.nanmedian(whole.excess_loss[:, 12:])
    stopped = tsode.simulate(model, None, alpha, **options, until=until)
    assert "reached" in stopped.status
    assert_same(tsode.simulate(model, stopped, alpha, until=until), stopped)
    assert_same(tsode.simulate(model, stopped, alpha), whole)


def test_diverged_runs_stay_as_they_are_and_times_may_be_a_number():
    model = MODEL.replace(learning_rate=1.2)
    first = tsode.simulate(model, None, [0.0, 2.0], N=20, runs=20)
    assert 0 < (first.status == "diverged").sum() < 20
    alpha = [0.0, *np.linspace(2.0, 4.0, 201)]
    assert_same(tsode.simulate(model, first, 4.0), tsode.simulate(model, None, alpha, N=20, runs=20))


def test_rows_go_on_with_those_that_follow():
    rows = np.random.default_rng(0).standard_normal((70, 20))
    options = {"N": 20, "engine": "weights", "keep_weights": True}
    whole = tsode.simulate(MODEL, None, [0.0, 1.7, 3.5], inputs=rows, **options)
    first = tsode.simulate(MODEL, None, [0.0, 1.7], inputs=rows, **options)
    assert_same(tsode.simulate(MODEL, first, [3.5], inputs=rows[34:]), whole)


@pytest.fixture
def interrupting():
    """Return an observable that sends Ctrl-C when it is asked the n-th time; processes in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def make(last=None):
        asked = itertools.count()

        def observable(M, Q):
            if next(asked) == last:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                time.sleep(0.5)  # the other thread may have to wait for a processor
            return np.zeros(len(M))

        return {"zero": observable}

    yield make
    signal.signal(signal.SIGINT, before)


@pytest.mark.quick(2)
@pytest.mark.parametrize("name", ["chain", "blocks", "weights"])
def test_interrupted_runs_go_on_from_the_trajectory_and_from_the_file(name, interrupting, threads, tmp_path):
    """With one thread the second run of the weights has not begun: only the file's call knows its start."""
    model, alpha, options = WAYS[name]
    alpha = np.linspace(0.0, alpha[-1], 601)  # so many records that Ctrl-C comes before the end
    whole = tsode.simulate(model, None, alpha, **options, observables=interrupting())
    cut = tsode.simulate(model, None, alpha, **options, observables=interrupting(40), path=tmp_path / "run")
    assert "interrupted" in cut.status
    if (cut.state["step"] >= 0).all():
        assert_same(tsode.simulate(model, cut, alpha, observables=interrupting()), whole)
    else:
        with pytest.raises(ValueError, match="`start` must be a trajectory of runs that have all begun, but"):
            tsode.simulate(model, cut, alpha)
    again = tsode.simulate(model, None, alpha, **options, observables=interrupting(), path=tmp_path / "run")
    assert_same(again, whole)
    assert_same(tsode.Trajectory.load(tmp_path / "run.npz"), whole)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize("path", [None, "run"])
def test_an_error_in_one_thread_stops_the_other(path, tmp_path):
    main, threads, asked = threading.get_ident(), [], []

    def observable(M, Q):
        here = threading.get_ident()
        if here != main:
            asked.append(here)
            threads.extend({here}.difference(threads))
            if threads.index(here) == 1:
                raise RuntimeError("of the second run")
        return np.zeros(len(M))

    options = {"N": 277, "runs": 2, "engine": "weights", "path": path and tmp_path / path}
    with pytest.raises(RuntimeError, match="of the second run"):
        tsode.simulate(MODEL, None, np.linspace(0, 20_000, 20_001), **options, observables={"zero": observable})
    assert len(asked) < 20_000


LONG = {"chain": 10_000, "blocks": 5000, "weights": 600}  # times as long
KILLED = """
import sys
import test_steering as steering
steering.crew.EVERY = steering.crew.SHARE = 0.01
print("begins", flush=True)
steering.long(sys.argv[1], path=sys.argv[2])
"""


def long(name, **more):
    model, alpha, options = WAYS[name]
    slow = model.replace(learning_rate=0.02, constraint="spherical")
    return tsode.simulate(slow, None, LONG[name] * alpha, **options, **more)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_killed_runs_go_on_from_the_file(name, tmp_path):
    """Five times the process is killed in the middle of the runs; the last call ends them."""
    path, steps = tmp_path / "run.npz", [0]
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, name, path], cwd=Path(__file__).parent, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            while not path.exists() or seen(path) <= steps[-1]:
                assert process.poll() is None
                time.sleep(0.05)
            process.kill()
        steps.append(seen(path))
    whole = long(name)
    assert steps[-1] < whole.state["step"].sum()
    assert_same(long(name, path=path), whole)


def seen(path):
    return int(tsode.Trajectory.load(path).state["step"].clip(0).sum())


def test_file_is_that_of_the_call_and_a_whole_one_is_returned(tmp_path, monkeypatch):
    path, start = tmp_path / "run.npz", tsode.Overlaps.random(MODEL, 100, rng=0)
    options = {"N": 50, "runs": 2, "seed": None, "path": path}
    found = tsode.simulate(MODEL, start, [0.0, 1.0], **options)
    written = path.stat().st_mtime_ns
    assert_same(tsode.simulate(MODEL, start, [0.0, 1.0], **options), found)
    assert path.stat().st_mtime_ns == written
    longer = tsode.simulate(MODEL, start, [0.0, 1.0, 2.0], **options)
    assert_same(longer, tsode.simulate(MODEL, found, [2.0]))
    for changes, name in (
        ({"model": MODEL.replace(learning_rate=0.3)}, "model"), ({"N": 51}, "N"), ({"runs": 3}, "runs"),
        ({"seed": 3}, "seed"), ({"engine": "weights"}, "engine"), ({"alpha": [0.0, 1.0]}, "alpha"),
        ({"start": tsode.Overlaps.random(MODEL, 100, rng=1)}, "start"),
    ):  # fmt: skip
        given = {"model": MODEL, "start": start, "alpha": [0.0, 1.0, 2.0], **options, **changes}
        with pytest.raises(ValueError, match=f"`path` must be a file of this very call.* another {name}$"):
            tsode.simulate(**given)


def test_file_is_written_in_between(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "EVERY", 0.0)
    monkeypatch.setattr(crew, "SHARE", 0.0)
    steps, inner = [], tsode.Trajectory.save

    def save(self, path):
        steps.append(self.state["step"].tolist())
        return inner(self, path)

    monkeypatch.setattr(tsode.Trajectory, "save", save)
    found = tsode.simulate(MODEL, None, np.linspace(0, 20, 21), N=20_000, runs=16, path=tmp_path / "run")
    assert steps[0] == [-1] * 16
    assert steps[-1] == [400_000] * 16
    assert any(0 < step[0] < 400_000 for step in steps)
    assert_same(found, tsode.Trajectory.load(tmp_path / "run.npz"))


# Weights and observables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weights", pytest.param("single precision", marks=pytest.mark.slow)])
def test_final_weights_have_the_last_overlaps(name):
    model, alpha, options = WAYS[name]
    sgd = tsode.simulate(model, None, alpha[:4], **options)
    W, W_star = sgd.weights
    assert W.shape == (sgd.runs, 3, sgd.N)
    np.testing.assert_allclose(W @ np.swapaxes(W_star, 1, 2) / sgd.N, sgd.M[:, -1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(W @ np.swapaxes(W, 1, 2) / sgd.N, sgd.Q[:, -1], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="`weights` must be kept to be had, by simulate"):
        _ = tsode.simulate(model, None, 1.0, N=30).weights


@all_ways
def test_observables_are_recorded_along_the_run(way):
    model, alpha, options = way
    observables = {"norms": lambda M, Q: np.einsum("nkk->nk", Q), "size": lambda M, Q: np.square(M).sum((1, 2))}
    if "keep_weights" in options:
        observables["Gram"] = tsode.of_weights(lambda W, W_star: W @ W.T / W.shape[1])
    found = tsode.simulate(model, None, alpha[:9], **options, observables=observables)
    np.testing.assert_array_equal(found.observables["norms"], np.einsum("ntkk->ntk", found.Q))
    np.testing.assert_array_equal(found.observables["size"], np.square(found.M).sum((2, 3)))
    if "keep_weights" in options:
        np.testing.assert_allclose(found.observables["Gram"], found.Q, rtol=0, atol=1e-6)
    first = tsode.simulate(model, None, alpha[:4], **options, observables=observables)
    assert_same(tsode.simulate(model, first, alpha[4:9], observables=observables), found)
    assert found.to_xarray()["norms"].sizes == {"run": found.runs, "alpha": 9, "norms_0": model.p}


# A forecast -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "words"),
    [(10**5, "about 98 minutes"), (10**6, "about 16 hours"), (10**4, "about 9.8 minutes"), (10**8, "about 68 days"),
     (1400, "about 82 seconds"), (1000, None)],
)  # fmt: skip
def test_forecast_is_made_once_from_the_first_seconds(total, words, monkeypatch, caplog):
    """The first samples only start the clock; 51 are done in 3 seconds, and a minute's work is not worth a word."""

    class Bar:
        said = ()

        def set_description(self, text):
            self.said = (*self.said, text)

    clock = iter([0.0, 1.0, 3.0, 4.0])
    monkeypatch.setattr(forecast.time, "monotonic", lambda: next(clock))
    bar = Bar()
    found = forecast.Forecast(total, bar)
    with caplog.at_level(logging.INFO, "tsode"):
        for samples in (10**9, 20, 31, 10**9):
            found.add(samples)
    assert bar.said == (() if words is None else (f"SGD, {words}",))
    assert [record.message for record in caplog.records] == (
        [] if words is None else [f"SGD: {total:,} samples will take {words}"]
    )


def test_runs_are_forecast(monkeypatch, caplog):
    monkeypatch.setattr(forecast, "MEASURED", 0.0)
    monkeypatch.setattr(forecast, "LONG", 0.0)
    with caplog.at_level(logging.INFO, "tsode"):
        tsode.simulate(MODEL, None, [0.0, 1.0, 2.0, 3.0], N=100, runs=2, engine="weights")
    (record,) = caplog.records
    assert record.message.startswith("SGD: 600 samples will take about ")

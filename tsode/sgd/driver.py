"""One call for SGD: checks, streams, threads, records, progress; the engines do the steps."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from .. import _checks
from .._divergence import divergence_limit
from .._progress import progress_bar
from .._random import run_sequence, seed_sequence
from .._types import Seed
from .._versions import versions
from ..model import TeacherStudent, check_model, later
from ..overlaps import Overlaps, check_start
from ..trajectory import Trajectory
from .batch_weights import BatchWeightsRun
from .chain import ChainRuns, groups
from .general_chain import GeneralRuns, row_count
from .random_numbers import LAWS
from .weights import PRECISIONS, WeightsRun
from .wide_chain import WideRun, in_blocks

__all__ = ["ENGINES", "InputsExhausted", "simulate"]

ENGINES = ("chain", "weights")


class InputsExhausted(ValueError):
    """The user's input rows ran out before the last time asked for.

    Attributes
    ----------
    trajectory : Trajectory
        What was recorded until then, with status "exhausted".
    """

    def __init__(self, message: str, trajectory: Trajectory) -> None:
        super().__init__(message)
        self.trajectory = trajectory


def simulate(
    model: TeacherStudent,
    start: Overlaps | tuple[ArrayLike, ArrayLike] | None,
    alpha: ArrayLike,
    N: int,
    runs: int = 1,
    seed: Seed = 0,
    engine: str = "chain",
    inputs: str | ArrayLike | Iterable[ArrayLike] = "gaussian",
    progress: bool = False,
    precision: str = "double",
) -> Trajectory:
    r"""Run one-pass SGD at input dimension N and record the overlaps.

    Parameters
    ----------
    model : TeacherStudent
        The pair, its learning rate, noise and constraint.
    start : Overlaps, (W, W_star) or None
        Overlaps that every run realises exactly, with weights of its own; or the weights themselves, shapes
        (p, N) and (p_star, N); or None: each run draws Gaussian student weights of unit variance.
    alpha : float or array_like, shape (T,)
        Times (samples / N), strictly increasing; a number stands for 201 even times from 0 up to it. The
        start belongs to ``alpha[0]``, and a time is recorded after round((alpha - alpha[0]) N) samples, in whole
        batches.
    N : int
        Input dimension, at least p + p_star; for the engine "chain" with momentum at least 2 p + p_star.
    runs : int
        Number of independent runs.
    seed : int, SeedSequence, Generator or None
        Seed of all randomness. Run i depends on the seed and on i alone, and for wide students on whether the chain
        goes in blocks (see the notes).
    engine : {"chain", "weights"}
        "chain" is the exact Markov chain of the overlaps, for Gaussian inputs: a sample costs the same at every N,
        and there are alpha N of them. "weights" holds W explicitly and takes any inputs. Both have the same law.
    inputs : {"gaussian", "rademacher", "uniform"}, array_like of shape (n, N), or iterable of rows
        Law of the inputs' independent components (mean 0, variance 1), or real rows, each used once and in
        order, for a single run. The labels come from the teacher in any case.
    progress : bool
        Show a progress bar where a person watches (a terminal or a notebook).
    precision : {"double", "single"}
        Of weights and inputs, for the engine "weights"; overlaps are recorded in double precision in any case.
        "single" halves the memory and is faster, most of all for wide networks. The same seed draws the same inputs,
        rounded; for the error see the notes.

    Returns
    -------
    Trajectory
        With a run axis. Runs that diverge are nan from then on and have status "diverged"; after a keyboard
        interrupt what was recorded is returned with status "interrupted".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.
    InputsExhausted
        If the rows run out; it carries the trajectory so far.

    Notes
    -----
    Source of the setting: arXiv:2604.03068. As many threads are used as ``numba.get_num_threads()`` says; the
    result does not depend on it. With the engine "chain" one run alone costs about a third of what sixteen cost.
    It goes in blocks of samples where these are quicker: from p + p_star = 48 on for up to 4 runs, from 12 times the
    runs on for up to 16, from 192 on for more. The law is the same, but the random numbers are used in another way.
    `loss` of the result is the population loss for Gaussian inputs, also where the inputs are not.

    In single precision overlaps differ from those of double precision, on the same inputs, by 7e-9 at the start, 3e-7
    at alpha = 10 and 4e-6 at alpha = 60 (p = 4, N = 1000, free and spherical, through the escape, where errors are
    amplified): far below the deviations of SGD itself, of order 1/sqrt(N). It matters where overlaps are wanted to more
    than five digits, and where updates fall below the 6e-8 of a weight that single precision resolves.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> sgd = tsode.simulate(model, None, alpha=[0.0, 1.0, 2.0], N=500, runs=3, seed=1)
    >>> sgd.M.shape, sgd.loss.shape
    ((3, 3, 2, 1), (3, 3))
    """
    check_model(model)
    alpha = _checks.times(alpha)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    runs = _checks.integer("runs", runs, minimum=1)
    sequence = seed_sequence(seed)
    _checks.choice("engine", engine, ENGINES)
    progress = _checks.flag("progress", progress)
    precision = _checks.choice("precision", precision, tuple(PRECISIONS))
    start = _check_start(model, start, N)
    inputs, law = _check_inputs(inputs, N, runs)
    if engine == "chain":
        if law != "gaussian":
            raise ValueError(f"`inputs` must be 'gaussian' for the engine 'chain', but is {law}; take engine='weights'")
        start = Overlaps.from_weights(*start) if isinstance(start, tuple) else start
        if precision != "double":
            raise ValueError(
                f"`precision` must be 'double' for the engine 'chain', but is {precision!r}; take engine='weights'"
            )

        rows = row_count(model) + model.p_star
        if rows > N:
            raise ValueError(f"`N` must be at least {rows} for the engine 'chain', but is {N}; take engine='weights'")
    if max(model.weight_decay, model.readout_decay) >= N:
        raise ValueError(f"`N` must be larger than the rates of decay, but is {N}")

    _check_size(model, alpha, N, runs, engine)
    norms = start.Q if isinstance(start, Overlaps) else np.eye(model.p) if start is None else start[0] @ start[0].T / N
    limit = divergence_limit(model, norms)
    steps = np.rint((alpha - alpha[0]) * N / model.batch_size).astype(np.int64) * model.batch_size

    threads = numba.get_num_threads()
    kind, lockstep = _kind(model, runs, engine)
    together = groups(runs, threads) if lockstep else [range(run, run + 1) for run in range(runs)]

    timed = later(model, float(alpha[0]))

    def make(group):
        sequences = [run_sequence(sequence, run) for run in group]
        if lockstep:
            return kind(timed, start, N, sequences, limit)
        if engine == "chain":
            return kind(timed, start, N, sequences[0], limit)
        return kind(timed, start, N, sequences[0], inputs, limit, precision)

    recorder = _Recorder(model, runs, steps, limit, progress)
    recorder.run_all(make, together, threads)
    rounded = "" if precision == "double" else f", {precision} precision"
    trajectory = recorder.trajectory(
        alpha, N=N, seed=sequence.entropy, engine=f"sgd, {engine}, {law} inputs{rounded}", versions=versions()
    )
    if "exhausted" in trajectory.status:
        used = int(recorder.reached[0])
        raise InputsExhausted(
            f"`inputs` must hold {int(steps[-1])} rows to reach alpha = {alpha[-1]:g}, but ran out after {used}; "
            "the exception's `trajectory` has what was recorded",
            trajectory,
        )
    return trajectory


def _kind(model, runs, engine):
    """Return the class of the runs, and whether it takes a few of them in lockstep."""
    if engine == "weights":
        return (WeightsRun if model.is_sample_by_sample else BatchWeightsRun), False
    if not model.is_sample_by_sample:
        return GeneralRuns, True
    return (WideRun, False) if in_blocks(model, runs) else (ChainRuns, True)


def _check_size(model, alpha, N, runs, engine):
    """Refuse more samples than can be counted, and results or weights that do not fit into memory."""
    _checks.samples("alpha", alpha[-1], N)
    width = model.p + model.p_star
    _checks.memory("`runs`, `alpha` and the model", runs * len(alpha) * model.p * width)
    if engine == "weights":
        _checks.memory("`N`", width * N)


def _check_start(model: TeacherStudent, start: object, N: int) -> Overlaps | tuple[np.ndarray, np.ndarray] | None:
    """Return a start that fits: Overlaps, a pair of weight arrays, or None."""
    if start is None or isinstance(start, Overlaps):
        return start if start is None else check_start(model, start)
    if not (isinstance(start, tuple) and len(start) == 2):
        raise TypeError(f"`start` must be an Overlaps, a tuple (W, W_star) or None, but is {type(start).__name__}")
    W = _checks.float_array("start[0]", start[0], (model.p, N), "(p, N)")
    W_star = _checks.float_array("start[1]", start[1], (model.p_star, N), "(p_star, N)")
    check_start(model, Overlaps.from_weights(W, W_star))
    return W, W_star


def _check_inputs(inputs, N, runs):
    """Return the name of a law, or an iterator of checked rows; and a word for the record."""
    if isinstance(inputs, str):
        return _checks.choice("inputs", inputs, tuple(LAWS)), inputs
    if not isinstance(inputs, Iterable):
        raise TypeError(f"`inputs` must be the name of a law or rows of numbers, but is {type(inputs).__name__}")
    if runs != 1:
        raise ValueError(f"`runs` must be 1 with rows as `inputs`, each of which is used once, but is {runs}")
    if isinstance(inputs, np.ndarray):
        return iter(_checks.float_array("inputs", inputs, (None, N), "(n, N)")), "given"
    return (_checks.float_array("inputs", row, (N,), "(N,) in each row") for row in inputs), "given"


class _Recorder:
    """Drives the runs over a pool of threads and collects what they record."""

    def __init__(self, model: TeacherStudent, runs: int, steps: np.ndarray, limit: float, progress: bool) -> None:
        self.model, self.runs, self.steps, self.limit = model, runs, steps, limit
        self.M = np.full((runs, len(steps), model.p, model.p_star), np.nan)
        self.Q = np.full((runs, len(steps), model.p, model.p), np.nan)
        self.scalars = np.full((runs, len(steps), len(model.rule.scalars(model))), np.nan)
        self.status = np.full(runs, "interrupted", dtype="<U11")
        self.reached = np.zeros(runs, dtype=np.int64)
        total = int(steps[-1]) * runs
        self.bar = progress_bar(progress, total=total, desc="SGD", unit=" samples", unit_scale=True)
        self.stop = threading.Event()
        self.lock = threading.Lock()

    def run_all(self, make, groups, threads):
        """Let every thread make and run groups of runs."""
        with self.bar, threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(min(threads, len(groups))) as pool:
            futures = [pool.submit(self._run, make, group) for group in groups]
            try:
                for future in futures:
                    future.result()
            except KeyboardInterrupt:
                self.stop.set()
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _run(self, make, group):
        if self.stop.is_set():
            return
        engine = make(group)
        rows, ended = slice(group.start, group.stop), engine.ended[: engine.runs]
        for i, step in enumerate(self.steps):
            while engine.step < step:
                if self.stop.is_set():
                    return
                before = engine.step
                going = engine.advance(int(step))
                with self.lock:
                    self.bar.update((engine.step - before) * engine.runs)
                self.reached[rows] = np.where(ended < 0, engine.step, ended)
                self.status[rows][ended >= 0] = "exhausted" if engine.exhausted else "diverged"
                if not going:
                    return
            M, Q = engine.overlaps()
            # A run beyond the limit that has not met its next sample yet ends here.
            ended[(ended < 0) & ~(np.trace(Q, axis1=1, axis2=2) < self.limit)] = step
            self.reached[rows] = np.where(ended < 0, engine.step, ended)
            alive = ended < 0
            self.M[rows, i][alive], self.Q[rows, i][alive] = M[alive], Q[alive]
            self.scalars[rows, i][alive] = engine.trained()[alive]
        self.status[rows] = np.where(alive, "completed", "diverged")

    def trajectory(self, alpha, N, **provenance):
        """Return the result, cut after the last time that any run recorded."""
        recorded = np.isfinite(self.Q[:, :, 0, 0]).any(axis=0)
        kept = max(1, int(recorded.sum()))
        completed = self.status == "completed"
        return Trajectory(
            model=self.model,
            alpha=alpha[:kept],
            M=self.M[:, :kept],
            Q=self.Q[:, :kept],
            scalars=self.scalars[:, :kept],
            status=self.status,
            stopped_at=np.where(completed, alpha[-1], alpha[0] + self.reached / N),
            N=N,
            **provenance,
        )

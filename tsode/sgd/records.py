"""What runs leave behind: records, how each ended, and what each needs to go on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._blocks import Blocks, teacher_blocks
from .._divergence import divergence_limit
from .._random import run_sequence
from .._versions import versions
from ..conditions import Condition
from ..model import TeacherStudent
from ..overlaps import Overlaps
from ..trajectory import Trajectory
from .observables import Observable
from .setting import Setting

__all__ = ["Records", "Run", "Wishes", "runs_of"]

NOT_BEGUN = -1


class Wishes(NamedTuple):
    """What is recorded, and when a run stops: see :func:`tsode.simulate`; without `overlaps` observables alone."""

    until: Condition
    observables: dict[str, Observable]
    keep: bool
    overlaps: bool = True


class Run(NamedTuple):
    """One run: what is run, from where, on which stream, and the tr Q that counts as diverged."""

    model: TeacherStudent
    start: Overlaps | tuple[np.ndarray, np.ndarray] | None
    sequence: np.random.SeedSequence
    limit: float


def runs_of(
    model: TeacherStudent,
    start: Overlaps | tuple[np.ndarray, np.ndarray] | None,
    sequence: np.random.SeedSequence,
    count: int,
) -> list[Run]:
    """Return the runs of one model, each on a child of the sequence."""
    limit = divergence_limit(model, _first_norms(model, start))
    return [Run(model, start, run_sequence(sequence, i), limit) for i in range(count)]


def _first_norms(model, start):
    """Return Q of a start; of a random one its mean."""
    inputs = model.inputs
    if isinstance(start, Overlaps):
        return start.Q
    if start is None:
        return np.eye(model.p) * model.input_size
    W, N = start[0], start[0].shape[1]
    W = W if inputs is None else W * inputs.scales(N)
    return W @ W.T / N


class Records:
    """The results of runs that can go together.

    Parameters
    ----------
    runs : list of Run
        What is run: models for which :func:`tsode.sgd.chain.shared` is the same.
    alpha, N
        As in :func:`tsode.simulate`.
    blocks : bool
        Whether the chain goes in blocks of samples.
    wishes : Wishes
        What is recorded, and when a run stops.

    Attributes
    ----------
    reached : ndarray, shape (runs,)
        Samples that each run has seen.
    held : list of (dict of str to ndarray, or None)
        What each run needs to go on from sample ``step[run]``, or None where nothing is kept or needed.
    student, averaged : list of ndarray
        What is recorded, with axes of runs and times: M, Q, trained scalars, and M and Q in each block of the inputs;
        and the same of the running average of the weights, or nothing.
    """

    def __init__(self, runs: Sequence[Run], alpha: np.ndarray, N: int, blocks: bool, wishes: Wishes) -> None:
        self.runs, self.alpha, self.N, self.blocks, self.wishes = list(runs), alpha, N, blocks, wishes
        count, times, model = len(self.runs), len(alpha), self.runs[0].model
        self.steps = np.rint((alpha - alpha[0]) * N / model.batch_size).astype(np.int64) * model.batch_size
        self.limit = np.array([run.limit for run in self.runs])
        self.student = _unrecorded(model, count, times) if wishes.overlaps else []
        self.averaged = [] if model.averaging is None or not wishes.overlaps else _unrecorded(model, count, times)
        self.P_blocks: np.ndarray | None = None  # where the start is not known
        self.observables: dict[str, np.ndarray] = {}
        self.status = np.full(count, "interrupted", dtype="<U11")
        self.reached = np.zeros(count, dtype=np.int64)
        self.step = np.full(count, NOT_BEGUN)
        self.held: list[dict[str, np.ndarray] | None] = [None] * count
        self.lock = threading.Lock()  # of what is read for a file while other threads run

    @property
    def to_do(self) -> list[int]:
        """The runs that have not ended."""
        return np.flatnonzero(self.status == "interrupted").tolist()

    def first(self, run: int) -> int:
        """Return how many samples a run has seen where it goes on."""
        return max(0, int(self.step[run]))

    def write(
        self,
        i: int,
        rows: np.ndarray,
        state: Sequence[np.ndarray],
        averaged: Sequence[np.ndarray],
        observed: dict[str, np.ndarray],
    ) -> None:
        """Write what some runs have at time i: M, Q, scalars and, if any, those of the blocks; the same of averages."""
        with self.lock:
            for array, value in (*zip(self.student, state), *zip(self.averaged, averaged)):
                array[rows, i] = value
            for name, value in observed.items():
                if name not in self.observables:
                    self.observables[name] = np.full((len(self.runs), len(self.alpha), *value.shape[1:]), np.nan)
                self.observables[name][rows, i] = value

    def keep(self, run: int, engine: Any, lane: int) -> None:
        """Keep what a run needs to go on."""
        held = {name: array.copy() for name, array in engine.held(lane).items()}
        with self.lock:
            self.held[run], self.step[run] = held, engine.step

    def end(self, rows: np.ndarray, status: str) -> None:
        """Note how some runs ended; those that diverged do not go on."""
        with self.lock:
            self.status[rows] = status
            if status == "diverged":
                self.step[rows] = self.reached[rows]
                for run in rows:
                    self.held[run] = None

    def resume(self, past: Trajectory) -> None:
        """Take over what a trajectory of the same runs has, whose times are the first ones of this.

        All go on but those that diverged.
        """
        count, held = len(past.alpha), past.state or {}
        for arrays, one in ((self.student, past), (self.averaged, past.averaged)):
            recorded = () if one is None else (one.M, one.Q, one.scalars, *(one.blocks or ()))
            for array, value in zip(arrays, recorded):  # the teacher's are the last of blocks, and one too many
                array[:, :count] = value
        self.P_blocks = past.blocks and past.blocks.P
        for name, array in past.observables.items():
            self.observables[name] = np.full((len(self.runs), len(self.alpha), *array.shape[2:]), np.nan)
            self.observables[name][:, :count] = array
        diverged = past.status == "diverged"
        self.status[diverged] = "diverged"
        self.reached[:] = np.rint((past.stopped_at - self.alpha[0]) * self.N)
        self.limit[:], self.step, self.blocks = held["limit"], held["step"].copy(), bool(held["blocks"])
        for run in np.flatnonzero(~diverged & (self.step != NOT_BEGUN)):
            self.held[run] = {name: array[run] for name, array in held.items() if array.ndim and name != "step"}

    def trajectory(self, setting: Setting, keep: bool, seed: Any, rows: slice = slice(None)) -> Trajectory:
        """Return the result so far of the runs of one model, cut after the last time that any of them recorded.

        If asked to `keep` it, it has what the runs need to go on.
        """
        with self.lock:
            end, changing = self._kept(rows), bool(self.to_do)
            student, averaged, observed = (
                [array[rows, :end].copy() if changing else array[rows, :end] for array in arrays]
                for arrays in (self.student, self.averaged, self.observables.values())
            )
            state, P = self._state(setting, rows) if keep else None, self._teacher(rows)
            status, stopped_at = self.status[rows].copy(), self.stopped_at()[rows]

            def trajectory(recorded, **more):
                M, Q, scalars, *blocks = recorded
                return Trajectory(
                    model=self.runs[rows][0].model, alpha=self.alpha[:end], M=M, Q=Q, scalars=scalars, status=status,
                    stopped_at=stopped_at, N=self.N, seed=seed, engine=str(setting), versions=versions(),
                    blocks=None if P is None else Blocks(*blocks, P), **more,
                )  # fmt: skip

            return trajectory(
                student,
                observables=dict(zip(self.observables, observed)),
                state=state,
                averaged=trajectory(averaged, state=average_state(state)) if averaged else None,
            )

    def stopped_at(self) -> np.ndarray:
        """Return the time at which each run ended, shape (runs,)."""
        met_at = self.alpha[np.minimum(np.searchsorted(self.steps, self.reached), len(self.alpha) - 1)]
        known = [self.status == "completed", self.status == "reached"]
        return np.select(known, [self.alpha[-1], met_at], self.alpha[0] + self.reached / self.N)

    def _teacher(self, rows):
        """Return the teacher's overlaps in each block of the inputs, or None where they have none."""
        (model, start, *_), *_ = self.runs[rows]
        if model.inputs is None or self.P_blocks is not None:
            return self.P_blocks
        if isinstance(start, tuple):
            start = Overlaps.from_weights(*start, model.inputs)
        return teacher_blocks(model.inputs, model.teacher_overlap) if start is None else start.blocks.P

    def _kept(self, rows):
        return max(1, int(np.isfinite(self.student[1][rows, :, 0, 0]).any(axis=0).sum()))

    def _state(self, setting, rows):
        """Return what runs need to go on, each array with an axis of the runs; zeros for those that do not."""
        every = self.held[rows]
        known = next((held for held in every if held is not None), {})
        state = {name: np.zeros((len(every), *array.shape), array.dtype) for name, array in known.items()}
        for run, held in enumerate(every):
            for name, array in (held or {}).items():
                state[name][run] = array
        about = {"limit": self.limit[rows][0], "step": self.step[rows].copy(), "blocks": self.blocks}
        return {**{name: np.array(value) for name, value in {**about, **setting.words()}.items()}, **state}


def _unrecorded(model, count, times):
    """Return arrays for what is recorded of some runs."""
    p, p_star, lead = model.p, model.p_star, (count, times)
    blocks = 0 if model.inputs is None else len(model.inputs)
    shapes = (p, p_star), (p, p), (len(model.rule.scalars(model)),), (blocks, p, p_star), (blocks, p, p)
    return [np.full(lead + shape, np.nan) for shape in shapes]


def average_state(state: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
    """Return the averaged weights beside the teacher's, where runs have kept them, as the state of a trajectory."""
    if state is None or "average" not in state:
        return None
    average, W = state["average"], state["W"]
    return {"W": np.concatenate([average, W[:, :, average.shape[2] :]], axis=2)}

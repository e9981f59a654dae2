"""What the runs of one model leave behind: records, how each ended, and what each needs to go on."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from .._divergence import divergence_limit
from .._random import run_sequence
from .._versions import versions
from ..model import TeacherStudent
from ..overlaps import Overlaps
from ..trajectory import Trajectory
from .conditions import Condition
from .observables import Observable
from .setting import Setting

__all__ = ["Records", "Wishes"]

NOT_BEGUN = -1


class Wishes(NamedTuple):
    """What is recorded, and when a run stops: see :func:`tsode.simulate`."""

    until: Condition
    observables: dict[str, Observable]
    keep: bool


class Records:
    """The results of several runs of one model from one start.

    Parameters
    ----------
    model : TeacherStudent
        What is run.
    start : Overlaps, (W, W_star) or None
        Where the runs start.
    sequence : numpy.random.SeedSequence
        Run i has its child i.
    runs, alpha, N
        As in :func:`tsode.simulate`.
    wishes : Wishes
        What is recorded, and when a run stops.

    Attributes
    ----------
    reached : ndarray, shape (runs,)
        Samples that each run has seen.
    held : list of (dict of str to ndarray, or None)
        What each run needs to go on from sample ``step[run]``, or None where nothing is kept or needed.
    """

    def __init__(
        self, model: TeacherStudent, start: Overlaps | tuple[np.ndarray, np.ndarray] | None,
        sequence: np.random.SeedSequence, runs: int, alpha: np.ndarray, N: int, wishes: Wishes,
    ) -> None:  # fmt: skip
        self.model, self.start, self.sequence, self.wishes = model, start, sequence, wishes
        self.alpha, self.N, self.runs, self.blocks = alpha, N, runs, False
        self.steps = np.rint((alpha - alpha[0]) * N).astype(np.int64)
        norms = start.Q if isinstance(start, Overlaps) else start[0] @ start[0].T / N if start else np.eye(model.p)
        self.limit = divergence_limit(model, norms)
        self.M = np.full((runs, len(alpha), model.p, model.p_star), np.nan)
        self.Q = np.full((runs, len(alpha), model.p, model.p), np.nan)
        self.scalars = np.full((runs, len(alpha), len(model.rule.scalars(model))), np.nan)
        self.observables: dict[str, np.ndarray] = {}
        self.status = np.full(runs, "interrupted", dtype="<U11")
        self.reached = np.zeros(runs, dtype=np.int64)
        self.step = np.full(runs, NOT_BEGUN)
        self.held: list[dict[str, np.ndarray] | None] = [None] * runs
        self.lock = threading.Lock()  # of what is read for a file while other threads run

    @property
    def to_do(self) -> list[int]:
        """The runs that have not ended."""
        return np.flatnonzero(self.status == "interrupted").tolist()

    def first(self, run: int) -> int:
        """Return how many samples a run has seen where it goes on."""
        return max(0, int(self.step[run]))

    def stream(self, run: int) -> np.random.SeedSequence:
        """Return the stream of one run."""
        return run_sequence(self.sequence, run)

    def write(self, i: int, rows: np.ndarray, state: tuple[np.ndarray, ...], observed: dict[str, np.ndarray]) -> None:
        """Write what some runs have at time i: M, Q and scalars, and observables."""
        with self.lock:
            self.M[rows, i], self.Q[rows, i], self.scalars[rows, i] = state
            for name, value in observed.items():
                if name not in self.observables:
                    self.observables[name] = np.full((self.runs, len(self.alpha), *value.shape[1:]), np.nan)
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

    def resume(self, trajectory: Trajectory, held: dict[str, np.ndarray]) -> None:
        """Take over what a trajectory has, whose times are the first ones of this; but for diverged runs, all go on."""
        count = len(trajectory.alpha)
        self.M[:, :count], self.Q[:, :count] = trajectory.M, trajectory.Q
        self.scalars[:, :count] = trajectory.scalars
        for name, array in trajectory.observables.items():
            self.observables[name] = np.full((self.runs, len(self.alpha), *array.shape[2:]), np.nan)
            self.observables[name][:, :count] = array
        diverged = trajectory.status == "diverged"
        self.status[diverged] = "diverged"
        self.reached[:] = np.rint((trajectory.stopped_at - self.alpha[0]) * self.N)
        self.limit, self.step, self.blocks = float(held["limit"]), held["step"].copy(), bool(held["blocks"])
        for run in np.flatnonzero(~diverged & (self.step != NOT_BEGUN)):
            self.held[run] = {name: array[run] for name, array in held.items() if array.ndim and name != "step"}

    def trajectory(self, setting: Setting, keep: bool) -> Trajectory:
        """Return the result so far, cut after the last time that any run recorded.

        If asked to `keep` it, it has what the runs need to go on.
        """
        with self.lock:
            kept = max(1, int(np.isfinite(self.Q[:, :, 0, 0]).any(axis=0).sum()))
            # what still changes is copied
            M, Q, scalars, *observed = (
                array[:, :kept].copy() if self.to_do else array[:, :kept]
                for array in (self.M, self.Q, self.scalars, *self.observables.values())
            )
            met_at = self.alpha[np.minimum(np.searchsorted(self.steps, self.reached), len(self.alpha) - 1)]
            ends = [self.alpha[-1], met_at, self.alpha[0] + self.reached / self.N]
            return Trajectory(
                model=self.model, alpha=self.alpha[:kept], M=M, Q=Q, scalars=scalars, status=self.status.copy(),
                stopped_at=np.select([self.status == "completed", self.status == "reached"], ends[:2], ends[2]),
                N=self.N, seed=self.sequence.entropy, engine=str(setting), versions=versions(),
                observables=dict(zip(self.observables, observed)), state=self._state(setting) if keep else None,
            )  # fmt: skip

    def _state(self, setting):
        """Return what all runs need to go on, each array with an axis of the runs; zeros for those that do not."""
        known = next((held for held in self.held if held is not None), {})
        state = {name: np.zeros((self.runs, *array.shape), array.dtype) for name, array in known.items()}
        for run, held in enumerate(self.held):
            for name, array in (held or {}).items():
                state[name][run] = array
        about = {"limit": self.limit, "step": self.step.copy(), "blocks": self.blocks, **setting.words()}
        return {**{name: np.array(value) for name, value in about.items()}, **state}

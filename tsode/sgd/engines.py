"""Which runs go together, in which engine, and what they record there."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .._lanes import WIDTH
from ..conditions import met
from ..model import later
from .batch_weights import BatchWeightsRun
from .block_chain import BlockRuns
from .chain import ChainRuns, groups
from .diffusion import DiffusionRuns
from .general_chain import GeneralRuns
from .observables import values
from .records import Records
from .setting import Setting
from .weights import WeightsRun
from .wide_chain import WideRun

__all__ = ["Group", "put_together", "together"]

HALF = 0.5  # time of a run alone, over that of a group


def kind_of(records: Records, setting: Setting) -> tuple[Any, bool]:
    """Return the class of the runs, and whether it takes a few of them in lockstep."""
    if setting.step is not None:
        return functools.partial(DiffusionRuns, step=setting.step), True
    model = records.runs[0].model
    plain = model.is_sample_by_sample and model.averaging is None
    if setting.has_weights:
        return (WeightsRun if plain else BatchWeightsRun), False
    if model.inputs is not None:
        return BlockRuns, True
    if not plain:
        return GeneralRuns, True
    return (WideRun, False) if records.blocks else (ChainRuns, True)


def together(records: Records, setting: Setting, threads: int) -> Iterator[list[list[int]]]:
    """Yield the runs that are to be done, as one piece of work what a thread does: a list of groups in lockstep.

    With a condition to end them, the groups of a thread go side by side, and fill up as runs end.
    """
    steps: dict[int, list[int]] = {}
    for run in records.to_do:  # those that go on from different samples do not go together
        steps.setdefault(records.first(run), []).append(run)
    lockstep = kind_of(records, setting)[1]
    for runs in steps.values():
        ranges = groups(len(runs), threads) if lockstep else [range(i, i + 1) for i in range(len(runs))]
        found = [runs[each.start : each.stop] for each in ranges]
        count = threads if lockstep and records.wishes.until is not None else len(found)
        yield from (found[i::count] for i in range(min(count, len(found))))


def put_together(every: list[Group], setting: Setting) -> list[Group]:
    """Return groups that take less time, if there are some, with the runs that are left in these."""
    if not every or not kind_of(every[0].records, setting)[1]:
        return every
    left = [row for group in every for row in group.rows.tolist()]
    cost = sum(1.0 if group.engine.runs > 1 else HALF for group in every)
    if cost <= (HALF if len(left) == 1 else -(-len(left) // WIDTH)):
        return every
    for group in every:
        group.keep()
    return [Group(every[0].records, left[i : i + WIDTH], setting) for i in range(0, len(left), WIDTH)]


def begin(records: Records, rows: Sequence[int], setting: Setting) -> Any:
    """Return an engine with runs that go together, at their start or where they were left."""
    kind, lockstep = kind_of(records, setting)
    models, starts, sequences, _ = map(list, zip(*(records.runs[row] for row in rows)))
    models = [later(model, float(records.alpha[0])) for model in models]
    limits = records.limit[list(rows)]
    if lockstep:
        engine = kind(models, starts, setting.N, sequences, limits)
    else:
        start = None if records.held[rows[0]] else starts[0]
        more = (setting.inputs, limits[0], setting.precision) if setting.has_weights else (limits[0],)
        engine = kind(models[0], start, setting.N, sequences[0], *more)
    for lane, row in enumerate(rows):
        held = records.held[row]
        if held is not None:
            restore(engine.held(lane), held)
            engine.step = records.first(row)
    return engine


def restore(views: dict[str, np.ndarray], held: dict[str, np.ndarray]) -> None:
    """Write what a run was left with into an engine."""
    for name, view in views.items():
        if name not in held or held[name].shape != view.shape or held[name].dtype != view.dtype:
            raise ValueError(f"`start` must be a trajectory as `simulate` made it, but {name!r} of its `state` is not")
        view[...] = held[name]


class Group:
    """The runs of an engine that have not ended, and their places in the engine.

    Parameters
    ----------
    records : Records
        Where they are recorded.
    rows : list of int
        Their places there.
    setting : Setting
        How they are computed.
    """

    def __init__(self, records: Records, rows: Sequence[int], setting: Setting) -> None:
        self.records, self.rows, self.lanes = records, np.array(rows), np.arange(len(rows))
        self.engine = begin(records, rows, setting)
        self.answered = 0  # how often states have been asked for and kept

    def look(self) -> None:
        """Note how far the runs have come, and those that have ended on their way."""
        engine = self.engine
        ended = engine.ended[self.lanes]
        self.records.reached[self.rows] = np.where(ended < 0, engine.step, ended)
        if engine.exhausted:
            self.keep()
        self._leave(ended >= 0, "exhausted" if engine.exhausted else "diverged")

    def record(self, i: int) -> None:
        """Record the overlaps at time i; runs that meet their condition leave."""
        self.look()
        records, wishes = self.records, self.records.wishes
        M, Q = self.engine.overlaps()
        # A run beyond the limit that has not met its next sample yet ends here.
        fine = np.trace(Q, axis1=1, axis2=2)[self.lanes] < records.limit[self.rows]
        self._leave(~fine, "diverged")
        if not len(self.rows):
            return
        M, Q, scalars = M[self.lanes], Q[self.lanes], self.engine.trained()[self.lanes]
        blocks = [each[self.lanes] for each in self.engine.block_overlaps()] if records.runs[0].model.inputs else []
        observed = {name: values(name, one, self.engine, M, Q) for name, one in wishes.observables.items()}
        averaged = [each[self.lanes] for each in self.engine.averaged()] if records.averaged else []
        records.write(i, self.rows, (M, Q, scalars, *blocks), averaged, observed)
        if wishes.until is not None:
            reached = met(wishes.until, [records.runs[row].model for row in self.rows], M, Q, scalars)
            self.keep(reached)
            self._leave(reached, "reached")

    def keep(self, which: Any = slice(None)) -> None:
        """Keep what runs need to go on."""
        if self.records.wishes.keep:
            for row, lane in zip(self.rows[which], self.lanes[which]):
                self.records.keep(row, self.engine, lane)

    def complete(self) -> None:
        """Note that the runs have come to the last time."""
        self.keep()
        self._leave(np.ones(len(self.rows), dtype=bool), "completed")

    def _leave(self, gone, status):
        if gone.any():
            self.records.end(self.rows[gone], status)
            self.rows, self.lanes = self.rows[~gone], self.lanes[~gone]

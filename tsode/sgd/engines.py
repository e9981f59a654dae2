"""Which runs go together, in which engine, and what they record there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from .chain import ChainRuns, groups, shared
from .conditions import met
from .observables import values
from .records import Records
from .setting import Setting
from .weights import WeightsRun
from .wide_chain import WideRun

__all__ = ["Member", "Part", "begin", "parts_of", "together"]

Member = tuple[Records, int]  # a run: its records, and its place there


def together(every: Sequence[Records], setting: Setting, threads: int) -> list[list[Member]]:
    """Return the runs that are to be done, those that go together as one list."""
    kinds: dict[Hashable, list[Member]] = {}
    for records in every:
        for run in records.to_do:  # those that go on from different samples do not go together
            kinds.setdefault((shared(records.model), records.first(run)), []).append((records, run))
    found = []
    for members in kinds.values():
        alone = setting.has_weights or members[0][0].blocks
        ranges = [range(i, i + 1) for i in range(len(members))] if alone else groups(len(members), threads)
        found += [members[each.start : each.stop] for each in ranges]
    return found


def begin(members: Sequence[Member], setting: Setting) -> Any:
    """Return an engine with runs that go together, at their start or where they were left."""
    records, run = members[0]
    if setting.has_weights or records.blocks:
        start = None if records.held[run] else records.start
        given = (records.model, start, setting.N, records.stream(run))
        engine = (
            WeightsRun(*given, setting.inputs, records.limit, setting.precision)
            if setting.has_weights
            else WideRun(*given, records.limit)
        )
    else:
        every = [one for one, _ in members]
        engine = ChainRuns(
            [one.model for one in every], [one.start for one in every], setting.N,
            [one.stream(run) for one, run in members], np.array([one.limit for one in every]),
        )  # fmt: skip
    for lane, (one, run) in enumerate(members):
        held = one.held[run]
        if held is not None:
            restore(engine.held(lane), held)
            engine.step = one.first(run)
    return engine


def restore(views: dict[str, np.ndarray], held: dict[str, np.ndarray]) -> None:
    """Write what a run was left with into an engine."""
    for name, view in views.items():
        if name not in held or held[name].shape != view.shape or held[name].dtype != view.dtype:
            raise ValueError(f"`start` must be a trajectory as `simulate` made it, but {name!r} of its `state` is not")
        view[...] = held[name]


class Part:
    """The runs of one set of records that go in one engine; those that end leave.

    Parameters
    ----------
    records : Records
        Where they are recorded.
    rows, lanes : list of int
        Their places there, and in the engine.
    """

    def __init__(self, records: Records, rows: list[int], lanes: list[int]) -> None:
        self.records, self.rows, self.lanes = records, np.array(rows), np.array(lanes)
        self.answered = 0  # how often states have been asked for and kept

    def look(self, engine: Any) -> None:
        """Note how far the runs have come, and those that have ended on their way."""
        ended = engine.ended[self.lanes]
        self.records.reached[self.rows] = np.where(ended < 0, engine.step, ended)
        if engine.exhausted:
            self.keep(engine)
        self._leave(ended >= 0, "exhausted" if engine.exhausted else "diverged")

    def record(self, i: int, engine: Any, M: np.ndarray, Q: np.ndarray) -> None:
        """Record the engine's overlaps at time i; runs that meet their condition leave."""
        self.look(engine)
        # A run beyond the limit that has not met its next sample yet ends here.
        self._leave(~(np.trace(Q[self.lanes], axis1=1, axis2=2) < self.records.limit), "diverged")
        if not len(self.rows):
            return
        M, Q, scalars = M[self.lanes], Q[self.lanes], engine.trained()[self.lanes]
        wishes = self.records.wishes
        observed = {name: values(name, one, engine, M, Q) for name, one in wishes.observables.items()}
        self.records.write(i, self.rows, (M, Q, scalars), observed)
        reached = met(wishes.until, self.records.model, M, Q, scalars)
        if reached.any():
            self.keep(engine, reached)
            self._leave(reached, "reached")

    def keep(self, engine: Any, which: Any = slice(None)) -> None:
        """Keep what runs need to go on."""
        if self.records.wishes.keep:
            for row, lane in zip(self.rows[which], self.lanes[which]):
                self.records.keep(row, engine, lane)

    def complete(self, engine: Any) -> None:
        """Note that the runs have come to the last time."""
        self.keep(engine)
        self._leave(np.ones(len(self.rows), dtype=bool), "completed")

    def _leave(self, gone, status):
        self.records.end(self.rows[gone], status)
        self.rows, self.lanes = self.rows[~gone], self.lanes[~gone]


def parts_of(members: Sequence[Member]) -> list[Part]:
    """Return the runs of an engine, in its order, by their records."""
    lanes: dict[int, list[int]] = {}
    for lane, (records, _) in enumerate(members):
        lanes.setdefault(id(records), []).append(lane)
    return [Part(members[own[0]][0], [members[lane][1] for lane in own], own) for own in lanes.values()]

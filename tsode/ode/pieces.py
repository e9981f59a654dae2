"""Solutions with a learning rate that changes in time: one piece after the other, each from where the last ended."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from .._states import blocks_of, scalars_of, unpack
from ..inputs import Blocks
from ..model import TeacherStudent, with_rate
from ..overlaps import Overlaps
from .result import Options, Solution

__all__ = ["in_pieces", "overlaps_of"]

Solve = Callable[[list[TeacherStudent], list[Overlaps], np.ndarray, Options], list[Solution]]


def in_pieces(
    models: Sequence[TeacherStudent], starts: Sequence[Overlaps], alpha: np.ndarray, options: Options, solve: Solve
) -> list[Solution]:
    """Return the solutions of models whose learning rates are constant or have the same breakpoints.

    Parameters
    ----------
    models, starts : sequences
        What is solved.
    alpha : ndarray, shape (T,), T > 1
        Times.
    options : Options
        How.
    solve : callable
        (models, starts, alpha, options) -> solutions, for learning rates without breakpoints.

    Returns
    -------
    list of Solution
    """
    models, now = list(models), list(starts)
    if len(alpha) == 1 or all(model.schedule is None and not _breakpoints(model) for model in models):
        return solve(models, now, alpha, options)
    pieces, options = (
        [_pieces(model, alpha) for model in models],
        options._replace(until=None),
    )  # every piece has an end
    states: list[list[np.ndarray]] = [[] for _ in models]
    stopped: list[float | None] = [None] * len(models)
    for k, (times, _) in enumerate(pieces[0]):
        going = [i for i, end in enumerate(stopped) if end is None]
        if not going:
            break
        rates = [pieces[i][k][1] for i in going]
        each = [with_rate(models[i], rate) if rate else models[i] for i, rate in zip(going, rates)]
        found = solve(each, [now[i] for i in going], times, options)
        asked = np.isin(times, alpha)
        asked[0] &= k == 0  # the end of the piece before
        for i, solution in zip(going, found):
            states[i].append(solution.states[asked[: len(solution.states)]])
            stopped[i] = solution.stopped_at
            if solution.stopped_at is None:
                now[i], models[i] = (
                    overlaps_of(models[i], solution.states[-1], now[i]),
                    _trained(models[i], solution.states[-1]),
                )
    return [Solution(np.concatenate(parts), end) for parts, end in zip(states, stopped)]


def _pieces(model, alpha):
    """Return the stretches between breakpoints: the times within, with both ends, and the constant rate or None."""
    schedule, found = model.schedule, []
    inner = [time for time in _breakpoints(model) if alpha[0] < time < alpha[-1]]
    for begin, end in itertools.pairwise([alpha[0], *inner, alpha[-1]]):
        within = alpha[(alpha > begin) & (alpha < end)]
        rate = None if schedule is None else schedule.constant_from(begin)
        found.append((np.concatenate([[begin], within, [end]]), rate))
    return found


def _breakpoints(model):
    """Return the times at which the learning rate jumps or bends, and a running average sets in."""
    changing = [each for each in (model.schedule, model.averaging) if each is not None]
    return sorted({time for each in changing for time in getattr(each, "breakpoints", ())})


def overlaps_of(model: TeacherStudent, state: np.ndarray, start: Overlaps) -> Overlaps:
    """Return the overlaps of a state that was computed here from a start: nothing is checked."""
    found = object.__new__(Overlaps)
    M, Q = unpack(state, model)
    blocks = start.blocks and Blocks(*blocks_of(state, model), start.blocks.P)
    vars(found).update(M=M, Q=Q, P=model.teacher_overlap, blocks=blocks, inputs=start.inputs)
    return found


def _trained(model, state):
    """Return the model with the readout of a state, where it is trained."""
    scalars = scalars_of(state, model)
    if not len(scalars):
        return model
    changed = copy.copy(model)
    object.__setattr__(changed, "student_readout", scalars.copy())
    return changed

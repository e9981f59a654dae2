"""Solutions by the compiled integrator, one alone or many in lockstep."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._divergence import divergence_limit
from .._lanes import WIDTH, aligned
from .._states import norms, start_state
from ..model import TeacherStudent
from ..overlaps import Overlaps
from . import dop853
from .block_rates import rates_for
from .dop853 import LIMIT, NEXT, STATUS, STOPPED, TIME
from .first_step import first_steps
from .rates import Rates
from .result import Options, Solution, first_met

__all__ = ["solve"]

LOOKS = 16  # attempted steps between two looks at a condition
WORK_A_CALL = 1 << 22  # attempted steps times numbers between two looks for an interrupt


def solve(
    models: Sequence[TeacherStudent],
    starts: Sequence[Overlaps],
    alpha: np.ndarray,
    options: Options,
    stop: threading.Event | None = None,
) -> list[Solution]:
    """Return the solutions of one model, or of up to WIDTH with the same averages, widths, constraint and inputs.

    They go in lockstep where the averages are written for that, and else one after the other.

    Parameters
    ----------
    models, starts : sequences
        What is solved.
    alpha : ndarray, shape (T,), T > 1
        Times.
    options : Options
        Tolerances, and whether it is gradient flow.
    stop : threading.Event, optional
        Set by another thread that wants no solutions any more: those that are under way end early.

    Returns
    -------
    list of Solution
    """
    if len(models) > 1 and not models[0].rule.averages(models[0]).lanes:
        alone = (([model], [start]) for model, start in zip(models, starts))
        return [solution for pair in alone for solution in solve(*pair, alpha, options, stop)]
    alpha = alpha.copy()  # writeable: another type of array would be compiled for on its own
    lanes = 1 if len(models) == 1 else WIDTH
    rates = rates_for(models, starts, options.gradient_flow, lanes, options.rtol)
    work, control, out = begin(models, starts, rates, lanes, alpha, options)
    last = () if lanes == 1 else (lanes,)
    n, flat, steps = out.shape[2], work.reshape(-1, *last), control.reshape(-1, *last)
    attempts = max(1, WORK_A_CALL // (n * lanes * len(rates.arrays[1])))
    if options.until is not None:
        attempts = min(attempts, LOOKS)
    places, looked = norms(models[0]), np.zeros(len(models), dtype=np.int64)
    while not (stop and stop.is_set()) and dop853.advance(
        rates.pointer, rates.arrays, rates.numbers, dop853.tables(), flat, work, steps, control, alpha, out,
        places, options.rtol, options.atol, attempts,
    ):  # fmt: skip
        for i in np.flatnonzero((control[STATUS] == dop853.DIVERGED) & np.isnan(control[STOPPED])):
            end = control[STOPPED, i] = _end(work[:, i], control[:, i], n, places)
            control[NEXT, i] = np.searchsorted(alpha[: int(control[NEXT, i])], end, side="right")
        if options.until is not None:
            _stop_where_met(options.until, models, control, out, looked)
    ends = zip(out, *control[[STATUS, NEXT, STOPPED], : len(models)].tolist())
    early = dop853.DIVERGED, dop853.TOO_SMALL
    return [Solution(states[: int(count)], end if status in early else None) for states, status, count, end in ends]


def _stop_where_met(until, models, control, out, looked):
    """Let the solutions stop that have met their condition in a record since they were `looked` at."""
    for lane, model in enumerate(models):
        first, looked[lane] = looked[lane], control[NEXT, lane]
        states = out[lane, first : looked[lane]]
        if len(states) and control[STATUS, lane] == dop853.GOING and first_met(until, model, states) is not None:
            control[STATUS, lane] = dop853.COMPLETED


def begin(
    models: Sequence[TeacherStudent],
    starts: Sequence[Overlaps],
    rates: Rates,
    lanes: int,
    alpha: np.ndarray,
    options: Options,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the work and control arrays and the array of records that :func:`tsode.ode.dop853.advance` takes."""
    first = np.array([start_state(model, start) for model, start in zip(models, starts)])
    limits = [divergence_limit(model, start.Q) for model, start in zip(models, starts)]
    return begin_states(first, limits, rates, lanes, alpha, (options.rtol, options.atol))


def begin_states(
    first: np.ndarray,
    limits: Sequence[float],
    rates: Any,
    lanes: int,
    alpha: np.ndarray,
    tolerances: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same for states, shape (count, n), each with its limit, and the rtol and atol of their rates."""
    count, n = first.shape
    work, control = aligned((dop853.ROWS * n, lanes)), aligned((dop853.CONTROL, lanes))
    work[:n] = first[0][:, None]
    work[:n, :count] = first.T
    control[TIME], control[NEXT], control[STOPPED] = alpha[0], 1, np.nan
    control[STATUS] = dop853.TOO_SMALL  # lanes without a solution
    control[STATUS, :count] = dop853.GOING
    control[LIMIT, :count] = limits
    last = () if lanes == 1 else (lanes,)
    first_steps(
        rates.pointer, rates.arrays, rates.numbers, work.reshape(-1, *last), control.reshape(-1, *last), control,
        alpha[-1] - alpha[0], *tolerances,
    )  # fmt: skip
    out = np.empty((lanes, len(alpha), n))
    out[:count, 0] = first
    return work, control, out


def _end(work, control, n, places):
    """Return when the sum of norms reached its limit, in a step in which it did."""
    rows = work.reshape(-1, n)
    size, limit = control[dop853.TRIED], control[LIMIT]
    used = (dop853.Y, dop853.NEW, dop853.K, dop853.K + dop853.LAST, *range(dop853.TERM, dop853.ROWS))
    terms = [rows[row, places[:, 0].astype(int)] @ places[:, 1] for row in used]
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if dop853.within(middle, size, *terms) < limit else (low, middle)
    return control[TIME] + high * size

"""Solutions by the compiled integrator, one alone or many in lockstep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._divergence import divergence_limit
from .._lanes import WIDTH, aligned
from .._states import norm_positions, pack
from ..model import TeacherStudent
from ..overlaps import Overlaps
from . import dop853
from .dop853 import LIMIT, NEXT, STATUS, STEP, STOPPED, TIME
from .result import Options, Solution
from .rhs import Rates, derivatives

__all__ = ["solve"]

WORK_A_CALL = 1 << 22  # attempted steps times numbers between two looks for an interrupt


def solve(
    models: Sequence[TeacherStudent],
    starts: Sequence[Overlaps],
    alpha: np.ndarray,
    options: Options,
) -> list[Solution]:
    """Return the solutions of one model, or of up to WIDTH with the same averages, widths and constraint.

    Parameters
    ----------
    models, starts : sequences
        What is solved.
    alpha : ndarray, shape (T,), T > 1
        Times.
    options : Options
        Tolerances, and whether it is gradient flow.

    Returns
    -------
    list of Solution
    """
    alpha = alpha.copy()  # writeable: another type of array would be compiled for on its own
    lanes = 1 if len(models) == 1 else WIDTH
    rates = Rates(models, options.gradient_flow, lanes, options.rtol)
    work, control, out = begin(models, starts, rates, lanes, alpha, options)
    last = () if lanes == 1 else (lanes,)
    n, flat, steps = out.shape[2], work.reshape(-1, *last), control.reshape(-1, *last)
    attempts = max(1, WORK_A_CALL // (n * lanes * len(rates.arrays[1])))
    while dop853.advance(
        rates.pointer, rates.arrays, rates.numbers, dop853.tables(), flat, work, steps, control, alpha, out,
        norm_positions(models[0]), options.rtol, options.atol, attempts,
    ):  # fmt: skip
        for i in np.flatnonzero((control[STATUS] == dop853.DIVERGED) & np.isnan(control[STOPPED])):
            end = control[STOPPED, i] = _end(work[:, i], control[:, i], n, norm_positions(models[0]))
            control[NEXT, i] = np.searchsorted(alpha[: int(control[NEXT, i])], end, side="right")
    found = []
    for lane in range(len(models)):
        diverged = control[STATUS, lane] in (dop853.DIVERGED, dop853.TOO_SMALL)
        states = out[lane, : int(control[NEXT, lane])]
        found.append(Solution(states, float(control[STOPPED, lane]) if diverged else None))
    return found


def begin(
    models: Sequence[TeacherStudent],
    starts: Sequence[Overlaps],
    rates: Rates,
    lanes: int,
    alpha: np.ndarray,
    options: Options,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the work and control arrays and the array of records that :func:`tsode.ode.dop853.advance` takes."""
    count, first = len(models), np.array([pack(start.M, start.Q) for start in starts])
    n = first.shape[1]
    work, control = aligned((dop853.ROWS * n, lanes)), aligned((dop853.CONTROL, lanes))
    work[:n] = first[0][:, None]
    work[:n, :count] = first.T
    control[TIME], control[NEXT], control[STOPPED] = alpha[0], 1, np.nan
    control[STATUS] = dop853.TOO_SMALL  # lanes without a solution
    control[STATUS, :count] = dop853.GOING
    control[LIMIT, :count] = [divergence_limit(model, start.Q) for model, start in zip(models, starts)]
    _first_steps(rates, work, control, n, alpha[-1] - alpha[0], options)
    out = np.empty((lanes, len(alpha), n))
    out[:count, 0] = first
    return work, control, out


def _first_steps(rates, work, control, n, interval, options):
    """Set the first slopes and steps (Hairer, Norsett & Wanner, section II.4)."""
    y, slopes = work[:n], work[dop853.K * n : (dop853.K + 1) * n]

    def f(states):
        shape = states.shape if states.shape[1] > 1 else (-1,)
        return derivatives(rates.pointer, states.reshape(shape), rates.arrays, rates.numbers).reshape(y.shape)

    def size(x):
        return np.sqrt(np.mean(np.square(x / scale), axis=0))

    with np.errstate(all="ignore"):
        scale = options.atol + options.rtol * np.abs(y)
        slopes[:] = f(y)
        d0, d1 = size(y), size(slopes)
        h0 = np.minimum(np.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1), interval)
        d2 = size(f(y + h0 * slopes) - slopes) / h0
        flat = (d1 <= 1e-15) & (d2 <= 1e-15)
        h1 = np.where(flat, np.maximum(1e-6, 1e-3 * h0), (0.01 / np.maximum(d1, d2)) ** 0.125)
        control[STEP] = np.nan_to_num(np.minimum(np.minimum(100 * h0, h1), interval))


def _end(work, control, n, positions):
    """Return when the sum of norms reached its limit, in a step in which it did."""
    rows = work.reshape(-1, n)
    size, limit = control[dop853.TRIED], control[LIMIT]
    used = (dop853.Y, dop853.NEW, dop853.K, dop853.K + dop853.LAST, *range(dop853.TERM, dop853.ROWS))
    terms = [rows[row, positions].sum() for row in used]
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if dop853.within.py_func(middle, size, *terms) < limit else (low, middle)
    return control[TIME] + high * size

"""One solution, by the compiled integrator, of any right-hand side that is a C function."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._lanes import aligned
from . import dop853
from .first_step import first_steps

__all__ = ["solve_rates"]

WORK_A_CALL = 1 << 20  # attempted steps times numbers between two looks for an interrupt


def solve_rates(
    rates: Any, first: np.ndarray, alpha: np.ndarray, positions: np.ndarray, limit: float, rtol: float, atol: float
) -> np.ndarray:
    """Return the states at the times that were reached, shape (T', n).

    Parameters
    ----------
    rates
        With the attributes `pointer`, `arrays` and `numbers` of :class:`tsode.ode.rates.Rates`.
    first : ndarray, shape (n,)
        State at the first time.
    alpha : ndarray, shape (T,), T > 1
        Times.
    positions : ndarray of int
        Which numbers of a state have a sum that is to stay below `limit`; there the solution ends.
    limit, rtol, atol : float
        That, and the tolerances.
    """
    n, alpha = len(first), alpha.copy()  # writeable: another type of array would be compiled for on its own
    work, control = aligned((dop853.ROWS * n, 1)), aligned((dop853.CONTROL, 1))
    flat, steps, out = work.reshape(-1), control.reshape(-1), np.empty((1, len(alpha), n))
    flat[:n] = out[0, 0] = first
    steps[dop853.TIME], steps[dop853.NEXT], steps[dop853.STOPPED] = alpha[0], 1, np.nan
    steps[dop853.STATUS], steps[dop853.LIMIT] = dop853.GOING, limit
    call = rates.pointer, rates.arrays, rates.numbers
    first_steps(*call, flat, steps, control, alpha[-1] - alpha[0], rtol, atol)
    norms = np.column_stack([positions, np.ones(len(positions))])
    given = dop853.tables(), flat, work, steps, control, alpha, out, norms, rtol, atol
    while steps[dop853.STATUS] == dop853.GOING and dop853.advance(*call, *given, max(1, WORK_A_CALL // n)):
        pass
    return out[0, : int(steps[dop853.NEXT])]

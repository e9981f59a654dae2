"""One solution, by the compiled integrator, of any right-hand side that is a C function."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dop853
from .lockstep import begin_states

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
    work, control, out = begin_states(first[None], [limit], rates, 1, alpha, (rtol, atol))
    flat, steps, call = work.reshape(-1), control.reshape(-1), (rates.pointer, rates.arrays, rates.numbers)
    norms = np.column_stack([positions, np.ones(len(positions))])
    given = dop853.tables(), flat, work, steps, control, alpha, out, norms, rtol, atol
    while steps[dop853.STATUS] == dop853.GOING and dop853.advance(*call, *given, max(1, WORK_A_CALL // n)):
        pass
    return out[0, : int(steps[dop853.NEXT])]

"""The first step of the compiled integrator, as SciPy finds it (Hairer, Norsett & Wanner, section II.4).

Of d0, d1 and d2, the sizes of a state, of its slope and of the change of the slope, the first two give a step of the
explicit method of Euler, which finds the third; a step of order 8 then makes an error of about a hundredth of the
tolerance.
"""

from typing import Any

import numpy as np
from numba import njit

from .._compiled import call
from .._lanes import load, store
from .dop853 import ERRORS, NEW, POINT, ROWS, STEP, TIME, TRIED, K, X, Y, part_of_kernel

__all__ = ["first_steps"]


@njit(cache=True, nogil=True, error_model="numpy")
def first_steps(
    rates: Any, arrays: Any, numbers: Any, flat: np.ndarray, steps: np.ndarray, control: np.ndarray, interval: float,
    rtol: float, atol: float,
) -> None:  # fmt: skip
    """Write the first slopes and set the first steps, 0 where the slopes are not finite; arrays as in `advance`."""
    n = flat.shape[0] // ROWS
    call(rates, ((flat, Y * n), *arrays, (flat, K * n)), numbers)
    measure(flat, steps, n, Y, ERRORS, rtol, atol)
    measure(flat, steps, n, K, ERRORS + 1, rtol, atol)
    for lane in range(control.shape[1]):
        d0, d1 = np.sqrt(control[ERRORS, lane] / n), np.sqrt(control[ERRORS + 1, lane] / n)
        h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
        control[TRIED, lane] = h0 if h0 < interval else interval
    for i in range(n):
        store(flat, POINT * n + i, load(flat, Y * n + i) + load(steps, TRIED) * load(flat, K * n + i))
    call(rates, ((flat, POINT * n), *arrays, (flat, NEW * n)), numbers)
    for i in range(n):
        store(flat, NEW * n + i, load(flat, NEW * n + i) - load(flat, K * n + i))
    measure(flat, steps, n, NEW, X, rtol, atol)
    for lane in range(control.shape[1]):
        h0, d1 = control[TRIED, lane], np.sqrt(control[ERRORS + 1, lane] / n)
        d2 = np.sqrt(control[X, lane] / n) / h0
        if d1 <= 1e-15 and d2 <= 1e-15:
            h1 = max(1e-6, 1e-3 * h0)
        else:
            h1 = (0.01 / (d1 if d1 > d2 else d2)) ** 0.125
        largest = min(100.0 * h0, interval)
        control[STEP, lane] = largest if h1 >= largest else h1 if h1 > 0.0 else 0.0  # nan is neither


@part_of_kernel
def measure(flat, steps, n, row, found, rtol, atol):
    """Write the sum of squares of a row of the work array over the tolerance at y."""
    total = 0.0 * load(steps, TIME)
    for i in range(n):
        total = total + np.square(load(flat, row * n + i) / (atol + rtol * abs(load(flat, Y * n + i))))
    store(steps, found, total)

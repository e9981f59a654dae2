r"""The Runge-Kutta method of order 8 of Dormand and Prince, compiled, for one solution or for WIDTH in lockstep.

Coefficients, error norm, choice of the first and the next step, and interpolation are those of
:class:`scipy.integrate.DOP853`, so that its digits are found again (Hairer, Norsett & Wanner, Solving Ordinary
Differential Equations I, section II.10). A step from y adds :math:`h \sum_s b_s k_s` with slopes
:math:`k_s = f(y + h \sum_{s'} a_{ss'} k_{s'})`. It is accepted if the error norm

.. math::
    \varepsilon = h\, \frac{|e_5|^2}{\sqrt{n\, (|e_5|^2 + 0.01\, |e_3|^2)}}

is below 1, where :math:`e_5` and :math:`e_3` are two more such sums over the tolerance of each component. The next step
is :math:`0.9\, \varepsilon^{-1/8}` times as long. Between the ends of a step the solution is a polynomial of degree 7.

Solutions in lockstep attempt their steps together, each of a length of its own, and share nothing else: what is found
for one does not depend on its neighbours.
"""

import functools

import numpy as np
from numba import njit

from .._compiled import INNER, call, jitable
from .._lanes import fma, load, store

__all__ = [
    "COMPLETED",
    "CONTROL",
    "DIVERGED",
    "ERRORS",
    "GOING",
    "LIMIT",
    "NEW",
    "NEXT",
    "POINT",
    "ROWS",
    "STATUS",
    "STEP",
    "STOPPED",
    "TIME",
    "TOO_SMALL",
    "TRIED",
    "advance",
    "part_of_kernel",
    "tables",
    "within",
]  # fmt: skip

LAST, EXTRA, TERMS = 12, 3, 4  # the slope at the end of a step, those that interpolation adds, and its terms
# Rows of the table of sums over slopes: arguments of slopes 1 to LAST, errors, arguments of the extra slopes, terms
FIFTH, THIRD = LAST + 1, LAST + 2
ARGUMENTS = THIRD + 1
POLYNOMIAL = ARGUMENTS + EXTRA
# Rows of the work array in units of n numbers
Y, NEW, POINT, K = 0, 1, 2, 3
TERM = K + LAST + 1 + EXTRA
ROWS = TERM + TERMS
# Rows of the control array, one column a solution
TIME, STEP, TRIED, STATUS, NEXT, LIMIT, REJECTED, END, ERRORS, X, STOPPED = 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11
CONTROL = 12
GOING, COMPLETED, DIVERGED, TOO_SMALL = range(4)
SAFETY, SMALLEST, LARGEST = 0.9, 0.2, 10.0  # the next step over this one

part_of_kernel = njit(error_model="numpy", **INNER)


@functools.cache
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sums over slopes: weights, the slopes they belong to, and how many there are in each row."""
    from scipy.integrate import DOP853 as METHOD  # imported late: half of the package's import time

    rows = [METHOD.A[s] for s in range(LAST)] + [METHOD.B, METHOD.E5, METHOD.E3, *METHOD.A_EXTRA, *METHOD.D]
    dense = np.zeros((len(rows), LAST + 1 + EXTRA))
    for found, row in zip(dense, rows):
        found[: len(row)] = row
    which = np.argsort(dense == 0, axis=1, kind="stable")
    return np.take_along_axis(dense, which, axis=1), which, np.count_nonzero(dense, axis=1)


@njit(cache=True, nogil=True, error_model="numpy")
def advance(
    rates, arrays, numbers, tables, flat, work, steps, control, alpha, out, norms, rtol, atol, attempts
):  # fmt: skip
    """Attempt so many steps of all solutions; return earlier where one diverged, and False where none is left.

    `work`, shape (ROWS n, lanes), and `control`, shape (CONTROL, lanes), are `flat` and `steps` as :mod:`tsode._lanes`
    takes them. States at the times `alpha` go to `out`, shape (lanes, T, n). `norms` are their places and
    weights; their sum is to stay below the limit. Of a solution that diverged the last step is left in `work`.
    """
    n = work.shape[0] // ROWS
    for _ in range(attempts):
        if not propose(control, alpha[-1]):
            return False
        first, diverged = 1, False
        while first < POLYNOMIAL:
            last = POLYNOMIAL + TERMS if first > 1 else ARGUMENTS
            for row in range(first, last):
                combine(tables, flat, n, row)
                if row < FIFTH or (row >= ARGUMENTS and row < POLYNOMIAL):
                    slope(rates, arrays, numbers, flat, steps, n, row)
                elif row < ARGUMENTS:
                    measure(flat, steps, n, row, rtol, atol)
                else:
                    keep(flat, steps, n, row)
            first = last
            if last == ARGUMENTS:
                wanted, diverged = judge(control, work, n, alpha, norms)
                if not wanted:
                    break
        while first > ARGUMENTS and place(control, alpha):
            evaluate(flat, steps, n)
            record(control, work, n, out)
        accept(control, work, n, alpha[-1])
        if diverged:
            break
    return True


@part_of_kernel
def combine(tables, flat, n, row):
    """Write a sum over slopes; four at a time are read once."""
    weights, which, counts = tables
    first, count = POINT * n, counts[row]
    for i in range(n):
        store(flat, first + i, 0.0)
    for c in range(0, count - 3, 4):
        a, b, d, e = weights[row, c], weights[row, c + 1], weights[row, c + 2], weights[row, c + 3]
        ka, kb = (K + which[row, c]) * n, (K + which[row, c + 1]) * n
        kd, ke = (K + which[row, c + 2]) * n, (K + which[row, c + 3]) * n
        for i in range(n):
            found = fma(load(flat, ka + i), a, load(flat, first + i))
            found = fma(load(flat, kb + i), b, found)
            found = fma(load(flat, kd + i), d, found)
            store(flat, first + i, fma(load(flat, ke + i), e, found))
    for c in range(count - count % 4, count):
        a, ka = weights[row, c], (K + which[row, c]) * n
        for i in range(n):
            store(flat, first + i, fma(load(flat, ka + i), a, load(flat, first + i)))


@part_of_kernel
def slope(rates, arrays, numbers, flat, steps, n, row):
    """Write the slope at y plus the step times a sum over slopes."""
    h, target = load(steps, TRIED), (NEW if row == LAST else POINT) * n
    for i in range(n):
        store(flat, target + i, load(flat, Y * n + i) + h * load(flat, POINT * n + i))
    first = (K + row if row <= LAST else K + row - ARGUMENTS + LAST + 1) * n
    call(rates, ((flat, target), *arrays, (flat, first)), numbers)


@part_of_kernel
def measure(flat, steps, n, row, rtol, atol):
    """Write the sum of squares of an error over the tolerance."""
    total = 0.0 * load(steps, TIME)
    for i in range(n):
        size = np.maximum(abs(load(flat, Y * n + i)), abs(load(flat, NEW * n + i)))
        total = total + np.square(load(flat, POINT * n + i) / (atol + rtol * size))
    store(steps, ERRORS + row - FIFTH, total)


@part_of_kernel
def keep(flat, steps, n, row):
    """Keep a term of the polynomial that is the solution within the step."""
    h, first = load(steps, TRIED), (TERM + row - POLYNOMIAL) * n
    for i in range(n):
        store(flat, first + i, h * load(flat, POINT * n + i))


@part_of_kernel
def evaluate(flat, steps, n):
    """Write the solution at a fraction X of the step."""
    h, x = load(steps, TRIED), load(steps, X)
    for i in range(n):
        begin = load(flat, Y * n + i)
        store(
            flat, POINT * n + i,
            within(
                x, h, begin, load(flat, NEW * n + i), load(flat, K * n + i), load(flat, (K + LAST) * n + i),
                load(flat, TERM * n + i), load(flat, (TERM + 1) * n + i), load(flat, (TERM + 2) * n + i),
                load(flat, (TERM + 3) * n + i),
            ),
        )  # fmt: skip


@jitable
def within(x, h, y, new, slope, new_slope, a, b, c, d):
    """Return the solution at a fraction x of a step h from y to new, of which the slopes and four terms are known."""
    rest, change = 1.0 - x, new - y
    found = ((((d * x + c) * rest + b) * x + a) * rest + (2.0 * change - h * (new_slope + slope))) * x
    return y + ((found + (h * slope - change)) * rest + change) * x


# One solution after the other, column by column -----------------------------------------------------------------------


@part_of_kernel
def propose(control, end):
    """Set the step to be tried, zero for what has ended; return whether any is under way."""
    going = False
    for lane in range(control.shape[1]):
        control[TRIED, lane] = 0.0
        if control[STATUS, lane] != GOING:
            continue
        time = control[TIME, lane]
        smallest = 10.0 * (np.nextafter(time, np.inf) - time)
        if not control[STEP, lane] >= smallest:
            if control[REJECTED, lane]:
                control[STATUS, lane], control[STOPPED, lane] = TOO_SMALL, time
                continue
            control[STEP, lane] = smallest
        control[END, lane] = min(time + control[STEP, lane], end)
        control[TRIED, lane] = control[STEP, lane] = control[END, lane] - time
        going = True
    return going


@part_of_kernel
def judge(control, work, n, alpha, norms):
    """Set the next steps; return whether one that is accepted holds a record or a divergence, and the latter."""
    wanted, diverged = False, False
    for lane in range(control.shape[1]):
        if control[STATUS, lane] != GOING:
            continue
        fifth, third = control[ERRORS, lane], control[ERRORS + 1, lane]
        error = 0.0
        if fifth != 0.0 or third != 0.0:
            error = control[TRIED, lane] * fifth / np.sqrt((fifth + 0.01 * third) * n)
        factor = SAFETY * error**-0.125
        if not error < 1.0:  # nan is not
            control[STEP, lane] *= factor if factor > SMALLEST else SMALLEST
            control[REJECTED, lane], control[TRIED, lane] = 1.0, 0.0
            continue
        control[STEP, lane] *= min(1.0 if control[REJECTED, lane] else LARGEST, factor)
        control[REJECTED, lane] = 0.0
        total = 0.0
        for i in range(norms.shape[0]):
            total += norms[i, 1] * work[NEW * n + int(norms[i, 0]), lane]
        if not total < control[LIMIT, lane]:
            control[STATUS, lane], wanted, diverged = DIVERGED, True, True
        elif alpha[int(control[NEXT, lane])] <= control[END, lane]:
            wanted = True
    return wanted, diverged


@part_of_kernel
def place(control, alpha):
    """Set for each solution where within its step the next record lies, or -1; return whether there is any."""
    found = False
    for lane in range(control.shape[1]):
        control[X, lane] = -1.0
        following = int(control[NEXT, lane])
        if control[TRIED, lane] > 0.0 and following < len(alpha) and alpha[following] <= control[END, lane]:
            control[X, lane] = (alpha[following] - control[TIME, lane]) / control[TRIED, lane]
            found = True
    return found


@part_of_kernel
def record(control, work, n, out):
    """Copy what was evaluated to the records."""
    for lane in range(control.shape[1]):
        if control[X, lane] >= 0.0:
            following = int(control[NEXT, lane])
            for i in range(n):
                out[lane, following, i] = work[POINT * n + i, lane]
            control[NEXT, lane] += 1.0


@part_of_kernel
def accept(control, work, n, end):
    """Go on from the end of the steps that were accepted."""
    for lane in range(control.shape[1]):
        if control[TRIED, lane] > 0.0 and control[STATUS, lane] == GOING:
            for i in range(n):
                work[Y * n + i, lane] = work[NEW * n + i, lane]
                work[K * n + i, lane] = work[(K + LAST) * n + i, lane]
            control[TIME, lane] = control[END, lane]
            if control[END, lane] >= end:
                control[STATUS, lane], control[STOPPED, lane] = COMPLETED, end

r"""The discrete adjoint of the compiled integrator: derivatives of a number with respect to all it depends on.

A step of the Runge-Kutta method takes y to :math:`y + h \sum_s b_s k_s` with slopes :math:`k_s = f(Y_s, \theta)` at
:math:`Y_s = y + h \sum_{s'} a_{ss'} k_{s'}`. Let a bar denote the derivative of the number with respect to a quantity.
From that of the step's end, :math:`\bar y`, the last slope first,

.. math::
    \bar k_s = h \Big( b_s \bar y + \sum_{s' > s} a_{s's} \bar Y_{s'} \Big) , \qquad
    \bar Y_s = (\partial f / \partial y)^T \bar k_s , \qquad
    \bar\theta \mathrel{+}= (\partial f / \partial \theta)^T \bar k_s ,

and :math:`\bar y + \sum_s \bar Y_s` is that of its beginning. These are the derivatives of what the integrator computes
with its steps held fixed. One solution back costs a few times the solution itself, however many the parameters are.

The right-hand side is taken back in the same way, through K, :math:`F = J \Omega` and J. Averages that do not say how
they are taken back are differentiated by central differences, one evaluation and one more for each number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit

from .._compiled import CFunction, call, jitable, with_name_of
from .._multiply import multiply
from ..activations.error_averages import Averages
from .dop853 import COMPLETED, GOING, LAST, ROWS, STATUS, TIME, K, Y, advance
from .rates import rates_of

__all__ = ["backward", "forward", "pullback_function"]

DIFFERENCE = 6e-6  # cube root of the rounding: what central differences take as a step of a number near 1


@njit(cache=True, nogil=True, error_model="numpy")
def forward(
    rates, arrays, numbers, tables, work, control, alpha, learning_rates, out, norms, rtol, atol
):  # fmt: skip
    """Integrate one solution, with a learning rate of its own between any two times.

    Returns beginning and length of each step, shape (steps, n + 1), and how many there are up to each time, shape (T,),
    zero from the time on that was not reached. States at the times go to `out`, shape (1, T, n).
    """
    n, count, ends = work.shape[0] // ROWS, 0, np.zeros(alpha.shape[0], np.intp)
    flat, steps = work.reshape(work.size), control.reshape(control.size)
    history = np.empty((64, n + 1))
    for piece in range(learning_rates.shape[0]):
        arrays[1][0] = learning_rates[piece]
        if piece > 0:
            call(rates, (flat, *arrays, (flat, K * n)), numbers)
            control[STATUS, 0] = GOING
        more = True
        while more:
            if count == history.shape[0]:
                longer = np.empty((2 * count, n + 1))
                longer[:count] = history
                history = longer
            time = control[TIME, 0]
            for i in range(n):
                history[count, i] = work[Y * n + i, 0]
            more = advance(
                rates, arrays, numbers, tables, flat, work, steps, control, alpha[: piece + 2], out, norms, rtol,
                atol, np.int64(1),  # a plain 1 is a type of its own, for which all of it is compiled once more
            )  # fmt: skip
            if control[TIME, 0] > time:
                history[count, n] = control[TIME, 0] - time
                count += 1
            more = more and control[STATUS, 0] == GOING
        if control[STATUS, 0] != COMPLETED:
            break
        ends[piece + 1] = count
    return history[:count], ends


@njit(cache=True, nogil=True, error_model="numpy")
def backward(
    rates, pullback, arrays, numbers, tables, history, ends, learning_rates, record_bars, P_bar, parameters_bar,
    learning_rates_bar,
):  # fmt: skip
    """Take derivatives with respect to the states at the times, shape (T, n), back to the beginning; return those.

    Those with respect to P and the parameters are added to `P_bar` and `parameters_bar`, those with respect to the
    learning rates written to `learning_rates_bar`.
    """
    n = record_bars.shape[1]
    work = np.empty((3, LAST * n))
    y_bar = record_bars[-1].copy()
    for piece in range(learning_rates.shape[0] - 1, -1, -1):
        arrays[1][0] = learning_rates[piece]
        before = parameters_bar[0]
        for step in range(ends[piece + 1] - 1, ends[piece] - 1, -1):
            step_back(rates, pullback, arrays, numbers, tables, history[step], work, y_bar, P_bar, parameters_bar)
        learning_rates_bar[piece] = parameters_bar[0] - before
        y_bar += record_bars[piece]
    return y_bar


@njit(nogil=True, error_model="numpy")
def step_back(rates, pullback, arrays, numbers, tables, step, work, y_bar, P_bar, parameters_bar):
    """Take `y_bar`, shape (n,), back through one step, given as its beginning and its length."""
    n = y_bar.shape[0]
    h, points, slopes, slope_bars, point_bar = step[n], work[0], work[1], work[2], np.empty(n)
    for s in range(LAST):
        for i in range(n):
            points[s * n + i] = step[i]
        add_slopes(tables, s, h, slopes, points)
        call(rates, ((points, s * n), *arrays, (slopes, s * n)), numbers)
    slope_bars[:] = 0.0
    add_back(tables, LAST, h, y_bar, slope_bars)
    for s in range(LAST - 1, -1, -1):
        call(
            pullback, ((points, s * n), *arrays, (slope_bars, s * n), point_bar, P_bar, parameters_bar),
            (*numbers, parameters_bar.shape[0]),
        )  # fmt: skip
        add_back(tables, s, h, point_bar, slope_bars)
        for i in range(n):
            y_bar[i] += point_bar[i]


@jitable
def add_slopes(tables, s, h, slopes, points):
    """Add to argument s what earlier slopes move it by."""
    weights, which, counts = tables
    n = points.shape[0] // LAST
    for c in range(counts[s]):
        factor, first = h * weights[s, c], which[s, c] * n
        for i in range(n):
            points[s * n + i] += factor * slopes[first + i]


@jitable
def add_back(tables, s, h, bar, slope_bars):
    """Add to the derivatives with respect to earlier slopes what comes from that with respect to argument s."""
    weights, which, counts = tables
    for c in range(counts[s]):
        factor, first = h * weights[s, c], which[s, c] * bar.shape[0]
        for i in range(bar.shape[0]):
            slope_bars[first + i] += factor * bar[i]


@functools.cache
def pullback_function(averages: Averages) -> CFunction:
    """Return the C function that takes dy/dalpha back.

    It takes y, the arrays of :class:`tsode.ode.rates.Rates`, the derivatives with respect to dy/dalpha, those with
    respect to y, P and the parameters, of which the first are written and the others added to, the numbers of Rates,
    and the number of parameters that are differentiated: those of the rule, the first.
    """
    pullback = (_by_differences if averages.drift_back is None else _by_formulas)(averages)

    @with_name_of(pullback)
    def entry(
        y, P, parameters, beside, omega, J, F, K, dy_bar, y_bar, P_bar, parameters_bar,
        p, p_star, n_parameters, n_scalars, spherical, second_order, n_bars,
    ):  # fmt: skip
        n = p + p_star
        pullback(
            carray(y, (p * n,)), carray(P, (p_star * p_star,)), carray(parameters, (n_parameters,)),
            carray(beside, (3,)), carray(omega, (n, n)), carray(J, (p, n)), carray(F, (p, n)), carray(K, (p, p)),
            carray(dy_bar, (p * n,)), carray(y_bar, (p * n,)), carray(P_bar, (p_star * p_star,)),
            carray(parameters_bar, (n_bars,)), p, p_star, n_parameters, n_scalars, spherical, second_order, n_bars,
        )  # fmt: skip

    return CFunction(pullback, entry, 12, 7)


def _by_differences(averages: Averages) -> Callable[..., Any]:
    """Return the pullback of averages that have none of their own."""
    rates = rates_of(averages)

    @jitable
    @with_name_of(rates)
    def pullback(
        y, P, parameters, beside, omega, J, F, K, dy_bar, y_bar, P_bar, parameters_bar,
        p, p_star, n_parameters, n_scalars, spherical, second_order, n_bars,
    ):  # fmt: skip
        size, counts = p * (p + p_star), (p, p_star, n_parameters, n_scalars, spherical, second_order)
        upper, lower = np.empty(size), np.empty(size)
        for kind in range(3):
            values = y if kind == 0 else P if kind == 1 else parameters
            bars = y_bar if kind == 0 else P_bar if kind == 1 else parameters_bar
            for i in range(size if kind == 0 else bars.shape[0]):
                here = values[i]
                step = DIFFERENCE * max(1.0, abs(here))
                values[i] = here + step
                rates(y, P, parameters, beside, omega, J, F, K, upper, *counts)
                values[i] = here - step
                rates(y, P, parameters, beside, omega, J, F, K, lower, *counts)
                values[i] = here
                total = 0.0 if kind == 0 else bars[i]
                for j in range(size):
                    total += dy_bar[j] * (upper[j] - lower[j]) / (2.0 * step)
                bars[i] = total

    return pullback


def _by_formulas(averages: Averages) -> Callable[..., Any]:
    """Return the pullback of averages that say how they are taken back."""
    drift, noise, drift_back, noise_back = averages.drift, averages.noise, averages.drift_back, averages.noise_back

    @jitable
    @with_name_of(drift, noise, drift_back, noise_back)
    def pullback(
        y, P, parameters, beside, omega, J, F, K, dy_bar, y_bar, P_bar, parameters_bar,
        p, p_star, n_parameters, n_scalars, spherical, second_order, n_bars,
    ):  # fmt: skip
        n, first = p + p_star, p * p_star
        for i in range(p):
            for r in range(p_star):
                omega[i, p + r] = omega[p + r, i] = y[i * p_star + r]
            for j in range(p):
                omega[i, j] = y[first + i * p + j]
        for r in range(p_star):
            for q in range(p_star):
                omega[p + r, p + q] = P[r * p_star + q]
        drift(omega, parameters, J)
        multiply(J, omega, F)
        if second_order and spherical:  # elsewhere K itself is not asked for
            noise(omega, parameters, J, F, K)
        omega_bar, J_bar, F_bar, K_bar = np.zeros((n, n)), np.zeros((p, n)), np.zeros((p, n)), np.zeros((p, p))
        for i in range(p * n):
            y_bar[i] = 0.0
        for k in range(p):
            for r in range(p_star):
                F_bar[k, p + r] = dy_bar[k * p_star + r]
            for l in range(p):
                K_bar[k, l] = 0.5 * (dy_bar[first + k * p + l] + dy_bar[first + l * p + k])
        if spherical:
            norms_back(y, F, K, second_order, y_bar, F_bar, K_bar)
        for k in range(p):
            for l in range(p):
                F_bar[k, l] += 2.0 * K_bar[k, l]
        if second_order:
            noise_back(omega, parameters, J, F, K_bar, J_bar, F_bar, omega_bar, parameters_bar)
        turned, found = np.empty((n, p)), np.empty((n, n))
        multiply(F_bar, omega, F)  # whose own numbers are no longer needed
        for k in range(p):
            for j in range(n):
                J_bar[k, j] += F[k, j]
                turned[j, k] = J[k, j]
        multiply(turned, F_bar, found)
        for i in range(n):
            for j in range(n):
                omega_bar[i, j] += found[i, j]
        drift_back(omega, parameters, J_bar, omega_bar, parameters_bar)
        for i in range(p):
            for r in range(p_star):
                y_bar[i * p_star + r] += omega_bar[i, p + r] + omega_bar[p + r, i]
            for j in range(p):
                y_bar[first + i * p + j] += omega_bar[i, j]
        for r in range(p_star):
            for q in range(p_star):
                P_bar[r * p_star + q] += omega_bar[p + r, p + q]

    return pullback


@jitable
def norms_back(
    y: np.ndarray,
    F: np.ndarray,
    K: np.ndarray,
    second_order: int,
    y_bar: np.ndarray,
    F_bar: np.ndarray,
    K_bar: np.ndarray,
) -> None:
    """Take the spherical constraint back: :func:`tsode.ode.rhs.keep_norms`. K_bar is that of dQ and symmetric."""
    p = K.shape[0]
    p_star = F.shape[1] - p
    first = p * p_star
    half_bar = np.zeros(p)
    for k in range(p):
        K_bar[k, k] = 0.0
    for k in range(p):
        half = F[k, k] + (0.5 * K[k, k] if second_order else 0.0)
        for r in range(p_star):
            bar = F_bar[k, p + r]
            y_bar[k * p_star + r] -= half * bar
            half_bar[k] -= y[k * p_star + r] * bar
        for l in range(p):
            y_bar[first + k * p + l] -= half * K_bar[k, l]
            y_bar[first + l * p + k] -= half * K_bar[k, l]
            half_bar[k] -= 2.0 * y[first + k * p + l] * K_bar[k, l]
    for k in range(p):
        K_bar[k, k] = 0.5 * half_bar[k]

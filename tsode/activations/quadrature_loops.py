r"""The averages of two smooth activations by quadrature, as compiled loops: the same sums as in NumPy.

The formulas are those of :mod:`tsode.activations.averages` and :mod:`tsode.activations.error_averages`. Activations are
called by address on 16 nodes at once, so that all of this is compiled once for all of them. J is exact to 1e-12. For K
the number of nodes is that of the first level whose relative error at a generic point is at most the tolerance of the
integrator, measured as the difference from the next level. For tanh, student and teacher of norm 1, one right-hand side
takes, and K is off by,

========= ============== ============== ==============
tolerance (2, 2)         (4, 4)         (8, 4)
========= ============== ============== ==============
1e-4      0.3 ms, 6e-5   4 ms, 3e-5     50 ms, 4e-6
1e-6      0.5 ms, 6e-7   7 ms, 4e-7     100 ms, 1e-7
1e-7      0.7 ms, 2e-8   18 ms, 3e-8    150 ms, 1e-8
1e-8      1.1 ms, 2e-9   35 ms, 3e-9    300 ms, 1e-9
========= ============== ============== ==============

on one slow core. A function without poles near the real axis (the logistic one times x, sines) has 1e-9 at the first
level. The errors are relative to the terms of the squared error: close to a solution, where they cancel, K has fewer
digits. :meth:`tsode.activations.Activation.accuracy` estimates its error at any point. Tolerances that the last level
does not reach are not reached. Beyond widths of about 10 the quadrature takes seconds a step: there
:func:`tsode.simulate` in high dimension, which needs no averages, is the better answer.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numba
import numpy as np

from .._compiled import evaluate, evaluation_function, jitable
from .._lanes import WIDTH, fma, load, store
from . import levels
from .averages import AROUND, LARGEST, NODES, RANGE, SMALL, STENCIL, check_smooth
from .error_averages import NEGLIGIBLE, Averages, by_quadrature, error_squared
from .loops import Loops
from .quadrature_nodes import line_of, planned, rows_of
from .units import part

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["accuracy", "averages", "constants"]

SECOND = np.ascontiguousarray(STENCIL[:, 0])  # takes the slope around a point to the second derivative


@part
def sum_of(array, row):
    """Return the sum of a row."""
    total = 0.0
    for q in range(array.shape[1]):
        total += array[row, q]
    return total


@part
def second_moment(c, spread, powers, total):
    r"""Write :math:`\sum_n \sum_{ij} r_{ij}^n c_i^n c_j^n` of 16 nodes; unit i has c^n in row i (order + 2) + n."""
    n, orders = spread.shape[0], powers.shape[0]
    first = load(c, 0)
    for i in range(1, n):
        first = first + load(c, i * orders)
    found = first * first
    for i in range(n):
        if spread[i] > 0.0:
            for m in range(1, orders):
                own = load(c, i * orders + m)
                others = own
                for j in range(i):
                    if spread[j] > 0.0:
                        others = fma(load(c, j * orders + m), 2.0 * powers[m, i, j], others)
                found = fma(own, others, found)
    store(total, 0, found)


@part
def coefficients(function, i, u, spread, nodes, work):
    """Write u c^n of unit i for 16 nodes, whose means stand in row 0 of `Z`."""
    (y, h), (Z, S, c) = nodes, work
    orders, mean = h.shape[1] + 1, load(Z, 0)
    if spread == 0.0:
        evaluate(function, 1, Z, S, Z)
        store(c, i * orders, u * load(S, 0))
        return
    for q in range(y.shape[0]):
        store(Z, q, mean + spread * y[q])
    evaluate(function, y.shape[0], Z, S, Z)
    zeroth, square = 0.0 * mean, 0.0 * mean
    for q in range(y.shape[0]):
        s = load(S, q)
        s_h = s * h[q, 0]
        zeroth, square = zeroth + s_h, fma(s, s_h, square)
    store(c, i * orders, u * zeroth)
    left = square - zeroth * zeroth
    for m in range(1, orders - 1, 4):  # four at a time stay in registers
        c_0, c_1, c_2, c_3 = 0.0 * mean, 0.0 * mean, 0.0 * mean, 0.0 * mean
        for q in range(y.shape[0]):
            s = load(S, q)
            c_0, c_1 = fma(s, h[q, m], c_0), fma(s, h[q, m + 1], c_1)
            c_2, c_3 = fma(s, h[q, m + 2], c_2), fma(s, h[q, m + 3], c_3)
        left = left - c_0 * c_0 - c_1 * c_1 - c_2 * c_2 - c_3 * c_3
        store(c, i * orders + m, u * c_0)
        store(c, i * orders + m + 1, u * c_1)
        store(c, i * orders + m + 2, u * c_2)
        store(c, i * orders + m + 3, u * c_3)
    store(c, i * orders + orders - 1, u * np.sqrt(np.maximum(left, 0.0)))


@jitable
def squared(omega: np.ndarray, u: np.ndarray, noise_variance: float, numbers: np.ndarray, K: np.ndarray) -> None:
    r"""Write :math:`E[D^2 s'_k s'_l]`; `numbers` are the level and the addresses of both activations."""
    p, n, X = K.shape[0], omega.shape[0], rows_of(omega)
    level, functions = int(numbers[0]), (int(numbers[1]), int(numbers[2]))
    for k in range(p):
        for l in range(k + 1):
            parallel, R, along, spread, powers, nodes, weights, y, h = planned(X, k, l, level)
            Z, S, c = (
                np.zeros((y.shape[0], WIDTH)),
                np.zeros((y.shape[0], WIDTH)),
                np.zeros((n * (h.shape[1] + 1), WIDTH)),
            )
            slopes, square, total = np.zeros((2, WIDTH)), np.zeros((1, WIDTH)), np.zeros((1, WIDTH))
            for a in range(1 if parallel else nodes.size):
                x = 0.0 if parallel else nodes[a // WIDTH, a % WIDTH]
                first_weight = 1.0 if parallel else weights[a // WIDTH, a % WIDTH]
                for b in range(nodes.shape[0]):
                    if first_weight * max(weights[b, 0], weights[b, WIDTH - 1], weights[b, 7]) < NEGLIGIBLE / 10:
                        continue
                    z = load(nodes, b)
                    store(Z, 0, R[0, 0] * x + R[0, 1] * z)
                    store(Z, 1, R[1, 0] * x + R[1, 1] * z)
                    evaluate(functions[0], 2, Z, S, slopes)
                    for i in range(n):
                        store(Z, 0, along[i, 0] * x + along[i, 1] * z)
                        coefficients(functions[0 if i < p else 1], i, u[i], spread[i], (y, h), (Z, S, c))
                    second_moment(c, spread, powers, square)
                    weight = load(slopes, 0) * load(slopes, 1) * (load(square, 0) + noise_variance)
                    store(total, 0, fma(first_weight * load(weights, b), weight, load(total, 0)))
            K[k, l] = sum_of(total, 0)
            K[l, k] = K[k, l]


@part
def pair_slopes(first, second, c_xx, c_xz, c_zz, w, weights):
    """Return E[s' g'] and E[s'' g]."""
    a, top = np.sqrt(max(c_xx, 0.0)), np.sqrt(max(c_zz, 0.0))
    b = max(-top, min(top, c_xz / a)) if a > 0.0 else 0.0
    r = np.sqrt(max(c_zz - b * b, 0.0))
    size = max(w.size, len(AROUND))
    Z, G, G_1, sums = np.zeros((size, WIDTH)), np.zeros((size, WIDTH)), np.zeros((size, WIDTH)), np.zeros((2, WIDTH))
    for block in range(w.shape[0]):
        u, weight = load(w, block), load(weights, block)
        for q in range(w.size):
            store(Z, q, b * u + r * w[q // WIDTH, q % WIDTH])
        evaluate(second, w.size, Z, G, G_1)
        g, g_1 = 0.0 * u, 0.0 * u
        for q in range(w.size):
            g = fma(load(G, q), weights[q // WIDTH, q % WIDTH], g)
            g_1 = fma(load(G_1, q), weights[q // WIDTH, q % WIDTH], g_1)
        store(Z, 0, a * u)
        evaluate(first, 1, Z, G, G_1)
        s_1 = load(G_1, 0)
        store(sums, 0, load(sums, 0) + weight * s_1 * g_1)
        if a > SMALL:
            store(sums, 1, load(sums, 1) + weight * u * s_1 * g)
        else:
            for q in range(len(AROUND)):
                store(Z, q, a * u + AROUND[q])
            evaluate(first, len(AROUND), Z, G, G_1)
            s_2 = 0.0 * u
            for q in range(len(AROUND)):
                s_2 = fma(load(G_1, q), SECOND[q], s_2)
            store(sums, 1, load(sums, 1) + weight * s_2 * g)
    slopes, second_slope = sum_of(sums, 0), sum_of(sums, 1)
    return slopes, (second_slope - b * slopes) / a if a > SMALL else second_slope


@jitable
def drift(omega: np.ndarray, u: np.ndarray, noise_variance: float, numbers: np.ndarray, J: np.ndarray) -> None:
    """Write E[d(D s'_k)/dz_j]."""
    p, n = J.shape
    functions, widest = (int(numbers[1]), int(numbers[2])), 1.0
    for i in range(n):
        widest = max(widest, omega[i, i])
    w, weights = line_of(2 * int(np.ceil(NODES * min(np.sqrt(widest), LARGEST))) + 1, RANGE)
    for k in range(p):
        curvature = 0.0
        for j in range(n):
            function = functions[0 if j < p else 1]
            slopes, second = pair_slopes(functions[0], function, omega[k, k], omega[k, j], omega[j, j], w, weights)
            J[k, j] = u[j] * slopes
            curvature += u[j] * second
        J[k, k] += curvature


LOOPS = Loops(drift, squared)


def averages(student: Activation, teacher: Activation) -> Averages:
    """Return the Averages of two smooth activations."""
    check_smooth(student)
    check_smooth(teacher)
    return by_quadrature(student, teacher) if numba.config.DISABLE_JIT else LOOPS.averages()


def constants(student: Activation, teacher: Activation, rtol: float = 1e-8) -> tuple[float, ...]:
    """Return what the right-hand side reads after the readouts: with a level and the addresses of both activations."""
    if numba.config.DISABLE_JIT:
        return ()
    return LOOPS.constants(_numbers(student, teacher, levels.level_of(_squared, student, teacher, rtol)))


def _squared(student, teacher, omega, v, v_star, noise_variance, level):
    """Return E[D^2 s'_k s'_l] as the ODEs have it."""
    check_smooth(student)
    check_smooth(teacher)
    if numba.config.DISABLE_JIT:
        return error_squared(student, teacher, omega, v, v_star, noise_variance, level)
    return LOOPS.error_squared(omega, v, v_star, noise_variance, _numbers(student, teacher, level))


accuracy = functools.partial(levels.accuracy, _squared)


def _numbers(student, teacher, level):
    return (float(level), *(float(_evaluation(activation).address) for activation in (student, teacher)))


@functools.cache
def _evaluation(activation):
    """Return the compiled evaluation of an activation, which stays where it is."""
    return evaluation_function(activation.function)

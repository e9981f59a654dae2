r"""The averages of two smooth activations by quadrature, as compiled loops: the same sums as in NumPy.

The formulas are those of :mod:`tsode.activations.averages` and :mod:`tsode.activations.error_averages`. The activations
are called on 16 nodes at once. Times of one right-hand side and relative error of K for tanh, student and teacher of
norm 1 (one core; a function without poles near the real axis has smaller errors):

====== ======= ======= =======
level  0       1       2
====== ======= ======= =======
error  5e-5    6e-7    3e-8
====== ======= ======= =======
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from .._compiled import evaluate, evaluation_function, jitable
from .._lanes import WIDTH, fma, load, store
from .averages import AROUND, LARGEST, NODES, RANGE, SMALL, STENCIL, check_smooth
from .error_averages import INNER, NEGLIGIBLE, OUTER, PARALLEL, WIDEST, Averages, by_quadrature, times_readouts
from .units import part, unit_rows

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["averages", "constants"]

SECOND = np.ascontiguousarray(STENCIL[:, 0])  # takes the slope around a point to the second derivative


@part
def line_of(count: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return equispaced nodes and their normal weights, shapes (blocks, WIDTH), filled up with weights of zero."""
    blocks = (count + WIDTH - 1) // WIDTH
    nodes, weights = np.zeros((blocks, WIDTH)), np.zeros((blocks, WIDTH))
    total = 0.0
    for i in range(count):
        x = reach * (2.0 * i / (count - 1) - 1.0)
        nodes[i // WIDTH, i % WIDTH] = x
        weights[i // WIDTH, i % WIDTH] = math.exp(-0.5 * x * x)
        total += weights[i // WIDTH, i % WIDTH]
    return nodes, weights / total


@part
def basis_of(x, z):
    """Return R and V, shapes (2, 2) and (2, n), with R V = (x, z): R is symmetric, or its first column zero.

    The latter is where both are parallel: the second row of V is then their direction.
    """
    V, R = np.zeros((2, x.shape[0])), np.zeros((2, 2))
    xx, zz = np.sqrt(np.dot(x, x)), np.sqrt(np.dot(z, z))
    if xx == 0.0 and zz == 0.0:
        return R, V
    V[0] = x / xx if xx > 0.0 else z / zz
    along = np.dot(V[0], z)
    V[1] = z - along * V[0]
    V[1] -= np.dot(V[0], V[1]) * V[0]
    across = np.sqrt(np.dot(V[1], V[1]))
    if across * xx <= PARALLEL * (xx * xx + zz * zz):
        V[1] = x / xx if xx >= zz else z / zz
        V[0] = 0.0
        R[0, 1], R[1, 1] = np.dot(V[1], x), np.dot(V[1], z)
        return R, V
    V[1] /= across
    angle = math.atan2(along, xx + across)  # of the rotation in [[xx, 0], [along, across]]
    c, s = math.cos(angle), math.sin(angle)
    R[0, 0], R[0, 1], R[1, 1] = xx * c, xx * s, along * s + across * c
    R[1, 0] = R[0, 1]
    first = c * V[0] - s * V[1]
    V[1] = s * V[0] + c * V[1]
    V[0] = first
    return R, V


@part
def conditioned(X, R, V, order):
    """Return the components of the units along V, the norms of the rest, and the powers of its correlations."""
    n = X.shape[0]
    along, spread, rest = np.empty((n, 2)), np.empty(n), np.empty_like(X)
    for i in range(n):
        along[i, 0], along[i, 1] = np.dot(X[i], V[0]), np.dot(X[i], V[1])
        rest[i] = X[i] - along[i, 0] * V[0] - along[i, 1] * V[1]
        spread[i] = np.sqrt(np.dot(rest[i], rest[i]))
        if spread[i] <= PARALLEL * np.sqrt(np.dot(X[i], X[i])):
            spread[i], rest[i] = 0.0, 0.0
        else:
            rest[i] /= spread[i]
    powers = np.ones((order + 2, n, n))
    for i in range(n):
        for j in range(n):
            r = np.dot(rest[i], rest[j])
            for m in range(1, order + 2):
                powers[m, i, j] = powers[m - 1, i, j] * r
    return along, spread, powers


@part
def hermite_of(widest, order, level):
    """Return nodes y, shape (nodes,), and the weighted polynomials, shape (nodes, order + 1)."""
    count = 2 * int((15 + 2 * level) * min(max(1.0, widest), WIDEST)) + 1
    y, h = np.empty(count), np.zeros((count, order + 1))
    total = 0.0
    for q in range(count):
        y[q] = INNER * (2.0 * q / (count - 1) - 1.0)
        h[q, 0] = math.exp(-0.5 * y[q] * y[q])
        total += h[q, 0]
    for q in range(count):
        h[q, 0] /= total
        h[q, 1] = y[q] * h[q, 0]
        for m in range(2, order + 1):
            h[q, m] = (y[q] * h[q, m - 1] - math.sqrt(m - 1.0) * h[q, m - 2]) / math.sqrt(m)
    return y, h


@part
def planned(X, k, l, level):
    """Return all that the sums for units k and l need beside the activations."""
    order = 12 + 4 * level
    R, V = basis_of(X[k], X[l])
    along, spread, powers = conditioned(X, R, V, order)
    widest = min(max(1.0, np.abs(R).max()), WIDEST)
    parallel = R[0, 0] == 0.0 and R[1, 0] == 0.0
    count = 61 + 16 * level if parallel else 27 + 8 * level
    nodes, weights = line_of(2 * int(count * widest / 2) + 1, OUTER)
    first, first_weights = nodes.ravel(), weights.ravel()
    if parallel:
        first, first_weights = np.zeros(1), np.ones(1)
    y, h = hermite_of(spread.max(), order, level)
    return R, along, spread, powers, first, first_weights, nodes, weights, y, h


@part
def rows_of(omega):
    """Return vectors with the covariances, shape (n, n)."""
    n = omega.shape[0]
    norms, X = np.empty(n), np.empty((n, n))
    unit_rows(omega, norms, X)
    return X * norms.reshape(-1, 1)


@part
def second_moment(c, spread, powers, total):
    r"""Write :math:`\sum_n \sum_{ij} r_{ij}^n c_i^n c_j^n` of 16 nodes; c^n of unit i is row i (order + 2) + n of `c`."""
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
def coefficients(function, i, u, spread, y, h, Z, S, c):
    """Write u c^n of unit i for 16 nodes, whose means stand in row 0 of `Z`."""
    orders, mean = h.shape[1] + 1, load(Z, 0)
    if spread == 0.0:
        evaluate(function, Z[:1], S, Z)
        store(c, i * orders, u * load(S, 0))
        return
    for q in range(y.shape[0]):
        store(Z, q, mean + spread * y[q])
    evaluate(function, Z, S, Z)
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


@part
def squared(omega, u, noise_variance, level, functions, K):
    r"""Write :math:`E[D^2 s'_k s'_l]` to K; `functions` are the addresses of both activations."""
    p, n, X = K.shape[0], omega.shape[0], rows_of(omega)
    for k in range(p):
        for l in range(k + 1):
            R, along, spread, powers, first, first_weights, nodes, weights, y, h = planned(X, k, l, level)
            Z, S, c = np.zeros((y.shape[0], WIDTH)), np.zeros((y.shape[0], WIDTH)), np.zeros((n * len(powers), WIDTH))
            slopes, square, total = np.zeros((2, WIDTH)), np.zeros((1, WIDTH)), np.zeros((1, WIDTH))
            for a in range(first.shape[0]):
                for b in range(nodes.shape[0]):
                    if first_weights[a] * weights[b].max() < NEGLIGIBLE / 10:
                        continue
                    x, z = first[a], load(nodes, b)
                    store(Z, 0, R[0, 0] * x + R[0, 1] * z)
                    store(Z, 1, R[1, 0] * x + R[1, 1] * z)
                    evaluate(functions[0], Z[:2], S, slopes)
                    for i in range(n):
                        store(Z, 0, along[i, 0] * x + along[i, 1] * z)
                        coefficients(functions[0 if i < p else 1], i, u[i], spread[i], y, h, Z, S, c)
                    second_moment(c, spread, powers, square)
                    weight = load(slopes, 0) * load(slopes, 1) * (load(square, 0) + noise_variance)
                    store(total, 0, fma(first_weights[a] * load(weights, b), weight, load(total, 0)))
            K[k, l] = total.sum()
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
        evaluate(second, Z[: w.size], G, G_1)
        g, g_1 = 0.0 * u, 0.0 * u
        for q in range(w.size):
            g = fma(load(G, q), weights[q // WIDTH, q % WIDTH], g)
            g_1 = fma(load(G_1, q), weights[q // WIDTH, q % WIDTH], g_1)
        store(Z, 0, a * u)
        evaluate(first, Z[:1], G, G_1)
        s_1 = load(G_1, 0)
        store(sums, 0, load(sums, 0) + weight * s_1 * g_1)
        if a > SMALL:
            store(sums, 1, load(sums, 1) + weight * u * s_1 * g)
        else:
            for q in range(len(AROUND)):
                store(Z, q, a * u + AROUND[q])
            evaluate(first, Z[: len(AROUND)], G, G_1)
            s_2 = 0.0 * u
            for q in range(len(AROUND)):
                s_2 = fma(load(G_1, q), SECOND[q], s_2)
            store(sums, 1, load(sums, 1) + weight * s_2 * g)
    slopes, second_slope = sums[0].sum(), sums[1].sum()
    return slopes, (second_slope - b * slopes) / a if a > SMALL else second_slope


@part
def fill_drift(omega, parameters, functions, J):
    """Write J of gradient descent."""
    p, n = J.shape
    u, widest = parameters[2:], 1.0
    for i in range(n):
        widest = max(widest, omega[i, i])
    w, weights = line_of(2 * int(np.ceil(NODES * min(np.sqrt(widest), LARGEST))) + 1, RANGE)
    for k in range(p):
        curvature = 0.0
        for j in range(n):
            function = functions[0 if j < p else 1]
            slopes, second = pair_slopes(functions[0], function, omega[k, k], omega[k, j], omega[j, j], w, weights)
            J[k, j] = -parameters[0] * u[k] * u[j] * slopes
            curvature += u[j] * second
        J[k, k] -= parameters[0] * u[k] * curvature


# Jitable, since what is under njit is not found in the cache from closures over it.


@jitable
def drift(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray) -> None:
    """Write J of gradient descent."""
    n = omega.shape[0]
    fill_drift(omega, parameters, (int(parameters[3 + n]), int(parameters[4 + n])), J)


@jitable
def noise(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray, F: np.ndarray, K: np.ndarray) -> None:
    """Write K of gradient descent."""
    n = omega.shape[0]
    u, functions = parameters[2 : 2 + n], (int(parameters[3 + n]), int(parameters[4 + n]))
    squared(omega, u, parameters[1] * parameters[1], int(parameters[2 + n]), functions, K)
    times_readouts(parameters, K)


AVERAGES = Averages(drift, noise)


def averages(student: Activation, teacher: Activation) -> Averages:
    """Return the Averages of two smooth activations."""
    check_smooth(student)
    check_smooth(teacher)
    return by_quadrature(student, teacher) if numba.config.DISABLE_JIT else AVERAGES


def constants(student: Activation, teacher: Activation) -> tuple[float, ...]:
    """Return the level of the quadrature and the addresses of both activations, whole numbers below 2^53."""
    if numba.config.DISABLE_JIT:
        return ()
    return (1.0, *(float(evaluation(activation).address) for activation in (student, teacher)))


@functools.cache
def evaluation(activation: Activation) -> Any:
    """Return the compiled evaluation of an activation, which stays where it is."""
    return evaluation_function(activation.function)

"""Nodes of the compiled quadrature, and the geometry of conditioning on two units."""

import math
from typing import Any

import numpy as np

from .._lanes import WIDTH
from .error_averages import INNER, OUTER, PARALLEL, WIDEST
from .units import part, unit_rows

__all__ = ["line_of", "planned", "rows_of"]


@part
def dot(x, i, y, j):
    """Return the inner product of row i and row j."""
    total = 0.0
    for q in range(x.shape[1]):
        total += x[i, q] * y[j, q]
    return total


# Plain loops: views, slices and NumPy's functions of arrays take Numba seconds to compile.


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
    for i in range(count):
        weights[i // WIDTH, i % WIDTH] /= total
    return nodes, weights


@part
def basis_of(X, k, l, R, V):
    """Write R and V, shapes (2, 2) and (2, n), with R V = (X_k, X_l): R is symmetric, or its first column zero.

    The latter is where both are parallel: the second row of V is then their direction.
    """
    n, xx, zz, along, across = X.shape[0], math.sqrt(dot(X, k, X, k)), math.sqrt(dot(X, l, X, l)), 0.0, 0.0
    longer = k if xx >= zz else l
    longest = max(xx, zz)
    for q in range(n):
        V[1, q] = X[longer, q] / longest if longest > 0.0 else 0.0
        V[0, q] = X[k, q] / xx if xx > 0.0 else 0.0
    R[0, 1], R[1, 1] = dot(X, k, V, 1), dot(X, l, V, 1)
    if k == l or xx == 0.0 or zz == 0.0:
        return True
    for turn in range(2):  # once more: what rounding left
        part_along = dot(V, 0, X, l) if turn == 0 else dot(V, 0, V, 1)
        along += part_along
        for q in range(n):
            V[1, q] = (X[l, q] if turn == 0 else V[1, q]) - part_along * V[0, q]
    across = math.sqrt(dot(V, 1, V, 1))
    if across * xx <= PARALLEL * (xx * xx + zz * zz):
        for q in range(n):
            V[1, q] = X[longer, q] / longest
        return True
    angle = math.atan2(along, xx + across)  # of the rotation in [[xx, 0], [along, across]]
    c, s = math.cos(angle), math.sin(angle)
    R[0, 0], R[0, 1], R[1, 1] = xx * c, xx * s, along * s + across * c
    R[1, 0] = R[0, 1]
    for q in range(n):
        x, z = V[0, q], V[1, q] / across
        V[0, q], V[1, q] = c * x - s * z, s * x + c * z
    return False


@part
def conditioned(X, parallel, V, along, spread, powers):
    """Write the components of the units along V, the norms of the rest, and the powers of its correlations."""
    n = X.shape[0]
    rest = np.empty((n, n))
    for i in range(n):
        along[i, 0], along[i, 1] = 0.0 if parallel else dot(X, i, V, 0), dot(X, i, V, 1)
        for q in range(n):
            rest[i, q] = X[i, q] - along[i, 0] * V[0, q] - along[i, 1] * V[1, q]
        spread[i] = math.sqrt(dot(rest, i, rest, i))
        if spread[i] <= PARALLEL * math.sqrt(dot(X, i, X, i)):
            spread[i] = 0.0
    for i in range(n):
        for j in range(n):
            both = spread[i] * spread[j]
            r = dot(rest, i, rest, j) / both if both > 0.0 else 0.0
            powers[0, i, j] = 1.0
            for m in range(1, powers.shape[0]):
                powers[m, i, j] = powers[m - 1, i, j] * r


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
def planned(X: np.ndarray, k: int, l: int, level: int) -> Any:
    """Return all that the sums for units k and l need beside the activations."""
    order, n = 12 + 4 * level, X.shape[0]
    R, V, along, spread = np.zeros((2, 2)), np.zeros((2, n)), np.empty((n, 2)), np.empty(n)
    powers = np.empty((order + 2, n, n))
    parallel = basis_of(X, k, l, R, V)
    conditioned(X, parallel, V, along, spread, powers)
    widest, spread_most = max(1.0, abs(R[0, 0]), abs(R[0, 1]), abs(R[1, 1])), 0.0
    for i in range(n):
        spread_most = max(spread_most, spread[i])
    count = 61 + 16 * level if parallel else 27 + 8 * level
    nodes, weights = line_of(2 * int(count * min(widest, WIDEST) / 2) + 1, OUTER)
    y, h = hermite_of(spread_most, order, level)
    return parallel, R, along, spread, powers, nodes, weights, y, h


@part
def rows_of(omega: np.ndarray) -> np.ndarray:
    """Return vectors with the covariances, shape (n, n)."""
    n = omega.shape[0]
    norms, X = np.empty(n), np.empty((n, n))
    unit_rows(omega, norms, X)
    for i in range(n):
        for q in range(n):
            X[i, q] *= norms[i]
    return X

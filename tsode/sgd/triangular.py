r"""The lower triangular form of a matrix by rotations of its columns, which leave :math:`R R^T` as it is.

These are Householder's reflections, of which four go through a row together. The shapes of a block of the chain are too
small for LAPACK: this takes about half of the time of its QR, and hardly more than a Cholesky factor of
:math:`R R^T`, which would lose half of the digits of rows that nearly depend on each other.
"""

import math

import numpy as np
from numba import njit

from .._compiled import prefer_wide_vectors

__all__ = ["triangulate"]

PANEL = 4  # reflections that go through a row together
TINY = 2.0**-500  # far below rounding, and its square is still a number
SUMS = {"error_model": "numpy", "fastmath": {"contract", "reassoc"}}  # sums in any order, hence vectors


@njit(inline="always", **SUMS)
def inner(a, b):
    """Return the sum of products."""
    total = 0.0
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


@njit(inline="always", **SUMS)
def reflect(row, v):
    """Turn a row into a multiple of (1, 0, 0, ...); write v and return tau of the reflection 1 - tau v v^T."""
    norm = math.sqrt(inner(row, row))
    if norm < TINY:
        row[:] = 0.0
        v[:] = 0.0
        return 0.0
    turned = norm if row[0] < 0.0 else -norm  # away from the row: nothing cancels
    inverse = 1.0 / turned
    for j in range(row.shape[0]):
        v[j] = inverse * row[j]
        row[j] = 0.0
    v[0] -= 1.0
    row[0] = turned
    return -1.0 / v[0]


@njit(inline="always", **SUMS)
def turn(rows, first, start, V, tau):
    """Let four reflections go through the rows from `first` on, in the columns from `start` on, two rows at a time."""
    v0, v1, v2, v3 = V[0, start:], V[1, start:], V[2, start:], V[3, start:]
    products = inner(v0, v1), inner(v0, v2), inner(v0, v3), inner(v1, v2), inner(v1, v3), inner(v2, v3)
    columns, count = v0.shape[0], rows.shape[0]
    for i in range(first, count, 2):
        alone = i + 1 == count  # then the other row is the same, and nothing is taken off it
        a, b = rows[i, start:], rows[i if alone else i + 1, start:]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
        for j in range(columns):
            a0 += a[j] * v0[j]
            a1 += a[j] * v1[j]
            a2 += a[j] * v2[j]
            a3 += a[j] * v3[j]
            b0 += b[j] * v0[j]
            b1 += b[j] * v1[j]
            b2 += b[j] * v2[j]
            b3 += b[j] * v3[j]
        a0, a1, a2, a3 = parts(tau, products, a0, a1, a2, a3)
        b0, b1, b2, b3 = (0.0, 0.0, 0.0, 0.0) if alone else parts(tau, products, b0, b1, b2, b3)
        for j in range(columns):
            a[j] -= a0 * v0[j] + a1 * v1[j] + a2 * v2[j] + a3 * v3[j]
            b[j] -= b0 * v0[j] + b1 * v1[j] + b2 * v2[j] + b3 * v3[j]


@njit(inline="always", **SUMS)
def parts(tau, products, w0, w1, w2, w3):
    """Return what each reflection takes off a row, from the sums of products; the next one no longer finds it there."""
    v01, v02, v03, v12, v13, v23 = products
    w0 = tau[0] * w0
    w1 = tau[1] * (w1 - w0 * v01)
    w2 = tau[2] * (w2 - w0 * v02 - w1 * v12)
    w3 = tau[3] * (w3 - w0 * v03 - w1 * v13 - w2 * v23)
    return w0, w1, w2, w3


@njit(cache=True, nogil=True, **SUMS)
def triangulate(rows: np.ndarray, start: int) -> None:
    """Make the columns of `rows` from `start` on lower triangular, in place; there are at least as many as rows.

    Rows of zeros are as good as others.
    """
    prefer_wide_vectors()
    p, columns = rows.shape
    V, tau = np.empty((PANEL, columns)), np.empty(PANEL)
    for first in range(0, p, PANEL):
        last = min(first + PANEL, p)
        V[:, start + first : start + last] = 0.0
        for k in range(first, last):
            v = V[k - first, start + k :]
            tau[k - first] = reflect(rows[k, start + k :], v)
            for i in range(k + 1, last):
                row = rows[i, start + k :]
                w = tau[k - first] * inner(row, v)
                for j in range(row.shape[0]):
                    row[j] -= w * v[j]
        if last < p:
            turn(rows, last, start + first, V, tau)

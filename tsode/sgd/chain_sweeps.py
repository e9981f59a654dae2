r"""What one sample does to the rows [A | L] of a student, for WIDTH runs in lockstep or for one.

All arrays hold numbers of runs as `tsode._lanes` has them. A and L stand column by column: A_kr is number r p + k of
`A`, L_kj is number j p + k of `L`.
"""

import numpy as np
from numba import njit

from .._lanes import fma, inverse_root, load, power_of_two, store

__all__ = ["absorb", "add", "collect", "finish", "normalise", "project", "retire", "shrink", "train"]

# Inlined: otherwise a dozen numbers an array would be handed over at every sample.
part_of_kernel = njit(inline="always", error_model="numpy")

TINY = 2.0**-500  # far below rounding, and its square is still a number


@part_of_kernel
def project(A, T, Z, first, lam, mu):
    """Write A u into `lam` and T u into `mu`; return |u|^2. u stands in Z from number `first` on."""
    p, p_star = lam.shape[0], mu.shape[0]
    x = load(Z, first)
    size = x * x
    for k in range(p):
        store(lam, k, load(A, k) * x)
    for r in range(p_star):
        store(mu, r, T[r, 0] * x)
    for q in range(1, p_star):
        x = load(Z, first + q)
        size = fma(x, x, size)
        for k in range(p):
            store(lam, k, fma(load(A, q * p + k), x, load(lam, k)))
        for r in range(p_star):
            store(mu, r, fma(x, T[r, q], load(mu, r)))
    return size


@part_of_kernel
def collect(L, Z, first, squares, column):
    """Rotate (g, rho), rho^2 = `squares`, into its length w: write L g into `column`; return w^2 and 1/w.

    The rotations go through the columns of L from last to first. What they collect is `column` / w so far, and the one
    at j has cosine w_before / w and sine g_j / w.
    """
    p = column.shape[0]
    root = inverse_root(squares)
    for k in range(p):
        store(column, k, 0.0)
    for j in range(p - 1, -1, -1):
        x = load(Z, first + j)
        total = fma(x, x, squares)
        inverse = inverse_root(total)
        keep = squares * root * inverse
        mix = x * root * inverse
        squares, root = total, inverse
        for k in range(j, p):
            entry, collected = load(L, j * p + k), load(column, k)
            store(L, j * p + k, fma(keep, entry, -(mix * collected)))
            store(column, k, fma(x, entry, collected))
    return squares, root


@part_of_kernel
def finish(lam, column):
    """Add L g to what A u gave for lambda; return the square of its length."""
    y = load(lam, 0) + load(column, 0)
    store(lam, 0, y)
    size = y * y
    for k in range(1, lam.shape[0]):
        y = load(lam, k) + load(column, k)
        store(lam, k, y)
        size = fma(y, y, size)
    return size


@part_of_kernel
def add(A, column, change, p_star, Z, first, squares, root, rate):
    """Add the step: A grows by rate C u^T, and `column` becomes the column L g / w + rate C w that is left over."""
    p = change.shape[0]
    for r in range(p_star):
        x = rate * load(Z, first + r)
        for k in range(p):
            store(A, r * p + k, fma(load(change, k), x, load(A, r * p + k)))
    length = rate * squares
    for k in range(p):
        store(column, k, root * fma(load(change, k), length, load(column, k)))


@part_of_kernel
def shrink(A, L, column, keep):
    """Multiply all rows, and what the rotations collected of them, by a number."""
    for i in range(A.shape[0]):
        store(A, i, keep * load(A, i))
    for i in range(L.shape[0]):
        store(L, i, keep * load(L, i))
    for k in range(column.shape[0]):
        store(column, k, keep * load(column, k))


@part_of_kernel
def train(scalars, change, keep, rate):
    """Let trained scalars decay, and add their step."""
    for i in range(scalars.shape[0]):
        store(scalars, i, fma(rate, load(change, i), keep * load(scalars, i)))


@part_of_kernel
def absorb(L, column):
    """Rotate `column` into the triangular L, column by column, so that L L^T grows by column column^T.

    What is left of the column is y / sqrt(s): roots are then needed for L alone, and no step of the sweep waits for
    that of the step before. Powers of two keep s between 1/4 and 1. Where the diagonal and y are zero nothing turns:
    TINY is added to the diagonal, and taken off again.
    """
    p = column.shape[0]
    y = load(column, 0)
    s = 0.0 * y + 1.0
    inverse_s = s
    for j in range(p):
        x = load(L, j * p + j) + TINY
        square = fma(s * x, x, y * y)
        scale = power_of_two(square)
        inverse = inverse_root(square)
        turn = inverse_s * inverse
        store(L, j * p + j, fma(square, turn, -TINY))
        cosine, sine, minus_y = x * s * turn, y * turn, -y
        s = square * scale * scale
        inverse_s = inverse * power_of_two(scale * scale)
        for k in range(p - 1, j, -1):  # the last one is the next to be turned away, and need not go through memory
            entry, left = load(L, j * p + k), load(column, k)
            store(L, j * p + k, fma(cosine, entry, sine * left))
            y = fma(x, left, minus_y * entry) * scale
            store(column, k, y)


@part_of_kernel
def normalise(A, L, p, p_star):
    """Rescale every row of [A | L] to unit length."""
    for k in range(p):
        x = load(A, k)
        norm = x * x
        for r in range(1, p_star):
            x = load(A, r * p + k)
            norm = fma(x, x, norm)
        for j in range(k + 1):
            x = load(L, j * p + k)
            norm = fma(x, x, norm)
        norm = inverse_root(norm)
        for r in range(p_star):
            store(A, r * p + k, load(A, r * p + k) * norm)
        for j in range(k + 1):
            store(L, j * p + k, load(L, j * p + k) * norm)


@part_of_kernel
def retire(A, L, fine, ended, step):
    """Set the runs that are not fine to zero, and note the sample at which they came to that."""
    before = load(ended, 0)
    store(ended, 0, np.where(fine | (before >= 0.0), before, step))
    for i in range(A.shape[0]):
        store(A, i, np.where(fine, load(A, i), 0.0))
    for i in range(L.shape[0]):
        store(L, i, np.where(fine, load(L, i), 0.0))

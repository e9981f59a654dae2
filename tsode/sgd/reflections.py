"""The lower triangular form of a matrix by reflections of its columns, for WIDTH runs in lockstep or for one.

The arrays hold numbers of runs as `tsode._lanes` has them. Householder's reflections from the right leave
:math:`R R^T` as it is; for one wide matrix there is `tsode.sgd.triangular`.
"""

import numpy as np
from numba import njit

from .._compiled import INNER
from .._lanes import fma, load, store

__all__ = ["lower_triangle"]

TINY = 2.0**-500  # far below rounding, and its square is still a number
part_of_kernel = njit(inline="always", error_model="numpy")


@part_of_kernel
def inner(R, k, v, first, last):
    """Return the sum of products of row k and v in the columns from `first` to `last`, four sums at a time."""
    zero = 0.0 * load(v, first)
    a, b, c, d = zero, zero, zero, zero
    whole = first + (last - first) // 4 * 4
    for j in range(first, whole, 4):
        a = fma(load(R, k, j), load(v, j), a)
        b = fma(load(R, k, j + 1), load(v, j + 1), b)
        c = fma(load(R, k, j + 2), load(v, j + 2), c)
        d = fma(load(R, k, j + 3), load(v, j + 3), d)
    for j in range(whole, last):
        a = fma(load(R, k, j), load(v, j), a)
    return (a + b) + (c + d)


@njit(error_model="numpy", **INNER)
def lower_triangle(R: np.ndarray, start: int, v: np.ndarray) -> None:
    """Make the columns of R from `start` on lower triangular, in place; `v` has room for a row.

    There are at least as many columns as rows. Rows of zeros are as good as others.
    """
    rows, last = R.shape[0], R.shape[1]
    for k in range(rows):
        first = start + k
        for j in range(first, last):
            store(v, j, load(R, k, j))
        norm = np.sqrt(inner(R, k, v, first, last))
        nothing = norm < TINY
        here = load(v, first)
        turned = np.where(here < 0.0, norm, -norm)  # away from the row: nothing cancels
        inverse = np.where(nothing, 0.0, 1.0 / np.where(nothing, 1.0, turned))
        store(R, k, first, np.where(nothing, 0.0, turned))
        store(v, first, inverse * here - 1.0)
        for j in range(first + 1, last):
            store(v, j, inverse * load(v, j))
            store(R, k, j, 0.0)
        tau = np.where(nothing, 0.0, -1.0 / load(v, first))
        for i in range(k + 1, rows):
            w = -tau * inner(R, i, v, first, last)
            for j in range(first, last):
                store(R, i, j, fma(w, load(v, j), load(R, i, j)))

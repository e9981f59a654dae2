"""The product of small matrices, for compiled code: of one pair, or of WIDTH of them in lockstep."""

import numpy as np

from ._compiled import jitable
from ._lanes import fma, load, store

__all__ = ["multiply"]


@jitable
def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Write a b to `out`, four columns at a time, so that what is read of a is used four times.

    Parameters
    ----------
    a, b, out : ndarray, shapes (l, m), (m, n), (l, n)
        Matrices, as :mod:`tsode._lanes` has them.
    """
    inner, columns = b.shape[0], b.shape[1]
    full = columns - columns % 4
    for k in range(a.shape[0]):
        for j in range(0, full, 4):
            first = 0.0 * load(a, k, 0)
            second, third, fourth = first, first, first
            for i in range(inner):
                factor = load(a, k, i)
                first = fma(factor, load(b, i, j), first)
                second = fma(factor, load(b, i, j + 1), second)
                third = fma(factor, load(b, i, j + 2), third)
                fourth = fma(factor, load(b, i, j + 3), fourth)
            store(out, k, j, first)
            store(out, k, j + 1, second)
            store(out, k, j + 2, third)
            store(out, k, j + 3, fourth)
        for j in range(full, columns):
            first = 0.0 * load(a, k, 0)
            for i in range(inner):
                first = fma(load(a, k, i), load(b, i, j), first)
            store(out, k, j, first)

"""Vectors that stand for units: their products are the correlations."""

import numpy as np
from numba import njit

from .._compiled import FAST

__all__ = ["part", "unit_rows"]

part = njit(cache=True, nogil=True, **FAST)  # of what closures do not call directly

RANK = 1e-15  # squared length of a row, times the number of units, that counts as rounding


@part
def unit_rows(omega: np.ndarray, norms: np.ndarray, X: np.ndarray) -> None:
    """Write the norms of the units, and to X, shape (n, n or more), unit vectors with their correlations.

    The correlations are factorised with the largest pivot first, up to rounding. A unit of norm zero gets zeros.
    """
    n = omega.shape[0]
    left = np.zeros(n)
    for i in range(n):
        for q in range(X.shape[1]):
            X[i, q] = 0.0
        norms[i] = np.sqrt(max(omega[i, i], 0.0))
        left[i] = 1.0 if norms[i] > 0.0 else 0.0
    for step in range(n):
        j = 0
        for i in range(1, n):
            j = i if left[i] > left[j] else j
        if left[j] <= RANK * n:
            break
        root = np.sqrt(left[j])
        for i in range(n):
            if left[i] > 0.0 and i != j:
                entry = omega[i, j] / norms[i] / norms[j]
                for q in range(step):
                    entry -= X[i, q] * X[j, q]
                X[i, step] = entry / root
                left[i] = max(left[i] - X[i, step] * X[i, step], 0.0)
        X[j, step] = root
        left[j] = 0.0

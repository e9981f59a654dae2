"""The triangular root of a positive semidefinite matrix of any rank, for compiled code."""

import numpy as np

from ._compiled import jitable

__all__ = ["cholesky"]

ROUNDING = 1e-14  # of a diagonal element: what is left of it below this is no rank


@jitable
def cholesky(matrix: np.ndarray, root: np.ndarray) -> None:
    """Write lower triangular L with L L^T = `matrix` to `root`; what is not above zero is taken for zero.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Positive semidefinite; its lower triangle is read.
    root : ndarray, shape (n, n)
        What is written to.
    """
    for j in range(matrix.shape[0]):
        rest = matrix[j, j]
        for i in range(j):
            rest -= root[j, i] * root[j, i]
            root[i, j] = 0.0
        pivot = np.sqrt(rest) if rest > ROUNDING * matrix[j, j] else 0.0
        root[j, j] = pivot
        for k in range(j + 1, matrix.shape[0]):
            rest = matrix[k, j]
            for i in range(j):
                rest -= root[k, i] * root[j, i]
            root[k, j] = rest / pivot if pivot > 0.0 else 0.0

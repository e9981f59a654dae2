"""Which overlaps fluctuate: M and the lower triangle of Q, one after the other, and the way back to matrices."""

from __future__ import annotations

import numpy as np

from .._compiled import jitable
from ..model import TeacherStudent

__all__ = ["entries_of", "matrices_of", "norm_position", "pairs_of", "positions_of", "random_covariance"]


def pairs_of(model: TeacherStudent) -> np.ndarray:
    """Return the pair of preactivations that each entry belongs to, teachers after students, shape (2, n)."""
    p = model.p
    M = [(k, p + r) for k in range(p) for r in range(model.p_star)]
    return np.array([*zip(*M, *((k, l) for k in range(p) for l in range(k + 1)))], dtype=np.float64)


def positions_of(model: TeacherStudent) -> tuple[np.ndarray, np.ndarray]:
    """Return where the entries of M and Q stand, shapes (p, p_star) and (p, p)."""
    p, size = model.p, model.p * model.p_star
    larger, smaller = np.maximum.outer(range(p), range(p)), np.minimum.outer(range(p), range(p))
    return np.arange(size).reshape(p, -1), size + larger * (larger + 1) // 2 + smaller


@jitable
def norm_position(k: int, p: int, n: int) -> int:
    """Return where Q_kk stands among n entries."""
    return n - p * (p + 1) // 2 + k * (k + 3) // 2


def entries_of(M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return M and the lower triangle of Q as one vector, shape (n,)."""
    return np.concatenate([M.ravel(), Q[np.tril_indices(len(Q))]])


def matrices_of(entries: np.ndarray, model: TeacherStudent) -> tuple[np.ndarray, np.ndarray]:
    """Return M and Q of entries of shape (..., n)."""
    M, Q = positions_of(model)
    return entries[..., M], entries[..., Q]


def random_covariance(model: TeacherStudent, scale: float) -> np.ndarray:
    """Return N times the covariance of the overlaps of random weights with this standard deviation, shape (n, n).

    Of free weights it is exact at any N, and so is their mean.
    """
    M, Q = positions_of(model)
    C = np.zeros((Q[-1, -1] + 1, Q[-1, -1] + 1))
    for row in M:
        C[np.ix_(row, row)] = scale**2 * model.teacher_overlap
    off_diagonal = Q[np.tril_indices(model.p, -1)]
    C[off_diagonal, off_diagonal] = scale**4
    norms = np.diagonal(Q)
    C[norms, norms] = 0.0 if model.spherical else 2 * scale**4
    return C

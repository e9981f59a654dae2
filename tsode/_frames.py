"""Rows in a basis that fits the teacher, block by block of the inputs, and weights that have given overlaps there.

A block of n coordinates has rows of k = min(n, p + p_star) numbers. Where there are coordinates enough, the first
p_star directions span the teacher and the student's part beside them is lower triangular; otherwise they are the
coordinates.
"""

from __future__ import annotations

import numpy as np

from . import _checks
from ._linear_algebra import semidefinite_root

__all__ = ["frame", "random_frame", "realised", "root_of_rank"]


def root_of_rank(matrix: np.ndarray, size: int, scale: float = 0.0) -> np.ndarray:
    """Return F of at most `size` columns with F F^T = `matrix`, which must have no larger rank.

    What is small beside `scale` is no rank.
    """
    if size >= len(matrix):
        return semidefinite_root(matrix)
    values, vectors = np.linalg.eigh(matrix)
    if values[-size - 1] > _checks.PSD_TOLERANCE * max(values[-1], scale):
        raise ValueError(
            "`start` must be one that weights have, as Overlaps.from_weights(W, W_star, inputs) returns it: in a block "
            f"of {size} coordinates overlaps must have at most this rank, but have more"
        )
    return vectors[:, -size:] * np.sqrt(np.maximum(values[-size:], 0.0))


def frame(joint: np.ndarray, p: int, size: int) -> np.ndarray:
    """Return rows of student and teacher with the overlaps `joint` in a block, shape (p + p_star, k)."""
    n = len(joint)
    if size < n:
        return root_of_rank(joint, size)
    T = semidefinite_root(joint[p:, p:])
    A = joint[:p, p:] @ np.linalg.pinv(T).T
    L = np.transpose(np.linalg.qr(semidefinite_root(joint[:p, :p] - A @ A.T).T, mode="r"))
    return np.block([[A, L], [T, np.zeros((n - p, p))]])


def random_frame(P: np.ndarray, p: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return the same of random student weights of unit variance, not divided by sqrt(N), and a teacher with P."""
    p_star, T = len(P), root_of_rank(P, size)
    rows = np.zeros((p + p_star, min(size, p + p_star)))
    rows[p:, : T.shape[1]] = T
    if size < p + p_star:
        rows[:p] = rng.standard_normal((p, size))
        return rows
    rows[:p, :p_star] = rng.standard_normal((p, p_star))
    L = np.tril(rng.standard_normal((p, p)), -1)
    L[np.diag_indices(p)] = np.sqrt(rng.chisquare(size - p_star - np.arange(p)))
    rows[:p, p_star:] = L
    return rows


def realised(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows in random orthogonal directions of a block, shape (n, size)."""
    directions = np.linalg.qr(rng.standard_normal((size, rows.shape[1])))[0]
    return rows @ directions.T

"""Rows in a basis that fits the teacher, block by block of the inputs, and weights that have given overlaps there.

A block of n coordinates has rows of k = min(n, p + p_star) numbers. Where there are coordinates enough, the first
p_star directions span the teacher and the student's part beside them is lower triangular; otherwise they are the
coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _checks
from ._blocks import teacher_blocks
from ._linear_algebra import joint_matrix, semidefinite_root

if TYPE_CHECKING:
    from .model import TeacherStudent
    from .overlaps import Overlaps

__all__ = [
    "block_frames",
    "frame",
    "impose_overlaps",
    "random_frame",
    "random_frames",
    "random_rows",
    "random_teacher",
    "realised",
    "root_of_rank",
]


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


def random_rows(model: TeacherStudent, N: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return [A | L], shape (p, p_star + p): random weights / sqrt(N) of a student in a basis that fits the teacher.

    A is the part in the teacher's span, L the lower triangular factor of the rest's Gram matrix.
    """
    p, p_star = model.p, model.p_star
    A = rng.standard_normal((p, p_star))
    L = np.tril(rng.standard_normal((p, p)), -1)
    L[np.diag_indices(p)] = np.sqrt(rng.chisquare(N - p_star - np.arange(p)))
    rows = np.hstack([A, L]) * (scale / np.sqrt(N))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) if model.spherical else rows


def random_frames(model: TeacherStudent, N: int, scale: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Return random weights / sqrt(N) of a student, and the teacher, in each block: see :mod:`tsode._frames`."""
    inputs, p = model.inputs, model.p
    assert inputs is not None
    blocks = teacher_blocks(inputs, model.teacher_overlap)
    found = [random_frame(P, p, int(size), rng) for P, size in zip(blocks, inputs.sizes(N))]
    norms = sum(np.square(rows[:p]).sum(axis=1) for rows in found) / N if model.spherical else np.ones(p)
    for rows in found:
        rows[:p] *= (scale if not model.spherical else 1.0) / np.sqrt(N * norms)[:, None]
    return found


def random_teacher(model: TeacherStudent, N: int, rng: np.random.Generator) -> np.ndarray:
    """Return weights of a teacher in random directions of each block, shape (p_star, N)."""
    inputs = model.inputs
    assert inputs is not None
    pairs = [(P, int(size)) for P, size in zip(teacher_blocks(inputs, model.teacher_overlap), inputs.sizes(N))]
    return np.sqrt(N) * np.hstack([realised(root_of_rank(P, size), size, rng) for P, size in pairs])


def block_frames(start: Overlaps, N: int) -> list[np.ndarray]:
    """Return rows of student and teacher in each block that have given overlaps: see :mod:`tsode._frames`."""
    assert start.blocks is not None
    assert start.inputs is not None
    joints = joint_matrix(*start.blocks)
    return [frame(joint, start.p, int(size)) for joint, size in zip(joints, start.inputs.sizes(N))]


def impose_overlaps(tiles: np.ndarray, N: int, joint: np.ndarray) -> None:
    """Turn independent Gaussian weights, in place, into weights with exactly the overlaps `joint`.

    Parameters
    ----------
    tiles : ndarray, shape (n_tiles, rows, width)
        Columns of the weights tile by tile; columns past N are zero.
    N : int
        Input dimension, at least the number of rows.
    joint : ndarray, shape (rows, rows)
        Gram matrix / N that the rows are to have, positive semidefinite.

    Notes
    -----
    The rows are whitened by the Cholesky factor of their Gram matrix, three times, so that rounding is
    wiped out even for N = rows, where that matrix is badly conditioned; no copy of the weights is made.
    """
    target = semidefinite_root(joint)
    for last in (False, False, True):
        gram = sum(tile @ tile.T for tile in tiles) / N
        whitener = np.linalg.inv(np.linalg.cholesky(gram))
        whitener = target @ whitener if last else whitener
        for tile in tiles:
            tile[:] = whitener @ tile

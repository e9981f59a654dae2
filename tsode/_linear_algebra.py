"""Matrices that several rooms need: roots of Gram matrices, joint matrices of overlaps, polar factors."""

import numpy as np

__all__ = ["frobenius", "joint_matrix", "polar", "semidefinite_root", "weighted_sum"]


def semidefinite_root(matrix: np.ndarray) -> np.ndarray:
    """Return F with F F^T = `matrix` for a positive semidefinite matrix of any rank (Cholesky needs full rank)."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def joint_matrix(M: np.ndarray, Q: np.ndarray, P: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return [[Q, M], [M^T, P]] of overlaps with any leading axes, shape (..., p + p_star, p + p_star)."""
    p = Q.shape[-1]
    n = p + P.shape[-1]
    joint = np.empty((*M.shape[:-2], n, n)) if out is None else out
    joint[..., :p, :p], joint[..., :p, p:] = Q, M
    joint[..., p:, :p], joint[..., p:, p:] = np.swapaxes(M, -1, -2), P
    return joint


def polar(matrix: np.ndarray) -> np.ndarray:
    """Return the partial isometry U V^T of the singular value decomposition, shape (..., m, n) as `matrix`."""
    U, _, Vt = np.linalg.svd(matrix, full_matrices=False)
    return U @ Vt


def frobenius(matrix: np.ndarray) -> np.ndarray:
    """Return the Frobenius norm over the last two axes."""
    return np.sqrt(np.sum(np.square(matrix), axis=(-1, -2)))


def weighted_sum(weights: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return the sum of matrices times weights, shape (..., m, n) of shapes (B,) and (..., B, m, n)."""
    return np.einsum("b,...bmn->...mn", weights, matrices)

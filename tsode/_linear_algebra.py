"""Matrices that several rooms need: roots of Gram matrices, joint matrices of overlaps, polar factors."""

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["frobenius", "interruptible", "joint_matrix", "polar", "semidefinite_root", "weighted_sum"]


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


def interruptible(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``function(*arguments)``, from a thread of its own: Ctrl-C does not wait for a long call of LAPACK."""
    found: list[Any] = []
    context = contextvars.copy_context()

    def work():
        try:
            found.append((context.run(function, *arguments), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    result, error = found[0]
    if error is not None:
        raise error
    return result

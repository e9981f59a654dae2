r"""Rotations that leave the output of units, :math:`\sum_r v_r\, \sigma(u_r \cdot x)`, alone."""

import numpy as np

__all__ = ["beside", "commuting", "planes", "preserving"]

SAME = 1e-6  # difference of eigenvalues, relative to the largest, that counts as rounding


def beside(readout: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rotations of inputs orthogonal to all units that are read out, and the axes: for any activation."""
    used = rows[readout != 0]
    values, axes = _eigenvalues(used.T @ used)
    axes = axes[np.abs(values) < SAME]
    return planes(axes, np.zeros(len(axes))), axes


def commuting(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rotations that commute with a symmetric matrix, and the axes in its null space."""
    values, axes = _eigenvalues(matrix)
    return planes(axes, values, SAME), axes[np.abs(values) < SAME]


def planes(axes: np.ndarray, values: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """Return the rotations in the planes of any two axes, rows of an orthonormal matrix, whose values are the same."""
    found = [
        np.outer(axes[i], axes[j]) - np.outer(axes[j], axes[i])
        for i in range(len(axes))
        for j in range(i)
        if abs(values[i] - values[j]) <= tolerance
    ]
    return np.reshape(found, (-1, axes.shape[1], axes.shape[1]))


def preserving(readout: np.ndarray) -> np.ndarray:
    """Return Y with Y^T V + V Y = 0: rotations of two units with readouts of one sign, boosts of two of both signs.

    Units that are not read out turn among themselves.
    """
    p, found = len(readout), []
    for k, l in zip(*np.tril_indices(p, -1)):
        if (readout[k] == 0) == (readout[l] == 0):
            ratio = np.sqrt(abs(readout[l] / readout[k])) if readout[k] else 1.0
            Y = np.zeros((p, p))
            Y[k, l], Y[l, k] = ratio, -(np.sign(readout[k] * readout[l]) or 1.0) / ratio
            found.append(Y)
    return np.reshape(found, (-1, p, p))


def _eigenvalues(matrix):
    """Return the eigenvalues over the largest, and the eigenvectors in rows."""
    values, vectors = np.linalg.eigh(matrix)
    return values / max(np.abs(values).max(), np.finfo(float).tiny), vectors.T

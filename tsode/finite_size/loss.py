r"""Mean and variance of the loss, a function of the overlaps, from theirs.

.. math::
    N \left( E[L] - L_\mathrm{ODE} \right) = \nabla L \cdot m + \tfrac12 \mathrm{tr}(\nabla^2 L\, C) , \qquad
    N\, \mathrm{Var}(L) = \nabla L^T C\, \nabla L .
"""

from __future__ import annotations

import numpy as np

from ..model import TeacherStudent
from .layout import matrices_of, positions_of

__all__ = ["loss_correction", "loss_variance"]


def loss_variance(model: TeacherStudent, M: np.ndarray, Q: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Return N Var(L), shape (...) of the overlaps and their covariance, (..., n, n)."""
    slopes = _entries(*model.loss_slopes(M, Q))
    return np.maximum(np.einsum("...i,...ij,...j->...", slopes, C, slopes), 0.0)


def loss_correction(model: TeacherStudent, M: np.ndarray, Q: np.ndarray, C: np.ndarray, m: np.ndarray) -> float:
    """Return N (E[L] - L) at one point."""
    changes = matrices_of(np.eye(positions_of(model)[1][-1, -1] + 1), model)
    curvature = _entries(*model.loss_curvature(M, Q)(*changes))
    return float(_entries(*model.loss_slopes(M, Q)) @ m + np.sum(C * curvature) / 2)


def _entries(L_M, L_Q):
    """Return derivatives with respect to the entries, both Q_kl and Q_lk being one, shape (..., n)."""
    p = L_Q.shape[-1]
    both = L_Q + np.swapaxes(L_Q, -1, -2)
    both[..., range(p), range(p)] /= 2
    rows, columns = np.tril_indices(p)
    return np.concatenate([L_M.reshape(*L_M.shape[:-2], -1), both[..., rows, columns]], axis=-1)

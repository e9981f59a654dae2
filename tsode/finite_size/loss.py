r"""Mean and variance of the loss, a function of the overlaps, from theirs.

.. math::
    N \left( E[L] - L_\mathrm{ODE} \right) = \nabla L \cdot m + \tfrac12 \mathrm{tr}(\nabla^2 L\, C) , \qquad
    N\, \mathrm{Var}(L) = \nabla L^T C\, \nabla L .
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from .layout import matrices_of

if TYPE_CHECKING:
    from .result import Fluctuations

__all__ = ["LossMoments"]


class LossMoments:
    """Both, times N, shape (T,), found when they are asked for."""

    def __init__(self, fluctuations: Fluctuations) -> None:
        self.found = fluctuations

    @functools.cached_property
    def slopes(self) -> np.ndarray:
        """Derivatives of the loss with respect to the entries, shape (T, n)."""
        ode = self.found.ode
        return _entries(*self.found.model.loss_slopes(ode.M, ode.Q))

    @functools.cached_property
    def variance(self) -> np.ndarray:
        """N Var(L)."""
        return np.maximum(np.einsum("ti,tij,tj->t", self.slopes, self.found.covariance, self.slopes), 0.0)

    @functools.cached_property
    def correction(self) -> np.ndarray:
        """N (E[L] - L)."""
        model, ode = self.found.model, self.found.ode
        units = np.eye(self.slopes.shape[1])
        changes = matrices_of(units, model)
        second = [
            np.sum(C * _entries(*model.loss_curvature(M, Q)(*changes)))
            for M, Q, C in zip(ode.M, ode.Q, self.found.covariance)
        ]
        return np.einsum("ti,ti->t", self.slopes, self.found.correction) + np.array(second) / 2


def _entries(L_M, L_Q):
    """Return derivatives with respect to the entries, both Q_kl and Q_lk being one, shape (..., n)."""
    p = L_Q.shape[-1]
    both = L_Q + np.swapaxes(L_Q, -1, -2)
    both[..., range(p), range(p)] /= 2
    lower = np.tril_indices(p)
    return np.concatenate([L_M.reshape(*L_M.shape[:-2], -1), both[..., lower[0], lower[1]]], axis=-1)

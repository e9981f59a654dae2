r"""The rectified linear unit, :math:`\sigma(x) = \max(x, 0)`, and leaky ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _checks
from .._compiled import jitable, with_name_of
from .base import Activation

__all__ = ["ReLU"]


class ReLU(Activation):
    r"""The rectified linear unit, :math:`\sigma(x) = x` for x > 0 and :math:`b x` below.

    It has no second derivative at 0: Hessians on samples do not exist, and those of the population where no two units
    are parallel. Its averages are in :mod:`tsode.activations.piecewise_averages`.

    Parameters
    ----------
    slope : float
        The slope b below zero: 0 for the ReLU, -1 for the absolute value, between for leaky ones.

    Examples
    --------
    >>> ReLU()([-2.0, 0.0, 2.0])
    array([0., 0., 2.])
    >>> round(float(ReLU().pair(ReLU(), 1.0, 0.0, 1.0)), 10)  # 1 / (2 pi)
    0.1591549431
    """

    name = "relu"
    degree = 1

    def __init__(self, slope: float = 0.0) -> None:
        self.slope_below = _checks.number("slope", slope)

    @property
    def parameters(self) -> dict[str, Any]:
        """Keyword arguments that make it again."""
        return {"slope": self.slope_below} if self.slope_below else {}

    @property
    def sides(self) -> tuple[float, float]:  # type: ignore[override]
        """Its slopes on the left and on the right."""
        return self.slope_below, 1.0

    def own_curvatures(self, Q: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return `pair_curvatures` of all pairs of units; zero on the diagonal: E[s(x)^2] is linear in the variance."""
        q, found = np.diagonal(Q), np.zeros((6, *Q.shape))
        k, l = np.nonzero(~np.eye(len(q), dtype=bool))
        found[:, k, l] = self.pair_curvatures(self, q[k], Q[k, l], q[l])
        return tuple(found)

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return leaky(self.slope_below) if self.slope_below else relu


@jitable
def relu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positive part and its slope, 0 at 0."""
    return np.maximum(x, 0.0), np.where(x > 0.0, 1.0, 0.0)


@functools.lru_cache(maxsize=256)
def leaky(b: float) -> Callable[..., Any]:
    """Return the plain function of slope b below zero, and at zero."""

    @jitable
    @with_name_of(b)
    def leaky_relu(x):
        slope = np.where(x > 0.0, 1.0, b)
        return x * slope, slope

    return leaky_relu

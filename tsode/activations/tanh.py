r"""The hyperbolic tangent, :math:`\sigma(x) = \tanh x`; its averages come from quadrature."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._compiled import jitable
from .base import Activation

__all__ = ["Tanh"]


@jitable
def tanh(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tanh(x) and its slope."""
    t = np.tanh(x)
    return t, 1.0 - t * t


class Tanh(Activation):
    r"""The hyperbolic tangent.

    Examples
    --------
    >>> Tanh()([0.0, 40.0])
    array([0., 1.])
    """

    name = "tanh"

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return tanh

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Return its second derivative, shape of `x`."""
        value, slope = tanh(np.asarray(x, dtype=np.float64))
        return -2 * value * slope

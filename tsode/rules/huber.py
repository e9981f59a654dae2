r"""The loss of Huber: half the square of the error D up to a threshold, and linear beyond.

.. math::
    \ell' = \min(\max(D, -\delta), \delta), \qquad D = \hat y - y .

Errors beyond the threshold, as noise makes them, move the weights no more than those at it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr

from .. import _checks
from .._compiled import jitable
from .output_loss import OutputLoss

__all__ = ["Huber"]


class Huber(OutputLoss):
    """The loss of Huber.

    Parameters
    ----------
    threshold : float
        delta > 0, the error from which on the loss is linear.

    Examples
    --------
    >>> value, slope = Huber(threshold=1.0).function(np.array([3.0]), np.array([0.0]))
    >>> float(value[0]), float(slope[0])
    (2.5, 1.0)
    """

    name = "huber"
    breaks = None

    def __init__(self, threshold: float = 1.0) -> None:
        self.threshold = _checks.number("threshold", threshold, above=0.0)

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function (y_hat, label) -> (value, slope)."""
        threshold = self.threshold

        @jitable
        def huber(y_hat, label):
            """Return the loss and its slope."""
            error = y_hat - label
            slope = np.minimum(np.maximum(error, -threshold), threshold)
            return slope * (error - 0.5 * slope), slope

        return huber

    def lowest(self, label: np.ndarray, spread: float) -> float:
        """Return the mean loss of the noise."""
        if not spread:
            return 0.0
        a = self.threshold / spread
        density, beyond = math.exp(-a * a / 2) / math.sqrt(2 * math.pi), ndtr(-a)
        return spread**2 * (0.5 - beyond - a * density + 2 * a * density - a * a * beyond)

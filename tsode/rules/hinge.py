r"""The hinge loss of support vector machines, :math:`\ell = \max(0, \kappa - t \hat y)` for classes t = +1, -1.

The class is the sign of the teacher's output. A sample moves the weights only if the student's output is not beyond the
margin :math:`\kappa` on the right side: :math:`C_k = \eta\, t\, 1(t \hat y < \kappa)\, v_k \sigma'(\lambda_k)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _checks
from .._compiled import jitable
from .labels import Labels, Signs
from .output_loss import OutputLoss

__all__ = ["Hinge"]


class Hinge(OutputLoss):
    """The hinge loss.

    Parameters
    ----------
    margin : float
        kappa >= 0.

    Examples
    --------
    >>> value, slope = Hinge().function(np.array([0.25]), np.array([1.0]))
    >>> float(value[0]), float(slope[0])
    (0.75, -1.0)
    """

    name = "hinge"

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = _checks.number("margin", margin, minimum=0.0)

    @property
    def breaks(self) -> tuple[float, ...]:  # type: ignore[override]
        """Outputs at which the slope jumps, for either class."""
        return (-self.margin, self.margin) if self.margin else (0.0,)

    @property
    def labels(self) -> Labels:
        """The sign of the teacher's output."""
        return Signs()

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function (y_hat, label) -> (value, slope)."""
        margin = self.margin

        @jitable
        def hinge(y_hat, label):
            """Return the hinge loss and its slope."""
            lacking = margin - label * y_hat
            return np.maximum(lacking, 0.0), np.where(lacking > 0.0, -label, 0.0 * label)

        return hinge

    def lowest(self, label: np.ndarray, spread: float) -> np.ndarray:
        """Return what the other class costs an output at the margin."""
        return self.margin * (1 - np.abs(label))

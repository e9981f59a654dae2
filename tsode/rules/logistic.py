r"""Logistic regression: the cross-entropy between a class and what the student says of it.

.. math::
    \ell = \log(1 + e^{\hat y/T}) - t\, \hat y / T, \qquad \ell' = \frac1T \Big( \frac{1}{1 + e^{-\hat y/T}} - t \Big) ,

for a label t that is the teacher's probability of the first class, :math:`1/(1 + e^{-y/T})` ("soft"), a class drawn
with that probability ("bernoulli"), or the class that the sign of y says, :math:`1(y > 0)` ("hard").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import entr

from .. import _checks
from .._compiled import jitable
from .labels import Drawn, Labels, Signs, Soft
from .output_loss import OutputLoss

__all__ = ["Logistic"]

LABELS = {"soft": Soft, "hard": lambda temperature: Signs(), "bernoulli": Drawn}


class Logistic(OutputLoss):
    """Logistic regression on the output.

    Parameters
    ----------
    label : {"soft", "hard", "bernoulli"}
        The teacher's probability of the first class, the more probable class, or a class drawn with its probability.
    temperature : float
        T > 0: outputs over T are the logarithms of the odds.

    Examples
    --------
    >>> value, slope = Logistic().function(np.array([0.0]), np.array([1.0]))
    >>> float(slope[0])  # the first class, of which the student says 1/2
    -0.5
    """

    name = "logistic"

    def __init__(self, label: str = "soft", temperature: float = 1.0) -> None:
        self.label = _checks.choice("label", label, tuple(LABELS))
        self.temperature = _checks.number("temperature", temperature, above=0.0)

    @property
    def scale(self) -> float:  # type: ignore[override]
        """Change of the outputs over which the slope varies."""
        return 2 * self.temperature

    @property
    def labels(self) -> Labels:
        """Classes +1 and -1, or their mean."""
        return LABELS[self.label](self.temperature)

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function (y_hat, label) -> (value, slope); the label is 2 t - 1."""
        rate = 1.0 / self.temperature

        @jitable
        def cross_entropy(y_hat, label):
            """Return the cross-entropy and its slope."""
            x, t = rate * y_hat, 0.5 + 0.5 * label
            value = np.maximum(x, 0.0) - t * x + np.log(1.0 + np.exp(-np.abs(x)))
            return value, 0.5 * rate * (np.tanh(0.5 * x) - label)

        return cross_entropy

    def lowest(self, label: np.ndarray, spread: float) -> np.ndarray:
        """Return the entropy of the class."""
        t = np.clip((1 + label) / 2, 0.0, 1.0)  # a mean may be beyond by rounding
        return entr(t) + entr(1 - t)

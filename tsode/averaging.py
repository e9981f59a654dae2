r"""Running averages of the weights along a run.

Beside the weights w, SGD may keep an average of them, which moves nothing: after each step, of duration
:math:`\delta` = batch size / N,

.. math::
    \bar w \leftarrow \bar w + \min(1, \tau \delta)\, (w - \bar w) ,

starting from w; a trained readout is averaged in the same way. A constant rate :math:`\tau`, per unit of alpha, is the
exponentially weighted average over the last :math:`1 / \tau`; :math:`\tau = 1 / (\alpha - \alpha_0)` is the mean of all
weights since :math:`\alpha_0` (Polyak & Juditsky, SIAM J. Control Optim. 30, 838 (1992)). Noise of the steps averages
out: of weights that relax at the rate h, the exponential average keeps the fraction :math:`\tau / (\tau + h)` of the
stationary variance, and the uniform one :math:`2 / (h (\alpha - \alpha_0))` after a long time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _checks

__all__ = ["ExponentialAverage", "UniformAverage", "averaging_of", "stored_averaging"]


@dataclass(frozen=True)
class UniformAverage:
    r"""The mean of the weights after all steps since a time; until then the average is the weights themselves.

    Parameters
    ----------
    begin : float
        Time alpha from which on weights are averaged. Before a run begins its weights count as those of its start.

    Raises
    ------
    TypeError, ValueError
        If it is no number.

    Examples
    --------
    >>> import tsode
    >>> tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4, averaging_rate=UniformAverage(begin=60.0)).averaging_rate
    UniformAverage(begin=60.0)
    """

    begin: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin", _checks.number("begin", self.begin))

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Times at which it sets in."""
        return (self.begin,)

    def later(self, alpha: float) -> UniformAverage:
        """Return it as a function of the time since `alpha`."""
        return UniformAverage(self.begin - alpha)

    def weights(self, alpha: np.ndarray, duration: float) -> np.ndarray:
        """Return the weights of the newest w at the times `alpha` after steps of a duration, shape of `alpha`."""
        return duration / np.maximum(alpha - self.begin, duration)

    def flow(self, alpha: float) -> tuple[float, float]:
        r"""Return a and b of :math:`\dot u = a w - b u` from a time on, u being the average times its `mass`."""
        return float(alpha >= self.begin), 0.0

    def mass(self, alpha: np.ndarray) -> np.ndarray:
        """Return what u at the times `alpha` is to be divided by, shape of `alpha`; 0 where the average is w."""
        return np.maximum(alpha - self.begin, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON takes."""
        return {"name": "uniform", "begin": self.begin}


@dataclass(frozen=True)
class ExponentialAverage:
    """The average with a constant rate, with the interface of :class:`UniformAverage`."""

    rate: float
    breakpoints = ()

    def weights(self, alpha: np.ndarray, duration: float) -> np.ndarray:
        """Return the weights of the newest w, shape of `alpha`."""
        return np.full(np.shape(alpha), min(1.0, self.rate * duration))

    def flow(self, alpha: float) -> tuple[float, float]:
        """Return a and b."""
        return self.rate, self.rate

    def mass(self, alpha: np.ndarray) -> np.ndarray:
        """Return ones."""
        return np.ones(np.shape(alpha))


def averaging_of(name: str, value: Any) -> float | UniformAverage:
    """Return what a model holds of its averaging rate: 0, a rate, or a uniform average."""
    return value if isinstance(value, UniformAverage) else _checks.number(name, value, minimum=0.0)


def stored_averaging(value: Any) -> Any:
    """Return what a file means by one."""
    if not isinstance(value, dict):
        return value
    if set(value) != {"name", "begin"} or value["name"] != "uniform":
        raise ValueError(f"`averaging_rate` must be a number or a uniform average with its `begin`, but is {value}")
    return UniformAverage(value["begin"])

"""Tables and ready-made laws of the learning rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .base import Schedule

__all__ = ["Cosine", "PowerLaw", "Table"]

ROUNDING = 1e-12  # times this close to one of a table, relative to it, are at it
MOST_ROWS = 4  # of a table, which are written out


class Table(Schedule):
    """Learning rates that are constant between given times.

    Parameters
    ----------
    pairs : array_like, shape (n, 2)
        Times alpha, increasing, and the learning rate from each on. The first one holds before its time, too.

    Raises
    ------
    TypeError, ValueError
        If they are of the wrong type, shape or range.

    Examples
    --------
    >>> table = Table([(0.0, 0.4), (30.0, 0.1)])
    >>> table([0.0, 29.9, 30.0])
    array([0.4, 0.4, 0.1])
    """

    name = "table"

    def __init__(self, pairs: ArrayLike) -> None:
        self.pairs = _checks.float_array("learning_rate", pairs, (None, 2), "(n, 2)")
        times, rates = self.pairs.T
        if not len(times):
            raise ValueError("`learning_rate` must hold at least one pair (alpha, value), but is empty")
        if not (np.diff(times) > 0).all():
            raise ValueError("`learning_rate` must have increasing times in its table, but they are not")
        if not (rates > 0).all():
            raise ValueError(f"`learning_rate` must be larger than 0 at all times, but is {rates.min():g}")
        self.breakpoints = tuple(times[1:].tolist())
        self._later = times[1:] - ROUNDING * np.abs(times[1:])

    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at times, shape of `alpha`."""
        return self.pairs[np.searchsorted(self._later, alpha, side="right"), 1]

    @property
    def largest(self) -> float:
        """The largest learning rate."""
        return float(self.pairs[:, 1].max())

    def constant_from(self, alpha: float) -> float | None:
        """Return the learning rate from a time on."""
        return float(self.values(np.asarray(alpha)))

    def __repr__(self) -> str:
        (first, last), rates = self.pairs[[0, -1], 0], self.pairs[:, 1]
        if len(rates) > MOST_ROWS:
            return f"Table({len(rates)} rates {rates.min():.3g} to {rates.max():.3g}, alpha {first:g} to {last:g})"
        return f"Table([{', '.join(f'({time:g}, {rate:g})' for time, rate in self.pairs)}])"


class PowerLaw(Schedule):
    r"""A decay :math:`\eta\, (1 + \alpha / \alpha_0)^{-c}`.

    Parameters
    ----------
    learning_rate : float
        At alpha = 0.
    exponent : float
        c, at least 0.
    scale : float
        Time :math:`\alpha_0` from which on it decays.

    Raises
    ------
    TypeError, ValueError
        If one is of the wrong type or range.

    Examples
    --------
    >>> PowerLaw(0.4, exponent=1.0, scale=10.0)([0.0, 10.0, 30.0])
    array([0.4, 0.2, 0.1])
    """

    name = "power law"

    def __init__(self, learning_rate: float, exponent: float, scale: float) -> None:
        self.learning_rate = _checks.number("learning_rate", learning_rate, above=0.0)
        self.exponent = _checks.number("exponent", exponent, minimum=0.0)
        self.scale = _checks.number("scale", scale, above=0.0)

    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at times, shape of `alpha`."""
        return self.learning_rate * (1.0 + alpha / self.scale) ** -self.exponent

    @property
    def largest(self) -> float:
        """The learning rate at alpha = 0."""
        return self.learning_rate


class Cosine(Schedule):
    r"""A decay along half a cosine, :math:`\eta_1 + (\eta - \eta_1) (1 + \cos(\pi \alpha / \alpha_1)) / 2`.

    Parameters
    ----------
    learning_rate : float
        At alpha = 0.
    duration : float
        Time :math:`\alpha_1` at which it has come to its end, where it stays.
    final : float
        Learning rate :math:`\eta_1` there.

    Raises
    ------
    TypeError, ValueError
        If one is of the wrong type or range.

    Examples
    --------
    >>> Cosine(0.4, duration=100.0)([0.0, 50.0, 200.0])
    array([0.4, 0.2, 0. ])
    """

    name = "cosine"

    def __init__(self, learning_rate: float, duration: float, final: float = 0.0) -> None:
        self.learning_rate = _checks.number("learning_rate", learning_rate, above=0.0)
        self.duration = _checks.number("duration", duration, above=0.0)
        self.final = _checks.number("final", final, minimum=0.0)
        self.breakpoints = (self.duration,)

    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at times, shape of `alpha`."""
        part = (1.0 + np.cos(np.pi * np.minimum(alpha / self.duration, 1.0))) / 2.0
        return self.final + (self.learning_rate - self.final) * part

    @property
    def largest(self) -> float:
        """The larger one of the first and the last learning rate."""
        return max(self.learning_rate, self.final)

    def constant_from(self, alpha: float) -> float | None:
        """Return the last learning rate once it is reached."""
        return self.final if alpha >= self.duration else None

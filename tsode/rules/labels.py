r"""What a loss is given as the label of a sample whose teacher puts out y, label noise included.

`Outputs` hands on y itself. The others make classes of it, +1 and -1: `Signs` its sign, `Drawn` a
class that is +1 with probability :math:`1/(1 + e^{-y/T})`, and `Soft` the mean of that class,
:math:`\tanh(y / 2T)`. For averages the noise that decides between two classes is summed over in closed form: what is
left of it are the two classes and their odds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf, ndtr

from .._compiled import jitable
from ..activations.averages import gaussian_nodes

__all__ = ["Drawn", "Labels", "Outputs", "Signs", "Soft"]

ROOT_HALF = math.sqrt(0.5)
Outcomes = list[tuple[Any, Any]]  # (weight, label), arrays over samples or numbers


@jitable
def same(y, draw):
    """Return the output."""
    return y


@jitable
def signs(y, draw):
    """Return the class that the sign of the output says."""
    return np.where(y > 0.0, 1.0, -1.0)


def both_classes(mean: np.ndarray) -> Outcomes:
    """Return both classes with their odds, given the mean."""
    return [((1 + mean) / 2, 1.0), ((1 - mean) / 2, -1.0)]


class Labels:
    """The output y of the teacher, with its noise.

    Attributes
    ----------
    draws : int
        How many normal numbers a label needs beside the noise of y.
    averaged : bool
        Whether `outcomes` sums over the noise of y; else it takes the noise as a number.
    """

    draws = 0
    averaged = False

    @property
    def function(self) -> Callable[..., Any]:
        """Jitable function (y, draw) -> label, y with its noise; `draw` is the normal number, or anything."""
        return same

    def outcomes(self, y: np.ndarray, spread: float, noise: np.ndarray | float) -> Outcomes:
        """Return pairs of weights and labels, given y without noise, the noise's standard deviation, and a number."""
        return [(1.0, self.function(y + spread * noise, 0.0))]

    def mean(self, y: np.ndarray, spread: float) -> np.ndarray:
        """Return the mean label, given y without noise, shape of `y`."""
        return y

    def width(self, spread: float) -> float:
        """Return over which change of y without noise the outcomes vary; inf where as y does."""
        return math.inf

    @property
    def jumps(self) -> bool:
        """Whether a label jumps where y without noise changes its sign."""
        return False


class Outputs(Labels):
    """The output of the teacher."""


class Soft(Labels):
    """The mean of a class with probability 1/(1 + exp(-y/T)), tanh(y / 2T)."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    @property
    def function(self) -> Callable[..., Any]:
        """Jitable function (y, draw) -> label."""
        rate = 0.5 / self.temperature

        @jitable
        def soft(y, draw):
            """Return the mean class."""
            return np.tanh(rate * y)

        return soft

    def mean(self, y: np.ndarray, spread: float) -> np.ndarray:
        """Return the mean label over the noise of y."""
        rate = 0.5 / self.temperature
        if not spread:
            return np.tanh(rate * y)
        nodes, weights = gaussian_nodes(2 * math.ceil(10 * max(1.0, rate * spread)) + 1, 6.0)
        return np.tanh(rate * (np.asarray(y)[..., None] + spread * nodes)) @ weights

    def width(self, spread: float) -> float:
        """Return over which change of y the outcomes vary."""
        return 2 * self.temperature


class Signs(Labels):
    """The sign of the output."""

    averaged = True

    @property
    def function(self) -> Callable[..., Any]:
        """Jitable function (y, draw) -> label."""
        return signs

    def outcomes(self, y: np.ndarray, spread: float, noise: np.ndarray | float) -> Outcomes:
        """Return both classes with their odds."""
        return both_classes(self.mean(y, spread))

    def mean(self, y: np.ndarray, spread: float) -> np.ndarray:
        """Return the mean label over the noise of y."""
        return 2 * ndtr(np.asarray(y) / spread) - 1 if spread else signs(np.asarray(y), 0.0)

    def width(self, spread: float) -> float:
        """Return over which change of y the outcomes vary; a jump is none."""
        return spread or math.inf

    @property
    def jumps(self) -> bool:
        """They do, but for noise."""
        return True


class Drawn(Soft):
    """A class that is +1 with probability 1/(1 + exp(-y/T)), drawn for every sample."""

    draws = 1
    averaged = True

    @property
    def function(self) -> Callable[..., Any]:
        """Jitable function (y, draw) -> label: +1 where erf(draw / sqrt(2)), which is uniform, is below the mean."""
        rate = 0.5 / self.temperature

        @jitable
        def drawn(y, draw):
            """Return the class."""
            return np.where(erf(ROOT_HALF * draw) < np.tanh(rate * y), 1.0, -1.0)

        return drawn

    def outcomes(self, y: np.ndarray, spread: float, noise: np.ndarray | float) -> Outcomes:
        """Return both classes with their odds."""
        return both_classes(self.mean(y, spread))

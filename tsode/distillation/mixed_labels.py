"""Logistic regression on labels that are in part soft, in part hard, in part smoothed away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._compiled import jitable
from ..rules import Logistic, OutputLoss
from ..rules.labels import Soft

__all__ = ["MixedLogistic"]


class Mixed(Soft):
    """The soft label, its temperature aside of the student's, mixed with the class itself, and smoothed: 2 t - 1."""

    def __init__(self, temperature: float, hard: float, smoothing: float) -> None:
        super().__init__(temperature)
        self.hard, self.smoothing = hard, smoothing

    @property
    def function(self) -> Callable[..., Any]:
        """Jitable function (y, draw) -> label."""
        rate, hard, kept = 0.5 / self.temperature, self.hard, 1.0 - self.smoothing

        @jitable
        def mixed(y, draw):
            """Return the mean class."""
            return kept * ((1.0 - hard) * np.tanh(rate * y) + hard * np.where(y > 0.0, 1.0, -1.0))

        return mixed

    def mean(self, y: np.ndarray, spread: float) -> np.ndarray:
        """Return the label: there is no noise."""
        return self.function(np.asarray(y), 0.0)

    @property
    def jumps(self) -> bool:
        """Whether there is a hard part."""
        return self.hard > 0


class MixedLogistic(OutputLoss):
    """Logistic regression at temperature 1 on labels of another temperature, mixed with hard ones."""

    name = "logistic of mixed labels"
    scale = Logistic().scale

    def __init__(self, hard: float, temperature: float, smoothing: float) -> None:
        self.hard, self.temperature, self.smoothing = hard, temperature, smoothing

    @property
    def labels(self) -> Mixed:
        """Labels t as 2 t - 1."""
        return Mixed(self.temperature, self.hard, self.smoothing)

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function (u, label) -> (value, slope)."""
        return Logistic().function

    def lowest(self, label: np.ndarray, spread: float) -> np.ndarray:
        """Return the entropy of the label."""
        return Logistic().lowest(label, spread)

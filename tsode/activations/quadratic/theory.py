"""Everything that is known in closed form about one quadratic model, computed once and when it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from . import escape, invariants, late_times
from .fixed_points import Branch, branch_of
from .minima import Minima

if TYPE_CHECKING:
    from ..._passage_law import Variance
    from ...model import TeacherStudent

__all__ = ["Theory"]


class Theory:
    """What the rooms above ask of a quadratic model.

    Parameters
    ----------
    model : TeacherStudent
        Gradient descent, the square on both sides.
    """

    def __init__(self, model: TeacherStudent) -> None:
        self.model = model

    @cached_property
    def branch(self) -> Branch:
        """Fixed points at M = 0 along the learning rate."""
        return branch_of(self.model)

    def escape_variance(self, log_q: float) -> Variance:
        """Return the variance of M on the way from Q = q 1 through the escape, :class:`tsode._passage_law.Variance`."""
        return escape.escape_variance(self, log_q)

    @cached_property
    def minima(self) -> Minima:
        """Set of global minima; raises NoClosedForm where it has no closed form."""
        return Minima(self.model)

    @cached_property
    def relaxation_rate(self) -> float:
        """Exponential rate at which gradient flow approaches the minimum, per alpha, float."""
        return late_times.relaxation_rate(self)

    def power_law(self, alpha: np.ndarray) -> np.ndarray:
        """Return the excess loss of gradient flow with p > p* at late times, shape of `alpha`."""
        return late_times.power_law(self, alpha)

    @cached_property
    def loss_floor(self) -> float:
        """Excess loss at which SGD ends, float; nan where the learning rate is too large for an end."""
        return late_times.loss_floor(self)

    def flow_constant(self, tau: np.ndarray, M: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the constant of gradient flow, shape (..., T, p_star, p_star), and where it is resolved."""
        return invariants.flow_constant(self.model, tau, M, Q)

    def force(self, M: np.ndarray, Q: np.ndarray) -> np.ndarray:
        """Return what W dW^T is proportional to, shape (..., p, p)."""
        return invariants.force(self.model, M, Q)

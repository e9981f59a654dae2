"""Rules that change the steps of another one; the loss stays that of the other."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from .. import _checks
from ..activations.squared_error import LossCurvature
from .base import Rule

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Wrapped"]


class Wrapped(Rule):
    """Base of the rules that change the steps of another one.

    Parameters
    ----------
    rule : Rule
        The other one.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = _checks.instance("rule", rule, Rule, "a Rule")

    def noises(self, model: TeacherStudent) -> int:
        """Return how many normal numbers the other rule needs."""
        return self.rule.noises(model)

    def hidden_noises(self, model: TeacherStudent) -> int:
        """Return how many its outcomes take."""
        return self.rule.hidden_noises(model)

    def scalars(self, model: TeacherStudent) -> np.ndarray:
        """Return what it trains beside W."""
        return self.rule.scalars(model)

    def parameters(self, model: TeacherStudent) -> np.ndarray:
        """Return its numbers, and the one of this rule."""
        return np.append(self.rule.parameters(model), self._number)

    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return that of the other rule."""
        return self.rule.excess_loss(model, M, Q, readout)

    def teacher_marks(self, model: TeacherStudent) -> np.ndarray:
        """Return those of the other rule."""
        return self.rule.teacher_marks(model)

    def floor(self, model: TeacherStudent) -> float:
        """Return that of the other rule."""
        return self.rule.floor(model)

    def sample_losses(self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return those of the other rule."""
        return self.rule.sample_losses(model, lam, mu, readout)

    def output_error(self, model: TeacherStudent, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return that of the other rule."""
        return self.rule.output_error(model, y_hat, y)

    def loss_slopes(
        self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, P: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return those of the other rule."""
        return self.rule.loss_slopes(model, M, Q, P)

    def loss_curvature(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, P: np.ndarray) -> LossCurvature:
        """Return that of the other rule."""
        return self.rule.loss_curvature(model, M, Q, P)

    @property
    @abstractmethod
    def _number(self) -> float:
        """The number that `step` finds as the last of its parameters."""

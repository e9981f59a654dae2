r"""Normalised steps, :math:`C / (\epsilon + |x|^2 / N)`: a long input makes no longer a step than a short one.

For large N the length of x no longer fluctuates, and the ODEs are those of the other rule at the learning rate
:math:`\eta / (1 + \epsilon)`. A trained readout keeps its step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import _checks
from .._compiled import jitable, with_name_of
from .._lanes import load, store
from ..activations.error_averages import Averages
from .base import Rule
from .wrapped import Wrapped

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Normalised"]


class Normalised(Wrapped):
    """The steps of another rule over the squared length of the input.

    Parameters
    ----------
    rule : Rule
        The other rule.
    offset : float
        epsilon >= 0.

    Examples
    --------
    >>> import tsode
    >>> from tsode.rules import Gradient, Normalised
    >>> tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.4, rule=Normalised(Gradient())).rule
    Normalised(rule=Gradient())
    """

    name = "normalised"

    def __init__(self, rule: Rule, offset: float = 0.0) -> None:
        super().__init__(rule)
        self.offset = _checks.number("offset", offset, minimum=0.0)

    @property
    def _number(self) -> float:
        return self.offset

    def step(self, model: TeacherStudent) -> Callable[..., None]:
        """Return the jitable step."""
        return _step(self.rule.step(model))

    def averages(self, model: TeacherStudent) -> Averages:
        """Return those of the other rule."""
        return self.rule.averages(self._slower(model))

    def average_parameters(self, model: TeacherStudent, rtol: float = 1e-8) -> np.ndarray:
        """Return those of the other rule, at a lower learning rate."""
        return self.rule.average_parameters(self._slower(model), rtol)

    def scalar_drift(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        """Return that of the other rule."""
        return self.rule.scalar_drift(self._slower(model), M, Q, scalars)

    def accuracy(self, model: TeacherStudent, omega: np.ndarray, rtol: float = 1e-8) -> float:
        """Return that of the other rule."""
        return self.rule.accuracy(self._slower(model), omega, rtol)

    def _slower(self, model):
        return model.replace(rule=self.rule, learning_rate=model.largest_rate / (model.input_size + self.offset))


@functools.lru_cache
def _step(inner):
    @jitable
    @with_name_of(inner)
    def normalised(lam, mu, noise, size, scalars, parameters, change, scalar_change):
        inner(lam, mu, noise, size, scalars, parameters, change, scalar_change)
        scale = 1.0 / (load(parameters, parameters.shape[0] - 1) + load(size, 0))
        for k in range(lam.shape[0]):
            store(change, k, scale * load(change, k))

    return normalised

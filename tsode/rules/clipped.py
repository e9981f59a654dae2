r"""Clipped gradients: no step is longer than the learning rate times a norm.

The gradient of a sample with respect to :math:`W / \sqrt N` has the norm :math:`|C|\, |x| / (\eta \sqrt N)`. Where that
is beyond c, the step is scaled down to it, that of a trained readout with it:

.. math::
    C \leftarrow C\, \min\Big(1, \frac{c\, \eta \sqrt N}{|C|\, |x|}\Big) .

For large N the length of x no longer fluctuates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._compiled import jitable, with_name_of
from .._lanes import load, store
from .base import Rule
from .wrapped import Wrapped

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Clipped"]

TINY = 1e-200  # squared length of a step that is none


class Clipped(Wrapped):
    """The steps of another rule, with gradients clipped to a norm.

    Parameters
    ----------
    rule : Rule
        The other rule.
    norm : float
        c > 0, the largest norm of a sample's gradient with respect to W / sqrt(N).

    Examples
    --------
    >>> import tsode
    >>> from tsode.rules import Clipped, Gradient
    >>> tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.4, rule=Clipped(Gradient(), norm=2.0)).rule
    Clipped(rule=Gradient(), norm=2.0)
    """

    name = "clipped"

    def __init__(self, rule: Rule, norm: float) -> None:
        super().__init__(rule)
        self.norm = _checks.number("norm", norm, above=0.0)

    @property
    def _number(self) -> float:
        return self.norm

    def step(self, model: TeacherStudent) -> Callable[..., None]:
        """Return the jitable step."""
        return _step(self.rule.step(model))

    def outcomes(
        self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, noise: np.ndarray, scalars: np.ndarray
    ) -> list[tuple[Any, np.ndarray, np.ndarray]]:
        """Return the outcomes of the other rule, clipped."""
        found = []
        for odds, C, d in self.rule.outcomes(model, lam, mu, noise, scalars):
            length = np.sqrt(model.input_size * np.square(C).sum(axis=0) + TINY)
            scale = np.minimum(1.0, self.norm * model.learning_rate / length)
            found.append((odds, scale * C, scale * d))
        return found


@functools.lru_cache
def _step(inner):
    @jitable
    @with_name_of(inner)
    def clipped(lam, mu, noise, size, scalars, parameters, change, scalar_change):
        inner(lam, mu, noise, size, scalars, parameters, change, scalar_change)
        square = 0.0 * load(size, 0) + TINY
        for k in range(lam.shape[0]):
            square = square + load(change, k) * load(change, k)
        longest = load(parameters, parameters.shape[0] - 1) * load(parameters, 0)
        scale = np.minimum(1.0, longest / np.sqrt(square * load(size, 0)))
        for k in range(lam.shape[0]):
            store(change, k, scale * load(change, k))
        for k in range(scalars.shape[0]):
            store(scalar_change, k, scale * load(scalar_change, k))

    return clipped

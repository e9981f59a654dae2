"""From what may be given for a learning rate, or stands in a file, to what models hold; and the warm-up into it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _checks
from .base import Schedule
from .laws import Cosine, PowerLaw, Table
from .own import Function, Stored

__all__ = ["WarmUp", "rate_of", "stored_rate"]


class WarmUp(Schedule):
    r"""A linear rise to a learning rate, or into a schedule, :math:`\eta \min(1, \alpha / \alpha_1)`.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        What it rises to: a number, or what decays meanwhile; no :class:`Table`.
    duration : float
        Time :math:`\alpha_1` that it takes.

    Raises
    ------
    TypeError, ValueError
        If one is of the wrong type or range.

    Examples
    --------
    >>> WarmUp(0.4, duration=10.0)([0.0, 5.0, 20.0])
    array([0. , 0.2, 0.4])
    >>> WarmUp(Cosine(0.4, duration=100.0), duration=10.0)([5.0, 50.0]).round(3)
    array([0.199, 0.2  ])
    """

    name = "warm-up"

    def __init__(self, learning_rate: float | Schedule | Callable[..., Any], duration: float) -> None:
        self.learning_rate = rate_of("learning_rate", stored_rate(learning_rate))
        if isinstance(self.learning_rate, Table):
            raise ValueError(f"`learning_rate` must be without jumps after a warm-up, but is {self.learning_rate!r}")
        self.duration = _checks.number("duration", duration, above=0.0)
        later = self.learning_rate.breakpoints if isinstance(self.learning_rate, Schedule) else ()
        self.breakpoints = tuple(sorted({self.duration, *later}))

    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at times, shape of `alpha`."""
        then = self.learning_rate
        return np.minimum(alpha / self.duration, 1.0) * (then.values(alpha) if isinstance(then, Schedule) else then)

    @property
    def largest(self) -> float:
        """The largest learning rate of what it rises to."""
        return self.learning_rate.largest if isinstance(self.learning_rate, Schedule) else self.learning_rate

    def constant_from(self, alpha: float) -> float | None:
        """Return the learning rate after the rise where it is constant."""
        if alpha < self.duration:
            return None
        return (
            self.learning_rate.constant_from(alpha) if isinstance(self.learning_rate, Schedule) else self.learning_rate
        )


SHIPPED = {kind.name: kind for kind in (Table, PowerLaw, Cosine, WarmUp, Stored)}


def rate_of(name: str, value: Any) -> Any:
    """Return a learning rate as models hold it, a float or a Schedule, of all that may be given for it."""
    if isinstance(value, Schedule):
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        return Table(value)
    return Function(value) if callable(value) else _checks.number(name, value, above=0.0)


def stored_rate(value: Any) -> Any:
    """Return the learning rate that a file means: a number, or what :meth:`Schedule.to_dict` returned."""
    if not isinstance(value, Mapping):
        return value
    parameters = dict(value)
    kind = SHIPPED[_checks.choice("learning_rate", parameters.pop("name", None), tuple(SHIPPED))]
    if not set(parameters) == set(inspect.signature(kind).parameters):
        raise ValueError(
            f"`learning_rate` must have the parameters of {kind.__name__}, but has {', '.join(parameters)}"
        )
    return kind(**parameters)

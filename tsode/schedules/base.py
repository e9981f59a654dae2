"""What a learning rate that changes in time is: a function of the time, with its breakpoints."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks

__all__ = ["Later", "Schedule"]


class Schedule(ABC):
    """A learning rate as a function of the time alpha.

    Attributes
    ----------
    name : str
        What it is called in files.
    breakpoints : tuple of float
        Times at which it jumps or bends, increasing.
    """

    name: str = ""
    breakpoints: tuple[float, ...] = ()

    @abstractmethod
    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at the times `alpha`, shape of `alpha`, unchecked."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """The largest learning rate, or a bound of it; of a function the largest at times far and near."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Keyword arguments that make it again, dict of what JSON takes."""
        given = inspect.signature(type(self)).parameters
        return {name: _plain(getattr(self, name)) for name in given}

    def constant_from(self, alpha: float) -> float | None:
        """Return the learning rate from a time on to the next breakpoint where it is constant, and None elsewhere."""
        return None

    def __call__(self, alpha: ArrayLike) -> np.ndarray:
        """Return the learning rates at the times `alpha`, shape of `alpha`.

        Raises
        ------
        ValueError
            If one is negative or not finite.
        """
        alpha = np.asarray(alpha, dtype=np.float64)
        found = self.values(alpha)
        if not ((found >= 0.0) & (found <= _checks.LARGEST)).all():
            first = np.unravel_index(np.argmin((found >= 0.0) & (found <= _checks.LARGEST)), alpha.shape)
            raise ValueError(
                f"`learning_rate` must be finite and not negative at all times, but is {found[first]:g} at alpha = "
                f"{alpha[first]:g}"
            )
        return found

    @property
    def is_piecewise_constant(self) -> bool:
        """Whether it is constant between its breakpoints."""
        return all(self.constant_from(time) is not None for time in (-np.inf, *self.breakpoints))

    def to_dict(self) -> dict[str, Any]:
        """Return name and parameters, as JSON takes them."""
        return {"name": self.name, **self.parameters}

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Schedule) else NotImplemented

    def __hash__(self) -> int:
        return hash(repr(self.to_dict()))

    def __repr__(self) -> str:
        values = (getattr(self, name) for name in self.parameters)
        return f"{type(self).__name__}({', '.join(f'{v:g}' if isinstance(v, float) else repr(v) for v in values)})"


class Later(Schedule):
    """A schedule as a function of the time since a start: what runs see that begin there."""

    def __init__(self, schedule: Schedule, start: float) -> None:
        self.schedule, self.start = schedule, start
        self.breakpoints = tuple(time - start for time in schedule.breakpoints if time > start)

    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at times since the start, shape of `alpha`."""
        return self.schedule.values(self.start + alpha)

    @property
    def largest(self) -> float:
        """The largest learning rate."""
        return self.schedule.largest


def _plain(value):
    return (
        value.to_dict() if isinstance(value, Schedule) else value.tolist() if isinstance(value, np.ndarray) else value
    )

"""Learning rates by a function of the user's own, and what files keep of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import _checks
from .base import Schedule

__all__ = ["Function", "Stored"]

PROBES = np.concatenate([[0.0], 2.0 ** np.arange(-4, 16.25, 0.25)])  # times at which functions are told from others


class Function(Schedule):
    """A function of the user's own, such as ``lambda alpha: 0.4 * np.exp(-alpha / 50)``.

    Files keep its name and a table of its values and no code: see :class:`Stored`. Two functions are equal if their
    names and their values in that table are.

    Parameters
    ----------
    function : callable
        Of the time alpha. It is called with an array where it takes arrays, else with one time after the other.

    Raises
    ------
    TypeError, ValueError
        If it is none, or returns no numbers; if it is nowhere larger than 0.

    Examples
    --------
    >>> decay = Function(lambda alpha: 0.4 * 2.0 ** (-alpha / 10.0))
    >>> decay([0.0, 10.0])
    array([0.4, 0.2])
    """

    name = "function"

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"`learning_rate` must be a function of alpha, but is {type(function).__name__}")
        self.function = function
        with np.errstate(all="ignore"):
            self._takes_arrays = _takes_arrays(function)
            try:
                found = self.values(PROBES)
            except Exception as error:  # of the user's function, whatever it is
                raise TypeError(
                    f"`learning_rate` must be a function of the time alpha, but with it raises {error!r}"
                ) from None
        self._table = [value if np.isfinite(value) else None for value in found.tolist()]
        _largest(self._table)

    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at times, shape of `alpha`."""
        if self._takes_arrays:
            return np.broadcast_to(np.asarray(self.function(alpha), dtype=np.float64), alpha.shape)
        found = [self.function(float(time)) for time in alpha.flat]
        return _checks.real_array("learning_rate", found).reshape(alpha.shape)

    @property
    def parameters(self) -> dict[str, Any]:
        """What files keep of it: what it is called, times and values there."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return {"function": name, "alpha": PROBES.tolist(), "values": self._table}

    @property
    def largest(self) -> float:
        """The largest learning rate at times far and near."""
        return _largest(self._table)

    def __repr__(self) -> str:
        return f"Function({self.parameters['function']})"


class Stored(Schedule):
    """A function of the user's own, as a file keeps it: it can be told from others, and not be called.

    To go on with the model give it the function again: ``trajectory.model.replace(learning_rate=...)``.

    Parameters
    ----------
    function : str
        What it was called.
    alpha, values : sequence of float
        Some of its values, None where there is none.
    """

    name = "function"

    def __init__(self, function: str, alpha: Sequence[float], values: Sequence[float | None]) -> None:
        self.function, self.alpha, self._table = str(function), list(alpha), list(values)

    def values(self, alpha: np.ndarray) -> NoReturn:
        """Nothing: see the class."""
        raise _checks.NoClosedForm(
            "`learning_rate` must be given again by model.replace(learning_rate=...): a file keeps only the name "
            f"{self.function!r} and a few values"
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """What the file has of it."""
        return {"function": self.function, "alpha": self.alpha, "values": self._table}

    @property
    def largest(self) -> float:
        """The largest learning rate in the file."""
        return _largest(self._table)

    def __repr__(self) -> str:
        return f"Stored({self.function!r})"


def _largest(values):
    """Return the largest of some values, None where there is none; it must be larger than 0."""
    largest = max((value for value in values if value is not None), default=0.0)
    return _checks.number("learning_rate", largest, above=0.0)


def _takes_arrays(function):
    """Return whether a function of one time takes an array of times, and returns a number for each, or one for all."""
    try:
        return np.shape(function(PROBES)) in ((), PROBES.shape)
    except Exception:  # whatever it raises: it is then asked for one time after the other
        return False

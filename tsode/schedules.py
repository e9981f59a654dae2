r"""Learning rates that change in time: tables, ready-made laws, and functions of the user's own.

A schedule is a function :math:`\eta(\alpha)` of the time alpha = samples / N. It may jump or bend at its `breakpoints`,
which the ODEs meet exactly. SGD takes the value at the time at which a sample comes.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from . import _checks

__all__ = ["Cosine", "Function", "Later", "PowerLaw", "Schedule", "Stored", "Table", "WarmUp", "rate_of", "stored_rate"]

PROBES = np.concatenate([[0.0], 2.0 ** np.arange(-4, 16.25, 0.25)])  # times at which functions are told from others
ROUNDING = 1e-12  # times this close to one of a table, relative to it, are at it
MOST_ROWS = 4  # of a table, which are written out


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


class Later(Schedule):
    """A schedule as a function of the time since a start: what runs see that begin there."""

    def __init__(self, schedule: Schedule, start: float) -> None:
        self.schedule, self.start = schedule, start

    def values(self, alpha: np.ndarray) -> np.ndarray:
        """Return the learning rates at times since the start, shape of `alpha`."""
        return self.schedule.values(self.start + alpha)

    @property
    def largest(self) -> float:
        """The largest learning rate."""
        return self.schedule.largest


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


def _plain(value):
    return (
        value.to_dict() if isinstance(value, Schedule) else value.tolist() if isinstance(value, np.ndarray) else value
    )


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

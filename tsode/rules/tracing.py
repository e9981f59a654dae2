"""Plain NumPy functions of named rows as lists of elementary steps.

A function is called once with stand-ins for its arrays, whose entries note what is done to them
(:mod:`tsode.activations.expressions`). What was noted says of what degree it is as a polynomial, where it has jumps,
and is written down as straight source for the compiler.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..activations.expressions import Expression, Tape, Value, evaluated, steps_of

__all__ = ["Given", "Trace", "answers", "noted"]

ENTRYWISE = {"where": np.where, "clip": np.clip}
EXTREMES = {"max": np.maximum, "amax": np.maximum, "min": np.minimum, "amin": np.minimum}
REARRANGING = (
    "sum", "mean", "prod", "cumsum", "dot", "reshape", "transpose", "swapaxes", "squeeze", "ravel", "flatten", "repeat",
    "diagonal", "trace",
)  # fmt: skip


CLOSE = 1e-9  # of a function and its trace
Given = Callable[..., Any]


class Stand(np.lib.mixins.NDArrayOperatorsMixin):
    """The stand-in for an array: NumPy's functions and operators act on its entries, numbers or Expressions."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *given: Any, **options: Any) -> Any:
        """Apply a function of numbers to all entries, or sum or multiply along an axis."""
        (target,), options = options.get("out", (None,)), {k: v for k, v in options.items() if k != "out"}
        arrays = [_bare(part) for part in given]
        if method == "__call__" and not options:
            found = np.matmul(*arrays) if ufunc is np.matmul else _entrywise(ufunc, *arrays)
        elif method == "reduce":
            found = _reduced(ufunc, *arrays, **options)
        else:
            raise TypeError(f"`rule` must call np.{ufunc.__name__} without options")
        if target is None:
            return _stand(found)
        if not isinstance(target, Stand):
            raise TypeError("`rule` must not write into arrays of numbers")
        target.array[...] = found
        return target

    def __array_function__(self, function: Callable[..., Any], types: Any, given: Any, options: Any) -> Any:
        """Apply a function of whole arrays, which moves entries around or sums them."""
        name, given, options = function.__name__, _bare(given), _bare(options)
        if name in ENTRYWISE and not options:
            return _stand(_entrywise(ENTRYWISE[name], *given))
        if name in EXTREMES:
            return _stand(_reduced(EXTREMES[name], *given, **options))
        return _stand(function(*given, **options))

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "ndim", "size"):
            return getattr(self.array, name)
        if name in EXTREMES:
            return lambda *given, **options: _stand(_reduced(EXTREMES[name], self.array, *given, **options))
        if name in REARRANGING:
            return lambda *given, **options: _stand(getattr(self.array, name)(*_bare(given), **_bare(options)))
        raise AttributeError(f"`rule` must call functions of NumPy, but asks for .{name}")

    @property
    def T(self) -> Stand:
        """The transpose."""
        return Stand(self.array.T)

    def copy(self) -> Stand:
        """Return another one."""
        return Stand(self.array.copy())

    def __getitem__(self, place: Any) -> Any:
        return _stand(self.array[place])

    def __setitem__(self, place: Any, value: Any) -> None:
        self.array[place] = _bare(value)

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        raise TypeError("`rule` must choose by np.where(condition, a, b), not by `if`, `and` or `or`")


def stand_in(tape: Tape, first: str, shape: tuple[int, ...], start: int = 0) -> Stand:
    """Return a stand-in whose entries are the variables `first` 0, 1, ..., or from another number on."""
    array = np.empty(shape, dtype=object)
    for i in range(array.size):
        array.flat[i] = Expression(tape, f"{first}{start + i}")
    return Stand(array)


def _bare(thing):
    """Return the arrays of entries in place of stand-ins, also within lists and dicts."""
    if isinstance(thing, Stand):
        return thing.array
    if isinstance(thing, (tuple, list)):
        return type(thing)(map(_bare, thing))
    return {name: _bare(each) for name, each in thing.items()} if isinstance(thing, dict) else thing


def _stand(found):
    if isinstance(found, Expression):
        found = _entry(found)
    return Stand(found) if isinstance(found, np.ndarray) and found.dtype == object else found


def _entry(thing):
    """Return an array without axes that holds a thing."""
    array = np.empty((), dtype=object)
    array[()] = thing
    return array


def _entrywise(function, *arrays):
    found = np.frompyfunc(lambda *entries: function(*entries), len(arrays), 1)(*arrays)
    return found if isinstance(found, np.ndarray) else _entry(found)


def _reduced(ufunc, array, axis=None, keepdims=False):
    axes = tuple(range(array.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for one in sorted((each % array.ndim for each in axes), reverse=True):
        parts = list(np.moveaxis(array, one, 0))
        array = functools.reduce(lambda a, b: _entrywise(ufunc, a, b), parts)
        array = np.expand_dims(array, one) if keepdims else array
    return array


class Trace:
    """What was noted of a function.

    Attributes
    ----------
    values : list of (str or float)
        The names of its results, or numbers, in one row.
    """

    def __init__(self, tape: Tape, results: Iterable[tuple[Any, tuple[int, ...]]]) -> None:
        self.tape, self.values = tape, [value for each, shape in results for value in _values(tape, each, shape)]

    @property
    def statements(self) -> list[str]:
        """The steps, one a line."""
        return steps_of(self.tape, *self.values)

    @functools.cached_property
    def steps(self) -> list[tuple[str, tuple[Value, ...], str]]:
        """The same as operation, what it is applied to, and name of the result."""
        names = {line.partition(" ")[0] for line in self.statements}
        return [(*step, name) for step, name in self.tape.steps.items() if name in names]

    @functools.cached_property
    def _degrees(self):
        """Degree of each step as a polynomial of the variables x, z and n, infinite where it is none."""
        found: dict[Value, float] = {}
        for operation, given, name in self.steps:
            found[name] = _degree(operation, given, [_degree_in(found, value) for value in given])
        return found

    @functools.cached_property
    def degrees(self) -> list[float]:
        """The same of each result."""
        return [_degree_in(self._degrees, value) for value in self.values]

    def at(self, variable: Callable[[str], float]) -> np.ndarray:
        """Return the results for given values of the variables, in one row."""
        known: dict[Value, float] = {}

        def value_of(name):
            return name if isinstance(name, float) else known[name] if name in known else variable(name)

        with np.errstate(all="ignore"):
            for operation, given, name in self.steps:
                known[name] = float(evaluated(operation, [value_of(each) for each in given]))
        return np.array([value_of(each) for each in self.values])


def noted(results: Callable[[Given], Iterable[tuple[Any, tuple[int, ...]]]]) -> Trace | None:
    """Return the trace of a function, or None where it does what stand-ins cannot, or answers them in another way.

    Parameters
    ----------
    results : callable
        (given) -> pairs of an array that the function returned and its shape. ``given(kind, shape, start)`` is an array
        of the variables "z", "n", "a" or "o" from some number on.
    """
    tape = Tape()
    try:
        trace = Trace(tape, results(functools.partial(stand_in, tape)))
    except Exception:
        return None
    found = trace.at(lambda name: float(_numbers(name[0], (), int(name[1:]))))
    return trace if np.allclose(found, answers(results), rtol=CLOSE, atol=CLOSE, equal_nan=True) else None


def answers(results: Callable[[Given], Iterable[tuple[Any, tuple[int, ...]]]]) -> np.ndarray:
    """Return what the function says of some numbers in place of variables, in one row."""
    with np.errstate(all="ignore"):
        found = [np.broadcast_to(np.asarray(each, dtype=np.float64), shape) for each, shape in results(_numbers)]
    return np.concatenate([each.ravel() for each in found])


def _numbers(kind, shape, start=0):
    """Return some numbers in place of variables."""
    return 1.3 * np.cos(ord(kind) + 1.7 * (start + np.arange(math.prod(shape)))).reshape(shape)


def _degree_in(known, value):
    return known.get(value, float(isinstance(value, str) and value[0] in "xzn"))


def _degree(operation, given, parts):
    if operation in ("add", "subtract", "negative"):
        return max(parts)
    if operation == "multiply":
        return sum(parts)
    if operation == "divide" and parts[1] == 0:
        return parts[0]
    if operation == "power" and given[1] == int(given[1]) and given[1] >= 0:
        return parts[0] * given[1]
    return math.inf if any(parts) else 0.0


def _values(tape, result, shape):
    """Return the names or numbers of an array of results of some shape, in one row."""
    array = np.broadcast_to(np.asarray(_bare(result), dtype=object), shape)
    return [tape.number(each.value) if isinstance(each, Expression) else float(each) for each in array.flat]

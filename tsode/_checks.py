"""Argument checks: each names the argument, what was wanted and what came.

A wrong type raises TypeError, a wrong value ValueError. They are called once, at the public boundary;
nothing below it checks again.
"""

import difflib
import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "LARGEST_INTEGER",
    "NoClosedForm",
    "choice",
    "did_you_mean",
    "digits",
    "file_path",
    "flag",
    "float_array",
    "folder_path",
    "instance",
    "integer",
    "is_number",
    "memory",
    "names",
    "number",
    "real_array",
    "samples",
    "semidefinite",
    "square",
    "symmetric",
    "times",
]

# Relative size of a negative eigenvalue that rounding (or an ODE solver at its default tolerance) explains.
PSD_TOLERANCE = 1e-6
SYMMETRY_TOLERANCE = 1e-9


# Numbers are no larger, and positive ones no smaller than one over it: their products neither overflow nor vanish.
LARGEST = 1e30
# Up to here every whole number is a float: N is both.
LARGEST_INTEGER = 2**53

SUFFIXES = (".npz", ".png", ".pdf", ".svg", ".html", ".json", ".nc", ".csv")  # of files, not of folders


class NoClosedForm(ValueError):
    """There is no closed form for what was asked; the message says what the model would have to be."""


def is_number(value: object) -> bool:
    """Return whether `value` is a real number; truth values and time spans, which NumPy counts in, are none."""
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_, np.timedelta64))


def integer(name: str, value: Any, minimum: int | None = None, maximum: int | None = LARGEST_INTEGER) -> int:
    """Return `value` as an int; a float is taken if it is a whole number (``1e5``)."""
    if not is_number(value):
        raise TypeError(f"`{name}` must be a whole number, but is {_kind(value)}")
    if not isinstance(value, Integral) and not float(value).is_integer():
        raise ValueError(f"`{name}` must be a whole number, but is {value!r}")
    value = int(value)
    if minimum is not None and value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, but is {digits(value)}")
    if maximum is not None and value > maximum:
        raise ValueError(f"`{name}` must be at most {maximum}, but is {digits(value)}")
    return value


def number(
    name: str, value: Any, *, above: float | None = None, minimum: float = -LARGEST, maximum: float = LARGEST
) -> float:
    """Return `value` as a float, larger than `above`, at least `minimum` and at most `maximum`."""
    if not is_number(value):
        raise TypeError(f"`{name}` must be a number, but is {_kind(value)}")
    try:
        value = float(value)
    except OverflowError:
        raise ValueError(f"`{name}` must be at most {LARGEST:g}, but is {digits(value)}") from None
    if not np.isfinite(value):
        raise ValueError(f"`{name}` must be finite, but is {value}")
    if above is not None and not value > above:
        raise ValueError(f"`{name}` must be larger than {above:g}, but is {value:g}")
    minimum = max(minimum, 1 / LARGEST) if above == 0 else minimum
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum:g}, but is {value:g}")
    if value > maximum:
        raise ValueError(f"`{name}` must be at most {maximum:g}, but is {value:g}")
    return value


def instance(name: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> Any:
    """Return `value` if it is of one of the types `kinds`, which the message calls `wanted`."""
    if not isinstance(value, kinds):
        raise TypeError(f"`{name}` must be {wanted}, but is {type(value).__name__}")
    return value


def file_path(name: str, value: object, suffixes: Sequence[str] = (), remedy: str = "") -> Path:
    """Return a Path; whole numbers, which ``open`` takes for open files, are refused.

    If `suffixes` are given it has one of them: the first is appended where it has none, others are refused, with the
    `remedy` at the end of the message.
    """
    try:
        text = os.fspath(instance(name, value, (str, os.PathLike), "a path"))
    except TypeError:
        raise TypeError(f"`{name}` must be a path, but is {_kind(value)}") from None
    if not isinstance(text, str):
        raise TypeError(f"`{name}` must be a path, but is {type(text).__name__}")
    if not text or "\0" in text:
        raise ValueError(f"`{name}` must be a path, but is {text!r}")
    path = Path(text)
    if not suffixes or path.suffix.lower() in suffixes:
        return path
    if path.name in ("", ".."):
        raise ValueError(f"`{name}` must be the path of a file, but is {text!r}")
    if path.suffix:
        wanted = ", ".join(suffixes)
        raise ValueError(f"`{name}` must end in {wanted}, or have no suffix, but ends in {path.suffix!r}{remedy}")
    return path.with_suffix(suffixes[0])


def folder_path(name: str, value: object) -> Path:
    """Return a Path; one that ends as a file does is refused, unless it is there."""
    path = file_path(name, value)
    if path.suffix.lower() in SUFFIXES and not path.exists():
        raise ValueError(f"`{name}` must be a folder, to which several files are written, but ends in {path.suffix!r}")
    return path


def memory(what: str, count: int) -> None:
    """Refuse arrays of `count` numbers that this machine cannot hold, before it swaps or kills the process."""
    try:
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on every system
        present = 2**47
    if 8 * count > present:
        raise ValueError(
            f"{what} must be small enough for this machine's memory of {present / 2**30:.3g} GB, "
            f"but needs {8 * count / 2**30:.3g} GB"
        )


def flag(name: str, value: object) -> bool:
    """Return `value` as a bool; nothing else is taken for one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False, but is {_kind(value)}")
    return bool(value)


def choice(name: str, value: object, options: Sequence[str]) -> str:
    """Return `value` if it is one of the strings in `options`."""
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be one of {', '.join(map(repr, options))}, but is {_kind(value)}")
    if value not in options:
        hint = did_you_mean(value, options)
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, options))}, but is {value!r}{hint}")
    return value


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return what to add to a message about an unknown name: the known one that is most like it, if any is."""
    plain, name = {each.lower().replace("_", ""): each for each in known}, name.lower().replace("_", "")
    longer = [each for each in plain if len(name) > 3 and name in each]
    short = [each for each in plain if name == "".join(word[:1] for word in plain[each].lower().split("_"))]
    close = longer or difflib.get_close_matches(name, plain, 1) or short
    return f"; did you mean {plain[close[0]]!r}?" if close else ""


def names(name: str, given: Iterable[str], known: Iterable[str], error: type[Exception] = TypeError) -> None:
    """Raise an error unless all names that are given are known."""
    for one in given:
        if one not in known:
            hint = (
                "; did you mean 'dimension'?" if one == "N" and "dimension" in known else did_you_mean(str(one), known)
            )
            raise error(f"`{name}` must name some of {', '.join(known)}, but names {one!r}{hint}")


def float_array(
    name: str, value: object, shape: Sequence[int | None], meaning: str = "", maximum: float = LARGEST
) -> np.ndarray:
    """Return a read-only float64 copy of `value` with the given shape and finite entries.

    A None in `shape` stands for any length; `meaning` is that shape in symbols, for the message. Absolute values are at
    most `maximum`.
    """
    array = real_array(name, value)
    _check_shape(name, array, shape, meaning)
    largest = np.abs(array).max(initial=0.0)
    if not np.isfinite(largest):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"`{name}` must be finite, but has {array[where]} at index {where}")
    if largest > maximum:
        where = tuple(int(i) for i in np.argwhere(np.abs(array) > maximum)[0])
        raise ValueError(f"`{name}` must be at most {maximum:g} in size, but has {array[where]:g} at index {where}")
    array.setflags(write=False)
    return array


def _check_shape(name, array, shape, meaning):
    if array.ndim != len(shape) or any(want is not None and have != want for want, have in zip(shape, array.shape)):
        wanted = str(tuple("any" if want is None else want for want in shape)).replace("'", "")
        meaning = f"{meaning} = " if meaning else ""
        raise ValueError(f"`{name}` must have shape {meaning}{wanted}, but has shape {array.shape}")


def real_array(name: str, value: Any) -> np.ndarray:
    """Return a float64 copy of an array of real numbers of any shape.

    Text, truth values, dates and masked entries are refused, which NumPy would turn into numbers.
    """
    if np.ma.is_masked(value):
        raise ValueError(f"`{name}` must be an array without masked entries, but has some")
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):  # ragged
        raise TypeError(f"`{name}` must be an array of real numbers, but is {_kind(value)}") from None
    if found.dtype.kind == "O" and all(map(is_number, found.ravel())):
        try:
            return found.astype(np.float64)
        except OverflowError:
            raise ValueError(f"`{name}` must be finite as floats, but has a whole number too large for that") from None
    if found.dtype.kind not in "iuf":
        what = "complex" if found.dtype.kind == "c" else _kind(value)
        raise TypeError(f"`{name}` must be an array of real numbers, but is {what}")
    with np.errstate(over="ignore"):  # of longer floats; the caller looks for inf
        return np.array(found, dtype=np.float64)


def square(name: str, value: object) -> np.ndarray:
    """Return a square matrix of finite floats."""
    matrix = float_array(name, value, (None, None))
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`{name}` must be square, but has shape {matrix.shape}")
    return matrix


def symmetric(name: str, matrix: np.ndarray) -> np.ndarray:
    """Return the exactly symmetric form of a matrix that is symmetric up to rounding."""
    skew = np.max(np.abs(matrix - matrix.T), initial=0.0)
    if skew > SYMMETRY_TOLERANCE * max(1.0, np.max(np.abs(matrix), initial=0.0)):
        raise ValueError(f"`{name}` must be symmetric, but differs from its transpose by {skew:.3g}")
    matrix = (matrix + matrix.T) / 2
    matrix.setflags(write=False)
    return matrix


def semidefinite(name: str, matrix: np.ndarray) -> np.ndarray:
    """Return `matrix` if its smallest eigenvalue is not below zero by more than rounding."""
    values = np.linalg.eigvalsh(matrix) if matrix.size else np.zeros(1)
    if values[0] < -PSD_TOLERANCE * max(abs(values[-1]), np.finfo(float).tiny):
        raise ValueError(f"{name} must be positive semidefinite, but has the eigenvalue {values[0]:.6g}")
    return matrix


def times(alpha: ArrayLike, points: int = 201) -> np.ndarray:
    """Return the times of a run: a strictly increasing array, or a number for an even grid from 0 up to it."""
    if isinstance(alpha, Real) and not isinstance(alpha, np.timedelta64):
        return np.linspace(0.0, number("alpha", alpha, above=0.0), points)
    alpha = float_array("alpha", alpha, (None,), "(T,)")
    if alpha.size == 0:
        raise ValueError("`alpha` must hold at least one time, but is empty")
    if alpha[0] < 0:
        raise ValueError(f"`alpha` must not be negative, but starts at {alpha[0]:g}")
    if (alpha[1:] <= alpha[:-1]).any():
        where = int(np.argmax(np.diff(alpha) <= 0))
        raise ValueError(
            f"`alpha` must be strictly increasing, but goes from {alpha[where]:g} to {alpha[where + 1]:g} "
            f"at index {where + 1}"
        )
    return alpha


def samples(name: str, alpha: float, N: int, most: int = LARGEST_INTEGER) -> None:
    """Refuse a last time `alpha` at which more samples have been drawn than can be counted."""
    if alpha * N > most:
        raise ValueError(f"`{name}` must be at most {most / N:.3g} at N = {N}, but is {alpha:g}")


def _kind(value):
    """Return what came, in a few words."""
    if isinstance(value, (str, bool)):
        return f"{value if len(repr(value)) < 60 else value[:50] + '...'!r} of type {type(value).__name__}"
    if isinstance(value, np.ndarray):
        return f"ndarray of {value.dtype}"
    if isinstance(value, (list, tuple)) and value:
        return f"{type(value).__name__} of {type(value[0]).__name__}"
    return type(value).__name__


def digits(value: int) -> str:
    """Return a whole number as text: Python refuses to write out very long ones."""
    return str(value) if abs(value) < 10**20 else f"about {'-' * (value < 0)}1e{int(value.bit_length() * 0.30103)}"

"""Argument checks: each names the argument, what was wanted and what came.

A wrong type raises TypeError, a wrong value ValueError. They are called once, at the public boundary;
nothing below it checks again.
"""

from numbers import Integral, Real

import numpy as np

__all__ = ["choice", "flag", "float_array", "integer", "number", "semidefinite", "square", "symmetric", "times"]

# Relative size of a negative eigenvalue that rounding (or an ODE solver at its default tolerance) explains.
PSD_TOLERANCE = 1e-6
SYMMETRY_TOLERANCE = 1e-9


def integer(name, value, minimum=None):
    """Return `value` as an int; a float is taken if it is a whole number (``1e5``)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a whole number, but is {_kind(value)}")
    if not isinstance(value, Integral) and not float(value).is_integer():
        raise ValueError(f"`{name}` must be a whole number, but is {value!r}")
    value = int(value)
    if minimum is not None and value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, but is {value}")
    return value


def number(name, value, *, above=None, minimum=None):
    """Return `value` as a finite float, larger than `above` or at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number, but is {_kind(value)}")
    value = float(value)
    if not np.isfinite(value):
        raise ValueError(f"`{name}` must be finite, but is {value}")
    if above is not None and not value > above:
        raise ValueError(f"`{name}` must be larger than {above:g}, but is {value:g}")
    if minimum is not None and value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum:g}, but is {value:g}")
    return value


def flag(name, value):
    """Return `value` as a bool; nothing else is taken for one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False, but is {_kind(value)}")
    return bool(value)


def choice(name, value, options):
    """Return `value` if it is one of the strings in `options`."""
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be one of {', '.join(map(repr, options))}, but is {_kind(value)}")
    if value not in options:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, options))}, but is {value!r}")
    return value


def float_array(name, value, shape, meaning=""):
    """Return a read-only float64 copy of `value` with the given shape and finite entries.

    A None in `shape` stands for any length; `meaning` is that shape in symbols, for the message.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be an array of real numbers, but is {_kind(value)}") from None
    if np.iscomplexobj(value):
        raise TypeError(f"`{name}` must be an array of real numbers, but is complex")
    if array.ndim != len(shape) or any(want is not None and have != want for want, have in zip(shape, array.shape)):
        wanted = str(tuple("any" if want is None else want for want in shape)).replace("'", "")
        meaning = f"{meaning} = " if meaning else ""
        raise ValueError(f"`{name}` must have shape {meaning}{wanted}, but has shape {array.shape}")
    if not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"`{name}` must be finite, but has {array[where]} at index {where}")
    array.setflags(write=False)
    return array


def square(name, value):
    """Return a square matrix of finite floats."""
    matrix = float_array(name, value, (None, None))
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`{name}` must be square, but has shape {matrix.shape}")
    return matrix


def symmetric(name, matrix):
    """Return the exactly symmetric form of a matrix that is symmetric up to rounding."""
    skew = np.max(np.abs(matrix - matrix.T), initial=0.0)
    if skew > SYMMETRY_TOLERANCE * max(1.0, np.max(np.abs(matrix), initial=0.0)):
        raise ValueError(f"`{name}` must be symmetric, but differs from its transpose by {skew:.3g}")
    matrix = (matrix + matrix.T) / 2
    matrix.setflags(write=False)
    return matrix


def semidefinite(name, matrix):
    """Return `matrix` if its smallest eigenvalue is not below zero by more than rounding."""
    values = np.linalg.eigvalsh(matrix)
    if values[0] < -PSD_TOLERANCE * max(abs(values[-1]), np.finfo(float).tiny):
        raise ValueError(f"{name} must be positive semidefinite, but has the eigenvalue {values[0]:.6g}")
    return matrix


def times(alpha, points=201):
    """Return the times of a run: a strictly increasing array, or a number for an even grid from 0 up to it."""
    if isinstance(alpha, Real):
        return np.linspace(0.0, number("alpha", alpha, above=0.0), points)
    alpha = float_array("alpha", alpha, (None,), "(T,)")
    if alpha.size == 0:
        raise ValueError("`alpha` must hold at least one time, but is empty")
    if alpha[0] < 0:
        raise ValueError(f"`alpha` must not be negative, but starts at {alpha[0]:g}")
    if np.any(np.diff(alpha) <= 0):
        where = int(np.argmax(np.diff(alpha) <= 0))
        raise ValueError(
            f"`alpha` must be strictly increasing, but goes from {alpha[where]:g} to {alpha[where + 1]:g} "
            f"at index {where + 1}"
        )
    return alpha


def _kind(value):
    return f"{value!r} of type {type(value).__name__}" if isinstance(value, (str, bool)) else type(value).__name__

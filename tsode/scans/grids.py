"""The points of a scan, in the one exact form that their addresses and their random streams are made of."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import numpy as np

from .. import _checks
from .._parameters import plain
from ..activations import Activation
from ..model import TeacherStudent
from ..overlaps import Overlaps
from ..rules import Rule

__all__ = ["Grid", "GridLike", "exact_text", "make_grid", "point_seed", "values_of"]

LARGEST = 10**400  # far below the length at which Python ceases to write numbers out
POINT = "point"  # the dimension of a grid that is no product

GridLike = Mapping[str, Any] | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Grid:
    """The points of a scan and how they are laid out.

    Attributes
    ----------
    shape : dict of str to int
        Names and lengths of the dimensions.
    coordinates : dict of str to (str, ndarray)
        Each name's dimension and values along it.
    points : list of dict
        What the function is called with, in the order of the dimensions (last one fastest).
    """

    shape: dict[str, int]
    coordinates: dict[str, tuple[str, np.ndarray]]
    points: list[dict[str, Any]]


def make_grid(grid: GridLike) -> Grid:
    """Return the Grid of a mapping of names to values, whose product is taken, or of a list of points.

    Parameters
    ----------
    grid : mapping of str to (iterable or scalar), or iterable of mappings
        A scalar stands for one value. In a list all points have the same names.

    Returns
    -------
    Grid

    Raises
    ------
    TypeError, ValueError
        If it is empty, has other names or values than it may have, or holds a point twice.
    """
    if isinstance(grid, Mapping):
        names = [_name(name) for name in grid]
        axes = [values_of(name, grid[name]) for name in names]
        shape = dict(zip(names, map(len, axes)))
        coordinates = {name: (name, _coordinate(axis)) for name, axis in zip(names, axes)}
        points = [dict(zip(names, values)) for values in itertools.product(*axes)]
    else:
        names, points = _list_of_points(grid)
        shape = {POINT: len(points)}
        coordinates = {name: (POINT, _coordinate([point[name] for point in points])) for name in names}
    if not names or not points:
        raise ValueError("`grid` must hold at least one name and one point, but is empty")
    texts = [exact_text(point) for point in points]
    if len(set(texts)) < len(texts):
        twice = next(text for i, text in enumerate(texts) if text in texts[:i])
        raise ValueError(f"`grid` must hold every point once, but has {twice} twice")
    return Grid(shape, coordinates, points)


def exact_text(point: Mapping[str, Any]) -> str:
    """Return the JSON text of a point: names sorted, numbers to their last digit; equal for equal points only."""
    return json.dumps({_name(name): _plain(name, value) for name, value in point.items()}, sort_keys=True)


def point_seed(point: Mapping[str, Any]) -> int:
    """Return the seed of a point: 128 bits that depend on its names and values and on nothing else.

    Parameters
    ----------
    point : mapping of str to value
        Values as in a grid.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        If `point` is no mapping, or a value has no exact text.

    Examples
    --------
    >>> point_seed({"p": 4, "learning_rate": 0.1}) == point_seed({"learning_rate": 0.1, "p": 4})
    True
    >>> point_seed({"p": 4, "learning_rate": 0.3}) == point_seed({"p": 4, "learning_rate": 0.1 + 0.2})
    False
    """
    _checks.instance("point", point, Mapping, "a mapping of str to value")
    digest = hashlib.sha256(b"seed of the point " + exact_text(point).encode()).digest()
    return int.from_bytes(digest[:16], "big")


def _name(name):
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(f"`grid` must have names of parameters as keys, but has {name!r}")
    return name


def values_of(name: str, values: Any) -> list[Any]:
    """Return one or several values of a name as a list, scalars of NumPy as those of Python."""
    if isinstance(values, (str, Mapping, TeacherStudent, Overlaps)) or not isinstance(values, Iterable):
        values = [values]
    if isinstance(values, np.ndarray) and values.ndim == 0:
        values = [values.item()]
    values = [_value(name, value) for value in values]
    if not values:
        raise ValueError(f"`grid` must give at least one value of `{name}`, but gives none")
    return values


def _value(name, value):
    _plain(name, value)  # refuses what has no exact text
    return value.item() if isinstance(value, np.generic) else value


def _list_of_points(grid):
    """Return the names of the first point, and all points with their names in that order."""
    if isinstance(grid, (str, bytes, np.ndarray)) or not isinstance(grid, Iterable):
        raise TypeError(f"`grid` must be a dict of values or a list of dicts, but is {type(grid).__name__}")
    names, points = [], []
    for point in grid:
        if not isinstance(point, Mapping):
            raise TypeError(f"`grid` must be a dict of values or a list of dicts, but holds a {type(point).__name__}")
        names = names if points else list(point)
        if set(point) != set(names):
            raise ValueError(f"`grid` must have points of equal names, but has {sorted(names)} and {sorted(point)}")
        if POINT in point:
            raise ValueError(f"`grid` must not use the name {POINT!r}, which is its dimension")
        points.append({_name(name): _value(name, point[name]) for name in names})
    return names, points


def _plain(name, value):
    """Return a value as JSON takes it, without loss."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral) and abs(int(value)) >= LARGEST:
        raise ValueError(f"`grid` must have whole numbers below 1e400, but `{name}` has {_checks.digits(int(value))}")
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _checks.number(name, value) if isinstance(value, Fraction) else float(value)
    if isinstance(value, np.ndarray):
        return _plain(name, value.tolist())
    if isinstance(value, (Activation, Rule)):
        return plain(value)
    if isinstance(value, TeacherStudent):
        return {"TeacherStudent": value.to_dict()}
    if isinstance(value, Overlaps):
        return {"Overlaps": [value.M.tolist(), value.Q.tolist(), value.P.tolist()]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(name, part) for key, part in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(name, part) for part in value]
    raise TypeError(
        f"`grid` must have numbers, strings, sequences or arrays of them, models or overlaps as values, "
        f"but `{name}` has a {type(value).__name__}"
    )


def _coordinate(values):
    """Return values as an array of numbers or of strings: their text where they are neither."""
    kinds = {type(value) for value in values}
    if kinds == {bool} or kinds == {str} or (kinds <= {int, float} and all(abs(v) < 2**63 for v in values if v == v)):
        return np.array(values)
    parts = [_plain("", value) for value in values]
    return np.array([part if isinstance(part, str) else json.dumps(part) for part in parts])

"""What a scanned function may return, and the labelled whole that its values become."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._trajectory_forms import variables
from ..trajectory import Trajectory
from .grids import Grid

if TYPE_CHECKING:
    import xarray

__all__ = ["Values", "dataset", "failures", "labelled"]

Values = dict[str, tuple[tuple[str, ...], np.ndarray]]  # name -> (dimensions, array)


def labelled(result: Any) -> Values:
    """Return a function's result as name -> (dimensions, array).

    Parameters
    ----------
    result : number, str, array_like, DataArray, mapping of str to those, Dataset, or Trajectory
        What the function returned.

    Returns
    -------
    dict of str to (tuple of str, ndarray)

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If it names other dimensions than it has.
    """
    if isinstance(result, Trajectory):
        return {
            "header": ((), result.to_arrays()["header"]),
            "alpha": (("alpha",), result.alpha),
            **variables(result),
        }
    own = getattr(result, "name", None)
    parts = result if isinstance(result, Mapping) else {own if isinstance(own, str) else "value": result}
    if not parts:
        raise TypeError("`function` must return a number, array, dict of those or Trajectory, but returned no value")
    found = {_text(name): _variable(name, part) for name, part in parts.items()}
    for part in parts.values():
        for name, (dims, array) in _coordinates(part).items():
            if name in found and (found[name][0] != dims or not np.array_equal(found[name][1], array)):
                raise ValueError(f"`function` must return one array of the name {name!r}, but returned two that differ")
            found[name] = dims, array
    return found


def _coordinates(part):
    """Return the coordinates of a DataArray as name -> (dimensions, array); of anything else nothing."""
    return {_text(name): (tuple(one.dims), _array(name, one)) for name, one in getattr(part, "coords", {}).items()}


def _text(name):
    if not isinstance(name, str):
        raise TypeError(f"`function` must return a dict with strings as keys, but has the key {name!r}")
    return name


def _variable(name, part):
    """Return one value as (dimensions, array); as in xarray, a pair (names, array) names its dimensions."""
    dims = None
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], (str, tuple)):
        dims, part = part
        dims = (dims,) if isinstance(dims, str) else dims
    elif hasattr(part, "coords"):  # an xarray.DataArray, which need not be imported
        dims = tuple(map(_text, part.dims))
    array = _array(name, part)
    dims = tuple(f"{name}_axis{i}" for i in range(array.ndim)) if dims is None else dims
    if len(dims) != array.ndim or len(set(dims)) < len(dims) or name in dims:
        raise ValueError(
            f"`function` must return {name!r} with {array.ndim} different names of dimensions, none its own, "
            f"but names {dims}"
        )
    return dims, array


def _array(name, part):
    try:
        array = np.asarray(part)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biufcU":
        raise TypeError(
            "`function` must return a number, array, dict of those or Trajectory, "
            f"but returned {type(part).__name__} as {name!r}"
        )
    return array


def dataset(grid: Grid, outcomes: Sequence[Values | None], attributes: Mapping[str, str]) -> xarray.Dataset:
    """Return the values of all points as one ``xarray.Dataset``.

    Parameters
    ----------
    grid : Grid
        The points.
    outcomes : list of (dict or None)
        What `labelled` returned for each point; None for a failed one.
    attributes : dict of str to str
        Attributes of the dataset.

    Returns
    -------
    xarray.Dataset
        Arrays that are longer at some points than at others are filled up, like failed points: numbers with nan,
        strings with "". A value that bears a name of the grid has an underscore appended.

    Raises
    ------
    ValueError
        If a value has two numbers of dimensions.

    Warns
    -----
    RuntimeWarning
        If arrays are filled up along a dimension without coordinates, which would tell how long each one was.
    """
    import xarray

    names = dict.fromkeys(name for values in outcomes if values is not None for name in values)
    taken = {*grid.shape, *grid.coordinates}
    coordinates: dict[str, Any] = dict(grid.coordinates)
    variables = {}
    for name in names:
        parts = [None if values is None else values.get(name) for values in outcomes]
        dims = _common_dims(name, parts, grid)
        renamed = tuple(f"{dim}_" if dim in taken else dim for dim in dims)
        label = f"{name}_" if name in taken else name
        arrays = [None if part is None else part[1] for part in parts]
        if name in dims:
            axis = _common_axis(arrays)
            if axis is not None:
                coordinates[label] = (renamed, axis)
                continue
            label = "time" if name == "alpha" else f"{name}_of_point"
        else:
            _warn_of_lengths(name, dims, arrays, names)
        whole = _stack(arrays)
        variables[label] = ((*grid.shape, *renamed), whole.reshape(*grid.shape.values(), *whole.shape[1:]))
    return xarray.Dataset(variables, coords=coordinates, attrs=attributes)


def failures(dataset: xarray.Dataset) -> list[dict[str, Any]]:
    """Return the points of a scan that failed.

    Parameters
    ----------
    dataset : xarray.Dataset
        What ``scan(..., on_error="record")`` returned, or its copy from a file.

    Returns
    -------
    list of dict
        With "point", the parameters, and "error", the exception as text; empty where nothing failed.

    Raises
    ------
    TypeError
        If `dataset` is none.

    Examples
    --------
    >>> import tsode
    >>> table = tsode.scan(lambda x: 1 // x, {"x": [0, 1, 2]}, n_jobs=1, on_error="record")
    >>> table["value"].values
    array([nan,  1.,  0.])
    >>> tsode.scans.failures(table)
    [{'point': {'x': 0}, 'error': 'ZeroDivisionError: integer division or modulo by zero'}]
    """
    import xarray

    _checks.instance("dataset", dataset, xarray.Dataset, "an xarray.Dataset")
    return json.loads(dataset.attrs.get("failures", "[]"))


def _common_dims(name, parts, grid):
    found = {}
    for point, part in zip(grid.points, parts):
        if part is not None:
            found.setdefault(part[0], point)
    if len(found) > 1:
        (few, one), (more, other) = list(found.items())[:2]
        raise ValueError(
            f"`function` must return {name!r} with the same dimensions at every point, "
            f"but it has {len(few)} at {one} and {len(more)} at {other}"
        )
    return next(iter(found))


def _warn_of_lengths(name, dims, arrays, names):
    for dim, own in zip(dims, zip(*(array.shape for array in arrays if array is not None))):
        if dim not in names and min(own) < max(own):
            warnings.warn(
                f"`function` returned {name!r} with {min(own)} to {max(own)} entries along {dim!r}: shorter ones are "
                "filled up; return an xarray.DataArray with coordinates to tell which entries there are",
                RuntimeWarning,
                stacklevel=5,
            )


def _common_axis(arrays):
    """Return the longest of some axes if all others are its beginnings (a run that ended early), else None."""
    arrays = [array for array in arrays if array is not None]
    longest = max(arrays, key=len)
    return longest if all(np.array_equal(array, longest[: len(array)]) for array in arrays) else None


def _stack(arrays):
    """Return arrays of equal dimension as one, those missing or too short filled up."""
    present = [array for array in arrays if array is not None]
    shape = tuple(np.max([array.shape for array in present], axis=0).astype(int))
    if all(array is not None and array.shape == shape for array in arrays):
        return np.stack(arrays)
    kind = np.result_type(*present)
    if kind.kind != "U":
        kind = np.result_type(kind, np.float64)
    whole = np.full((len(arrays), *shape), "" if kind.kind == "U" else np.nan, dtype=kind)
    for i, array in enumerate(arrays):
        if array is not None:
            whole[(i, *map(slice, array.shape))] = array
    return whole

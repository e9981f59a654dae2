"""The grids of the ready scans: parameters of a model, and of the run where there is one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _checks
from ..model import TeacherStudent, parameters
from .grids import values_of

__all__ = ["DEFAULTS", "PARAMETERS", "check_runs", "model_grid", "stream"]

DIMENSION = {
    "label": "input dimension", "symbol": "N", "kind": int, "default": 10_000, "plural": "input dimensions N"
}  # fmt: skip
PARAMETERS = {**parameters(), "dimension": DIMENSION}
DEFAULTS = {name: about["default"] for name, about in PARAMETERS.items()}
MODEL = {name: DEFAULTS[name] for name in parameters()}


def model_grid(grid: Mapping[str, Any], dimension: bool = True) -> dict[str, list[Any]]:
    """Return a grid of model parameters, checked and with defaults for what it leaves out.

    Parameters
    ----------
    grid : mapping of str to (value or sequence of values)
        Any of the model's parameters that have a single value and, if `dimension`, dimension.
    dimension : bool
        Whether the input dimension N is one of them.

    Returns
    -------
    dict of str to list
        Without those that are rare and left out: points and random streams do not depend on their being there.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, or a value no model can have.
    """
    if not isinstance(grid, Mapping):
        raise TypeError(f"`grid` must be a dict of values, but is {type(grid).__name__}")
    known = {name: about for name, about in PARAMETERS.items() if dimension or name != "dimension"}
    _checks.names("grid", grid, known, ValueError)
    full = {}
    for name, about in known.items():
        if about.get("rare") and name not in grid:
            continue
        values = values_of(name, grid.get(name, about["default"]))
        if about["kind"] is int:
            values = [_checks.integer(name, value, minimum=1) for value in values]
        elif about["kind"] is float:
            values = [_checks.number(name, value) for value in values]
        # Each is tried now, in a model that is right otherwise: not after hours.
        if name != "dimension":
            for value in values:
                TeacherStudent(**{**MODEL, name: value})
        full[name] = values
    if dimension:
        _checks.integer("dimension", min(full["dimension"]), minimum=max(full["p"]) + max(full["p_star"]))
    return full


def check_runs(grid: Mapping[str, list[Any]], runs: int, records: int) -> None:
    """Refuse more runs than fit into memory at the widest point of a grid of `model_grid`."""
    p, p_star = max(grid["p"]), max(grid["p_star"])
    _checks.memory("`runs`", runs * records * p * (p + p_star))


def stream(base: int, seed: int) -> np.random.SeedSequence:
    """Return the random stream of a point within the scan of a user's seed.

    Parameters
    ----------
    base : int
        The seed that the user gave.
    seed : int
        The seed of the point.

    Returns
    -------
    numpy.random.SeedSequence
    """
    return np.random.SeedSequence((base, seed))

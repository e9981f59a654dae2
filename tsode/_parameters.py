"""What a parameter of the model carries with it: what is said of it, how it is checked, how its value is written."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks

if TYPE_CHECKING:
    from .model import TeacherStudent

__all__ = ["about", "arguments", "describe", "is_default", "overlap", "plain", "readout", "short", "width"]

TITLES = ("widths", "loss", "run")  # what a line about a model may name, each with what is before it

Check = Callable[[str, Any, Mapping[str, Any]], Any]  # (name, value, known) -> value


def about(label: str, meaning: str, symbol: str = "", check: Check | None = None, **more: Any) -> dict[str, Any]:
    """Return all that is said of a parameter in reprs, figures, grids and on the command line, as a dict.

    ``check(name, value, known)`` returns the value, or that of the default, given those before. What else there may be:
    `load` (makes a value of what files hold), `title` (one of `TITLES`: from where on it is named), `rare` (named
    only where it is not the default), `short` (its label in figures); and for those that the command line and grids
    take `plural`, `default`, `metavar`, `choices`.
    """
    return {"label": label, "meaning": meaning, "symbol": symbol, "check": check, **more}


def width(name: str, value: Any, known: Mapping[str, Any]) -> int:
    """Return a width; the second one is checked together with the first."""
    value = _checks.integer(name, value, minimum=1)
    if "p" in known:
        _checks.memory("`p` and `p_star`", known["p"] * (known["p"] + value) + value**2)
    return value


def readout(width: str) -> Check:
    """Return the check of a readout of the width of this name."""

    def check(name: str, value: Any, known: Mapping[str, Any]) -> np.ndarray:
        n = known[width]
        return _checks.float_array(name, np.full(n, 1 / n) if value is None else value, (n,), f"({width},)")

    return check


def overlap(name: str, value: Any, known: Mapping[str, Any]) -> np.ndarray:
    """Return the overlaps of the teacher's rows."""
    n = known["p_star"]
    P = _checks.float_array(name, np.eye(n) if value is None else value, (n, n), "(p_star, p_star)")
    return _checks.semidefinite(f"`{name}`", _checks.symmetric(name, P))


def arguments(thing: Any) -> dict[str, Any]:
    """Return the keyword arguments that make an activation or a rule again, dict of str to value.

    They are its attributes, but for those that begin with "_" and those that have the value of their default.
    """
    kind: Any = type(thing)
    defaults = _defaults(kind)
    return {
        name: value
        for name, value in vars(thing).items()
        if not name.startswith("_") and (name not in defaults or defaults[name] != value)
    }


@functools.cache
def _defaults(kind: Any) -> dict[str, Any]:
    return {one.name: one.default for one in inspect.signature(kind).parameters.values()}


def plain(value: Any) -> Any:
    """Return the value of a parameter as JSON takes it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "to_dict"):  # an activation, a rule or a schedule
        said = value.to_dict()
        return said if len(said) > 1 else said["name"]
    return value


def short(value: Any) -> str:
    """Return the value of a parameter in a few words."""
    if isinstance(value, np.ndarray):
        if value.ndim == 2 and np.array_equal(value, np.eye(len(value))):
            return "identity"
        if value.ndim == 1 and np.ptp(value) == 0:
            return f"{value[0]:g} each"
        return np.array2string(value, precision=4, separator=", ", threshold=8)
    if isinstance(plain(value), dict):
        return repr(value)
    return f"{value:g}" if isinstance(value, float) else str(plain(value))


def is_default(model: Any, one: dataclasses.Field[Any]) -> bool:
    """Return whether a parameter of the model, given by its field, has the value of its default."""
    if one.default is dataclasses.MISSING:
        return False
    return np.array_equal(getattr(model, one.name), one.metadata["check"](one.name, one.default, vars(model)))


def describe(model: TeacherStudent, title: str = "run", N: int | None = None, words: bool = False) -> str:
    """Return the parameters of a model in one line, for titles; what is rare only where it is not the default.

    Parameters
    ----------
    model : TeacherStudent
        Whose parameters.
    title : {"widths", "loss", "run"}
        Name the widths; also what else the loss depends on; also what only a run depends on.
    N : int, optional
        Input dimension to be named too.
    words : bool
        Words instead of symbols for what only a run depends on.

    Returns
    -------
    str
    """
    named, parts = TITLES[: TITLES.index(title) + 1], []
    for one in dataclasses.fields(model):
        said, value = one.metadata, short(getattr(model, one.name))
        if said.get("title") not in named or (said.get("rare") and is_default(model, one)):
            continue
        if words and said["title"] == "run":
            parts.append(f"{said.get('short', said['label'])} {value}")
        else:
            parts.append(f"{said['symbol']} = {value}" if said["symbol"] else value)
    return ", ".join([*parts[:2], *([] if N is None else [f"N = {N:,}"]), *parts[2:]])

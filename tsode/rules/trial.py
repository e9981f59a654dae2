"""What a user's function must do, found out by calling it on a few samples before anything is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _checks
from .layout import Layout, locked

__all__ = ["checked", "tried", "tried_pull"]

SAMPLES = 5
CLOSE = 1e-9  # of what is said of a sample, alone and among others


def checked(rows: Any, rule: Any, outputs: Any, scalars: Any, pull: Any, noises: Any) -> dict[str, Any]:
    """Return the arguments of :class:`tsode.Scheme` that are no functions, as they are kept; refuse wrong ones."""
    rows, outputs, scalars = (_named(*each) for each in (("rows", rows), ("outputs", outputs), ("scalars", scalars)))
    rows = {name: _checks.integer(f"rows[{name!r}]", count, minimum=1) for name, count in rows.items()}
    if not rows:
        raise ValueError("`rows` must name at least one kind of rows, but is empty")
    scalars = {
        name: _checks.float_array(
            f"scalars[{name!r}]", _checks.real_array(f"scalars[{name!r}]", value), np.shape(value)
        )
        for name, value in scalars.items()
    }
    if twice := sorted(set(rows) & set(scalars)):
        raise ValueError(f"`scalars` must not be named as rows, but one is {twice[0]!r}")
    functions = {"rule": rule, **{f"outputs[{name!r}]": each for name, each in outputs.items()}}
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(f"`{name}` must be a function of (z, xi, a), but is {type(function).__name__}")
    if pull is not None and not callable(pull):
        raise TypeError(f"`pull` must be a function of (Omega, a) or None, but is {type(pull).__name__}")
    noises = _checks.integer("noises", noises, minimum=0)
    count = sum(rows.values())
    _checks.memory("`rows`, `noises` and `scalars`", count**2 + noises + sum(map(np.size, scalars.values())))
    return {"rows": rows, "outputs": outputs, "scalars": scalars, "noises": noises}


def _named(name, value):
    given = dict(_checks.instance(name, {} if value is None else value, Mapping, "a dict of names"))
    for key in given:
        _checks.instance(name, key, str, "a dict of names")
    return given


def tried(
    rows: Mapping[str, int],
    rule: Callable[..., Any],
    scalars: Mapping[str, np.ndarray],
    outputs: Mapping[str, Callable[..., Any]],
    noises: int,
) -> Layout:
    """Return the names, which rows move among them, of functions that do what :class:`tsode.Scheme` asks for."""
    rng = np.random.default_rng(0)
    z = {name: locked(rng.standard_normal((SAMPLES, count))) for name, count in rows.items()}
    xi, a = locked(rng.standard_normal((SAMPLES, noises))), {name: locked(each[None]) for name, each in scalars.items()}
    found = _called("rule", rule, z, xi, a)
    if not isinstance(found, Mapping):
        raise TypeError(f"`rule` must return a dict of names and arrays, but returns {type(found).__name__}")
    for name in found:
        if name not in rows and name not in scalars:
            known = ", ".join(map(repr, [*rows, *scalars]))
            raise ValueError(f"`rule` must return what some of {known} change, but returns {name!r}")
    moving = tuple(name for name in rows if name in found)
    if not moving:
        raise ValueError(f"`rule` must move some of the rows {', '.join(map(repr, rows))}, but returns {list(found)}")
    shapes = {name: (rows[name],) if name in rows else scalars[name].shape for name in found}
    _check("rule", rule, (z, xi, a), lambda result: result, shapes)
    for name, function in outputs.items():
        _check(f"outputs[{name!r}]", function, (z, xi, a), lambda result: {"": result}, {"": ()})
    return Layout(dict(rows), moving, {name: each.shape for name, each in scalars.items()}, tuple(outputs))


def _check(argument, function, given, named, shapes):
    """Refuse results of wrong shapes, and those of samples that depend on others."""
    z, xi, a = given
    few, each = slice(0, 2), {name: np.repeat(value, SAMPLES, axis=0) for name, value in a.items()}
    whole = named(_called(argument, function, *given))
    part = named(_called(argument, function, {name: value[few] for name, value in z.items()}, xi[few], a))
    own = named(_called(argument, function, z, xi, each))
    for name, shape in shapes.items():
        what = f"`{argument}`" if not name else f"`{argument}` for {name!r}"
        first = _array(what, whole[name], (SAMPLES, *shape))
        for other, result in ((first[few], part), (first, own)):
            if not np.allclose(other, _array(what, result[name], other.shape), rtol=CLOSE, atol=CLOSE):
                raise ValueError(
                    f"{what} must take samples one by one and be the same in every call: the first axis of all arrays "
                    "is that of the samples, and has length 1 where they share scalars"
                )


def _called(argument, function, *given):
    """Return what a user's function returns."""
    try:
        with np.errstate(all="ignore"):
            return function(*given)
    except Exception as error:
        shapes = (
            {name: np.shape(value) for name, value in each.items()} if isinstance(each, Mapping) else np.shape(each)
            for each in given
        )
        hint = "; xi has as many columns as `noises` says" if (SAMPLES, 0) in map(np.shape, given) else ""
        raise ValueError(
            f"`{argument}` must run on {', '.join(map(str, shapes))}, but raised {error!r}{hint}"
        ) from error


def _array(what, value, shape):
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{what} must return real numbers, but returns {type(value).__name__}") from None
    if array.shape != shape:
        raise ValueError(f"{what} must return shape {shape} for {shape[0]} samples, but returns shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} must return finite numbers for standard normal preactivations, but does not")
    return array


def tried_pull(pull: Callable[..., Any], layout: Layout, scalars: Mapping[str, np.ndarray]) -> None:
    """Refuse a pull that returns no matrix of the rows that move."""
    rows = sum(layout.rows.values())
    root = np.random.default_rng(0).standard_normal((rows, rows))
    found = _called("pull", pull, locked(root @ root.T / rows), {name: locked(each) for name, each in scalars.items()})
    _checks.float_array("pull(Omega, a)", found, (layout.p, layout.p), "(moving, moving)")

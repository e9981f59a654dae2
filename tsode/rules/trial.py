"""What a user's function must do, found out by calling it on a few samples before anything is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .layout import Layout, locked

__all__ = ["tried", "tried_pull"]

SAMPLES = 5
CLOSE = 1e-9  # of what is said of a sample, alone and among others


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
    given = (
        z,
        locked(rng.standard_normal((SAMPLES, noises))),
        {name: locked(each[None]) for name, each in scalars.items()},
    )
    found = rule(*given)
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
    _check("rule", rule, given, lambda result: result, shapes)
    for name, function in outputs.items():
        _check(f"outputs[{name!r}]", function, given, lambda result: {"": result}, {"": ()})
    return Layout(dict(rows), moving, {name: each.shape for name, each in scalars.items()}, tuple(outputs))


def _check(argument, function, given, named, shapes):
    """Refuse results of wrong shapes, and those of samples that depend on others."""
    z, xi, a = given
    few, each = slice(0, 2), {name: np.repeat(value, SAMPLES, axis=0) for name, value in a.items()}
    whole = named(function(*given))
    part = named(function({name: value[few] for name, value in z.items()}, xi[few], a))
    try:
        own = named(function(z, xi, each))
    except Exception as error:
        raise ValueError(
            f"`{argument}` must take scalars of each sample, the first axis being that of the samples: a single number "
            f"has shape (n,), and is a[name][:, None] beside rows; it raised {error!r}"
        ) from error
    for name, shape in shapes.items():
        what = f"`{argument}`" if not name else f"`{argument}` for {name!r}"
        first = _array(what, whole[name], (SAMPLES, *shape))
        for other, result in ((first[few], part), (first, own)):
            if not np.allclose(other, _array(what, result[name], other.shape), rtol=CLOSE, atol=CLOSE):
                raise ValueError(
                    f"{what} must take samples one by one and be the same in every call: the first axis of all arrays "
                    "is that of the samples, and has length 1 where they share scalars"
                )


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
    found = pull(locked(root @ root.T / rows), {name: locked(each) for name, each in scalars.items()})
    _array("`pull`", np.asarray(found)[None], (1, layout.p, layout.p))

"""Losses by name: means of functions of the preactivations, at every recorded time, found when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from .layout import Layout
from .points import Points

__all__ = ["Losses", "means"]

AT_ONCE = 1 << 15  # points for which a function is called at once


class Losses(Mapping[str, np.ndarray]):
    """A dict of losses that are computed once, when they are asked for.

    Parameters
    ----------
    names : sequence of str
        What they are called.
    mean : callable
        (name) -> ndarray.
    """

    def __init__(self, names: Sequence[str], mean: Callable[[str], np.ndarray]) -> None:
        self._names, self._mean, self._known = names, mean, {}  # type: ignore[var-annotated]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(f"`name` must be one of {', '.join(map(repr, self._names)) or 'none'}, but is {name!r}")
        if name not in self._known:
            self._known[name] = self._mean(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Losses({', '.join(map(repr, self._names))})"


def means(
    function: Callable[..., np.ndarray],
    layout: Layout,
    joint: np.ndarray,
    scalars: np.ndarray,
    points: Callable[[np.ndarray, np.ndarray], Points],
) -> np.ndarray:
    """Return the mean of a function of (z, xi, a) at many states, shape (...).

    Parameters
    ----------
    function : callable
        As the outputs of :class:`tsode.Scheme`.
    layout : Layout
        The names.
    joint : ndarray, shape (..., n, n)
        Covariances of the preactivations; nan where a run had ended.
    scalars : ndarray, shape (..., n_scalars)
        Trained scalars.
    points : callable
        (omega, scalars) -> Points to sum over.
    """
    lead, n = joint.shape[:-2], joint.shape[-1]
    found = np.full(math.prod(lead), np.nan)
    joint, scalars = joint.reshape(len(found), n, n), scalars.reshape(len(found), scalars.shape[-1])
    waiting: list[tuple[int, Points]] = []
    for i in np.flatnonzero(np.isfinite(joint).all(axis=(1, 2))):
        waiting.append((int(i), points(joint[i], scalars[i])))
        if sum(len(each.weights) for _, each in waiting) > AT_ONCE:
            _sum(function, layout, scalars, waiting, found)
            waiting = []
    if waiting:
        _sum(function, layout, scalars, waiting, found)
    return found.reshape(lead)[()]


def _sum(function, layout, scalars, waiting, found):
    """Write the means at some states, over the points of all of them at once."""
    at, counts = [i for i, _ in waiting], [len(each.weights) for _, each in waiting]
    z, xi = (np.hstack([getattr(each, name) for _, each in waiting]) for name in ("z", "noise"))
    values = function(layout.named_rows(z), xi.T, layout.named_scalars(np.repeat(scalars[at], counts, axis=0).T))
    values = np.broadcast_to(values, sum(counts))
    for i, part, (_, each) in zip(at, np.split(values, np.cumsum(counts)[:-1]), waiting):
        found[i] = each.weights @ part

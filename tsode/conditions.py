"""When a run or a solution is to stop: conditions on its overlaps, looked at wherever they are recorded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import _checks
from .model import TeacherStudent

__all__ = ["Condition", "check_condition", "escaped", "met", "overlap_size"]

Condition = float | Callable[..., Any] | None


def escaped(threshold: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    r"""Return the condition that a run has left the plateau, :math:`\mathrm{tr}\, M M^T > \epsilon`.

    Parameters
    ----------
    threshold : float
        :math:`\epsilon`, larger than 0, as in :func:`tsode.escape_time`.

    Returns
    -------
    function of (M, Q)
        Shapes (n, p, p_star) and (n, p, p) to n truth values, to be given as `until`.

    Raises
    ------
    TypeError, ValueError
        If `threshold` is no number or out of range.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.4)
    >>> sgd = tsode.simulate(model, None, 100.0, N=500, runs=2, until=tsode.escaped(0.05))
    >>> sgd.status.tolist()
    ['reached', 'reached']
    """
    threshold = _checks.number("threshold", threshold, above=0.0)

    def above(M: np.ndarray, Q: np.ndarray) -> np.ndarray:
        return overlap_size(M) > threshold

    return above


def overlap_size(M: np.ndarray) -> np.ndarray:
    """Return tr M M^T, shape (...) of (..., p, p_star)."""
    return np.sum(np.square(np.ascontiguousarray(M)), axis=(-1, -2))


def check_condition(until: Any) -> Condition:
    """Return a condition that is a number, a function or None."""
    if until is None or (callable(until) and not isinstance(until, type)):
        return until
    if not _checks.is_number(until):
        raise TypeError(f"`until` must be a number, a function of (M, Q) or None, but is {type(until).__name__}")
    return _checks.number("until", until, above=0.0)


def met(
    until: float | Callable[..., Any],
    models: Sequence[TeacherStudent],
    M: np.ndarray,
    Q: np.ndarray,
    scalars: np.ndarray,
) -> np.ndarray:
    """Return which of n states, shapes (n, p, p_star), (n, p, p) and (n, n_scalars), meet a condition, shape (n,)."""
    if callable(until):
        found = np.asarray(until(M, Q))
        if found.shape != M.shape[:1] or found.dtype.kind != "b":
            raise ValueError(
                f"`until` must return a truth value for each run, shape {M.shape[:1]}, but returned {found.dtype} of "
                f"shape {found.shape}"
            )
        return found
    below, first = np.empty(len(M), dtype=bool), 0
    for model, own in itertools.groupby(models):  # one call for the runs of a model, which stand side by side
        rows = slice(first, first := first + len(list(own)))
        readout = scalars[rows] if scalars.size else None
        below[rows] = model.excess_loss(M[rows], Q[rows], readout) < until
    return below

r"""The pull on the rows, :math:`W \leftarrow W + (B / N) W` with B a function of all overlaps and trained scalars."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .._callback import Callback
from .._compiled import CFunction, call, pull_function
from .._lanes import aligned, fma, load, store
from ..model import TeacherStudent

__all__ = ["Pull", "pull_of", "pull_rows", "pull_weights"]


class Pull(NamedTuple):
    """What kernels take of a pull; arrays of length 0 where there is none. The last axis is that of the runs, if any.

    Attributes
    ----------
    pointer : int or function
        What :func:`tsode._compiled.call` takes.
    omega, B : ndarray, shapes ((p + p_star)^2, ...) and (p^2, ...)
        The overlaps of all rows, and the pull, entry by entry.
    column : ndarray, shape (p, ...)
        Room for one column of the rows.
    """

    pointer: Any
    omega: np.ndarray
    B: np.ndarray
    column: np.ndarray


def pull_of(model: TeacherStudent, rule: CFunction | Callback, last: tuple[int, ...]) -> tuple[Pull, Any]:
    """Return the Pull of a model, and the C function that is to live as long; `rule` stands in where there is none."""
    pull = model.rule.pull(model)
    if pull is None:
        nothing = aligned((0, *last))
        return Pull(rule.pointer, nothing, nothing, nothing), rule
    function, p, n = pull_function(pull, lanes=bool(last)), model.p, model.p + model.p_star
    return Pull(function.pointer, aligned((n * n, *last)), aligned((p * p, *last)), aligned((p, *last))), function


@njit(cache=True, nogil=True, error_model="numpy")
def pull_rows(pull: Pull, scalars: np.ndarray, rows: np.ndarray, T: np.ndarray, target: np.ndarray, N: float) -> None:
    """Add (B/N) times the first p of `rows` to those of `target`, which may be the same; T has the rows that rest."""
    pointer, omega, B, column = pull
    p = column.shape[0]
    n = p + T.shape[0]
    for i in range(n):
        for j in range(i + 1):
            total = 0.0 * load(rows, 0, 0)
            for s in range(T.shape[1] if i >= p else rows.shape[1]):
                first = load(rows, i, s) if i < p else load(T, i - p, s)
                total = fma(first, load(rows, j, s) if j < p else load(T, j - p, s), total)
            store(omega, i * n + j, total)
            store(omega, j * n + i, total)
    call(pointer, (omega, scalars, B), (omega.shape[0], scalars.shape[0], B.shape[0]))
    for s in range(rows.shape[1]):
        for k in range(p):
            store(column, k, load(rows, k, s))
        for k in range(p):
            total = 0.0 * load(column, 0)
            for l in range(p):
                total = fma(load(B, k * p + l), load(column, l), total)
            store(target, k, s, fma(1.0 / N, total, load(target, k, s)))


@njit(cache=True, nogil=True, error_model="numpy")
def pull_weights(pull: Pull, scalars: np.ndarray, W: np.ndarray, N: float) -> None:
    """Add (B/N) W to the moving rows of weights in panels of columns, shape (panels, p + p_star, width)."""
    pointer, omega, B, column = pull
    n, p = W.shape[1], column.shape[0]
    omega[:] = 0.0
    for t in range(W.shape[0]):
        for i in range(n):
            for j in range(i + 1):
                total = 0.0
                for s in range(W.shape[2]):
                    total += np.float64(W[t, i, s]) * W[t, j, s]
                omega[i * n + j] += total / N
    for i in range(n):
        for j in range(i):
            omega[j * n + i] = omega[i * n + j]
    call(pointer, (omega, scalars, B), (omega.shape[0], scalars.shape[0], B.shape[0]))
    for t in range(W.shape[0]):
        for s in range(W.shape[2]):
            for k in range(p):
                column[k] = W[t, k, s]
            for k in range(p):
                total = 0.0
                for l in range(p):
                    total += B[k * p + l] * column[l]
                W[t, k, s] += total / N

"""Where gradient flow on soft and on hard labels ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ... import _checks

__all__ = ["learn", "margin"]

ROUND = 1e-16  # of classes that nothing separates this is left of a squared distance


def learn(X: ArrayLike, logits: ArrayLike, start: ArrayLike | None = None, layers: int = 1) -> np.ndarray:
    r"""Return where gradient flow on soft labels ends: the weights w of a linear or deep linear student.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs, one a row.
    logits : array_like, shape (n,)
        What the teacher says of them, :math:`X w^*`: fewer inputs than dimensions, or logits that some w has.
    start : array_like, shape (d,), optional
        Weights at the start, their product where there are layers; zero by default.
    layers : int
        Number of layers L, balanced at the start; from 2 on the start must not be zero.

    Returns
    -------
    ndarray, shape (d,)

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; if no w has these logits.

    Notes
    -----
    The flow is followed by what it conserves, see :mod:`tsode.distillation.fixed_sample`, and not in time.

    Examples
    --------
    >>> X = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    >>> learn(X, [2.0, 3.0]).round(12), learn(X, [2.0, 3.0], start=[0.0, 0.0, 1.0], layers=2).round(4)
    (array([2., 1., 0.]), array([2.    , 1.    , 1.6707]))
    """
    X, logits = _sample(X, logits, "logits")
    layers = _checks.integer("layers", layers, minimum=1)
    w = np.zeros(X.shape[1]) if start is None else _checks.float_array("start", start, (X.shape[1],), "(d,)")
    inverse = np.linalg.pinv(X)
    inside, across = inverse @ logits, w - inverse @ (X @ w)
    if not np.allclose(X @ inside, logits, rtol=0, atol=1e-8 * max(1.0, np.abs(logits).max())):
        raise ValueError("`logits` must be those of a linear teacher, X w, but no w has them")
    if layers == 1:
        return inside + across
    from scipy.optimize import brentq  # a third of the package's import time, if it stood above

    size = np.linalg.norm(w)
    if size == 0:
        raise ValueError("`start` must not be zero for a student of several layers, which would stay there")
    kept, learnt = float(across @ across) / size ** (2 - 2 / layers), float(inside @ inside)
    if kept == 0:
        return inside

    def excess(s):  # s = |w|^(2/L), of which |w|^2 = |inside|^2 + kept |w|^(2 - 2/L) makes a polynomial
        return s ** (layers - 1) * (s - kept) - learnt

    s = brentq(excess, kept, kept + 2 * learnt ** (1 / layers), xtol=1e-300, rtol=1e-15)
    return inside + across * np.sqrt(kept * s ** (layers - 1) / (across @ across))


def margin(X: ArrayLike, labels: ArrayLike) -> np.ndarray:
    r"""Return the direction of gradient flow on hard labels at late times: that of the largest margin.

    It is the shortest w with :math:`y_i\, w \cdot x_i \ge 1`, by least distance programming (Lawson & Hanson, "Solving
    least squares problems", chapter 23).

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs, one a row.
    labels : array_like, shape (n,)
        Classes; their signs count.

    Returns
    -------
    ndarray, shape (d,)

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or shape, a label is 0, or no direction separates the classes.

    Examples
    --------
    >>> margin([[2.0, 0.0], [0.0, 4.0], [0.0, -8.0]], [1, 1, -1])
    array([0.5 , 0.25])
    """
    from scipy.optimize import nnls  # imported late, as above

    X, labels = _sample(X, labels, "labels")
    if not labels.all():
        raise ValueError("`labels` must be positive or negative, but has a 0")
    longest = np.linalg.norm(X, axis=1).max()
    signed = np.sign(labels)[:, None] * X / max(longest, np.finfo(float).tiny)
    rows = np.vstack([signed.T, np.ones(len(X))])
    wanted = np.append(np.zeros(X.shape[1]), 1.0)
    left = rows @ nnls(rows, wanted, maxiter=30 * len(X))[0] - wanted
    if not left @ left > ROUND:  # the squared distance from separable classes: 1 / (1 + |w|^2)
        raise ValueError("`labels` must be separated by some direction of the inputs, but are by none")
    return -left[:-1] / (left[-1] * longest)


def _sample(X: ArrayLike, y: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    X = _checks.float_array("X", X, (None, None), "(n, d)")
    if X.size == 0:
        raise ValueError(f"`X` must have at least one row and one column, but has shape {X.shape}")
    return X, _checks.float_array(name, y, (len(X),), "(n,)")

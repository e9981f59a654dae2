r"""Linear distillation on a fixed sample: what n soft labels teach, exactly.

A linear teacher :math:`w^*` labels n inputs x of dimension d with its own logits :math:`w^* \cdot x`. Gradient flow on
the logistic loss moves a linear student within the span of the inputs until it agrees on them all. From zero it ends at
the projection of :math:`w^*` on that span; the risk is the probability that two signs differ, for isotropic inputs the
angle over :math:`\pi`. For Gaussian inputs, with :math:`\alpha = n / d < 1`,

.. math::
    E[\mathrm{risk}] = \frac1\pi E\big[\arccos \sqrt B\big], \quad B \sim \mathrm{Beta}\big(\tfrac n2, \tfrac{d-n}2\big)
    \qquad \to \qquad \frac{\arccos \sqrt\alpha}{\pi} \quad (d \to \infty) ,

and 0 for n >= d. More samples never hurt: the projection on a larger span is closer. For any law of inputs, with
:math:`p(\theta)` the probability that an input has at least the angle :math:`\theta` with the line of :math:`w^*`,

.. math::
    E[\mathrm{risk}] \le \min_{0 \le \beta \le \pi/2} p(\beta) + p(\pi/2 - \beta)^n .

A product :math:`w = W_1 \cdots W_L` of balanced layers moves along
:math:`-|w|^{2 - 2/L} (1 + (L - 1)\, \hat w \hat w^T) \nabla`, which conserves :math:`|w_\perp| / |w|^{1 - 1/L}`,
:math:`w_\perp` being the part orthogonal to all inputs: deeper students keep more of their start. Hard labels leave the
logistic loss no minimum; the direction tends to that of the largest margin, and risk falls as a power of n alone.

The setting, the bound and the monotonicity are those of Phuong & Lampert, "Towards understanding knowledge
distillation" (arXiv:2105.13093).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar, nnls
from scipy.stats import beta

from .. import _checks

__all__ = ["bound", "learn", "margin", "risk"]

GRID = 257  # angles among which the smallest bound is looked for, before it is refined
ROUND = 1e-16  # of classes that nothing separates this is left of a squared distance


def risk(alpha: float, d: int | None = None) -> float:
    r"""Return the mean risk of a linear student of soft labels, for Gaussian inputs.

    Parameters
    ----------
    alpha : float
        Samples over input dimension, n / d, at least 0.
    d : int, optional
        Input dimension, such that alpha d is a whole number; infinite by default.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> round(risk(0.25), 4), round(risk(0.25, d=100), 4), risk(1.0)
    (0.3333, 0.3342, 0.0)
    """
    alpha = _checks.number("alpha", alpha, minimum=0.0)
    if d is None:
        return float(np.arccos(np.sqrt(min(alpha, 1.0))) / np.pi)
    d = _checks.integer("d", d, minimum=1)
    n = round(alpha * d)
    if abs(alpha * d - n) > 1e-6:
        raise ValueError(f"`alpha` must be a whole number of samples over d = {d}, but is {alpha:g}")
    if n == 0 or n >= d:
        return 0.0 if n else 0.5
    law = beta(n / 2, (d - n) / 2)
    ends = law.ppf([1e-15, 1 - 1e-15])  # far out there is nothing that a sum of nodes over all would see
    return float(law.expect(lambda b: np.arccos(np.sqrt(b)), lb=ends[0], ub=ends[1]) / np.pi)


def bound(p: Callable[[float], float], n: int) -> float:
    r"""Return the bound on the mean risk of n soft labels, for any law of the inputs.

    Parameters
    ----------
    p : callable
        Function of an angle :math:`\theta` from 0 to pi/2: the probability that an input has at least this angle with
        the line of the teacher's weights.
    n : int
        Number of samples, at least 1.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or `p` returns no probability.

    Examples
    --------
    >>> round(bound(lambda angle: 1 - 2 * angle / np.pi, n=40), 3)
    0.113
    """
    if not callable(p):
        raise TypeError(f"`p` must be a function of an angle, but is {type(p).__name__}")
    n = _checks.integer("n", n, minimum=1)

    def found(angle):
        near, far = (_checks.number("p", p(each), minimum=0.0, maximum=1.0) for each in (angle, np.pi / 2 - angle))
        return near + far**n

    angles = np.linspace(0.0, np.pi / 2, GRID)
    values = [found(float(angle)) for angle in angles]
    best = int(np.argmin(values))
    ends = angles[max(best - 1, 0)], angles[min(best + 1, GRID - 1)]
    return float(min(values[best], minimize_scalar(found, bounds=ends, method="bounded").fun))


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

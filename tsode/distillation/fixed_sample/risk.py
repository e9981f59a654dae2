"""The risk of students of soft labels, and a bound on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import _checks

__all__ = ["bound", "risk"]

GRID = 257  # angles among which the smallest bound is looked for, before it is refined


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
    from scipy.stats import beta  # takes longer to import than all of tsode

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
    from scipy.optimize import minimize_scalar  # imported late, as above

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

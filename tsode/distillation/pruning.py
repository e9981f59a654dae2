r"""Pruning: how many units of a student matter.

With the largest n of the units kept, m = p* - n of the teacher's are missing, and the loss at :math:`v = v^* = 1/p^*`
and orthonormal P is

.. math::
    \frac12 \Big(\frac{m}{p^*}\Big)^2 + \frac{m}{p^{*2}} ,

which vanishes quadratically at n = p* for wide teachers: the second-order transition of pruning.
"""

from __future__ import annotations

import numpy as np

from .. import _checks
from ..trajectory import Trajectory, check_trajectory

__all__ = ["active_units", "pruning_curve", "pruning_law"]


def active_units(run: Trajectory, threshold: float = 0.05) -> np.ndarray:
    """Return how many units of plain students are active at the last time.

    Parameters
    ----------
    run : Trajectory
        Of a TeacherStudent, as :func:`tsode.integrate`, :func:`tsode.simulate` and ``as_student`` return.
    threshold : float
        Norm of the weights, relative to the largest, above which a unit is active; from 0 to 1.

    Returns
    -------
    ndarray of int, shape (...) of the runs

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(4, 2, 0.2)
    >>> int(active_units(tsode.integrate(model, tsode.Overlaps.random(model, N=100, rng=0), 20.0)))
    4
    """
    norms = np.sqrt(np.diagonal(check_trajectory(run, "run").Q[..., -1, :, :], axis1=-2, axis2=-1))
    threshold = _checks.number("threshold", threshold, minimum=0.0, maximum=1.0)
    return np.sum(norms > threshold * norms.max(axis=-1, keepdims=True), axis=-1)


def pruning_curve(run: Trajectory) -> np.ndarray:
    """Return the excess loss of plain students at the last time with their n largest units alone.

    Parameters
    ----------
    run : Trajectory
        Of a TeacherStudent, as :func:`tsode.integrate`, :func:`tsode.simulate` and ``as_student`` return.

    Returns
    -------
    ndarray, shape (..., p + 1)
        For n = 0, ..., p; units are as large as their readout times the square of their norm.

    Raises
    ------
    TypeError
        If `run` is no Trajectory.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> model = tsode.TeacherStudent(3, 3, 0.1)
    >>> pruning_curve(tsode.Trajectory(model, [0.0], [np.eye(3)], [np.eye(3)], "completed", 0.0)).round(4)
    array([0.8333, 0.4444, 0.1667, 0.    ])
    """
    M, Q, v = check_trajectory(run, "run").M[..., -1, :, :], run.Q[..., -1, :, :], run.readout[..., -1, :]
    rank = np.argsort(np.argsort(-np.abs(v) * np.diagonal(Q, axis1=-2, axis2=-1), axis=-1), axis=-1)
    losses = [run.model.excess_loss(M, Q, np.where(rank < n, v, 0.0)) for n in range(run.model.p + 1)]
    return np.stack(losses, axis=-1)


def pruning_law(p_star: int) -> np.ndarray:
    r"""Return the excess loss with n of the p* units of the truth, of the square at v* = 1/p* and orthonormal P.

    Parameters
    ----------
    p_star : int
        Width of the truth, at least 1.

    Returns
    -------
    ndarray, shape (p_star + 1,)
        For n = 0, ..., p*.

    Raises
    ------
    TypeError, ValueError
        If `p_star` is no positive whole number.

    Examples
    --------
    >>> pruning_law(3).round(4)
    array([0.8333, 0.4444, 0.1667, 0.    ])
    """
    p_star = _checks.integer("p_star", p_star, minimum=1, maximum=10**6)
    missing = np.arange(p_star, -1, -1) / p_star
    return missing**2 / 2 + missing / p_star

r"""Noise in place of data: with which variances a teacher's units see noise as they saw the data.

A student that learns its teacher from noise alone, and is tested on data, is as good as the hidden preactivations are
alike. The remedy needs the teacher's variances :math:`V_r` on the data, stored beside it: noise of the variances
:math:`s_b^2` in blocks of inputs that minimise

.. math::
    \sum_r \Big(\sum_b s_b^2 P^b_{rr} - V_r\Big)^2 .

The scale of white noise is no remedy, as without noise in the labels it is that of the learning rate; its shape is.
With p = 2 units, p* = 4 and variances 2.4, 2.4, .4, .4 on data against .8, .8, 1.2, 1.2 on white noise, the loss on
data is 42 times smaller after matched noise. A student as wide as its teacher learns all of it from any noise: matched
noise is first quicker, then slower, as its small variances come late.

The claim is that of "Data-free distillation with noise-engineered inputs" (NeurIPS 2022).
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from .. import _checks
from ..inputs import Inputs

__all__ = ["matched_noise"]


def matched_noise(noise: Inputs, P_blocks: ArrayLike, stored: ArrayLike) -> Inputs:
    """Return noise under which the units of a teacher have the variances that they had on data.

    Parameters
    ----------
    noise : Inputs
        The blocks of coordinates; its variances do not matter.
    P_blocks : array_like, shape (B, p_star, p_star)
        Overlaps of the teacher in each block.
    stored : array_like, shape (p_star,)
        Variances of its preactivations on the data.

    Returns
    -------
    Inputs
        For ``TeacherStudent(..., inputs=...)``; ``trajectory.loss_under(data)`` tests on data.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or shape.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> P_blocks = [np.diag([0.7, 0.1]), np.diag([0.1, 0.9])]
    >>> matched_noise(tsode.Inputs([1.0, 1.0], [1, 3]), P_blocks, stored=[2.2, 1.2]).eigenvalues.round(12)
    array([3., 1.])
    """
    return _checks.instance("noise", noise, Inputs, "a tsode.Inputs").matched(P_blocks, stored)

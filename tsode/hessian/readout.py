r"""What a trained readout adds to the population Hessian: p rows, whatever N is.

The loss is quadratic in v, and so are its derivatives with respect to the overlaps. Hence half the differences of the
gradient between :math:`v + e_k` and :math:`v - e_k` are its exact derivatives with respect to :math:`v_k`. The gradient
lies in the span of W and W*, so outside of it there is nothing to add.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..model import TeacherStudent
from .landscape import Point
from .reduction import Reduction

__all__ = ["with_readout"]


def with_readout(model: TeacherStudent, reduction: Reduction) -> Reduction:
    """Return the blocks with respect to W / sqrt(N) and v.

    Parameters
    ----------
    model : TeacherStudent
        Gives the loss, at its `student_readout`.
    reduction : Reduction
        The blocks with respect to W alone.

    Returns
    -------
    Reduction
        Its `inside` has p more rows, those of v, and its `gradient` is flat, that with respect to v at its end.
    """
    v, U, U_star = model.student_readout, reduction.U, reduction.U_star
    sides = [
        [_slopes(model.replace(student_readout=v + sign * e), U, U_star) for sign in (1, -1)] for e in np.eye(len(v))
    ]
    cross = np.array([(above[0] - below[0]).ravel() / 2 for above, below in sides]) @ reduction.basis
    both = np.array([(above[1] - below[1]) / 2 for above, below in sides])
    inside = np.block([[reduction.inside, cross.T], [cross, both]])
    gradient = np.append(reduction.gradient, _slopes(model, U, U_star)[1])
    return dataclasses.replace(reduction, inside=inside, gradient=gradient)


def _slopes(model, U, U_star):
    """Return the gradient with respect to U in flat space, and that with respect to v."""
    point = Point(model, U, U_star)
    return point.gradient, model.rule.parameter_slopes(model, *point.overlaps[:2])["student_readout"]

r"""Soft and hard labels: a linear student of one pass over a linear teacher's classes.

With the logits :math:`u = w \cdot x / \sqrt N` of the student and :math:`v` of a teacher of norm :math:`|w^*| \sqrt N`,
a sample moves the student by gradient descent on the cross-entropy with the label t,

.. math::
    c = -\eta\, [S(u) - t], \qquad t = (1 - h)\, S(v / T) + h\, 1(v > 0), \qquad S(x) = 1 / (1 + e^{-x}) ,

soft at h = 0, hard at h = 1. The risk is the probability that student and teacher name different classes, the angle
between them over :math:`\pi`. At :math:`\eta = |w^*| = T = 1`, from zero, it is .2340, .0803, .0068 at alpha = 1, 5, 20
with soft labels and .2763, .1338, .0587 with hard ones: exponential against a power law, since soft labels are numbers
that the student can match. They are worth less the surer the teacher is, and half a hard label (h = 1/2) spoils most of
the gain: .0431 at alpha = 20. Label smoothing of hard labels, :math:`t = 0.8 \cdot 1(v > 0) + 0.1`, does not help:
.0640.

The claim is that of Phuong & Lampert, "Towards understanding knowledge distillation" (arXiv:2105.13093); for a fixed
sample see :mod:`tsode.distillation.fixed_sample`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Report
from ..activations import Polynomial
from ..model import TeacherStudent
from ..ode import integrate
from ..overlaps import Overlaps
from ..trajectory import Trajectory
from .mixed_labels import MixedLogistic

__all__ = ["SoftLabels", "soft_labels"]


@dataclass(frozen=True, eq=False, repr=False)
class SoftLabels(Report):
    """A linear student of soft and hard labels.

    Attributes
    ----------
    model : TeacherStudent
        The pair, for :func:`tsode.integrate` and :func:`tsode.simulate`.
    start : Overlaps
        The student of no weights.
    """

    model: TeacherStudent
    start: Overlaps

    def risk(self, run: Trajectory | ArrayLike) -> np.ndarray:
        r"""Return the probability that student and teacher name different classes, shape (..., T).

        Parameters
        ----------
        run : Trajectory or array_like, shape (T,)
            A run of `model`; or the times at which to take the ODE's from `start`.

        Returns
        -------
        ndarray
            1/2 where the student has no weights.

        Raises
        ------
        TypeError, ValueError
            If `run` is neither.

        Examples
        --------
        >>> soft_labels().risk([1.0, 5.0, 20.0]).round(4)
        array([0.234 , 0.0803, 0.0068])
        """
        if not isinstance(run, Trajectory):
            alpha = _checks.times(run)
            run = integrate(self.model, self.start, np.unique(np.append(0.0, alpha)))
            return self.risk(run)[-len(alpha) :]
        if run.model != self.model:
            raise ValueError("`run` must be one of this `model`, but is of another")
        M, Q, P = run.M[..., 0, 0], run.Q[..., 0, 0], self.model.teacher_overlap[0, 0]
        with np.errstate(invalid="ignore"):
            cosine = np.where(Q > 0, M / np.sqrt(Q * P), Q)
        return np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi

    def _rows(self):
        rule = self.model.rule
        return [
            ("norm of the teacher", f"{np.sqrt(self.model.teacher_overlap[0, 0]):.4g}"),
            ("weight of hard labels", rule.hard),
            ("temperature of soft labels", rule.temperature),
            ("smoothing", rule.smoothing),
            ("learning rate", f"{self.model.learning_rate:.4g}"),
        ]

    def _title(self):
        return "Linear student of soft and hard labels"


def soft_labels(
    norm: float = 1.0, learning_rate: float = 1.0, hard: float = 0.0, temperature: float = 1.0, smoothing: float = 0.0
) -> SoftLabels:
    r"""Return the pair of a linear student that learns classes from a linear teacher's soft or hard labels.

    Parameters
    ----------
    norm : float
        Norm of the teacher's weights over sqrt(N), larger than 0: how sure it is.
    learning_rate : float
        Learning rate :math:`\eta > 0`.
    hard : float
        Weight h of the hard label in each sample's, from 0 to 1.
    temperature : float
        T > 0, of the soft label alone: the same as `norm` over T where there is no hard part.
    smoothing : float
        Part of the label that is 1/2 instead, from 0 to 1.

    Returns
    -------
    SoftLabels

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    Formulas, source and numbers are in :mod:`tsode.distillation.soft_labels`.

    Examples
    --------
    >>> import tsode
    >>> task = soft_labels(hard=1.0)
    >>> sgd = tsode.simulate(task.model, task.start, [0.0, 5.0], N=1000, runs=4)
    >>> task.risk(sgd).mean(axis=0).round(2)
    array([0.5 , 0.13])
    """
    norm = _checks.number("norm", norm, above=0.0, maximum=1e6)
    hard, smoothing = (
        _checks.number(name, value, minimum=0.0, maximum=1.0)
        for name, value in (("hard", hard), ("smoothing", smoothing))
    )
    rule = MixedLogistic(hard, _checks.number("temperature", temperature, above=0.0), smoothing)
    model = TeacherStudent(1, 1, learning_rate, teacher_overlap=[[norm**2]], activation=Polynomial([0, 1]), rule=rule)
    return SoftLabels(model, Overlaps([[0.0]], [[0.0]], [[norm**2]]))

r"""A teacher that goes on learning while it teaches, from labels and from what its student gets wrong.

With the outputs :math:`f_S` and :math:`f_T` of student and teacher, and a label y,

.. math::
    c^S = -\eta_S\, v\, (f_S - f_T)\, \sigma'(\lambda^S) , \qquad
    c^T = -\eta_T\, v\, [(1 - \phi)(f_T - y) + \phi\, (f_S - y)]\, \sigma'(\lambda^T) .

The student is a low-pass filter of its teacher: behind one that learns from noisy labels (:math:`\phi = 0`) it ends at
the part :math:`\eta_S / (\eta_S + \eta_T)` of the teacher's floor, for small rates.

The feedback :math:`\phi` stands for that of "BERT learns to teach: knowledge distillation with meta learning"
(arXiv:2106.04570). Its exact gradient is the student's error times the effect of the teacher's step on it: with an
independent sample for the error it carries :math:`x \cdot x' / N \sim N^{-1/2}`, which vanishes in one pass; what
stays is the sign, that the teacher moves where the student errs.
"""

from __future__ import annotations

import numpy as np

from .. import _checks
from ..model import TeacherStudent
from .system import System, label_of, loss_of, output, taken

__all__ = ["moving_teacher"]


def moving_teacher(truth: TeacherStudent, teacher_learning_rate: float, feedback: float = 0.0) -> System:
    r"""Return the system of a student whose teacher learns, too.

    Parameters
    ----------
    truth : TeacherStudent
        The pair; its learning rate is the student's, its noise that of the labels. The teacher is a network like the
        student.
    teacher_learning_rate : float
        :math:`\eta_T \ge 0`; 0: a teacher that stands still.
    feedback : float
        :math:`\phi`, from 0, a teacher that learns from labels, to 1, one that learns from its student's error.

    Returns
    -------
    System
        With the rows "student", "teacher" and "truth" and the losses "student" and "teacher", both against the truth.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; if `truth` has parameters that it does not take.

    Notes
    -----
    Formulas and source are in :mod:`tsode.distillation.moving_teacher`.

    Examples
    --------
    >>> import tsode
    >>> truth = tsode.TeacherStudent(2, 2, 0.05, noise_variance=0.1)
    >>> task = moving_teacher(truth, teacher_learning_rate=0.05)
    >>> run = tsode.integrate(task, task.random(N=100, rng=0), 600.0)
    >>> round(float(run.loss["student"][-1] / run.loss["teacher"][-1]), 2)
    0.51
    """
    taken(truth)
    rate = truth.learning_rate
    teacher_rate = _checks.number("teacher_learning_rate", teacher_learning_rate, minimum=0.0)
    feedback = _checks.number("feedback", feedback, minimum=0.0, maximum=1.0)
    v, label, function = truth.student_readout, label_of(truth), truth.activation.function
    said = output(v, truth.activation)

    def rule(z, xi, a):
        (values, slopes), (taught, teacher_slopes) = function(z["student"]), function(z["teacher"])
        f, f_teacher, y = np.sum(v * values, axis=1), np.sum(v * taught, axis=1), label(z["truth"], xi)
        error = (1 - feedback) * f_teacher + feedback * f - y
        return {
            "student": -rate * v * (f - f_teacher)[:, None] * slopes,
            "teacher": -teacher_rate * v * error[:, None] * teacher_slopes,
        }

    def loss(name):
        return loss_of(truth, lambda z, a: said(z[name]))

    return System(
        {"student": truth.p, "teacher": truth.p, "truth": truth.p_star}, rule,
        outputs={name: loss(name) for name in ("student", "teacher")},
        noises=int(truth.noise_variance > 0), inputs=truth.inputs, truth=truth,
    )  # fmt: skip

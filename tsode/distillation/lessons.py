r"""Lessons: students that learn from trained teachers, from labels, or from a mix of both.

Let :math:`f^*` be the truth, whose labels have noise of variance :math:`\Delta`, and let :math:`f_i` be what trained
teachers put out. A student whose target is

.. math::
    (1 - \rho)\,(f^* + \sqrt\Delta\, \xi) + \sum_i \rho_i f_i , \qquad \sum_i \rho_i = \rho ,

is a plain pair: its teacher has the rows of all :math:`f_i` and of :math:`f^*`, the readouts :math:`\rho_i v_i` and
:math:`(1 - \rho) v^*`, and label noise of variance :math:`(1 - \rho)^2 \Delta`. So the ODEs and both engines take it as
it is. What counts is the loss against the truth, another readout of the same rows.

For the square at :math:`p = p^*`, :math:`v = v^* = 1/p` and orthonormal P, a student of labels ends at the loss

.. math::
    F(\eta) = \frac{p v^2 \Delta \eta}{1 - 2 (p + 2) v^2 \eta} ,

and with the truth itself as teacher at :math:`(1 - \rho)^2 F`. The mean of K students that were trained apart ends at
:math:`F\, [s + (1 - s) / K]` with :math:`s = p F / 4`: what varies between them averages out, what all of them lack
does not. In a born-again chain whose n-th student has :math:`\rho = (n-1)/n` each generation averages over one more:
F/n to first order. That is no free gain: students that see the same samples at the learning rate :math:`\eta / n` end
lower. At :math:`\eta = 0.3`, :math:`\Delta = 0.5`, :math:`p = 2`, and n = 2, 3, 4, the chain has .502, .333, .249 of
F, the smaller rate .286, .167, .118.

The first two generations are those of "Born-again neural networks" (arXiv:1805.04770); ensembles and their pupils
those of arXiv:1503.02531.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import block_diag

from .. import _checks
from ..model import TeacherStudent, check_isotropic, check_model
from ..overlaps import Overlaps
from ..rules import rule_of
from ..trajectory import Trajectory, check_trajectory
from .lesson_type import Lesson

__all__ = ["lesson"]


def lesson(
    truth: TeacherStudent, teachers: Sequence[Trajectory] = (), soft: float | ArrayLike = 0.5, run: int | None = None
) -> Lesson:
    r"""Return the pair of a student whose target mixes noisy labels of the truth with what trained teachers say.

    Parameters
    ----------
    truth : TeacherStudent
        The student with its learning rate, and the truth as its teacher, with the noise of the labels.
    teachers : sequence of Trajectory
        Each a student of the same truth, of any width, as it was at its last time. They are taken to be trained apart:
        outside of the span of the truth their rows are orthogonal, which is exact at infinite N. None at all: the
        truth itself, without noise.
    soft : float or array_like, shape (n_teachers,)
        Weight :math:`\rho` of the teachers, from 0 to 1, shared evenly; or the weight of each.
    run : int, optional
        Which run, where teachers are runs of SGD.

    Returns
    -------
    Lesson

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; if a teacher is none of this truth, or ended early; if
        `truth` is no pair with one activation, isotropic inputs and the rule "gradient".

    Notes
    -----
    The formulas are in :mod:`tsode.distillation.lessons`.

    Examples
    --------
    >>> import tsode
    >>> truth = tsode.TeacherStudent(2, 2, 0.3, noise_variance=0.5)
    >>> first = tsode.integrate(truth, tsode.Overlaps.random(truth, N=100, rng=0), 100.0)
    >>> lesson(truth, [first] * 4, soft=1.0).model.p_star
    10
    >>> round(lesson(truth, [first] * 4).teachers_loss / lesson(truth, [first]).teachers_loss, 4)
    0.3203
    """
    check_isotropic(check_model(truth, "truth"))
    if truth.activation != truth.teacher_activation or truth.rule != rule_of("gradient"):
        raise ValueError(
            "`truth` must have one activation on both sides and the rule 'gradient', so that a target of both is one "
            f"teacher, but has {truth.activation!r}, {truth.teacher_activation!r} and {truth.rule!r}"
        )
    _checks.instance("teachers", teachers, (list, tuple), "a list of Trajectories")
    ends = [_end(teacher, truth, run, f"teachers[{i}]") for i, teacher in enumerate(teachers)]
    weights = _weights(soft, len(ends))
    hard = max(1.0 - weights.sum(), 0.0)

    P, inverse = truth.teacher_overlap, np.linalg.pinv(truth.teacher_overlap, hermitian=True)
    M = np.vstack([np.empty((0, truth.p_star)), *(overlaps.M for overlaps, _ in ends)])
    Q = M @ inverse @ M.T + block_diag(*(one.Q - one.M @ inverse @ one.M.T for one, _ in ends))[: len(M), : len(M)]
    said = [weight * readout for weight, (_, readout) in zip(weights, ends)]
    own = hard if ends else 1.0  # the truth is its own teacher where there is no other
    model = truth.replace(
        p_star=len(M) + truth.p_star,
        teacher_readout=np.concatenate([*said, own * truth.teacher_readout]),
        teacher_overlap=np.block([[Q, M], [M.T, P]]),
        noise_variance=hard**2 * truth.noise_variance,
    )
    soft, loss = float(weights.sum()), 0.0
    if ends and soft:
        together = truth.replace(p=len(M), student_readout=np.concatenate(said) / soft)
        loss = float(together.excess_loss(M, Q))
    return Lesson(truth, model, soft, loss)


def _end(teacher: Trajectory, truth: TeacherStudent, run: int | None, name: str) -> tuple[Overlaps, np.ndarray]:
    """Return overlaps and readout of a teacher at its last time."""
    model = check_trajectory(teacher, name).model
    same = np.array_equal(model.teacher_readout, truth.teacher_readout) and model.activation == truth.activation
    if not same or not np.array_equal(model.teacher_overlap, truth.teacher_overlap):
        raise ValueError(f"`{name}` must be a student of `truth`, but is one of another teacher")
    run = run if teacher.runs is not None else None
    overlaps = teacher.overlaps(-1, run)
    return overlaps, teacher.readout[-1] if run is None else teacher.readout[run, -1]


def _weights(soft: float | ArrayLike, count: int) -> np.ndarray:
    """Return the weight of each teacher; of one, the truth, where there are none."""
    count = max(count, 1)
    if _checks.is_number(soft):
        weights = np.full(count, _checks.number("soft", soft, minimum=0.0, maximum=1.0) / count)
    else:
        weights = _checks.float_array("soft", soft, (count,), "(n_teachers,)")
    if weights.min() < 0 or weights.sum() > 1 + 1e-12:
        raise ValueError(f"`soft` must be weights of at least 0 whose sum is at most 1, but is {soft!r}")
    return weights

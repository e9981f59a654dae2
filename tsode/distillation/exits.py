r"""Early exits: outputs that read the first units alone, and that learn from labels or from the last exit.

Exit e reads the first :math:`p_e` units with readouts :math:`v_{ek}`, and has the error

.. math::
    D_e = f_e - (1 - m_e)\, y - m_e f_E , \qquad
    c_k = -\eta\, \sigma'(\lambda_k) \sum_e w_e v_{ek} D_e , \qquad h_{ek} = -\eta_v w_e D_e \sigma(\lambda_k) ,

:math:`f_E` being the last exit, which mimicry does not move. The symmetry O(p) of one exit is broken to rotations
within the units that each exit adds. For the square:

- An exact last exit has a price. A first one of r units of equal readout that ends at the r principal parts of the
  teacher's :math:`\sum_j v^*_j w^*_j w^{*T}_j / N`, of sizes :math:`l_k`, is worse than the best of r units by
  :math:`r R^2 / (2 (r + 2))`, R being the sum of the other parts' sizes (:func:`tsode.distillation.exit_price`).
  Trained readouts of their own take that price away, at :math:`v_{1k} / v_{2k} = 1 + R / ((r + 2)\, l_k)`.
- Where the first exit is as wide as the teacher, labels alone leave the loss :math:`F((w_1 + w_2)\, \eta)` at both, F
  being the floor of one exit, and a first exit that mimics the last :math:`F(w_2 \eta)`: the noise of the label enters
  once. Exactly so at equal widths; units that the last exit alone reads change it by 1 to 3 parts in a hundred.

Mimicry was found to help early exits ("Distillation-based training for multi-exit architectures", ICCV 2019). Here
that is what a smaller learning rate does. With the learning rate tuned for each method at alpha = 100, N = 2000 and
p* = 2, the losses of first and last exit of widths (2, 4) are .0333 and .0386 with labels, .0321 and .0386 with mimicry
at noise variance 0.5, and .121 and .128 against .119 and .135 at 2. For a first exit of one unit, fewer than the
teacher has, they are .378 and .068 against .379 and .110.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..model import TeacherStudent
from .system import System, label_of, loss_of, taken

__all__ = ["exits"]


def exits(
    truth: TeacherStudent, widths: Sequence[int], weights: ArrayLike | None = None, mimic: ArrayLike | None = None
) -> System:
    r"""Return the system of a student with several exits.

    Parameters
    ----------
    truth : TeacherStudent
        The pair; its student is the last exit, and earlier ones have the readouts of their units. With a
        `readout_learning_rate` all exits train readouts of their own.
    widths : sequence of int
        Units :math:`p_e` of each exit, not decreasing, the last one p.
    weights : array_like, shape (n_exits,), optional
        Weights :math:`w_e \ge 0` of their losses; 1 each by default.
    mimic : array_like, shape (n_exits,), optional
        Part :math:`m_e` of the last exit in the label of each, from 0 to 1; of the last one 0. None by default.

    Returns
    -------
    System
        With the rows "student" and "truth", the losses "exit 1", "exit 2", ... and, where they are trained, the
        scalars "readout 1", ...

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; if `truth` has parameters that it does not take.

    Notes
    -----
    Formulas, source and numbers are in :mod:`tsode.distillation.exits`.

    Examples
    --------
    >>> import tsode
    >>> task = exits(tsode.TeacherStudent(4, 2, 0.1, student_readout=[0.5] * 4), (2, 4), mimic=[1, 0])
    >>> run = tsode.integrate(task, task.random(N=100, rng=0), 200.0)
    >>> bool(max(run.loss["exit 1"][-1], run.loss["exit 2"][-1]) < 1e-3)
    True
    """
    taken(truth, "readout_learning_rate")
    widths = _widths(widths, truth.p)
    count = len(widths)
    w = np.ones(count) if weights is None else _checks.float_array("weights", weights, (count,), "(n_exits,)")
    m = np.zeros(count) if mimic is None else _checks.float_array("mimic", mimic, (count,), "(n_exits,)")
    if w.min() < 0:
        raise ValueError(f"`weights` must be at least 0, but has {w.min():g}")
    if m.min() < 0 or m.max() > 1 or m[-1]:
        raise ValueError(f"`mimic` must be from 0 to 1, and 0 at the last exit, but is {m}")
    rate, readout_rate = truth.learning_rate, truth.readout_learning_rate
    label, function, v = label_of(truth), truth.activation.function, truth.student_readout
    names = [f"readout {e + 1}" for e in range(count)]

    def outputs(values, a):
        """Return readouts and outputs of all exits."""
        at = [a[name] if readout_rate else v[None, :width] for name, width in zip(names, widths)]
        return at, [np.sum(each * values[:, :width], axis=1) for each, width in zip(at, widths)]

    def rule(z, xi, a):
        values, slopes = function(z["student"])
        at, said = outputs(values, a)
        y = label(z["truth"], xi)
        D = [w[e] * (said[e] - (1 - m[e]) * y - m[e] * said[-1])[:, None] for e in range(count)]
        steps = []
        for first, last in zip((0, *widths), widths):  # units that no earlier exit reads
            parts = [each[:, first:last] * D[e] for e, each in enumerate(at) if widths[e] >= last]
            steps.append(-rate * slopes[:, first:last] * sum(parts))
        found = {"student": np.concatenate(steps, axis=1)}
        if readout_rate:
            found |= {names[e]: -readout_rate * D[e] * values[:, : widths[e]] for e in range(count)}
        return found

    def loss(e):
        return loss_of(truth, lambda z, a: outputs(function(z["student"])[0], a)[1][e])

    return System(
        {"student": truth.p, "truth": truth.p_star}, rule,
        outputs={f"exit {e + 1}": loss(e) for e in range(count)},
        scalars={name: v[:width] for name, width in zip(names, widths)} if readout_rate else {},
        noises=int(truth.noise_variance > 0), inputs=truth.inputs, truth=truth,
    )  # fmt: skip


def _widths(widths: Sequence[int], p: int) -> tuple[int, ...]:
    _checks.instance("widths", widths, (tuple, list), "a list of numbers of units")
    found = tuple(_checks.integer(f"widths[{e}]", width, minimum=1) for e, width in enumerate(widths))
    if not found or found[-1] != p or list(found) != sorted(found):
        raise ValueError(f"`widths` must not decrease, and end with the student's p = {p}, but is {found}")
    return found

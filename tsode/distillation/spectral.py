r"""Spectral students: amplitudes and directions are trained apart, and the student becomes as large as its teacher.

Unit k reads :math:`a_k u_k`, :math:`u = \phi x / \sqrt N`. Amplitudes and directions decay at one rate :math:`\kappa`:

.. math::
    D = \sum_k v_k \sigma(a_k u_k) - y, \qquad
    c_k = -\eta v_k D\, a_k \sigma'(a_k u_k), \qquad B = -\kappa, \qquad
    h_k = -\eta v_k D\, u_k \sigma'(a_k u_k) - \kappa a_k .

In gradient flow :math:`a_k^2 - |\phi_k|^2 / N` falls as :math:`e^{-2 \kappa \alpha}`. Once it is gone the penalty is
one on the norms :math:`|w_k| = a_k |\phi_k|`, a group lasso, and of all solutions of the square it picks one with p*
units, which it shrinks; the others die out, by :math:`\kappa \alpha = 20` in every run that was tried. Decay of plain
weights picks none: there the norm is the same on all solutions. (The group lasso itself is stiff where a unit dies;
this is its smooth integrator.)

The claim is that of "How a student becomes a teacher: learning and forgetting through spectral methods"
(arXiv:2310.12612). It holds, with noise and at finite N, too: at p* = 2, v = 1/2, eta = 0.2, kappa = 0.02, N = 400 and
label noise of variance 0.02, 2 units are active in 24 of 24 runs at p = 4 and at p = 8. Without the spectral form at
least 4 and 7 are, and pruned to two they lose .11 and .26, with it nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..model import TeacherStudent
from ..trajectory import Trajectory
from .system import System, label_of, loss_of, output, taken

__all__ = ["Spectral", "spectral"]


@dataclass(frozen=True, eq=False, repr=False)
class Spectral(System):
    """A system with directions as the rows "student" and the scalars "amplitude"."""

    def as_student(self, run: Trajectory) -> Trajectory:
        """Return runs as those of a plain student, with the weights amplitude times direction.

        Parameters
        ----------
        run : Trajectory
            What `integrate` or `simulate` made of this system.

        Returns
        -------
        Trajectory
            Of the model `truth`; it cannot be continued.

        Raises
        ------
        TypeError, ValueError
            If `run` is none of this system.

        Examples
        --------
        >>> import tsode
        >>> task = spectral(tsode.TeacherStudent(4, 2, 0.2, weight_decay=0.004))
        >>> run = tsode.integrate(task, task.random(N=100, rng=0), 20.0)
        >>> bool(abs(task.as_student(run).excess_loss - run.loss["loss"]).max() < 1e-9)
        True
        """
        self._check_run(run)
        a = run.scalar("amplitude")
        M, Q = run.overlap("student", "truth"), run.overlap("student", "student")
        return self._plain(run, a[..., None] * M, a[..., None] * Q * a[..., None, :])


def spectral(truth: TeacherStudent, amplitude: float = 1.0) -> Spectral:
    r"""Return the system of a student whose amplitudes and directions are trained apart.

    Parameters
    ----------
    truth : TeacherStudent
        The pair. Its `weight_decay` is :math:`\kappa`, of directions and amplitudes; as it is, it is the control: the
        same pair without the spectral form.
    amplitude : float
        All amplitudes at the start.

    Returns
    -------
    Spectral

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; if `truth` has parameters that it does not take.

    Notes
    -----
    Formulas, source and numbers are in :mod:`tsode.distillation.spectral`.

    Examples
    --------
    >>> import tsode
    >>> task = spectral(tsode.TeacherStudent(3, 1, 0.1, weight_decay=0.01))
    >>> run = tsode.integrate(task, task.random(N=100, rng=0), [0.0, 1000.0])
    >>> int(tsode.distillation.active_units(task.as_student(run)))
    1
    """
    taken(truth, "weight_decay")
    amplitude = _checks.number("amplitude", amplitude, maximum=1e6)
    v, rate, decay, label = truth.student_readout, truth.learning_rate, truth.weight_decay, label_of(truth)
    function = truth.activation.function

    def rule(z, xi, a):
        u, amplitudes = z["student"], a["amplitude"]
        values, slopes = function(amplitudes * u)
        D = np.sum(v * values, axis=1) - label(z["truth"], xi)
        fall = -rate * v * D[:, None] * slopes
        return {"student": fall * amplitudes, "amplitude": fall * u - decay * amplitudes}

    def said(z, a):
        return output(v, truth.activation)(a["amplitude"] * z["student"])

    return Spectral(
        {"student": truth.p, "truth": truth.p_star}, rule, outputs={"loss": loss_of(truth, said)},
        scalars={"amplitude": np.full(truth.p, amplitude)}, pull=lambda Omega, a: -decay * np.eye(truth.p),
        noises=int(truth.noise_variance > 0), inputs=truth.inputs, truth=truth,
    )  # fmt: skip

r"""In how many directions a student's output does not change: along its symmetries, and beyond.

The derivative of the output in the direction (Z, z) of :math:`u_k = w_k / \sqrt N` and the readouts is
:math:`\sum_k v_k \sigma'_k\, z_k \cdot x + z_k \sigma_k`. It vanishes on the null space of the Gram matrix of all
derivatives over Gaussian inputs, which is the Hessian of the loss where the teacher is the student itself. With
:math:`I(c_{xx}, c_{xz}, c_{zz})` the average of a pair of units (:mod:`tsode.activations.squared_error`), as a function
of :math:`u_k` and :math:`u_l`, its derivatives are

.. math::
    E[\sigma'_k \sigma'_l\, x x^T] = I^c + 2 I^{xc} u_k u_k^T + 4 I^{xz} u_k u_l^T + I^{cc} u_l u_k^T
                                     + 2 I^{cz} u_l u_l^T , \qquad
    E[\sigma'_k \sigma_l\, x] = 2 I^x u_k + I^c u_l , \qquad E[\sigma_k \sigma_l] = I .

Orthogonal to all units only :math:`I^c_{kl} v_k v_l` is left, once for each direction. Second derivatives of I do not
exist for parallel units with a kink. There :math:`x \sigma' = \sigma`, so that for t = u_k, u_l

.. math::
    E[\sigma'_k \sigma'_l\, (u_k \cdot x)^2] = u_k \cdot E[\sigma_k \sigma'_l\, x] , \qquad
    E[\sigma'_k \sigma'_l\, (u_k \cdot x)(u_l \cdot x)] = I ,

which fix the matrix inside the plane of both units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Report
from ..model import TeacherStudent
from .students import Student

__all__ = ["Nullity", "nullity"]

TOLERANCE = 1e-9
ROUND = 1e-7  # relative size of a singular value of two units that counts as parallel ones


@dataclass(frozen=True, eq=False, repr=False)
class Nullity(Report):
    """In how many directions the output of a student does not change to first order.

    Attributes
    ----------
    nullity : int
        Dimension of the null space of the derivative of the output.
    orbit : int
        Dimension of the student's orbit under the continuous symmetries of the activation, which lie in it.
    """

    nullity: int
    orbit: int

    @property
    def excess(self) -> int:
        """What no symmetry explains, int: 0 for generic students."""
        return self.nullity - self.orbit

    def _title(self):
        return "Directions in which the output does not change"

    def _rows(self):
        return [(name, f"{getattr(self, name):,}") for name in ("nullity", "orbit", "excess")]


def nullity(
    model: TeacherStudent, W: ArrayLike, readout: ArrayLike | None = None, tolerance: float = TOLERANCE
) -> Nullity:
    """Return the nullity of the derivative of a student's output, and how much of it symmetries explain.

    Parameters
    ----------
    model : TeacherStudent
        Gives activation and readouts; the teacher and the constraint do not enter.
    W : array_like, shape (p, N)
        Weights.
    readout : array_like, shape (p,), optional
        Readouts, which are then trained: the output is a function of them too. By default the model's, fixed.
    tolerance : float
        What counts as a zero eigenvalue of a Gram matrix, relative to its largest.

    Returns
    -------
    Nullity

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it. Also if a unit is zero where the
        activation has its kink.

    Examples
    --------
    >>> import numpy as np
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=3, p_star=1, learning_rate=0.1)
    >>> W = np.random.default_rng(0).standard_normal((3, 20))
    >>> tsode.manifold.nullity(model, W)
    Directions in which the output does not change
      nullity  3
      orbit    3
      excess   0
    """
    student = Student.of(model, W, readout, ("W", "readout"))
    tolerance = _checks.number("tolerance", tolerance, above=0.0, maximum=0.1)
    _, sizes, axes = np.linalg.svd(student.U, full_matrices=False)
    axes = axes[sizes > np.finfo(float).eps * len(student.U) * sizes[0]]
    u = student.U @ axes.T
    if student.activation.degree == 1 and np.any(np.linalg.norm(u, axis=1) <= tolerance * sizes[0]):
        raise ValueError("`W` must have no unit of zero, where the activation has its kink, but has one")
    inside, outside = _gram_matrices(student, u)
    copies = student.U.shape[1] - u.shape[1]
    scale = max(np.max(inside, initial=0.0), np.max(outside) if copies else 0.0)
    zeros = [np.count_nonzero(values <= tolerance * scale) for values in (inside, outside)]
    return Nullity(int(zeros[0] + copies * zeros[1]), _orbit(student, u, tolerance))


def _gram_matrices(student, u):
    """Return the eigenvalues of the Gram matrix inside the span of the units, with readouts, and of that outside."""
    activation, v, (p, r) = student.activation, student.v, u.shape
    Q = u @ u.T
    q = np.diagonal(Q)
    covariances = np.broadcast_arrays(q[:, None], Q, q)
    x, c, _ = activation.pair_slopes(activation, *covariances)
    I = activation.pair(activation, *covariances)
    mixed = 2 * x[..., None] * u[:, None] + c[..., None] * u  # E[s'_k s_l x]
    weights = np.outer(v, v)
    blocks = (_blocks_with_kink if activation.degree == 1 else _blocks)(activation, covariances, u, I, c, mixed)
    inside = (weights[..., None, None] * blocks).swapaxes(1, 2).reshape(p * r, p * r)
    if student.trained:
        border = (v[:, None, None] * mixed).swapaxes(1, 2).reshape(p * r, p)
        inside = np.block([[inside, border], [border.T, I]])
    return np.linalg.eigvalsh(inside), np.linalg.eigvalsh(weights * c)


def _blocks(activation, covariances, u, I, c, mixed):
    """Return E[s'_k s'_l x x^T], shape (p, p, r, r), for smooth activations."""
    _, xc, xz, cc, cz, _ = (each[..., None, None] for each in activation.pair_curvatures(activation, *covariances))
    kk, ll = (u[:, :, None] * u[:, None])[:, None], u[:, :, None] * u[:, None]
    kl = u[:, None, :, None] * u[:, None]
    lk = np.swapaxes(kl, -1, -2)
    return c[..., None, None] * np.eye(u.shape[1]) + 2 * xc * kk + 4 * xz * kl + cc * lk + 2 * cz * ll


def _blocks_with_kink(activation, covariances, u, I, c, mixed):
    """Return the same for activations that are linear on either side of zero."""
    p, r = u.shape
    found = np.empty((p, p, r, r))
    for k, l in np.ndindex(p, p):
        other = u[k] @ mixed[l, k]  # E[s_k s'_l x] along u_k
        plane = np.array([[other, I[k, l]], [I[k, l], u[l] @ mixed[k, l]]])
        inverse = np.linalg.pinv(u[[k, l]], rcond=ROUND)
        inside = inverse @ u[[k, l]]
        found[k, l] = inverse @ plane @ inverse.T + c[k, l] * (np.eye(r) - inside)
    return found


def _orbit(student, u, tolerance):
    """Return the dimension of the span of the motions of weights and readouts along continuous symmetries."""
    activation, v, (p, r) = student.activation, student.v, u.shape
    motions = [(Y @ u, np.zeros(p)) for Y in activation.unit_rotations(v)] if student.turns else []
    if student.trained and activation.degree is not None:
        motions += [(e[:, None] * u, -activation.degree * e * v) for e in np.eye(p)]
    flat = np.array([np.append(Z.ravel(), z) for Z, z in motions]).reshape(-1, p * (r + 1))
    values = np.linalg.eigvalsh(flat @ flat.T) if len(flat) else np.zeros(1)
    return int(np.count_nonzero(values > tolerance * values[-1]))

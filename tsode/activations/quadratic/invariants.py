r"""What the quadratic network conserves.

For equal readouts v of the student the gradient flow of the weights, in :math:`\tau = \eta \alpha`, is

.. math::
    \frac{dW^T}{d\tau} = 4 v B^* W^T - 2 v W^T (t + 2 v Q), \qquad B^* = W^{*T} V^* W^* / N ,

:math:`B^*` acting from the left, the rest from the right. Hence
:math:`W^T(\tau) = e^{4 v B^* \tau} W_0^T Z(\tau)` with some p x p matrix Z. Write :math:`P = F F^T`,
:math:`A = M F^{-T}` for the student in an orthonormal basis of the teacher's span, and :math:`K = F^T V^* F` for
:math:`B^*` in it. Then :math:`A^T = e^{4 v K \tau} A_0^T Z` and the rest of the student,
:math:`Q - A A^T`, is :math:`Z^T (Q_0 - A_0 A_0^T) Z`, so that Z drops out of

.. math::
    C = e^{-4 v K \tau} A^T (Q - A A^T)^{-1} A\, e^{-4 v K \tau} ,

which is constant: :math:`e^{-8 v v^* \tau} M^T (Q - M M^T)^{-1} M` for equal readouts v* and P = 1.

:math:`W\, dW^T / d\tau = -2 E[D \lambda \lambda^T] V` is symmetric: the student does not turn about itself.
Where the teacher is isotropic (:math:`V^* P` proportional to 1) M moves by factors from the left alone, at any
learning rate, so its row space stays. For equal readouts on each side, P = 1 and a Q that starts proportional to 1,
those factors are functions of :math:`M M^T`: then only the singular values of M move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import expm

from ..._linear_algebra import semidefinite_root

if TYPE_CHECKING:
    from ...model import TeacherStudent

__all__ = ["flow_constant", "force"]

SINGULAR = 1e-9  # relative size of the smallest eigenvalue of Q - A A^T below which rounding spoils its inverse


def flow_constant(
    model: TeacherStudent, tau: np.ndarray, M: np.ndarray, Q: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return C at the times `tau` of gradient flow, shape (..., T, p_star, p_star), and where it is resolved."""
    F = semidefinite_root(model.teacher_overlap)
    if np.linalg.cond(F) > 1 / SINGULAR:
        shape = (*M.shape[:-2], model.p_star, model.p_star)
        return np.full(shape, np.nan), np.zeros(M.shape[:-2], dtype=bool)
    A = M @ np.linalg.inv(F).T
    values, vectors = np.linalg.eigh(Q - A @ np.swapaxes(A, -1, -2))
    resolved = values[..., 0] > SINGULAR * np.trace(Q, axis1=-2, axis2=-1)
    B = np.swapaxes(vectors, -1, -2) @ A / np.sqrt(np.where(resolved[..., None], values, np.inf))[..., None]
    K = (F.T * model.teacher_readout) @ F
    B = B @ expm(-4 * model.student_readout[0] * tau[:, None, None] * K)
    return np.swapaxes(B, -1, -2) @ B, resolved


def force(model: TeacherStudent, M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return E[D lambda lambda^T] V, which is W dW^T / d tau up to a factor, shape (..., p, p)."""
    v, v_star = model.student_readout, model.teacher_readout
    t = np.einsum("k,...kk->...", v, Q) - v_star @ np.diagonal(model.teacher_overlap)
    B = (Q * v) @ Q - (M * v_star) @ np.swapaxes(M, -1, -2)
    return (t[..., None, None] * Q + 2 * B) * v

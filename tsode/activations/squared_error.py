r"""The mean squared error as a function of the overlaps, with two derivatives, for any two activations.

With the joint covariance :math:`\Omega = [[Q, M], [M^T, P]]` of all preactivations and u = (v, -v*), the error
:math:`D = \sum_i u_i \sigma_i(z_i)` has

.. math::
    L = \tfrac12 E[D^2] = \tfrac12 \sum_{ij} u_i u_j I_{ij}(\Omega_{ii}, \Omega_{ij}, \Omega_{jj}) , \qquad
    I_{ij}(c_{xx}, c_{xz}, c_{zz}) = E[\sigma_i(x)\, \sigma_j(z)] .

A pair couples three entries of :math:`\Omega` only. Let :math:`I^x, I^c, I^z` be the derivatives of I with respect to
:math:`c_{xx}, c_{xz}, c_{zz}`, and so on. With :math:`\Omega_{ij}` and :math:`\Omega_{ji}` as independent entries

.. math::
    G_{ij} = \frac{\partial L}{\partial \Omega_{ij}}
           = \tfrac12 u_i u_j I^c_{ij} + \delta_{ij} \sum_l u_i u_l I^x_{il} ,

and a change :math:`d\Omega` changes it by

.. math::
    dG_{ij} = \tfrac12 u_i u_j \bigl( I^{xc}_{ij} d\Omega_{ii} + I^{cc}_{ij} d\Omega_{ij} + I^{xc}_{ji} d\Omega_{jj}
              \bigr) + \delta_{ij} \sum_l u_i u_l \bigl( I^{xx}_{il} d\Omega_{ii} + I^{xc}_{il} d\Omega_{il}
              + I^{xz}_{il} d\Omega_{ll} \bigr) .

The derivatives of L with respect to Q and M are :math:`L_Q = G_{QQ}` and :math:`L_M = 2 G_{QM}`, for M stands in
:math:`\Omega` twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["LossCurvature", "loss_slopes", "readout_slopes", "squared_error"]


def squared_error(
    student: Activation,
    teacher: Activation,
    v: np.ndarray,
    v_star: np.ndarray,
    M: np.ndarray,
    Q: np.ndarray,
    P: np.ndarray,
) -> np.ndarray:
    """Return the mean of the squared error without noise, 2 L, shape (...) of M and Q; `v` has shape (..., p)."""
    q, d = np.diagonal(Q, axis1=-2, axis2=-1), np.diagonal(P)
    own = student.pair(student, q[..., :, None], Q, q[..., None, :])
    both = student.pair(teacher, q[..., :, None], M, d)
    found = np.einsum("...k,...l,...kl->...", v, v, own) - 2 * np.einsum("...k,r,...kr->...", v, v_star, both)
    return np.maximum(found + v_star @ teacher.pair(teacher, d[:, None], P, d) @ v_star, 0.0)  # rounding aside


def loss_slopes(
    student: Activation,
    teacher: Activation,
    v: np.ndarray,
    v_star: np.ndarray,
    M: np.ndarray,
    Q: np.ndarray,
    P: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return L_M and L_Q, shapes (..., p, p_star) and (..., p, p) of M and Q."""
    p = len(v)
    q, d = np.diagonal(Q, axis1=-2, axis2=-1), np.diagonal(P)
    own = student.pair_slopes(student, q[..., :, None], Q, q[..., None, :])
    both = student.pair_slopes(teacher, q[..., :, None], M, d)
    weights = np.outer(v, np.concatenate([v, -v_star]))
    xx, xz = (weights * np.concatenate(parts, axis=-1) for parts in zip(own[:2], both))
    G = xz / 2
    G[..., np.arange(p), np.arange(p)] += xx.sum(axis=-1)
    return 2 * G[..., p:], G[..., :p]


def readout_slopes(
    student: Activation,
    teacher: Activation,
    v: np.ndarray,
    v_star: np.ndarray,
    M: np.ndarray,
    Q: np.ndarray,
    P: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of L with respect to v and v*, shapes (p,) and (p_star,), at one point."""
    q, d = np.diagonal(Q), np.diagonal(P)
    both = student.pair(teacher, q[:, None], M, d)
    own, target = student.pair(student, q[:, None], Q, q), teacher.pair(teacher, d[:, None], P, d)
    return own @ v - both @ v_star, target @ v_star - v @ both


@dataclass(frozen=True, eq=False)
class LossCurvature:
    """The second derivative of L: called with dM and dQ it returns the changes of L_M and L_Q.

    Attributes
    ----------
    xx, xx_xz, xx_zz, xz_xz : ndarray, shapes (p,), (p, p + p_star), (p, p), (p, p + p_star)
        Second derivatives of the pairs of the student's units with all, times u_k u_j; the first summed over j.
    """

    xx: np.ndarray
    xx_xz: np.ndarray
    xx_zz: np.ndarray
    xz_xz: np.ndarray

    @classmethod
    def of(
        cls,
        student: Activation,
        teacher: Activation,
        v: np.ndarray,
        v_star: np.ndarray,
        M: np.ndarray,
        Q: np.ndarray,
        P: np.ndarray,
    ) -> LossCurvature:
        """Return it at M and Q, shapes (p, p_star) and (p, p)."""
        p, q, own = len(v), np.diagonal(Q), student.own_curvatures(Q)[:4]
        both = student.pair_curvatures(teacher, q[:, None], M, np.diagonal(P))[:4]
        weights = np.outer(v, np.concatenate([v, -v_star]))
        xx, xx_xz, xx_zz, xz_xz = weights * np.concatenate([own, both], axis=-1)
        return cls(xx.sum(axis=1), xx_xz, xx_zz[:, :p], xz_xz)

    def __call__(self, dM: np.ndarray, dQ: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dL_M and dL_Q for changes of the shapes (..., p, p_star) and (..., p, p), dQ symmetric."""
        p = len(self.xx)
        dq, rows = np.diagonal(dQ, axis1=-2, axis2=-1), np.concatenate([dQ, dM], axis=-1)
        mixed = self.xx_xz * dq[..., :, None]
        dG = (mixed + self.xz_xz * rows) / 2
        dG[..., :p] += np.swapaxes(mixed[..., :p], -1, -2) / 2
        diagonal = self.xx * dq + np.einsum("kj,...kj->...k", self.xx_xz, rows) + dq @ self.xx_zz.T
        dG[..., np.arange(p), np.arange(p)] += diagonal
        return 2 * dG[..., p:], dG[..., :p]

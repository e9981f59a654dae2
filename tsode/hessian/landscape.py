r"""The loss as a function of the weights: gradient and Hessian from its derivatives with respect to the overlaps.

Everything here is with respect to :math:`u_k = w_k / \sqrt N`, in which the loss has a limit for large N. It is a
function L(Q, M) of :math:`Q = U U^T` and :math:`M = U U^{*T}`, whose derivatives the model gives for any activation
(:meth:`tsode.TeacherStudent.loss_slopes`). A change Z of U changes the overlaps by :math:`Z U^T + U Z^T` and
:math:`Z U^{*T}` in first order, and Q by :math:`Z Z^T` in second. Hence the gradient is :math:`2 L_Q U + L_M U^*` and

.. math::
    H Z = 2\, dL_Q\, U + dL_M\, U^* + 2 L_Q Z ,

where :math:`dL_Q` and :math:`dL_M` are the changes of the two derivatives with the overlaps. If all rows of Z are
orthogonal to those of U and U*, no overlap changes in first order, and :math:`2 L_Q Z` is all.

The loss is a sum over pairs of units, with second derivatives :math:`a_k, B, D, F` with respect to
:math:`(Q_{kk}, Q_{kk})` (summed over the other unit), the squared norm and the overlap, both squared norms, and the
overlap twice (:mod:`tsode.activations.squared_error`). With the rows x of U and of U* below it, the blocks are

.. math::
    H_{ki,lj} = F_{kl} u_{li} u_{kj} + 2 B_{lk} u_{li} u_{lj} + 2 B_{kl} u_{ki} u_{kj} + 4 D_{kl} u_{ki} u_{lj}
    + 2 (L_Q)_{kl} \delta_{ij} \\
    + \delta_{kl} \Bigl[ 4 a_k u_{ki} u_{kj}
    + \sum_c \bigl( F_{kc} x_{ci} x_{cj} + 2 B_{kc} (x_{ci} u_{kj} + u_{ki} x_{cj}) \bigr) \Bigr] .
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..model import TeacherStudent
from .spheres import curvature, project, tangent_basis

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Point"]


class Point:
    """The loss around given weights.

    Parameters
    ----------
    model : TeacherStudent
        Gives the loss and the constraint.
    U, U_star : ndarray, shapes (p, n), (p_star, n)
        Weights / sqrt(N), in any n orthonormal coordinates that they do not leave.

    Attributes
    ----------
    L_Q : ndarray, shape (p, p)
        Derivative of the loss with respect to Q.
    gradient : ndarray, shape (p, n)
        Gradient in flat space.
    """

    def __init__(self, model: TeacherStudent, U: np.ndarray, U_star: np.ndarray) -> None:
        self.model, self.U, self.U_star = model, U, U_star
        self.overlaps = U @ U_star.T, U @ U.T, U_star @ U_star.T
        L_M, self.L_Q = model.loss_slopes(*self.overlaps)
        self.gradient = 2 * self.L_Q @ U + L_M @ U_star

    def product(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function Z -> H Z in flat space, both of shape (p, n)."""
        change, U, U_star, L_Q = self.model.loss_curvature(*self.overlaps), self.U, self.U_star, self.L_Q

        def apply(Z):
            half = Z @ U.T
            dL_M, dL_Q = change(Z @ U_star.T, half + half.T)
            return 2 * (dL_Q @ U + L_Q @ Z) + dL_M @ U_star

        return apply

    def dense(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the Hessian as a matrix, with a basis and the gradient.

        Returns
        -------
        H, basis, g : ndarray, shapes (m, m), (p n, m), (p, n)
            The Hessian in the orthonormal directions `basis`: all p n, or the p (n - 1) tangent to the spheres; and
            the gradient, tangent to the constraint.
        """
        p, n = self.U.shape
        H, g = self._blocks().reshape(p * n, p * n), self.gradient
        H = (H + H.T) / 2
        if not self.model.spherical:
            return H, np.eye(p * n), g
        basis, H[np.diag_indices(p * n)] = tangent_basis(self.U).toarray(), H.diagonal() - self._normal()
        return basis.T @ H @ basis, basis, project(self.U, g)

    def sparse(self) -> tuple[csr_array, csr_array, np.ndarray]:
        """Return the same as sparse matrices, for weights that are mostly zeros."""
        from scipy.sparse import csr_array, diags_array, eye_array

        H = self._sparse_blocks()
        if not self.model.spherical:
            return H, csr_array(eye_array(self.U.size)), self.gradient
        basis = tangent_basis(self.U)
        return csr_array(basis.T @ (H - diags_array(self._normal())) @ basis), basis, project(self.U, self.gradient)

    def _normal(self):
        """Return what the curvature of the spheres takes off the diagonal, shape (p n,)."""
        return np.repeat(curvature(self.U, self.gradient), self.U.shape[1])

    def _blocks(self):
        """Return the Hessian in flat space, shape (p, n, p, n)."""
        U, X = self.U, np.vstack([self.U, self.U_star])
        second, (p, n) = self.model.loss_curvature(*self.overlaps), self.U.shape
        F, B, D = (each[:, :p, None] for each in (second.xz_xz, second.xx_xz, second.xx_zz))
        # each block k, l is u_l and u_k in columns times two rows
        columns, rows = np.empty((p, p, n, 2)), np.empty((p, p, 2, n))
        columns[..., 0], columns[..., 1] = U, U[:, None]
        rows[:, :, 0] = F * U[:, None] + 2 * np.swapaxes(B, 0, 1) * U
        rows[:, :, 1] = 2 * B * U[:, None] + 4 * D * U
        H = columns @ rows
        H[:, :, np.arange(n), np.arange(n)] += 2 * self.L_Q[:, :, None]
        cross = 2 * (second.xx_xz @ X + second.xx[:, None] * U)[:, :, None] * U[:, None]
        H[np.arange(p), np.arange(p)] += (X.T * second.xz_xz[:, None]) @ X + cross + np.swapaxes(cross, 1, 2)
        return np.swapaxes(H, 1, 2)

    def _sparse_blocks(self):
        """Return the Hessian in flat space as a sparse matrix, shape (p n, p n)."""
        from scipy.sparse import block_diag, coo_array, csr_array, eye_array, hstack, kron

        second, (p, n) = self.model.loss_curvature(*self.overlaps), self.U.shape
        U, X = csr_array(self.U), csr_array(np.vstack([self.U, self.U_star]))
        own, (k, i), x = [U[[row]].T @ U[[row]] for row in range(p)], self.U.nonzero(), self.U[self.U != 0]
        s, t = (each.ravel() for each in np.indices((len(x), len(x))))
        F, D = second.xz_xz[k[t], k[s]], 4 * second.xx_zz[k[s], k[t]]
        H = coo_array((F * x[s] * x[t], (k[t] * n + i[s], k[s] * n + i[t])), shape=(p * n, p * n))
        H = H + coo_array((D * x[s] * x[t], (k[s] * n + i[s], k[t] * n + i[t])), shape=(p * n, p * n))
        beside = hstack([kron(csr_array(2 * second.xx_xz[row, :p, None]), own[row]) for row in range(p)])
        within = []
        for row in range(p):
            cross = (U[[row]].T * 2.0) @ (csr_array(second.xx_xz[[row]]) @ X)
            both = X.T @ (X * second.xz_xz[row][:, None])
            within.append(both + cross + cross.T + 4 * second.xx[row] * own[row])
        return csr_array(H + beside + beside.T + kron(csr_array(2 * self.L_Q), eye_array(n)) + block_diag(within))

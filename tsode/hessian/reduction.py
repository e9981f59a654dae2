r"""From p N to p r: the two blocks that the population Hessian falls into, whatever N is.

Let E be an orthonormal basis of the span of W and W*, of dimension r. If all rows of Z are orthogonal to that span,
K = K* = 0 in the formula of :mod:`tsode.hessian.population`, and :math:`H Z = (4 V Q V + 2 t V) Z`; if they lie in
it, so do those of H Z. Hence the spectrum at any N is that of one block of size p r, written in the basis E, and
N - r times that of the p x p matrix :math:`4 V Q V + 2 t V`. On a product of spheres (:mod:`tsode.hessian.spheres`)
directions outside the span are all tangent, so the matrix loses the diagonal c, and the block shrinks to p (r - 1).
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..model import check_model
from ..overlaps import check_start
from .spectrum import Spectrum
from .spheres import curvature, project, tangent_basis

__all__ = ["Reduction", "dense", "gradient"]


@dataclass(frozen=True, eq=False)
class Reduction:
    """The two blocks that the population Hessian falls into.

    Attributes
    ----------
    U, U_star : ndarray, shapes (p, r), (p_star, r)
        Weights / sqrt(N) in an orthonormal basis of their common span.
    basis : ndarray, shape (p r, m)
        Orthonormal directions inside the span: all p r, or the p (r - 1) tangent to the spheres.
    inside : ndarray, shape (m, m)
        Hessian in that basis.
    outside : ndarray, shape (p, p)
        Hessian in each of the N - r directions outside the span.
    copies : int
        N - r.
    gradient : ndarray, shape (p, r)
        Gradient, tangent to the constraint.
    """

    U: np.ndarray
    U_star: np.ndarray
    basis: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    copies: int
    gradient: np.ndarray

    @classmethod
    def of(cls, model, overlaps, N):
        """Return the reduction at given overlaps and input dimension; checks the arguments."""
        overlaps = check_start(check_model(model), overlaps, "overlaps")
        N = _checks.integer("N", N, minimum=model.p + model.p_star)
        rows = _span_coordinates(overlaps.joint)
        p, r = model.p, rows.shape[1]
        U, U_star = rows[:p], rows[p:]
        v, v_star = model.student_readout, model.teacher_readout
        t = v @ np.square(U).sum(axis=1) - v_star @ np.square(U_star).sum(axis=1)
        outside = 4 * np.outer(v, v) * (U @ U.T) + np.diag(2 * t * v)
        inside, basis, g = dense(model, U, U_star)
        if model.spherical:
            outside -= np.diag(curvature(U, gradient(v, v_star, U, U_star)))
        return cls(U, U_star, basis, inside, outside, N - r, g)

    def spectrum(self, tolerance):
        """Return the Spectrum of the whole Hessian."""
        inside, outside = np.linalg.eigvalsh(self.inside), np.linalg.eigvalsh(self.outside)
        counts = np.repeat([1, self.copies], [len(inside), len(outside)])
        return Spectrum(np.concatenate([inside, outside]), counts, float(np.linalg.norm(self.gradient)), tolerance)


def gradient(v, v_star, U, U_star):
    """Return 2 V (t U + 2 U B), shape (p, n), in whatever n coordinates the rows U and U_star have."""
    t = v @ np.square(U).sum(axis=1) - v_star @ np.square(U_star).sum(axis=1)
    UB = (U @ U.T * v) @ U - (U @ U_star.T * v_star) @ U_star
    return 2 * v[:, None] * (t * U + 2 * UB)


def _span_coordinates(joint):
    """Return F, shape (p + p_star, r), with F F^T = `joint` and r its rank."""
    values, vectors = np.linalg.eigh(joint)
    # Overlaps hold squares of weights: what is below rounding here says nothing about a direction of the span,
    # but would enter with its square root.
    kept = values > 4 * len(joint) * np.finfo(float).eps * max(values[-1], np.finfo(float).tiny)
    return vectors[:, kept] * np.sqrt(values[kept])


def dense(model, U, U_star):
    """Return the Hessian, term by term as in :mod:`tsode.hessian.population`, with a basis and the gradient.

    Parameters
    ----------
    model : TeacherStudent
        Gives the readouts and the constraint.
    U, U_star : ndarray, shapes (p, n), (p_star, n)
        Weights / sqrt(N), in any n orthonormal coordinates that they do not leave.

    Returns
    -------
    H, basis, g : ndarray, shapes (m, m), (p n, m), (p, n)
        The Hessian in the orthonormal directions `basis`: all p n, or the p (n - 1) tangent to the spheres; and
        the gradient, tangent to the constraint.
    """
    v, v_star = model.student_readout, model.teacher_readout
    p, n = U.shape
    B = (v * U.T) @ U - (v_star * U_star.T) @ U_star
    H = np.einsum("ki,lj->kilj", U, U) + np.einsum("li,kj->kilj", U, U)
    H += np.einsum("kl,ij->kilj", U @ U.T, np.eye(n))
    H *= 4 * np.outer(v, v)[:, None, :, None]
    H[np.arange(p), :, np.arange(p), :] += 2 * v[:, None, None] * (np.trace(B) * np.eye(n) + 2 * B)
    H = H.reshape(p * n, p * n)
    H, basis, g = (H + H.T) / 2, np.eye(p * n), gradient(v, v_star, U, U_star)
    if model.spherical:
        basis = tangent_basis(U)
        H = basis.T @ (H - np.diag(np.repeat(curvature(U, g), n))) @ basis
        g = project(U, g)
    return H, basis, g

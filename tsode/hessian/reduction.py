r"""From p N to p r: the two blocks that the population Hessian falls into, whatever N is.

Let E be an orthonormal basis of the span of W and W*, of dimension r. If all rows of Z are orthogonal to that span,
the overlaps do not change in first order, and :math:`H Z = 2 L_Q Z` (:mod:`tsode.hessian.landscape`); if they lie in
it, so do those of H Z. Hence the spectrum at any N is that of one block of size p r, written in the basis E, and
N - r times that of the p x p matrix :math:`2 L_Q`. On a product of spheres (:mod:`tsode.hessian.spheres`) directions
outside the span are all tangent, so the matrix loses the diagonal c, and the block shrinks to p (r - 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..model import TeacherStudent, check_isotropic, check_model
from ..overlaps import Overlaps, check_start
from .landscape import Point
from .spectrum import Spectrum
from .spheres import curvature

__all__ = ["Reduction"]


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
    def of(cls, model: TeacherStudent, overlaps: Overlaps, N: int) -> Reduction:
        """Return the reduction at given overlaps and input dimension; checks the arguments."""
        overlaps = check_start(check_isotropic(check_model(model)), overlaps, "overlaps")
        N = _checks.integer("N", N, minimum=model.p + model.p_star)
        rows = _span_coordinates(overlaps.joint)
        p, r = model.p, rows.shape[1]
        U, U_star = rows[:p], rows[p:]
        point = Point(model, U, U_star)
        outside = 2 * point.L_Q
        if model.spherical:
            outside -= np.diag(curvature(U, point.gradient))
        inside, basis, g = point.dense()
        return cls(U, U_star, basis, inside, outside, N - r, g)

    def spectrum(self, tolerance: float) -> Spectrum:
        """Return the Spectrum of the whole Hessian."""
        inside, outside = np.linalg.eigvalsh(self.inside), np.linalg.eigvalsh(self.outside)
        counts = np.repeat([1, self.copies], [len(inside), len(outside)])
        return Spectrum(np.concatenate([inside, outside]), counts, float(np.linalg.norm(self.gradient)), tolerance)


def _span_coordinates(joint):
    """Return F, shape (p + p_star, r), with F F^T = `joint` and r its rank."""
    values, vectors = np.linalg.eigh(joint)
    # Overlaps hold squares of weights: what is below rounding here says nothing about a direction of the span,
    # but would enter with its square root.
    kept = values > 4 * len(joint) * np.finfo(float).eps * max(values[-1], np.finfo(float).tiny)
    return vectors[:, kept] * np.sqrt(values[kept])

r"""From p N to p r: the two blocks that the population Hessian falls into, whatever N is.

Let E be an orthonormal basis of the span of W and W*, of dimension r. If all rows of Z are orthogonal to that span,
the overlaps do not change in first order, and :math:`H Z = 2 L_Q Z` (:mod:`tsode.hessian.landscape`); if they lie in
it, so do those of H Z. Hence the spectrum at any N is that of one block of size p r, written in the basis E, and
N - r times that of the p x p matrix :math:`2 L_Q`. On a product of spheres (:mod:`tsode.hessian.spheres`) directions
outside the span are all tangent, so the matrix loses the diagonal c, and the block shrinks to p (r - 1).

At points of high symmetry most overlaps vanish: W and W* fall into groups that are orthogonal to each other. In a basis
that has a group for each of its own, the first block is sparse, and falls into many small ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.csgraph import connected_components

from .. import _checks
from ..model import TeacherStudent, check_isotropic, check_model
from ..overlaps import Overlaps, check_start
from .landscape import Point
from .spectrum import Spectrum
from .spheres import curvature

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Reduction"]

DENSE = 700  # size p (p + p_star) up to which a dense matrix is diagonalised in no more time than one in parts


@dataclass(frozen=True, eq=False)
class Reduction:
    """The two blocks that the population Hessian falls into.

    Attributes
    ----------
    U, U_star : ndarray, shapes (p, r), (p_star, r)
        Weights / sqrt(N) in an orthonormal basis of their common span.
    basis : ndarray or csr_array, shape (p r, m)
        Orthonormal directions inside the span: all p r, or the p (r - 1) tangent to the spheres.
    inside : ndarray or csr_array, shape (m, m)
        Hessian in that basis; both are sparse where that was allowed, and p r is large.
    outside : ndarray, shape (p, p)
        Hessian in each of the N - r directions outside the span.
    copies : int
        N - r.
    gradient : ndarray, shape (p, r)
        Gradient, tangent to the constraint.
    """

    U: np.ndarray
    U_star: np.ndarray
    basis: np.ndarray | csr_array
    inside: np.ndarray | csr_array
    outside: np.ndarray
    copies: int
    gradient: np.ndarray

    @classmethod
    def of(cls, model: TeacherStudent, overlaps: Overlaps, N: int, sparse: bool = False) -> Reduction:
        """Return the reduction at given overlaps and input dimension; checks the arguments."""
        overlaps = check_start(check_isotropic(check_model(model)), overlaps, "overlaps")
        N = _checks.integer("N", N, minimum=model.p + model.p_star)
        p, sparse = model.p, sparse and model.p * len(overlaps.joint) > DENSE
        rows = _span_coordinates(overlaps.joint, sparse)
        r = rows.shape[1]
        U, U_star = rows[:p], rows[p:]
        point = Point(model, U, U_star)
        outside = 2 * point.L_Q
        if model.spherical:
            outside -= np.diag(curvature(U, point.gradient))
        inside, basis, g = point.sparse() if sparse else point.dense()
        return cls(U, U_star, basis, inside, outside, N - r, g)

    def spectrum(self, tolerance: float) -> Spectrum:
        """Return the Spectrum of the whole Hessian."""
        inside, outside = _eigenvalues(self.inside), np.linalg.eigvalsh(self.outside)
        counts = np.repeat([1, self.copies], [len(inside), len(outside)])
        return Spectrum(np.concatenate([inside, outside]), counts, float(np.linalg.norm(self.gradient)), tolerance)


def _eigenvalues(H):
    """Return the eigenvalues of a symmetric matrix, in no order where it is sparse."""
    if isinstance(H, np.ndarray):
        return np.linalg.eigvalsh(H)
    blocks = {}
    for rows in _components(H):
        blocks.setdefault(len(rows), []).append(rows)
    found = []
    for size, rows in blocks.items():
        rows = np.array(rows)
        _checks.memory("the weights", rows.size * size)
        entries = H[np.repeat(rows, size, axis=1).ravel(), np.tile(rows, size).ravel()]
        found.append(np.linalg.eigvalsh(np.asarray(entries).reshape(*rows.shape, size)).ravel())
    return np.concatenate(found)


def _components(pattern):
    """Return the indices of each part of a symmetric matrix between which all entries vanish."""
    count, labels = connected_components(pattern, directed=False)
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels, minlength=count))[:-1])


def _span_coordinates(joint, sparse):
    """Return F, shape (p + p_star, r), with F F^T = `joint` and r its rank; mostly zeros, if it is to be sparse."""
    groups = _components(joint != 0) if sparse else [np.arange(len(joint))]
    parts = [np.linalg.eigh(joint[np.ix_(rows, rows)]) for rows in groups]
    # Overlaps hold squares of weights: what is below rounding here says nothing about a direction of the span,
    # but would enter with its square root.
    largest = max(values[-1] for values, _ in parts)
    least = 4 * len(joint) * np.finfo(float).eps * max(largest, np.finfo(float).tiny)
    columns = []
    for rows, (values, vectors) in zip(groups, parts):
        column = np.zeros((len(joint), np.count_nonzero(values > least)))
        column[rows] = vectors[:, values > least] * np.sqrt(values[values > least])
        columns.append(column)
    return np.hstack(columns)

r"""The set of global minima of the population loss, its points, and the one nearest to a start.

The population loss depends on the student through :math:`B = W^T V W / N` only, and is zero where B equals the
teacher's :math:`B^* = W^{*T} V^* W^* / N`. Let all readouts have one sign, and let
:math:`K = V^{*1/2} P V^{*1/2}` have the eigenvalues :math:`l_1 \ge l_2 \ge \dots` (those of :math:`B^*` that are
not trivially zero) and the projectors :math:`E_j`. The minima are

.. math::
    W = V^{-1/2} O F W^*, \qquad F = \sum_j \sqrt{1 + \delta / l_j}\, E_j V^{*1/2} ,

one for each rotation O, a p x p* matrix:

- p >= p*: :math:`O^T O = 1` and :math:`\delta = 0`; the loss is zero. The rotations form a Stiefel manifold.
- p < p*: the rows of O are an orthonormal basis of the p leading eigenvectors of K. The student cannot hold the
  other eigenvalues, of sum :math:`R = \sum_{j>p} l_j`. Raising the kept ones by :math:`\delta` leaves
  :math:`t = p \delta - R` and :math:`s = p \delta^2 + \sum_{j>p} l_j^2`, so :math:`\delta = R/(p+2)` is best, with
  excess loss :math:`R^2/(p+2) + \sum_{j>p} l_j^2`.

Distances are :math:`d^2 = \sum_k |v_k|\, |w_k - w'_k|^2 / (\bar v N)`, :math:`\bar v` the mean of \|v\|: the plain
:math:`|W - W'|^2 / N` for equal readouts, and the metric in which every minimum is equally far from the origin.
The nearest one to W0 then maximises :math:`\mathrm{tr}\, O^T Y`, :math:`Y = |V|^{1/2} M_0 F^T`, so that O is the
orthogonal polar factor of Y (the Procrustes problem; Schönemann, Psychometrika 31, 1 (1966)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ... import _checks
from ..._linear_algebra import polar
from ..base import NoClosedForm

if TYPE_CHECKING:
    from ...model import TeacherStudent

__all__ = ["Minima"]

TIE = 1e-9  # relative difference of two teacher eigenvalues that counts as none
ORTHONORMAL = 1e-8  # how far a given rotation may be from a solution


class Minima:
    """The set of solutions of one model: the eigenvalues of the teacher, F, and what a rotation must fulfil.

    Attributes
    ----------
    values, vectors : ndarray, shapes (p_star,), (p_star, p_star)
        Eigenvalues of K, descending, and its eigenvectors in columns.
    rank : int
        Number of eigenvalues that are not zero.
    F : ndarray, shape (p_star, p_star)
        The map from rotations to weights.
    """

    def __init__(self, model: TeacherStudent) -> None:
        self.p, self.p_star, self.P = model.p, model.p_star, model.teacher_overlap
        v, v_star = model.student_readout, model.teacher_readout
        sign = np.sign(v[0])
        if not (np.all(sign * v > 0) and np.all(sign * v_star >= 0)):
            raise NoClosedForm(
                "`model` must have readouts of one sign, none zero in the student, to have solutions of this form"
            )
        fits = self.p == self.p_star and model.is_uniform and v[0] == v_star[0]
        if model.spherical and not fits:
            raise NoClosedForm(
                "`model` must be free, or have p = p_star, equal readouts and P = 1: elsewhere the spherical "
                "constraint cuts the set of solutions"
            )
        self.weights = np.abs(v)
        root = np.sqrt(np.abs(v_star))
        values, vectors = np.linalg.eigh(root[:, None] * self.P * root)
        order = np.argsort(-values, kind="stable")
        self.values, self.vectors = np.maximum(values[order], 0.0), vectors[:, order]
        self.rank = int(np.sum(self.values > TIE * self.values[0]))
        delta = self.values[self.p :].sum() / (self.p + 2)
        if self.p >= self.rank:
            self.F = np.diag(root)
        else:
            raised = np.sqrt(1 + delta / np.maximum(self.values, TIE * self.values[0]))
            self.F = (self.vectors * raised) @ self.vectors.T * root

    @property
    def tied(self) -> np.ndarray:
        """Positions of the eigenvalues equal to the p-th; for p >= p* there is no choice, and none is tied."""
        if self.p >= self.p_star:
            return np.arange(0)
        return np.flatnonzero(np.abs(self.values - self.values[self.p - 1]) <= TIE * self.values[0])

    @property
    def dimension(self) -> int:
        """Dimension of the set of solutions in the space of weights, int."""
        p, rank = self.p, self.rank
        if p >= rank:
            return int(p * rank - rank * (rank + 1) // 2)
        kept = p - self.tied[0]
        return int(p * (p - 1) // 2 + kept * (len(self.tied) - kept))

    def check(self, rotation: ArrayLike | None = None, name: str = "rotation") -> np.ndarray:
        """Return `rotation` if it belongs to a solution, or the default one for None."""
        p, p_star = self.p, self.p_star
        if rotation is None:
            return np.eye(p, p_star) if p >= p_star else self.vectors[:, :p].T.copy()
        O = _checks.float_array(name, rotation, (p, p_star), "(p, p_star)")
        gram = O.T @ O if p >= p_star else O @ O.T
        error = np.abs(gram - np.eye(len(gram))).max()
        if error > ORTHONORMAL:
            lines = "columns" if p >= p_star else "rows"
            raise ValueError(f"`{name}` must have orthonormal {lines}, but its Gram matrix is off by {error:.3g}")
        # No p orthonormal rows carry more of K than its leading eigenvectors do (Ky Fan)
        most = self.values[:p].sum()
        missing = most - np.sum((O @ self.vectors) ** 2 @ self.values)
        if missing > ORTHONORMAL * most:
            raise ValueError(
                f"`{name}` must have rows that span leading eigenvectors of the teacher, but misses "
                f"{missing / most:.3g} of their weight"
            )
        return O

    def coefficients(self, rotation: np.ndarray) -> np.ndarray:
        """Return C = V^{-1/2} O F with W = C W*, shape (..., p, p_star)."""
        return rotation @ self.F / np.sqrt(self.weights)[:, None]

    def closest(self, M: np.ndarray) -> np.ndarray:
        """Return the rotation closest to the weights with overlap M."""
        Y = np.sqrt(self.weights)[:, None] * M @ self.F.T
        tied = self.tied
        if self.p >= self.p_star or len(tied) == self.p_star:
            return polar(Y)
        if tied[-1] >= self.p and self.values[self.p - 1] > TIE * self.values[0]:
            raise NoClosedForm(
                "`model` must have a teacher whose eigenvalues at places p and p + 1 differ, or are all the same: "
                "else the closest solution has no closed form"
            )
        kept = self.vectors[:, : self.p]
        return polar(Y @ kept) @ kept.T

    def squared_distance(self, M: np.ndarray, Q: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Return the squared distance of weights with overlaps M, Q to the solutions of rotations, shape (...)."""
        weights = self.weights / self.weights.mean()
        C = self.coefficients(rotation)
        return (np.diagonal(Q) + np.sum(C @ self.P * C - 2 * M * C, axis=-1)) @ weights

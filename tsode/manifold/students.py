r"""A student as what its symmetries act on by rotations and permutations.

The output is :math:`\sum_k v_k\, \sigma(u_k \cdot x)` with :math:`u_k = w_k / \sqrt N`. The activation says what leaves
it alone, besides permutations of units with equal readouts:

- Where it is odd, :math:`(u_k, v_k) \to (-u_k, -v_k)`; where it is even, :math:`(u_k, v_k) \to (-u_k, v_k)`.
- Where it is homogeneous of degree h, :math:`(u_k, v_k) \to (c\, u_k, c^{-h} v_k)` for c > 0. So only
  :math:`|v_k|^{1/h} u_k` and the sign of :math:`v_k` matter: these are the `rows` and `marks` below. Also with fixed
  readouts, where units with unequal readouts of one sign are exchanged together with a scale.
- Where it is :math:`a x^2 + c`, all B with :math:`B^T V B = V`: the output depends on :math:`A = U^T V U` alone.

With fixed readouts all of them keep the marks. The rows turn under O(p) for the square with readouts of one sign; of
two signs they turn under O(p+, p-), which is not compact. Then A is the difference of its positive and its negative
part, and the class has a representative of least norm whose units are orthogonal between the signs: each part belongs
to the units of its own sign, up to :math:`O(p_+) \times O(p_-)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..activations import Activation
from ..model import TeacherStudent, check_model
from ..overlaps import LARGEST_WEIGHT

__all__ = ["Student"]

ROUND = 1e-14  # size of an eigenvalue of A, relative to the square of the rows, that is lost in rounding


@dataclass(frozen=True, eq=False)
class Student:
    """Weights and readouts of one student.

    Attributes
    ----------
    activation : Activation
        Of its units.
    U : ndarray, shape (p, N)
        Weights / sqrt(N).
    v : ndarray, shape (p,)
        Readouts.
    trained : bool
        Whether the readouts belong to what symmetries may change.
    """

    activation: Activation
    U: np.ndarray
    v: np.ndarray
    trained: bool

    @classmethod
    def of(cls, model: TeacherStudent, W: ArrayLike, readout: ArrayLike | None, names: tuple[str, str]) -> Student:
        """Return the student with weights W, shape (p, N), checked; `names` are those of both arrays in messages."""
        check_model(model)
        array = _checks.float_array(names[0], W, (model.p, None), "(p, N)", LARGEST_WEIGHT)
        if array.shape[1] == 0:
            raise ValueError(f"`{names[0]}` must have at least one column, but has shape {array.shape}")
        v = model.student_readout
        if readout is not None:
            v = _checks.float_array(names[1], readout, (model.p,), "(p,)", LARGEST_WEIGHT)
        return cls(model.activation, array / np.sqrt(array.shape[1]), v, readout is not None)

    @property
    def turns(self) -> bool:
        """Whether its units turn among one another."""
        homogeneous = self.activation.degree is not None
        return (homogeneous or not self.trained) and len(self.activation.unit_rotations(np.ones(2))) > 0

    @cached_property
    def factors(self) -> np.ndarray:
        """Rows over weights, shape (p,): relative to the mean readout where readouts are fixed; 1 for unread units."""
        power = 2 if self.turns else self.activation.degree
        size = np.abs(self.v)
        if power is None:
            return np.ones(len(size))
        if not self.trained:
            size = np.where(size > 0, size / max(size.mean(), np.finfo(float).tiny), 1.0)
        return size ** (1 / power)

    @property
    def rows(self) -> np.ndarray:
        """What the symmetries turn and permute, shape (p, N)."""
        return self.factors[:, None] * self.U

    @property
    def marks(self) -> np.ndarray:
        """What of the readouts they tell apart, shape (p,): signs where scales make up for sizes."""
        return np.sign(self.v) if self.turns or self.activation.degree is not None else self.v

    @property
    def images(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows and marks, and those after a change of sign of all units where the output allows it."""
        parity = self.activation.parity
        flipped = [(-self.rows, parity * self.marks)] if parity else []
        return [(self.rows, self.marks), *flipped]

    def vectors(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each of `images` as vectors to be compared, shape (p, n), with labels that have to agree, (p,).

        Fixed readouts are labels. Trained ones are one more component; of homogeneous activations they are signs, and
        the rows of both signs lie in orthogonal spaces that meet at the unit that puts out nothing.
        """
        if not self.trained:
            return self.images
        if self.activation.degree is None:
            found = [np.column_stack(image) for image in self.images]
        else:
            found = [np.hstack([rows * (marks[:, None] == s) for s in (1, -1)]) for rows, marks in self.images]
        return [(vectors, np.zeros(len(vectors))) for vectors in found]

    def parts(self) -> dict[int, np.ndarray]:
        """Return, for units that turn, the rows with each mark 1, -1 and 0 in the representative of least norm.

        Their numbers are those of the units with fixed readouts, and p where readouts are trained.
        """
        rows, marks = self.rows, self.marks
        found = {s: rows[marks == s] for s in (1, -1, 0)}
        if self.trained:
            found = {s: np.pad(each, ((0, len(rows) - len(each)), (0, 0))) for s, each in found.items()}
        if not (np.any(marks > 0) and np.any(marks < 0)):
            return found
        left, sizes, axes = np.linalg.svd(rows * (marks != 0)[:, None], full_matrices=False)
        C = left * sizes
        values, vectors = np.linalg.eigh(C.T @ (marks[:, None] * C))
        values[np.abs(values) <= ROUND * sizes[0] ** 2] = 0.0
        for s in (1, -1):
            kept = np.argsort(-s * values)[: len(found[s])]
            each = np.sqrt(np.maximum(s * values[kept], 0.0))[:, None] * (vectors[:, kept].T @ axes)
            found[s] = np.pad(each, ((0, len(found[s]) - len(each)), (0, 0)))
        return found

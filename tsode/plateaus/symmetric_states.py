r"""Coordinates of the states that are as symmetric as a start, and of all physical changes of a state.

The ODEs treat units with equal readouts alike, on both sides. So a state that is left alone by a permutation of the
student's units together with one of the teacher's, such as all students alike, keeps this symmetry. Its overlaps then
fall into classes of equal ones, the orbits of pairs of units, and one number for each class describes it.

The orbits are found by colouring: pairs (i, j) of units start with their covariance as their colour, and pairs whose
triangles (i, k), (k, j) have other colours than another pair's get a colour of their own, until nothing changes (the
algorithm of Weisfeiler and Leman). For up to 13 units these classes are the orbits; beyond, they are rarely larger.
"""

from __future__ import annotations

import numpy as np

from .._linear_algebra import joint_matrix
from .._states import norm_positions, pack
from ..model import TeacherStudent

__all__ = ["basis", "changes", "orbits"]

SAME = 1e-9  # difference of overlaps, relative to the largest, that counts as rounding


def changes(model: TeacherStudent) -> np.ndarray:
    """Return a class of its own for every overlap that may change, shape (p p_star + p p,): M and symmetric Q.

    On the sphere the norms may not change; their class is -1.
    """
    p, n = model.p, model.p * model.p_star
    k, l = np.indices((p, p))
    labels = pack(np.arange(n).reshape(p, -1), n + p * np.minimum(k, l) + np.maximum(k, l))
    return _without_norms(model, labels)


def orbits(model: TeacherStudent, M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return the class of every overlap under the symmetries of a state, -1 for norms on the sphere: as `changes`."""
    p = model.p
    omega, n = joint_matrix(M, Q, model.teacher_overlap), p + model.p_star
    side = np.repeat([0, 1], [p, model.p_star])
    marks = np.concatenate([model.student_readout, model.rule.teacher_marks(model)])
    units = np.unique(np.column_stack([side, marks]), axis=0, return_inverse=True)[1].ravel()
    rounded = _colours(np.rint(omega.ravel() / (SAME * max(1.0, np.abs(omega).max()))))
    first = np.column_stack([np.repeat(units, n), np.tile(units, n), np.eye(n).ravel(), rounded])
    colour, count = _colours(first).reshape(n, n), 0
    while colour.max() >= count:
        count = colour.max() + 1
        triangles = np.sort(colour[:, None, :] * count + colour.T[None, :, :], axis=-1)
        colour = _colours(np.column_stack([colour.ravel(), triangles.reshape(n * n, n)])).reshape(n, n)
    symmetric = np.minimum(colour, colour.T)
    return _without_norms(model, pack(symmetric[:p, p:], symmetric[:p, :p]))


def basis(labels: np.ndarray) -> np.ndarray:
    """Return orthonormal columns, one for each class of overlaps that change as one: shape (n, classes)."""
    columns = (labels[:, None] == np.unique(labels[labels >= 0])).astype(float)
    return columns / np.linalg.norm(columns, axis=0)


def _colours(rows):
    """Return the number of each row among the different ones."""
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel()


def _without_norms(model, labels):
    if model.spherical:
        labels[norm_positions(model)] = -1
    return labels

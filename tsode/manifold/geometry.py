"""The set of solutions as a manifold: its dimension, tangent space, uniform law and paths."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm, null_space, schur

from .. import _checks
from .._linear_algebra import polar
from .._random import generator
from .._types import Seed
from ..closed_forms import closed_forms
from ..model import TeacherStudent, check_model

__all__ = ["dimension", "path", "random_rotation", "tangent_basis"]


def dimension(model: TeacherStudent) -> int:
    """Return the dimension of the set of solutions in the space of weights: p p* - p*(p*+1)/2 for p >= p*.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.

    Returns
    -------
    int
        With the rank of P in place of p* if P is singular; for p < p* that of O(p), plus what a tie of the
        teacher's eigenvalues at the p-th place leaves free.

    Raises
    ------
    TypeError, ValueError
        As in :func:`solution`.

    Examples
    --------
    >>> import tsode
    >>> tsode.manifold.dimension(tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1))
    5
    """
    return closed_forms(check_model(model)).minima.dimension


def tangent_basis(model: TeacherStudent, rotation: ArrayLike | None = None) -> np.ndarray:
    r"""Return an orthonormal basis of the tangent space of the set of solutions.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.
    rotation : array_like, shape (p, p_star), optional
        The point, as in :func:`solution`.

    Returns
    -------
    C : ndarray, shape (dimension, p, p_star)
        Each C is the direction :math:`dW = C W^*` in the space of weights, with
        :math:`\mathrm{tr}\, dW dW'^T / N = \mathrm{tr}\, C P C'^T = 1` for equal ones, else 0.

    Raises
    ------
    TypeError, ValueError
        As in :func:`solution`.

    Examples
    --------
    >>> import tsode
    >>> tsode.manifold.tangent_basis(tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)).shape
    (5, 4, 2)
    """
    minima = closed_forms(check_model(model)).minima
    O = minima.check(rotation)
    moves = [A @ O for A in _generators(np.eye(model.p))]
    if model.p < minima.rank:  # rotations among the tied eigenvectors change which of them are kept
        moves += [O @ A for A in _generators(minima.vectors[:, minima.tied])]
    C = np.array([minima.coefficients(move) for move in moves]).reshape(-1, model.p, model.p_star)
    values, vectors = np.linalg.eigh(np.einsum("akr,rq,bkq->ab", C, model.teacher_overlap, C))
    kept = slice(len(values) - minima.dimension, None)
    return np.einsum("ai,akr->ikr", vectors[:, kept] / np.sqrt(values[kept]), C)


def random_rotation(model: TeacherStudent, rng: Seed = None) -> np.ndarray:
    """Return a rotation drawn from the uniform (Haar) law on the set of solutions.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.
    rng : numpy.random.Generator, int or None
        Source of randomness.

    Returns
    -------
    rotation : ndarray, shape (p, p_star)

    Raises
    ------
    TypeError, ValueError
        As in :func:`solution`.

    Examples
    --------
    >>> import tsode
    >>> O = tsode.manifold.random_rotation(tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1), rng=0)
    >>> (O.T @ O).round(12)
    array([[1., 0.],
           [0., 1.]])
    """
    minima = closed_forms(check_model(model)).minima
    rng = generator("rng", rng)
    if model.p >= model.p_star:
        return polar(rng.standard_normal((model.p, model.p_star)))
    tied = minima.tied
    sure, kept = minima.vectors[:, : tied[0]], model.p - tied[0]
    among = minima.vectors[:, tied] @ polar(rng.standard_normal((len(tied), kept)))
    basis = np.hstack([sure, among])
    return polar(rng.standard_normal((model.p, model.p))) @ basis.T


def path(model: TeacherStudent, first: ArrayLike, second: ArrayLike, position: ArrayLike) -> np.ndarray:
    r"""Return rotations along a path of solutions between two solutions; the loss is the smallest all along.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.
    first, second : array_like, shape (p, p_star)
        Rotations at both ends.
    position : array_like, shape (n,)
        Where on the path, 0 at `first` and 1 at `second`.

    Returns
    -------
    rotations : ndarray, shape (n, p, p_star)
        :math:`e^{s A} O` with a constant antisymmetric A.

    Raises
    ------
    TypeError, ValueError
        As in :func:`solution`; also if the two lie on different components, of opposite determinant (for
        p = p*, and for p < p* with a fixed row space).

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> tsode.manifold.path(model, [[1], [0]], [[0], [1]], [0.5])[0].round(4)
    array([[0.7071],
           [0.7071]])
    """
    minima = closed_forms(check_model(model)).minima
    one, other = minima.check(first, "first"), minima.check(second, "second")
    position = _checks.float_array("position", position, (None,), "(n,)")
    if model.p >= model.p_star:
        return _turn(one, other, position)
    if len(minima.tied) == model.p_star:  # any rows are solutions: turn them inside the teacher's span
        return np.swapaxes(_turn(one.T, other.T, position), 1, 2)
    basis = one.T
    if not np.allclose(other @ basis @ basis.T, other, atol=1e-6):
        raise ValueError("`first` and `second` must span the same rows where some eigenvalues of the teacher tie")
    return _turn(one @ basis, other @ basis, position) @ basis.T


def _generators(basis):
    """Return the antisymmetric b_i b_j^T - b_j b_i^T of the columns of `basis`."""
    outer = [np.outer(b, c) for i, b in enumerate(basis.T) for c in basis.T[:i]]
    return [A - A.T for A in outer]


def _turn(first, second, position):
    """Return e^{s A} `first` for each s in `position`, which is `second` at s = 1; both have orthonormal columns."""
    n, m = first.shape
    # A rotation R that takes first to second, and the rest of space along by as little as possible
    rest, rest_second = null_space(first.T), null_space(second.T)
    U, _, Vt = np.linalg.svd(rest_second.T @ rest)
    R = second @ first.T + rest_second @ U @ Vt @ rest.T
    if np.linalg.det(R) < 0:
        if n == m:
            raise ValueError("`first` and `second` must have determinants of one sign: no path of solutions joins them")
        U[:, -1] *= -1
        R = second @ first.T + rest_second @ U @ Vt @ rest.T
    # The real Schur form of a rotation is made of planar rotations; eigenvalues -1 go in pairs
    T, Z = schur(R, output="real")
    A = np.zeros((n, n))
    lower = np.diagonal(T, -1)
    planes = [(i, i + 1, np.arctan2(lower[i], T[i, i])) for i in np.flatnonzero(np.abs(lower) > 1e-12)]
    in_plane = {i for plane in planes for i in plane[:2]}
    flipped = [i for i in range(n) if i not in in_plane and T[i, i] < 0]
    planes += [(i, j, np.pi) for i, j in zip(flipped[::2], flipped[1::2])]
    for i, j, angle in planes:
        A += angle * (np.outer(Z[:, j], Z[:, i]) - np.outer(Z[:, i], Z[:, j]))
    return expm(position[:, None, None] * A) @ first

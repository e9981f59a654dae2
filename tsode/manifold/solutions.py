"""Points of the set of solutions, and the one closest to a start."""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._linear_algebra import polar
from ..closed_forms import closed_forms
from ..model import TeacherStudent, check_model
from ..overlaps import LARGEST_WEIGHT, Overlaps, check_start

__all__ = ["closest_rotation", "closest_solution", "distance", "polar_factor", "solution", "solution_weights"]

Student = Overlaps | tuple[ArrayLike, ArrayLike]  # or W and W_star


def solution(model: TeacherStudent, rotation: ArrayLike | None = None) -> Overlaps:
    r"""Return a solution as overlaps: zero excess loss for p >= p*, the smallest possible one for p < p*.

    Parameters
    ----------
    model : TeacherStudent
        Readouts of one sign. Under the spherical constraint p = p*, v = v* and P = I are needed: elsewhere the
        unit norms cut the set of solutions.
    rotation : array_like, shape (p, p_star), optional
        Which solution, a point of :mod:`tsode.activations.quadratic.minima`: orthonormal columns for p >= p*,
        orthonormal rows that span the leading eigenvectors of K for p < p*. By default the first p* students are the
        teacher's rows up to their norms, or the students its leading eigenvectors.

    Returns
    -------
    Overlaps

    Raises
    ------
    TypeError, ValueError
        If the model has no such set, or `rotation` does not belong to it.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=3, p_star=2, learning_rate=0.1)
    >>> tsode.manifold.solution(model).Q.diagonal()
    array([1.5, 1.5, 0. ])
    """
    minima = closed_forms(check_model(model)).minima
    P = model.teacher_overlap
    C = minima.coefficients(minima.check(rotation))
    return Overlaps(C @ P, C @ P @ C.T, P)


def solution_weights(model: TeacherStudent, W_star: ArrayLike, rotation: ArrayLike | None = None) -> np.ndarray:
    """Return the weights of a solution for given teacher weights.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.
    W_star : array_like, shape (p_star, N)
        Teacher weights, with the model's P.
    rotation : array_like, shape (p, p_star), optional
        As in :func:`solution`.

    Returns
    -------
    W : ndarray, shape (p, N)

    Raises
    ------
    TypeError, ValueError
        As in :func:`solution`.

    Examples
    --------
    >>> import numpy as np
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> tsode.manifold.solution_weights(model, np.ones((1, 3))).round(4)
    array([[1.4142, 1.4142, 1.4142],
           [0.    , 0.    , 0.    ]])
    """
    minima = closed_forms(check_model(model)).minima
    W_star = _checks.float_array("W_star", W_star, (model.p_star, None), "(p_star, N)", LARGEST_WEIGHT)
    return minima.coefficients(minima.check(rotation)) @ W_star


def closest_rotation(model: TeacherStudent, start: Student) -> np.ndarray:
    """Return the rotation of the solution closest to a start.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.
    start : Overlaps or (W, W_star)
        Where the student is.

    Returns
    -------
    rotation : ndarray, shape (p, p_star)
        A polar factor; not unique where M of the start has not full rank.

    Raises
    ------
    TypeError, ValueError
        If the model has no solutions in closed form, or `start` does not fit; for p < p* also if some but not all
        eigenvalues of the teacher tie at the p-th place, which leaves no closed form.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> start = tsode.Overlaps(M=[[0.03], [0.04]], Q=[[1, 0], [0, 1]])
    >>> tsode.manifold.closest_rotation(model, start).round(6)
    array([[0.6],
           [0.8]])
    """
    return closed_forms(check_model(model)).minima.closest(_overlaps(model, start).M)


@overload
def closest_solution(model: TeacherStudent, start: Overlaps) -> Overlaps: ...
@overload
def closest_solution(model: TeacherStudent, start: tuple[ArrayLike, ArrayLike]) -> np.ndarray: ...
def closest_solution(model: TeacherStudent, start: Student) -> Overlaps | np.ndarray:
    """Return the solution closest to a start, in closed form; SGD from Q proportional to 1 ends there.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.
    start : Overlaps or (W, W_star)
        Where the student is.

    Returns
    -------
    Overlaps or ndarray, shape (p, N)
        Overlaps of the solution; its weights W if weights were given.

    Raises
    ------
    TypeError, ValueError
        As in :func:`closest_rotation`.

    Notes
    -----
    For equal readouts on each side and P = I, the overlap ODEs conserve the singular vectors of M if Q starts
    proportional to 1, at every learning rate, and so the polar factor of M (arXiv:2604.03068 finds that the
    dynamics picks the closest solution). Random weights have that Q up to 1/sqrt(N).

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> start = tsode.Overlaps(M=[[0.03], [0.04]], Q=[[1, 0], [0, 1]])
    >>> tsode.manifold.closest_solution(model, start).M.round(6)
    array([[0.848528],
           [1.131371]])
    """
    rotation = closest_rotation(model, start)
    return solution(model, rotation) if isinstance(start, Overlaps) else solution_weights(model, start[1], rotation)


def distance(model: TeacherStudent, overlaps: Student, rotation: ArrayLike | None = None) -> float:
    r"""Return the distance to the closest solution, or to that of a rotation.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`solution`.
    overlaps : Overlaps or (W, W_star)
        Where the student is.
    rotation : array_like, shape (p, p_star), optional
        Measure to ``solution(model, rotation)`` instead of the closest one.

    Returns
    -------
    float
        Root of :math:`|W - W'|^2 / N`, for unequal readouts weighted as in
        :mod:`tsode.activations.quadratic.minima`. From overlaps it is resolved down to 1e-8 or so, the root of the
        rounding error.

    Raises
    ------
    TypeError, ValueError
        As in :func:`closest_rotation`.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> start = tsode.Overlaps(M=[[0.03], [0.04]], Q=[[1, 0], [0, 1]])
    >>> round(tsode.manifold.distance(model, start), 6)
    1.964327
    """
    minima = closed_forms(check_model(model)).minima
    here = _overlaps(model, overlaps, "overlaps")
    rotation = minima.closest(here.M) if rotation is None else minima.check(rotation)
    return float(np.sqrt(max(minima.squared_distance(here.M, here.Q, rotation), 0.0)))


def _overlaps(model, start, name="start"):
    """Return Overlaps that fit the model from Overlaps or from a pair of weights."""
    if isinstance(start, tuple) and len(start) == 2:
        start = Overlaps.from_weights(*start)
    elif not isinstance(start, Overlaps):
        raise TypeError(f"`{name}` must be an Overlaps or a tuple (W, W_star), but is {type(start).__name__}")
    return check_start(model, start, name)


def polar_factor(matrix: ArrayLike) -> np.ndarray:
    """Return the partial isometry U V^T of the singular value decomposition, shape (..., m, n) as `matrix`.

    Parameters
    ----------
    matrix : array_like, shape (..., m, n)
        Any matrices.

    Returns
    -------
    ndarray, shape (..., m, n)

    Raises
    ------
    TypeError, ValueError
        If `matrix` is no array of finite real numbers with two axes or more.

    Examples
    --------
    >>> polar_factor([[3.0, 0.0], [0.0, -2.0]])
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    matrix = _checks.real_array("matrix", matrix)
    if matrix.ndim < 2:
        raise ValueError(f"`matrix` must have shape (..., m, n), but has shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("`matrix` must be finite, but has nan or inf")
    return polar(matrix)

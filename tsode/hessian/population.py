r"""The Hessian of the population loss: an operator for given weights, and its exact spectrum for given overlaps.

Both are with respect to :math:`u_k = w_k / \sqrt N`. The formulas are in :mod:`tsode.hessian.landscape`, for any
activation, and the reason for the exact spectrum in :mod:`tsode.hessian.reduction`.

Since SGD moves :math:`u` by :math:`-(\eta / N)\, \partial \ell / \partial u` a sample, one unit of
:math:`\eta \alpha` of gradient flow is one unit of time of :math:`\dot U = -\partial L / \partial U`: minus the most
negative eigenvalue at a saddle is the rate, per unit of :math:`\eta \alpha`, at which gradient flow escapes from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..model import TeacherStudent, check_isotropic, check_model
from ..overlaps import LARGEST_WEIGHT, Overlaps
from .landscape import Point
from .readout import with_readout
from .reduction import Reduction
from .spectrum import TOLERANCE, Spectrum
from .spheres import on_spheres, project

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

__all__ = ["check_weights", "population_gradient", "population_operator", "population_spectrum"]


def population_spectrum(model: TeacherStudent, overlaps: Overlaps, N: int, tolerance: float = TOLERANCE) -> Spectrum:
    r"""Return the exact spectrum of the population Hessian at dimension N, with respect to W / sqrt(N).

    Where the readout is trained, it is with respect to W / sqrt(N) and v, at the model's `student_readout`.

    Parameters
    ----------
    model : TeacherStudent
        Gives the loss and the constraint; its learning rate and noise do not enter.
    overlaps : Overlaps
        The point. Any M, Q and P, also where W and W* are linearly dependent.
    N : int
        Input dimension, at least p + p_star. It enters the multiplicities only.
    tolerance : float
        What counts as a zero eigenvalue or gradient, relative to the largest absolute eigenvalue.

    Returns
    -------
    Spectrum
        Its multiplicities add up to p N; to p (N - 1) under the spherical constraint, where it is the
        spectrum of the Riemannian Hessian on the product of spheres. A trained readout adds p.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Notes
    -----
    Costs one diagonalisation of size p r, r <= p + p_star being the rank of the joint overlap matrix, and is exact
    to rounding. For wide students it falls into many small ones where most overlaps are zero, as on the plateau.

    Overlaps hold the squares of distances, though: where some weights leave the span of the others by a small
    relative distance d, they fix it up to 1e-16/d only, and what is below about 1e-7 counts as zero; there the error of
    an eigenvalue reaches 1e-7. The plateau of SGD at a finite learning rate is no critical point of the loss; that of
    gradient flow is (:func:`gradient_flow_plateau`). Derivation in :mod:`tsode.hessian.reduction`; the setting is that
    of arXiv:2604.03068.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)
    >>> plateau = tsode.Overlaps(np.zeros((4, 2)), 4 / 6 * np.eye(4))
    >>> tsode.hessian.population_spectrum(model, plateau, N=14).multiplicities
    array([ 8, 38,  9,  1])
    """
    if check_model(model).readout_learning_rate:
        return with_readout(model, Reduction.of(model, overlaps, N)).spectrum(tolerance)
    return Reduction.of(model, overlaps, N, sparse=True).spectrum(tolerance)


def population_operator(model: TeacherStudent, W: ArrayLike, W_star: ArrayLike) -> LinearOperator:
    r"""Return the population Hessian at given weights as a SciPy LinearOperator.

    Parameters
    ----------
    model : TeacherStudent
        Gives the loss and the constraint.
    W, W_star : array_like, shapes (p, N), (p_star, N)
        Weights of student and teacher, of norm about sqrt(N) as everywhere.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (p N, p N)
        Symmetric; acts on Z.ravel(), Z of shape (p, N), and is the Hessian with respect to W / sqrt(N), which is
        N times that with respect to W. Under the spherical constraint it is the Riemannian Hessian on the
        tangent vectors and zero on the p radial ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Notes
    -----
    A product costs O(N p (p + p_star)); the formula is in :mod:`tsode.hessian.landscape`.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> W, W_star = tsode.Overlaps.random(model, N=50, rng=0).realise(50, rng=1)
    >>> H = tsode.hessian.population_operator(model, W, W_star)
    >>> (H @ np.ones(100)).shape
    (100,)
    """
    from scipy.sparse.linalg import LinearOperator

    U, U_star = check_weights(model, W, W_star)
    point = Point(model, U, U_star)
    apply = point.product()
    if model.spherical:
        apply = on_spheres(apply, U, point.gradient)

    def matvec(z):
        return apply(z.reshape(U.shape)).ravel()

    return LinearOperator((U.size, U.size), matvec=matvec, rmatvec=matvec, dtype=np.float64)


def population_gradient(model: TeacherStudent, W: ArrayLike, W_star: ArrayLike) -> np.ndarray:
    """Return the gradient of the population loss with respect to W / sqrt(N).

    Parameters
    ----------
    model : TeacherStudent
        Gives the loss and the constraint.
    W, W_star : array_like, shapes (p, N), (p_star, N)
        Weights of student and teacher.

    Returns
    -------
    ndarray, shape (p, N)
        Its part tangent to the spheres under the spherical constraint.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> saddle = tsode.plateau(model, gradient_flow=True).overlaps
    >>> bool(np.abs(tsode.hessian.population_gradient(model, *saddle.realise(20, rng=0))).max() < 1e-12)
    True
    """
    U, U_star = check_weights(model, W, W_star)
    g = Point(model, U, U_star).gradient
    return project(U, g) if model.spherical else g


@overload
def check_weights(model: TeacherStudent, W: ArrayLike) -> np.ndarray: ...
@overload
def check_weights(model: TeacherStudent, W: ArrayLike, W_star: ArrayLike, /) -> tuple[np.ndarray, np.ndarray]: ...
def check_weights(
    model: TeacherStudent, W: ArrayLike, *W_star: ArrayLike
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Return W / sqrt(N) and W_star / sqrt(N), or the first alone, after checking shapes and constraint."""
    check_model(model)
    if W_star:
        check_isotropic(model)
    W = _checks.float_array("W", W, (model.p, None), "(p, N)", LARGEST_WEIGHT)
    if W.shape[1] == 0:
        raise ValueError(f"`W` must have at least one column, but has shape {W.shape}")
    root = np.sqrt(W.shape[1])
    U = W / root
    if model.spherical and not np.allclose(norms := np.square(U).sum(axis=1), 1.0, rtol=0, atol=1e-9):
        raise ValueError(
            "`W` must have rows of squared norm N under the spherical constraint, but has "
            f"{norms[np.argmax(abs(norms - 1))]:g} N"
        )
    if not W_star:
        return U
    shape = (model.p_star, W.shape[1])
    return U, _checks.float_array("W_star", W_star[0], shape, "(p_star, N)", LARGEST_WEIGHT) / root

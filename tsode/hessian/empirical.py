r"""The Hessian of the empirical loss, the mean of :math:`(\hat y - y)^2 / 2` over n given rows.

With respect to :math:`u_k = w_k / \sqrt N`, with :math:`\lambda_i = U x_i`, :math:`D_i = \hat y_i - y_i` and
:math:`\zeta_i = Z x_i`, the first derivative of a sample's output along Z is
:math:`\sum_k v_k \sigma'(\lambda_{ik}) \zeta_{ik}` and the second
:math:`\sum_k v_k \sigma''(\lambda_{ik}) \zeta_{ik}^2`; hence

.. math::
    (H Z)_k = \frac{1}{n} \sum_i C_{ik}\, x_i , \qquad
    C_{ik} = J_{ik} \sum_l J_{il} \zeta_{il} + R_{ik} \zeta_{ik} , \qquad
    J_{ik} = v_k \sigma'(\lambda_{ik}) , \quad R_{ik} = v_k D_i\, \sigma''(\lambda_{ik}) :

a product is X Z^T, a little arithmetic, and C^T X. The kernel does all three for a few rows of X at a time, which
stay in cache in between, so X is read from memory once and not twice; nothing of size n N is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from .. import _checks
from .._linear_algebra import interruptible
from ..model import TeacherStudent
from .population import check_weights
from .spectrum import TOLERANCE, Spectrum, check_tolerance
from .spheres import curvature, on_spheres, project, tangent_basis

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

__all__ = ["empirical_gradient", "empirical_operator", "empirical_spectrum"]

TILE = 2**15  # numbers in the rows of X that are used together: a quarter of a megabyte, any second-level cache


def empirical_operator(model: TeacherStudent, W: ArrayLike, X: ArrayLike, y: ArrayLike) -> LinearOperator:
    r"""Return the Hessian of the empirical loss as a SciPy LinearOperator.

    Parameters
    ----------
    model : TeacherStudent
        Gives the student's readout, its activation and the constraint.
    W : array_like, shape (p, N)
        Student weights, of norm about sqrt(N) as everywhere.
    X : array_like, shape (n, N)
        Inputs, one a row. A C-ordered array of float64 is used as it is, without a copy.
    y : array_like, shape (n,)
        Labels.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (p N, p N)
        Symmetric; acts on Z.ravel(), Z of shape (p, N), and is the Hessian with respect to W / sqrt(N) of the
        loss averaged over the rows, so that it tends to :func:`population_operator` as n/N grows. Under the
        spherical constraint it is the Riemannian Hessian on the tangent vectors and zero on the p radial ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Notes
    -----
    A product costs 4 n p N operations, and memory p N + 2 n p beside X. The activation must have a second
    derivative everywhere; where it has a kink there is no limit of many samples. Extreme eigenvalues come from SciPy's
    ``eigsh`` or ``lobpcg``, the density of all from :func:`spectral_density`.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> from scipy.sparse.linalg import eigsh
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> W, W_star = tsode.plateau(model).overlaps.realise(100, rng=0)
    >>> X = np.random.default_rng(1).standard_normal((5000, 100))
    >>> y = model.teacher_activation(X @ W_star.T / 10) @ model.teacher_readout
    >>> H = tsode.hessian.empirical_operator(model, W, X, y)
    >>> eigsh(H, 3, which="SA", return_eigenvectors=False).shape
    (3,)
    """
    from scipy.sparse.linalg import LinearOperator

    U, X, D, J, R = _samples(model, W, X, y, second=True)

    def apply(Z):
        return product_kernel(np.ascontiguousarray(Z), X, J, R, TILE)

    if model.spherical:
        apply = on_spheres(apply, U, _gradient(X, D, J))

    def matvec(z):
        return apply(np.asarray(z, dtype=np.float64).reshape(U.shape)).ravel()

    return LinearOperator((U.size, U.size), matvec=matvec, rmatvec=matvec, dtype=np.float64)


def empirical_gradient(model: TeacherStudent, W: ArrayLike, X: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return the gradient of the empirical loss with respect to W / sqrt(N).

    Parameters
    ----------
    model, W, X, y
        As for :func:`empirical_operator`.

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
    >>> W, W_star = tsode.plateau(model).overlaps.realise(20, rng=0)
    >>> X = np.random.default_rng(1).standard_normal((500, 20))
    >>> y = model.teacher_activation(X @ W_star.T / np.sqrt(20)) @ model.teacher_readout
    >>> tsode.hessian.empirical_gradient(model, W, X, y).shape
    (2, 20)
    """
    U, X, D, J, _ = _samples(model, W, X, y)
    g = _gradient(X, D, J)
    return project(U, g) if model.spherical else g


def empirical_spectrum(
    model: TeacherStudent, W: ArrayLike, X: ArrayLike, y: ArrayLike, tolerance: float = TOLERANCE
) -> Spectrum:
    """Return all eigenvalues of the empirical Hessian, by dense diagonalisation: for small p N.

    Parameters
    ----------
    model, W, X, y
        As for :func:`empirical_operator`.
    tolerance : float
        What counts as zero, relative to the largest absolute eigenvalue.

    Returns
    -------
    Spectrum
        Of dimension p N, or p (N - 1) under the spherical constraint. Its gradient is that of the samples.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Notes
    -----
    Needs memory 8 (p N)^2 bytes and time n (p N)^2 / 2 + (p N)^3.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> W, W_star = tsode.plateau(model).overlaps.realise(20, rng=0)
    >>> X = np.random.default_rng(1).standard_normal((500, 20))
    >>> y = model.teacher_activation(X @ W_star.T / np.sqrt(20)) @ model.teacher_readout
    >>> tsode.hessian.empirical_spectrum(model, W, X, y).dimension
    40
    """
    U, X, D, J, R = _samples(model, W, X, y, second=True)
    p, N = U.shape
    _checks.memory("`W`", (p * N) ** 2)
    check_tolerance(tolerance)
    H = np.empty((p, N, p, N))
    for k in range(p):
        for l in range(k + 1):
            weight = J[:, k] * J[:, l] + (R[:, k] if k == l else 0.0)
            H[k, :, l] = (X * weight[:, None]).T @ X / len(D)
            H[l, :, k] = H[k, :, l].T
    H = H.reshape(p * N, p * N)
    g = _gradient(X, D, J)
    if model.spherical:
        H[np.diag_indices(p * N)] -= np.repeat(curvature(U, g), N)
        basis = tangent_basis(U)
        H, g = basis.T @ H @ basis, project(U, g)
    return Spectrum(interruptible(np.linalg.eigvalsh, H), None, float(np.linalg.norm(g)), tolerance)


def _samples(model, W, X, y, second=False):
    """Return W / sqrt(N), X, the errors D, shape (n,), J, and R if `second` derivatives are wanted, shapes (n, p)."""
    U = check_weights(model, W)
    if type(X) is not np.ndarray:
        X = _checks.float_array("X", X, (None, U.shape[1]), "(n, N)")
    if X.ndim != 2 or X.shape[1] != U.shape[1] or len(X) == 0:
        raise ValueError(f"`X` must have shape (n, N) = (at least 1, {U.shape[1]}), but has shape {X.shape}")
    if X.dtype.kind not in "fiub":
        raise TypeError(f"`X` must be an array of real numbers, but is of type {X.dtype}")
    y = _checks.float_array("y", y, (len(X),), "(n,)")
    X = np.ascontiguousarray(X, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        lam = X @ U.T
    if not np.isfinite(lam).all():  # a nan or inf in X always reaches its row here; X itself may be large
        _checks.float_array("X", X, X.shape)
    v, activation = model.student_readout, model.activation
    D = model.rule.output_error(model, activation(lam) @ v, y)
    J = v * activation.slope(lam)
    if not second:
        return U, X, D, J, None
    bend = activation.curvature(lam)
    del lam  # as large as J and R
    R = v * bend
    R *= D[:, None]
    return U, X, D, J, R


def _gradient(X, D, J):
    return (J * D[:, None]).T @ X / len(X)


@njit(cache=True, nogil=True, error_model="numpy")
def product_kernel(Z, X, J, R, tile):
    """Return H Z, shape (p, N), going once through the rows of X, about `tile` numbers at a time."""
    n, N = X.shape
    p = len(Z)
    rows = min(n, max(8, tile // N))
    out = np.zeros((p, N))
    part = np.empty((p, N))
    for first in range(0, n, rows):
        last = min(n, first + rows)
        C = np.dot(Z, X[first:last].T)
        for i in range(last - first):
            slope = 0.0
            for k in range(p):
                slope += J[first + i, k] * C[k, i]
            for k in range(p):
                C[k, i] = J[first + i, k] * slope + R[first + i, k] * C[k, i]
        out += np.dot(C, X[first:last], part)
    return out / n

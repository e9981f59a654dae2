r"""Averages over the error of a student, for any two smooth activations.

With preactivations z of student and teacher, covariance :math:`\Omega`, and u = (v, -v*), the error is
:math:`D = \sum_i u_i s_i(z_i) - \sqrt\Delta\, \xi`. Gradient descent on :math:`D^2/2` moves unit k by
:math:`C_k = -\eta v_k D s'(z_k)`. Its drift needs averages over two units only,

.. math::
    J_{kj} = E[\partial C_k / \partial z_j]
           = -\eta v_k \Big( \delta_{kj} \sum_i u_i E[s''_k s_i] + u_j E[s'_k s'_j] \Big) ,

and :math:`K_{kl} = E[C_k C_l] = \eta^2 v_k v_l E[D^2 s'_k s'_l]` needs four. Those are done in two steps. Given
:math:`z_k` and :math:`z_l` the other preactivations are Gaussian with means :math:`m_i`, which depend on the two, and
covariances :math:`S_{ij}`, which do not. With correlations :math:`r_{ij}` of S and coefficients
:math:`c_i^n = E[s_i(m_i + \sqrt{S_{ii}}\, y)\, h_n(y)]` in normalised Hermite polynomials (Mehler's formula),

.. math::
    E[D^2 | z_k, z_l] = \sum_n \sum_{ij} u_i u_j\, r_{ij}^n\, c_i^n c_j^n + \Delta ,

every term of which is nonnegative, and zero together with D. The series is cut at some n, and what is left of the norm
of each :math:`s_i` stands in for the next coefficient. Then :math:`z_k` and :math:`z_l` are summed over, by equispaced
nodes. The error is relative to the terms of D and not to D: close to a solution it shows. For functions with poles
near the real axis it falls slowly (tanh there: 1e-4, 2e-5, 4e-6 of the result at levels 0, 1, 2), for others fast
(erf: 2e-6, 8e-8, 4e-9); `error_squared_accuracy` estimates it.

Everything is projected from one factor of :math:`\Omega`, rows that stand for units. Hence it is the average of a true
Gaussian within rounding of :math:`\Omega`, also for parallel units and units of norm zero, where conditional
covariances cannot be had from differences.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg.lapack import dpstrf

from .averages import gaussian_nodes

if TYPE_CHECKING:
    from .base import Activation

__all__ = [
    "Averages", "beside", "by_quadrature", "directions", "error_squared", "error_squared_accuracy", "factor_of",
    "inner_nodes", "positive",
]  # fmt: skip

OUTER, INNER = 7.0, 8.0  # reach of the nodes for z_k and z_l, and for what is left
NEGLIGIBLE = 1e-13  # share of a node in the sum of all that is left out
WIDEST = 6.0  # standard deviation up to which nodes become denser
PARALLEL = 1e-8  # sine of the angle between two units below which they are one


@dataclass(frozen=True)
class Averages:
    r"""The averages of one step of gradient descent that the ODEs ask for, over Gaussian preactivations.

    With the joint covariance :math:`\Omega` of all preactivations, of size n = p + p*, and the step C of a sample,
    they are :math:`J = E[\partial C / \partial z]`, shape (p, n), and :math:`K = E[C C^T]`, shape (p, p), which may
    use :math:`F = J \Omega = E[C z^T]`. The parameters are learning rate, standard deviation of the noise, v, -v*, and
    what :meth:`Activation.constants` adds.

    Attributes
    ----------
    drift, noise : callable or None
        Jitable loops ``drift(omega, parameters, J)`` and ``noise(omega, parameters, J, F, K)``, which write to their
        last argument; None where there are none.
    outputs : callable or None
        Jitable loop ``outputs(omega, parameters, g)``, which writes :math:`E[D\, s_k]`, shape (p,): what drives a
        trained readout.
    drift_arrays, noise_arrays : callable or None
        ``drift_arrays(omega, parameters, p)`` and ``noise_arrays(omega, parameters, J, F)``, which return J and K, for
        NumPy: for wide networks, or where there are no loops.
    drift_back, noise_back : callable or None
        Jitable ``drift_back(omega, parameters, J_bar, omega_bar, parameters_bar)`` and ``noise_back(omega, parameters,
        J, F, K_bar, J_bar, F_bar, omega_bar, parameters_bar)``: from the derivatives of a number with respect to J and
        K, given in J_bar and K_bar, they add to those with respect to what J and K are functions of.
    step : callable or None
        Jitable ``step(omega, parameters, p, pairs, C, J, B, lines)`` for fluctuations at finite N. The entries of M and
        of the lower triangle of Q belong to `pairs` of preactivations, shape (2, n), and change by X / N in a sample.
        It writes the derivatives of E[X], shape (n, n), the covariance of X, and to `lines`, shape (4, n): the part of
        E[X] that is linear in C, all of it, what changes it at order 1/N given fluctuations of covariance C, and
        J Omega J^T of the averages.
    constants : bool
        Whether the loops read :meth:`Activation.constants` after the readouts.
    kick : callable or None
        Jitable ``kick(rows, T, parameters, numbers, change, spread)``: with preactivations F y and T y of a standard
        normal y, it makes of d (d + 1) standard normal `numbers` Gaussian ones of mean zero with the covariance of
        :math:`C y^T` and :math:`C C^T`, and writes them to its last two arguments; `rows` are F, shape (p, d).
    lanes : bool
        Whether the loops are written with :func:`tsode._lanes.load` and its like, and so serve many solutions at once.
    """

    drift: Callable[..., None] | None = None
    noise: Callable[..., None] | None = None
    drift_arrays: Callable[..., np.ndarray] | None = None
    noise_arrays: Callable[..., np.ndarray] | None = None
    drift_back: Callable[..., None] | None = None
    noise_back: Callable[..., None] | None = None
    constants: bool = False
    lanes: bool = False
    outputs: Callable[..., None] | None = None
    step: Callable[..., None] | None = None
    kick: Callable[..., None] | None = None

    def moments(
        self, omega: np.ndarray, parameters: np.ndarray, p: int, second_order: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return F and, if the term of second order is wanted, K, through the functions for NumPy."""
        J = self.drift_arrays(omega, parameters, p)  # type: ignore[misc]
        F = J @ omega
        return F, self.noise_arrays(omega, parameters, J, F) if second_order else None  # type: ignore[misc]

    def tolerance(self, omega: np.ndarray, rtol: float) -> float:
        """Return the relative tolerance that the ODEs can be solved to from a point: `rtol`, if not their own error."""
        return rtol


@functools.lru_cache(maxsize=64)
def by_quadrature(student: Activation, teacher: Activation, levels: bool = False) -> Averages:
    """Return the Averages of two activations without closed form, whose constant is the level if there are levels."""

    def drift(omega, parameters, p):
        u, variances = parameters[2 : 2 + len(omega)], np.diagonal(omega)
        J, curvature = np.empty((p, len(omega))), np.zeros(p)
        for activation, side in ((student, slice(0, p)), (teacher, slice(p, None))):
            covariances = variances[:p, None], omega[:p, side], variances[side]
            xx, xz, _ = student.pair_slopes(activation, *covariances)
            curvature += 2 * xx @ u[side]
            J[:, side] = xz * u[side]
        J[:, :p] += np.diag(curvature)
        return -parameters[0] * u[:p, None] * J

    def noise(omega, parameters, J, F):
        p, u, level = len(J), parameters[2 : 2 + len(omega)], int(parameters[-1]) if levels else 1
        squared = student.error_squared(teacher, omega, u[:p], -u[p:], parameters[1] ** 2, level)
        return parameters[0] ** 2 * np.outer(u[:p], u[:p]) * squared

    return Averages(drift_arrays=drift, noise_arrays=noise, constants=levels)


def error_squared(
    student: Activation,
    teacher: Activation,
    omega: np.ndarray,
    v: np.ndarray,
    v_star: np.ndarray,
    noise_variance: float,
    level: int = 1,
) -> np.ndarray:
    r"""Return :math:`E[D^2 s'_k s'_l]` by conditioning on both units.

    Parameters
    ----------
    student, teacher : Activation
        Activations of both sides.
    omega : ndarray, shape (p + p_star, p + p_star)
        Joint covariance of the preactivations.
    v, v_star : ndarray, shapes (p,), (p_star,)
        Readouts.
    noise_variance : float
        Variance of the label noise.
    level : int
        Nodes and polynomials become more with it, 0 being the coarsest.

    Returns
    -------
    ndarray, shape (p, p)

    Examples
    --------
    >>> from tsode.activations import Erf
    >>> one = np.ones(1)
    >>> bool(error_squared(Erf(), Erf(), np.ones((2, 2)), one, one, 0.0)[0, 0] < 1e-15)  # the student is the teacher
    True
    """
    p, u = len(v), np.concatenate([v, -np.asarray(v_star)])
    found = np.full((p, p), np.nan)
    if not np.isfinite(omega).all():  # a solution that diverges, here and below
        return found
    factor = factor_of(omega)

    def outputs(z):
        return np.concatenate([student.function(z[:p])[0], teacher.function(z[p:])[0]]) * u[:, None, None]

    for k in range(p):
        for l in range(k + 1):
            R, V = directions(factor[[k, l]])
            x, weights = _outer_nodes(R, level)
            weights = weights * np.prod(student.function(R @ x.T)[1], axis=0)
            kept = np.abs(weights) > NEGLIGIBLE * np.abs(weights).sum()
            squared = _conditional(outputs, np.sign(u), factor, V, x[kept], level)
            found[k, l] = found[l, k] = weights[kept] @ (squared + noise_variance)
    return positive(found)


def positive(found: np.ndarray) -> np.ndarray:
    """Return a matrix without its negative eigenvalues.

    Each entry has nodes of its own: an eigenvalue that should be zero may be negative by their error.
    """
    values, vectors = np.linalg.eigh(found)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return root @ root.T


def error_squared_accuracy(
    student: Activation,
    teacher: Activation,
    omega: np.ndarray,
    v: np.ndarray,
    v_star: np.ndarray,
    noise_variance: float,
    level: int = 1,
) -> float:
    """Return an estimate of the largest error of :func:`error_squared`: its difference from the next level.

    Parameters
    ----------
    student, teacher, omega, v, v_star, noise_variance, level
        As there.

    Returns
    -------
    float
    """
    pair = (error_squared(student, teacher, omega, v, v_star, noise_variance, level + i) for i in (0, 1))
    return float(np.max(np.abs(np.subtract(*pair))))


def factor_of(omega: np.ndarray) -> np.ndarray:
    """Return rows that stand for the units: their products are `omega`. Equal units have equal rows."""
    n = len(omega)
    tolerance = 4 * n * np.finfo(float).eps * max(np.diagonal(omega).max(), 0.0)
    factor, order, rank, _ = dpstrf(omega, tol=tolerance, lower=1)
    rows = np.empty((n, max(rank, 1)))
    rows[order - 1] = np.tril(factor)[:, : max(rank, 1)] if rank else 0.0
    return rows


def directions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return R, shape (2, d), and d orthonormal directions V, shape (d, n), with rows = R V.

    R is the symmetric root of the covariance of both units, so that no unit is preferred; d = 1 if they are parallel.
    """
    U, s, V = np.linalg.svd(rows, full_matrices=False)
    if len(s) == 1 or s[1] <= PARALLEL * s[0]:
        return U[:, :1] * s[0], V[:1]
    return (U * s) @ U.T, U @ V


def _outer_nodes(R, level):
    """Return nodes of the conditioned directions, shape (m, d), and their weights."""
    d = R.shape[1]
    widest = min(max(1.0, np.abs(R).max()), WIDEST)
    count = 27 + 8 * level if d == 2 else 61 + 16 * level
    line, weights = gaussian_nodes(2 * int(count * widest / 2) + 1, OUTER)
    if d == 1:
        return line[:, None], weights
    x = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return x, np.outer(weights, weights).ravel()


def _conditional(outputs, signs, factor, V, x, level):
    """Return E[D^2 | x] without label noise, shape (m,), x being the components of the inputs along V.

    D is the sum of `outputs` over units; `signs` of them are those of the readouts.
    """
    along, spread, r = beside(factor, V)
    y, h = inner_nodes(spread.max(), level)
    s = outputs((along @ x.T)[..., None] + spread[:, None, None] * y)  # units, nodes for x, nodes for y
    c = np.moveaxis(s @ h, 2, 0)  # orders, units, nodes
    tail = np.sqrt(np.maximum(np.square(s) @ h[:, 0] - np.sum(c**2, axis=0), 0.0))
    c = np.concatenate([c, [signs[:, None] * tail]])
    powers = r ** np.arange(len(c))[:, None, None]
    return np.einsum("nim,nim->m", powers @ c, c)


def beside(factor: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the components of the units along V, the norms of what is left of them, and its correlations."""
    along = factor @ V.T
    rest = factor - along @ V
    spread = np.linalg.norm(rest, axis=1)
    rest /= np.where(spread > 0, spread, 1.0)[:, None]
    return along, spread, rest @ rest.T


def inner_nodes(spread: float, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes y and weighted Hermite polynomials, shape (nodes, order + 1): `s(y) @ h` are coefficients of s."""
    order = 12 + 4 * level
    y, weights = gaussian_nodes(2 * int((15 + 2 * level) * min(max(1.0, spread), WIDEST)) + 1, INNER)
    h = np.empty((len(y), order + 1))
    h[:, 0], h[:, 1] = 1.0, y
    for n in range(2, order + 1):
        h[:, n] = (y * h[:, n - 1] - np.sqrt(n - 1) * h[:, n - 2]) / np.sqrt(n)
    return y, h * weights[:, None]

r"""The right-hand side of the overlap ODEs, for any rule.

One sample changes :math:`w_k` by :math:`C_k x / \sqrt N`. Hence :math:`M_{kr}` changes by :math:`C_k \mu_r / N` and
:math:`Q_{kl}` by :math:`(C_k \lambda_l + C_l \lambda_k)/N + C_k C_l |x|^2 / N^2`; the last norm is N up to its
fluctuations. Averaged over a sample, with time :math:`\alpha` = samples / N, and with the averages
:math:`J = E[\partial C / \partial z]` and :math:`K = E[C C^T]` of the rule, :math:`F = J \Omega = E[C z^T]` gives

.. math::
    \frac{dM}{d\alpha} = F_\mu , \qquad \frac{dQ}{d\alpha} = F_\lambda + F_\lambda^T + K ,

the method of Saad & Solla, Phys. Rev. E 52, 4225 (1995). Gradient flow leaves K out, which is of second order in the
learning rate. Under the spherical constraint every row loses half the growth rate of its squared norm.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from .._compiled import FAST, jitable, with_name_of
from .._linear_algebra import joint_matrix
from .._states import pack, unpack
from ..activations.error_averages import Averages
from ..model import TeacherStudent

__all__ = ["derivatives", "right_hand_side", "workspace"]

# Student width from which the matrix products outrun the loops of the compiled kernel (benchmarks/ode_widths.py).
BLAS_WIDTH = 52


def right_hand_side(
    model: TeacherStudent, gradient_flow: bool = False, rtol: float = 1e-8
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return the function (alpha, y) -> dy/dalpha, y being M and Q flattened one after the other.

    Small widths run a compiled kernel, large ones matrix products; `BLAS_WIDTH` is where they cross.

    Parameters
    ----------
    model : TeacherStudent
        The pair.
    gradient_flow : bool
        Leave out the term of second order in the learning rate.
    rtol : float
        Relative error that averages by quadrature may have.

    Returns
    -------
    callable
    """
    averages = model.rule.averages(model)
    if averages.drift is None or (model.p >= BLAS_WIDTH and averages.drift_arrays is not None):
        return functools.partial(_through_arrays, averages, model, gradient_flow)
    kernel, work = compiled(averages), workspace(model.p, model.p_star)
    constants = model.teacher_overlap, model.rule.average_parameters(model, rtol), model.spherical, not gradient_flow
    # The implicit methods hand over strided columns; the kernel takes contiguous arrays only.
    return lambda alpha, y: kernel(np.ascontiguousarray(y), *constants, *work)


def workspace(p: int, p_star: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the arrays that the compiled kernel works in: Omega, J, F, K."""
    n = p + p_star
    return np.empty((n, n)), np.empty((p, n)), np.empty((p, n)), np.empty((p, p))


@functools.cache
def compiled(averages: Averages) -> Callable[..., Any]:
    """Return the compiled function (y, P, parameters, spherical, second_order, work) -> dy/dalpha."""
    one = derivatives(averages)

    @njit(cache=True, nogil=True, **FAST)
    @with_name_of(one)
    def kernel(y, P, parameters, spherical, second_order, omega, J, F, K):
        return one(y, P, parameters, spherical, second_order, omega, J, F, K)

    return kernel


@functools.cache
def derivatives(averages: Averages) -> Callable[..., Any]:
    """Return the same as a jitable function, for compiled code."""
    drift, noise = averages.drift, averages.noise

    @jitable
    @with_name_of(drift, noise)
    def one(y, P, parameters, spherical, second_order, omega, J, F, K):
        # plain loops over the flat state: views and slices of arrays take Numba seconds to compile
        p, n = J.shape
        p_star = n - p
        first = p * p_star
        for i in range(p):
            for r in range(p_star):
                omega[i, p + r] = y[i * p_star + r]
                omega[p + r, i] = y[i * p_star + r]
            for j in range(p):
                omega[i, j] = y[first + i * p + j]
        for r in range(p_star):
            for q in range(p_star):
                omega[p + r, p + q] = P[r, q]
        drift(omega, parameters, J)
        for k in range(p):
            for j in range(n):
                F[k, j] = 0.0
            for i in range(n):
                for j in range(n):
                    F[k, j] += J[k, i] * omega[i, j]
        if second_order:
            noise(omega, parameters, J, F, K)
        dy = np.empty(y.shape[0])
        for k in range(p):
            for r in range(p_star):
                dy[k * p_star + r] = F[k, p + r]
            for l in range(k + 1):
                change = F[k, l] + F[l, k] + (K[k, l] if second_order else 0.0)
                dy[first + k * p + l] = change
                dy[first + l * p + k] = change
        if spherical:
            keep_norms(y, dy, p, p_star)
        return dy

    return one


@jitable
def keep_norms(y: np.ndarray, dy: np.ndarray, p: int, p_star: int) -> None:
    """Take off each row half the rate g_k at which its squared norm, Q_kk = 1, would grow."""
    first = p * p_star
    for k in range(p):
        half = 0.5 * dy[first + k * p + k]
        for r in range(p_star):
            dy[k * p_star + r] -= half * y[k * p_star + r]
        for l in range(k):
            other = 0.5 * dy[first + l * p + l]
            dy[first + k * p + l] -= (half + other) * y[first + k * p + l]
            dy[first + l * p + k] = dy[first + k * p + l]
    # g_k (1 - Q_kk) is zero too, but where the loss pulls the norm inwards, g_k < 0, it would blow up rounding.
    for k in range(p):
        dy[first + k * p + k] = 0.0


def _through_arrays(averages, model, gradient_flow, alpha, y):
    """Return dy/dalpha through matrix products."""
    p, parameters = model.p, model.rule.average_parameters(model)
    M, Q = unpack(y, model)
    omega = joint_matrix(M, Q, model.teacher_overlap)
    J = averages.drift_arrays(omega, parameters, p)
    F = J @ omega
    dM, dQ = F[:, p:], F[:, :p] + F[:, :p].T
    if not gradient_flow:
        K = averages.noise_arrays(omega, parameters, J, F)
        dQ = dQ + (K + K.T) / 2
    dy = pack(dM, dQ)
    if model.spherical:
        keep_norms(y, dy, p, model.p_star)
    return dy

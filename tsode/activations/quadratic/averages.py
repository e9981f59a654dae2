r"""Gaussian averages of the quadratic network: the loss and the step of gradient descent.

One sample puts the jointly Gaussian :math:`z = (\lambda, \mu)` into the error
:math:`D = z^T S z - \sqrt\Delta\, \xi`, where :math:`S = \mathrm{diag}(v, -v^*)` and z has covariance
:math:`\Omega = [[Q, M], [M^T, P]]`. With :math:`t = \mathrm{tr}\, S\Omega` and
:math:`s = \mathrm{tr}\, (S\Omega)^2`, pairing the Gaussian factors (Isserlis' theorem) gives

.. math::
    E[D] = t, \qquad E[D^2] = t^2 + 2 s + \Delta, \qquad
    E[D\, z_k^2] = t\, \Omega_{kk} + 2\, (\Omega S \Omega)_{kk}, \qquad
    E[D\, z z^T] = t\, \Omega + 2\, \Omega S \Omega, \\
    E[D^2 z z^T] = (t^2 + 2 s + \Delta)\, \Omega + 4 t\, \Omega S \Omega + 8\, \Omega S \Omega S \Omega .

The last line pairs z with z (first term), with one factor D (second) or with both (third). The step of gradient
descent is :math:`C = -2 \eta V D \lambda`. Hence

.. math::
    J = -2 \eta V (t + 2\, \Omega S)_{\mathrm{student\ rows}}, \qquad
    K = 4 \eta^2 V E[D^2 \lambda \lambda^T] V = 2 F J^T + 4 \eta t F V + 4 \eta^2 (t^2 + 2 s + \Delta) V Q V ,

where :math:`F = J \Omega` was formed for the ODEs already (of the student's columns only in its second term).
"""

import numpy as np

from ..._compiled import jitable
from ..._lanes import fma, load, store
from ..._multiply import multiply
from ..error_averages import Averages
from .kick import kick
from .step_moments import step_moments

__all__ = ["AVERAGES", "squared_error"]


def squared_error(v: np.ndarray, v_star: np.ndarray, M: np.ndarray, Q: np.ndarray, P: np.ndarray) -> np.ndarray:
    r"""Return :math:`t^2 + 2 s`, the mean of the squared error without noise, shape (...) of M and Q; v is (..., p)."""
    t = np.einsum("...k,...kk->...", v, Q) - v_star @ np.diagonal(P)
    # s is the squared Frobenius norm of F^T S F for any Omega = F F^T; only rounding can put it below zero.
    s = (
        np.einsum("...k,...l,...kl->...", v, v, np.square(Q))
        - 2 * np.einsum("...k,r,...kr->...", v, v_star, np.square(M))
        + v_star @ np.square(P) @ v_star
    )
    return t**2 + 2 * np.maximum(s, 0.0)


@jitable
def drift(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray) -> None:
    """Write J, in loops that serve lanes too."""
    p, n = J.shape[0], J.shape[1]
    t = 0.0 * load(parameters, 0)
    for i in range(n):
        t = fma(load(parameters, 2 + i), load(omega, i, i), t)
    for k in range(p):
        rate = -2.0 * load(parameters, 0) * load(parameters, 2 + k)
        for j in range(n):
            store(J, k, j, 2.0 * rate * load(parameters, 2 + j) * load(omega, k, j))
        store(J, k, k, load(J, k, k) + rate * t)


@jitable
def noise(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray, F: np.ndarray, K: np.ndarray) -> None:
    """Write K, in loops that serve lanes too."""
    p, n = J.shape[0], J.shape[1]
    eta = load(parameters, 0)
    t, s = 0.0 * eta, 0.0 * eta
    for i in range(n):
        t = fma(load(parameters, 2 + i), load(omega, i, i), t)
        row = 0.0 * eta
        for j in range(n):
            row = fma(load(parameters, 2 + j), np.square(load(omega, i, j)), row)
        s = fma(load(parameters, 2 + i), row, s)
    second = t * t + 2.0 * s + np.square(load(parameters, 1))
    for k in range(p):
        for l in range(k + 1):
            product = 0.0 * eta
            for j in range(n):
                product = fma(load(F, k, j), load(J, l, j), product)
            rest = t * load(F, k, l) + eta * second * load(parameters, 2 + k) * load(omega, k, l)
            found = 2.0 * product + 4.0 * eta * load(parameters, 2 + l) * rest
            store(K, k, l, found)
            store(K, l, k, found)


@jitable
def outputs(omega: np.ndarray, parameters: np.ndarray, g: np.ndarray) -> None:
    """Write E[D lambda_k^2], in loops that serve lanes too."""
    n = omega.shape[0]
    t = 0.0 * load(parameters, 0)
    for i in range(n):
        t = fma(load(parameters, 2 + i), load(omega, i, i), t)
    for k in range(g.shape[0]):
        row = 0.0 * t
        for i in range(n):
            row = fma(load(parameters, 2 + i), np.square(load(omega, k, i)), row)
        store(g, k, t * load(omega, k, k) + 2.0 * row)


def drift_arrays(omega: np.ndarray, parameters: np.ndarray, p: int) -> np.ndarray:
    """Return J through array operations."""
    u = parameters[2:]
    rate = -2 * parameters[0] * u[:p]
    J = np.multiply.outer(2 * rate, u)
    J *= omega[:p]
    np.einsum("kk->k", J[:, :p])[:] += rate * (u @ np.diagonal(omega))
    return J


def noise_arrays(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray, F: np.ndarray) -> np.ndarray:
    """Return K through one matrix product."""
    p, u, eta = len(J), parameters[2:], parameters[0]
    t = u @ np.diagonal(omega)
    second = t * t + 2 * (u @ np.square(omega) @ u) + parameters[1] ** 2
    v = u[:p]
    return 2 * F @ J.T + 4 * eta * v * (t * F[:, :p] + eta * second * v[:, None] * omega[:p, :p])


@jitable
def drift_back(
    omega: np.ndarray, parameters: np.ndarray, J_bar: np.ndarray, omega_bar: np.ndarray, parameters_bar: np.ndarray
) -> None:
    """Add the derivatives through J."""
    p, n = J_bar.shape
    eta, u = parameters[0], parameters[2:]
    t, t_bar = 0.0, 0.0
    for i in range(n):
        t += u[i] * omega[i, i]
    for k in range(p):
        rate, rate_bar = -2.0 * eta * u[k], t * J_bar[k, k]
        t_bar += rate * J_bar[k, k]
        for j in range(n):
            bar = 2.0 * J_bar[k, j]
            omega_bar[k, j] += rate * u[j] * bar
            parameters_bar[2 + j] += rate * omega[k, j] * bar
            rate_bar += u[j] * omega[k, j] * bar
        parameters_bar[0] -= 2.0 * u[k] * rate_bar
        parameters_bar[2 + k] -= 2.0 * eta * rate_bar
    for i in range(n):
        parameters_bar[2 + i] += omega[i, i] * t_bar
        omega_bar[i, i] += u[i] * t_bar


@jitable
def noise_back(
    omega: np.ndarray,
    parameters: np.ndarray,
    J: np.ndarray,
    F: np.ndarray,
    K_bar: np.ndarray,
    J_bar: np.ndarray,
    F_bar: np.ndarray,
    omega_bar: np.ndarray,
    parameters_bar: np.ndarray,
) -> None:
    """Add the derivatives through K; K_bar is symmetric."""
    p, n = J.shape
    eta, sigma, u = parameters[0], parameters[1], parameters[2:]
    t, s, rows = 0.0, 0.0, np.zeros(n)
    for i in range(n):
        t += u[i] * omega[i, i]
        row = 0.0
        for j in range(n):
            row += u[j] * omega[i, j] * omega[i, j]
        s += u[i] * row
        rows[i] = row
    second = t * t + 2.0 * s + sigma * sigma
    through_J, through_F, t_bar, second_bar = np.empty((p, n)), np.empty((p, n)), 0.0, 0.0
    multiply(K_bar, J, through_J)
    multiply(K_bar, F, through_F)
    for k in range(p):
        for j in range(n):
            F_bar[k, j] += 2.0 * through_J[k, j]
            J_bar[k, j] += 2.0 * through_F[k, j]
        linear, square = 0.0, 0.0
        for l in range(p):
            bar = 4.0 * eta * K_bar[k, l]
            linear += bar * F[l, k]
            square += bar * u[l] * eta * omega[k, l]
            F_bar[l, k] += t * u[k] * bar
            omega_bar[k, l] += eta * second * u[k] * u[l] * bar
        bar = t * linear + 2.0 * second * square
        parameters_bar[2 + k] += bar
        parameters_bar[0] += u[k] * bar / eta
        t_bar += u[k] * linear
        second_bar += u[k] * square
    t_bar += 2.0 * t * second_bar
    parameters_bar[1] += 2.0 * sigma * second_bar
    for i in range(n):
        parameters_bar[2 + i] += omega[i, i] * t_bar + 4.0 * rows[i] * second_bar
        omega_bar[i, i] += u[i] * t_bar
        for j in range(n):
            omega_bar[i, j] += 4.0 * u[i] * u[j] * omega[i, j] * second_bar


AVERAGES = Averages(
    drift,
    noise,
    drift_arrays,
    noise_arrays,
    drift_back,
    noise_back,
    lanes=True,
    outputs=outputs,
    step=step_moments,
    kick=kick,
)

r"""The error function, :math:`\sigma(x) = \mathrm{erf}(x / \sqrt 2)`: the soft committee machine of Saad & Solla.

Its averages are closed, because its slope is a Gaussian. With :math:`A = 1 + c_{xx}`, :math:`B = 1 + c_{zz}`,

.. math::
    E[\sigma(x)\, \sigma(z)] = \frac2\pi \arcsin \frac{c_{xz}}{\sqrt{A B}}, \qquad
    E[\sigma'(x)\, \sigma'(z)] = \frac2\pi (A B - c_{xz}^2)^{-1/2} .

The slopes of two units k and l multiply the density of all preactivations by
:math:`(2/\pi) \exp(-\lambda_k^2/2 - \lambda_l^2/2)`. What remains is Gaussian with the covariance

.. math::
    \Sigma = \Omega - \Omega_{\cdot,(k,l)}
    \begin{pmatrix} 1 + \Omega_{kk} & \Omega_{kl} \\ \Omega_{kl} & 1 + \Omega_{ll} \end{pmatrix}^{-1}
    \Omega_{(k,l),\cdot}

and the norm :math:`E[\sigma'_k \sigma'_l]`. Hence the average over four is one over two,

.. math::
    E[\sigma'_k \sigma'_l \sigma_i \sigma_j] = E[\sigma'_k \sigma'_l]\, \frac2\pi
    \arcsin \frac{\Sigma_{ij}}{\sqrt{(1 + \Sigma_{ii}) (1 + \Sigma_{jj})}} ,

regular for all covariances, equal indices included. They were found by Saad & Solla, Phys. Rev. E 52, 4225 (1995).
With :math:`o_i + c_{ii}` in place of :math:`1 + c_{ii}` they hold for units
:math:`\mathrm{erf}(x / \sqrt{2 o_i})`; o = 0 is the sign, of teachers.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf as erf_function

from .._compiled import jitable, with_name_of
from .base import Activation
from .error_averages import Averages

__all__ = ["Erf"]

ROOT_HALF, SLOPE = math.sqrt(0.5), math.sqrt(2 / math.pi)


@jitable
def erf(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the error function of x / sqrt(2) and its slope."""
    z = ROOT_HALF * x
    y = np.minimum(np.abs(z), 6.0)  # as in the error function of lanes: the compiler makes one exponential of both
    return erf_function(z), SLOPE * np.exp(-(y * y))


@functools.cache
def squared_of(o: float) -> Callable[..., float]:
    """Return the function for students with o = 1 and teachers with another."""

    @jitable
    @with_name_of(o)
    def error_squared(omega, u, noise_variance, p, k, l, work):
        r"""Return :math:`E[D^2 \sigma'_k \sigma'_l]`; `u` is (v, -v*), `work` has shape (3, p + p_star) or larger."""
        A, B, C = 1.0 + omega[k, k], 1.0 + omega[l, l], omega[k, l]
        L = A * B - C * C
        for i in range(omega.shape[0]):
            x, z, width = omega[k, i], omega[l, i], 1.0 if i < p else o
            work[0, i] = (B * x - C * z) / L
            work[1, i] = (A * z - C * x) / L
            work[2, i] = 1.0 / np.sqrt(width + omega[i, i] - x * work[0, i] - z * work[1, i])
        total = 0.0
        for i in range(omega.shape[0]):
            row, width = 0.0, 1.0 if i < p else o
            for j in range(i):
                sigma = omega[i, j] - omega[k, i] * work[0, j] - omega[l, i] * work[1, j]
                row += 2.0 * u[j] * np.arcsin(sigma * work[2, i] * work[2, j])
            row += u[i] * np.arcsin(1.0 - width * work[2, i] * work[2, i])
            total += u[i] * row
        return 2.0 / (np.pi * np.sqrt(L)) * (2.0 / np.pi * total + noise_variance)

    return error_squared


@functools.cache
def averages_of(o: float) -> Averages:
    """Return the Averages of students with o = 1 and teachers with another."""
    error_squared = squared_of(o)

    @jitable
    @with_name_of(o)
    def drift(omega, parameters, J):
        r"""Write :math:`J = E[\partial C / \partial z]` of gradient descent."""
        p, n = J.shape
        u = parameters[2:]
        for k in range(p):
            A = 1.0 + omega[k, k]
            curvature = 0.0
            for j in range(n):
                width = 1.0 if j < p else o
                slopes = 2.0 / (np.pi * np.sqrt(A * (width + omega[j, j]) - omega[k, j] * omega[k, j]))
                J[k, j] = -parameters[0] * u[k] * u[j] * slopes
                curvature -= u[j] * slopes * omega[k, j] / A
            J[k, k] -= parameters[0] * u[k] * curvature

    @jitable
    @with_name_of(o)
    def noise(omega, parameters, J, F, K):
        r"""Write :math:`K = E[C C^T]` of gradient descent."""
        u, work = parameters[2:], np.empty((3, omega.shape[0]))
        for k in range(K.shape[0]):
            for l in range(k + 1):
                squared = error_squared(omega, u, parameters[1] * parameters[1], K.shape[0], k, l, work)
                K[k, l] = parameters[0] * parameters[0] * u[k] * u[l] * squared
                K[l, k] = K[k, l]

    @jitable
    @with_name_of(o)
    def outputs(omega, parameters, g):
        r"""Write :math:`E[D\, \sigma_k]`."""
        for k in range(g.shape[0]):
            total = 0.0
            for i in range(omega.shape[0]):
                width = 1.0 if i < g.shape[0] else o
                both = (1.0 + omega[k, k]) * (width + omega[i, i])
                total += parameters[2 + i] * np.arcsin(omega[k, i] / np.sqrt(both))
            g[k] = 2.0 / np.pi * total

    return Averages(drift, noise, outputs=outputs)


class Erf(Activation):
    r"""The error function, :math:`\sigma(x) = \mathrm{erf}(x / \sqrt 2)`.

    Examples
    --------
    >>> round(float(Erf().pair(Erf(), 1.0, 1.0, 1.0)), 10)  # E[erf(x / sqrt 2)^2] of a standard normal x
    0.3333333333
    """

    name = "erf"
    softness = 1.0  # o of the formulas

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return erf

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Return its second derivative, shape of `x`."""
        return -np.asarray(x) * self.slope(x)

    def pair(self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
        """Return E[s(x) g(z)], s being this activation."""
        if not isinstance(second, Erf):
            return super().pair(second, c_xx, c_xz, c_zz)
        A, C, B = _shifted(self, second, c_xx, c_xz, c_zz)
        scale = np.sqrt(A * B)  # zero for the sign of a unit of norm zero
        return 2 / np.pi * np.arcsin(np.clip(C / np.where(scale > 0, scale, np.inf), -1.0, 1.0))

    def pair_slopes(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the derivatives of `pair` with respect to the three covariances."""
        if not isinstance(second, Erf):
            return super().pair_slopes(second, c_xx, c_xz, c_zz)
        A, C, B = _shifted(self, second, c_xx, c_xz, c_zz)
        slope = 2 / (np.pi * np.sqrt(A * B - C * C))
        return -slope * C / (2 * A), slope, -slope * C / (2 * B)

    def pair_curvatures(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, ...]:
        """Return the six second derivatives of `pair`."""
        if not isinstance(second, Erf):
            return super().pair_curvatures(second, c_xx, c_xz, c_zz)
        A, C, B = _shifted(self, second, c_xx, c_xz, c_zz)
        L = A * B - C * C
        third = 1 / (np.pi * L**1.5)
        return (
            third * C * (B / (2 * A) + L / A**2),
            -third * B,
            third * C / 2,
            third * C * 2,
            -third * A,
            third * C * (A / (2 * B) + L / B**2),
        )

    def error_squared(
        self,
        teacher: Activation,
        omega: np.ndarray,
        v: np.ndarray,
        v_star: np.ndarray,
        noise_variance: float,
        level: int = 1,
    ) -> np.ndarray:
        """Return E[D^2 s'_k s'_l]; exact for a teacher of the same activation, where `level` has no effect."""
        if not isinstance(teacher, Erf):
            return super().error_squared(teacher, omega, v, v_star, noise_variance, level)
        p, u = len(v), np.concatenate([v, -np.asarray(v_star)])
        found, work, error_squared = np.empty((p, p)), np.empty((3, len(u))), squared_of(teacher.softness)
        for k in range(p):
            for l in range(k + 1):
                found[k, l] = error_squared(omega, u, noise_variance, p, k, l, work)
                found[l, k] = found[k, l]
        return found

    def averages(self, teacher: Activation) -> Averages:
        """Return the Averages, in closed form for a teacher of the same activation."""
        return averages_of(teacher.softness) if isinstance(teacher, Erf) else super().averages(teacher)

    def accuracy(
        self,
        teacher: Activation,
        omega: np.ndarray,
        v: np.ndarray,
        v_star: np.ndarray,
        noise_variance: float = 0.0,
        rtol: float = 1e-8,
    ) -> float:
        """Return an estimate of the relative error of E[D^2 s'_k s'_l]: 0 in closed form."""
        arguments = omega, v, v_star, noise_variance, rtol
        return 0.0 if isinstance(teacher, Erf) else super().accuracy(teacher, *arguments)


def _shifted(first, second, *covariances):
    """Return A, C, B of the formulas as arrays of one shape."""
    c_xx, c_xz, c_zz = np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in covariances))
    return first.softness + c_xx, c_xz, second.softness + c_zz

r"""Gaussian averages of polynomials, exact for all covariances, singular ones included.

Wick's theorem for functions: for centred Gaussian :math:`x_i` with covariances :math:`C_{ij}`,

.. math::
    E\Big[\prod_i f_i(x_i)\Big] = \sum_m \prod_i E\big[f_i^{(n_i)}(x_i)\big]
        \prod_{i<j} \frac{C_{ij}^{m_{ij}}}{m_{ij}!}, \qquad n_i = \sum_j m_{ij},

over all whole :math:`m_{ij} = m_{ji} \ge 0`: the sum is finite, and nothing is divided. It needs

.. math::
    e_n = E[f^{(n)}(x)] = \sum_j a_{n+2j} \frac{(n+2j)!}{2^j j!} C^j , \qquad f(x) = \sum_q a_q x^q .

Over four, two of them slopes of units k and l, the sum over the units i and j of the error is done first. With

.. math::
    B_i^{\alpha\beta\gamma} = u_i \frac{C_{ki}^\alpha}{\alpha!} \frac{C_{li}^\beta}{\beta!}
        e_i^{\alpha+\beta+\gamma} , \\
    E[D^2 s'_k s'_l] = \sum_{\gamma, \alpha\beta, \alpha'\beta'} G_{\alpha+\alpha', \beta+\beta'}
        \sum_{ij} B_i^{\alpha\beta\gamma} \frac{C_{ij}^\gamma}{\gamma!} B_j^{\alpha'\beta'\gamma} , \qquad
    G_{xy} = \sum_m \frac{C_{kl}^m}{m!} e_k^{m+x+1} e_l^{m+y+1} .
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import ArrayLike

from .._compiled import jitable
from .error_averages import Averages
from .loops import Loops
from .units import part

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["accuracy", "averages", "constants", "error_squared", "pair", "pair_curvatures", "pair_slopes"]


def pair(first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
    """Return E[s(x) g(z)] for two polynomials s and g, the broadcast shape of the covariances."""
    return _pair(first, second, 0, 0, c_xx, c_xz, c_zz)


def pair_slopes(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives of :func:`pair` with respect to `c_xx`, `c_xz` and `c_zz`, three arrays like it."""
    xx, xz, zz = (_pair(first, second, m, n, c_xx, c_xz, c_zz) for m, n in ((2, 0), (1, 1), (0, 2)))
    return xx / 2, xz, zz / 2


def pair_curvatures(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, ...]:
    """Return the second derivatives of :func:`pair`: (xx, xx), (xx, xz), (xx, zz), (xz, xz), (xz, zz), (zz, zz)."""
    orders = ((4, 0, 1 / 4), (3, 1, 1 / 2), (2, 2, 1 / 4), (2, 2, 1.0), (1, 3, 1 / 2), (0, 4, 1 / 4))
    return tuple(factor * _pair(first, second, m, n, c_xx, c_xz, c_zz) for m, n, factor in orders)


def _pair(first, second, m, n, c_xx, c_xz, c_zz):
    """Return the average of the derivatives of orders m and n."""
    a, b = polynomial.polyder(first.coefficients, m), polynomial.polyder(second.coefficients, n)
    c_xx, c_xz, c_zz = (np.asarray(c, dtype=np.float64) for c in (c_xx, c_xz, c_zz))
    total = np.zeros(np.broadcast(c_xx, c_xz, c_zz).shape)
    for q in range(min(len(a), len(b))):
        total = total + c_xz**q / math.factorial(q) * _mean(a, q, c_xx) * _mean(b, q, c_zz)
    return total[()]


def _mean(a, n, variance):
    """Return e_n."""
    found = [
        a[q] * (math.factorial(q) / (2 ** ((q - n) // 2) * math.factorial((q - n) // 2))) for q in range(n, len(a), 2)
    ]
    return polynomial.polyval(variance, found)


def averages(student: Activation, teacher: Activation) -> Averages:
    """Return the Averages of two polynomials."""
    return LOOPS.averages()


def error_squared(
    student: Activation,
    teacher: Activation,
    omega: np.ndarray,
    v: np.ndarray,
    v_star: np.ndarray,
    noise_variance: float,
    level: int = 1,
) -> np.ndarray:
    """Return E[D^2 s'_k s'_l], shape (p, p); exact at any `level`."""
    return LOOPS.error_squared(omega, v, v_star, noise_variance, _numbers(student, teacher))


def constants(student: Activation, teacher: Activation, rtol: float = 0.0) -> tuple[float, ...]:
    """Return what the right-hand side reads after the readouts: with the coefficients of both."""
    return LOOPS.constants(_numbers(student, teacher))


def accuracy(*given: object) -> float:
    """Return the relative error of `error_squared`: there is none but rounding."""
    return 0.0


def _numbers(student, teacher):
    """Return the coefficients of both, filled up to one length."""
    a, b = student.coefficients, teacher.coefficients
    size = max(len(a), len(b))
    return (*a, *[0.0] * (size - len(a)), *b, *[0.0] * (size - len(b)))


@part
def table(omega, p, both):
    r"""Return :math:`e_i^n` and :math:`C_{ij}^m / m!`, shapes (n, size) and (n, n, size)."""
    n, size = omega.shape[0], both.shape[0] // 2
    e, powers = np.zeros((n, size)), np.empty((n, n, size))
    for i in range(n):
        a = both[:size] if i < p else both[size:]
        for order in range(size):
            factor = 1.0  # (n + 2 j)! / (2^j j!) C^j
            for q in range(2, order + 1):
                factor *= q
            for q in range(order, size, 2):
                e[i, order] += a[q] * factor
                factor *= (q + 1) * (q + 2) / (q + 2.0 - order) * omega[i, i]
        for j in range(n):
            powers[i, j, 0] = 1.0
            for order in range(1, size):
                powers[i, j, order] = powers[i, j, order - 1] * omega[i, j] / order
    return e, powers


@part
def slopes_weight(k: int, l: int, e: np.ndarray, powers: np.ndarray, G: np.ndarray) -> None:
    """Write G of units k and l, shape (size - 1, size - 1)."""
    last = e.shape[1] - 1
    for x in range(last):
        for y in range(last):
            total = 0.0
            for m in range(last - max(x, y)):
                total += powers[k, l, m] * e[k, m + x + 1] * e[l, m + y + 1]
            G[x, y] = total


@part
def four_point(k: int, l: int, u: np.ndarray, e: np.ndarray, powers: np.ndarray, work: np.ndarray) -> float:
    r"""Return :math:`E[D^2 s'_k s'_l]` without noise; `work` has shape (3, n, size, size), its last part holds G."""
    n, size = e.shape
    B, R, G = work[0], work[1], work[2, 0]
    found = 0.0
    for c in range(size):
        for i in range(n):
            for a in range(size - c):
                for b in range(size - c - a):
                    B[i, a, b] = u[i] * powers[k, i, a] * powers[l, i, b] * e[i, a + b + c]
        for i in range(n):
            for a in range(size - c):
                for b in range(size - c - a):
                    R[i, a, b] = 0.0
            for j in range(n):
                for a in range(size - c):
                    for b in range(size - c - a):
                        R[i, a, b] += powers[i, j, c] * B[j, a, b]
        for a in range(size - c):
            for b in range(size - c - a):
                for x in range(min(size - c, size - 1 - a)):
                    for y in range(min(size - c - x, size - 1 - b)):
                        product = 0.0
                        for i in range(n):
                            product += B[i, a, b] * R[i, x, y]
                        found += G[a + x, b + y] * product
    return found


@jitable
def drift(omega: np.ndarray, u: np.ndarray, noise_variance: float, both: np.ndarray, J: np.ndarray) -> None:
    """Write E[d(D s'_k)/dz_j]."""
    p, n = J.shape
    e, powers = table(omega, p, both)
    size = e.shape[1]
    for k in range(p):
        curvature = 0.0
        for j in range(n):
            slopes = 0.0
            for m in range(size - 1):
                slopes += powers[k, j, m] * e[k, m + 1] * e[j, m + 1]
                if m < size - 2:
                    curvature += u[j] * powers[k, j, m] * e[k, m + 2] * e[j, m]
            J[k, j] = u[j] * slopes
        J[k, k] += curvature


@jitable
def squared(omega: np.ndarray, u: np.ndarray, noise_variance: float, both: np.ndarray, K: np.ndarray) -> None:
    """Write E[D^2 s'_k s'_l]."""
    p, n = K.shape[0], omega.shape[0]
    e, powers = table(omega, p, both)
    size = e.shape[1]
    work = np.empty((3, n, size, size))
    for k in range(p):
        for l in range(k + 1):
            slopes_weight(k, l, e, powers, work[2, 0])
            K[k, l] = four_point(k, l, u, e, powers, work) + noise_variance * work[2, 0, 0, 0]
            K[l, k] = K[k, l]


LOOPS = Loops(drift, squared)

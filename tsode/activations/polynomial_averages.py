r"""Gaussian averages of polynomials, exact for all covariances, singular ones included.

Wick's theorem for functions: for centred Gaussian :math:`x_i` with covariances :math:`C_{ij}`,

.. math::
    E\Big[\prod_i f_i(x_i)\Big] = \sum_m \prod_i E\big[f_i^{(n_i)}(x_i)\big]
        \prod_{i<j} \frac{C_{ij}^{m_{ij}}}{m_{ij}!}, \qquad n_i = \sum_j m_{ij},

over all whole :math:`m_{ij} = m_{ji} \ge 0`: the sum is finite, and nothing is divided. Of the function alone it needs

.. math::
    e_n = E[f^{(n)}(x)] = \sum_j a_{n+2j} \frac{(n+2j)!}{2^j j!} C^j , \qquad f(x) = \sum_q a_q x^q .

Over four, two of them slopes of units k and l, the sum over the units i and j of the error is done first. With
:math:`B_i^{\alpha\beta\gamma} = u_i \frac{C_{ki}^\alpha}{\alpha!} \frac{C_{li}^\beta}{\beta!} e_i^{\alpha+\beta+\gamma}`

.. math::
    E[D^2 s'_k s'_l] = \sum_{\gamma, \alpha\beta, \alpha'\beta'} G_{\alpha+\alpha', \beta+\beta'}
        \sum_{ij} B_i^{\alpha\beta\gamma} \frac{C_{ij}^\gamma}{\gamma!} B_j^{\alpha'\beta'\gamma} , \qquad
    G_{xy} = \sum_m \frac{C_{kl}^m}{m!} e_k^{m+x+1} e_l^{m+y+1} .
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import ArrayLike

from .._compiled import jitable, with_name_of

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["loops", "pair", "pair_curvatures", "pair_slopes"]


def pair(first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
    """Return E[s(x) g(z)] for two polynomials s and g, the broadcast shape of the covariances."""
    return _pair(first, second, 0, 0, c_xx, c_xz, c_zz)


def pair_slopes(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives of :func:`pair` with respect to `c_xx`, `c_xz` and `c_zz`, three arrays like its result."""
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
    return polynomial.polyval(variance, _moments(tuple(a), len(a))[n])


@functools.lru_cache(maxsize=256)
def _moments(a, size):
    """Return the coefficients of the powers of C in e_n, shape (size, size // 2 + 1)."""
    found = np.zeros((size, size // 2 + 1))
    for n in range(len(a)):
        for j in range((len(a) - 1 - n) // 2 + 1):
            found[n, j] = a[n + 2 * j] * math.factorial(n + 2 * j) / (2**j * math.factorial(j))
    return found


@jitable
def tables(
    omega: np.ndarray, p: int, student: np.ndarray, teacher: np.ndarray, e: np.ndarray, powers: np.ndarray
) -> None:
    r"""Write :math:`e_i^n` and :math:`C_{ij}^m / m!`, shapes (n, size) and (n, n, size)."""
    n, size = e.shape
    for i in range(n):
        for order in range(size):
            e[i, order] = 0.0
            for j in range(student.shape[1] - 1, -1, -1):
                e[i, order] = e[i, order] * omega[i, i] + (student[order, j] if i < p else teacher[order, j])
        for j in range(n):
            powers[i, j, 0] = 1.0
            for order in range(1, size):
                powers[i, j, order] = powers[i, j, order - 1] * omega[i, j] / order


@jitable
def slopes_weight(k: int, l: int, e: np.ndarray, powers: np.ndarray, G: np.ndarray) -> None:
    """Write G of units k and l, shape (size - 1, size - 1)."""
    last = e.shape[1] - 1
    for x in range(last):
        for y in range(last):
            total = 0.0
            for m in range(last - max(x, y)):
                total += powers[k, l, m] * e[k, m + x + 1] * e[l, m + y + 1]
            G[x, y] = total


@jitable
def four_point(k: int, l: int, u: np.ndarray, e: np.ndarray, powers: np.ndarray, work: np.ndarray) -> float:
    r"""Return :math:`E[D^2 s'_k s'_l]` without label noise; `work` has shape (3, n, size, size), its last part holds G."""
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


def loops(student: Activation, teacher: Activation) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return jitable ``drift(omega, parameters, J)`` and ``squared(omega, u, noise_variance, K)`` of two polynomials.

    The second writes :math:`E[D^2 s'_k s'_l]` to K.
    """
    return _loops(student.coefficients, teacher.coefficients)


@functools.lru_cache(maxsize=64)
def _loops(student, teacher):
    size = max(len(student), len(teacher))
    own, other = _moments(student, size), _moments(teacher, size)

    @jitable
    @with_name_of(student, teacher)
    def drift(omega, parameters, J):
        p, n = J.shape
        u = parameters[2:]
        e, powers = np.empty((n, size)), np.empty((n, n, size))
        tables(omega, p, own, other, e, powers)
        for k in range(p):
            curvature = 0.0
            for j in range(n):
                slopes = 0.0
                for m in range(size - 1):
                    slopes += powers[k, j, m] * e[k, m + 1] * e[j, m + 1]
                    if m < size - 2:
                        curvature += u[j] * powers[k, j, m] * e[k, m + 2] * e[j, m]
                J[k, j] = -parameters[0] * u[k] * u[j] * slopes
            J[k, k] -= parameters[0] * u[k] * curvature

    @jitable
    @with_name_of(student, teacher)
    def squared(omega, u, noise_variance, K):
        p, n = K.shape[0], omega.shape[0]
        e, powers, work = np.empty((n, size)), np.empty((n, n, size)), np.empty((3, n, size, size))
        tables(omega, p, own, other, e, powers)
        for k in range(p):
            for l in range(k + 1):
                slopes_weight(k, l, e, powers, work[2, 0])
                found = four_point(k, l, u, e, powers, work) + noise_variance * work[2, 0, 0, 0]
                K[k, l] = found
                K[l, k] = found

    return drift, squared

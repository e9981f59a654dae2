r"""Gaussian averages of functions that are linear on either side of zero, :math:`s(x) = m x + h |x|`.

With correlations r, and :math:`\rho = \sqrt{1 - r^2}`, for units of norm 1

.. math::
    S_{cd} = E|c||d| = \tfrac2\pi (\rho_{cd} + r_{cd} \arcsin r_{cd}), \qquad
    T_{a;cd} = E[\mathrm{sgn}(a)\, c\, |d|] = \tfrac2\pi (r_{ac} \rho_{ad} + r_{cd} \arcsin r_{ad}) ,

and all averages are homogeneous in the norms. Hence :math:`E[s(x) g(z)] = m m' c_{xz} + h h' |x||z| S_{xz}` and

.. math::
    E[s' g'] = m m' + h h' \tfrac2\pi \arcsin r, \qquad
    E[s'' g] = \tfrac2\pi h h' \rho\, |z| / |x| .

The averages over four are in :mod:`tsode.activations.piecewise_noise`. Overlaps know the angle between two units to
1e-8 only, the root of rounding, and what depends on it is no better: the first derivatives of a pair, and no more.
Second derivatives grow as one over the angle and do not exist for parallel units. A unit of norm zero is the limit of
small ones that point nowhere: its slope is m on average, and the derivative with respect to its norm is set to zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .._checks import NoClosedForm
from .._compiled import jitable
from .error_averages import Averages
from .loops import Loops
from .piecewise_noise import squared

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["accuracy", "averages", "constants", "error_squared", "pair", "pair_curvatures", "pair_slopes"]

PARALLEL = 1e-13  # 1 - r^2 below which two units are parallel


def pair(first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
    """Return E[s(x) g(z)], the broadcast shape of the covariances."""
    m, h = _products(first, second)
    c_xz, norms, r, rho = _geometry(c_xx, c_xz, c_zz)
    return m * c_xz + 2 / np.pi * h * norms * (rho + r * np.arcsin(r))


def pair_slopes(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives of :func:`pair` with respect to `c_xx`, `c_xz` and `c_zz`, three arrays like it."""
    m, h = _products(first, second)
    _, norms, r, rho = _geometry(c_xx, c_xz, c_zz)
    xx, zz = (h / np.pi * rho * norms * _inverse(c) for c in (c_xx, c_zz))
    return xx, m + 2 / np.pi * h * np.arcsin(r), zz


def pair_curvatures(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, ...]:
    """Return the second derivatives of :func:`pair`: (xx, xx), (xx, xz), (xx, zz), (xz, xz), (xz, zz), (zz, zz).

    Raises
    ------
    NoClosedForm
        If the units are parallel, or one has norm zero.
    """
    _, h = _products(first, second)
    _, norms, r, rho = _geometry(c_xx, c_xz, c_zz)
    if h == 0:
        return (0 * r,) * 6
    if np.any(rho**2 <= PARALLEL) or np.any(norms == 0):
        raise NoClosedForm(
            "`model` must have no parallel units and none of norm zero, or a smooth activation: the loss of "
            f"{first!r} and {second!r} has no second derivative there"
        )
    inverse = h / np.pi / (rho * norms)
    x, z = _inverse(c_xx), _inverse(c_zz)
    same = norms * norms * (2 * r * r - 1)
    mixed = (-inverse * r * norms * x, -inverse * r * norms * z)
    return inverse * same * x * x / 2, mixed[0], inverse / 2, 2 * inverse, mixed[1], inverse * same * z * z / 2


def _products(first, second):
    (left, right), (left_2, right_2) = first.sides, second.sides
    return (right + left) * (right_2 + left_2) / 4, (right - left) * (right_2 - left_2) / 4


def _geometry(c_xx, c_xz, c_zz):
    """Return the covariance, the product of both norms, r and rho, arrays of one shape."""
    c_xx, c_xz, c_zz = np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in (c_xx, c_xz, c_zz)))
    norms = np.sqrt(np.maximum(c_xx, 0.0)) * np.sqrt(np.maximum(c_zz, 0.0))
    r = np.clip(c_xz * _inverse(norms), -1.0, 1.0)
    r = np.where((c_xx == c_zz) & (np.abs(c_xz) == c_xx) & (c_xx > 0), np.sign(c_xz), r)  # a unit with itself
    return c_xz, norms, r, np.sqrt((1 - r) * (1 + r))


def _inverse(c):
    """Return 1/c, and 0 for a unit of norm zero."""
    return np.divide(1.0, c, out=np.zeros(np.shape(c)), where=np.asarray(c) > 0)


def averages(student: Activation, teacher: Activation) -> Averages:
    """Return the Averages of two piecewise linear functions."""
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
    """Return E[D^2 s'_k s'_l], shape (p, p); `level` has no effect."""
    return LOOPS.error_squared(omega, v, v_star, noise_variance, _numbers(student, teacher))


def constants(student: Activation, teacher: Activation, rtol: float = 0.0) -> tuple[float, ...]:
    """Return what the right-hand side reads after the readouts: with m and h of both."""
    return LOOPS.constants(_numbers(student, teacher))


def accuracy(*given: object) -> float:
    """Return the relative error of `error_squared`: there is none but rounding."""
    return 0.0


def _numbers(student, teacher):
    return tuple(half for a, b in (student.sides, teacher.sides) for half in ((b + a) / 2, (b - a) / 2))


@jitable
def drift(omega: np.ndarray, u: np.ndarray, noise_variance: float, sides: np.ndarray, J: np.ndarray) -> None:
    """Write E[d(D s'_k)/dz_j]."""
    p, n = J.shape
    for k in range(p):
        norm, curvature = np.sqrt(max(omega[k, k], 0.0)), 0.0
        for j in range(n):
            side = 0 if j < p else 2
            odd, even = sides[0] * sides[side], sides[1] * sides[side + 1] * 2.0 / np.pi
            other = np.sqrt(max(omega[j, j], 0.0))
            r = 1.0 if j == k and norm > 0.0 else 0.0
            if j != k and norm * other > 0.0:
                r = max(-1.0, min(1.0, omega[k, j] / norm / other))
            J[k, j] = u[j] * (odd + even * np.arcsin(r))
            if norm > 0.0:
                curvature += u[j] * even * np.sqrt((1.0 - r) * (1.0 + r)) * other / norm
        J[k, k] += curvature


LOOPS = Loops(drift, squared)

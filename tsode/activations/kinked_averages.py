r"""Averages over a piecewise linear function s, with its kink at zero, and a smooth function g.

With :math:`x = a u`, :math:`z = b u + r w` as in :mod:`tsode.activations.averages`, the average over w is smooth in u,
so that only the integral over u is split at zero, into two by Gauss and Legendre. The second derivative is
:math:`s'' = J \delta`, J being the jump of the slope: with the conditional variance
:math:`v = c_{zz} - c_{xz}^2 / c_{xx}` and :math:`G(v) = E[g(z) | x = 0]`, :math:`G' = E[g''(z) | x = 0] / 2`,

.. math::
    \partial_{xx} E[s g] = \tfrac12 E[s'' g] = \frac{J}{2 \sqrt{2 \pi c_{xx}}}\, G(v) ,

and its derivatives follow from those of v. The others are averages of s or s' with derivatives of g, of which the
second is taken by parts, :math:`c_{zz} E[s g''] = E[z s g'] - c_{xz} E[s' g']`, but for small :math:`c_{zz}`.

The averages over four are in :mod:`tsode.activations.kinked_noise`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .._checks import NoClosedForm
from .averages import SMALL, check_smooth, derivatives, everywhere, plane
from .error_averages import Averages, by_quadrature
from .kinked_noise import accuracy, constants, error_squared

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["accuracy", "averages", "constants", "error_squared", "pair", "pair_curvatures", "pair_slopes"]

REACH, NODES = 8.5, 40  # on either side of zero, for a standard deviation of 1


def pair(first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
    """Return E[s(x) g(z)], one of both functions having a kink, the broadcast shape of the covariances."""
    if first.sides is None:
        return pair(second, first, c_zz, c_xz, c_xx)
    check_smooth(second)
    return everywhere(_pair, 2, first, second, c_xx, c_xz, c_zz)[0]


def pair_slopes(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives of :func:`pair` with respect to `c_xx`, `c_xz` and `c_zz`, three arrays like it."""
    if first.sides is None:
        zz, xz, xx = pair_slopes(second, first, c_zz, c_xz, c_xx)
        return xx, xz, zz
    check_smooth(second)
    xx, xz, zz = everywhere(_slopes, 40, first, second, c_xx, c_xz, c_zz)
    return xx, xz, zz


def pair_curvatures(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, ...]:
    """Return the second derivatives of :func:`pair`: (xx, xx), (xx, xz), (xx, zz), (xz, xz), (xz, zz), (zz, zz).

    Raises
    ------
    NoClosedForm
        If the unit with the kink has norm zero.
    """
    if first.sides is None:
        return pair_curvatures(second, first, c_zz, c_xz, c_xx)[::-1]
    check_smooth(second)
    if np.any(np.asarray(c_xx) <= 0):
        raise NoClosedForm(
            f"`model` must have no unit of norm zero, or a smooth activation: the loss of {first!r} and {second!r} has "
            "no second derivative there"
        )
    return everywhere(_curvatures, 40, first, second, c_xx, c_xz, c_zz)


def averages(student: Activation, teacher: Activation) -> Averages:
    """Return the Averages of both, for NumPy."""
    return by_quadrature(student, teacher, levels=True)


@functools.cache
def half_nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes on either side of zero and their weights under a standard normal density, shapes (2 count,)."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    nodes = (nodes + 1) * REACH / 2
    weights = weights * np.exp(-(nodes**2) / 2)
    return np.concatenate([-nodes[::-1], nodes]), np.concatenate([weights[::-1], weights]) / (2 * weights.sum())


def _outer(first, a, w):
    """Return nodes u and weights, s / a and s' at a u, which do not depend on a."""
    u, weights = half_nodes(NODES * len(w) // 52)
    return u, weights, *first.function(u)


def _pair(first, second, a, b, r, w, inner):
    u, weights, s, _ = _outer(first, a, w)
    return (a[:, 0] * ((second.function(plane(b, r, u, w))[0] @ inner * s) @ weights),)


def _slopes(first, second, a, b, r, w, inner):
    """Return E[s'' g] / 2, E[s' g'] and E[s g''] / 2."""
    u, weights, s, s_1 = _outer(first, a, w)
    z = plane(b, r, u, w)
    g_1 = second.function(z)[1]
    xz = (g_1 @ inner * s_1) @ weights
    a, b, r = a[:, 0], b[:, 0], r[:, 0]
    variance = b * b + r * r
    small = variance <= SMALL * SMALL
    by_parts = a * (((z * g_1) @ inner * s) @ weights) - a * b * xz
    zz = by_parts / np.where(small, 1.0, 2 * variance)
    if small.any():
        zz[small] = a[small] * ((derivatives(second, z[small], 2)[2] @ inner * s) @ weights) / 2
    return _jump(first, a) * (second.function(r[:, None] * w)[0] @ inner), xz, zz


def _curvatures(first, second, a, b, r, w, inner):
    u, weights, s, s_1 = _outer(first, a, w)
    g = derivatives(second, plane(b, r, u, w), 4)
    a, b, r = a[:, 0], b[:, 0], r[:, 0]
    at_kink = derivatives(second, r[:, None] * w, 2)
    G, G_1 = at_kink[0] @ inner, at_kink[2] @ inner / 2
    J, ratio = _jump(first, a), b / a  # c_xz / c_xx
    return (
        J * (G_1 * ratio**2 - G / (2 * a * a)),
        -2 * J * G_1 * ratio,
        J * G_1,
        4 * J * G_1,
        (g[3] @ inner * s_1) @ weights / 2,
        a * ((g[4] @ inner * s) @ weights) / 4,
    )


def _jump(first, a):
    """Return J / (2 sqrt(2 pi c_xx)), and 0 for a unit of norm zero."""
    left, right = first.sides
    return (right - left) / (2 * np.sqrt(2 * np.pi)) * np.divide(1.0, a, out=np.zeros_like(a), where=a > 0)

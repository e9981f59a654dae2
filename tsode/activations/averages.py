r"""Averages over two correlated Gaussian numbers by quadrature, for any two smooth activations.

Let x and z be centred and Gaussian with covariances :math:`c_{xx}, c_{xz}, c_{zz}`, and
:math:`I = E[s(x)\, g(z)]`. Differentiating the Gaussian density (Price's theorem) gives

.. math::
    \partial_{xz} I = E[s' g'], \qquad \partial_{xx} I = E[s'' g] / 2, \qquad \partial_{zz} I = E[s g''] / 2 ,

and so on: every derivative is an average of the same kind. With independent standard normal u and w,

.. math::
    x = a u, \qquad z = b u + r w, \qquad
    a = \sqrt{c_{xx}}, \quad b = c_{xz} / a, \quad r = \sqrt{c_{zz} - b^2} ,

which holds for parallel units (r = 0) and for units of norm zero (a = 0) too. Both integrals are sums over equispaced
nodes. Their error falls exponentially in the number of nodes for functions that are analytic around the real axis. It
is about 1e-12 for activations that vary on a scale of 1, up to a standard deviation of `LARGEST`, beyond which the
nodes no longer become denser. Kinks are not resolved here.

An activation gives its value and slope. First derivatives take :math:`s''` by integration by parts,

.. math::
    E[s''(x)\, g(z)] = \left( E[u\, s'(x)\, g(z)] - b\, E[s'(x)\, g'(z)] \right) / a ,

and only for `a` below `SMALL` from nearby values of the slope. Second derivatives always take them from there: at
parallel units the average of :math:`(s'')^2` is not determined by averages of lower derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from .._checks import NoClosedForm

if TYPE_CHECKING:
    from .base import Activation

__all__ = [
    "check_smooth", "derivatives", "everywhere", "gaussian_nodes", "pair", "pair_curvatures", "pair_slopes", "plane",
]  # fmt: skip

RANGE = 8.5  # the normal density is 1e-16 of its maximum there
NODES = 26  # nodes on either side of zero for a standard deviation of 1: a spacing of 1/3
LARGEST = 8.0
SMALL = 1e-3
SMOOTH = 1e-5  # largest part of the slope that interpolation may miss: tanh(x) 2e-10, tanh(2 x) 2e-5
AT_ONCE = 1 << 20  # values of an activation held in memory at once

# The slope around a point is interpolated at POINTS Chebyshev nodes within REACH of it, and differentiated there.
POINTS, REACH = 32, 1.5
AROUND = REACH * chebyshev.chebpts1(POINTS)


def _stencil():
    """Return what takes the slope at the nodes to its first three derivatives in the middle, shape (POINTS, 3)."""
    coefficients = np.linalg.inv(chebyshev.chebvander(AROUND / REACH, POINTS - 1))
    return np.array([chebyshev.chebval(0.0, chebyshev.chebder(coefficients, m)) / REACH**m for m in (1, 2, 3)]).T


STENCIL = _stencil()


@lru_cache(maxsize=64)
def gaussian_nodes(count: int, reach: float = RANGE) -> tuple[np.ndarray, np.ndarray]:
    """Return equispaced nodes in [-reach, reach] and their weights under a standard normal density, shapes (count,)."""
    nodes = np.linspace(-reach, reach, count)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


def derivatives(activation: Activation, x: np.ndarray, order: int) -> list[np.ndarray]:
    """Return value, slope and so on up to the derivative of an order from 1 to 4.

    Those above the slope come from values of the slope within 1.5 of x, to about 1e-9 or better if it varies on a scale
    of 1.

    Parameters
    ----------
    activation : Activation
        The function.
    x : ndarray, shape (...)
        Where.
    order : int
        The last derivative.

    Returns
    -------
    list of ndarray, each of shape (...)

    Examples
    --------
    >>> from tsode.activations import Erf
    >>> value, slope, second = derivatives(Erf(), np.array([0.0, 1.0]), 2)
    >>> np.round(second + np.array([0.0, 1.0]) * slope, 10) + 0.0
    array([0., 0.])
    """
    found = list(activation.function(x))
    if order > 1:
        higher = activation.function(x[..., None] + AROUND)[1] @ STENCIL[:, : order - 1]
        found.extend(np.moveaxis(higher, -1, 0))
    return found


@lru_cache(maxsize=256)
def roughness(activation: Activation) -> tuple[float, float]:
    """Return how much of the slope the interpolation above misses, and how far the slope is from the derivative.

    Both relative to the largest slope for arguments up to 8: the last Chebyshev coefficients, which fall exponentially
    for a function that is analytic around the real axis, and the derivative of the values' interpolant less the slope.
    """
    x = np.linspace(-8.0, 8.0, 161)
    values, slopes = activation.function(x[:, None] + AROUND)
    largest = max(float(np.abs(slopes).max()), 1e-300)
    coefficients = slopes @ np.linalg.inv(chebyshev.chebvander(AROUND / REACH, POINTS - 1)).T
    wrong = np.abs(values @ STENCIL[:, 0] - activation.function(x)[1])
    return float(np.abs(coefficients[:, -4:]).max()) / largest, float(wrong.max()) / largest


def check_smooth(activation: Activation, bound: float = SMOOTH) -> None:
    """Refuse an activation that is too rough for quadrature, or whose slope is not its derivative.

    Parameters
    ----------
    activation : Activation
        The function.
    bound : float
        Largest part of the slope that the interpolation may miss; the error of the averages is of its order.

    Raises
    ------
    NoClosedForm
        If it is too rough.
    ValueError
        If its slope is not its derivative.
    """
    missed, wrong = (1.0, 0.0) if activation.kinks else roughness(activation)
    if missed > bound:
        raise NoClosedForm(
            f"`activation` must be smooth, or have averages of its own, but {activation!r} has kinks or varies too "
            f"fast for quadrature (it would miss {missed:.1g} of the slope); tsode.simulate takes it, without averages"
        )
    if wrong > 1e-3:
        raise ValueError(
            f"`activation` must have its derivative as its slope, but {activation!r} is off by {wrong:.2g}"
        )


def pair(first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
    """Return E[s(x) g(z)] for two activations s and g.

    Parameters
    ----------
    first, second : Activation
        s and g.
    c_xx, c_xz, c_zz : array_like, shapes that broadcast
        Variances of x and z and their covariance.

    Returns
    -------
    ndarray, the broadcast shape

    Examples
    --------
    >>> from tsode.activations import Erf
    >>> bool(abs(pair(Erf(), Erf(), 1.0, 0.5, 1.0) - 2 / np.pi * np.arcsin(0.25)) < 1e-12)
    True
    """
    _check_smooth(first, second)
    return everywhere(_pair, 1, first, second, c_xx, c_xz, c_zz)[0]


def pair_slopes(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives of :func:`pair` with respect to `c_xx`, `c_xz` and `c_zz`, three arrays like its result.

    Parameters
    ----------
    first, second : Activation
        s and g.
    c_xx, c_xz, c_zz : array_like, shapes that broadcast
        Variances of x and z and their covariance.
    """
    _check_smooth(first, second)
    xx, xz = everywhere(_slopes, 2, first, second, c_xx, c_xz, c_zz)
    zz = everywhere(_slopes, 2, second, first, c_zz, c_xz, c_xx)[0]
    return xx, xz, zz


def pair_curvatures(
    first: Activation, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
) -> tuple[np.ndarray, ...]:
    """Return the second derivatives of :func:`pair`: (xx, xx), (xx, xz), (xx, zz), (xz, xz), (xz, zz), (zz, zz).

    Parameters
    ----------
    first, second : Activation
        s and g.
    c_xx, c_xz, c_zz : array_like, shapes that broadcast
        Variances of x and z and their covariance.
    """
    _check_smooth(first, second, SMOOTH / 10)
    return everywhere(_curvatures, 1 + POINTS, first, second, c_xx, c_xz, c_zz)


def _check_smooth(first: Activation, second: Activation, bound: float = SMOOTH) -> None:
    for activation in (first, second):
        check_smooth(activation, bound)


def everywhere(
    average: Callable[..., tuple[np.ndarray, ...]],
    values: int,
    first: Activation,
    second: Activation,
    c_xx: ArrayLike,
    c_xz: ArrayLike,
    c_zz: ArrayLike,
) -> tuple[np.ndarray, ...]:
    """Return ``average(first, second, a, b, r, nodes, weights)`` for all entries of the broadcast covariances.

    It takes `values` values a node.
    """
    covariances = np.broadcast_arrays(*(np.asarray(c, dtype=np.float64) for c in (c_xx, c_xz, c_zz)))
    shape = covariances[0].shape
    c_xx, c_xz, c_zz = (c.ravel() for c in covariances)
    variances = np.concatenate([c_xx, c_zz])
    widest = np.sqrt(np.max(variances[np.isfinite(variances)], initial=1.0))
    nodes, weights = gaussian_nodes(2 * int(np.ceil(NODES * min(widest, LARGEST))) + 1)
    step = max(1, AT_ONCE // (values * len(nodes) ** 2))
    parts = []
    for i in range(0, max(1, len(c_xx)), step):
        a, b, r = _factor(*(c[i : i + step, None] for c in (c_xx, c_xz, c_zz)))
        parts.append(average(first, second, a, b, r, nodes, weights))
    return tuple(np.concatenate(part).reshape(shape)[()] for part in zip(*parts))


def _factor(c_xx, c_xz, c_zz):
    """Return a, b, r of the module's docstring; what rounding put outside of the covariances of numbers is put back."""
    a, top = np.sqrt(np.maximum(c_xx, 0.0)), np.sqrt(np.maximum(c_zz, 0.0))
    b = np.clip(c_xz / np.where(a > 0, a, np.inf), -top, top)
    return a, b, np.sqrt(np.maximum(c_zz - b * b, 0.0))


def _pair(first, second, a, b, r, u, weights):
    g = second.function(plane(b, r, u, u))[0] @ weights
    return ((first.function(a * u)[0] * g) @ weights,)


def _slopes(first, second, a, b, r, u, weights):
    """Return E[s'' g] / 2 and E[s' g']."""
    g, g_1 = (values @ weights for values in second.function(plane(b, r, u, u)))
    s_1 = first.function(a * u)[1]
    xz = (s_1 * g_1) @ weights
    a, b = a[:, 0], b[:, 0]
    xx = ((s_1 * g * u) @ weights - b * xz) / np.where(a > SMALL, 2 * a, 1.0)
    small = np.flatnonzero(a <= SMALL)
    if small.size:
        s_2 = derivatives(first, a[small, None] * u, 2)[2]
        xx[small] = (s_2 * g[small]) @ weights / 2
    return xx, xz


def _curvatures(first, second, a, b, r, u, weights):
    s = derivatives(first, a * u, 4)
    g = [values @ weights for values in derivatives(second, plane(b, r, u, u), 4)]
    s_2_g_2 = (s[2] * g[2]) @ weights
    return (
        (s[4] * g[0]) @ weights / 4,
        (s[3] * g[1]) @ weights / 2,
        s_2_g_2 / 4,
        s_2_g_2,
        (s[1] * g[3]) @ weights / 2,
        (s[0] * g[4]) @ weights / 4,
    )


def plane(b: np.ndarray, r: np.ndarray, u: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return z at all nodes u and w, shape (entries, nodes u, nodes w)."""
    return b[:, :, None] * u[:, None] + r[:, :, None] * w

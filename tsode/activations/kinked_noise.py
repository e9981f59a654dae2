r"""Averages over four preactivations, of a piecewise linear function s on one side of the network and a smooth g.

The error is a sum over students less one over teachers, and :math:`E[D^2 s'_k s'_l]` has three parts. That without
teachers is one of the student's activation alone. In the one that mixes s and g the units k and l are given. With the
mean m and the variance S of :math:`z_i` given both, :math:`t = m / \sqrt S`, and :math:`s(z) = a z + b |z|`,

.. math::
    E[s_i g_j | z_k, z_l] = \sum_n r_{ij}^n c_i^n c_j^n , \qquad
    c_i^n = 2 b \sqrt S\, (-1)^n h_{n-2}(t)\, \varphi(t) / \sqrt{n (n - 1)} \quad (n \ge 2) ,

with the notation of :mod:`tsode.activations.error_averages`. The part with two teachers goes the same way if those are
smooth; if they have the kink, they are the ones given, and the series is that of :math:`s'_k s'_l`. So no series has s
twice: those would converge slowly.

Kinks are lines through the origin of the plane of the two units that are given. Sums go over the angles between them
and over the radius, on either side of zero. The kink of a third unit is sharp if it lies in that plane, and nearly so
if it nearly does: nodes are dense at the ends of the angles.

The level is the first whose relative error at a generic point is at most the tolerance of the integrator, measured as
the difference from the next one. For ReLU students of a tanh teacher, all of norm 1, one right-hand side takes, and is
off by,

========= ============== ============== ==============
tolerance (2, 2)         (4, 4)         (8, 4)
========= ============== ============== ==============
1e-6      7 ms, 4e-8     70 ms, 2e-8    0.8 s, 2e-7
1e-8      15 ms, 4e-9    0.2 s, 2e-9    1.6 s, 3e-8
========= ============== ============== ==============

on one slow core, and twice as long for tanh students of a ReLU teacher. :meth:`tsode.activations.Activation.accuracy`
estimates the error at any point. From widths of about 8 on :func:`tsode.simulate` in high dimension, which needs no
averages, is the better answer. Gradient flow needs averages of pairs alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erf

from . import levels
from .averages import RANGE, check_smooth
from .error_averages import WIDEST, beside, directions, factor_of, inner_nodes, positive

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["accuracy", "constants", "error_squared"]

FAR = 40.0  # standard deviations, beyond which the normal density is zero


def error_squared(
    student: Activation,
    teacher: Activation,
    omega: np.ndarray,
    v: np.ndarray,
    v_star: np.ndarray,
    noise_variance: float,
    level: int = 1,
) -> np.ndarray:
    """Return E[D^2 s'_k s'_l], shape (p, p); nodes become more with `level`, 0 being the coarsest."""
    p, u = len(v), np.concatenate([v, -np.asarray(v_star)])
    check_smooth(student if student.sides is None else teacher)
    if not np.isfinite(omega).all():  # a solution that diverges
        return np.full((p, p), np.nan)
    found = student.error_squared(student, omega[:p, :p], v, u[:0], noise_variance, level)
    factor, sides = factor_of(omega), (slice(0, p), slice(p, len(u)))
    kinked, smooth = sides[::-1] if student.sides is None else sides
    for k in range(p):
        for l in range(k + 1):
            plane = _Plane(factor, (k, l), kinked, smooth, level)
            if student.sides is None:
                total = 2 * plane.product(plane.kinked_series(teacher, u), plane.series(student, u)[0])
            else:
                b = plane.series(teacher, u)[0]
                total = 2 * plane.product(plane.kinked_series(student, u), b) + plane.square(b)
            found[k, l] += _slopes(student, plane.units, k == l) @ (plane.weights * total)
            found[l, k] = found[k, l]
    if student.sides is None:
        for i in range(p, len(u)):
            for j in range(p, i + 1):
                plane = _Plane(factor, (i, j), kinked, smooth, level)
                outputs = (1 if i == j else 2) * u[i] * u[j] * np.prod(teacher(plane.units), axis=0)
                found += plane.pairs(plane.series(student, np.ones(len(u)))[1], outputs)
    return positive(found)


def constants(student: Activation, teacher: Activation, rtol: float) -> tuple[float, ...]:
    """Return what the right-hand side reads after the readouts: the level whose error is at most `rtol`."""
    return (float(levels.level_of(error_squared, student, teacher, rtol)),)


accuracy = functools.partial(levels.accuracy, error_squared)


class _Plane:
    """Nodes in the plane of two units, or on the line of parallel ones, and what the others have beside it.

    Parameters
    ----------
    factor : ndarray, shape (n, d)
        Rows that stand for the units.
    pair : (int, int)
        The two.
    kinked, smooth : slice
        The units whose activation has a kink, and the others.
    level : int
        As of :func:`error_squared`.
    """

    def __init__(self, factor: np.ndarray, pair: tuple[int, int], kinked: slice, smooth: slice, level: int) -> None:
        R, V = directions(factor[list(pair)])
        along, self.spread, r = beside(factor, V)
        x, self.weights = _nodes(along[kinked], min(max(1.0, np.abs(R).max()), WIDEST), level)
        self.units, self.means = R @ x.T, along @ x.T  # the two at the nodes; means of all
        self.kinked, self.smooth = kinked, smooth
        self.y, self.h = inner_nodes(self.spread[smooth].max(), level + 1)
        self.powers = r ** np.arange(self.h.shape[1] + 1)[:, None, None]

    def series(self, activation: Activation, u: np.ndarray) -> list[np.ndarray]:
        """Return u_i c_i^n of values and slopes of the smooth units, the last standing for what is left of their norm.

        The shape is (2, orders, units, nodes).
        """
        z = self.means[self.smooth, :, None] + self.spread[self.smooth, None, None] * self.y
        found = []
        for values in activation.function(z):
            c = np.moveaxis(values @ self.h, 2, 0)
            left = np.square(values) @ self.h[:, 0] - np.sum(c**2, axis=0)
            found.append(np.concatenate([c, np.sqrt(np.maximum(left, 0.0))[None]]) * u[self.smooth, None])
        return found

    def kinked_series(self, activation: Activation, u: np.ndarray) -> np.ndarray:
        """Return u_i c_i^n of the units with a kink, shape (orders, units, nodes)."""
        (a, b), means, spread = _halves(activation), self.means[self.kinked], self.spread[self.kinked, None]
        sharp = np.copysign(FAR, means)
        t = np.clip(np.divide(means, spread, out=sharp, where=spread > 0), -FAR, FAR)
        sign, density = erf(t / np.sqrt(2)), np.sqrt(2 / np.pi) * np.exp(-(t**2) / 2)
        c = [a * means + b * (means * sign + spread * density), spread * (a + b * sign)]
        h, before = density, 0.0 * density  # (-1)^n h_n(t) times twice the density
        for n in range(2, len(self.powers) - 1):
            c.append(b * spread * h / np.sqrt(n * (n - 1)))
            h, before = -(t * h + np.sqrt(n - 2) * before) / np.sqrt(n - 1), h
        c.append(0.0 * means)  # beside what is left of the norm of the others, whose sign is not known
        return np.array(c) * u[self.kinked, None]

    def product(self, c: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Return the mean product of the sums over kinked and over smooth units given the two, shape (nodes,)."""
        return np.sum(c * (self.powers[:, self.kinked, self.smooth] @ d), axis=(0, 1))

    def square(self, d: np.ndarray) -> np.ndarray:
        """Return the mean square of the sum over smooth units given the two, shape (nodes,)."""
        return np.sum(d * (self.powers[:, self.smooth, self.smooth] @ d), axis=(0, 1))

    def pairs(self, d: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the average of the products of any two smooth units with values at the nodes."""
        return np.sum(self.powers[:, self.smooth, self.smooth] * (d * (self.weights * values) @ d.swapaxes(1, 2)), 0)


def _halves(activation):
    """Return a and b of a z + b |z|."""
    left, right = activation.sides
    return (right + left) / 2, (right - left) / 2


def _slopes(activation, z, same):
    """Return s'(z_k) s'(z_l), of one unit or of two; units of norm zero are small ones, on either side of the kink."""
    if activation.sides is None:
        return np.prod(activation.function(z)[1], axis=0)
    (a, b), signs = _halves(activation), np.sign(z)
    return a * a + a * b * signs.sum(axis=0) + b * b * (1.0 if same else signs.prod(axis=0))


def _nodes(kinks, widest, level):
    """Return nodes x, shape (m, 1 or 2), and their weights; kinks are where x is orthogonal to a row of `kinks`."""
    if kinks.shape[1] == 1:
        radii, weights = _half_line(int((30 + 8 * level) * widest), 2)
        return radii[:, None], weights
    radii, weights = _half_line(int((16 + 4 * level) * widest), 1)
    lines = np.arctan2(-kinks[:, 0], kinks[:, 1]) % np.pi
    lines = np.sort(np.append(lines, (lines[0] + np.pi / 2) % np.pi))  # lest one angle be wide
    fractions, shares = _ends(int((12 + 4 * level) * np.sqrt(widest)))
    widths = np.diff(lines, append=lines[0] + np.pi)[:, None]
    angles, shares = (lines[:, None] + widths * fractions).ravel(), (widths * shares).ravel()
    directions = np.transpose([np.cos(angles), np.sin(angles)])
    x = (directions[:, None] * radii[:, None]).reshape(-1, 2)
    return x, np.outer(shares, weights * np.abs(radii) / np.sqrt(2 * np.pi)).ravel()


@functools.lru_cache(maxsize=64)
def _half_line(count, power):
    """Return nodes on either side of zero, denser there with the power, and their normal weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    nodes = (nodes + 1) / 2
    x, weights = RANGE * nodes**power, weights * nodes ** (power - 1)
    weights = weights * np.exp(-(x**2) / 2)
    return np.concatenate([-x[::-1], x]), np.concatenate([weights[::-1], weights]) / (2 * weights.sum())


@functools.lru_cache(maxsize=64)
def _ends(count):
    """Return nodes between 0 and 1 that are dense at both, and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    nodes = (nodes + 1) / 2
    return nodes**2 * (3 - 2 * nodes), weights * 3 * nodes * (1 - nodes)

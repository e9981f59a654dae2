r"""Points and weights for averages over Gaussian preactivations, of functions of which one knows where they jump.

A centred Gaussian vector with covariance :math:`\Omega` is :math:`z = R x` with standard normal x and a root R of
:math:`\Omega`, which has as many columns as :math:`\Omega` has rank. There are four ways:

- Of polynomials a product of Gauss and Hermite's nodes, which is exact.
- A product of equispaced nodes over the components of x, where the function is smooth: the error falls exponentially.
- Where the function jumps at given values of one or two of the preactivations, these are integrated in pieces by
  Gauss and Legendre, and the rest, given those, by equispaced nodes.
- Else :math:`2^{16}` points of Sobol' sequences, moved together by a random number that is the same in every call.
  The error is about 1e-3, and where the function jumps, the sum jumps with :math:`\Omega`, too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from ..activations.averages import gaussian_nodes

__all__ = ["Points", "points"]

MOST = 1 << 16  # points of a product of nodes
FINEST, COARSEST = 1e-10, 1e-4  # errors for which products of nodes are made
POWERS, SHIFTS = (13, 16), 0  # how many Sobol' points there are, as powers of 2, and the seed of what moves them
JUMPY, KINKED, BIASED = 1e-3, 1e-4, 1e-5  # tolerances: of Sobol' points where C jumps, of many nodes, of the others
PIECE, REACH = 28, 7.5  # nodes of a piece, and the end of the last one
DENSE = 257  # nodes for each of two components of what jumps anywhere
NEGLIGIBLE = 1e-18  # weight of a point that is left out
RANK = 1e-14  # eigenvalue over the trace that is zero


class Points(NamedTuple):
    """Points z, shape (n, m), noises, shape (noises, m), weights, shape (m,), and the tolerance they are good for.

    It is 0 where the error is what was asked for.
    """

    z: np.ndarray
    noise: np.ndarray
    weights: np.ndarray
    tolerance: float
    moved: bool = False  # Sobol' points, and so another seed gives others


def points(
    omega: np.ndarray,
    jumps: Sequence[np.ndarray] | None,
    noises: int = 0,
    rtol: float = 1e-8,
    sharpness: float = 1.0,
    seed: int = SHIFTS,
    finer: int = 1,
    degree: int | None = None,
) -> Points:
    """Return points for averages over preactivations with covariance `omega` and so many standard normal noises.

    Parameters
    ----------
    omega : ndarray, shape (n, n)
        Covariance, of any rank.
    jumps : sequence of n ndarrays, or None
        Values of each preactivation at which the function jumps or has a kink; None where that is not so simple.
    noises : int
        Further standard normal numbers.
    rtol : float
        Relative error that is wanted, as far as it can be had.
    sharpness : float
        How much faster than on a scale of 1 the function varies.
    seed : int
        Moves Sobol' points.
    finer : int
        Factor on the number of nodes of each component, for estimates of the error.
    degree : int, optional
        Of C, where it is a polynomial: products of two such are averaged exactly, where the points are not too many.

    Returns
    -------
    Points
    """
    if degree is not None:
        root = _root(omega, omega.trace())
        n = root.shape[1]
        if (degree + finer) ** (n + noises) <= MOST:
            x, weights = _gauss(degree + finer, n + noises)
            return Points(root @ x[:n], x[n:], weights, 0.0)
    split = [] if jumps is None else [i for i, values in enumerate(jumps) if len(values)]
    if jumps is not None and len(split) <= 2:
        found = _products(omega, split, [np.asarray(jumps[i]) for i in split], noises, rtol, sharpness, finer)
        return found or _sobol_points(omega, noises, rtol, seed, JUMPY if split else BIASED)
    root = _root(omega, omega.trace())
    n = root.shape[1]
    if n + noises > 2:
        return _sobol_points(omega, noises, rtol, seed, JUMPY)
    x, weights = _product((finer * DENSE,) * (n + noises), REACH)
    return Points(root @ x[:n], x[n:], weights, KINKED)


def _products(omega, split, jumps, noises, rtol, sharpness, finer):
    """Return products of nodes of the smallest error that is affordable, or None."""
    z, weights, rest = np.zeros((len(omega), 1)), np.ones(1), omega
    if split:
        columns = _columns(omega, split)
        z, weights = _in_pieces(columns, split, jumps, sharpness, finer * PIECE)
        rest = omega - columns @ columns.T
    root = _root(rest, omega.trace())
    n = root.shape[1]
    scales = np.maximum(1.0, sharpness * np.append(np.abs(root).max(axis=0, initial=0.0), np.ones(noises)))
    axes, error = len(scales), max(min(rtol, COARSEST), FINEST)
    ball = (math.pi / 4) ** (axes / 2) / math.gamma(axes / 2 + 1)  # of the volume of the cube around it
    while error <= 1.01 * COARSEST:
        reach = math.sqrt(2 * math.log(10 ** (1 + finer) / error))
        spacing = math.pi * math.sqrt(2 / 3 / math.log(1 / error))
        counts = tuple(2 * math.ceil(finer * reach / spacing * scale) + 1 for scale in scales)
        if not axes or len(weights) * math.prod(counts) * ball <= MOST * finer**axes:
            x, w = _product(counts, reach)
            together = (z[:, :, None] + (root @ x[:n])[:, None, :]).reshape(len(omega), -1)
            tolerance = error if error > 2 * rtol else 0.0
            return Points(together, np.tile(x[n:], len(weights)), np.outer(weights, w).ravel(), tolerance)
        error *= 10
    return None


def _sobol_points(omega, noises, rtol, seed, tolerance):
    x = _sobol(len(omega) + noises, POWERS[int(rtol < 1e-5)], seed)
    values, vectors = np.linalg.eigh(omega)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T  # no other root is continuous in omega
    return Points(root @ x[: len(omega)], x[len(omega) :], np.full(x.shape[1], 1 / x.shape[1]), tolerance, True)


@functools.lru_cache(maxsize=64)
def _product(counts: tuple[int, ...], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return products of equispaced nodes within a ball, shape (axes, m), and their weights, shape (m,)."""
    x, weights = np.zeros((0, 1)), np.ones(1)
    for count in counts:
        line, w = gaussian_nodes(count, reach)
        x = np.vstack([np.repeat(x, count, axis=1), np.tile(line, x.shape[1])])
        weights = np.outer(weights, w).ravel()
        kept = np.square(x).sum(axis=0) <= reach * reach * 1.0001
        x, weights = x[:, kept], weights[kept]
    return x, weights / weights.sum()


@functools.lru_cache(maxsize=16)
def _gauss(count: int, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return products of so many nodes of Gauss and Hermite, shape (axes, m), and their weights, shape (m,)."""
    line, w = np.polynomial.hermite_e.hermegauss(count)
    x = np.reshape(np.meshgrid(*[line] * axes, indexing="ij"), (axes, -1)) if axes else np.zeros((0, 1))
    weights = np.ones(1)
    for _ in range(axes):
        weights = np.outer(weights, w / w.sum()).ravel()
    return x, weights


@functools.lru_cache(maxsize=16)
def _sobol(dimension: int, power: int, seed: int) -> np.ndarray:
    """Return standard normal points, shape (dimension, 2^power)."""
    from scipy.stats import qmc  # imported late: it takes longer than all the rest

    uniform = qmc.Sobol(dimension, scramble=False).random_base2(power).T
    moved = (uniform + np.random.default_rng(seed).random((dimension, 1))) % 1.0
    return ndtri(np.clip(moved, 1e-16, 1 - 1e-16))


def _root(omega, scale):
    """Return a root with as many columns as `omega` has rank, shape (n, rank)."""
    values, vectors = np.linalg.eigh(omega)
    kept = values > RANK * len(omega) * max(scale, 1e-300)
    return vectors[:, kept] * np.sqrt(values[kept])


def _columns(omega, split):
    """Return the first columns of the root of `omega` that is triangular in one or two preactivations."""
    first = omega[:, split[0]]
    columns = [first / math.sqrt(max(first[split[0]], 1e-300))]
    if len(split) > 1:
        second = omega[:, split[1]] - columns[0] * columns[0][split[1]]
        left = second[split[1]]
        fine = left > RANK * omega[split[1], split[1]]
        columns.append(second / math.sqrt(left) if fine else np.zeros(len(omega)))
    return np.array(columns).T


def _in_pieces(columns, split, jumps, sharpness, piece):
    """Return points over one or two preactivations, shape (n, m), and weights; the others at their means given those.

    Given the first one, the second has a jump at a place that moves with it: where both are nearly parallel, that is a
    narrow step in the average over the second.
    """
    scale = max(columns[split[0], 0], 1e-150)
    count = math.ceil(piece * min(max(1.0, sharpness * scale), 4.0))
    edges = list(jumps[0] / scale)
    if len(split) == 1:
        x, weights = _pieces(np.array([edges]), count)
        return columns * x[0], weights[0]
    slope, left = columns[split[1]]
    if abs(slope) > 1e-12:
        width = left / abs(slope)
        edges += [jump / slope + side * width for jump in jumps[1] for side in (-6.0, 0.0, 6.0)]
    x, weights = _pieces(np.array([edges]), count)
    x, weights = x[0], weights[0]
    if left == 0.0:
        return columns[:, :1] * x, weights
    count = math.ceil(piece * min(max(1.0, sharpness * left), 4.0))
    y, w = _pieces((jumps[1] - slope * x[:, None]) / left, count)
    w = (weights[:, None] * w).ravel()
    kept = w > NEGLIGIBLE
    return columns[:, :1] * np.repeat(x, y.shape[1])[kept] + columns[:, 1:] * y.ravel()[kept], w[kept]


def _pieces(edges, count):
    """Return nodes and normal weights between sorted edges, shapes (rows, m), for rows of edges, shape (rows, e)."""
    line, weights = _legendre(count)
    ends = np.full((len(edges), 1), REACH)
    edges = np.sort(np.hstack([-ends, np.clip(edges, -REACH, REACH), ends]), axis=1)
    low, high = edges[:, :-1, None], edges[:, 1:, None]
    x = (low + high) / 2 + (high - low) / 2 * line
    w = (high - low) / 2 * weights * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return x.reshape(len(edges), -1), w.reshape(len(edges), -1)


@functools.lru_cache(maxsize=64)
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(count)

r"""Averages of polynomials over Gaussian preactivations, exact to degree 7.

The standard Gaussian in n dimensions has the moments of these nodes, with :math:`u^2 = 3`: the origin; on every axis
those of squared radius 3, 1 and 6; all (+-u, +-u) in two of the axes, each of weight (5 - n) / 108; and all
(+-u, +-u, +-u) in three, each of weight 1 / 216. The products :math:`x_1^2 x_2^2 x_3^2` and :math:`x_1^4 x_2^2` fix
these weights and leave :math:`x_1^2 x_2^2` right; three equations fix those on the axes, and the sum that of the
origin. (A. H. Stroud, Approximate Calculation of Multiple Integrals, 1971, has such rules.) There are 1 + 6 n +
2 n (n - 1) + 4 n (n - 1)(n - 2) / 3 nodes. Some weights are negative: for anything but polynomials it is no rule.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

__all__ = ["DEGREE", "nodes"]

DEGREE = 7  # up to which it is exact
RADII = np.array([3.0, 1.0, 6.0])  # squared, on the axes


@functools.lru_cache(maxsize=32)
def nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes, shape (n, m), and weights, shape (m,), of a standard Gaussian in n >= 0 dimensions."""
    pairs, triples = _signed(n, 2), _signed(n, 3)
    two, three = (5 - n) / 108, 1 / 216
    # what is left of E[x^2] = 1, E[x^4] = 3 and E[x^6] = 15 for the nodes on an axis, of which there are two a radius
    orders = np.arange(1, 4)
    left = np.array([1.0, 3.0, 15.0]) - 3.0**orders * (
        4 * max(n - 1, 0) * two + 8 * math.comb(max(n - 1, 0), 2) * three
    )
    one = np.linalg.solve(2 * RADII ** orders[:, None], left)
    axes = [sign * math.sqrt(radius) * np.eye(n) for radius in RADII for sign in (1.0, -1.0)]
    found = np.hstack([np.zeros((n, 1)), *axes, pairs, triples])
    weights = np.concatenate([np.repeat(one, 2 * n), np.full(pairs.shape[1], two), np.full(triples.shape[1], three)])
    weights = np.concatenate([[1.0 - weights.sum()], weights])
    for array in (found, weights):
        array.setflags(write=False)
    return found, weights


def _signed(n, count):
    """Return all (+-u, ..., +-u) in `count` of n axes, shape (n, m)."""
    signs = math.sqrt(3.0) * np.array(list(itertools.product((1.0, -1.0), repeat=count))).T
    chosen = list(itertools.combinations(range(n), count))
    found = np.zeros((n, len(chosen) * 2**count))
    for i, axes in enumerate(chosen):
        found[list(axes), i * 2**count : (i + 1) * 2**count] = signs
    return found

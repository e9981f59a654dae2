r"""The right-hand side for inputs in blocks in compiled loops: see :mod:`tsode.ode.blocks`.

The state has all :math:`M^b`, then all :math:`Q^b`, then what is trained beside W.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._compiled import jitable, with_name_of
from .._lanes import load, store
from .._multiply import multiply
from ..activations.error_averages import Averages
from ..model import TeacherStudent
from ..overlaps import Overlaps
from .rates import Rates, decay, nothing, training

__all__ = ["BlockRates", "rates_for"]

FIRST = 4  # where in `beside` the variances begin


def rates_for(
    models: Sequence[TeacherStudent], starts: Sequence[Overlaps], gradient_flow: bool, lanes: int, rtol: float
) -> Rates:
    """Return the Rates of models of the same inputs, from starts whose teachers they have."""
    P = [start.blocks.P for start in starts if start.blocks is not None]
    return (BlockRates if P else Rates)(models, gradient_flow, lanes, rtol, P or None)


@functools.cache
def block_rates_of(averages: Averages, bare: bool = True) -> Callable[..., Any]:
    """Return the right-hand side for some averages as a jitable function of the arrays and numbers of Rates."""
    drift, noise = averages.drift, averages.noise
    decays = nothing if bare else decay
    trains = nothing if bare or averages.outputs is None else training(averages.outputs)

    @jitable
    @with_name_of(drift, noise, decays, trains, "blocks")
    def rates(
        y, P, parameters, beside, omega, J, F, K, dy, p, p_star, n_parameters, n_scalars, spherical, second_order
    ):  # fmt: skip
        count = (y.shape[0] - n_scalars) // (p * (p + p_star))
        first, last = count * p * p_star, count * p * (p + p_star)
        for b in range(count):
            add_block(omega, y, P, b, load(beside, FIRST + b), b == 0, first, p, p_star)
        for k in range(n_scalars):
            store(parameters, 2 + k, load(y, last + k))
        drift(omega, parameters, J)
        if second_order:
            multiply(J, omega, F)
            noise(omega, parameters, J, F, K)
        trains(omega, parameters, beside, y, dy, last, n_scalars)
        for b in range(count):
            s, f = load(beside, FIRST + b), load(beside, FIRST + count + b)
            add_block(omega, y, P, b, 1.0 + 0.0 * s, True, first, p, p_star)
            multiply(J, omega, F)
            for k in range(p):
                for r in range(p_star):
                    store(dy, (b * p + k) * p_star + r, s * load(F, k, p + r))
                for l in range(k + 1):
                    change = load(F, k, l) + load(F, l, k)
                    if second_order:
                        change = change + f * load(K, k, l)
                    store(dy, first + (b * p + k) * p + l, s * change)
                    store(dy, first + (b * p + l) * p + k, s * change)
        decays(y, beside, dy, first, last)
        if spherical:
            keep_norms(y, dy, F, count, first, p, p_star)

    return rates


class BlockRates(Rates):
    """The right-hand side for inputs in blocks, the same ones of all models."""

    loops = staticmethod(block_rates_of)


@jitable
def add_block(
    omega: np.ndarray, y: np.ndarray, P: np.ndarray, b: int, weight: Any, anew: bool, first: int, p: int, p_star: int
) -> None:
    """Add the overlaps of a block times a weight to omega, or write them there `anew`."""
    for i in range(p + p_star):
        for j in range(i + 1):
            if i < p:
                value = load(y, first + (b * p + i) * p + j)
            elif j < p:
                value = load(y, (b * p + j) * p_star + i - p)
            else:
                value = load(P, (b * p_star + i - p) * p_star + j - p)
            value = weight * value
            if not anew:
                value = value + load(omega, i, j)
            store(omega, i, j, value)
            store(omega, j, i, value)


@jitable
def keep_norms(y: np.ndarray, dy: np.ndarray, halves: np.ndarray, count: int, first: int, p: int, p_star: int) -> None:
    """Take off each row half the rate at which its squared norm, the sum of Q_kk over the blocks, would grow."""
    for k in range(p):
        growth = 0.0 * load(dy, 0)
        for b in range(count):
            growth = growth + load(dy, first + (b * p + k) * p + k)
        store(halves, k, 0, 0.5 * growth)
    for b in range(count):
        for k in range(p):
            half = load(halves, k, 0)
            for r in range(p_star):
                i = (b * p + k) * p_star + r
                store(dy, i, load(dy, i) - half * load(y, i))
            for l in range(p):
                i = first + (b * p + k) * p + l
                store(dy, i, load(dy, i) - (half + load(halves, l, 0)) * load(y, i))

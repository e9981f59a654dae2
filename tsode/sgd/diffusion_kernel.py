r"""The coarse steps of the engine for huge N: flow, kick, flow. The formulas are in :mod:`tsode.sgd.diffusion`.

The state of a run is one vector: the rows F = [A | L], shape (p, p* + p), and S, shape (p, p), which the flow adds to
:math:`L L^T` until a triangular root takes it in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit

from .._cholesky import cholesky
from .._compiled import INNER, CFunction, call, jitable, with_name_of
from ..activations.error_averages import Averages
from .random_numbers import normal_lanes

__all__ = ["SAMPLES", "diffusion_kernel", "kick_by_samples", "kick_of", "means_of"]

SAMPLES = 16  # of a kick, where there is no Gaussian one: the excess kurtosis is that of a sample over this
POSITIONS, WEIGHTS = (0.0, 0.5, 0.5, 1.0), (1.0, 2.0, 2.0, 1.0)  # of Runge and Kutta
part_of_kernel = njit(error_model="numpy", **INNER)


@functools.cache
def means_of(averages: Averages) -> CFunction:
    """Return the C function (omega, parameters, J, F, K; p, n, n_parameters), which writes J, J Omega and K."""
    drift, noise = averages.drift, averages.noise

    @jitable
    @with_name_of(drift, noise)
    def means(omega, parameters, J, F, K, p, n, n_parameters):
        drift(omega, parameters, J)
        for k in range(p):
            for j in range(n):
                F[k, j] = 0.0
                for i in range(n):
                    F[k, j] += J[k, i] * omega[i, j]
        noise(omega, parameters, J, F, K)

    @with_name_of(drift, noise)
    def entry(omega, parameters, J, F, K, p, n, n_parameters):
        means(
            carray(omega, (n, n)), carray(parameters, (n_parameters,)), carray(J, (p, n)), carray(F, (p, n)),
            carray(K, (p, p)), p, n, n_parameters,
        )  # fmt: skip

    return CFunction(means, entry, 5, 3)


@functools.cache
def kick_of(kick: Callable[..., None]) -> CFunction:
    """Return the C function of a kick: see :class:`tsode.activations.error_averages.Averages`.

    It takes rows, T, parameters, numbers, change and spread, then p, p*, and how many parameters and numbers.
    """

    def plain(rows, T, parameters, numbers, change, spread, *sizes):
        kick(rows, T, parameters, numbers, change, spread)

    @with_name_of(kick)
    def entry(rows, T, parameters, numbers, change, spread, p, p_star, n_parameters, count):
        kick(
            carray(rows, (p, p + p_star)), carray(T, (p_star, p_star)), carray(parameters, (n_parameters,)),
            carray(numbers, (count,)), carray(change, (p, p + p_star)), carray(spread, (p, p)),
        )  # fmt: skip

    return CFunction(plain, entry, 6, 4)


@functools.lru_cache
def kick_by_samples(step: Callable[..., None], noises: int) -> Callable[..., None]:
    """Return the kick of any rule: the steps of SAMPLES samples, every other one with the opposite sign.

    Their mean drops out, their covariance is that of a sample, and the third moments vanish.
    """

    @jitable
    @with_name_of(step, noises)
    def kick(rows, T, parameters, numbers, change, spread):
        p, d, p_star = rows.shape[0], rows.shape[1], T.shape[0]
        lam, mu, size, C = np.empty(p), np.empty(p_star), np.ones(1), np.empty(p)
        nothing = np.empty(0)
        for k in range(p):
            for j in range(d):
                change[k, j] = 0.0
            for l in range(p):
                spread[k, l] = 0.0
        for s in range(SAMPLES):
            y = numbers[s * (d + noises) : (s + 1) * (d + noises)]
            for k in range(p):
                lam[k] = 0.0
                for j in range(d):
                    lam[k] += rows[k, j] * y[j]
            for r in range(p_star):
                mu[r] = 0.0
                for q in range(p_star):
                    mu[r] += T[r, q] * y[q]
            step(lam, mu, y[d:], size, nothing, parameters, C, nothing)
            share = (1.0 - 2.0 * (s % 2)) / np.sqrt(SAMPLES)
            for k in range(p):
                for j in range(d):
                    change[k, j] += share * C[k] * y[j]
                for l in range(p):
                    spread[k, l] += share * C[k] * C[l]

    return kick


@njit(cache=True, nogil=True, error_model="numpy")
def diffusion_kernel(
    means: Any, kick: Any, parameters: np.ndarray, kick_parameters: np.ndarray, count: int,
    rates: np.ndarray, p: int, step: int, ends: np.ndarray, N: int, T: np.ndarray, decay: float, spherical: bool,
    states: np.ndarray, streams: np.ndarray, ended: np.ndarray, limit: np.ndarray,
) -> None:  # fmt: skip
    """Let every run go from sample `step` through coarse steps that end at the samples `ends`.

    `rates` are the learning rates at five places of each step, or empty; `count` is how many random numbers a kick
    takes. Where a run diverged, the sample is written to `ended`.
    """
    p_star = T.shape[0]
    n = p + p_star
    omega, J, F, K = np.empty((n, n)), np.empty((p, n)), np.empty((p, n)), np.empty((p, p))
    room, numbers = np.empty((3, states.shape[1])), np.empty(-(-count // 32) * 32)
    change, here = np.empty((p, n)), np.empty(5)
    for r in range(p_star):
        for q in range(p_star):
            omega[p + r, p + q] = 0.0
            for i in range(p_star):
                omega[p + r, p + q] += T[r, i] * T[q, i]
    for run in range(states.shape[0]):
        y, begin, learning_rate = states[run], step, parameters[run, 0]
        rows, spread = y[: p * n].reshape(p, n), y[p * n :].reshape(p, p)
        for i in range(ends.shape[0] if ended[run] < 0 else 0):
            h = (ends[i] - begin) / N
            for place in range(5):
                here[place] = rates[i, place] if rates.shape[0] > 0 else learning_rate
            flow(means, parameters[run], here[:3], 0.5 * h, y, T, decay, spherical, omega, J, F, K, room)
            fine = absorb(rows, spread, K, spherical) < limit[run]  # nan is not
            if fine:
                normal_lanes(streams[run], numbers)
                kick_parameters[run, 0] = here[2]
                sizes = p, p_star, kick_parameters.shape[1], count
                call(kick, (rows, T, kick_parameters[run], numbers, change, spread), sizes)
                width = np.sqrt(h / N)
                for k in range(p):
                    for j in range(n):
                        rows[k, j] += width * change[k, j]
                    for l in range(p):
                        spread[k, l] *= width
                if spherical:
                    normalise(rows, spread)
                flow(means, parameters[run], here[2:], 0.5 * h, y, T, decay, spherical, omega, J, F, K, room)
                fine = absorb(rows, spread, K, spherical) < limit[run]
            begin = ends[i]
            if not fine:
                ended[run] = begin
                for j in range(y.shape[0]):
                    y[j] = 0.0
                break


@part_of_kernel
def flow(means, parameters, rates, time, y, T, decay, spherical, omega, J, F, K, room):
    """Follow the drift for a time, by one step of Runge and Kutta; `rates` are those of begin, middle and end."""
    slope, stage, total = room[0], room[1], room[2]
    for i in range(y.shape[0]):
        total[i] = y[i]
    for s in range(4):
        for i in range(y.shape[0]):
            stage[i] = y[i] + POSITIONS[s] * time * slope[i] if s > 0 else y[i]
        parameters[0] = rates[(s + 1) // 2]
        drift(means, parameters, stage, T, decay, spherical, omega, J, F, K, slope)
        for i in range(y.shape[0]):
            total[i] += WEIGHTS[s] / 6.0 * time * slope[i]
    for i in range(y.shape[0]):
        y[i] = total[i]


@part_of_kernel
def drift(means, parameters, y, T, decay, spherical, omega, J, F, K, dy):
    """Write the derivatives of A, L and S."""
    p, n, p_star = J.shape[0], J.shape[1], T.shape[0]
    rows, spread = y[: p * n].reshape(p, n), y[p * n :].reshape(p, p)
    d_rows, d_spread = dy[: p * n].reshape(p, n), dy[p * n :].reshape(p, p)
    for k in range(p):
        for l in range(k + 1):
            total = spread[k, l]
            for j in range(n):
                total += rows[k, j] * rows[l, j]
            omega[k, l] = omega[l, k] = total
        for r in range(p_star):
            total = 0.0
            for q in range(p_star):
                total += T[r, q] * rows[k, q]
            omega[k, p + r] = omega[p + r, k] = total
    call(means, (omega, parameters, J, F, K), (p, n, parameters.shape[0]))
    for k in range(p):  # a row loses half of what its squared norm would grow by
        J[k, k] -= F[k, k] + 0.5 * K[k, k] if spherical else decay
    for k in range(p):
        for j in range(n):
            total = 0.0
            for l in range(p):
                total += J[k, l] * rows[l, j]
            if j < p_star:
                for r in range(p_star):
                    total += J[k, p + r] * T[r, j]
            d_rows[k, j] = total
        for j in range(p):
            total = K[k, j]
            for l in range(p):
                total += J[k, l] * spread[l, j] + J[j, l] * spread[l, k]
            d_spread[k, j] = total


@part_of_kernel
def absorb(rows, spread, matrix, spherical):
    """Take S into the triangle L; return tr Q."""
    p, p_star, norms = rows.shape[0], rows.shape[1] - rows.shape[0], 0.0
    for k in range(p):
        for l in range(k + 1):
            total = 0.5 * (spread[k, l] + spread[l, k])
            for j in range(p_star, rows.shape[1]):
                total += rows[k, j] * rows[l, j]
            matrix[k, l] = total
    cholesky(matrix, rows[:, p_star:])
    for k in range(p):
        for l in range(p):
            spread[k, l] = 0.0
    if spherical:
        normalise(rows, spread)
    for k in range(p):
        for j in range(rows.shape[1]):
            norms += rows[k, j] * rows[k, j]
    return norms


@part_of_kernel
def normalise(rows, spread):
    """Put the rows back on the sphere."""
    for k in range(rows.shape[0]):
        norm = spread[k, k]
        for j in range(rows.shape[1]):
            norm += rows[k, j] * rows[k, j]
        factor = 1.0 / np.sqrt(norm)
        for j in range(rows.shape[1]):
            rows[k, j] *= factor
        for l in range(rows.shape[0]):
            spread[k, l] *= factor
            spread[l, k] *= factor

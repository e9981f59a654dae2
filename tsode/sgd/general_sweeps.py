"""The parts of a step of `tsode.sgd.general_chain`: samples are learned from, in the span and outside of it."""

import numpy as np
from numba import njit

from .._compiled import call_step
from .._lanes import fma, load, store

__all__ = ["finish", "inside", "learn", "outside"]


@njit(inline="always", error_model="numpy")
def learn(
    rule, parameters, scalars, velocity, rows, wide, C, T, work, numbers, place, noises, target, rest, s, batch, N
):  # fmt: skip
    """Add the step of one sample in the span, and keep its C; return the squared length of lambda."""
    p, p_star, span = C.shape[0], T.shape[0], rows.shape[1]
    lam, change, mu = work[:p], work[p : 2 * p], work[2 * p : 2 * p + p_star]
    size, scalar_change = work[2 * p + p_star : 2 * p + p_star + 1], work[2 * p + p_star + 1 :]
    rate, longest, length = 1.0 / (batch * N), 0.0 * rest, rest * rest
    for first in range(0, p, 4):  # four sums at a time, none of which waits for the others
        k0, k1, k2, k3 = first, min(first + 1, p - 1), min(first + 2, p - 1), min(first + 3, p - 1)
        zero = 0.0 * rest
        a, b, c, d = zero, zero, zero, zero
        for j in range(span):
            x = load(numbers, place + j)
            a = fma(load(rows, k0, j), x, a)
            b = fma(load(rows, k1, j), x, b)
            c = fma(load(rows, k2, j), x, c)
            d = fma(load(rows, k3, j), x, d)
        store(lam, k0, a)
        store(lam, k1, b)
        store(lam, k2, c)
        store(lam, k3, d)
    for k in range(p):
        longest = fma(load(lam, k), load(lam, k), longest)
    for r in range(p_star):
        total = 0.0 * rest
        for q in range(T.shape[1]):
            total = fma(load(T, r, q), load(numbers, place + q), total)
        store(mu, r, total)
    for j in range(span):
        x = load(numbers, place + j)
        length = fma(x, x, length)
    store(size, 0, length * (1.0 / N) if batch == 1 else 0.0 * rest + 1.0)
    call_step(rule, lam, mu, numbers, place + span, noises, size, scalars, parameters, change, scalar_change)
    for k in range(p):
        store(C, k, s, load(change, k))
    for i in range(velocity.shape[0]):
        store(velocity, i, fma(rate, load(scalar_change, i), load(velocity, i)))
    return longest


@njit(inline="always", error_model="numpy")
def inside(wide, C, numbers, first, a_sample, span, target, rate):
    """Add the steps of all samples in the span, four samples at a time: the sums are read and written less often."""
    batch = C.shape[1]
    whole = batch - batch % 4
    for s in range(0, whole, 4):
        p0 = first + s * a_sample
        p1, p2, p3 = p0 + a_sample, p0 + 2 * a_sample, p0 + 3 * a_sample
        for k in range(C.shape[0]):
            c0, c1 = rate * load(C, k, s), rate * load(C, k, s + 1)
            c2, c3 = rate * load(C, k, s + 2), rate * load(C, k, s + 3)
            for j in range(span):
                found = fma(c0, load(numbers, p0 + j), load(wide, target + k, j))
                found = fma(c1, load(numbers, p1 + j), found)
                found = fma(c2, load(numbers, p2 + j), found)
                store(wide, target + k, j, fma(c3, load(numbers, p3 + j), found))
    for s in range(whole, batch):
        for k in range(C.shape[0]):
            c = rate * load(C, k, s)
            for j in range(span):
                x = load(numbers, first + s * a_sample + j)
                store(wide, target + k, j, fma(c, x, load(wide, target + k, j)))


@njit(inline="always", error_model="numpy")
def outside(wide, C, numbers, root, m, columns, span, target, rate):
    """Write K F, K being the first columns of C, beside the columns of the span."""
    for k in range(C.shape[0]):
        for j in range(columns):
            total = 0.0 * load(C, k, 0)
            for i in range(j, m):
                total = fma(load(C, k, i), load(numbers, root + i * columns + j), total)
            store(wide, target + k, span + j, rate * total)


@njit(inline="always", error_model="numpy")
def finish(wide, p, momentum, spherical):
    """Move the student by its velocity, and put it back on the sphere."""
    for k in range(p):
        norm = 0.0 * load(wide, k, 0)
        for j in range(wide.shape[1]):
            x = load(wide, k, j)
            if momentum > 0.0:
                x = x + load(wide, p + k, j)
                store(wide, k, j, x)
            norm = fma(x, x, norm)
        if spherical:
            norm = 1.0 / np.sqrt(norm)
            for j in range(wide.shape[1]):
                store(wide, k, j, norm * load(wide, k, j))

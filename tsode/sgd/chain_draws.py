"""The chance in one sample of the overlap chain: normals in p + p* directions, a chi-squared length of the rest."""

import math

import numpy as np
from numba import njit

from .._compiled import INNER
from .random_numbers import I64, U64, normal_lanes, normal_pair, uniform_lanes, xoshiro

__all__ = ["clearly_accepted", "decide_kernel", "draw_kernel", "lengths"]


@njit(inline="always", error_model="numpy")
def clearly_accepted(y, u, d):
    """Return whether the uniform number u accepts a candidate without a look at the logarithms."""
    return (y > -0.5) & (u < 1.0 - 1.4 * d * (y * y) * (y * y))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def draw_kernel(normals, rest, state, redraw_state, row, degrees):
    """Draw the numbers of a batch of samples: standard normals, and `rest`, chi-squared with `degrees`.

    Marsaglia and Tsang: with d = degrees/2 - 1/3, x normal and y = x / sqrt(9 d), twice d (1 + y)^3 is accepted
    with probability exp(h), h = d (3 y^2 / 2 - 3 y - y^3 + 3 log(1 + y)). The series gives h >= -1.4 d y^4 for
    y > -1/2, so a uniform number below 1 - 1.4 d y^4 accepts at once; the others, of order 1 / degrees, are
    decided one by one. This is exact for all degrees >= 2 and no normal approximation is ever needed; one
    degree is a squared normal and none is zero.
    """
    batch, width, lanes = normals.shape
    generators = state.reshape(4, state.shape[1] * lanes)
    normal_lanes(generators, normals.reshape(batch * width * lanes))
    if degrees < 2:
        for b in range(batch):
            for l in range(lanes):
                rest[b, l] = degrees * normals[b, row, l] ** 2
        return
    uniform_lanes(generators, rest.reshape(batch * lanes), 0.0, 1.0)
    d = 0.5 * degrees - 1.0 / 3.0
    root = 1.0 / math.sqrt(9.0 * d)
    for b in range(batch):
        undecided = 0
        for l in range(lanes):
            y = normals[b, row, l] * root
            undecided += int(not clearly_accepted(y, rest[b, l], d))
        if undecided > 0:
            for l in range(lanes):
                normals[b, row, l] = decide_kernel(normals[b, row, l], rest[b, l], d, redraw_state[:, l])
        for l in range(lanes):  # one loop for all: another would round in another way, where a neighbour is undecided
            y = 1.0 + normals[b, row, l] * root
            rest[b, l] = 2.0 * d * (y * y * y)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def decide_kernel(x, u, d, redraw_state):
    """Return the normal number x of the candidate (x, u) if it is accepted, or the first accepted one of new ones."""
    root = 1.0 / math.sqrt(9.0 * d)
    while True:
        y = x * root
        if y > -1.0:
            if clearly_accepted(y, u, d):
                break
            if math.log(u) < d * (1.5 * y * y - 3.0 * y - y * y * y + 3.0 * math.log1p(y)):
                break
        s0, s1, s2, s3 = redraw_state[0], redraw_state[1], redraw_state[2], redraw_state[3]
        r1, s0, s1, s2, s3 = xoshiro(s0, s1, s2, s3)
        r2, s0, s1, s2, s3 = xoshiro(s0, s1, s2, s3)
        r3, s0, s1, s2, s3 = xoshiro(s0, s1, s2, s3)
        redraw_state[0], redraw_state[1], redraw_state[2], redraw_state[3] = s0, s1, s2, s3
        x, _ = normal_pair(r1, r2)
        u = (np.float64(I64(r3 >> U64(11))) + 0.5) * 2.0**-53
    return x


@njit(error_model="numpy", **INNER)
def lengths(flat, root, columns, degrees, redraw_state, uniform):
    """Turn the normal numbers on the diagonal of F into chi-distributed ones; `uniform` has room for one a run.

    One degree of freedom is a normal number, whose sign is free. Others are drawn as in `draw_kernel`.
    """
    lanes = redraw_state.shape[1]
    for k in range(columns):
        d = 0.5 * (degrees - k) - 1.0 / 3.0
        if d > 0.5:
            first, scale, undecided = (root + k * columns + k) * lanes, 1.0 / math.sqrt(9.0 * d), 0
            numbers = flat[first : first + lanes]
            uniform_lanes(redraw_state, uniform, 0.0, 1.0)
            for l in range(lanes):
                undecided += int(not clearly_accepted(numbers[l] * scale, uniform[l], d))
            if undecided > 0:
                for l in range(lanes):
                    numbers[l] = decide_kernel(numbers[l], uniform[l], d, redraw_state[:, l])
            for l in range(lanes):  # one loop for all, as there
                y = 1.0 + numbers[l] * scale
                numbers[l] = math.sqrt(2.0 * d * (y * y * y))

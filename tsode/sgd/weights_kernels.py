"""The compiled loops of the weights engine: draw a block of inputs, learn from it. See `tsode.sgd.weights`."""

import math

import numpy as np
from numba import njit

from .._compiled import call_step
from .products import ROWS, add_products, learn
from .random_numbers import GAUSSIAN, fill

__all__ = ["DRAWN", "advance_kernel", "block_kernel", "draw"]

DRAWN = 8  # rows of the inputs that are drawn together


@njit(cache=True, nogil=True, error_model="numpy")
def draw(state, law, N, numbers, scales, X):
    """Fill a block with numbers of a law, DRAWN rows at a time, tile by tile and row by row; `scales` may be empty."""
    width, tile = X.shape[2], numbers.shape[0] // DRAWN
    for group in range(0, X.shape[1], DRAWN):
        for first in range(0, N, tile):
            fill(state, numbers, law)
            column, stop = first, min(first + tile, N)
            while column < stop:
                panel, place = column // width, column % width
                count = min(width - place, stop - column)
                for row in range(DRAWN):
                    target, source = X[panel, group + row, place:], numbers[row * tile + column - first :]
                    for i in range(count):
                        target[i] = source[i]
                column += count
    if scales.size > 0:
        for panel in range(X.shape[0]):
            for row in range(X.shape[1]):
                for i in range(X.shape[2]):
                    X[panel, row, i] *= scales[panel, i]


@njit(cache=True, nogil=True, error_model="numpy")
def advance_kernel(
    W, X, numbers, scales, noise, state, noise_state, law, step, stop, rule, parameters, learning_rates, scalars, p,
    N, weight_decay, readout_decay, spherical, limit,
):  # fmt: skip
    """Run samples `step` to `stop` of one stream; return the number reached, smaller if the run diverged.

    Sample n is row n mod X.shape[1] of a block whose numbers are drawn when n reaches its first row, so the result
    does not depend on where the run is interrupted for a record. `learning_rates` are those of the samples, or empty.
    """
    block, origin = X.shape[1], step
    while step < stop:
        first = step % block
        if first == 0:
            draw(state, law, N, numbers, scales, X)
        offset = (step - first) % noise.shape[0]
        if first == 0 and offset == 0 and noise.size > 0:
            fill(noise_state, noise.reshape(noise.size), GAUSSIAN)
        last = min(block, first + stop - step)
        done = block_kernel(
            W, X, first, last, noise[offset:], rule, parameters, learning_rates[step - origin :], scalars, p, N,
            weight_decay, readout_decay, spherical, limit,
        )  # fmt: skip
        step += done - first
        if done < last:
            break
    return step


@njit(cache=True, nogil=True, error_model="numpy")
def block_kernel(
    W, X, first, last, noise, rule, parameters, learning_rates, scalars, p, N, weight_decay, readout_decay, spherical,
    limit,
):  # fmt: skip
    """Learn from rows `first` to `last` of a block; return `last`, or the row at which the run diverged."""
    samples, rows = -((first - last) // ROWS) * ROWS, -(-W.shape[1] // ROWS) * ROWS
    preactivation, gram = np.zeros((samples, rows)), np.zeros((samples, samples))
    for t in range(len(X)):
        inputs = X[t, first:last]
        add_products(inputs, W[t], False, preactivation)
        add_products(inputs, inputs, True, gram)
    C, growth, done = sample_kernel(
        preactivation[: last - first, : W.shape[1]], gram, noise[first:], rule, parameters, learning_rates, scalars, p,
        N, weight_decay, readout_decay, spherical, limit,
    )  # fmt: skip
    for t in range(len(X)):
        learn(W[t], C, X[t, first:last], growth)
    return first + done


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def sample_kernel(
    preactivation, gram, noise, rule, parameters, learning_rates, scalars, p, N, weight_decay, readout_decay, spherical,
    limit,
):  # fmt: skip
    """Go through samples one by one, given X W0^T, X X^T on and above the diagonal, and the noise of every one.

    With the row scales a of W = a (W0 + C^T X), returns the rows a C of all samples, a - 1, and how many were learned.
    """
    samples, p_star, noises = len(preactivation), preactivation.shape[1] - p, noise.shape[1]
    root = 1.0 / math.sqrt(N)
    keep, keep_scalars = 1.0 - weight_decay / N, 1.0 - readout_decay / N
    C = np.zeros((samples, p))
    scale = np.ones(p)
    lam, mu, size, change = np.empty(p), np.empty(p_star), np.empty(1), np.empty(p)
    scalar_change = np.empty(scalars.shape[0])
    numbers, done = noise.reshape(noise.size), samples
    for s in range(samples):
        for r in range(p_star):
            mu[r] = preactivation[s, p + r] * root
        for k in range(p):
            lam[k] = preactivation[s, k]
        for u in range(s):
            for k in range(p):
                lam[k] += C[u, k] * gram[u, s]
        longest = 0.0
        for k in range(p):
            lam[k] *= scale[k] * root
            longest += lam[k] * lam[k]
        if not longest < limit:  # true for nan too
            done = s
            break
        size[0] = gram[s, s] / N
        if learning_rates.shape[0] > 0:
            parameters[0] = learning_rates[s]
        call_step(rule, lam, mu, numbers, s * noises, noises, size, scalars, parameters, change, scalar_change)
        for k in range(p):
            c = change[k]
            scale[k] *= keep
            C[s, k] = c * root / scale[k]
            if spherical:
                scale[k] /= math.sqrt(keep * keep + (2.0 * keep * c * lam[k] + c * c * size[0]) / N)
        for i in range(scalars.shape[0]):
            scalars[i] = keep_scalars * scalars[i] + scalar_change[i] / N
    for k in range(p):
        for s in range(done):
            C[s, k] *= scale[k]
        scale[k] -= 1.0
    return C, scale, done

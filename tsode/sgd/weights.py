r"""The engine that holds the weights: one-pass SGD for any inputs, in blocks of samples.

SGD goes sample by sample, but sample s needs only the preactivations :math:`W x_s / \sqrt N` at its turn. With
the weights :math:`W_0` at the start of a block,

.. math::
    \lambda_s = W_0 x_s / \sqrt N + \sum_{s' < s} c_{s'}\, (x_{s'} \cdot x_s) / N ,
    \qquad c_s = C(\lambda_s, \mu_s, \xi_s, |x_s|^2 / N) ,

so the preactivations of all samples, the Gram matrix of the inputs and the final
:math:`W = W_0 + \sum_s c_s x_s^T / \sqrt N` are matrix products and W is read and written once a block.
Nothing is approximated. Under the spherical constraint each row carries a scale, which the same Gram matrix
updates exactly.

Weights and inputs are kept in tiles of columns, (n_tiles, rows, width), so that a tile of both stays in cache
between its products; columns past N are zero. Student rows come first, teacher rows after them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numba import njit

from .._compiled import call_step, step_function
from .._random import run_sequence
from ..model import TeacherStudent
from ..overlaps import Overlaps, impose_overlaps
from .random_numbers import GAUSSIAN, LANES, LAWS, fill, stream_state

__all__ = ["BLOCK", "WeightsRun"]

BLOCK = 8  # samples whose updates are applied together (benchmarks/weights_engine.py)
TILE = 1024  # columns; a tile of inputs and of a few weight rows fits the second-level cache
SAMPLES_A_CALL = 4_000_000  # inputs' components between two looks at the clock and at the stop flag


class WeightsRun:
    """One run: its weights, its random stream, and how far it has come.

    Parameters
    ----------
    model : TeacherStudent
        What is run.
    start : Overlaps, (W, W_star) or None
        Overlaps to realise exactly, weights to copy, or None for Gaussian student weights of unit variance.
    N : int
        Input dimension.
    sequence : numpy.random.SeedSequence
        The run's stream.
    inputs : str or iterator of ndarray, shape (N,)
        Name of a law, or rows to be used in order.
    limit : float
        Sum of squared preactivations that counts as diverged.
    """

    def __init__(
        self,
        model: TeacherStudent,
        start: Overlaps | tuple[np.ndarray, np.ndarray] | None,
        N: int,
        sequence: np.random.SeedSequence,
        inputs: str | Iterator[np.ndarray],
        limit: float,
    ) -> None:
        self.model, self.N, self.limit = model, N, limit
        self.law = LAWS[inputs] if isinstance(inputs, str) else None
        self.rows = None if isinstance(inputs, str) else inputs
        self.runs, self.ended, self.exhausted = 1, np.full(1, -1), False
        inputs_sequence, noise_sequence, start_sequence = (run_sequence(sequence, i) for i in range(3))
        self.state, self.noise_state = stream_state(inputs_sequence), stream_state(noise_sequence)
        rule = model.rule
        self.noise = np.zeros((2 * LANES, rule.noises(model)))
        self.parameters, self.rule = rule.parameters(model), step_function(rule.step(model), lanes=False)
        n_tiles = -(-N // TILE)
        width = -(-N // (32 * n_tiles)) * 32  # a block of 8 rows is then a multiple of 2 LANES
        self.W = np.zeros((n_tiles, model.p + model.p_star, width))
        self.X = np.zeros((n_tiles, BLOCK, width))
        self.step = 0
        self._place(start, np.random.default_rng(start_sequence))

    def _place(self, start, rng):
        model, N, W = self.model, self.N, self.W
        p = model.p
        if isinstance(start, tuple):
            for first, tile in zip(range(0, N, W.shape[2]), W):
                for rows, weights in ((tile[:p], start[0]), (tile[p:], start[1])):
                    part = weights[:, first : first + W.shape[2]]
                    rows[:, : part.shape[1]] = part
            return
        for first, tile in zip(range(0, N, W.shape[2]), W):
            columns = min(W.shape[2], N - first)
            tile[:, :columns] = rng.standard_normal((len(tile), columns))
        if isinstance(start, Overlaps):
            impose_overlaps(W, N, start.joint)
            return
        impose_overlaps(W[:, p:], N, model.teacher_overlap)
        if model.spherical:
            W[:, :p] /= np.sqrt(np.einsum("tki,tki->k", W[:, :p], W[:, :p]) / N)[:, None]

    def advance(self, stop: int) -> bool:
        """Run up to `stop` samples in all, or a bounded part of the way; return False where the run ended."""
        chunk = max(BLOCK, SAMPLES_A_CALL // self.N)
        stop = min(stop, self.step + chunk)
        going = self._advance_rows(stop) if self.law is None else self._advance_law(stop)
        if not going:
            self.ended[0] = self.step
        return going

    def overlaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the present weights, shapes (1, p, p_star) and (1, p, p)."""
        p = self.model.p
        gram = sum((tile[:p] @ tile.T for tile in self.W), np.zeros(())) / self.N
        return gram[None, :, p:], (gram[None, :, :p] + gram[:, :p].T) / 2

    def _constants(self):
        model = self.model
        return self.rule.pointer, self.parameters, model.p, self.N, model.spherical, self.limit

    def _advance_law(self, stop):
        reached = advance_kernel(
            self.W, self.X, self.noise, self.state, self.noise_state, self.law, self.step, stop, *self._constants()
        )
        self.step, done = reached, reached == stop
        return done

    def _advance_rows(self, stop):
        width = self.X.shape[2]
        while self.step < stop:
            # As with a law, sample n has number n of the noise wherever a record cuts a block.
            first = self.step % BLOCK
            rows = list(itertools.islice(self.rows, min(BLOCK - first, stop - self.step)))
            if not rows:
                self.exhausted = True
                return False
            for s, row in enumerate(rows):
                for t in range(len(self.X)):
                    part = row[t * width : (t + 1) * width]
                    self.X[t, s, : part.size] = part
            offset = self.step % len(self.noise)
            if offset == 0 and self.noise.size:
                fill(self.noise_state, self.noise.reshape(-1), GAUSSIAN)
            done = block_kernel(self.W, self.X, 0, len(rows), self.noise[offset:], *self._constants())
            self.step += done
            if done < len(rows):
                return False
        return True


@njit(cache=True, nogil=True, error_model="numpy")
def advance_kernel(
    W, X, noise, state, noise_state, law, step, stop, rule, parameters, p, N, spherical, limit
):  # fmt: skip
    """Run samples `step` to `stop` of one stream; return the number reached, smaller if the run diverged.

    Sample n is row n mod BLOCK of a block whose numbers are drawn when n reaches its first row, so the result
    does not depend on where the run is interrupted for a record.
    """
    n_tiles, block, width = X.shape
    tail = N - (n_tiles - 1) * width
    while step < stop:
        first = step % block
        if first == 0:
            for t in range(n_tiles):
                fill(state, X[t].reshape(block * width), law)
            X[n_tiles - 1, :, tail:] = 0.0
        offset = (step - first) % noise.shape[0]
        if first == 0 and offset == 0 and noise.size > 0:
            fill(noise_state, noise.reshape(noise.size), GAUSSIAN)
        last = min(block, first + stop - step)
        done = block_kernel(W, X, first, last, noise[offset:], rule, parameters, p, N, spherical, limit)
        step += done - first
        if done < last:
            break
    return step


@njit(cache=True, nogil=True, error_model="numpy")
def block_kernel(W, X, first, last, noise, rule, parameters, p, N, spherical, limit):
    """Learn from rows `first` to `last` of a block; return `last`, or the row at which the run diverged."""
    n_tiles, block, width = X.shape
    preactivation = np.zeros((W.shape[1], block))
    gram = np.zeros((block, block))
    part = np.empty((W.shape[1], block))
    gram_part = np.empty((block, block))
    for t in range(n_tiles):
        preactivation += np.dot(W[t], X[t].T, part)
        gram += np.dot(X[t], X[t].T, gram_part)
    C, scale, done = sample_kernel(
        preactivation, gram, first, last, noise, rule, parameters, p, N, spherical, limit
    )  # fmt: skip
    change = np.empty((p, width))
    for t in range(n_tiles):
        np.dot(C, X[t], change)
        for k in range(p):
            for i in range(width):
                W[t, k, i] = scale[k] * (W[t, k, i] + change[k, i])
    return done


@njit(cache=True, nogil=True, error_model="numpy")
def sample_kernel(preactivation, gram, first, last, noise, rule, parameters, p, N, spherical, limit):
    """Go through the samples of a block one by one, given W0 X^T, X X^T and the noise of every row.

    Returns C and the row scales a of W = a (W0 + C X), and the row reached.
    """
    p_star, noises = preactivation.shape[0] - p, noise.shape[1]
    root = 1.0 / math.sqrt(N)
    C = np.zeros((p, gram.shape[0]))
    scale = np.ones(p)
    lam, mu, size, change = np.empty(p), np.empty(p_star), np.empty(1), np.empty(p)
    numbers = noise.reshape(noise.size)
    for s in range(first, last):
        for r in range(p_star):
            mu[r] = preactivation[p + r, s] * root
        longest = 0.0
        for k in range(p):
            inner = preactivation[k, s]
            for u in range(first, s):
                inner += C[k, u] * gram[u, s]
            lam[k] = scale[k] * inner * root
            longest += lam[k] * lam[k]
        if not longest < limit:  # true for nan too
            return C, scale, s
        size[0] = gram[s, s] / N
        call_step(rule, lam, mu, numbers, s * noises, noises, size, parameters, change)
        for k in range(p):
            c = change[k]
            C[k, s] = c * root / scale[k]
            if spherical:
                scale[k] /= math.sqrt(1.0 + (2.0 * c * lam[k] + c * c * size[0]) / N)
    return C, scale, last

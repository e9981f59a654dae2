r"""The engine that holds the weights, for steps of many samples, for momentum, and for running averages.

All samples of a batch are taken at the same weights,

.. math::
    G = \frac{1}{S \sqrt N} \sum_s C_s x_s^T , \qquad m \leftarrow \beta m + G , \qquad
    w \leftarrow (1 - \kappa / N)\, w + m ,

and a trained readout moves in the same way. Inputs and noise are drawn as in `tsode.sgd.weights`, by blocks, of which a
batch is one, a part, or several.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numba import njit

from .._compiled import call_step
from .products import ROWS, add_products, learn
from .random_numbers import GAUSSIAN, fill
from .running_average import average_weights, newest_weights
from .sample_rates import sample_rates
from .weights import WeightsRun, write
from .weights_kernels import draw

__all__ = ["BatchWeightsRun"]


class BatchWeightsRun(WeightsRun):
    """One run, as `tsode.sgd.weights.WeightsRun`.

    Attributes
    ----------
    moves : ndarray, shape (panels, p, width)
        What the batch has gathered so far for the weights, upon the step before times the momentum.
    scalar_moves : ndarray, shape (n_scalars,)
        The same for what is trained beside the weights.
    average, averages : ndarray, shapes (panels, p, width), (n_scalars,)
        The running average of the student's rows, always in double precision, and of what is trained beside them; empty
        where there is none.
    """

    HELD = (*WeightsRun.HELD, "moves", "scalar_moves")

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.moves, self.scalar_moves = np.zeros_like(self.W[:, : self.model.p]), np.zeros_like(self.scalars)
        self.average, self.averages = np.zeros((0, 0, 0)), np.zeros(0)
        if self.model.averaging is not None:
            self.average, self.averages = self.W[:, : self.model.p].astype(np.float64), self.scalars.copy()
            self.HELD = (*self.HELD, "average", "averages")

    def averaged(self) -> tuple[np.ndarray, ...]:
        """Return M, Q and trained scalars of the running average, and its M and Q in each block of the inputs."""
        W = np.concatenate([self.average, self.W[:, self.model.p :]], axis=1)
        blocks = () if self.model.inputs is None else self.block_overlaps(W)
        return *self.overlaps(W), self.averages[None], *blocks

    def _constants(self, stop):
        model, samples = self.model, (self.model, self.N, self.step, stop)
        numbers = float(model.weight_decay), float(model.readout_decay), float(model.momentum)
        return (
            self.moves, self.scalar_moves, self.average, self.averages, newest_weights(*samples), model.batch_size,
            self.rule.pointer, self.parameters, sample_rates(*samples), self.scalars, self.N, *numbers,
            model.spherical, self.limit,
        )  # fmt: skip

    def _advance_law(self, stop):
        reached = advance_batches(
            self.W, self.X, self.numbers, self.scales, self.noise, self.state, self.noise_state, self.law, self.step,
            stop, *self._constants(stop),
        )  # fmt: skip
        self.step, done = reached, reached == stop
        return done

    def _advance_rows(self, stop):
        while self.step < stop:
            first = self.step % self.block
            count = min(self.block - first, stop - self.step, self._left())
            rows = list(itertools.islice(self.rows, count))
            if rows:
                write(self.X, 0, np.array(rows))
            if len(rows) < count:
                self.exhausted = True
                return False
            offset = self.step % len(self.noise)
            if offset == 0 and self.noise.size:
                fill(self.noise_state, self.noise.reshape(-1), GAUSSIAN)
            constants = self._constants(self.step + count)
            done = gather_kernel(self.W, self.X, 0, count, self.noise[offset:], self.step, *constants)
            self.step += done
            if done < count:
                return False
        return True

    def _left(self):
        return self.model.batch_size - self.step % self.model.batch_size


@njit(cache=True, nogil=True, error_model="numpy")
def advance_batches(
    W, X, numbers, scales, noise, state, noise_state, law, step, stop, moves, scalar_moves, average, averages, newest,
    batch, rule, parameters, learning_rates, scalars, N, weight_decay, readout_decay, momentum, spherical, limit,
):  # fmt: skip
    """Run samples `step` to `stop` of one stream; return the number reached, smaller if the run diverged."""
    block, origin = X.shape[1], step
    while step < stop:
        first = step % block
        if first == 0:
            draw(state, law, N, numbers, scales, X)
        offset = (step - first) % noise.shape[0]
        if first == 0 and offset == 0 and noise.size > 0:
            fill(noise_state, noise.reshape(noise.size), GAUSSIAN)
        last = min(block, first + min(stop - step, batch - step % batch))
        done = gather_kernel(
            W, X, first, last, noise[offset:], step, moves, scalar_moves, average, averages, newest[step - origin :],
            batch, rule, parameters, learning_rates[step - origin :], scalars, N, weight_decay, readout_decay, momentum,
            spherical, limit,
        )  # fmt: skip
        step += done - first
        if done < last:
            break
    return step


@njit(cache=True, nogil=True, error_model="numpy")
def gather_kernel(
    W, X, first, last, noise, step, moves, scalar_moves, average, averages, newest, batch, rule, parameters,
    learning_rates, scalars, N, weight_decay, readout_decay, momentum, spherical, limit,
):  # fmt: skip
    """Take rows `first` to `last` of a block into the batch, and step where it is complete.

    Return `last`, or the row at which the run diverged. `step` is the number of the first sample.
    """
    p = moves.shape[1]
    if learning_rates.shape[0] > 0:  # one for all of a batch
        parameters[0] = learning_rates[0]
    samples, rows = -((first - last) // ROWS) * ROWS, -(-W.shape[1] // ROWS) * ROWS
    preactivation = np.zeros((samples, rows))
    lengths = np.zeros(last - first)
    for t in range(len(X)):
        add_products(X[t, first:last], W[t], False, preactivation)
        for s in range(last - first):
            for i in range(X.shape[2]):
                lengths[s] += np.float64(X[t, first + s, i]) ** 2
    C = np.zeros((samples, p))
    done = rule_kernel(
        preactivation[:, : W.shape[1]], lengths, noise[first:], rule, parameters, scalars, N, limit, C, scalar_moves,
        batch,
    )  # fmt: skip
    if done < last - first:
        return first + done
    none = np.zeros(p)
    for t in range(len(X)):
        learn(moves[t], C[:done], X[t, first:last], none)
    if (step + done) % batch == 0:
        finish(W, moves, 1.0 - weight_decay / N, momentum, N, spherical)
        for i in range(scalars.shape[0]):
            scalars[i] = (1.0 - readout_decay / N) * scalars[i] + scalar_moves[i]
            scalar_moves[i] *= momentum
        if newest.shape[0] > 0:
            average_weights(W, average, scalars, averages, newest[0])
    return last


@njit(cache=True, nogil=True, error_model="numpy")
def rule_kernel(
    preactivation, lengths, noise, rule, parameters, scalars, N, limit, C, scalar_moves, batch
):  # fmt: skip
    """Write the steps of all samples to C and add those of the scalars; return how many samples have not diverged."""
    p, p_star, noises = C.shape[1], preactivation.shape[1] - C.shape[1], noise.shape[1]
    root, rate = 1.0 / math.sqrt(N), 1.0 / (batch * N)
    lam, mu, size, change = np.empty(p), np.empty(p_star), np.empty(1), np.empty(p)
    scalar_change, numbers = np.empty(scalars.shape[0]), noise.reshape(noise.size)
    for s in range(lengths.shape[0]):
        longest = 0.0
        for k in range(p):
            lam[k] = preactivation[s, k] * root
            longest += lam[k] * lam[k]
        for r in range(p_star):
            mu[r] = preactivation[s, p + r] * root
        if not longest < limit:  # true for nan too
            return s
        size[0] = lengths[s] / N
        call_step(rule, lam, mu, numbers, s * noises, noises, size, scalars, parameters, change, scalar_change)
        for k in range(p):
            C[s, k] = change[k] * root / batch
        for i in range(scalars.shape[0]):
            scalar_moves[i] += rate * scalar_change[i]
    return lengths.shape[0]


@njit(cache=True, nogil=True, error_model="numpy")
def finish(W, moves, keep, momentum, N, spherical):
    """Step with all that was gathered, of which a part stays for the next step."""
    for t in range(W.shape[0]):
        for k in range(moves.shape[1]):
            for i in range(W.shape[2]):
                W[t, k, i] = keep * W[t, k, i] + moves[t, k, i]
                moves[t, k, i] *= momentum
    if spherical:
        for k in range(moves.shape[1]):
            norm = 0.0
            for t in range(W.shape[0]):
                for i in range(W.shape[2]):
                    norm += np.float64(W[t, k, i]) ** 2
            scale = math.sqrt(N / norm)
            for t in range(W.shape[0]):
                for i in range(W.shape[2]):
                    W[t, k, i] *= scale

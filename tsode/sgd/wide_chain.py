r"""The chain of the overlaps for wide students, in blocks of samples: the law of `tsode.sgd.chain`, by matrix products.

The state is that of the chain, :math:`W / \sqrt N = [A | L]`, and a sample moves it by :math:`c\, x^T`,
:math:`c = C(\lambda, \mu, \xi, |x|^2 / N) / N`. S inputs are drawn at once: u and g in the directions of A and L, and
of the other n = N - p - p* coordinates, an S x n Gaussian matrix R, nothing but :math:`R R^T` enters, as the basis
there is free. Hence R may be replaced by the lower triangular B of :math:`R = B O`, O O^T = 1, whose numbers are
independent (Bartlett 1933):

.. math::
    B_{ss}^2 \sim \chi^2_{n - s} \quad (s = 0, 1, \dots), \qquad B_{st} \sim \mathcal N(0, 1) \quad (t < s),

with min(S, n) columns. The rows of X = [U | G | B] are thus the inputs in an orthonormal basis of all there is. As
among explicit weights (`tsode.sgd.weights`), sample s needs the preactivations at its turn, which are

.. math::
    \lambda_s = [A | L | 0]\, x_s + \sum_{s' < s} c_{s'}\, (x_{s'} \cdot x_s) ,

so those at the old weights, the Gram matrix of the inputs and the step :math:`[A | L | 0] + \sum_s c_s x_s^T` are
matrix products. Then reflections from the right bring the columns beside A back to p. All is orthogonal: nothing is
subtracted, Q stays positive semidefinite. Under the spherical constraint a row carries a scale within the block.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .._compiled import call_step, prefer_wide_vectors, step_function
from .._lanes import WIDTH
from .._linear_algebra import semidefinite_root
from .._random import run_sequence
from ..model import TeacherStudent
from ..overlaps import Overlaps
from .chain import start_rows
from .chain_draws import decide_kernel
from .random_numbers import GAUSSIAN, LANES, fill, stream_state
from .sample_rates import sample_rates
from .triangular import triangulate

__all__ = ["WideRun", "in_blocks"]

WIDE = 12  # p + p* from which on blocks are quicker, in units of the runs that go in lockstep, 4 to WIDTH of them
BLOCK = 64  # samples, and half as many as rows where that is more
NUMBERS_A_CALL = 1 << 24  # samples times rows times columns between two looks at the stop flag


def in_blocks(model: TeacherStudent, runs: int) -> bool:
    """Return whether blocks of samples take less time than samples one by one (benchmarks/chain_engine.py).

    This may depend on the number of runs, of which few in lockstep cost as much as WIDTH, but not on that of threads.
    """
    return model.p + model.p_star >= WIDE * min(max(runs, 4), WIDTH)


class WideRun:
    """One run, with the interface of `tsode.sgd.chain.ChainRuns`.

    Parameters
    ----------
    model : TeacherStudent
        What is run.
    start : Overlaps or None
        Overlaps to start from, or None for Gaussian student weights of unit variance.
    N : int
        Input dimension.
    sequence : numpy.random.SeedSequence
        The run's stream.
    limit : float
        Sum of squared preactivations that counts as diverged.

    Attributes
    ----------
    rows : ndarray, shape (p, p_star + p + m)
        [A | L | 0] at the start of the block, m = min(block, N - p - p_star).
    X : ndarray, shape (block, p_star + p + m)
        The inputs of the block.
    C : ndarray, shape (block, p)
        The steps c of the samples that are done, as steps of `rows`, and zeros.
    HELD : tuple of str
        The arrays that the run needs to go on.
    """

    HELD = ("rows", "numbers", "C", "scale", "fields", "teacher_fields", "gram", "state", "redraw_state", "scalars")
    runs, exhausted = 1, False

    def __init__(
        self, model: TeacherStudent, start: Overlaps | None, N: int, sequence: np.random.SeedSequence, limit: float
    ) -> None:
        self.model, self.N, self.limit, self.step, self.ended = model, N, limit, 0, np.full(1, -1)
        p, p_star = model.p, model.p_star
        numbers_sequence, redraws, start_sequence = (run_sequence(sequence, i) for i in range(3))
        self.state, self.redraw_state = stream_state(numbers_sequence), stream_state(redraws, 1)[:, 0].copy()
        self.T = semidefinite_root(model.teacher_overlap)
        self.orthogonal = not (self.T - np.diag(np.diagonal(self.T))).any()  # teacher rows, as they are by default
        self.block = max(BLOCK, p // 2)
        width = p_star + p + min(self.block, N - p - p_star)
        self.rows = np.zeros((p, width))
        self.rows[:, : p_star + p] = start_rows(model, start, N, self.T, start_sequence)
        count = self.block * (width + model.rule.noises(model))
        self.numbers = np.zeros(-(-count // (2 * LANES)) * 2 * LANES)
        self.X = self.numbers[: self.block * width].reshape(self.block, width)
        self.noise = self.numbers[self.block * width : count]
        self.C, self.scale, self.moved = np.zeros((self.block, p)), np.ones(p), np.empty_like(self.rows)
        self.fields, self.teacher_fields = np.empty((self.block, p)), np.empty((self.block, p_star))
        self.gram = np.empty((self.block, self.block))
        self.scalars = model.rule.scalars(model).copy()
        self.parameters = model.rule.parameters(model.fastest)
        self.rule = step_function(model.rule.step(model), lanes=False)

    def advance(self, stop: int) -> bool:
        """Run up to `stop` samples in all, or a bounded part of the way; return False where the run diverged."""
        model, stop = self.model, min(stop, self.step + max(self.block, NUMBERS_A_CALL // self.rows.size))
        origin, rates = self.step, sample_rates(model, self.N, self.step, stop)
        while self.step < stop:
            first = self.step % self.block
            if first == 0:
                self._open()
            last = min(self.block, first + stop - self.step)
            done = learn_kernel(
                self.fields, self.teacher_fields, self.gram, self.noise, self.C, self.scale, self.scalars, first, last,
                self.rule.pointer, self.parameters, rates[self.step - origin :], self.N, model.weight_decay,
                model.readout_decay, model.spherical, self.limit,
            )  # fmt: skip
            self.step += done - first
            if done < last:
                self.ended[0] = self.step
                return False
            if last == self.block:
                self._close()
        return True

    def trained(self) -> np.ndarray:
        """Return the trained scalars, shape (1, n_scalars)."""
        return self.scalars[None]

    def overlaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the present weights, shapes (1, p, p_star) and (1, p, p)."""
        rows = self.rows
        if self.step % self.block:  # a block is not done: as it would be, and the run does not notice
            self._move()
            rows = self.moved
        return (rows[:, : self.model.p_star] @ self.T.T)[None], (rows @ rows.T)[None]

    def held(self, run: int) -> dict[str, np.ndarray]:
        """Return views of what the run needs to go on, by name."""
        return {name: getattr(self, name) for name in self.HELD}

    def _open(self):
        """Draw a block of inputs; take what all its samples need at the old weights."""
        p, p_star = self.model.p, self.model.p_star
        fill(self.state, self.numbers, GAUSSIAN)
        bartlett_kernel(self.X, p_star + p, self.N - p - p_star, self.redraw_state)
        np.matmul(self.X[:, : p_star + p], self.rows[:, : p_star + p].T, out=self.fields)
        if self.orthogonal:
            np.multiply(self.X[:, :p_star], np.diagonal(self.T), out=self.teacher_fields)
        else:
            np.matmul(self.X[:, :p_star], self.T.T, out=self.teacher_fields)
        np.matmul(self.X, self.X.T, out=self.gram)
        self.C[:], self.scale[:] = 0.0, 1.0

    def _move(self):
        """Write the rows with the steps of the block so far, which take all columns, to `moved`."""
        np.matmul(self.C.T, self.X, out=self.moved)
        self.moved += self.rows
        if self.model.weight_decay:
            self.moved *= self.scale[:, None]
        if self.model.spherical:
            self.moved /= np.sqrt(np.einsum("kj,kj->k", self.moved, self.moved))[:, None]

    def _close(self):
        """Take the steps of the whole block, and bring the rows back to p_star + p columns."""
        self._move()
        self.rows, self.moved = self.moved, self.rows
        triangulate(self.rows, self.model.p_star)


@njit(cache=True, nogil=True, error_model="numpy")
def bartlett_kernel(X, first, degrees, redraw_state):
    """Turn the normal numbers from column `first` on into B: zeros above the diagonal, chi-distributed lengths on it.

    One degree of freedom is a normal number, whose sign is free. Others are drawn as in `draw_kernel`.
    """
    for s in range(X.shape[1] - first):
        X[s, first + s + 1 :] = 0.0
        d = 0.5 * (degrees - s) - 1.0 / 3.0
        if d > 0.5:
            x = decide_kernel(-np.inf, 1.0, d, redraw_state)  # no candidate yet
            X[s, first + s] = math.sqrt(2.0 * d * (1.0 + x / math.sqrt(9.0 * d)) ** 3)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def learn_kernel(
    fields, teacher_fields, gram, noise, C, scale, scalars, first, last, rule, parameters, learning_rates, N,
    weight_decay, readout_decay, spherical, limit,
):  # fmt: skip
    """Go through samples `first` to `last` of a block; write their C; return the sample reached, earlier if diverged.

    `fields` and `teacher_fields` hold lambda at the old rows, which is overwritten by lambda at the sample's turn, and
    mu, one row a sample. The rows are now scale (old rows + C^T X). `learning_rates` has those of the samples, if any.
    """
    prefer_wide_vectors()
    block, p = C.shape
    noises, rate = noise.shape[0] // block, 1.0 / N
    keep, keep_scalars = 1.0 - rate * weight_decay, 1.0 - rate * readout_decay
    size, change, scalar_change = np.empty(1), np.empty(p), np.empty(scalars.shape[0])
    for s in range(first, last):
        lam, inner = fields[s], gram[s]
        for t in range(0, s - 3, 4):  # four at a time: lambda is read and written less often
            c0, c1, c2, c3 = C[t], C[t + 1], C[t + 2], C[t + 3]
            x0, x1, x2, x3 = inner[t], inner[t + 1], inner[t + 2], inner[t + 3]
            for k in range(p):
                lam[k] += x0 * c0[k] + x1 * c1[k] + x2 * c2[k] + x3 * c3[k]
        for t in range(s - s % 4, s):
            c0, x0 = C[t], inner[t]
            for k in range(p):
                lam[k] += x0 * c0[k]
        longest = 0.0
        for k in range(p):
            lam[k] *= scale[k]
            longest += lam[k] * lam[k]
        if not longest < limit:  # true for nan too
            return s
        size[0] = rate * inner[s]
        mu = teacher_fields[s]
        if learning_rates.shape[0] > 0:
            parameters[0] = learning_rates[s - first]
        call_step(rule, lam, mu, noise, s * noises, noises, size, scalars, parameters, change, scalar_change)
        step = C[s]
        for k in range(p):
            step[k] = rate * change[k]
        if weight_decay > 0.0 or spherical:
            for k in range(p):
                c = step[k]
                scale[k] *= keep
                step[k] = c / scale[k]
                if spherical:
                    scale[k] /= math.sqrt(keep * keep + 2.0 * keep * c * lam[k] + c * c * inner[s])
        for i in range(scalars.shape[0]):
            scalars[i] = keep_scalars * scalars[i] + rate * scalar_change[i]
    return last

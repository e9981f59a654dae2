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

Weights and inputs are kept in panels of columns, (n_panels, rows, width), each in one piece, so that a panel of both
stays in cache between its products; columns past N are zero. Student rows come first, teacher rows after them.

The numbers of the inputs are drawn by themselves: always 8 rows, tile by tile, so that neither panels nor the size of
a block changes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._compiled import step_function
from .._frames import impose_overlaps, random_teacher
from .._linear_algebra import weighted_sum
from .._random import run_sequence
from .._states import unfold
from ..model import TeacherStudent
from ..overlaps import Overlaps
from .products import WHOLE
from .random_numbers import GAUSSIAN, LANES, LAWS, fill, stream_state
from .sample_rates import sample_rates
from .weights_kernels import DRAWN, advance_kernel, block_kernel

__all__ = ["PRECISIONS", "WeightsRun", "block_size"]

PRECISIONS: dict[str, Any] = {"double": np.dtype(np.float64), "single": np.dtype(np.float32)}
TILE = 1024  # columns at most of the inputs that are drawn together
PIECE = 32  # columns: tiles and panels are made of them
PANEL = 256  # columns at most; a panel of a block and of four rows of weights fits the first-level cache
CACHE = 3 * 2**20  # bytes; larger weights are far away, and worth a larger Gram matrix
SAMPLES_A_CALL = 4_000_000  # inputs' components between two looks at the clock and at the stop flag


def block_size(rows: int, N: int, itemsize: int) -> int:
    """Return how many samples are learned together, a multiple of DRAWN (benchmarks/weights_engine.py)."""
    return 32 if rows * N * itemsize > CACHE else 8


def even_width(N: int, most: int, unit: int) -> tuple[int, int]:
    """Return in how many equal parts of at most `most` columns N columns are cut, and their width in whole units."""
    parts = -(-N // most)
    return parts, -(-N // (unit * parts)) * unit


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
    precision : {"double", "single"}
        Of weights and inputs. Whatever has no axis of length N is double.

    Attributes
    ----------
    HELD : tuple of str
        The arrays that the run needs to go on.
    """

    HELD: tuple[str, ...] = ("W", "X", "noise", "state", "noise_state", "scalars")

    def __init__(
        self,
        model: TeacherStudent,
        start: Overlaps | tuple[np.ndarray, np.ndarray] | None,
        N: int,
        sequence: np.random.SeedSequence,
        inputs: str | Iterator[np.ndarray],
        limit: float,
        precision: str = "double",
    ) -> None:
        self.model, self.N, self.limit = model, N, limit
        self.law = LAWS[inputs] if isinstance(inputs, str) else None
        self.rows = None if isinstance(inputs, str) else inputs
        self.runs, self.ended, self.exhausted = 1, np.full(1, -1), False
        inputs_sequence, noise_sequence, start_sequence = (run_sequence(sequence, i) for i in range(3))
        self.state, self.noise_state = stream_state(inputs_sequence), stream_state(noise_sequence)
        rule = model.rule
        self.noise = np.zeros((2 * LANES, rule.noises(model)))
        self.scalars = rule.scalars(model).copy()
        self.parameters, self.rule = rule.parameters(model.fastest), step_function(rule.step(model), lanes=False)
        self.tile = even_width(N, TILE, PIECE)[1]  # DRAWN of its rows are then a multiple of 2 LANES
        panels, width = even_width(N, PANEL, WHOLE)
        kind, rows = PRECISIONS[precision], model.p + model.p_star
        self.block = block_size(rows, N, kind.itemsize)
        self.X = np.zeros((panels, self.block, width), kind)
        W = np.zeros((panels, rows, width))
        self._place(W, start, np.random.default_rng(start_sequence))
        self.W = W.astype(kind, copy=False)
        self.numbers = np.zeros(DRAWN * self.tile)
        self.scales = np.zeros((0, 0)) if model.inputs is None else np.zeros((panels, width))
        if model.inputs is not None:
            write(self.scales[:, None], 0, model.inputs.scales(N)[None])
        self.step = 0

    def _place(self, W, start, rng):
        model, N, p = self.model, self.N, self.model.p
        if isinstance(start, tuple):
            for weights, rows in ((start[0], slice(0, p)), (start[1], slice(p, None))):
                write(W[:, rows], 0, weights)
            return
        if model.inputs is not None:
            self._place_blocks(W, start, rng)
            return
        for first in range(0, N, self.tile):
            write(W, first, rng.standard_normal((W.shape[1], min(self.tile, N - first))))
        if isinstance(start, Overlaps):
            impose_overlaps(W, N, start.joint)
            return
        impose_overlaps(W[:, p:], N, model.teacher_overlap)
        if model.spherical:
            W[:, :p] /= np.sqrt(np.einsum("tki,tki->k", W[:, :p], W[:, :p]) / N)[:, None]

    def _place_blocks(self, W, start, rng):
        model, N, p = self.model, self.N, self.model.p
        if start is not None:
            write(W, 0, np.vstack(start.realise(N, rng)))
            return
        student = rng.standard_normal((p, N))
        if model.spherical:
            student *= np.sqrt(N) / np.linalg.norm(student, axis=1, keepdims=True)
        write(W, 0, np.vstack([student, random_teacher(model, N, rng)]))

    def advance(self, stop: int) -> bool:
        """Run up to `stop` samples in all, or a bounded part of the way; return False where the run ended."""
        chunk = max(self.block, SAMPLES_A_CALL // self.N)
        stop = min(stop, self.step + chunk)
        going = self._advance_rows(stop) if self.law is None else self._advance_law(stop)
        if not going:
            self.ended[0] = self.step
        return going

    def trained(self) -> np.ndarray:
        """Return the trained scalars, shape (1, n_scalars)."""
        return self.scalars[None]

    def overlaps(self, W: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the present weights, or of others in panels, shapes (1, p, p_star) and (1, p, p)."""
        p, inputs = self.model.p, self.model.inputs
        if inputs is not None:
            M, Q = self.block_overlaps(W)
            return weighted_sum(inputs.eigenvalues, M), weighted_sum(inputs.eigenvalues, Q)
        panels = (panel.astype(np.float64, copy=False) for panel in (self.W if W is None else W))
        gram = sum((panel[:p] @ panel.T for panel in panels), np.zeros(())) / self.N
        return gram[None, :, p:], (gram[None, :, :p] + gram[:, :p].T) / 2

    def block_overlaps(self, panels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the same in each block, shapes (1, B, p, p_star) and (1, B, p, p)."""
        W, W_star = self.weights(panels)
        ends = np.cumsum(self.model.inputs.sizes(self.N))[:-1]  # type: ignore[union-attr]
        student, teacher = np.split(W, ends, axis=1), np.split(W_star, ends, axis=1)
        M, Q = ([w @ x.T / self.N for w, x in zip(student, other)] for other in (teacher, student))
        return np.array(M)[None], np.array(Q)[None]

    def held(self, run: int) -> dict[str, np.ndarray]:
        """Return views of what the run needs to go on, by name."""
        return {name: getattr(self, name) for name in self.HELD}

    def weights(self, panels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the present W and W*, or those in panels, shapes (p, N) and (p_star, N), in double precision."""
        rows = unfold(self.W if panels is None else panels, self.N).astype(np.float64, copy=False)
        return rows[: self.model.p], rows[self.model.p :]

    def _constants(self, stop):
        model = self.model
        rates = sample_rates(model, self.N, self.step, stop)
        decays = float(model.weight_decay), float(model.readout_decay)
        rule = self.rule.pointer, self.parameters, rates, self.scalars
        return *rule, model.p, self.N, *decays, model.spherical, self.limit

    def _advance_law(self, stop):
        reached = advance_kernel(
            self.W, self.X, self.numbers, self.scales, self.noise, self.state, self.noise_state, self.law, self.step,
            stop, *self._constants(stop),
        )  # fmt: skip
        self.step, done = reached, reached == stop
        return done

    def _advance_rows(self, stop):
        while self.step < stop:
            # As with a law, sample n has number n of the noise wherever a record cuts a block.
            first = self.step % self.block
            rows = list(itertools.islice(self.rows, min(self.block - first, stop - self.step)))
            if not rows:
                self.exhausted = True
                return False
            write(self.X, 0, np.array(rows))
            offset = self.step % len(self.noise)
            if offset == 0 and self.noise.size:
                fill(self.noise_state, self.noise.reshape(-1), GAUSSIAN)
            done = block_kernel(
                self.W, self.X, 0, len(rows), self.noise[offset:], *self._constants(self.step + len(rows))
            )
            self.step += done
            if done < len(rows):
                return False
        return True


def write(panels: np.ndarray, first: int, rows: np.ndarray) -> None:
    """Write rows, shape (n, columns), into the first rows of the panels, from column `first` on."""
    width, last = panels.shape[2], first + rows.shape[1]
    for t in range(first // width, -(-last // width)):
        start, stop = max(first, t * width), min(last, (t + 1) * width)
        panels[t, : len(rows), start - t * width : stop - t * width] = rows[:, start - first : stop - first]

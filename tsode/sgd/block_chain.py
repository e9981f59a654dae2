r"""The chain of the overlaps for inputs whose covariance has blocks, with batches, momentum and running averages.

In block b, of :math:`N_b` coordinates of variance :math:`s_b^2`, the rows are those of `tsode.sgd.general_chain`, in a
basis of their own: :math:`[A^b | L^b]` of the student, its velocity and its average. An input has there :math:`s_b`
times the Gaussian :math:`u^b, g^b` and, of the other coordinates, :math:`s_b` times the triangular factor :math:`F^b`
of a Gaussian matrix. All blocks step with one C, which the preactivations decide,

.. math::
    \lambda = \sum_b s_b (A^b u^b + L^b g^b) , \qquad \mu = \sum_b s_b T^b u^b ,

and each is brought back to a triangle by itself. A block with no more coordinates than a basis would have keeps them as
they are: nothing is left over and nothing is rotated. The numbers of an input are multiplied by :math:`s_b` when they
come up; all that follows is done as for isotropic ones. The cost is linear in the number of blocks.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .._frames import block_frames, random_frames
from .._lanes import every, fma, load, store
from .._linear_algebra import weighted_sum
from .chain_draws import lengths
from .chain_sweeps import retire
from .general_chain import GeneralRuns, row_count
from .general_sweeps import finish, inside, learn, outside
from .random_numbers import normal_lanes
from .reflections import lower_triangle
from .running_average import average_rows

__all__ = ["BlockRuns"]


class BlockRuns(GeneralRuns):
    """A few runs in lockstep, or one alone, with the interface of `tsode.sgd.general_chain.GeneralRuns`.

    Parameters
    ----------
    models, starts, N, sequences, limit
        As there; the models have inputs.

    Attributes
    ----------
    rows : ndarray, shape (row_count, span, lanes)
        The student's rows, and those of its velocity and its average below, block beside block; the last axis is
        missing for one run.
    T : ndarray, shape (p_star, span, lanes)
        The teacher's.
    layout : ndarray of int, shape (B, 4)
        Of each block: how many numbers its rows have; how many columns, at most, the other coordinates add; how many of
        these there are; and how many numbers come before it in a row.
    """

    HELD = (*GeneralRuns.HELD, "T")

    def _lay_out(self):
        inputs, total = self.model.inputs, row_count(self.model)
        assert inputs is not None
        sizes = inputs.sizes(self.N)
        spans = np.minimum(sizes, self.model.p_star + total)
        before, columns = np.concatenate([[0], np.cumsum(spans)[:-1]]), np.minimum(self.m, sizes - spans)
        self.layout = np.array([spans, columns, sizes - spans, before]).T.copy()
        self.scales = np.sqrt(inputs.eigenvalues)
        span = int(spans.sum())
        return span, span, int((spans + columns).max()), int(columns.sum())

    def _place(self, here, model, start, sequence):
        """Write the rows of a start, or of random weights."""
        rng, p = np.random.default_rng(sequence), model.p
        frames = random_frames(model, self.N, 1.0, rng) if start is None else block_frames(start, self.N)
        for rows, (_, _, _, first) in zip(frames, self.layout):
            self.rows[:p, first : first + rows.shape[1]][here] = rows[:p]
            self.T[:, first : first + rows.shape[1]][here] = rows[p:]

    def _run(self, *given):
        return block_kernel(self.layout, self.scales, *given)

    def averaged(self) -> tuple[np.ndarray, ...]:
        """Return the same of the running average, and its M and Q in each block."""
        return *super().averaged(), *self.block_overlaps(len(self.rows) - self.model.p)

    def block_overlaps(self, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the runs in each block, shapes (runs, B, p, p_star) and (runs, B, p, p)."""
        student = self.rows[first : first + self.model.p]
        rows, T = (np.moveaxis(x.reshape(*x.shape[:2], -1), 2, 0)[: self.runs] for x in (student, self.T))
        M, Q = [], []
        for span, _, _, before in self.layout:
            here = rows[..., before : before + span].copy()
            M.append(here @ np.swapaxes(T[..., before : before + span], 1, 2))
            Q.append(here @ np.swapaxes(here, 1, 2))
        return np.stack(M, axis=1), np.stack(Q, axis=1)

    def overlaps(self, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the runs, the covariance of the preactivations."""
        weights = self.scales**2
        M, Q = self.block_overlaps(first)
        return weighted_sum(weights, M), weighted_sum(weights, Q)


@njit(cache=True, nogil=True, error_model="numpy")
def block_kernel(
    layout, scales, rule, parameters, learning_rates, newest, scalars, velocity, averages, rows, flat_rows, part, C, v,
    T, work, numbers, flat_numbers, batches, m, noises, state, redraw_state, ended, step, stop, batch, N, weight_decay,
    readout_decay, momentum, spherical, limit,
):  # fmt: skip
    """Run batches until `stop` samples are done; write into `ended` when a run diverged; return how many are done.

    The numbers of a batch are the inputs in the rows' directions and the noise, sample by sample, and what the other
    coordinates of each block add.
    """
    p, span = C.shape[0], rows.shape[1]
    a_sample, rate = span + noises, 1.0 / (batch * N)
    a_batch = a_sample * batch + m * layout[:, 1].sum()
    keep, target, origin = 1.0 - weight_decay / N, p if momentum > 0.0 else 0, step
    uniform = np.empty(redraw_state.shape[1])
    while step < stop:
        if learning_rates.shape[0] > 0:
            store(parameters, 0, learning_rates[step - origin])
        first = (step // batch) % batches * a_batch
        if first == 0:
            normal_lanes(state, flat_numbers)
        root = first + a_sample * batch
        rest = scale_numbers(
            numbers, flat_numbers, first, root, a_sample, batch, m, layout, scales, redraw_state, uniform
        )  # fmt: skip
        for i in range(velocity.shape[0]):
            store(velocity, i, momentum * load(velocity, i))
        fine = load(ended, 0) < np.inf  # all of them
        for s in range(batch):
            longest = learn(
                rule, parameters, scalars, velocity, rows, rows, C, T, work, numbers, first + s * a_sample, noises,
                target, rest, s, batch, N,
            )  # fmt: skip
            fine = fine & (longest < load(limit, 0))  # nan is not
        for k in range(rows.shape[0]):
            factor = keep if k < p else momentum if k < target + p else 1.0
            for j in range(span):
                store(rows, k, j, factor * load(rows, k, j))
        inside(rows, C, numbers, first, a_sample, span, target, rate)
        if m < batch:
            lower_triangle(C, 0, v)
        for b in range(layout.shape[0]):
            size, columns, before = layout[b, 0], layout[b, 1], layout[b, 3]
            spread(rows, part, size, before)
            outside(part, C, numbers, root, m, columns, size, target, rate)
            root += m * columns
            finish(part, p, momentum, False)
            if columns > 0:
                lower_triangle(part, T.shape[0], v)
            gather(part, rows, size, before)
        if spherical:
            finish(rows, p, 0.0, True)
        for i in range(scalars.shape[0]):
            store(scalars, i, fma(1.0 - readout_decay / N, load(scalars, i), load(velocity, i)))
        if newest.shape[0] > 0:
            average_rows(rows, scalars, averages, p, newest[step - origin])
        step += batch
        if not every(fine):
            retire(flat_rows, scalars, fine, ended, step)
    return step


@njit(inline="always", error_model="numpy")
def scale_numbers(
    numbers, flat_numbers, first, root, a_sample, batch, m, layout, scales, redraw_state, uniform
):  # fmt: skip
    """Give the numbers of each block their standard deviation; return the length that one sample has besides."""
    squares = 0.0 * load(numbers, first)
    for b in range(layout.shape[0]):
        columns = layout[b, 1]
        for s in range(batch):
            place = first + s * a_sample + layout[b, 3]
            for j in range(layout[b, 0]):
                store(numbers, place + j, scales[b] * load(numbers, place + j))
        lengths(flat_numbers, root, columns, layout[b, 2], redraw_state, uniform)
        for i in range(m * columns):
            store(numbers, root + i, scales[b] * load(numbers, root + i))
        if columns > 0:
            x = load(numbers, root)
            squares = fma(x, x, squares)
        root += m * columns
    return np.sqrt(squares)


@njit(inline="always", error_model="numpy")
def spread(rows, part, span, before):
    """Copy the rows of one block, with zeros behind them."""
    for k in range(rows.shape[0]):
        for j in range(span):
            store(part, k, j, load(rows, k, before + j))
        for j in range(span, part.shape[1]):
            store(part, k, j, 0.0 * load(rows, k, 0))


@njit(inline="always", error_model="numpy")
def gather(part, rows, span, before):
    """Copy them back."""
    for k in range(rows.shape[0]):
        for j in range(span):
            store(rows, k, before + j, load(part, k, j))

r"""The chain of the overlaps for batches, and for steps that mix rows: momentum and running averages.

The state is that of `tsode.sgd.chain`, rows [A | L] in an orthonormal basis that starts with the teacher's span: the
student's w and, below, its velocity m and its running average, where there are. A batch of S samples gives, all at the
same weights, the steps C, shape (p, S), and

.. math::
    G = \frac{1}{S \sqrt N} \sum_s C_s x_s^T , \qquad m \leftarrow \beta m + G , \qquad
    w \leftarrow (1 - \kappa / N)\, w + m .

In the directions of A and L the inputs are the Gaussian U and G. The other n coordinates of all inputs are a Gaussian
S x n matrix R that is independent of C. So the law of C R, given C, depends on :math:`C C^T` alone: C may be replaced
by any root K of it, of m = min(p, S) columns, and R by the lower triangular factor F of an m x n Gaussian matrix, up to
a rotation of the basis, which is free there (Bartlett 1933):

.. math::
    F_{kk}^2 \sim \chi^2_{n - k} \quad (k = 0, 1, \dots), \qquad F_{kj} \sim \mathcal N(0, 1) \quad (j < k) .

The columns K F go beside those of A and L, and reflections from the right bring all of them back to a triangle. For one
sample F is the length of the input outside of the span, and K is C itself: then C may depend on :math:`|x|^2` too. All
is orthogonal: nothing is subtracted, Q stays positive semidefinite. Runs go in lockstep as there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from .._compiled import step_function
from .._lanes import WIDTH, aligned, every, fma, load, store
from .._linear_algebra import semidefinite_root
from .._random import run_sequence
from ..model import TeacherStudent
from ..overlaps import Overlaps
from .chain import SUBSTREAMS, start_rows
from .chain_draws import lengths
from .chain_sweeps import retire
from .general_sweeps import finish, inside, learn, outside
from .random_numbers import normal_lanes, stream_state
from .reflections import lower_triangle
from .running_average import average_rows, newest_weights
from .sample_rates import sample_rates

__all__ = ["GeneralRuns", "row_count"]

NUMBERS = 512  # normal numbers of a run that are drawn together, at least
STEPS_A_CALL = 1 << 22  # samples times runs times rows times columns between two looks at the stop flag


def row_count(model: TeacherStudent) -> int:
    """Return how many rows evolve: those of the student, of its velocity, and of its running average."""
    return model.p * (1 + bool(model.momentum) + (model.averaging is not None))


class GeneralRuns:
    """A few runs in lockstep, or one alone, with the interface of `tsode.sgd.chain.ChainRuns`.

    Parameters
    ----------
    models, starts, N, sequences, limit
        As there; N is at least p_star and the number of rows.

    Attributes
    ----------
    HELD : tuple of str
        The arrays that a run needs to go on.
    rows : ndarray, shape (row_count, p_star + row_count, lanes)
        [A | L] of the student, and below of its velocity and its average; the last axis is missing for one run.
    scalars, velocity, averages : ndarray, shape (n_scalars, lanes)
        What is trained beside the rows, how it moves, and its average.
    ended : ndarray, shape (lanes,)
        Sample at which a run diverged, or -1.
    """

    HELD: tuple[str, ...] = ("rows", "scalars", "velocity", "numbers", "state", "redraw_state")
    exhausted = False

    def __init__(
        self,
        models: Sequence[TeacherStudent],
        starts: Sequence[Overlaps | None],
        N: int,
        sequences: Sequence[np.random.SeedSequence],
        limit: float | np.ndarray,
    ) -> None:
        model = models[0]
        self.model, self.N, self.runs, self.step = model, N, len(sequences), 0
        p, p_star, total, last = model.p, model.p_star, row_count(model), (WIDTH,) if self.runs > 1 else ()
        self.noises, self.m = model.rule.noises(model), min(p, model.batch_size)
        span, teacher_span, longest, columns = self._lay_out()
        self.rows, self.T = aligned((total, span, *last)), aligned((p_star, teacher_span, *last))
        self.wide = aligned((total, longest, *last))
        self.state, self.redraw_state = aligned((4, SUBSTREAMS, *last), np.uint64), aligned((4, *last), np.uint64)
        scalars, parameters = model.rule.scalars(model), model.rule.parameters(model.fastest)
        averaged = 0 if model.averaging is None else len(scalars)
        self.scalars, self.velocity, self.averages, self.parameters, self.limit = (
            aligned((count, *last)) for count in (len(scalars), len(scalars), averaged, len(parameters), 1)
        )
        if model.averaging is not None:
            self.HELD = (*self.HELD, "averages")
        limits = np.broadcast_to(limit, self.runs)
        for lane in range(WIDTH if last else 1):  # lanes without a run repeat the first
            run = lane if lane < self.runs else 0
            numbers, redraws, start_sequence = (run_sequence(sequences[run], i) for i in range(3))
            here, each = ((..., lane) if last else (...,)), models[run]
            self.scalars[here], self.parameters[here] = each.rule.scalars(each), each.rule.parameters(each.fastest)
            self.limit[here] = limits[run]
            self.state[here] = stream_state(numbers, SUBSTREAMS)
            self.redraw_state[here] = stream_state(redraws, 1)[:, 0]
            self._place(here, each, starts[run], start_sequence)
        if model.averaging is not None:
            self.rows[-p:], self.averages[:] = self.rows[:p], self.scalars
        a_batch = (span + self.noises) * model.batch_size + self.m * columns
        self.batches = max(1, NUMBERS // a_batch)
        count = -(-self.batches * a_batch // (2 * SUBSTREAMS)) * 2 * SUBSTREAMS
        self.numbers, self.C = aligned((count, *last)), aligned((p, model.batch_size, *last))
        self.work = aligned((2 * p + p_star + 1 + len(scalars), *last))
        self.v = aligned((max(model.batch_size, longest), *last))
        self.ended = aligned((*last,) or (1,))
        self.ended[:] = -1
        self.rule = step_function(model.rule.step(model), lanes=bool(last))

    def _lay_out(self):
        """Return how many numbers a row has, and the teacher's, and the longest with what a batch adds; and how many.

        The last is the number of columns that a batch adds in all.
        """
        p_star = self.model.p_star
        span = p_star + row_count(self.model)
        columns = min(self.m, self.N - span)
        return span, p_star, span + columns, columns

    def _place(self, here, model, start, sequence):
        """Write the rows of a start, or of random weights, into the lane `here`."""
        T = semidefinite_root(model.teacher_overlap)
        self.T[here] = T
        self.rows[: model.p, : model.p_star + model.p][here] = start_rows(model, start, self.N, T, sequence)

    def advance(self, stop: int) -> bool:
        """Run up to `stop` samples in all, or a bounded part of the way; return False where no run is left."""
        model, batch = self.model, self.model.batch_size
        stop = min(stop, self.step + max(1, STEPS_A_CALL // (self.rows.size * batch)) * batch)
        rows = self.rows.reshape(self.rows.shape[0] * self.rows.shape[1], *self.rows.shape[2:])
        ended = self.ended.reshape(1, *self.rows.shape[2:])
        samples = model, self.N, self.step, stop
        self.step = self._run(
            self.rule.pointer, self.parameters, sample_rates(*samples), newest_weights(*samples), self.scalars,
            self.velocity, self.averages, self.rows, rows, self.wide, self.C, self.v, self.T, self.work, self.numbers,
            self.numbers.reshape(-1), self.batches, self.m, self.noises, self.state.reshape(4, -1),
            self.redraw_state.reshape(4, -1), ended, self.step, stop, batch, self.N, float(model.weight_decay),
            float(model.readout_decay), float(model.momentum), model.spherical, self.limit,
        )  # fmt: skip
        return bool((self.ended[: self.runs] < 0).any())

    def _run(self, *given):
        return general_kernel(*given)

    def held(self, run: int) -> dict[str, np.ndarray]:
        """Return views of what one run needs to go on, by name."""
        here = (..., run) if self.rows.ndim > 2 else (...,)
        return {name: getattr(self, name)[here] for name in self.HELD}

    def trained(self) -> np.ndarray:
        """Return the trained scalars of the runs, shape (runs, n_scalars)."""
        return self.scalars.T.reshape(self.ended.size, len(self.scalars))[: self.runs]

    def averaged(self) -> tuple[np.ndarray, ...]:
        """Return M, Q and trained scalars of the running average, as `overlaps` and `trained` do."""
        return *self.overlaps(len(self.rows) - self.model.p), self.averages.T.reshape(self.ended.size, -1)[: self.runs]

    def overlaps(self, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the runs, of the rows from `first` on, shapes (runs, p, p_star) and (runs, p, p)."""
        rows = self.rows[first : first + self.model.p]
        rows = np.moveaxis(rows.reshape(*rows.shape[:2], -1), 2, 0)[: self.runs].copy()
        T = self.T if self.T.ndim == 2 else self.T[..., 0]  # the same for all
        return rows[:, :, : self.model.p_star] @ T.T, rows @ np.swapaxes(rows, 1, 2)


@njit(cache=True, nogil=True, error_model="numpy")
def general_kernel(
    rule, parameters, learning_rates, newest, scalars, velocity, averages, rows, flat_rows, wide, C, v, T, work,
    numbers, flat_numbers, batches, m, noises, state, redraw_state, ended, step, stop, batch, N, weight_decay,
    readout_decay, momentum, spherical, limit,
):  # fmt: skip
    """Run batches until `stop` samples are done; write into `ended` when a run diverged; return how many are done.

    `learning_rates` are those of the samples, and `newest` what the weights count in their average, or empty.
    """
    p, span, columns = C.shape[0], rows.shape[1], wide.shape[1] - rows.shape[1]
    a_sample = span + noises
    a_batch = a_sample * batch + m * columns
    keep, target, origin = 1.0 - weight_decay / N, p if momentum > 0.0 else 0, step
    uniform = np.empty(redraw_state.shape[1])
    while step < stop:
        if learning_rates.shape[0] > 0:
            store(parameters, 0, learning_rates[step - origin])
        first = (step // batch) % batches * a_batch
        if first == 0:
            normal_lanes(state, flat_numbers)
        root = first + a_sample * batch
        lengths(flat_numbers, root, columns, N - span, redraw_state, uniform)
        for k in range(rows.shape[0]):
            factor = keep if k < p else momentum if k < target + p else 1.0
            for j in range(span):
                store(wide, k, j, factor * load(rows, k, j))
            for j in range(columns):
                store(wide, k, span + j, 0.0 * load(rows, k, 0))
        for i in range(velocity.shape[0]):
            store(velocity, i, momentum * load(velocity, i))
        fine = load(ended, 0) < np.inf  # all of them
        for s in range(batch):
            place = first + s * a_sample
            longest = learn(
                rule, parameters, scalars, velocity, rows, wide, C, T, work, numbers, place, noises, target,
                load(numbers, root) if columns > 0 else 0.0 * load(numbers, root), s, batch, N,
            )  # fmt: skip
            fine = fine & (longest < load(limit, 0))  # nan is not
        inside(wide, C, numbers, first, a_sample, span, target, 1.0 / (batch * N))
        if m < batch:
            lower_triangle(C, 0, v)
        outside(wide, C, numbers, root, m, columns, span, target, 1.0 / (batch * N))
        finish(wide, p, momentum, spherical)
        lower_triangle(wide, T.shape[0], v)
        for k in range(rows.shape[0]):
            for j in range(span):
                store(rows, k, j, load(wide, k, j))
        for i in range(scalars.shape[0]):
            store(scalars, i, fma(1.0 - readout_decay / N, load(scalars, i), load(velocity, i)))
        if newest.shape[0] > 0:
            average_rows(rows, scalars, averages, p, newest[step - origin])
        step += batch
        if not every(fine):
            retire(flat_rows, scalars, fine, ended, step)
    return step

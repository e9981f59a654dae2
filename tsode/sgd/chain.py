r"""The engine that holds only overlaps: for Gaussian inputs SGD at finite N is a Markov chain of p (p + p*) numbers.

In an orthonormal basis whose first p* directions span the teacher, write the student as
:math:`W / \sqrt N = [A | L]` with A of shape (p, p*) and, by a rotation of the other N - p* directions, L lower
triangular of shape (p, p). With :math:`P = T T^T`,

.. math::
    M = A T^T, \qquad Q = A A^T + L L^T .

A Gaussian input is Gaussian in any basis: u in the teacher's directions, g in the p directions of L, and of the
rest only its squared length matters, :math:`\rho^2 \sim \chi^2` with N - p - p* degrees of freedom. One sample
gives :math:`\lambda = A u + L g`, :math:`\mu = T u`, the error D, and with :math:`c = -2 \eta D\, v \lambda / N`

.. math::
    A \leftarrow A + c\, u^T, \qquad [L \,|\, 0] \leftarrow [L + c\, g^T \,|\, c \rho] .

Rotations from the right bring the p + 1 columns back to p. Those that turn :math:`(g, \rho)` into its length
:math:`w = (|g|^2 + \rho^2)^{1/2}` do not depend on c and keep L triangular if taken from the last column to the
first; they leave a column :math:`L g / w`, to which c adds :math:`c w`. That column is absorbed as in a
rank-one update of a Cholesky factor. All is orthogonal: nothing is subtracted, Q stays positive semidefinite.
A sample costs O(p (p + p*)) at any N, and there are alpha N of them. Nothing is approximated; the only N-dependent
number is :math:`\rho^2`, drawn exactly (Marsaglia & Tsang, ACM TOMS 26, 363 (2000)) for every N.

WIDTH runs go in lockstep, the last axis of every array being the run; a run alone has arrays without that axis. Run l
owns its columns of the random state, so its numbers do not depend on its neighbours, and the arithmetic of a run is the
same, to the bit, alone or in company.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from .._compiled import step_function
from .._frames import random_rows
from .._lanes import WIDTH, aligned
from .._linear_algebra import semidefinite_root
from .._random import run_sequence
from ..model import TeacherStudent
from ..overlaps import Overlaps
from .chain_kernel import chain_kernel
from .random_numbers import stream_state
from .sample_rates import sample_rates

__all__ = ["ChainRuns", "groups", "shared", "start_rows"]

SUBSTREAMS = 16  # generators of one run
BATCH = 2 * SUBSTREAMS  # samples whose numbers are drawn together; a pair of numbers a generator makes it even
ALONE = 3  # so many runs a thread are quicker one by one than in lockstep
STEPS_A_CALL = 1 << 22  # samples times runs times widths between two looks at the stop flag


def groups(runs: int, threads: int) -> list[range]:
    """Return the ranges of runs that go together: WIDTH of them, and one by one what is left over if it is little."""
    full = 0 if runs <= ALONE * threads else runs - runs % WIDTH
    together = [range(first, first + WIDTH) for first in range(0, full, WIDTH)]
    if runs - full <= ALONE * threads:
        return together + [range(run, run + 1) for run in range(full, runs)]
    return [*together, range(full, runs)]


def shared(model: TeacherStudent) -> Hashable:
    """Return what runs in lockstep have in common, whatever their models."""
    numbers = model.weight_decay, model.readout_decay, model.momentum, model.batch_size, model.schedule, model.averaging
    P = model.teacher_overlap.tobytes()
    return model.rule.step(model), model.p, model.p_star, model.spherical, P, model.inputs, numbers


class ChainRuns:
    """A few runs in lockstep, or one alone.

    Parameters
    ----------
    models : list of TeacherStudent
        What each run is, at most WIDTH; what :func:`shared` says is the same for all.
    starts : list of (Overlaps or None)
        Overlaps of each run, or None for Gaussian student weights of unit variance, drawn for each run.
    N : int
        Input dimension.
    sequences : list of numpy.random.SeedSequence
        One stream a run.
    limit : float or array_like, shape (runs,)
        Sum of squared preactivations that counts as diverged.

    Attributes
    ----------
    HELD : tuple of str
        The arrays, the last axis being the run, that a run needs to go on.
    A, L : ndarray, shape (p_star, p, lanes) and (p, p, lanes)
        The rows, column by column: ``A[r, k]`` is :math:`A_{kr}`; lanes without a run start at zero.
    scalars : ndarray, shape (n_scalars, lanes)
        What is trained beside the rows.
    ended : ndarray, shape (lanes,)
        Sample at which a run diverged, or -1.
    """

    HELD = ("A", "L", "state", "redraw_state", "normals", "rest", "scalars")
    exhausted = False

    def __init__(
        self,
        models: Sequence[TeacherStudent],
        starts: Sequence[Overlaps | None],
        N: int,
        sequences: Sequence[np.random.SeedSequence],
        limit: float | np.ndarray,
    ) -> None:
        model = self.model = models[0]
        self.N = N
        p, p_star, self.runs, self.step = model.p, model.p_star, len(sequences), 0
        lanes = WIDTH if self.runs > 1 else 1
        self.T = semidefinite_root(model.teacher_overlap)
        self.A, self.L = aligned((p_star, p, lanes)), aligned((p, p, lanes))
        self.state = aligned((4, SUBSTREAMS, lanes), np.uint64)
        self.redraw_state = aligned((4, lanes), np.uint64)
        for lane, (each, start, sequence) in enumerate(zip(models, starts, sequences)):
            numbers, redraws, start_sequence = (run_sequence(sequence, i) for i in range(3))
            self.state[..., lane] = stream_state(numbers, SUBSTREAMS)
            self.redraw_state[:, lane] = stream_state(redraws, 1)[:, 0]
            rows = start_rows(each, start, N, self.T, start_sequence)
            self.A[..., lane], self.L[..., lane] = rows[:, :p_star].T, rows[:, p_star:].T
        self.state[..., self.runs :] = self.state[..., :1]  # a generator of zeros would not be one
        self.redraw_state[:, self.runs :] = self.redraw_state[:, :1]
        self.ended = aligned((lanes,))
        self.ended[:] = -1
        self.noises = model.rule.noises(model)
        self.normals = aligned((BATCH, p + p_star + 1 + self.noises, lanes))
        self.rest = aligned((BATCH, lanes))
        parameters = np.array([each.rule.parameters(each.fastest) for each in models])
        self.parameters = aligned((parameters.shape[1], lanes))
        self.parameters[:] = parameters[0][:, None]  # of the lanes without a run, too
        self.parameters[:, : self.runs] = parameters.T
        self.limit = aligned((lanes,))
        self.limit[:] = np.max(limit)
        self.limit[: self.runs] = limit
        first = np.array([each.rule.scalars(each) for each in models])
        self.scalars = aligned((first.shape[1], lanes))
        self.scalars[:] = first[0][:, None]
        self.scalars[:, : self.runs] = first.T
        self.work = aligned((3 * p + p_star + 1 + first.shape[1], lanes))
        self.rule = step_function(model.rule.step(model), lanes > 1)

    def advance(self, stop: int) -> bool:
        """Run up to `stop` samples in all, or a bounded part of the way; return False where no run is left."""
        stop = min(stop, self.step + max(BATCH, STEPS_A_CALL // self.A.size))
        model, lanes = self.model, self.A.shape[2]
        rows = self.parameters, self.A, self.L, self.scalars, self.normals, self.rest, self.work, self.ended, self.limit
        parameters, A, L, scalars, normals, rest, work, ended, limit = (
            array.reshape(array.size // lanes, lanes) if lanes > 1 else array.reshape(-1) for array in rows
        )
        self.step = chain_kernel(
            self.rule.pointer, parameters, sample_rates(model, self.N, self.step, stop), A, L, self.T, scalars, normals,
            rest, self.normals, self.rest, self.noises, self.state, self.redraw_state, work, ended, self.step, stop,
            self.N, model.weight_decay, model.readout_decay, model.spherical, limit,
        )  # fmt: skip
        return bool((self.ended[: self.runs] < 0).any())

    def trained(self) -> np.ndarray:
        """Return the trained scalars of the runs, shape (runs, n_scalars)."""
        return self.scalars[:, : self.runs].T

    def held(self, run: int) -> dict[str, np.ndarray]:
        """Return views of what one run needs to go on, by name."""
        return {name: getattr(self, name)[..., run] for name in self.HELD}

    def overlaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the runs, shapes (runs, p, p_star) and (runs, p, p)."""
        A, L = (np.ascontiguousarray(array[..., : self.runs].T) for array in (self.A, self.L))
        return A @ self.T.T, A @ np.swapaxes(A, 1, 2) + L @ np.swapaxes(L, 1, 2)


def start_rows(
    model: TeacherStudent, start: Overlaps | None, N: int, T: np.ndarray, sequence: np.random.SeedSequence
) -> np.ndarray:
    """Return [A | L] of given overlaps or of random weights, shape (p, p_star + p), L lower triangular."""
    if start is None:
        return random_rows(model, N, 1.0, np.random.default_rng(sequence))
    return _rows_of(start, T)


def _rows_of(start, T):
    """Return [A | L] of given overlaps."""
    A = start.M @ np.linalg.pinv(T).T
    root = semidefinite_root(start.Q - A @ A.T)
    return np.hstack([A, np.linalg.qr(root.T, mode="r").T])

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

Several runs go in lockstep, the last axis of every array being the run, so that the inner loops become vector
instructions. Run l owns its columns of the random state, so its numbers do not depend on its neighbours.
"""

import math

import numpy as np
from numba import njit

from .._linear_algebra import semidefinite_root
from .._random import run_sequence
from ..overlaps import random_rows
from .chain_draws import draw_kernel
from .random_numbers import stream_state

__all__ = ["ChainRuns", "group_size"]

SUBSTREAMS = 16  # generators of one run
BATCH = 2 * SUBSTREAMS  # samples whose numbers are drawn together; a pair of numbers a generator makes it even
STEPS_A_CALL = 1 << 22  # samples times runs times widths between two looks at the stop flag


def group_size(runs, threads):
    """Return how many runs go in lockstep: a multiple of the vector length, 16 where every thread is still busy."""
    return 16 if runs >= 16 * threads else 8


class ChainRuns:
    """A few runs in lockstep.

    Parameters
    ----------
    model : TeacherStudent
        What is run.
    start : Overlaps or None
        Overlaps of all runs, or None for Gaussian student weights of unit variance, drawn for each run.
    N : int
        Input dimension.
    sequences : list of numpy.random.SeedSequence
        One stream a run.
    lanes : int
        Length of the run axis; lanes without a run stand still.
    limit : float
        Sum of squared preactivations that counts as diverged.
    """

    def __init__(self, model, start, N, sequences, lanes, limit):
        self.model, self.N, self.limit = model, N, limit
        p, p_star = model.p, model.p_star
        self.T = semidefinite_root(model.teacher_overlap)
        self.A, self.L = np.zeros((p, p_star, lanes)), np.zeros((p, p, lanes))
        self.state = np.zeros((4, SUBSTREAMS, lanes), dtype=np.uint64)
        self.redraw_state = np.zeros((4, lanes), dtype=np.uint64)
        for lane, sequence in enumerate(sequences):
            numbers, redraws, start_sequence = (run_sequence(sequence, i) for i in range(3))
            self.state[..., lane] = stream_state(numbers, SUBSTREAMS)
            self.redraw_state[:, lane] = stream_state(redraws, 1)[:, 0]
            if start is None:
                rows = random_rows(model, N, 1.0, np.random.default_rng(start_sequence))
            else:
                rows = _rows_of(start, self.T)
            self.A[..., lane], self.L[..., lane] = rows[:, :p_star], rows[:, p_star:]
        self.runs, self.step = len(sequences), 0
        self.state[..., self.runs :] = self.state[..., :1]  # a generator of zeros would not be one
        self.redraw_state[:, self.runs :] = self.redraw_state[:, :1]
        self.ended = np.full(lanes, -1)
        width = p + p_star + 1 + (model.noise_variance > 0)
        self.normals = np.empty((BATCH, width, lanes))
        self.rest = np.empty((BATCH, lanes))

    exhausted = False

    def advance(self, stop):
        """Run up to `stop` samples in all, or a bounded part of the way; return False where no run is left."""
        stop = min(stop, self.step + max(BATCH, STEPS_A_CALL // self.A[..., 0].size // self.A.shape[2]))
        model = self.model
        self.step = chain_kernel(
            self.A, self.L, self.normals, self.rest, self.state, self.redraw_state, self.ended, self.step, stop,
            model.student_readout, model.teacher_readout, self.T, model.learning_rate, self.N,
            math.sqrt(model.noise_variance), model.spherical, self.limit,
        )  # fmt: skip
        return bool((self.ended[: self.runs] < 0).any())

    def overlaps(self):
        """Return M, Q of the runs, shapes (runs, p, p_star) and (runs, p, p)."""
        A, L = (np.moveaxis(array[..., : self.runs], -1, 0) for array in (self.A, self.L))
        return A @ self.T.T, A @ np.swapaxes(A, 1, 2) + L @ np.swapaxes(L, 1, 2)


def _rows_of(start, T):
    """Return [A | L] of given overlaps, L lower triangular."""
    A = start.M @ np.linalg.pinv(T).T
    root = semidefinite_root(start.Q - A @ A.T)
    return np.hstack([A, np.linalg.qr(root.T, mode="r").T])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def chain_kernel(
    A, L, normals, rest, state, redraw_state, ended, step, stop,
    v, v_star, T, eta, N, noise_std, spherical, limit,
):  # fmt: skip
    """Run samples `step` to `stop`; write into `ended` the sample at which a run diverged; return `stop`.

    Sample n uses row n mod BATCH of the drawn numbers, which are renewed at its first row, so the result does
    not depend on where the run is interrupted for a record.
    """
    p, p_star, lanes = A.shape
    column = np.empty((p, lanes))
    lam = np.empty((p, lanes))
    error = np.empty(lanes)
    work = np.empty((4, lanes))
    while step < stop:
        row = step % normals.shape[0]
        if row == 0:
            draw_kernel(normals, rest, state, redraw_state, p + p_star, N - p - p_star)
        Z = normals[row]
        if noise_std > 0.0:
            for l in range(lanes):
                error[l] = -noise_std * Z[p + p_star + 1, l]
        else:
            for l in range(lanes):
                error[l] = 0.0
        bad = sample_kernel(A, L, Z, rest[row], column, lam, error, work, v, v_star, T, -2.0 * eta / N, limit)
        absorb_kernel(L, column, work[0], work[1])
        if spherical:
            normalise_kernel(A, L, work[0])
        step += 1
        if bad > 0:
            retire_kernel(A, L, lam, ended, step, limit)
    return step


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def sample_kernel(A, L, Z, rest, column, lam, error, work, v, v_star, T, rate, limit):
    """Learn one sample, all but the last rotations; return how many runs are beyond `limit`.

    Z holds u, then g. The rotations that collect (g, rho) are applied to the columns of L from last to first
    while L g is summed up for lambda; `column` comes out as the column L g / w + c w that is left over.
    """
    p, p_star, lanes = A.shape
    squares, root, keep, mix = work[0], work[1], work[2], work[3]
    for l in range(lanes):
        squares[l] = rest[l]
        root[l] = 1.0 / math.sqrt(rest[l]) if rest[l] > 0.0 else 0.0
    for k in range(p):
        for l in range(lanes):
            column[k, l] = 0.0
    for j in range(p - 1, -1, -1):
        for l in range(lanes):
            # cosine w_before / w and sine g / w; the collected column so far is `column` / w_before
            g = Z[p_star + j, l]
            total = squares[l] + g * g
            inverse = 1.0 / math.sqrt(total)
            keep[l] = inverse * squares[l] * root[l]
            mix[l] = inverse * root[l] * g
            squares[l] = total
            root[l] = inverse
        for k in range(j, p):
            for l in range(lanes):
                x = L[k, j, l]
                collected = column[k, l]
                L[k, j, l] = keep[l] * x - mix[l] * collected
                column[k, l] = collected + Z[p_star + j, l] * x
    for r in range(p_star):
        for l in range(lanes):
            keep[l] = 0.0
        for q in range(p_star):
            for l in range(lanes):
                keep[l] += T[r, q] * Z[q, l]
        for l in range(lanes):
            error[l] -= v_star[r] * keep[l] * keep[l]
    for l in range(lanes):
        mix[l] = 0.0
    for k in range(p):
        for l in range(lanes):
            lam[k, l] = column[k, l]
        for r in range(p_star):
            for l in range(lanes):
                lam[k, l] += A[k, r, l] * Z[r, l]
        for l in range(lanes):
            size = lam[k, l] * lam[k, l]
            error[l] += v[k] * size
            mix[l] += size
    bad = 0
    for l in range(lanes):
        bad += int(not (mix[l] < limit))  # nan counts too
    for k in range(p):
        for l in range(lanes):
            c = rate * v[k] * error[l] * lam[k, l]
            keep[l] = c
            column[k, l] = root[l] * (column[k, l] + c * squares[l])
        for r in range(p_star):
            for l in range(lanes):
                A[k, r, l] += keep[l] * Z[r, l]
    return bad


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def absorb_kernel(L, column, cosine, sine):
    """Rotate `column` into the triangular L, column by column, so that L L^T grows by column column^T."""
    p, lanes = column.shape
    for j in range(p):
        for l in range(lanes):
            x = L[j, j, l]
            y = column[j, l]
            length = math.sqrt(x * x + y * y)
            inverse = 1.0 / length if length > 0.0 else 0.0
            cosine[l] = x * inverse if length > 0.0 else 1.0
            sine[l] = y * inverse
            L[j, j, l] = length
        for k in range(j + 1, p):
            for l in range(lanes):
                x = L[k, j, l]
                y = column[k, l]
                L[k, j, l] = cosine[l] * x + sine[l] * y
                column[k, l] = cosine[l] * y - sine[l] * x


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def normalise_kernel(A, L, norm):
    """Rescale every row of [A | L] to unit length."""
    p, p_star, lanes = A.shape
    for k in range(p):
        for l in range(lanes):
            norm[l] = 0.0
        for r in range(p_star):
            for l in range(lanes):
                norm[l] += A[k, r, l] * A[k, r, l]
        for j in range(k + 1):
            for l in range(lanes):
                norm[l] += L[k, j, l] * L[k, j, l]
        for l in range(lanes):
            norm[l] = 1.0 / math.sqrt(norm[l]) if norm[l] > 0.0 else 0.0
        for r in range(p_star):
            for l in range(lanes):
                A[k, r, l] *= norm[l]
        for j in range(k + 1):
            for l in range(lanes):
                L[k, j, l] *= norm[l]


@njit(cache=True, nogil=True, error_model="numpy")
def retire_kernel(A, L, lam, ended, step, limit):
    """Note the runs beyond the limit and set them to zero, where they stay and disturb nobody."""
    p, lanes = lam.shape
    for l in range(lanes):
        size = 0.0
        for k in range(p):
            size += lam[k, l] * lam[k, l]
        if not size < limit:
            if ended[l] < 0:
                ended[l] = step
            A[:, :, l] = 0.0
            L[:, :, l] = 0.0

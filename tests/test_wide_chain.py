"""The chain in blocks of samples: replayed sample by sample, the law of what it draws, and when it is taken."""

import numpy as np
import pytest
from models import generic_start
from scipy import stats
from streams import chain_of, sequence_of

import tsode
from tsode.sgd.triangular import triangulate
from tsode.sgd.wide_chain import WideRun, bartlett_kernel, in_blocks


def learn_plainly(model, N, rows, T, x, noise):
    """Learn one sample in the coordinates of a block."""
    lam, mu = rows @ x, T @ x[: model.p_star]
    D = model.student_readout @ lam**2 - model.teacher_readout @ mu**2 - np.sqrt(model.noise_variance) * noise
    rows = rows - np.outer(2 * model.learning_rate / N * D * model.student_readout * lam, x)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) if model.spherical else rows


@pytest.mark.parametrize("N", [6, 20, 1000])
def test_blocks_are_sgd_on_their_own_inputs(model, N):
    """Every sample is a record, through three blocks; the rows stay triangular and as many as they were."""
    model = model.replace(learning_rate=0.01)
    run, p_star = WideRun(model, None, N, sequence_of(0), 1e8), model.p_star
    np.testing.assert_allclose(run.T @ run.T.T, model.teacher_overlap, rtol=0, atol=1e-14)
    for n in range(3 * run.block):
        s = n % run.block
        if s == 0:
            rows = run.rows.copy()
            assert not np.triu(rows[:, p_star:], 1).any()
        assert run.advance(n + 1)
        rows = learn_plainly(model, N, rows, run.T, run.X[s], run.noise[s] if model.noise_variance else 0.0)
        M, Q = run.overlaps()
        np.testing.assert_allclose(M[0], rows[:, :p_star] @ run.T.T, rtol=0, atol=1e-12)
        np.testing.assert_allclose(Q[0], rows @ rows.T, rtol=0, atol=1e-12)
    assert run.step == 3 * run.block


def test_a_run_ends_at_the_first_preactivations_beyond_the_limit():
    """At rows that hardly move: the third longest of a block is too long."""
    model = tsode.TeacherStudent(3, 2, 1e-9)
    run = WideRun(model, None, 30, sequence_of(0), 1e8)
    run.advance(1)
    sizes = np.sum((run.X @ run.rows.T) ** 2, axis=1)
    run = WideRun(model, None, 30, sequence_of(0), 0.9999 * np.sort(sizes)[-3])
    assert not run.advance(len(sizes))
    assert run.ended == [np.argsort(sizes)[-3:].min()]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 1000])
def test_inputs_off_the_rows_have_the_law_of_their_gram_matrix(n):
    """At most 10 columns of each of 4000 blocks: lengths on the diagonal, in all at most 21 tests above 1e-4."""
    rng, redraw_state = np.random.default_rng(n), np.array([1, 2, 3, 4], dtype=np.uint64)
    blocks = rng.standard_normal((4000, 12, 2 + min(n, 10)))
    drawn = blocks.copy()
    for X in blocks:
        bartlett_kernel(X, 2, n, redraw_state)
    assert not np.triu(blocks[:, :, 2:], 1).any()
    below = np.tril(np.ones(blocks.shape[1:]), 1).astype(bool)  # the first two columns are others' too
    np.testing.assert_array_equal(blocks[:, below], drawn[:, below])
    for s in range(min(n, 10)):
        assert stats.kstest(blocks[:, s, 2 + s] ** 2, stats.chi2(n - s).cdf).pvalue > 1e-4
        if s:
            assert stats.spearmanr(blocks[:, s - 1, 1 + s] ** 2, blocks[:, s, 2 + s] ** 2).pvalue > 1e-4


@pytest.mark.parametrize("columns", [0, 1, 7])
@pytest.mark.parametrize("p", [1, 4, 7, 10])
def test_triangular_form(p, columns):
    """R R^T stays, for rows of any rank and size; other columns too."""
    rng = np.random.default_rng(p)
    for kind in ("full", "zeros", "one direction", "tiny"):
        rows = rng.standard_normal((p, 3 + p + columns))
        if kind == "zeros":
            rows[::2] = 0.0
        if kind == "one direction":
            rows[:] = np.outer(rows[:, 0], rows[0])
        scale = 1e-140 if kind == "tiny" else 1.0
        turned = scale * rows
        triangulate(turned, 3)
        np.testing.assert_array_equal(turned[:, :3], scale * rows[:, :3])
        assert not np.triu(turned[:, 3:], 1).any()
        R, before = turned[:, 3:] / scale, rows[:, 3:]
        np.testing.assert_allclose(R @ R.T, before @ before.T, rtol=0, atol=1e-12)
    nothing = np.full((p, p), 1e-200)
    triangulate(nothing, 0)
    assert not np.triu(nothing, 1).any()
    assert np.abs(nothing).max() <= 1e-200


def test_few_runs_of_wide_students_go_in_blocks():
    """p + p* = 48: four runs in blocks, five in lockstep; from 192 on all."""
    for width, runs in ((48, 4), (96, 8), (192, 16), (192, 1000)):
        assert in_blocks(tsode.TeacherStudent(width - 1, 1, 0.1), runs)
        assert not in_blocks(tsode.TeacherStudent(width - 2, 1, 0.1), runs)
    model = tsode.TeacherStudent(40, 8, 0.1, 0.1)
    start, alpha = generic_start(model), [0.0, 0.3, 1.0]
    for runs in (4, 5):
        sgd = tsode.simulate(model, start, alpha, N=70, runs=runs, seed=7)
        if runs == 4:
            alone = WideRun(model, start, 70, sequence_of(3), 1e8)
        else:
            alone = chain_of(model, 70, runs=5)
        for i, stop in ((1, 21), (2, 70)):
            while alone.step < stop:
                alone.advance(stop)
            np.testing.assert_allclose(sgd.Q[3, i], alone.overlaps()[1][3 % alone.runs], rtol=0, atol=1e-12)

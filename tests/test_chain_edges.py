"""The overlap chain number by number and at its edges: no rest, no rank, the limit, lanes without a run."""

import math

import numpy as np
import pytest
from models import GENERAL, PLAIN, generic_start
from test_random_numbers_edges import Generator

import tsode
from tsode._lanes import WIDTH
from tsode.overlaps import random_rows
from tsode.sgd import chain, chain_draws, chain_sweeps, random_numbers

LANES = WIDTH


def sequence_of(run, *children, seed=7):
    return np.random.SeedSequence(seed, spawn_key=(run, *children))


def chain_of(model, N, runs=2, start="generic", limit=1e8):
    start = generic_start(model) if start == "generic" else start
    return chain.ChainRuns(model, start, N, [sequence_of(run) for run in range(runs)], limit)


# The numbers ---------------------------------------------------------------------------------------------------------


def marsaglia_tsang(x, u, d, redraws):
    """Accept (x, u), or draw other pairs until one is accepted; returns the normal number and how many were drawn."""
    for drawn in range(100):
        y = x / math.sqrt(9 * d)
        if y > -1 and (u == 0 or math.log(u) < d * (1.5 * y**2 - 3 * y - y**3 + 3 * math.log1p(y))):
            return x, drawn
        x = redraws.pair("gaussian")[0]
        u = ((redraws.bits() >> 11) + 0.5) / 2**53
    raise AssertionError


@pytest.mark.parametrize(("degrees", "lanes"), [(2, LANES), (3, LANES), (40, LANES), (2, 1)])
def test_draws_are_marsaglia_and_tsangs_on_the_streams_of_the_runs(degrees, lanes):
    """Two batches: every number of 16 generators a run, the candidates, the redraws, and where the streams end."""
    model = tsode.TeacherStudent(2, 1, 0.1)
    runs, width = chain_of(model, 40, runs=lanes), 4
    generators = [[Generator(runs.state[:, i, run]) for run in range(lanes)] for i in range(16)]
    redraws = [Generator(runs.redraw_state[:, run]) for run in range(lanes)]
    rejected = 0
    for _ in range(2):
        chain_draws.draw_kernel(runs.normals, runs.rest, runs.state, runs.redraw_state, 3, degrees)
        # a pair of every generator of every run in turn, until 32 rows of all widths are full
        rounds = [[[g.pair("gaussian") for g in row] for row in generators] for _ in range(width)]
        normals = np.moveaxis(rounds, -1, 1).reshape(32, width, lanes)
        uniforms = np.reshape(
            [[[(g.bits() >> 11) + 0.5 for g in row] for row in generators] for _ in range(2)], (32, lanes)
        ) / 2.0**53  # fmt: skip
        np.testing.assert_allclose(runs.normals[:, :3], normals[:, :3], rtol=1e-12, atol=1e-14)
        for n, run in np.ndindex(32, lanes):
            d = degrees / 2 - 1 / 3
            x, drawn = marsaglia_tsang(normals[n, 3, run], uniforms[n, run], d, redraws[run])
            assert runs.normals[n, 3, run] == pytest.approx(x, rel=1e-12, abs=1e-14)
            assert runs.rest[n, run] == pytest.approx(2 * d * (1 + x / math.sqrt(9 * d)) ** 3, rel=1e-10)
            rejected += drawn
    assert rejected > 0 or degrees == 40
    for run in range(lanes):
        assert runs.state[:, :, run].T.tolist() == [row[run].words for row in generators]
        assert runs.redraw_state[:, run].tolist() == redraws[run].words


def test_rejected_candidates_are_replaced_from_the_redraws():
    """From a candidate that is never taken, for many streams: the number, and where its stream ends."""
    d, again = 2 / 3, 0
    for seed in range(200):
        state = random_numbers.stream_state(np.random.SeedSequence(seed), 1)[:, 0]
        stream = Generator(state)
        wanted, drawn = marsaglia_tsang(-4.0, 0.5, d, stream)
        assert chain_draws.decide_kernel(-4.0, 0.5, d, state) == pytest.approx(wanted, rel=1e-10)
        assert state.tolist() == stream.words
        again += drawn > 1
    assert again > 5  # two rejections in a row


def test_quick_acceptance_is_where_the_series_bounds_the_logarithm():
    """u < 1 - 1.4 d y^4, for y > -1/2 alone: the ends themselves are left to the logarithm."""
    for d in (2 / 3, 1.0, 20.0):
        for y in (-0.49, -0.2, 0.1, 0.45, 0.8):
            bound = 1 - 1.4 * d * y**4
            assert chain_draws.clearly_accepted(y, bound - 1e-9, d)
            assert not chain_draws.clearly_accepted(y, bound + 1e-9, d)
    assert chain_draws.clearly_accepted(np.nextafter(-0.5, 0), 0.5, 1.0)
    for y, u in ((-0.5, 0.5), (-0.9, 0.01), (0.0, 1.0)):
        assert not chain_draws.clearly_accepted(y, u, 1.0)


def test_candidate_of_zero_is_never_taken():
    """y = -1 exactly, where the logarithm is at its end."""
    state = random_numbers.stream_state(np.random.SeedSequence(0), 1)[:, 0]
    before = state.copy()
    assert chain_draws.decide_kernel(-2.0, 1e-300, 4 / 9, state) > 0
    assert (state != before).any()


def test_streams_and_starts_of_the_runs():
    """Child 0 of a run's sequence draws the samples, child 1 what is redrawn, child 2 the start."""
    model = tsode.TeacherStudent(**GENERAL)
    runs = chain_of(model, 40, runs=3, start=None)
    for run in range(3):
        words = sequence_of(run, 0).generate_state(64, np.uint64)
        np.testing.assert_array_equal(runs.state[..., run], words.reshape(4, 16))
        np.testing.assert_array_equal(runs.redraw_state[:, run], sequence_of(run, 1).generate_state(4, np.uint64))
        rows = random_rows(model, 40, 1.0, np.random.default_rng(sequence_of(run, 2)))
        np.testing.assert_array_equal(runs.A[..., run], rows[:, :2].T)
        np.testing.assert_array_equal(runs.L[..., run], rows[:, 2:].T)
    assert not runs.A[..., 3:].any()
    assert runs.state[..., 3:].any(axis=0).all()  # xoshiro256++ never leaves the state zero
    assert runs.redraw_state[:, 3:].any(axis=0).all()


# One sample ----------------------------------------------------------------------------------------------------------


def learn(runs, Z, rest):
    """One sample on these numbers, which stand in the place of a second sample; returns lambda."""
    runs.step, runs.normals[1], runs.rest[1] = 1, Z, rest
    runs.advance(2)
    return runs.work[: runs.model.p]


@pytest.mark.parametrize("kind", ["full rank", "columns of zeros", "zero"])
def test_one_sample_at_any_length_of_the_rest_and_any_rank(kind):
    """rho^2 = 0 (all there is at N = p + p*), below, at and far above 1; L of any rank: M, Q of explicit weights."""
    model = tsode.TeacherStudent(**GENERAL).replace(noise_variance=0.0)
    p, p_star = model.p, model.p_star
    runs, rng = chain_of(model, p + p_star, runs=LANES), np.random.default_rng(0)
    if kind == "columns of zeros":
        runs.L[0] = 0.0
        runs.L[2, 2] = 0.0
    if kind == "zero":
        runs.L[:] = 0.0
    A, L = runs.A.copy(), runs.L.copy()
    Z = rng.standard_normal((p + p_star + 1, LANES))
    rest = np.tile([0.0, 0.0, 1e-12, 0.3, 1.0, 1.7, 50.0, 1e6], 2)
    lam = learn(runs, Z, rest)
    assert (runs.ended == -1).all()
    M, Q = runs.overlaps()
    for i in range(LANES):
        W = np.hstack([A[..., i].T, L[..., i].T, np.zeros((p, 1))])
        x = np.append(Z[: p + p_star, i], math.sqrt(rest[i]))
        wanted = W @ x
        D = model.student_readout @ wanted**2 - model.teacher_readout @ (runs.T @ x[:p_star]) ** 2
        W = W - np.outer(2 * model.learning_rate / runs.N * D * model.student_readout * wanted, x)
        np.testing.assert_allclose(lam[:, i], wanted, rtol=0, atol=1e-13)
        np.testing.assert_allclose(M[i], W[:, :p_star] @ runs.T.T, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(Q[i], W @ W.T, rtol=1e-12, atol=1e-13)
        assert not np.tril(runs.L[..., i], -1).any()


def test_absorbed_column_adds_its_square():
    """L L^T grows by column column^T, also past zeros on the diagonal, with or without the column's entry there."""
    rng = np.random.default_rng(1)
    L, column = np.tril(rng.uniform(0.1, 0.9, (LANES, 4, 4))), rng.uniform(0.1, 0.9, (LANES, 4))
    L[1, 0, 0] = L[2, 1, 1] = L[3, 0, 0] = L[3, 2, 2] = 0.0
    column[2, :2] = column[3, 0] = 0.0  # nothing to rotate with
    column[4] = 0.0
    L[5] = 0.0
    L[6], column[6] = 0.0, 0.0
    wanted = L @ np.swapaxes(L, 1, 2) + column[:, :, None] * column[:, None, :]
    turned = np.ascontiguousarray(L.T)  # columns, as the kernel has them
    chain_sweeps.absorb(turned.reshape(-1, LANES), np.ascontiguousarray(column.T))
    turned = turned.T
    np.testing.assert_allclose(turned @ np.swapaxes(turned, 1, 2), wanted, rtol=0, atol=1e-14)
    assert not np.triu(turned, 1).any()
    assert (np.diagonal(turned, axis1=1, axis2=2) >= 0).all()
    np.testing.assert_allclose(turned[[2, 4, 6], 0], L[[2, 4, 6], 0], rtol=1e-15, atol=0)


def test_rows_of_any_length_become_unit_rows_and_zero_stays():
    """Directions are kept, the row of zeros of a lane without a run as well."""
    rng = np.random.default_rng(2)
    A, L = rng.standard_normal((3, 2, LANES)), rng.standard_normal((3, 3, LANES)) * np.tri(3)[..., None]
    A *= np.logspace(-3, 3, LANES)
    L *= np.logspace(-3, 3, LANES)
    A[..., 5], L[..., 5] = 0.0, 0.0
    A[..., 6] = 0.0  # orthogonal to the teacher
    L[..., 7] = 0.0  # in the teacher's span
    before = np.concatenate([A, L], axis=1)
    columns = [np.ascontiguousarray(rows.swapaxes(0, 1)) for rows in (A, L)]
    chain_sweeps.normalise(*(rows.reshape(-1, LANES) for rows in columns), 3, 2)
    A, L = (rows.swapaxes(0, 1) for rows in columns)
    lengths = np.linalg.norm(before, axis=1, keepdims=True)
    wanted = np.divide(before, lengths, out=np.zeros_like(before), where=lengths > 0)
    np.testing.assert_allclose(np.concatenate([A, L], axis=1), wanted, rtol=1e-14, atol=0)


def test_limit_belongs_to_what_diverged():
    """|lambda|^2 at the limit counts, just below it does not, and nan counts."""
    model = tsode.TeacherStudent(1, 1, 0.1)
    runs = chain_of(model, 10, runs=4, start=tsode.Overlaps([[0.0]], [[0.0]]), limit=4.0)
    runs.A[0, 0, :4] = 2.0, np.nextafter(2.0, 1.0), np.nan, 3.0
    runs.L[0, 0, :4] = 1.0
    runs.ended[3] = 0
    Z = np.zeros((3, LANES))
    Z[0] = 1.0
    A = runs.A.copy()
    np.testing.assert_array_equal(learn(runs, Z, np.ones(LANES))[0], A[0, 0])
    assert runs.ended[:4].tolist() == [2, -1, 2, 0]  # a run that has ended before keeps its end
    assert (runs.A[0, 0, :4] != 0).tolist() == [False, True, False, False]
    assert (runs.L[0, 0, :4] != 0).tolist() == [False, True, False, False]


def test_smallest_dimension_leaves_no_rest():
    """N = p + p*: no degree of freedom is left; N = p + p* + 1: one, which is a squared normal."""
    model = tsode.TeacherStudent(**PLAIN)
    for N in (6, 7):
        runs = chain_of(model, N)
        assert runs.advance(3)
        squares = runs.normals[:, 6] ** 2
        np.testing.assert_array_equal(runs.rest, squares if N == 7 else 0.0)
        assert np.isfinite(runs.overlaps()[1]).all()


def test_one_call_is_bounded(monkeypatch):
    """Samples times runs times widths are bounded, so that somebody looks at the stop flag; whole batches at least."""
    model = tsode.TeacherStudent(2, 1, 0.1)  # A has two numbers a lane
    for bound, wanted in ((2000, 62), (1040, 32), (100, 32)):
        monkeypatch.setattr(chain, "STEPS_A_CALL", bound)
        runs = chain_of(model, 20)
        for calls in (1, 2):
            runs.advance(10**9)
            assert runs.step == calls * wanted
        runs.advance(runs.step + 3)
        assert runs.step == 2 * wanted + 3


def test_loose_ends_of_a_run_that_ended():
    """The last run that goes on keeps the group going; afterwards the group says that it is over."""
    model = tsode.TeacherStudent(1, 1, 0.1)
    runs = chain_of(model, 20, runs=2, limit=1e3)
    runs.A[0, 0, 0] = 1e4
    assert runs.advance(1)
    assert runs.ended[:2].tolist() == [1, -1]
    runs.A[0, 0, 1] = 1e4
    assert not runs.advance(2)
    assert runs.ended[:2].tolist() == [1, 2]
    assert not runs.exhausted

"""The overlap chain replayed sample by sample with explicit weights, from the very numbers that it drew."""

import itertools

import numpy as np
import pytest
from models import MODELS, generic_start
from scipy import stats

import tsode
from tsode._lanes import WIDTH
from tsode.activations import SHIPPED
from tsode.sgd import chain, chain_draws, random_numbers


def chain_of(model, N, runs=2, seed=0, limit=1e8):
    sequences = [np.random.SeedSequence(seed, spawn_key=(run,)) for run in range(runs)]
    return chain.ChainRuns(model, generic_start(model), N, sequences, limit)


def learn(model, N, A, L, T, numbers, rest):
    """Learn one sample (u, g, rho) with one more column, then turn L back to its lower triangular form."""
    p, p_star = A.shape
    x = np.concatenate([numbers[: p_star + p], [np.sqrt(rest)]])
    W = np.hstack([A, L, np.zeros((p, 1))])
    lam, mu = W @ x, T @ x[:p_star]
    noise = np.sqrt(model.noise_variance) * numbers[-1] if model.noise_variance > 0 else 0.0
    D = model.student_readout @ lam**2 - model.teacher_readout @ mu**2 - noise
    W = W - np.outer(2 * model.learning_rate / N * D * model.student_readout * lam, x)
    if model.spherical:
        W = W / np.linalg.norm(W, axis=1, keepdims=True)
    return W[:, :p_star], np.linalg.cholesky(W[:, p_star:] @ W[:, p_star:].T)


def test_chain_is_sgd_on_its_own_numbers(model):
    """More samples than are drawn at a time, in pieces of any length. L is unique: its diagonal is positive."""
    N, stops = 40, [1, 2, 3, 31, 32, 33, 40]
    runs = chain_of(model, N)
    states = [(runs.A[..., i].T.copy(), runs.L[..., i].T.copy()) for i in range(2)]
    for before, stop in zip([0, *stops], stops):
        assert runs.advance(stop)
        assert runs.step == stop
        for i in range(2):
            for n in range(before, stop):
                row = n % chain.BATCH
                states[i] = learn(model, N, *states[i], runs.T, runs.normals[row, :, i], runs.rest[row, i])
            np.testing.assert_allclose(runs.A[..., i].T, states[i][0], rtol=0, atol=1e-11)
            np.testing.assert_allclose(runs.L[..., i].T, states[i][1], rtol=0, atol=1e-11)
    assert not runs.A[..., 2:].any()  # lanes without a run
    assert (runs.ended == -1).all()


def test_numbers_of_a_batch_are_those_of_the_streams(model):
    """Normals from the lanes' own generators, every number used once; the rest is chi-squared."""
    runs = chain_of(model, 40, runs=WIDTH)
    widths = model.p + model.p_star
    assert runs.normals.shape == (chain.BATCH, widths + 1 + (model.noise_variance > 0), WIDTH)
    state = runs.state.copy().reshape(4, -1)
    wanted = np.empty((2, state.shape[1]))
    random_numbers.normal_lanes(*state, *wanted)
    runs.advance(1)
    np.testing.assert_array_equal(runs.normals.reshape(-1)[: wanted.size], wanted.reshape(-1))
    degrees, d = 40 - widths, (40 - widths) / 2 - 1 / 3
    candidates = 2 * d * (1 + runs.normals[:, widths] / np.sqrt(9 * d)) ** 3
    np.testing.assert_allclose(runs.rest, candidates, rtol=1e-12)
    assert len(np.unique(runs.normals)) == runs.normals.size
    assert 0.5 * degrees < runs.rest.mean() < 1.5 * degrees


@pytest.mark.parametrize("degrees", [2, 3, 7, 40])
def test_chi_squared_by_moments_and_law(degrees):
    """4096 numbers: Kolmogorov-Smirnov p above 1e-4; and the decision at given numbers, by the source's formula."""
    runs = chain_of(tsode.TeacherStudent(2, 1, 0.1), 40, runs=WIDTH, seed=degrees)
    draws = []
    for _ in range(16):
        chain_draws.draw_kernel(runs.normals, runs.rest, runs.state, runs.redraw_state, 3, degrees)
        draws.append(runs.rest.copy())
    assert stats.kstest(np.ravel(draws), stats.chi2(degrees).cdf).pvalue > 1e-4


def test_candidates_are_taken_where_marsaglia_and_tsang_take_them():
    """Below exp(h) the normal number is returned, above another one is drawn; y at and below -1 is never taken."""
    rng = np.random.default_rng(3)
    for degrees in (2, 5, 30):
        d = degrees / 2 - 1 / 3
        for x in (*rng.standard_normal(30), 4.0, -4.0):
            y = x / np.sqrt(9 * d)
            bound = np.exp(d * (1.5 * y**2 - 3 * y - y**3 + 3 * np.log1p(y))) if y > -1 else 0.0
            below, above = bound * (1 - 1e-6), bound * (1 + 1e-6)
            for u, taken in ((below, y > -1), (above, False))[: 2 if above < 1 else 1]:
                state = random_numbers.stream_state(np.random.SeedSequence(1), 1)[:, 0]
                before = state.copy()
                found = chain_draws.decide_kernel(x, u, d, state)
                assert (found == x) == taken
                assert (state == before).all() == taken
                assert found > -np.sqrt(9 * d)


def test_none_and_one_degree():
    runs = chain_of(tsode.TeacherStudent(2, 1, 0.1), 40)
    chain_draws.draw_kernel(runs.normals, runs.rest, runs.state, runs.redraw_state, 3, 1)
    np.testing.assert_array_equal(runs.rest, runs.normals[:, 3] ** 2)
    chain_draws.draw_kernel(runs.normals, runs.rest, runs.state, runs.redraw_state, 3, 0)
    assert not runs.rest.any()


def test_a_run_beyond_the_limit_is_retired_and_others_go_on():
    """The sample at which |lambda|^2 first passes the limit is noted; the run is set to zero and stays there."""
    model = tsode.TeacherStudent(2, 1, 0.2)
    free = chain_of(model, 40, runs=4, limit=1e99)
    sizes = np.zeros((30, 4))
    for n in range(30):
        A, L = free.A.copy(), free.L.copy()
        free.advance(n + 1)
        Z = free.normals[n]
        lam = np.einsum("rkl,rl->kl", A, Z[:1]) + np.einsum("jkl,jl->kl", L, Z[1:3])
        sizes[n] = np.square(lam).sum(axis=0)[:4]
    limit = np.sort(sizes.max(axis=0))[1:3].mean()  # two runs pass it
    runs = chain_of(model, 40, runs=4, limit=limit)
    assert runs.advance(30)
    for i in range(4):
        beyond = np.flatnonzero(sizes[:, i] >= limit)
        assert runs.ended[i] == (beyond[0] + 1 if beyond.size else -1)
        if beyond.size:
            assert not runs.A[..., i].any()
            assert not runs.L[..., i].any()
        else:
            np.testing.assert_array_equal(runs.L[..., i], free.L[..., i])
    assert (runs.ended > 0).sum() == 2
    ended = chain_of(model, 40, runs=2, limit=1e-6)
    assert not ended.advance(30)
    assert (ended.ended[:2] == 1).all()


def test_runs_go_together_but_for_a_few_that_are_left_over():
    """Every run once and in order, never more than fit; up to three a thread that are left go alone."""
    for threads, runs in itertools.product((1, 2, 8), range(1, 70)):
        found = chain.groups(runs, threads)
        assert [run for group in found for run in group] == list(range(runs))
        full, left = divmod(runs, WIDTH) if runs > 3 * threads else (0, runs)
        assert [len(group) for group in found] == [WIDTH] * full + ([1] * left if left <= 3 * threads else [left])


@pytest.mark.parametrize("activation", SHIPPED)
def test_a_run_alone_makes_the_roundings_of_a_run_in_company(activation):
    """To the bit, for every model, down to N = p + p*, where a length is zero and draws are made again and again."""
    for parameters in MODELS.values():
        model = tsode.TeacherStudent(**parameters, activation=activation).replace(learning_rate=0.05)
        for N in (model.p + model.p_star, model.p + model.p_star + 2, 100):
            together = chain_of(model, N, runs=WIDTH)
            together.advance(500)
            for run in (0, 7, 15):
                alone = chain.ChainRuns(
                    model, generic_start(model), N, [np.random.SeedSequence(0, spawn_key=(run,))], 1e8
                )
                alone.advance(500)
                np.testing.assert_array_equal(alone.A[..., 0], together.A[..., run])
                np.testing.assert_array_equal(alone.L[..., 0], together.L[..., run])

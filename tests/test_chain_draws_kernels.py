"""The numbers that the overlap chain draws: normals, and chi-squared numbers by Marsaglia and Tsang."""

import math

import numpy as np
import pytest
from models import GENERAL
from scipy import stats
from streams import Generator, chain_of, sequence_of

import tsode
from tsode._frames import random_rows
from tsode._lanes import WIDTH
from tsode.sgd import chain, chain_draws, random_numbers


def marsaglia_tsang(x, u, d, redraws):
    """Accept (x, u), or draw other pairs until one is accepted; returns the normal number and how many were drawn."""
    for drawn in range(100):
        y = x / math.sqrt(9 * d)
        if y > -1 and (u == 0 or math.log(u) < d * (1.5 * y**2 - 3 * y - y**3 + 3 * math.log1p(y))):
            return x, drawn
        x = redraws.pair("gaussian")[0]
        u = ((redraws.bits() >> 11) + 0.5) / 2**53
    raise AssertionError


@pytest.mark.parametrize(("degrees", "lanes"), [(2, WIDTH), (3, WIDTH), (40, WIDTH), (2, 1)])
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


def test_quick_acceptance_is_where_the_series_bounds_the_logarithm():
    """u < 1 - 1.4 d y^4 <= exp(h), for y > -1/2 alone: the ends themselves are left to the logarithm."""
    for d in (2 / 3, 1.0, 5.0, 20.0, 100.0, 1e6):
        y = np.concatenate([np.linspace(-0.4999, 4, 301), np.linspace(-1, 1, 201) * d**-0.25])
        y = y[(y > -0.5) & (1.4 * d * y**4 < 1 - 2e-9) & (np.abs(y) > 1e-3)]
        bound, h = 1 - 1.4 * d * y**4, d * (1.5 * y**2 - 3 * y - y**3 + 3 * np.log1p(y))
        assert np.all(bound <= np.exp(h))  # nothing is accepted that Marsaglia and Tsang would reject
        for one, u in zip(y, bound):
            assert chain_draws.clearly_accepted(one, u - 1e-9, d)
            assert not chain_draws.clearly_accepted(one, u + 1e-9, d)
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


def test_numbers_of_a_batch_are_those_of_the_streams(model):
    """Normals from the lanes' own generators, every number used once; the rest is chi-squared."""
    runs = chain_of(model, 40, runs=WIDTH, seed=0)  # at which none of these candidates is drawn again
    widths = model.p + model.p_star
    assert runs.normals.shape == (chain.BATCH, widths + 1 + (model.noise_variance > 0), WIDTH)
    state = runs.state.copy().reshape(4, -1)
    wanted = np.empty((2, state.shape[1]))
    random_numbers.normal_lanes(state, wanted.reshape(-1))
    runs.advance(1)
    np.testing.assert_array_equal(runs.normals.reshape(-1)[: wanted.size], wanted.reshape(-1))
    degrees, d = 40 - widths, (40 - widths) / 2 - 1 / 3
    candidates = 2 * d * (1 + runs.normals[:, widths] / np.sqrt(9 * d)) ** 3
    np.testing.assert_allclose(runs.rest, candidates, rtol=1e-12)
    assert len(np.unique(runs.normals)) == runs.normals.size
    assert 0.5 * degrees < runs.rest.mean() < 1.5 * degrees


@pytest.mark.parametrize("degrees", [0, 1, 2, 3, 10, 1000, 10**6])
def test_chi_squared_is_exact(degrees):
    """Kolmogorov-Smirnov of 65536 draws at each number of degrees: p above 1e-4."""
    runs, draws = chain_of(tsode.TeacherStudent(2, 1, 0.1), 500, runs=WIDTH, seed=degrees), []
    for _ in range(256):
        chain_draws.draw_kernel(runs.normals, runs.rest, runs.state, runs.redraw_state, 3, degrees)
        draws.append(runs.rest.copy())
    draws = np.ravel(draws)
    if degrees == 0:
        assert not draws.any()
    else:
        assert stats.kstest(draws, stats.chi2(degrees).cdf).pvalue > 1e-4


def test_chi_squared_at_huge_degrees():
    """At 1e15 degrees the law is normal with relative deviation sqrt(2/n); doubles still resolve it."""
    n, runs, draws = 10**15, chain_of(tsode.TeacherStudent(2, 1, 0.1), 500, runs=WIDTH, seed=1), []
    for _ in range(256):
        chain_draws.draw_kernel(runs.normals, runs.rest, runs.state, runs.redraw_state, 3, n)
        draws.append((runs.rest - n) / np.sqrt(2 * n))
    assert stats.kstest(np.ravel(draws), "norm").pvalue > 1e-4

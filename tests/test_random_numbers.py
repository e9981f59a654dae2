"""Laws of the random numbers by statistics, and the kernels that draw them, number by number."""

import math

import numpy as np
import pytest
from scipy import stats
from streams import MASK, Generator, reference_xoshiro
from twins import python_twin

from tsode.sgd import random_numbers
from tsode.sgd.random_numbers import (
    LANES,
    LAWS,
    fill,
    minus_two_log,
    normal_lanes,
    normal_pair,
    sign_lanes,
    stream_state,
    uniform_lanes,
    xoshiro,
)

# --- the laws


def state(seed=0, lanes=LANES):
    return stream_state(np.random.SeedSequence(seed), lanes)


def numbers(law, n, seed=0):
    out = np.empty(n)
    fill(state(seed), out, LAWS[law])
    return out


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("law", "cdf"), [("gaussian", "norm"), ("uniform", stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).cdf)]
)
def test_law_by_kolmogorov_smirnov(law, cdf):
    """2e6 numbers, and both interleaved halves: p above 1e-4."""
    x = numbers(law, 8192 * 256)
    halves = x.reshape(-1, 2, LANES)
    for sample in (x, halves[:, 0].ravel(), halves[:, 1].ravel()):
        assert stats.kstest(sample, cdf).pvalue > 1e-4


def test_moments_and_tails_of_the_normals():
    """Moments within 4.5 standard errors; the counts beyond 4 sigma by a binomial test at 1e-4."""
    x = numbers("gaussian", 8192 * 256, seed=2)
    n = x.size
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs(np.mean(x**power) - mean) < 4.5 * np.sqrt(variance / n)
    for bound in (3.0, 4.0, 4.7):
        count = int(np.sum(np.abs(x) > bound))
        assert stats.binomtest(count, n, 2 * stats.norm.sf(bound)).pvalue > 1e-4


@pytest.mark.parametrize("law", LAWS)
def test_numbers_are_uncorrelated(law):
    """Values and squares, at lags within and across the lanes: within 4.8 standard errors (28 tests, 1e-4)."""
    x = numbers(law, 4096 * 256, seed=4)
    assert abs(x.mean()) < 4.8 / np.sqrt(x.size)
    assert abs(np.mean(x**2) - 1) < 4.8 * max(np.std(x**2), 1e-9) / np.sqrt(x.size)
    for series in (x, x**2 - np.mean(x**2)):
        if not series.std() > 1e-9:  # the squares of signs
            continue
        for lag in (1, 2, 7, 64, LANES, 2 * LANES, 3 * LANES + 1):
            product = series[lag:] * series[:-lag]
            assert abs(product.mean()) < 4.8 * product.std() / np.sqrt(product.size)


def test_signs_are_fair_coins():
    x = numbers("rademacher", 4096 * 256)
    assert set(np.unique(x)) == {-1.0, 1.0}
    assert stats.binomtest(int((x > 0).sum()), x.size).pvalue > 1e-4


def test_streams_of_different_runs_differ():
    a, b = numbers("gaussian", 4096 * 64, seed=6), numbers("gaussian", 4096 * 64, seed=7)
    assert abs(np.mean(a * b)) < 4.5 / np.sqrt(a.size)


# --- kernels


def test_xoshiro_is_the_published_generator():
    # the first outputs from the state (1, 2, 3, 4), as the reference C code prints them
    words, outputs = (1, 2, 3, 4), []
    for _ in range(4):
        number, *words = reference_xoshiro(words)
        outputs.append(number)
    assert outputs == [41943041, 58720359, 3588806011781223, 3591011842654386]
    for seed in range(5):
        words = expected = tuple(state(seed)[:, 0])
        for _ in range(50):
            number, *words = xoshiro(*map(np.uint64, words))
            wanted, *expected = reference_xoshiro(expected)
            assert int(number) == wanted


def test_logarithm_is_accurate_to_the_last_bits():
    u = np.concatenate([np.random.default_rng(0).random(2000), 2.0 ** -np.arange(54), 1 - 2.0 ** -np.arange(2, 53)])
    found = np.array([minus_two_log(x) for x in u])
    np.testing.assert_allclose(found, -2 * np.log(u), rtol=5e-16, atol=0)


def test_normal_pair_is_box_muller():
    rng = np.random.default_rng(1)
    for r1, r2 in rng.integers(0, 2**64, size=(500, 2), dtype=np.uint64):
        x, y = normal_pair(r1, r2)
        radius = np.sqrt(-2 * np.log(((int(r1) >> 11) + 1) / 2**53))
        angle = (int(r2.astype(np.int64)) >> 11) * np.pi / 2 / 2**53
        a, b = radius * np.cos(angle) * (-1) ** (int(r2) & 1), radius * np.sin(angle)
        wanted = (b, a) if int(r2) & 2 else (a, b)
        np.testing.assert_allclose((x, y), wanted, rtol=1e-14, atol=1e-15)
    assert np.isfinite(normal_pair(np.uint64(0), np.uint64(0))).all()
    assert normal_pair(np.uint64(MASK), np.uint64(0)) == (0.0, 0.0)


@pytest.mark.parametrize("kernel", [sign_lanes, uniform_lanes, normal_lanes])
def test_kernels_agree_with_their_python_twins(kernel, monkeypatch):
    results = []
    with np.errstate(over="ignore"):  # the generator's sums are meant to wrap
        for function in (kernel, python_twin(kernel)):
            if function is python_twin(kernel):  # Python all the way down
                for part in (xoshiro, minus_two_log, normal_pair):
                    monkeypatch.setattr(random_numbers, part.__name__, python_twin(part))
            s, out = state(3), np.empty(4 * LANES)
            function(s, out, *((-1.0, 3.0) if kernel is uniform_lanes else ()))
            results.append(np.concatenate([out, s.ravel().astype(float)]))
    np.testing.assert_allclose(*results, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("lanes", [3, 128])
def test_fill_takes_a_pair_from_every_generator_in_turn(law, lanes):
    """Numbers 2 k lanes + i and (2 k + 1) lanes + i are the pair k of generator i; the state goes on from there."""
    state, rounds = stream_state(np.random.SeedSequence(4), lanes), 3
    generators = [Generator(state[:, i]) for i in range(lanes)]
    wanted = [np.transpose([generator.pair(law) for generator in generators]) for _ in range(rounds)]
    out = np.full(2 * lanes * rounds, np.nan)
    fill(state, out, LAWS[law])
    np.testing.assert_allclose(out, np.ravel(wanted), rtol=1e-13, atol=1e-15)
    assert state.T.tolist() == [generator.words for generator in generators]


def test_stream_is_128_generators_of_numpys_words():
    words = np.random.SeedSequence(9).generate_state(512, np.uint64)
    state = stream_state(np.random.SeedSequence(9))
    assert state.shape == (4, 128)
    np.testing.assert_array_equal(state.ravel(), words)


def test_uniform_numbers_are_the_centres_of_their_cells():
    """The number 0, which the state (0, 1, 0, 0) gives, stands half a cell of 2^-53 above the lower end."""
    words = np.array([[0], [1], [0], [0]], dtype=np.uint64)
    smallest = np.empty(1)
    uniform_lanes(words, smallest, 0.0, 1.0)
    assert smallest[0] == 2.0**-54


def test_box_muller_at_its_ends():
    """The largest radius belongs to the number 0, the angle is 0 there; the lowest bits turn the quadrant."""
    largest = math.sqrt(2 * 53 * math.log(2))
    for r2, wanted in enumerate([(largest, 0), (-largest, 0), (0, largest), (0, -largest)]):
        found = normal_pair(np.uint64(0), np.uint64(r2))
        np.testing.assert_allclose(found, wanted, rtol=1e-15, atol=0)
    for bits, angle in ((0x8000000000000000, -math.pi / 4), (0x7FFFFFFFFFFFFFFC, math.pi / 4)):
        x, y = normal_pair(np.uint64(0), np.uint64(bits))
        np.testing.assert_allclose((x, y), (largest * math.cos(angle), largest * math.sin(angle)), rtol=1e-15, atol=0)

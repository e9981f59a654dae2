"""The weights engine replayed sample by sample, from the very inputs and noise that it drew."""

import numpy as np
import pytest
from models import generic_start
from reference import sgd as plain_sgd

from tsode.sgd import weights
from tsode.sgd.random_numbers import LAWS


def weights_of(run, N):
    """Return the weights of student and teacher, shape (p + p_star, N), put together from their tiles."""
    return np.concatenate(list(run.W), axis=1)[:, :N]


@pytest.mark.parametrize("law", LAWS)
def test_engine_is_sgd_on_its_own_numbers(model, law):
    """Beyond the 256 numbers of noise that are drawn at a time, in pieces of any length."""
    model = model.replace(learning_rate=0.1, noise_variance=0.1)
    N, p = 20, model.p
    run = weights.WeightsRun(model, generic_start(model), N, np.random.SeedSequence(1), law, 1e8)
    W = weights_of(run, N)
    W, W_star, seen = W[:p].copy(), W[p:].copy(), []
    for stop in (*range(1, 20), 23, 24, 31, *range(250, 266)):
        while run.step < stop:
            assert run.advance(min(stop, run.step + weights.BLOCK - run.step % weights.BLOCK))
            done = run.step
            first = (done - 1) // weights.BLOCK * weights.BLOCK  # the block that was worked on
            start = max(first, len(seen))
            rows = [np.concatenate(list(run.X[:, n % weights.BLOCK]))[:N] for n in range(start, done)]
            noise = [np.sqrt(0.1) * run.noise[n % len(run.noise), 0] for n in range(start, done)]
            W = plain_sgd(model, W, W_star, rows, noise)[-1]
            seen += rows
        np.testing.assert_allclose(weights_of(run, N)[:p], W, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(weights_of(run, N)[p:], W_star)
    seen = np.array(seen)
    assert len(np.unique(seen[:, 0])) == (2 if law == "rademacher" else len(seen))
    assert abs(seen.mean()) < 4.5 / np.sqrt(seen.size)
    assert abs(np.square(seen).mean() - 1) < 4.5 * np.sqrt(2 / seen.size)
    assert not np.concatenate(list(run.X.swapaxes(0, 1)), axis=0)[..., N:].any()


def test_run_stops_at_the_sample_beyond_the_limit(model):
    """The sample that would pass the limit on |lambda|^2 is not learned from; what went before stays."""
    N, p = 20, model.p
    free = weights.WeightsRun(model, generic_start(model), N, np.random.SeedSequence(1), "gaussian", 1e99)
    sizes, states = [], []
    for n in range(24):
        W = weights_of(free, N)[:p].copy()
        states.append(W)
        free.advance(n + 1)
        x = np.concatenate(list(free.X[:, n % weights.BLOCK]))[:N]
        sizes.append(np.square(W @ x / np.sqrt(N)).sum())
    worst = int(np.argmax(sizes))
    limit = (sorted(sizes)[-2] + sizes[worst]) / 2
    run = weights.WeightsRun(model, generic_start(model), N, np.random.SeedSequence(1), "gaussian", limit)
    assert not run.advance(24)
    assert run.step == worst
    assert run.ended[0] == worst
    np.testing.assert_allclose(weights_of(run, N)[:p], states[worst], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("N", [20, 40, 1100, 5000])
def test_tiles_hold_the_start(model, N):
    start = generic_start(model)
    run = weights.WeightsRun(model, start, N, np.random.SeedSequence(1), "gaussian", 1e8)
    tiles, _, width = run.W.shape
    assert tiles * width >= N > (tiles - 1) * width
    assert width % 32 == 0
    M, Q = run.overlaps()
    np.testing.assert_allclose(M[0], start.M, atol=1e-12)
    np.testing.assert_allclose(Q[0], start.Q, atol=1e-12)
    assert not np.concatenate(list(run.W), axis=1)[:, N:].any()
    given = (weights_of(run, N)[: model.p] * 1.0, weights_of(run, N)[model.p :] * 1.0)
    again = weights.WeightsRun(model, given, N, np.random.SeedSequence(2), "gaussian", 1e8)
    np.testing.assert_array_equal(again.W, run.W)

"""Many models in one call: each is what a call of its own returns, whatever goes in lockstep with it."""

import numba
import numpy as np
import pytest
from models import GENERAL, generic_start
from test_steering import assert_same

import tsode

PLAIN = tsode.TeacherStudent(3, 2, 0.2)
RICH = tsode.TeacherStudent(**GENERAL)
MODELS = [
    *(PLAIN.replace(learning_rate=eta) for eta in (0.05, 0.1, 0.2, 2.0)),  # the last one diverges
    *(PLAIN.replace(noise_variance=noise, learning_rate=eta) for noise in (0.1, 0.2) for eta in (0.1, 0.3)),
    RICH, RICH.replace(learning_rate=0.1), PLAIN.replace(constraint="spherical"), PLAIN.replace(p=4),
    PLAIN.replace(weight_decay=0.1), PLAIN.replace(readout_learning_rate=0.1, student_readout=[0.1, 0.2, 0.3]),
    PLAIN.replace(readout_learning_rate=0.2), PLAIN.replace(batch_size=4), PLAIN.replace(batch_size=4, momentum=0.5),
    PLAIN.replace(batch_size=4, learning_rate=0.1), PLAIN.replace(activation="erf"),
    *(PLAIN.replace(learning_rate=[(0.0, eta), (3.0, 0.1)], p=p) for eta in (0.1, 0.3) for p in (3, 2)),
]  # fmt: skip


def starts_of(models):
    return [generic_start(model, seed) if seed % 3 else None for seed, model in enumerate(models)]


@pytest.mark.quick(2)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("options", [{}, {"until": 0.3}, {"engine": "weights", "keep_weights": True}], ids=str)
def test_each_is_what_a_call_of_its_own_returns(threads, options):
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    starts, alpha = starts_of(MODELS), np.linspace(0.0, 6.0, 13)
    found = tsode.simulate_many(MODELS, starts, alpha, N=40, runs=2, seed=3, **options)
    numba.set_num_threads(before)
    assert {status for sgd in found for status in sgd.status} >= {"completed", "diverged"}
    for model, start, sgd in zip(MODELS, starts, found):
        seed = np.random.SeedSequence(sgd.seed)
        assert_same(sgd, tsode.simulate(model, start, alpha, N=40, runs=2, seed=seed, **options))


def test_one_model_or_one_start_serves_all():
    """Children of one seed are different streams; a tuple is one start, of weights."""
    start = generic_start(PLAIN)
    weights = start.realise(30, rng=0)
    for found in (
        tsode.simulate_many(PLAIN, [start] * 3, [0.0, 1.0], N=30),
        tsode.simulate_many([PLAIN] * 3, start, [0.0, 1.0], N=30),
        tsode.simulate_many([PLAIN] * 3, weights, [0.0, 1.0], N=30, engine="weights"),
    ):
        assert len({sgd.Q.tobytes() for sgd in found}) == 3
        for sgd in found:
            np.testing.assert_allclose(sgd.Q[0, 0], start.Q, rtol=0, atol=1e-12)


def test_observables_of_many_and_runs_that_go_on():
    observables = {"norms": lambda M, Q: np.einsum("nkk->nk", Q)}
    first = tsode.simulate_many(MODELS[:5], None, [0.0, 1.0], N=40, runs=2, observables=observables)
    whole = tsode.simulate_many(MODELS[:5], None, [0.0, 1.0, 2.0], N=40, runs=2, observables=observables)
    for model, part, sgd in zip(MODELS, first, whole):
        np.testing.assert_array_equal(sgd.observables["norms"], np.einsum("ntkk->ntk", sgd.Q))
        assert_same(tsode.simulate(model, part, [2.0], observables=observables), sgd)

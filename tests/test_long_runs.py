"""Long runs: no drift of what is conserved, no growth of memory."""

import resource
import tracemalloc

import numpy as np
import pytest
from models import generic_start

import tsode
from tsode import manifold

MODEL = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.2)


def on_the_manifold(angle=0.7):
    """Return the overlaps of a solution turned by an angle, whose surplus students vanish in no direction."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rows = np.random.default_rng(0).standard_normal((4, 4))
    M = np.linalg.qr(rows)[0][:, :2] * np.sqrt(2.0) @ turn  # v M M^T v = v* P v* : see the test below
    return tsode.Overlaps(M, M @ M.T)


def peak_memory(call):
    """Return what a call allocates at most, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [pytest.param("DOP853", marks=pytest.mark.slow), "LSODA"])
def test_solution_stays_where_it_is_for_a_million_units_of_time(method):
    """A point of the manifold is a fixed point, marginal along it: no more than the tolerance may push it along."""
    start = on_the_manifold()
    assert tsode.integrate(MODEL, start, [0.0]).excess_loss[0] < 1e-30
    ode = tsode.integrate(MODEL, start, np.linspace(0, 1e6, 11), method=method)
    assert ode.status == "completed"
    np.testing.assert_allclose(ode.M, np.broadcast_to(start.M, ode.M.shape), rtol=0, atol=1e-6)
    assert ode.excess_loss.max() < 1e-12


def test_approach_keeps_the_invariants_for_a_million_units_of_time():
    """p > p*: the approach is a power law that never ends; invariants stay within the tolerance of the solver."""
    start = tsode.Overlaps(generic_start(MODEL).M, np.eye(4))
    alpha = np.concatenate([[0.0], np.geomspace(1, 1e6, 25)])
    ode = tsode.integrate(MODEL, start, alpha, rtol=1e-10, atol=1e-12, method="LSODA")
    assert ode.status == "completed"
    kept = manifold.invariants(ode)
    for invariant in (kept.singular_vectors, kept.polar_factor):
        assert invariant.applies
        assert invariant.drift < 1e-6
    assert np.linalg.eigvalsh(ode.Q).min() > -1e-9
    loss = ode.excess_loss[alpha >= 1e3]
    assert (np.diff(loss) < 0).all()
    slope = np.polyfit(np.log(alpha[alpha >= 1e4]), np.log(ode.excess_loss[alpha >= 1e4]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.02)


def test_memory_of_the_ode_does_not_grow_with_time():
    start = generic_start(MODEL)

    def run(end):
        return lambda: tsode.integrate(MODEL, start, np.linspace(0, end, 21))

    run(10.0)()
    assert peak_memory(run(1e4)) < peak_memory(run(1e2)) + 50_000


@pytest.mark.slow
def test_memory_of_the_chain_does_not_grow_with_samples():
    start = generic_start(MODEL)

    def run(samples):
        return lambda: tsode.simulate(MODEL, start, [0.0, samples / 1000], N=1000, runs=8, seed=0)

    run(1000)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_memory(run(10**6)) < peak_memory(run(10**4)) + 500_000  # a byte a sample of each run would be 8 MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000  # kilobytes


@pytest.mark.slow
def test_memory_stays_over_a_billion_samples():
    start = generic_start(MODEL)
    tsode.simulate(MODEL, start, [0.0, 1.0], N=1000, runs=16, seed=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sgd = tsode.simulate(MODEL, start, np.linspace(0, 10**9 / 16 / 1000, 101), N=1000, runs=16, seed=0)
    assert (sgd.status == "completed").all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000  # kilobytes

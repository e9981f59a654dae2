"""Where the dynamics end on the set of solutions."""

import numpy as np
import pytest

import tsode
from tsode import manifold


def random_start(model, N=1000, seed=3, q=1.0):
    M = tsode.Overlaps.random(model, N, rng=seed).M
    return tsode.Overlaps(M, q * np.eye(model.p))


@pytest.mark.parametrize("q", [0.3, 1.0])
@pytest.mark.parametrize("eta", [0.01, 0.1, 0.3])
def test_ends_at_the_closest_solution(eta, q):
    model = tsode.TeacherStudent(2, 2, eta)
    start = random_start(model, q=q)
    ode = tsode.integrate(model, start, [0.0, 300 / eta], rtol=1e-11, atol=1e-13)
    assert manifold.distance(model, ode.overlaps(), manifold.closest_rotation(model, start)) < 1e-6
    kept = manifold.invariants(ode)
    assert kept.singular_vectors.applies
    assert kept.polar_factor.applies
    assert kept.singular_vectors.drift < 1e-9
    assert kept.polar_factor.drift < 1e-9


@pytest.mark.parametrize(("eta", "gradient_flow"), [(0.05, False), (0.4, False), (0.1, True)])
def test_surplus_students_end_at_the_closest_solution_too(eta, gradient_flow):
    """Slowly: the surplus students lose their norm as 1 / tau, so tau = 1e7 leaves 1e-7 in the overlaps."""
    model = tsode.TeacherStudent(4, 2, eta)
    start = random_start(model)
    ode = tsode.integrate(
        model, start, [0.0, 1e7 / eta], method="LSODA", rtol=1e-9, atol=1e-12, gradient_flow=gradient_flow
    )
    wanted = manifold.closest_solution(model, start)
    assert max(np.abs(ode.M[-1] - wanted.M).max(), np.abs(ode.Q[-1] - wanted.Q).max()) < 1e-6


def test_too_few_students_end_at_the_closest_of_the_best_in_gradient_flow():
    model = tsode.TeacherStudent(2, 4, 0.1)
    start = random_start(model)
    ode = tsode.integrate(model, start, [0.0, 3000.0], rtol=1e-11, atol=1e-13, gradient_flow=True)
    assert manifold.distance(model, ode.overlaps(), manifold.closest_rotation(model, start)) < 1e-6
    assert manifold.invariants(ode).row_space.drift < 1e-9


def test_from_random_weights_the_deviation_falls_with_the_root_of_the_dimension():
    """Mean distance of the end from the closest solution over 24 starts; slope -0.5 +- 0.1."""
    model = tsode.TeacherStudent(2, 2, 0.2)
    dimensions = [10**3, 10**4, 10**5, 10**6]
    deviations = []
    for N in dimensions:
        starts = [tsode.Overlaps.random(model, N, rng=seed) for seed in range(24)]
        ends = [tsode.integrate(model, start, [0.0, 400.0], rtol=1e-9, atol=1e-12).overlaps() for start in starts]
        rotations = [manifold.closest_rotation(model, start) for start in starts]
        deviations.append(np.mean([manifold.distance(model, *pair) for pair in zip(ends, rotations)]))
    slope = np.polyfit(np.log(dimensions), np.log(deviations), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)

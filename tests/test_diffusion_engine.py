"""Coarse steps of many samples beside the chain, the ODE, and the law of the escape."""

import itertools

import numpy as np
import pytest
from models import GENERAL, MODELS, all_of, generic_start
from scipy import stats
from test_chain_engine import moments_agree, same_law

import tsode
from tsode.sgd import diffusion

HUGE = 10**15
ESCAPING = {
    "uniform": tsode.TeacherStudent(4, 2, 0.4),
    "spherical": tsode.TeacherStudent(2, 1, 0.2, constraint="spherical"),
}


def covariance_of_a_sample(model, rows, T):
    """Covariance of C y^T and C C^T, flattened, by a quadrature that is exact for polynomials of degree 15."""
    p, d = rows.shape
    points, weights = np.polynomial.hermite_e.hermegauss(8)
    grid = np.array(list(itertools.product(points, repeat=d + 1))).T
    weights = np.prod(list(itertools.product(weights / weights.sum(), repeat=d + 1)), axis=1)
    y, lam, mu = grid[:d], rows @ grid[:d], T @ grid[: len(T)]
    D = model.student_readout @ lam**2 - model.teacher_readout @ mu**2 - np.sqrt(model.noise_variance) * grid[d]
    C = -2 * model.learning_rate * model.student_readout[:, None] * D * lam
    both = np.concatenate([(C[:, None] * y).reshape(p * d, -1), (C[:, None] * C).reshape(p * p, -1)])
    both -= (both @ weights)[:, None]
    return (both * weights) @ both.T


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("p", [1, 2])
def test_kick_of_the_square_has_the_covariance_of_a_sample(p, rank):
    """It is linear in its random numbers: unit vectors give a root of the covariance."""
    rng = np.random.default_rng(p)
    model = tsode.TeacherStudent(p, 3 - p, 0.3, 0.2, [0.7, -0.4][:p], rng.random(3 - p))
    rows, T = rng.standard_normal((p, 3)), rng.standard_normal((3 - p, 3 - p))
    if rank == 1:  # parallel units, and nothing beside the teacher's span
        rows[:], T[:] = rng.standard_normal((p, 1)) * np.eye(3)[0], np.outer(rng.random(3 - p), np.eye(3 - p)[0])
    averages, parameters, columns = model.rule.averages(model), model.rule.average_parameters(model), []
    for numbers in np.eye(12):
        change, spread = np.empty((p, 3)), np.empty((p, p))
        averages.kick(rows, T, parameters, numbers, change, spread)
        columns.append(np.concatenate([change.ravel(), spread.ravel()]))
    wanted = covariance_of_a_sample(model, rows, T)
    np.testing.assert_allclose(np.transpose(columns) @ columns, wanted, rtol=1e-11, atol=1e-12 * wanted.max())

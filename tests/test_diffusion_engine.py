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


# In law ---------------------------------------------------------------------------------------------------------------


LAWS = {
    **MODELS,
    "erf": {**GENERAL, "activation": "erf"},
    "weights that decay, rates that jump": {**GENERAL, "learning_rate": [(0.0, 0.3), (0.6, 0.1)], "weight_decay": 0.3},
    "parallel teachers": {**GENERAL, "teacher_overlap": [[1.0, 1.0], [1.0, 1.0]], "learning_rate": 0.1},
}  # fmt: skip


@pytest.mark.quick(2)
@all_of({name: tsode.TeacherStudent(**parameters) for name, parameters in LAWS.items()})
def test_it_has_the_law_of_the_chain(model):
    """6 Kolmogorov-Smirnov tests above 1e-4 and some hundred moments within 4.6 errors a case."""
    given = generic_start(model) if np.linalg.det(model.teacher_overlap) else tsode.Overlaps.random(model, 10, rng=0)
    a, b = (
        tsode.simulate(model, given, [0.0, 1.0, 2.5], N=4000, runs=400, seed=seed, engine=engine)
        for seed, engine in enumerate(("chain", "diffusion"))
    )
    assert min(same_law(a, b)) > 1e-4
    assert moments_agree(a, b) < 4.6


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_it_has_the_law_of_the_chain_where_averages_are_by_quadrature(activation):
    test_it_has_the_law_of_the_chain(tsode.TeacherStudent(2, 1, 0.5, 0.1, activation=activation))


@pytest.mark.quick(1)
@pytest.mark.parametrize("N", [10**9, pytest.param(HUGE, marks=pytest.mark.slow)])
@all_of(ESCAPING)
def test_escape_times_are_on_their_law(model, N):
    """A Kolmogorov-Smirnov test above 1e-3; 4 errors of the mean are 0.5 % of it, and nonlinearity as much."""
    law = tsode.escape_law(model, N, 0.01, start="random")
    alpha, until = np.linspace(0.0, law.ppf(1 - 1e-6), 301), tsode.escaped(0.01)
    sgd = tsode.simulate(model, None, alpha, N, runs=160, seed=1, engine="diffusion", until=until)
    times = tsode.escape_time(sgd, 0.01)
    assert (sgd.status == "reached").all()
    assert stats.kstest(times, law.cdf).pvalue > 1e-3
    assert times.mean() == pytest.approx(law.mean(), rel=0.01)


def test_random_starts_and_times_beyond_all_counting():
    """More samples than a float counts: N Var(M) is P at the start, and Q - 1 of order N^-1/2."""
    model = tsode.TeacherStudent(2, 2, 0.1, teacher_overlap=[[2.0, 0.5], [0.5, 1.0]])
    drawn = [tsode.Overlaps.random(model, HUGE, rng=seed) for seed in range(400)]
    sgd = tsode.simulate(model, None, [0.0, 20.0], N=HUGE, runs=400, engine="diffusion")
    assert (sgd.status == "completed").all()
    for M, Q in ((sgd.M[:, 0], sgd.Q[:, 0]), map(np.array, zip(*((start.M, start.Q) for start in drawn)))):
        rows = M.reshape(-1, 2) * np.sqrt(HUGE)
        np.testing.assert_allclose(rows.T @ rows / len(rows), model.teacher_overlap, atol=0.4)  # 4 errors
        assert 0.5 < np.std(np.sqrt(HUGE / 2) * (Q[:, 0, 0] - 1)) < 1.5
    found = tsode.simulate(model, drawn[0], [0.0, 20.0], N=HUGE, engine="diffusion")
    assert found.M[0, 0] == pytest.approx(drawn[0].M, rel=1e-6)
    with pytest.raises(ValueError, match=r"`alpha` must be at most 4.61e\+03 at N"):
        tsode.simulate(model, None, 5000.0, N=HUGE, engine="diffusion")


# In the step ----------------------------------------------------------------------------------------------------------


@all_of({name: ESCAPING[name].replace(noise_variance=0.1) for name in ESCAPING})
def test_the_mean_follows_the_ode_to_fourth_order(model):
    start, alpha = generic_start(model), [0.0, 4.0]
    ode, errors = tsode.integrate(model, start, alpha, rtol=1e-12, atol=1e-14), []
    for step in (1.0, 0.5, 0.25):
        sgd = tsode.simulate(model, start, alpha, N=9 * HUGE, step=step, engine="diffusion")
        errors.append(np.abs(sgd.M[0] - ode.M).max() + np.abs(sgd.Q[0] - ode.Q).max())
    assert np.polyfit(np.log([1.0, 0.5, 0.25]), np.log(errors), 1)[0] == pytest.approx(4.0, abs=0.5)


def test_a_jump_of_the_learning_rate_costs_no_order():
    """It is at no end of a step, and the runs begin later than at zero."""
    model = tsode.TeacherStudent(2, 1, [(0.0, 0.1), (2.1234, 0.4), (3.0, 0.05)])
    start, alpha = generic_start(model), [1.0, 2.0, 4.0]
    ode = tsode.integrate(model, start, alpha, rtol=1e-12, atol=1e-14)
    sgd = tsode.simulate(model, start, alpha, N=9 * HUGE, step=0.25, engine="diffusion")
    np.testing.assert_allclose(sgd.Q[0], ode.Q, rtol=0, atol=3e-6)


@pytest.mark.quick(1)
@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_what_is_beside_the_teacher_stays_semidefinite(constraint, noise):
    """In the shortest steps, from Q of rank p*, through the escape and towards rank p* again."""
    model = tsode.TeacherStudent(3, 1, 0.3, noise, constraint=constraint)
    M = np.array([[1.0], [1.0], [-1.0]]) if constraint == "spherical" else np.array([[0.1], [0.0], [0.0]])
    sgd = tsode.simulate(
        model, tsode.Overlaps(M, M @ M.T), np.linspace(0, 200, 41), N=500, runs=30, step=0.1, engine="diffusion"
    )
    assert (sgd.status == "completed").all()
    values = np.linalg.eigvalsh(sgd.Q - sgd.M @ np.swapaxes(sgd.M, 2, 3))
    assert values.min() > -1e-14 * sgd.Q.max()
    if constraint == "spherical":
        np.testing.assert_allclose(np.diagonal(sgd.Q, axis1=2, axis2=3), 1.0, rtol=0, atol=1e-14)


def test_nothing_moves_at_a_solution_and_too_fast_runs_diverge():
    model = tsode.TeacherStudent(2, 2, 0.2)
    still = tsode.simulate(model, tsode.Overlaps(np.eye(2), np.eye(2)), [0.0, 9.0], N=HUGE, engine="diffusion")
    np.testing.assert_allclose(still.Q[0, 1], np.eye(2), rtol=0, atol=1e-15)
    models = [model, model.replace(learning_rate=3.0)]
    fine, fast = tsode.simulate_many(models, None, np.linspace(0, 20, 11), N=10**6, runs=2, engine="diffusion")
    assert (fine.status == "completed").all()
    assert (fast.status == "diverged").all()
    assert (fast.stopped_at < 20).all()
    assert fast.alpha.tolist() == [0.0]


def test_refused_models_and_steps():
    right = {"alpha": 1.0, "N": 1000, "engine": "diffusion"}
    model = ESCAPING["uniform"]
    inputs = tsode.Inputs([1.0], [1])
    for other in (
        {"batch_size": 2}, {"momentum": 0.5}, {"readout_learning_rate": 0.1}, {"rule": "huber"}, {"inputs": inputs}
    ):  # fmt: skip
        with pytest.raises(tsode.NoClosedForm, match=r"`model` must have .* take engine='chain'"):
            tsode.simulate(model.replace(**other), None, **right)
    assert diffusion.check_diffusion(model) is model
    assert tsode.simulate(model, None, **right).engine == "sgd, diffusion, gaussian inputs, steps of 0.25"
    assert tsode.simulate(model, None, 1.0, 1000, engine="diffusion", step=0.05).engine.endswith("of 0.05")

"""Properties that hold for every model and every start, tried on random ones.

30 inputs a test, 6 a statistical one, the same in every run; `pytest --hypothesis-profile=many` tries 500 and 100.
"""

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import equal_pairs, file_names, grids, pairs, root, trajectories

import tsode

FLOWS = pytest.mark.parametrize("gradient_flow", [False, True])
ENGINES = pytest.mark.parametrize("engine", ["chain", "weights"])
STATISTICAL = settings(max_examples=settings().max_examples // 5)
PRECISE = {"rtol": 1e-10, "atol": 1e-12}
ROUNDING = 1e-12


def joint_matrices(trajectory):
    """[[Q, M], [M^T, P]] at all recorded times of all runs, shape (n, p + p_star, p + p_star)."""
    M, Q = trajectory.M, trajectory.Q
    P = np.broadcast_to(trajectory.model.teacher_overlap, (*M.shape[:-2], M.shape[-1], M.shape[-1]))
    joint = np.block([[Q, M], [np.swapaxes(M, -1, -2), P]])
    return joint[np.isfinite(joint).all(axis=(-1, -2))]


def lowest_eigenvalue(trajectory):
    """The smallest eigenvalue of all joint matrices, each relative to its largest one."""
    values = np.linalg.eigvalsh(joint_matrices(trajectory))
    return np.min(values[:, 0] / np.maximum(values[:, -1], 1e-300))


# --- overlaps are those of weights


@FLOWS
@given(pair=pairs(inside=True), alpha=grids(10.0))
def test_overlaps_of_the_ode_stay_semidefinite(gradient_flow, pair, alpha):
    ode = tsode.integrate(*pair, alpha, gradient_flow=gradient_flow)
    assert lowest_eigenvalue(ode) > -1e-7  # the solver's tolerance is 1e-8


@pytest.mark.quick(1)
@ENGINES
@given(pair=pairs(), alpha=grids(3.0), beyond=st.integers(0, 30), seed=st.integers(0, 2**32))
def test_overlaps_of_the_engines_stay_semidefinite(engine, pair, alpha, beyond, seed):
    model, start = pair
    N = model.p + model.p_star + beyond
    for first in (start, None):
        sgd = tsode.simulate(model, first, alpha, N=N, runs=2, seed=seed, engine=engine)
        assert lowest_eigenvalue(sgd) > -1e-13


# --- symmetries


def assert_close(ode, M, Q, atol=1e-6):
    np.testing.assert_allclose(ode.M, M, rtol=0, atol=atol)
    np.testing.assert_allclose(ode.Q, Q, rtol=0, atol=atol)


@FLOWS
@given(equal_pairs())
def test_equal_units_can_be_rotated(gradient_flow, drawn):
    model, start, O = drawn
    options = {"alpha": [0.0, 0.5, 3.0], "gradient_flow": gradient_flow, **PRECISE}
    ode = tsode.integrate(model, start, **options)
    assume(ode.status == "completed")  # close to a divergence any error grows
    turned = tsode.integrate(model, tsode.Overlaps(O @ start.M, O @ start.Q @ O.T, start.P), **options)
    assert_close(turned, O @ ode.M, O @ ode.Q @ O.T)


@FLOWS
@given(pair=pairs(), data=st.data())
def test_units_can_be_permuted_on_both_sides(gradient_flow, pair, data):
    model, start = pair
    k, r = (np.array(data.draw(st.permutations(range(n)))) for n in (model.p, model.p_star))
    options = {"alpha": [0.0, 0.5, 3.0], "gradient_flow": gradient_flow, **PRECISE}
    ode = tsode.integrate(model, start, **options)
    assume(ode.status == "completed")
    P = start.P[np.ix_(r, r)]
    changes = {"student_readout": model.student_readout[k], "teacher_readout": model.teacher_readout[r]}
    permuted = model.replace(**changes, teacher_overlap=P)
    other = tsode.integrate(permuted, tsode.Overlaps(start.M[np.ix_(k, r)], start.Q[np.ix_(k, k)], P), **options)
    assert_close(other, ode.M[:, k][:, :, r], ode.Q[:, k][:, :, k])


# --- loss


def sum_of_squares(model, joint):
    """The excess loss t^2/2 + s with s = |F^T S F|^2, which no rounding takes below zero."""
    S = np.concatenate([model.student_readout, -model.teacher_readout])
    F = root(joint)
    return (S @ np.diagonal(joint)) ** 2 / 2 + np.sum((F.T * S @ F) ** 2)


@given(pairs())
def test_excess_loss_is_a_sum_of_squares(pair):
    model, start = pair
    ode = tsode.integrate(model, start, [0.0, 1.0, 10.0])
    wanted = [sum_of_squares(model, joint) for joint in joint_matrices(ode)]
    scale = sum(np.abs(model.student_readout)) * np.max(np.abs(ode.Q)) + np.trace(np.abs(start.P))
    np.testing.assert_allclose(ode.excess_loss, wanted, rtol=1e-7, atol=1e-9 * scale**2)


@ENGINES
@given(pair=pairs(), alpha=grids(3.0))
def test_loss_is_never_below_that_of_the_noise(engine, pair, alpha):
    model, start = pair
    sgd = tsode.simulate(model, start, alpha, N=20, runs=2, engine=engine)
    for trajectory in (sgd, tsode.integrate(model, start, alpha)):
        assert not np.any(trajectory.excess_loss < 0)
        assert not np.any(trajectory.loss < model.noise_variance / 2)


@given(pairs(inside=True))
def test_gradient_flow_never_climbs(pair):
    loss = tsode.integrate(*pair, np.linspace(0, 20, 41), gradient_flow=True).excess_loss
    assert np.all(np.diff(loss) <= 1e-9 * loss[0])
    assert len(loss) == 41


# --- times


@FLOWS
@given(pair=pairs(), times=st.tuples(grids(2.0), grids(2.0), grids(5.0)))
def test_ode_does_not_depend_on_the_times_asked_for(gradient_flow, pair, times):
    model, start = pair
    common, *other = times
    odes = []
    for more in (common, *other):
        alpha = np.union1d(common, more)
        ode = tsode.integrate(model, start, alpha, gradient_flow=gradient_flow, **PRECISE)
        assume(ode.status == "completed")
        odes.append((ode.M[np.isin(alpha, common)], ode.Q[np.isin(alpha, common)]))
    for M, Q in odes[1:]:
        np.testing.assert_allclose(M, odes[0][0], rtol=0, atol=1e-7)
        np.testing.assert_allclose(Q, odes[0][1], rtol=0, atol=1e-7)


@FLOWS
@given(pair=pairs(), halfway=st.floats(0.01, 2.99))
def test_ode_goes_on_from_where_it_was(gradient_flow, pair, halfway):
    model, start = pair
    whole = tsode.integrate(model, start, [0.0, halfway, 3.0], gradient_flow=gradient_flow)
    assume(whole.status == "completed")
    rest = tsode.integrate(model, whole.overlaps(1), [halfway, 3.0], gradient_flow=gradient_flow)
    assert_close(rest, whole.M[1:], whole.Q[1:], atol=1e-5)


# --- files


def bits(value):
    """What has to be the same for two values to be the same bit for bit."""
    if isinstance(value, np.ndarray) and value.ndim:
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, tsode.TeacherStudent):
        return repr(value.to_dict())  # tells 0.0 from -0.0
    return float(value).hex() if isinstance(value, float) else repr(value)


@given(trajectory=trajectories(), name=file_names())
def test_file_gives_back_every_bit(trajectory, name):
    with tempfile.TemporaryDirectory() as folder:
        path = trajectory.save(Path(folder) / name)
        assert os.listdir(folder) == [path.name]
        loaded = tsode.Trajectory.load(path)
    assert path.name in (name, f"{name}.npz")
    for field in dataclasses.fields(tsode.Trajectory):
        assert bits(getattr(loaded, field.name)) == bits(getattr(trajectory, field.name))


# --- SGD and its ODE

# An input compares at most 60 entries: at 6 standard errors of normal means it gives a false alarm in 1 of 1e7.
# At learning rate 0.05 no tail of the samples' law outweighs that many runs, and the ODE's 1/N correction is below 1/N.
BOUND, SLOW = 6.0, {"learning_rate": 0.05}


def entries(trajectory):
    """All entries of M and Q at the last time, shape (..., p (p + p_star))."""
    last = trajectory.M[..., -1, :, :], trajectory.Q[..., -1, :, :]
    return np.concatenate([overlaps.reshape(*overlaps.shape[:-2], -1) for overlaps in last], axis=-1)


def mean_and_error(sgd):
    values = entries(sgd)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(sgd.runs) + ROUNDING


@STATISTICAL
@given(pair=pairs(**SLOW), N=st.integers(50, 100))
def test_engines_agree_in_mean(pair, N):
    both = [tsode.simulate(*pair, [0.0, 1.0], N=N, runs=128, engine=engine) for engine in ("chain", "weights")]
    (chain, error), (weights, other) = map(mean_and_error, both)
    assert np.all(np.abs(chain - weights) < BOUND * np.hypot(error, other))


@pytest.mark.quick(1)
@pytest.mark.parametrize(("engine", "N"), [("chain", 4000), ("weights", 400)])
@STATISTICAL
@given(pair=pairs(**SLOW))
def test_mean_of_sgd_is_the_ode_up_to_one_over_N(engine, N, pair):
    mean, error = mean_and_error(tsode.simulate(*pair, [0.0, 1.0], N=N, runs=64, engine=engine))
    assert np.all(np.abs(mean - entries(tsode.integrate(*pair, [0.0, 1.0]))) < BOUND * error + 1 / N)

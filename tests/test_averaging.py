"""Running averages of the weights: in both engines, in the ODE, and what they gain."""

import numpy as np
import pytest
from models import GENERAL, all_of, generic_start
from reference import train
from scipy import stats

import tsode
from tsode.averaging import UniformAverage

READOUT = {"readout_learning_rate": 0.4, "readout_decay": 0.1, "weight_decay": 0.2}
CASES = {
    "quadratic": {"averaging_rate": 0.7},
    "uniform, table, readout, erf": {
        **READOUT, "activation": "erf", "averaging_rate": UniformAverage(1.0), "learning_rate": [(0.0, 0.5), (2.0, 0.1)]
    },
    "momentum, batch of 3, spherical": {
        **READOUT, "averaging_rate": 0.5, "momentum": 0.5, "batch_size": 3, "activation": "relu",
        "constraint": "spherical"
    },
    "inputs, uniform, momentum": {
        "averaging_rate": UniformAverage(-1.0), "momentum": 0.3, "inputs": tsode.Inputs([1.6, 0.4], [1, 1]),
        "learning_rate": 0.05
    },
}  # fmt: skip
MODELS = {name: tsode.TeacherStudent(**{**GENERAL, "learning_rate": 0.1, **case}) for name, case in CASES.items()}
every_case = all_of(MODELS)


def start_of(model):
    return generic_start(model) if model.inputs is None else tsode.Overlaps.random(model, 300, rng=5)


def averages(model, history, N):
    """What the definition says, one step of SGD after the other; history[n] is (W, v)."""
    found, duration, rate = [history[0]], model.batch_size / N, model.averaging_rate
    for n, newest in enumerate(history[1:], start=1):
        if isinstance(rate, UniformAverage):
            share = 1.0 if n * duration <= rate.begin else min(1.0, duration / (n * duration - rate.begin))
        else:
            share = rate * duration
        found.append([(1 - share) * old + share * new for old, new in zip(found[-1], newest)])
    return found


@every_case
def test_weights_engine_does_what_the_definition_says(model):
    """On given rows, to rounding; the averaged weights are those of the final overlaps."""
    N, rng = 30, np.random.default_rng(3)
    W, W_star = start_of(model).realise(N, rng)
    B, step = model.batch_size, np.array([0, 1, 20, 31, 60])
    model = model.replace(noise_variance=0.0, learning_rate=model.at(0.0).learning_rate / 4)
    rows = rng.standard_normal((60 * B, N)) * (1.0 if model.inputs is None else model.inputs.scales(N))
    wanted = averages(model, train(model, W, W_star, rows, np.zeros(len(rows))), N)
    sgd = tsode.simulate(model, (W, W_star), step * B / N, N, engine="weights", inputs=rows, keep_weights=True)
    for i, n in enumerate(step):
        overlaps = tsode.Overlaps.from_weights(wanted[n][0], W_star, model.inputs)
        np.testing.assert_allclose(sgd.averaged.M[0, i], overlaps.M, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(sgd.averaged.Q[0, i], overlaps.Q, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(sgd.averaged.readout[0, i], wanted[n][1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(sgd.averaged.weights[0][0], wanted[-1][0], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(sgd.averaged.weights[1], sgd.weights[1])


@pytest.mark.quick(1)
@every_case
def test_chain_has_the_law_of_plain_sgd(model):
    """8 Kolmogorov-Smirnov tests a case of the average and of its overlap with how the last weights are spread."""
    N, alpha = 24, [0.0, 1.5, 4.0]
    chain = tsode.simulate(model, start_of(model), alpha, N=N, runs=400, seed=2)
    weights = tsode.simulate(model, start_of(model), alpha, N=N, runs=200, seed=1, engine="weights")
    functions = (
        lambda sgd: np.square(sgd.averaged.M).sum(axis=(2, 3)),
        lambda sgd: sgd.averaged.Q[:, :, 0, 1] + sgd.averaged.readout[:, :, 1],
        lambda sgd: np.trace(sgd.averaged.Q - sgd.Q, axis1=2, axis2=3),
        lambda sgd: sgd.averaged.excess_loss / sgd.excess_loss,
    )
    assert set(chain.status) | set(weights.status) == {"completed"}
    found = [stats.ks_2samp(f(chain)[:, i], f(weights)[:, i]).pvalue for f in functions for i in (1, 2)]
    assert min(found) > 1e-4


@pytest.mark.slow
def test_chain_has_the_law_of_sgd_sample_by_sample():
    """The same beside a plain loop over samples, its averages and their loss: 150 runs, 4 tests."""
    model, N, rng = MODELS["momentum, batch of 3, spherical"], 20, np.random.default_rng(0)
    ends, start = [], start_of(model)
    for _ in range(150):
        W, W_star = start.realise(N, rng)
        rows, noise = rng.standard_normal((60, N)), np.sqrt(model.noise_variance) * rng.standard_normal(60)
        W_mean, v_mean = averages(model, train(model, W, W_star, rows, noise), N)[-1]
        found = tsode.Overlaps.from_weights(W_mean, W_star)
        ends.append([np.square(found.M).sum(), np.trace(found.Q), found.Q[0, 1], v_mean[1]])
    chain = tsode.simulate(model, start, [0.0, 3.0], N=N, runs=800).averaged
    M, Q = chain.M[:, -1], chain.Q[:, -1]
    wanted = np.square(M).sum(axis=(1, 2)), np.trace(Q, axis1=1, axis2=2), Q[:, 0, 1], chain.readout[:, -1, 1]
    assert min(stats.ks_2samp(a, b).pvalue for a, b in zip(np.transpose(ends), wanted)) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_deviation_from_the_ode_falls_as_one_over_root_N(case):
    """N from 1e3 to 3e4 at 40 runs: an rms is known to 10 %, the slope to 0.04."""
    model, alpha = MODELS[case], np.array([0.0, 1.5, 3.0])
    start = start_of(model)
    ode, dimensions, sizes = tsode.integrate(model, start, alpha).averaged, [1000, 5500, 30_000], []
    for N in dimensions:
        sgd = tsode.simulate(model, start, alpha, N=N, runs=40, seed=N).averaged
        parts = ((sgd.M, ode.M), (sgd.Q, ode.Q), (sgd.readout, ode.readout))
        sizes.append(np.sqrt(sum(np.mean((a - b) ** 2) for a, b in parts)))
    assert np.polyfit(np.log(dimensions), np.log(sizes), 1)[0] == pytest.approx(-0.5, abs=0.1)


@pytest.mark.quick(1)
@every_case
def test_averages_move_nothing_and_have_limits(model):
    """The weights have the ODE of a model without; a slow average is the start, a fast one the weights."""
    start, alpha = start_of(model), np.array([0.0, 1.0, 2.5])
    ode, bare = tsode.integrate(model, start, alpha), tsode.integrate(model.replace(averaging_rate=0.0), start, alpha)
    assert bare.averaged is None
    np.testing.assert_allclose(ode.Q, bare.Q, rtol=1e-7)
    assert abs(ode.averaged.Q - ode.Q)[-1].max() > 0.005
    stiff = tsode.integrate(model, start, alpha, "LSODA", rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(stiff.averaged.Q, ode.averaged.Q, rtol=1e-6)
    slow, fast = (tsode.integrate(model.replace(averaging_rate=rate), start, alpha).averaged for rate in (1e-12, 100.0))
    np.testing.assert_allclose(slow.Q, np.broadcast_to(start.Q, slow.Q.shape), atol=1e-10)
    assert abs(fast.Q - ode.Q).max() < 0.03 < 4 * abs(slow.Q - ode.Q).max()
    late = tsode.integrate(model.replace(averaging_rate=UniformAverage(2.5)), start, alpha)
    np.testing.assert_array_equal(late.averaged.Q, late.Q)
    instant = tsode.simulate(model.replace(averaging_rate=1e9), start, alpha, N=50, runs=2)
    np.testing.assert_allclose(instant.averaged.Q, instant.Q, rtol=1e-12)


@pytest.mark.parametrize("averaging_rate", [0.05, UniformAverage(100.0)])
def test_gain_on_the_noise_floor_is_that_of_linear_relaxation(averaging_rate):
    """Least mean squares relaxes at the rate eta: an average has the part of the stationary loss that theory says."""
    eta, alpha = 0.3, np.linspace(0.0, 200.0, 5)
    model = tsode.TeacherStudent(
        1, 1, eta, 0.5, activation=tsode.activations.Polynomial([0.0, 1.0]), averaging_rate=averaging_rate
    )
    start = tsode.Overlaps([[1.0]], [[1.0]], [[1.0]])
    ode = tsode.integrate(model, start, alpha, rtol=1e-10, atol=1e-12)
    t, uniform = eta * 100.0, isinstance(averaging_rate, UniformAverage)
    gain = 2 / t * (1 + np.expm1(-t) / t) if uniform else averaging_rate / (averaging_rate + eta)
    assert ode.excess_loss[-1] == pytest.approx(eta * 0.5 / (2 * (2 - eta)), rel=1e-7)
    assert ode.averaged.excess_loss[-1] / ode.excess_loss[-1] == pytest.approx(gain, rel=1e-6)


def test_averages_in_files_and_datasets(tmp_path):
    for model in MODELS.values():
        ode = tsode.integrate(model, start_of(model), 3.0)
        again = tsode.Trajectory.load(ode.save(tmp_path / "run"))
        assert again.model == model
        assert again.averaged.averaged is None
        for name in ("alpha", "M", "Q", "readout", "loss"):
            np.testing.assert_array_equal(getattr(again.averaged, name), getattr(ode.averaged, name))
        if model.inputs is not None:
            np.testing.assert_array_equal(again.averaged.blocks.Q, ode.averaged.blocks.Q)
    table = ode.to_xarray()
    np.testing.assert_array_equal(table["Q_blocks_averaged"], ode.averaged.blocks.Q)
    np.testing.assert_array_equal(table["loss_averaged"], ode.averaged.loss)


def test_many_models_have_averages_of_their_own():
    models = [MODELS["quadratic"].replace(averaging_rate=rate) for rate in (0.7, 0.2, 0.7)]
    start = generic_start(models[0])
    for model, ode in zip(models, tsode.integrate_many(models, start, [0.0, 2.0])):
        np.testing.assert_array_equal(ode.averaged.Q, tsode.integrate(model, start, [0.0, 2.0]).averaged.Q)
    for model, sgd in zip(models, tsode.simulate_many(models, start, [0.0, 2.0], N=50)):
        alone = tsode.simulate(model, start, [0.0, 2.0], N=50, seed=np.random.SeedSequence(sgd.seed))
        np.testing.assert_array_equal(sgd.averaged.Q, alone.averaged.Q)


def test_later_starts_and_figures():
    """Averages begin at a time, not after a while; and figures have a curve for each."""
    model = MODELS["quadratic"].replace(averaging_rate=UniformAverage(11.0))
    sgd = tsode.simulate(model, generic_start(model), [10.0, 11.0, 12.0], N=300, runs=2)
    ode = tsode.integrate(model, generic_start(model), [10.0, 11.0, 12.0])
    for one in (sgd, ode):
        np.testing.assert_allclose(one.averaged.Q[..., :2, :, :], one.Q[..., :2, :, :], rtol=1e-12)
        assert (one.averaged.Q != one.Q)[..., 2, :, :].all()
    labels = [line.get_label() for line in tsode.plot.loss_curve(ode, sgd).lines]
    assert [any(label.startswith(f"average, {of}") for label in labels) for of in ("SGD", "theory")] == [True, True]

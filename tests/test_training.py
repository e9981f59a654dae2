"""What is trained and how: readouts, decay, batches and momentum, in both engines and the ODE."""

import numba
import numpy as np
import pytest
from models import GENERAL, all_of, generic_start
from reference import train
from scipy import stats

import tsode
from tsode.sgd import driver

TRAINED = {"readout_learning_rate": 0.4, "readout_decay": 0.1, "weight_decay": 0.2}
CASES = {
    "readout": {"readout_learning_rate": 0.4},
    "decays, erf": {**TRAINED, "activation": "erf"},
    "decays, spherical": {**TRAINED, "activation": "relu", "constraint": "spherical"},
    "batch of 2": {"batch_size": 2, "learning_rate": 0.2},
    "batch of 11, erf": {**TRAINED, "batch_size": 11, "activation": "erf", "learning_rate": 3.0},
    "momentum, erf": {**TRAINED, "momentum": 0.7, "activation": "erf"},
    "momentum, batch of 3, spherical": {
        **TRAINED, "momentum": 0.5, "batch_size": 3, "activation": "relu", "constraint": "spherical"
    },
}  # fmt: skip
every_case = all_of(
    {name: tsode.TeacherStudent(**{**GENERAL, "learning_rate": 0.1, **case}) for name, case in CASES.items()}
)


@every_case
@pytest.mark.parametrize("N", [7, 300])
def test_weights_engine_does_what_the_definition_says(model, N):
    """On given rows and without noise, to rounding, through ragged blocks."""
    rng = np.random.default_rng(N)
    W, W_star = generic_start(model).realise(N, rng)
    model, B = model.replace(noise_variance=0.0, learning_rate=model.learning_rate / 4), model.batch_size
    rows = rng.standard_normal((12 * B, N))
    steps = np.array([0, 1, 2, 9, 12])
    history = train(model, W, W_star, rows, np.zeros(len(rows)))
    found = tsode.simulate(model, (W, W_star), steps * B / N, N, engine="weights", inputs=rows)
    for i, step in enumerate(steps):
        wanted = tsode.Overlaps.from_weights(history[step][0], W_star)
        np.testing.assert_allclose(found.M[0, i], wanted.M, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.Q[0, i], wanted.Q, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.readout[0, i], history[step][1], rtol=1e-10, atol=1e-12)


def p_values(a, b):
    """Kolmogorov-Smirnov p-values of |M|^2, overlaps of two students and the readout at all times but the first."""
    functions = (
        lambda sgd: np.square(sgd.M).sum(axis=(2, 3)),
        lambda sgd: sgd.Q[:, :, 0, 1],
        lambda sgd: sgd.Q[:, :, 2, 2] + sgd.M[:, :, 0, 0] + sgd.Q[:, :, 0, 2],
        lambda sgd: sgd.readout[:, :, 1] + sgd.M[:, :, 1, 0],
    )
    return [stats.ks_2samp(f(a)[:, i], f(b)[:, i]).pvalue for f in functions for i in range(1, a.alpha.size)]


@pytest.mark.quick(2)
@every_case
@pytest.mark.parametrize("N", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_chain_has_the_law_of_the_weights(model, N):
    """8 Kolmogorov-Smirnov tests a case, none below 1e-4; N = 8 leaves next to nothing outside of all rows."""
    less = 8 if N < 20 else 1
    model = model.replace(
        learning_rate=model.learning_rate / less, readout_learning_rate=model.readout_learning_rate / less
    )
    alpha = [0.0, 3.0, 7.0]
    a = tsode.simulate(model, None, alpha, N=N, runs=200, seed=1, engine="weights")
    b = tsode.simulate(model, None, alpha, N=N, runs=400, seed=2)
    assert set(a.status) | set(b.status) == {"completed"}
    assert min(p_values(a, b)) > 1e-4


def test_blocks_train_a_readout_too(monkeypatch):
    model = tsode.TeacherStudent(**{**GENERAL, **TRAINED, "learning_rate": 0.1})
    a, alone = (tsode.simulate(model, None, [0.0, 2.0, 6.0], N=30, runs=runs, seed=1) for runs in (400, 1))
    np.testing.assert_array_equal(a.readout[0], alone.readout[0])
    monkeypatch.setattr(driver, "in_blocks", lambda model, runs: True)
    b = tsode.simulate(model, None, [0.0, 2.0, 6.0], N=30, runs=200, seed=2)
    assert min(p_values(a, b)) > 1e-4


@pytest.mark.quick(1)
@every_case
def test_deviation_from_the_ode_falls_as_one_over_root_N(model):
    """N from 1e3 to 1.6e4 at 40 runs: an rms is known to 5 %, the slope to 0.03."""
    start, alpha = generic_start(model), np.array([0.0, 1.5, 3.0])
    ode, dimensions, sizes = tsode.integrate(model, start, alpha, rtol=1e-7), [1000, 4000, 16_000], []
    for N in dimensions:
        sgd = tsode.simulate(model, start, alpha, N=N, runs=40, seed=N)
        parts = ((sgd.M, ode.M), (sgd.Q, ode.Q), (sgd.readout, ode.readout))
        sizes.append(np.sqrt(sum(np.mean((a - b) ** 2) for a, b in parts)))
    assert np.polyfit(np.log(dimensions), np.log(sizes), 1)[0] == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize("case", ["batch of 11, erf", "momentum, erf"])
def test_a_run_is_the_same_alone_in_company_and_on_any_number_of_threads(case):
    model = tsode.TeacherStudent(**{**GENERAL, "learning_rate": 0.1, **CASES[case]})
    many = tsode.simulate(model, None, [0.0, 1.0, 2.5], N=44, runs=18, seed=3)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        alone = tsode.simulate(model, None, [0.0, 2.5], N=44, runs=1, seed=3)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(many.Q[0, [0, 2]], alone.Q[0])
    np.testing.assert_array_equal(many.readout[0, [0, 2]], alone.readout[0])


@pytest.mark.parametrize("case", ["readout", "decays, erf", "decays, spherical"])
def test_compiled_solutions_and_those_of_scipy_agree(case):
    """One alone, with others in lockstep, and through SciPy's method, which asks for one rate at a time."""
    model = tsode.TeacherStudent(**{**GENERAL, "learning_rate": 0.1, **CASES[case]})
    start, alpha = generic_start(model), np.array([0.0, 2.0, 5.0])
    one = tsode.integrate(model, start, alpha)
    (again, other) = tsode.integrate_many([model, model.replace(weight_decay=0.3)], start, alpha)
    scipy = tsode.integrate(model, start, alpha, method="RK45", rtol=1e-10, atol=1e-12)
    for found in (again, scipy):
        np.testing.assert_allclose(found.readout, one.readout, rtol=1e-7)
        np.testing.assert_allclose(found.Q, one.Q, rtol=1e-7)
    assert abs(other.Q[-1] - one.Q[-1]).max() > 1e-3 or model.spherical


@pytest.mark.parametrize("activation", ["quadratic", "relu"])
def test_balance_of_layers_is_conserved(activation):
    """Gradient flow of a homogeneous activation keeps Q_kk / (degree eta) - v_k^2 / eta_v of each unit to 1e-8."""
    model = tsode.TeacherStudent(**{**GENERAL, "activation": activation, "readout_learning_rate": 0.7})
    start, tolerances = generic_start(model), {"rtol": 1e-10, "atol": 1e-12}
    flow = tsode.integrate(model, start, np.linspace(0, 20, 5), gradient_flow=True, **tolerances)
    assert abs(flow.readout[-1] - flow.readout[0]).max() > 0.1
    balance = tsode.manifold.layer_balance(flow)
    np.testing.assert_allclose(balance, np.broadcast_to(balance[0], balance.shape), atol=1e-8)
    assert (
        abs(tsode.manifold.layer_balance(tsode.integrate(model, generic_start(model), 5.0))[-1] - balance[0]).max()
        > 1e-4
    )


def test_batches_and_momentum_have_the_ode_of_another_learning_rate():
    model = tsode.TeacherStudent(**GENERAL, batch_size=5, momentum=0.6, readout_learning_rate=0.5, weight_decay=0.1)
    plain = tsode.TeacherStudent(**{**GENERAL, "learning_rate": 0.15}, readout_learning_rate=0.25, weight_decay=0.02)
    start = generic_start(model)
    a, b = (tsode.integrate(each, start, 4.0) for each in (model, plain))
    np.testing.assert_allclose(a.Q, b.Q, rtol=1e-9)
    np.testing.assert_allclose(a.readout, b.readout, rtol=1e-9)


def test_trained_readouts_in_files(tmp_path):
    model = tsode.TeacherStudent(**{**GENERAL, **TRAINED, "learning_rate": 0.1})
    ode = tsode.integrate(model, generic_start(model), 3.0)
    again = tsode.Trajectory.load(ode.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.readout, ode.readout)
    np.testing.assert_array_equal(again.loss, ode.loss)
    assert again.model == model


@pytest.mark.parametrize("case", [{}, {"constraint": "spherical"}, {"activation": "erf", "readout_learning_rate": 0.2}])
def test_giant_steps_are_the_limit_of_batches_proportional_to_N(case):
    """The rms deviation of 32 runs falls as 1/sqrt(N): over a factor of 16, by 4 within 25 %."""
    model, samples, sizes = tsode.TeacherStudent(**{**GENERAL, "learning_rate": 0.1, **case}), 0.5, []
    start = generic_start(model)
    wanted = tsode.giant_steps(model, start, 4, samples)
    for N in (500, 8000):
        large = model.replace(
            batch_size=int(samples * N),
            learning_rate=N * model.learning_rate,
            readout_learning_rate=N * model.readout_learning_rate,
        )
        sgd = tsode.simulate(large, start, wanted.alpha, N, runs=32)
        parts = ((sgd.M, wanted.M), (sgd.Q, wanted.Q), (sgd.readout, wanted.readout))
        sizes.append(np.sqrt(sum(np.mean((a - b) ** 2) for a, b in parts)))
    assert sizes[0] / sizes[1] == pytest.approx(4, rel=0.25)


def test_giant_steps_that_diverge_end_before():
    model = tsode.TeacherStudent(2, 1, 3.0)
    found = tsode.giant_steps(model, generic_start(model), 50)
    assert found.status == "diverged"
    assert 1 < len(found.alpha) < 50
    assert found.stopped_at == found.alpha[-1]
    assert np.isfinite(found.Q).all()

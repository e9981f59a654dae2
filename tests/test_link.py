"""Targets that are any function of the teacher's preactivations."""

import numpy as np
import pytest
from models import GENERAL, generic_start
from scipy import stats
from scipy.special import expit

import tsode
from tsode.rules import Clipped, Link, Logistic
from tsode.rules import Stored as StoredRule

PARITY = Link(lambda a, b: np.sign(a * b), kinks=[0.0])
# a smooth student of a product, a kink at a known place, a class; trained readouts, batches
MODELS = {
    "product": {"rule": Link(lambda a, b: a * b)},
    "parity": {"rule": PARITY, "batch_size": 2, "learning_rate": 1.0},
    "kink anywhere": {"rule": Link(lambda a, b: np.maximum(a, b))},
    "class": {"rule": Link(lambda a, b: 3 * a * b, Logistic("bernoulli")), "readout_learning_rate": 0.2},
}
MODELS = {
    name: tsode.TeacherStudent(
        2,
        2,
        **{"learning_rate": 0.5, "noise_variance": 0.1, "student_readout": [1.2, -0.8], "activation": "erf", **case},
    )
    for name, case in MODELS.items()
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def test_a_sum_over_units_is_the_teacher_that_it_was_before():
    """Both engines to rounding, the ODE, the loss and its floor exactly; polynomials of any signs."""
    plain = tsode.TeacherStudent(**GENERAL, readout_learning_rate=0.1)
    link = plain.replace(rule=Link(lambda a, b: 0.7 * a**2 + b * b * 0.2))
    start = generic_start(plain)
    for engine in ("chain", "weights"):
        a, b = (tsode.simulate(each, start, [0.0, 3.0], N=60, runs=2, engine=engine) for each in (plain, link))
        np.testing.assert_allclose(a.Q, b.Q, rtol=1e-10)
        np.testing.assert_allclose(a.readout, b.readout, rtol=1e-10)
    a, b = (tsode.integrate(each, start, [0.0, 2.0, 4.0]) for each in (plain, link))
    for name in ("M", "Q", "readout", "loss", "excess_loss"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9)


def test_the_product_is_a_difference_of_squares():
    """mu_1 mu_2 is that of a quadratic teacher with rows (w_1 +- w_2) / sqrt(2) and the readout (1, -1) / 2."""
    R = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    link = tsode.TeacherStudent(3, 2, 0.3, 0.1, student_readout=[0.5, 0.4, -0.5], rule=Link(lambda a, b: a * b))
    plain = link.replace(rule="gradient", teacher_readout=[0.5, -0.5])
    start = generic_start(link)
    turned = tsode.Overlaps(start.M @ R.T, start.Q, start.P)
    a, b = tsode.integrate(link, start, [0.0, 5.0]), tsode.integrate(plain, turned, [0.0, 5.0])
    np.testing.assert_allclose(a.M @ R.T, b.M, rtol=1e-8)
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-8)
    assert a.excess_loss[-1] < 0.6 * a.excess_loss[0]
    plateaus = [tsode.fixed_point(model, tsode.Overlaps(np.zeros((3, 2)), np.eye(3) / 4)) for model in (link, plain)]
    assert plateaus[0].escape_rate == pytest.approx(plateaus[1].escape_rate, rel=1e-4)
    assert plateaus[0].escape_rate > 0


@pytest.mark.quick(1)
@every_model
def test_chain_has_the_law_of_the_weights(model):
    """6 Kolmogorov-Smirnov tests a model, none below 1e-4."""
    a = tsode.simulate(model, None, [0.0, 2.0, 5.0], N=30, runs=200, seed=1, engine="weights")
    b = tsode.simulate(model, None, [0.0, 2.0, 5.0], N=30, runs=800, seed=2)
    functions = (
        lambda sgd: np.prod(sgd.M, axis=(2, 3)),
        lambda sgd: sgd.M[:, :, 0, 0] + sgd.Q[:, :, 0, 1],
        lambda sgd: np.trace(sgd.Q, axis1=2, axis2=3) + sgd.readout[:, :, 1],
    )
    assert min(stats.ks_2samp(f(a)[:, i], f(b)[:, i]).pvalue for f in functions for i in (1, 2)) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["product", "parity", "class"])
def test_deviation_from_the_ode_falls_as_one_over_root_N(name):
    """N from 1e3 to 6.4e4 at 40 runs: an rms is known to 10 %, the slope to 0.03."""
    model, alpha, dimensions, sizes = MODELS[name], [0.0, 1.5, 3.0], [10**3, 8 * 10**3, 64 * 10**3], []
    start = generic_start(model)
    ode = tsode.integrate(model, start, alpha, rtol=1e-5)
    for N in dimensions:
        sgd = tsode.simulate(model, start, alpha, N=N, runs=40, seed=N)
        sizes.append(np.sqrt(np.mean((sgd.M - ode.M) ** 2) + np.mean((sgd.Q - ode.Q) ** 2)))
    assert np.polyfit(np.log(dimensions), np.log(sizes), 1)[0] == pytest.approx(-0.5, abs=0.1)


@pytest.mark.quick(2)
@every_model
def test_loss_and_step_are_those_of_fresh_samples(model):
    """10^6 samples, 5 standard errors; one step of plain SGD is that of the engine with weights."""
    rng, N, rule = np.random.default_rng(4), 40, model.rule
    start, logistic = generic_start(model), model.readout_learning_rate > 0
    f = {"parity": lambda a, b: np.sign(a) * np.sign(b), "kink anywhere": np.maximum}.get(
        next(name for name, one in MODELS.items() if one == model), lambda a, b: (3 if logistic else 1) * a * b
    )
    z = rng.multivariate_normal(np.zeros(4), start.joint, 10**6).T
    y_hat = model.student_readout @ model.activation(z[:2])
    y = f(*z[2:]) + np.sqrt(model.noise_variance) * rng.standard_normal(10**6)
    t = rng.random(10**6) < expit(y)
    loss = np.logaddexp(0, np.where(t, -y_hat, y_hat)) if logistic else (y_hat - y) ** 2 / 2
    found = model.excess_loss(start.M, start.Q) + rule.floor(model)
    assert abs(found - loss.mean()) < 5 * loss.std() / 1e3 + (2e-3 if "maximum" in rule.steps else 0)
    if not logistic:
        bare = model.replace(noise_variance=0.0)
        W, W_star = start.realise(N, rng)
        x = rng.standard_normal((model.batch_size, N))
        lam, mu = W @ x.T / np.sqrt(N), W_star @ x.T / np.sqrt(N)
        D = model.student_readout @ model.activation(lam) - f(*mu)
        C = -model.learning_rate * model.student_readout[:, None] * D * model.activation.slope(lam)
        wanted = W + C @ x / np.sqrt(N) / len(x)
        sgd = tsode.simulate(bare, (W, W_star), [0.0, len(x) / N], N, engine="weights", inputs=x, keep_weights=True)
        np.testing.assert_allclose(sgd.weights[0][0], wanted, rtol=1e-12)


def test_what_is_known_of_a_link(tmp_path):
    model = MODELS["product"]
    again = tsode.Trajectory.load(tsode.integrate(model, generic_start(model), 1.0, rtol=1e-4).save(tmp_path / "run"))
    assert isinstance(again.model.rule, StoredRule)
    assert again.excess_loss[0] == model.excess_loss(again.M[0], again.Q[0])
    assert Link(lambda a, b: a * b) == model.rule != Link(lambda a, b: a * b * 1.5)
    assert repr(Link(lambda a, b: a * b)) == "Link(mu -> x0 = load(mu, 0); x1 = load(mu, 1); t0 = x0 * x1; t0)"
    square = model.replace(activation="quadratic")
    for rule in (
        PARITY,
        Link(lambda a, b: np.maximum(a, b)),
        Clipped(model.rule, 1.0),
        Link(lambda a, b: a / b),
        Link(lambda a, b: a**0.5),
    ):
        assert rule.degree(square) is None
    assert Link(lambda a, b: -(a**3) * b / 3 - 2).degree(square) == 5
    with pytest.raises(tsode.NoClosedForm, match="`rule` must"):
        model.loss_slopes(np.eye(2), np.eye(2))
    for name in ("product", "parity"):  # a unit of the teacher is no other
        assert len(np.unique(MODELS[name].rule.teacher_marks(model))) == 2
    with pytest.raises(tsode.NoClosedForm, match="`rule` must"):
        tsode.hessian.rotations(square, generic_start(square))
    assert Clipped(model.rule, 1.0).teacher_marks(model).tolist() == [0.0, 1.0]

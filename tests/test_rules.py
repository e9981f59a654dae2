"""Losses of the output and wrapped rules beside SGD as the definition says, fresh samples and closed forms."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit, ndtr, xlogy

import tsode
from tsode import cli, rules
from tsode._states import pack
from tsode.activations import Polynomial, jitable
from tsode.ode.rhs import right_hand_side
from tsode.rules import Clipped, Gradient, Hinge, Huber, Logistic, Normalised, Perceptron

LINEAR = Polynomial([0.0, 1.0])


def coin(y, rng):
    return (rng.random(y.shape) < expit(y)) * 1.0


def sign_loss(margin):
    return lambda a, y, rng: np.maximum(0, margin - a * np.sign(y)), lambda a, y, rng: (
        -np.sign(y) * (a * np.sign(y) < margin))  # fmt: skip


def logistic(label):
    def value(a, y, rng):
        t = label(y, rng)
        return np.logaddexp(0, a) - t * a

    return value, lambda a, y, rng: expit(a) - label(y, rng)


def huber(c):
    def value(a, y, rng):
        D = np.abs(a - y)
        return np.where(c > D, D**2 / 2, c * (D - c / 2))

    return value, lambda a, y, rng: np.clip(a - y, -c, c)


# loss and slope of a sample, as the definitions say
PLAIN = {
    "soft": (Logistic(), logistic(lambda y, rng: expit(y))),
    "hard": (Logistic("hard"), logistic(lambda y, rng: (y > 0) * 1.0)),
    "bernoulli": (Logistic("bernoulli"), logistic(coin)),
    "hinge": (Hinge(0.5), sign_loss(0.5)),
    "perceptron": (Perceptron(), sign_loss(0.0)),
    "huber": (Huber(0.5), huber(0.5)),
}
SQUARE = (lambda a, y, rng: (a - y) ** 2 / 2, lambda a, y, rng: a - y)
all_losses = pytest.mark.parametrize("name", PLAIN)


def model_of(rule, p=2, p_star=2, activation="erf", **changes):
    """Every parameter away from its default; outputs of order 1."""
    v, v_star = np.array([1.2, -0.7, 0.5])[:p], np.array([1.5, 0.8])[:p_star]
    given = {"learning_rate": 0.8, "noise_variance": 0.3, "student_readout": v, "teacher_readout": v_star,
             "activation": activation, "rule": rule}  # fmt: skip
    return tsode.TeacherStudent(p, p_star, **{**given, **changes})


def outputs(model, lam, mu, rng, v=None):
    """Outputs of student and teacher, noise included; units are on the last axis."""
    clean = model.teacher_activation(mu) @ model.teacher_readout
    noise = np.sqrt(model.noise_variance) * rng.standard_normal(clean.shape)
    return np.sum(model.activation(lam) * (model.student_readout if v is None else v), axis=-1), clean + noise


def plain_sgd(model, slope, N, runs, samples, norm=np.inf, offset=None):
    """Weights and readouts of many runs from random weights, sample by sample, with a generator of its own."""
    rng = np.random.default_rng(11)
    W = rng.standard_normal((runs, model.p, N))
    W_star = rng.standard_normal((runs, model.p_star, N))
    basis = np.linalg.qr(np.swapaxes(W_star, 1, 2))[0]  # the teacher has its overlaps exactly
    W_star = np.sqrt(N) * np.linalg.cholesky(model.teacher_overlap) @ np.swapaxes(basis, 1, 2)
    v = np.tile(model.student_readout, (runs, 1))
    for _ in range(samples):
        x = rng.standard_normal((runs, N))
        lam, mu = (np.einsum("rkn,rn->rk", A, x) / np.sqrt(N) for A in (W, W_star))
        fall = -slope(*outputs(model, lam, mu, rng, v), rng)[:, None]
        C = fall * v * model.activation.slope(lam)
        size = np.linalg.norm(C, axis=1) * np.linalg.norm(x, axis=1) / np.sqrt(N)
        scale = np.minimum(1, norm / np.maximum(size, 1e-30))[:, None]
        if offset is not None:
            scale = 1 / (offset + np.square(x).sum(axis=1, keepdims=True) / N)
        W += model.learning_rate / np.sqrt(N) * (scale * C)[:, :, None] * x[:, None]
        v += model.readout_learning_rate / N * fall * model.activation(lam) * (1 if offset is not None else scale)
    M, Q = W @ np.swapaxes(W_star, 1, 2) / N, W @ np.swapaxes(W, 1, 2) / N
    return M, Q, v


class LogCosh(rules.OutputLoss):
    """A loss of the user's own."""

    name = "log cosh"

    def __init__(self, width=1.0):
        self.width = width

    @property
    def function(self):
        width = self.width

        @jitable
        def log_cosh(y_hat, label):
            x = (y_hat - label) / width
            return width * (np.abs(x) + np.log(1 + np.exp(-2 * np.abs(x))) - np.log(2.0)), np.tanh(x)

        return log_cosh


CASES = {
    **{name: (rule, plain[1], {}) for name, (rule, plain) in PLAIN.items()},
    "clipped": (Clipped(Gradient(), 0.6), SQUARE[1], {"norm": 0.6}),
    "clipped hinge": (Clipped(Hinge(0.5), 0.4), PLAIN["hinge"][1][1], {"norm": 0.4}),
    "normalised": (Normalised(Gradient(), 0.1), SQUARE[1], {"offset": 0.1}),
    "a user's own": (LogCosh(0.5), lambda a, y, rng: np.tanh((a - y) / 0.5), {}),
}


@pytest.mark.quick(3)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", ["chain", pytest.param("weights", marks=pytest.mark.slow)])
def test_engines_have_the_law_of_plain_sgd(engine, name):
    """After 3 N samples, N = 20, 300 runs: of 10 Kolmogorov-Smirnov tests a case, none below 1e-4."""
    rule, slope, options = CASES[name]
    model, N, runs = model_of(rule, readout_learning_rate=0.3), 20, 300
    plain = plain_sgd(model, slope, N, runs, 3 * N, **options)
    sgd = tsode.simulate(model, None, [0.0, 3.0], N=N, runs=runs, seed=1, engine=engine)
    for one, other in zip((sgd.M, sgd.Q, sgd.readout), plain):
        one, other = one[:, -1].reshape(runs, -1), other.reshape(runs, -1)
        assert min(stats.ks_2samp(*pair).pvalue for pair in zip(one.T, other.T)) > 1e-4


def one_step(model, start, slope, samples, rng):
    """Mean and standard error of what a sample changes in M and Q, times N, in the limit."""
    p = model.p
    z = rng.multivariate_normal(np.zeros(len(start.joint)), start.joint, samples)
    lam, mu = z[:, :p], z[:, p:]
    C = -model.learning_rate * slope(*outputs(model, lam, mu, rng), rng)[:, None]
    C = C * model.student_readout * model.activation.slope(lam)
    products = C[:, :, None] * z[:, None]
    dQ = products[:, :, :p] + np.swapaxes(products[:, :, :p], 1, 2) + C[:, :, None] * C[:, None]
    change = np.hstack([products[:, :, p:].reshape(samples, -1), dQ.reshape(samples, -1)])
    return change.mean(axis=0), change.std(axis=0) / np.sqrt(samples)


@pytest.mark.parametrize(("widths", "noise"), [
    ((1, 1), 0.3), ((2, 2), 0.0),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in [((1, 1), 0.0), ((2, 2), 0.3), ((3, 2), 0.3)]),
])  # fmt: skip
@all_losses
def test_rates_are_those_of_fresh_samples(name, widths, noise):
    """Within 4.5 standard errors of 1e5 samples and 3e-3, the error of Sobol' points."""
    rule, (_, slope) = PLAIN[name]
    model = model_of(rule, *widths, noise_variance=noise)
    start = tsode.Overlaps.random(model, 20, rng=1)
    mean, error = one_step(model, start, slope, 100_000, np.random.default_rng(3))
    rates = right_hand_side(model, rtol=1e-6)(0.0, pack(start.M, start.Q))
    assert np.abs((rates - mean) / (error + 3e-3 / 4.5 * np.abs(mean).max())).max() < 4.5


@all_losses
def test_loss_is_that_of_fresh_samples(name):
    """Floor included: within 4.5 standard errors of 1e5 samples and the 1e-3 of quadrature."""
    rule, (value, _) = PLAIN[name]
    for noise in (0.0, 0.3):
        model, rng = model_of(rule, noise_variance=noise), np.random.default_rng(3)
        start = tsode.Overlaps.random(model, 20, rng=1)
        z = rng.multivariate_normal(np.zeros(4), start.joint, 100_000)
        losses = value(*outputs(model, z[:, :2], z[:, 2:], rng), rng)
        found = model.excess_loss(start.M, start.Q) + rule.floor(model)
        assert abs(losses.mean() - found) < 4.5 * losses.std() / np.sqrt(len(losses)) + 1e-3 * found


@pytest.mark.parametrize(("rule", "margin"), [("hinge", 1.0), ("perceptron", 0.0)])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_losses_of_a_unit_in_parallel_to_the_teachers(rule, margin, side):
    """The error function makes of a normal number one that is uniform from -1 to 1, on which the class has its sign."""
    model = tsode.TeacherStudent(1, 1, 0.5, rule=rule, activation="erf")
    wanted = margin - side / 2 if margin else (1 - side) / 4
    assert model.excess_loss([[side]], [[1.0]]) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("name", ["soft", "bernoulli", "huber"])
def test_teacher_has_no_excess_loss_and_the_floor(name):
    """The floor of the logistic loss is the entropy of the class, that of Huber's the loss of the noise."""
    model = model_of(PLAIN[name][0], noise_variance=0.0 if name != "huber" else 0.3)
    model = model.replace(student_readout=model.teacher_readout)
    assert abs(model.excess_loss(np.eye(2), np.eye(2))) < (1e-9 if name != "huber" else 1e-3)
    z = np.random.default_rng(2).standard_normal((400_000, 3))
    if name == "huber":
        losses = huber(0.5)[0](0.0, np.sqrt(0.3) * z[:, 0], None)
    else:
        t = expit(model.teacher_activation(z[:, :2]) @ model.teacher_readout)
        losses = -xlogy(t, t) - xlogy(1 - t, 1 - t)
    assert abs(model.rule.floor(model) - losses.mean()) < 4.5 * losses.std() / np.sqrt(len(losses))


# --- closed forms of single linear units


def density_of(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def hinge_moments(M, Q, P, eta, margin):
    """E[C lam], E[C mu], E[C^2] of C = eta sgn(mu) 1(lam sgn(mu) < margin)."""
    r, phi = M / np.sqrt(Q * P), stats.norm.cdf
    s = np.sqrt(Q * (1 - r * r))
    a = phi(margin / s) / np.sqrt(2 * np.pi * P)
    b = stats.norm.pdf(margin / np.sqrt(Q)) / np.sqrt(Q) * phi(margin * r / s)
    both = stats.multivariate_normal([0, 0], [[1, -r], [-r, 1]])
    below = both.cdf([margin / np.sqrt(Q), 0])
    return 2 * eta * (M * a - Q * b), 2 * eta * (P * a - M * b), 2 * eta**2 * below


def logistic_moments(M, Q, P, eta):
    """The same for hard labels, the teacher's unit summed over in closed form."""
    s = np.sqrt(P - M * M / Q)

    def average(function):
        def density(x):
            lam = np.sqrt(Q) * x
            m = M * x / np.sqrt(Q)
            odds, tail = ndtr(m / s), s * density_of(m / s)
            return function(lam, m, odds, tail) * density_of(x)

        return integrate.quad(density, -12, 12, epsabs=1e-13, limit=200)[0]

    return (
        -eta * average(lambda lam, m, odds, tail: lam * (expit(lam) - odds)),
        -eta * average(lambda lam, m, odds, tail: expit(lam) * m - (m * odds + tail)),
        eta**2 * average(lambda lam, m, odds, tail: expit(lam) ** 2 * (1 - odds) + (1 - expit(lam)) ** 2 * odds),
    )


@pytest.mark.parametrize("rule", [Perceptron(), Hinge(), Hinge(0.3), Logistic("hard")], ids=repr)
@pytest.mark.parametrize("overlaps", [(0.3, 0.8, 1.0), (-0.9, 1.5, 0.7), (0.9999, 1.0, 1.0), (0.0, 4.0, 1.0)])
def test_single_units_have_their_closed_forms(rule, overlaps):
    """For all angles; the bivariate normal distribution of SciPy is good for 1e-8."""
    M, Q, P = overlaps
    model = tsode.TeacherStudent(1, 1, 0.7, activation=LINEAR, teacher_overlap=[[P]], rule=rule)
    wanted = logistic_moments(M, Q, P, 0.7) if isinstance(rule, Logistic) else hinge_moments(M, Q, P, 0.7, rule.margin)
    dM, dQ = right_hand_side(model)(0.0, np.array([M, Q]))
    np.testing.assert_allclose([dM, dQ], [wanted[1], 2 * wanted[0] + wanted[2]], atol=2e-8)
    flow = right_hand_side(model, gradient_flow=True)(0.0, np.array([M, Q]))
    np.testing.assert_allclose(flow, [wanted[1], 2 * wanted[0]], atol=1e-9)


def test_perceptron_has_the_formulas_of_its_angle():
    M, Q, P, eta = 0.3, 0.8, 1.0, 0.7
    r = M / np.sqrt(Q * P)
    model = tsode.TeacherStudent(1, 1, eta, activation=LINEAR, rule="perceptron")
    dM, dQ = right_hand_side(model)(0.0, np.array([M, Q]))
    assert dM == pytest.approx(eta * np.sqrt(P / 2 / np.pi) * (1 - r), abs=1e-10)
    wanted = -2 * eta * np.sqrt(Q / 2 / np.pi) * (1 - r) + eta**2 * np.arccos(r) / np.pi
    assert dQ == pytest.approx(wanted, abs=1e-10)


# --- limits in which a rule is another one


class ByQuadrature(Gradient):
    """Gradient descent whose averages are found as those of a rule that has none."""

    name = "by quadrature"
    averages, average_parameters = rules.Rule.averages, rules.Rule.average_parameters
    scalar_drift, accuracy = rules.Rule.scalar_drift, rules.Rule.accuracy

    def __init__(self, smooth=True):
        self.smooth = smooth

    def jumps(self, model, scalars):
        return [()] * (model.p + model.p_star) if self.smooth else None


@pytest.mark.parametrize(("widths", "smooth", "error"), [
    ((1, 1), True, 1e-8), ((2, 1), True, 1e-6), ((1, 1), False, 3e-3), ((2, 2), False, 5e-3)
])  # fmt: skip
def test_quadrature_finds_the_closed_averages_of_the_square(widths, smooth, error):
    """Readout, batches and momentum included; and the estimate of the error is one."""
    model = model_of("gradient", *widths, readout_learning_rate=0.3, batch_size=3, momentum=0.5)
    other, start = model.replace(rule=ByQuadrature(smooth)), tsode.Overlaps.random(model, 20, rng=1)
    y = np.append(pack(start.M, start.Q), model.student_readout * 1.1)
    wanted, found = (right_hand_side(each, rtol=1e-9)(0.0, y.copy()) for each in (model, other))
    np.testing.assert_allclose(found, wanted, atol=error * np.abs(wanted).max())
    estimate = other.rule.accuracy(other, start.joint, rtol=1e-9)
    assert np.abs(found - wanted).max() / np.abs(wanted).max() < 10 * estimate + 1e-12 < 10 * error


@pytest.mark.parametrize("rule", [Clipped(Gradient(), 1e9), Huber(1e9), Clipped(Huber(1e9), 1e9)], ids=repr)
@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_what_never_bites_is_the_square(rule, engine):
    """With the same random numbers, to 1e-12."""
    model = model_of("gradient", readout_learning_rate=0.2)
    one, other = (
        tsode.simulate(each, None, 5.0, N=40, runs=2, engine=engine) for each in (model, model.replace(rule=rule))
    )
    for a, b in ((one.M, other.M), (one.Q, other.Q), (one.readout, other.readout)):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_normalised_steps_have_the_ode_of_a_lower_rate():
    model = model_of("gradient", activation="quadratic", learning_rate=0.1)
    start = tsode.Overlaps.random(model, 40, rng=0)
    one = tsode.integrate(model.replace(learning_rate=0.08), start, 5.0)
    other = tsode.integrate(model.replace(rule=Normalised(Gradient(), 0.25)), start, 5.0)
    np.testing.assert_allclose(one.M, other.M, rtol=1e-12)


# --- in the limit


def slope_of_deviations(model, dimensions, runs, start_seed=5):
    """Slope of log root mean square deviation of SGD from its ODE over log N."""
    start, alpha = tsode.Overlaps.random(model, 20, rng=start_seed), np.linspace(0, 3, 7)
    ode = tsode.integrate(model, start, alpha, rtol=1e-6, atol=1e-8)
    deviations = [
        np.sqrt(np.mean((tsode.simulate(model, start, alpha, N=int(N), runs=runs, seed=int(N)).M - ode.M) ** 2))
        for N in dimensions
    ]
    return np.polyfit(np.log(dimensions), np.log(deviations), 1)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if "hinge" not in name or name == "hinge"])
def test_sgd_approaches_its_ode_as_one_over_root_N(name):
    """Slope -0.5 +- 0.1 over N = 250 ... 16 000, 32 runs each: an error of 0.02."""
    slope = slope_of_deviations(model_of(CASES[name][0]), 250 * 4 ** np.arange(4), 32)
    assert slope == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize("rule", ["perceptron", Logistic("bernoulli")], ids=str)
def test_sgd_of_a_single_unit_approaches_its_ode(rule):
    """Slope -0.5 +- 0.15 over N = 100 ... 6400, 32 runs each."""
    model = tsode.TeacherStudent(1, 1, 0.5, activation=LINEAR, teacher_activation="sign", rule=rule)
    assert slope_of_deviations(model, 100 * 8 ** np.arange(3), 32) == pytest.approx(-0.5, abs=0.15)


# --- as parameters


def test_rules_are_kept_and_told_apart(tmp_path):
    for rule in (Logistic("hard", 2.0), Hinge(0.5), Perceptron(), Huber(2.0), Clipped(Normalised(Hinge(), 0.1), 3.0)):
        model = tsode.TeacherStudent(1, 1, 0.5, rule=rule)
        assert tsode.TeacherStudent.from_dict(model.to_dict()) == model
        assert eval(repr(rule), vars(rules)) == rule
    assert tsode.TeacherStudent(1, 1, 0.5, rule="hinge").to_dict()["rule"] == "hinge"
    assert Hinge(0.5) != Hinge() != Perceptron()
    assert Hinge() != "hinge"
    assert hash(Hinge(0.5)) != hash(Hinge())
    start = tsode.Overlaps([[0.3]], [[1.0]])
    ode = tsode.integrate(tsode.TeacherStudent(1, 1, 0.5, rule=Hinge(0.5)), start, [0.0, 0.5])
    again = tsode.Trajectory.load(ode.save(tmp_path / "run"))
    assert again.model == ode.model
    np.testing.assert_array_equal(again.loss, ode.loss)


def test_files_keep_the_name_and_the_loss_of_a_rule_of_the_users_own(tmp_path):
    start = tsode.Overlaps([[0.3]], [[1.0]])
    ode = tsode.integrate(model_of(LogCosh(0.5), 1, 1), start, [0.0, 0.5], rtol=1e-4)
    again = tsode.Trajectory.load(ode.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.excess_loss, ode.excess_loss)
    assert again.model == ode.model
    with pytest.raises(tsode.NoClosedForm, match=r"`rule` must be given again by model.replace"):
        tsode.integrate(again.model, start, 1.0)
    assert again.model.replace(rule=LogCosh(0.5)) == ode.model


def test_grids_take_rules():
    grid = {
        "p": 1,
        "p_star": 1,
        "learning_rate": 0.2,
        "dimension": 20,
        "rule": ["huber", Hinge(0.5)],
    }
    table = tsode.scans.deviation(grid, runs=2, alpha_max=0.5, n_jobs=1)
    assert table["rule"].values.tolist() == ["huber", '{"name": "hinge", "margin": 0.5}']
    assert np.ptp(table["deviation"].values) > 0


def test_tolerance_is_loosened_where_averages_jump():
    """And the trajectory says so; smooth averages are solved to what was asked for."""
    start = tsode.Overlaps(np.eye(2) / 2, np.eye(2))
    assert "rtol=0.001, atol=0.0001" in tsode.integrate(model_of("hinge"), start, [0.0, 0.01]).engine
    start = tsode.Overlaps([[0.3]], [[1.0]])
    assert "rtol=1e-08" in tsode.integrate(model_of("hinge", 1, 1), start, [0.0, 0.1]).engine


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_commands_take_rules(tmp_path, capsys):
    quick = [
        "--p",
        "1",
        "--p-star",
        "1",
        "--activation",
        "erf",
        "--rule",
        "perceptron",
        "-N",
        "50",
        "--runs",
        "2",
        "--alpha-max",
        "2",
    ]
    assert cli.main(["study", *quick, "--out", str(tmp_path)]) == 0
    assert "perceptron" in capsys.readouterr().out.splitlines()[0]

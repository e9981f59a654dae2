import pickle

import numpy as np
import pytest
from scipy import integrate as quadrature
from scipy import stats
from scipy.special import digamma, polygamma

import tsode
from tsode.plot.escape import escape_histogram, escape_means

MODELS = {
    "noisy": tsode.TeacherStudent(4, 2, 0.4, 0.1),
    "equal widths": tsode.TeacherStudent(2, 2, 0.2),
    "wide": tsode.TeacherStudent(6, 3, 0.8),
    "spherical": tsode.TeacherStudent(4, 2, 0.4, 0.1, constraint="spherical"),
}
QUICK = MODELS["wide"]


def all_of(models):
    return pytest.mark.parametrize("model", models.values(), ids=models)


def measure(model, law, threshold, **options):
    """Escape times of SGD from random weights, recorded until all but 1e-7 of the runs are expected to be gone."""
    alpha = np.linspace(0.0, law.ppf(1 - 1e-7) + 2.0, 400)
    return tsode.escape_time(tsode.simulate(model, None, alpha, seed=11, **options), threshold)


def trajectory(alpha, size, model=QUICK):
    """A trajectory whose tr M M^T is `size`, shape (..., T)."""
    M = np.zeros((*size.shape, model.p, model.p_star))
    M[..., 0, 0] = np.sqrt(size)
    Q = np.broadcast_to(np.eye(model.p), (*size.shape, model.p, model.p)).copy()
    runs = size.shape[:-1]
    return tsode.Trajectory(model, alpha, M, Q, np.full(runs, "completed"), np.full(runs, alpha[-1]))


# --- the law ---------------------------------------------------------------------------------------------------------


LAWS = {
    "from the plateau": (QUICK, 10_000, 0.05),
    "one element": (tsode.TeacherStudent(1, 1, 0.1), 1000, 0.05, "random"),
    "during the transient": (MODELS["noisy"], 20_000, 0.01, "random", 0.01),
    "long after it": (MODELS["noisy"], 10**15, 0.1, "random", 1.5),
    "spherical": (MODELS["spherical"], 1000, 0.1, "random", 0.2),
}


@pytest.mark.parametrize("arguments", LAWS.values(), ids=LAWS)
def test_law_is_a_distribution(arguments):
    law = tsode.escape_law(*arguments)
    q = np.array([1e-6, 0.01, 0.5, 0.99, 1 - 1e-6])
    np.testing.assert_allclose(law.cdf(law.ppf(q)), q, rtol=1e-9)
    np.testing.assert_allclose(law.sf(law.isf(q)), q, rtol=1e-9)
    np.testing.assert_allclose(law.sf(law.ppf(q)), 1 - q, rtol=1e-7)
    low, middle, high = law.ppf([1e-13, 0.5, 1 - 1e-13])

    def mean(f):
        parts = ((low, middle), (middle, high))
        return sum(quadrature.quad(lambda t: f(t) * law.pdf(t), *part, limit=400)[0] for part in parts)

    assert mean(lambda t: 1.0) == pytest.approx(1, abs=1e-7)
    first, std = law.mean(), law.std()
    assert first == pytest.approx(mean(lambda t: t), rel=1e-7)
    second, third, fourth = (mean(lambda t, k=k: ((t - first) / std) ** k) for k in (2, 3, 4))
    assert second == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(law.stats("sk"), [third, fourth - 3], atol=1e-5)
    assert law.moment(3) == pytest.approx(mean(lambda t: t**3), rel=1e-6)
    assert law.entropy() == pytest.approx(-mean(law.logpdf), abs=1e-6)
    assert stats.kstest(law.rvs(5000, random_state=1), law.cdf).pvalue > 1e-3
    assert law.cdf(-1.0) == 0
    assert law.cdf(1e300) == 1


def test_start_above_the_threshold_is_an_atom_at_zero():
    """tr M M^T of the start is chi^2 q / N, here of mean .008 q: a fifth of the runs start above the threshold."""
    model, N, threshold = MODELS["noisy"], 1000, 0.0110
    above = stats.chi2(8).sf(N * threshold)
    assert 0.1 < above < 0.3
    law = tsode.escape_law(model, N, threshold, "random")
    assert law.cdf(1e-12) == pytest.approx(above, rel=1e-9)
    assert law.ppf(0.99 * above) == 0 < law.ppf(1.01 * above)
    assert np.mean(law.rvs(20_000, random_state=0) == 0) == pytest.approx(above, abs=0.012)  # 4 standard errors
    high = law.ppf(1 - 1e-12)
    rest = quadrature.quad(lambda t: law.sf(t), 1e-12, high, limit=400)[0]
    assert law.mean() == pytest.approx(rest, rel=1e-6)
    assert quadrature.quad(law.pdf, 1e-12, high, limit=400)[0] == pytest.approx(1 - above, abs=1e-7)


def test_law_has_the_face_of_scipy_and_can_be_pickled():
    for start in ("random", "plateau"):
        law = tsode.escape_law(QUICK, 10_000, 0.05, start)
        copy = pickle.loads(pickle.dumps(law))
        assert copy.mean() == law.mean()
        law = copy
    assert law.rvs(7, random_state=0).shape == (7,)
    np.testing.assert_array_equal(law.rvs(3, random_state=5), law.rvs(3, random_state=5))
    assert law.cdf(law.median()) == pytest.approx(0.5)
    assert np.isfinite(law.entropy())
    assert law.interval(0.9)[0] < law.mean() < law.interval(0.9)[1]


@all_of(MODELS)
@pytest.mark.parametrize("start", ["plateau", "random"])
def test_mean_at_large_dimension(model, start):
    """[ln(N eps / 2 S) - digamma(p p*/2)] / (2 g): the slope in ln N is 1 / (2 g), the spread that of ln chi^2."""
    g, c = tsode.plateau(model).escape_rate, model.p * model.p_star / 2
    laws = [tsode.escape_law(model, 10**k, 0.01, start) for k in (12, 15)]
    slope = (laws[1].mean() - laws[0].mean()) / np.log(1e3)
    assert slope == pytest.approx(1 / (2 * g), rel=1e-9)
    assert laws[1].std() == pytest.approx(np.sqrt(polygamma(1, c)) / (2 * g), rel=1e-9)


@all_of(MODELS)
def test_noise_of_one_step(model):
    """d = 4 eta^2 v^2 E[D^2 lambda^2 mu^2] by Monte Carlo, within 5 standard errors."""
    q = tsode.plateau(model).q
    rng = np.random.default_rng(0)
    lam = np.sqrt(q) * rng.standard_normal((400_000, model.p))
    mu = rng.standard_normal((400_000, model.p_star))
    D = lam**2 @ model.student_readout - mu**2 @ model.teacher_readout
    D -= np.sqrt(model.noise_variance) * rng.standard_normal(len(D))
    v = model.student_readout[0]
    sample = (
        4
        * (model.learning_rate * v) ** 2
        * np.mean(D[:, None, None] ** 2 * lam[:, :, None] ** 2 * mu[:, None] ** 2, (1, 2))
    )
    # of the law from the plateau: S = q + d / 2g
    g, c = tsode.plateau(model).escape_rate, model.p * model.p_star / 2
    S = 0.01 * 1e15 / 2 * np.exp(-2 * g * tsode.escape_law(model, 10**15, 0.01).mean() - digamma(c))
    d = 2 * g * (S - q)
    error = sample.std() / np.sqrt(len(sample))
    assert error < 0.02 * d
    assert abs(sample.mean() - d) < 5 * error


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.4])
def test_transient_of_the_norms_along_the_ode(scale):
    """At small learning rate the noise drops out, and S / s^2 is the growth of M^2 over exp(2 g alpha) in the ODE."""
    eta = 1e-4
    model = tsode.TeacherStudent(4, 2, eta)
    g, N, threshold, c = tsode.plateau(model).escape_rate, 10**12, 0.1, 4
    law = tsode.escape_law(model, N, threshold, "random", scale)
    seed = N * threshold / 2 * np.exp(-2 * g * law.mean() - digamma(c))
    M = 1e-9 * np.random.default_rng(0).standard_normal((4, 2))
    alpha = 8 / g
    ode = tsode.integrate(model, tsode.Overlaps(M, scale**2 * np.eye(4)), [0.0, alpha], rtol=1e-11, atol=1e-20)
    growth = np.sum(ode.M[-1] ** 2) / np.sum(M**2) * np.exp(-2 * g * alpha)
    assert seed / scale**2 == pytest.approx(growth, rel=3e-3)


def test_law_agrees_with_sgd_quickly():
    """400 runs: mean within 4 standard errors, Kolmogorov-Smirnov p-value above 1e-3."""
    law = tsode.escape_law(QUICK, 2000, 0.1, start="random")
    times = measure(QUICK, law, 0.1, N=2000, runs=400)
    assert abs(times.mean() - law.mean()) < 4 * law.std() / np.sqrt(400)
    assert stats.kstest(times, law.cdf).pvalue > 1e-3
    assert times.std() == pytest.approx(law.std(), rel=0.15)


def rescaled(model, scale):
    """The model that weights divided by `scale` follow; M is divided by it, too."""
    return model.replace(student_readout=model.student_readout * scale**2, learning_rate=model.learning_rate / scale**2)


@pytest.mark.parametrize("scale", [1e-3, 0.2, 1.4])
def test_law_does_not_depend_on_the_unit_of_weights(scale):
    law = tsode.escape_law(MODELS["noisy"], 3000, 0.05, "random", scale)
    same = tsode.escape_law(rescaled(MODELS["noisy"], scale), 3000, 0.05 / scale**2, "random")
    t = law.ppf([0.1, 0.5, 0.9])
    np.testing.assert_allclose(same.cdf(t), [0.1, 0.5, 0.9], rtol=1e-7)


def escapes(model, N, threshold, scale, runs):
    """The law from weights of a scale, and escape times of runs that each have such weights of their own."""
    law = tsode.escape_law(model, N, threshold, "random", scale)
    if model.spherical or scale == 1:
        return law, measure(model, law, threshold, N=N, runs=runs)
    return law, measure(rescaled(model, scale), law, threshold / scale**2, N=N, runs=runs)


def test_escape_that_begins_during_the_transient_quickly():
    """Mean within 4 standard errors, Kolmogorov-Smirnov p-value above 1e-3; the law of the plateau is 15 % off."""
    law, times = escapes(tsode.TeacherStudent(3, 2, 0.3, 0.1), 2000, 0.01, 0.05, runs=256)
    assert abs(times.mean() - law.mean()) < 4 * law.std() / np.sqrt(256)
    assert stats.kstest(times, law.cdf).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "N", "part", "scale", "runs"),
    [
        (tsode.TeacherStudent(3, 2, 0.3, 0.1), 20_000, 0.01 / 3, 0.2, 1000),
        (tsode.TeacherStudent(3, 2, 0.3, 0.1), 20_000, 0.01 / 3, 0.05, 1000),
        (tsode.TeacherStudent(3, 2, 0.3, 0.1), 20_000, 0.01 / 3, 0.01, 1000),
        (tsode.TeacherStudent(4, 2, 0.4), 10_000, 0.005, 0.05, 2000),
        (tsode.TeacherStudent(2, 2, 0.2, 0.5), 5000, 0.005, 1.5, 4000),
        (tsode.TeacherStudent(2, 1, 0.2), 1000, 0.004, 0.5, 16_000),
        (tsode.TeacherStudent(1, 1, 0.1), 100_000, 0.002, 0.05, 1000),
        (tsode.TeacherStudent(8, 2, 0.6, 0.0, [0.2] * 8, [0.7] * 2), 10_000, 0.005, 1.0, 2000),
        (MODELS["spherical"], 10_000, 0.005, 1.0, 2000),
    ],
)
def test_law_from_any_scale(model, N, part, scale, runs):
    """Mean within 1 %, standard deviation within 5 %, KS distance < .05, at a small part of the solutions' tr M M^T."""
    solutions = min(model.p, model.p_star) * model.teacher_readout[0] / model.student_readout[0]
    law, times = escapes(model, N, part * solutions, scale, runs)
    distance = stats.kstest(times, law.cdf).statistic
    print(f"{times.mean() / law.mean() - 1:+.2%} {times.std() / law.std() - 1:+.1%} {distance:.3f}")
    assert times.mean() == pytest.approx(law.mean(), rel=0.01)
    assert times.std() == pytest.approx(law.std(), rel=0.05)
    assert distance < 0.05


@pytest.mark.slow
def test_law_from_the_plateau_agrees_with_sgd():
    """Starts of the plateau's norm, one for each of 150 runs."""
    q, N = tsode.plateau(QUICK).q, 2000
    law = tsode.escape_law(QUICK, N, 0.1)
    alpha = np.linspace(0.0, law.ppf(1 - 1e-4) + 2.0, 100)
    times = []
    for seed in range(150):
        start = tsode.Overlaps.random(QUICK, N, scale=np.sqrt(q), rng=seed)
        times.append(tsode.escape_time(tsode.simulate(QUICK, start, alpha, N=N, seed=seed), 0.1)[0])
    assert abs(np.mean(times) - law.mean()) < 4 * law.std() / np.sqrt(150)
    assert stats.kstest(times, law.cdf).pvalue > 1e-3


@pytest.mark.slow
@all_of(MODELS)
def test_law_agrees_with_a_thousand_runs(model):
    law = tsode.escape_law(model, 10_000, 0.02, start="random")
    times = measure(model, law, 0.02, N=10_000, runs=1000)
    assert times.mean() == pytest.approx(law.mean(), rel=0.02)
    assert stats.kstest(times, law.cdf).statistic < 0.05


@pytest.mark.slow
@all_of(MODELS)
def test_law_agrees_with_sgd_in_a_million_dimensions(model):
    """100 runs; the standard error of the mean is up to 1.5 % of it, so 3 of them and not 2 % are asked."""
    law = tsode.escape_law(model, 10**6, 2e-4, start="random")
    times = measure(model, law, 2e-4, N=10**6, runs=100)
    assert abs(times.mean() - law.mean()) < 3 * law.std() / np.sqrt(100)
    assert stats.kstest(times, law.cdf).pvalue > 0.01


@pytest.mark.slow
def test_mean_grows_as_the_logarithm_of_the_dimension():
    """Slope 1 / (2 g) within 1 %; the standard error of the fitted slope is 0.5 %."""
    dimensions, runs = np.array([4000, 40_000, 400_000]), (2000, 1000, 250)
    means = []
    for N, n in zip(dimensions, runs):
        law = tsode.escape_law(QUICK, N, 0.1, start="random")
        means.append(measure(QUICK, law, 0.1, N=int(N), runs=n).mean())
    slope = np.polyfit(np.log(dimensions), means, 1, w=np.sqrt(runs))[0]
    assert slope * 2 * tsode.plateau(QUICK).escape_rate == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("p_star", "widths", "runs"),
    [
        (2, (2, 8), 50),
        pytest.param(1, (1, 2, 4, 8, 16, 32), 200, marks=pytest.mark.slow),
        pytest.param(2, (2, 4, 8, 16, 32), 200, marks=pytest.mark.slow),
        pytest.param(4, (4, 8, 16, 32), 200, marks=pytest.mark.slow),
    ],
)
def test_width_shortens_the_escape_through_the_prefactor(p_star, widths, runs):
    """At fixed eta v = 0.05: measured means on the law's line within 3 standard errors."""
    N, threshold = 10_000, 0.04
    for p in widths:
        model = tsode.TeacherStudent(p, p_star, 0.05 * p)
        law = tsode.escape_law(model, N, threshold, start="random")
        times = measure(model, law, threshold, N=N, runs=runs)
        assert abs(times.mean() - law.mean()) < 3 * times.std(ddof=1) / np.sqrt(runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((QUICK.replace(teacher_readout=[0.5, 0.3, 0.2]), 1000, 0.1), "equal readouts on each side"),
        ((QUICK.replace(learning_rate=3.0), 1000, 0.1), "no attracting fixed point"),
        ((MODELS["noisy"].replace(learning_rate=1.1653), 1000, 0.1), "the escape rate is -"),
        ((QUICK, 5, 0.1), "`N` must be at least 9"),
        ((QUICK, 1000, 0.001), "`threshold` must lie between"),
        ((QUICK, 1000, 7.0), "`threshold` must lie between"),
        ((QUICK, 1000, 0.1, "somewhere"), "`start` must be one of"),
        ((QUICK, 1000, 0.1, "random", 30.0), "`scale` must be smaller|`threshold` must lie between"),
        ((MODELS["noisy"].replace(learning_rate=1.16), 10**5, 0.1, "random", 3.0), "`scale` must be smaller"),
    ],
)
def test_law_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        tsode.escape_law(*arguments)


# --- the measured time -----------------------------------------------------------------------------------------------


def test_exponential_growth_is_interpolated_exactly():
    alpha = np.linspace(0.0, 10.0, 6)
    rates = np.array([[1.0], [0.5], [0.01]])
    found = tsode.escape_time(trajectory(alpha, 1e-3 * np.exp(rates * alpha)), 0.01)
    np.testing.assert_allclose(found[:2], np.log(10) / rates[:2, 0], rtol=1e-12)
    assert np.isnan(found[2])


def test_edges_of_the_escape_time():
    alpha = np.array([1.0, 2.0, 3.0])
    assert tsode.escape_time(trajectory(alpha, np.array([0.5, 0.6, 0.7])), 0.1) == 1.0  # above from the start
    assert tsode.escape_time(trajectory(alpha, np.array([0.0, 0.0, 0.7])), 0.1) == 3.0  # from exactly 0
    assert np.isnan(tsode.escape_time(trajectory(alpha, np.array([0.0, 0.05, np.nan])), 0.1))
    assert np.ndim(tsode.escape_time(trajectory(alpha, np.array([0.0, 0.05, 0.2])), 0.1)) == 0
    # the first passage counts, also where it is taken back
    assert tsode.escape_time(trajectory(alpha, np.array([0.05, 0.2, 0.05])), 0.1) == pytest.approx(1.5)


def test_escape_time_of_the_ode():
    model = MODELS["noisy"]
    saddle = tsode.plateau(model)
    M = 1e-6 * np.random.default_rng(0).standard_normal((4, 2))
    ode = tsode.integrate(model, tsode.Overlaps(M, saddle.overlaps.Q), np.linspace(0, 120, 241), rtol=1e-10, atol=1e-16)
    wanted = np.log(1e-4 / np.sum(M**2)) / (2 * saddle.escape_rate)
    assert tsode.escape_time(ode, 1e-4) == pytest.approx(wanted, rel=1e-4)
    by_loss = tsode.escape_time(ode, loss_fraction=0.5)
    at = np.interp(by_loss, ode.alpha, ode.excess_loss)
    assert at == pytest.approx(0.5 * saddle.excess_loss, rel=0.02)
    assert tsode.escape_time(ode, loss_fraction=0.9) < by_loss
    assert np.isnan(tsode.escape_time(ode, loss_fraction=1e-9))


def test_escape_time_has_the_run_axis():
    sgd = tsode.simulate(QUICK, None, 40.0, N=200, runs=5, seed=0)
    assert tsode.escape_time(sgd, 1.0).shape == tsode.escape_time(sgd, loss_fraction=0.5).shape == (5,)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "none is"),
        ({"threshold": 0.1, "loss_fraction": 0.1}, ValueError, "both are"),
        ({"threshold": 0.0}, ValueError, "`threshold` must be larger than 0"),
        ({"loss_fraction": 1.0}, ValueError, "`loss_fraction` must be below 1"),
    ],
)
def test_escape_time_refuses(options, error, message):
    with pytest.raises(error, match=message):
        tsode.escape_time(trajectory(np.array([0.0, 1.0]), np.array([0.1, 0.2])), **options)


def test_escape_time_refuses_what_has_no_plateau():
    with pytest.raises(TypeError, match="`trajectory` must be a Trajectory"):
        tsode.escape_time(np.zeros(3), 0.1)
    fast = trajectory(np.array([0.0, 1.0]), np.array([0.1, 0.2]), QUICK.replace(learning_rate=9.0))
    with pytest.raises(ValueError, match="with a plateau"):
        tsode.escape_time(fast, loss_fraction=0.5)


# --- figures ---------------------------------------------------------------------------------------------------------


def test_histogram_under_its_density():
    law = tsode.escape_law(QUICK, 10_000, 0.05)
    ax = escape_histogram(np.append(law.rvs(200, random_state=0), np.nan), law)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("200 runs (1 more did not escape)" in label for label in labels)
    line = next(line for line in ax.lines if line.get_label() == "theory")
    np.testing.assert_allclose(line.get_ydata(), law.pdf(line.get_xdata()))
    assert sum(patch.get_height() * patch.get_width() for patch in ax.patches) == pytest.approx(1)
    with pytest.raises(ValueError, match="`times` must hold"):
        escape_histogram([np.nan])


def test_means_against_a_quantity():
    laws = [tsode.escape_law(QUICK, N, 0.05) for N in (10**4, 10**5, 10**6)]
    times = [law.rvs(50, random_state=0) for law in laws]
    ax = escape_means([1e4, 1e5, 1e6], times, laws, label="p* = 3", quantity="input dimension $N$")
    assert escape_means([1e4, 1e5, 1e6], laws=laws, ax=ax) is ax
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "input dimension $N$"
    colours = [line.get_color() for line in ax.lines if len(line.get_xdata()) == 3 and line.get_linestyle() == "-"]
    assert len(set(colours)) == 2
    with pytest.raises(ValueError, match="`times` must have one entry"):
        escape_means([1.0, 2.0], times)
    with pytest.raises(ValueError, match="`times` or `laws` must be given"):
        escape_means([1.0])

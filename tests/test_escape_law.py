"""The law of the escape time as a distribution, in limits, and from plain code."""

import functools
import pickle

import numpy as np
import pytest
from escape_models import MODELS, QUICK, rescaled
from models import all_of
from reference import derivatives
from scipy import integrate as quadrature
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.special import digamma, polygamma

import tsode
from tsode.activations.quadratic import escape

# --- the law as a distribution


LAWS = {
    "from the plateau": (QUICK, 10_000, 0.05),
    "one element": (tsode.TeacherStudent(1, 1, 0.1), 1000, 0.05, "random"),
    "during the transient": (MODELS["noisy"], 20_000, 0.01, "random", 0.01),
    "long after it": (MODELS["noisy"], 10**15, 0.1, "random", 1.5),
    "spherical": (MODELS["spherical"], 1000, 0.1, "random", 0.2),
}


@pytest.mark.quick(1)
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


@pytest.mark.parametrize("scale", [1e-3, 0.2, 1.4])
def test_law_does_not_depend_on_the_unit_of_weights(scale):
    law = tsode.escape_law(MODELS["noisy"], 3000, 0.05, "random", scale)
    same = tsode.escape_law(rescaled(MODELS["noisy"], scale), 3000, 0.05 / scale**2, "random")
    t = law.ppf([0.1, 0.5, 0.9])
    np.testing.assert_allclose(same.cdf(t), [0.1, 0.5, 0.9], rtol=1e-7)


# --- the law from plain code


PLAIN_CODE = {
    "noisy": tsode.TeacherStudent(4, 2, 0.6, 0.2, [0.3] * 4, [0.7] * 2),
    "too few students": tsode.TeacherStudent(2, 3, 0.2, 0.0, [0.5] * 2, [0.4] * 3),
    "one and one": tsode.TeacherStudent(1, 1, 0.1),
    "spherical": tsode.TeacherStudent(4, 2, 0.4, 0.1, constraint="spherical"),
    "escape almost ends": tsode.TeacherStudent(4, 2, 1.16, 0.1),
}


@functools.cache
def means_of_squares(p, p_star):
    """E[z_a^2 z_b^2 z_1^2 z_(p+1)^2] for independent z of variance 1; E[z^2], E[z^4] ... are 1, 3, 15, 105."""
    moments, n = np.array([1.0, 1.0, 3.0, 15.0, 105.0]), p + p_star
    return np.array([[np.prod(moments[np.bincount([0, p, a, b], minlength=n)]) for a in range(n)] for b in range(n)])


def at_zero(model, q):
    """Growth rates of M and of Q at M = 0, Q = q 1, and the noise 4 eta^2 v^2 E[D^2 lambda_1^2 mu_1^2]."""
    p, p_star = model.p, model.p_star
    dM, dQ = derivatives(model, 1e-9 * np.ones((p, p_star)), q * np.eye(p))
    weights = np.concatenate([model.student_readout * q, -model.teacher_readout])
    noise = weights @ means_of_squares(p, p_star) @ weights + model.noise_variance
    return dM[0, 0] / 1e-9, dQ[0, 0], 4 * (model.learning_rate * model.student_readout[0]) ** 2 * q * noise


def plateau_norm(model):
    """q at which dQ vanishes at M = 0, by bisection from 0 (at 0 it grows)."""
    if model.spherical:
        return 1.0
    below, above = 1e-6, 1e-6
    while at_zero(model, above)[1] > 0:
        below, above = above, 1.1 * above
    for _ in range(60):
        middle = (below + above) / 2
        below, above = (middle, above) if at_zero(model, middle)[1] > 0 else (below, middle)
    return below


def chi_square_above(model, x):
    return stats.chi2(model.p * model.p_star).sf(x)


def variance_at(model, times, q):
    """sigma^2 of an element of M sqrt(N) at some times: the ODE of the module's docstring, from variance q."""

    def rhs(_, state):
        gamma, drift, d = at_zero(model, state[0])
        return [drift, 2 * gamma * state[1] + d]

    return solve_ivp(rhs, (0, times[-1]), [q, q], t_eval=times, rtol=1e-9, atol=1e-9).y[1]


@pytest.mark.parametrize("model", PLAIN_CODE.values(), ids=PLAIN_CODE)
def test_law_from_the_plateau(model):
    """tr M M^T = sigma^2(alpha) chi^2 / N, with sigma^2 = (q + d/2g) exp(2 g alpha) - d/2g."""
    q = plateau_norm(model)
    g, _, d = at_zero(model, q)
    N, threshold = 5000, 0.05
    law = tsode.escape_law(model, N, threshold)
    alpha = law.ppf([0.2, 0.5, 0.8])
    variance = (q + d / (2 * g)) * np.exp(2 * g * alpha) - d / (2 * g)
    np.testing.assert_allclose(chi_square_above(model, N * threshold / variance), [0.2, 0.5, 0.8], rtol=1e-6)
    assert law.mean() == pytest.approx(tsode.escape_law(model, N, threshold, "plateau", 3.0).mean(), rel=1e-14)


@pytest.mark.quick(3)
@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("name", ["noisy", "one and one", "spherical", "escape almost ends"])
def test_law_from_random_weights(name, scale):
    """N is so large that the norms are on the plateau by then. Random weights have standard deviation 1 by default."""
    model = PLAIN_CODE[name]
    N, threshold = 10**10, 0.05
    law = tsode.escape_law(model, N, threshold, "random", *([scale] if scale != 1 else []))
    alpha = law.ppf([0.2, 0.5, 0.8])
    variance = variance_at(model, alpha, 1.0 if model.spherical else scale**2)
    np.testing.assert_allclose(chi_square_above(model, N * threshold / variance), [0.2, 0.5, 0.8], rtol=1e-5)


@pytest.mark.parametrize(("name", "N", "scale"), [("noisy", 5000, 0.01), ("too few students", 10**6, 1.2)])
def test_law_of_escapes_during_the_transient(name, N, scale):
    model, threshold = PLAIN_CODE[name], 0.01
    law = tsode.escape_law(model, N, threshold, "random", scale)
    alpha = law.ppf([1e-6, 0.2, 0.5, 0.8])
    variance = variance_at(model, alpha, scale**2)
    np.testing.assert_allclose(chi_square_above(model, N * threshold / variance), [1e-6, 0.2, 0.5, 0.8], rtol=1e-4)
    # the density is the derivative of that
    h = 1e-4
    np.testing.assert_allclose(law.pdf(alpha), (law.cdf(alpha + h) - law.cdf(alpha - h)) / (2 * h), rtol=1e-5)


def test_while_norms_are_too_large_nothing_new_passes():
    """M shrinks at first: the largest variance so far counts, and from where it is exceeded the law goes on."""
    model, N, threshold, scale = PLAIN_CODE["too few students"], 1000, 0.02, 1.8
    law = tsode.escape_law(model, N, threshold, "random", scale)
    times = np.linspace(1e-3, 40, 4000)
    variance = variance_at(model, times, scale**2)
    turns = np.flatnonzero(variance >= scale**2)[0]
    assert 100 < turns < 3900
    assert variance.min() < 0.9 * scale**2
    largest = np.maximum.accumulate(np.append(scale**2, variance))[1:]
    np.testing.assert_allclose(law.cdf(times), chi_square_above(model, N * threshold / largest), rtol=1e-5)
    assert (law.pdf(times[: turns - 1]) == 0).all()
    assert (law.pdf(times[turns + 1 :]) > 0).all()
    at_start = chi_square_above(model, N * threshold / scale**2)
    assert law.ppf(at_start * (1 + 1e-4)) == pytest.approx(times[turns], abs=0.02)


@pytest.mark.parametrize("name", ["noisy", "too few students"])
def test_small_norms_grow_exponentially_before_anything_else(name):
    """Each factor of 100 in their size then costs the same time t = ln(100^2) / r at dQ = r Q, dM = c M.

    Meanwhile the variance of M grows like Q, from the noise, or like exp(2 c t), whichever is faster: what it gains
    on Q escapes earlier by its logarithm over 2 g.
    """
    model = PLAIN_CODE[name]
    c, r, _ = np.divide(at_zero(model, 1e-10), [1, 1e-10, 1])
    means = [tsode.escape_law(model, 9 * 10**15, 1e-2, "random", 10.0**-k).mean() for k in (6, 8)]
    t = np.log(1e4) / r
    cost = t - max(2 * c * t - np.log(1e4), 0.0) / (2 * tsode.plateau(model).escape_rate)
    assert np.diff(means)[0] == pytest.approx(cost, abs=1e-4 * t)


@pytest.mark.parametrize("name", ["noisy", "one and one", "too few students"])
def test_from_tiny_norms_the_teacher_is_found_before_they_have_grown(name):
    """A variance that grows like exp(2 c t), faster than Q like exp(r t), is alone what takes time."""
    model = PLAIN_CODE[name]
    c, r, _ = np.divide(at_zero(model, 1e-10), [1, 1e-10, 1])
    assert 2 * c > r
    means = [tsode.escape_law(model, 10**9, 1e-3, "random", 10.0**-k).mean() for k in (24, 26, 30)]
    np.testing.assert_allclose(np.diff(means) / [1, 2], np.log(1e4) / (2 * c), rtol=1e-5)


def test_smallest_dimension_is_that_of_the_weights():
    model = PLAIN_CODE["one and one"]
    assert tsode.escape_law(model, 2, 0.9).mean() > 0
    with pytest.raises(ValueError, match="`N` must be at least 2"):
        tsode.escape_law(model, 1, 0.9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((QUICK.replace(teacher_readout=[0.5, 0.3, 0.2]), 1000, 0.1), "equal readouts on each side"),
        ((QUICK.replace(learning_rate=3.0), 1000, 0.1), "no attracting fixed point"),
        ((MODELS["noisy"].replace(learning_rate=1.1653), 1000, 0.1), "the escape rate is -"),
        ((QUICK, 5, 0.1), "`N` must be at least 9"),
        ((QUICK, 1000, 0.1, "somewhere"), "`start` must be one of"),
        ((QUICK, 1000, 0.1, "random", 30.0), "`scale` must be smaller|`threshold` must lie between"),
        ((QUICK, 1000, 0.1, "random", 0.0), "`scale` must be larger than 0"),
        ((QUICK, 1000, 0.1, "random", -0.5), "`scale` must be larger than 0"),
        ((QUICK, 1000, 0.0), "`threshold` must be larger than 0"),
        ((QUICK, 1000, -0.5), "`threshold` must be larger than 0"),
        ((QUICK, 1000, 0.001), "`threshold` must lie between"),
        # the start's q p p*/N = 8/1000 and the solutions' min(p, p*) v*/v = 4 or 1.6, both excluded
        ((MODELS["spherical"], 1000, 8 / 1000), "the start, 0.008, and that of the solutions, 4, but is 0.008"),
        ((MODELS["spherical"], 1000, 4.0), "the start, 0.008, and that of the solutions, 4, but is 4"),
        ((PLAIN_CODE["too few students"], 1000, 2.0), "that of the solutions, 1.6, but is 2"),
        ((MODELS["noisy"].replace(learning_rate=1.16), 10**5, 0.1, "random", 3.0), "`scale` must be smaller"),
        (
            (PLAIN_CODE["noisy"], 10**6, 0.1, "random", 5.0),
            "`scale` must be smaller: from 5 the norms do not settle on the plateau",
        ),
    ],
)
def test_law_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        tsode.escape_law(*arguments)


# --- kernels


@pytest.mark.parametrize("name", ["noisy", "escape almost ends"])
def test_law_does_not_depend_on_when_the_norms_are_taken_to_be_on_the_plateau(name, monkeypatch):
    """What SGD adds after that time counts: where the escape is slow, it is most of all."""
    means = []
    for relaxations in (20, 40):
        monkeypatch.setattr(escape, "RELAXATIONS", relaxations)
        means.append(tsode.escape_law(PLAIN_CODE[name], 10**10, 0.05, "random").mean())
    assert means[0] == pytest.approx(means[1], rel=1e-7)

"""Escape times of SGD against their law, how they are read off a trajectory, and their figures."""

import numpy as np
import pytest
from escape_models import MODELS, QUICK, rescaled
from models import all_of
from scipy import stats

import tsode
from tsode.plot.escape import escape_histogram, escape_means

# --- SGD against the law


def measure(model, law, threshold, **options):
    """Escape times of SGD from random weights, recorded until all but 1e-7 of the runs are expected to be gone."""
    alpha = np.linspace(0.0, law.ppf(1 - 1e-7) + 2.0, 400)
    sgd = tsode.simulate(model, None, alpha, seed=11, until=tsode.escaped(threshold), **options)
    return tsode.escape_time(sgd, threshold)


def test_law_agrees_with_sgd_quickly():
    """200 runs: mean within 4 standard errors, Kolmogorov-Smirnov p-value above 1e-3."""
    law = tsode.escape_law(QUICK, 2000, 0.1, start="random")
    times = measure(QUICK, law, 0.1, N=2000, runs=200)
    assert abs(times.mean() - law.mean()) < 4 * law.std() / np.sqrt(200)
    assert stats.kstest(times, law.cdf).pvalue > 1e-3
    assert times.std() == pytest.approx(law.std(), rel=0.15)


def escapes(model, N, threshold, scale, runs):
    """The law from weights of a scale, and escape times of runs that each have such weights of their own."""
    law = tsode.escape_law(model, N, threshold, "random", scale)
    if model.spherical or scale == 1:
        return law, measure(model, law, threshold, N=N, runs=runs)
    return law, measure(rescaled(model, scale), law, threshold / scale**2, N=N, runs=runs)


@pytest.mark.slow
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


@pytest.mark.slow
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
    N, threshold = 4000, 0.04
    for p in widths:
        model = tsode.TeacherStudent(p, p_star, 0.05 * p)
        law = tsode.escape_law(model, N, threshold, start="random")
        times = measure(model, law, threshold, N=N, runs=runs)
        assert abs(times.mean() - law.mean()) < 3 * times.std(ddof=1) / np.sqrt(runs)


# --- the measured time


def trajectory(alpha, size, model=QUICK):
    """A trajectory whose tr M M^T is `size`, shape (..., T)."""
    alpha, size = np.asarray(alpha, dtype=float), np.asarray(size, dtype=float)
    M = np.zeros((*size.shape, model.p, model.p_star))
    M[..., -1, -1] = np.sqrt(size)
    Q = np.broadcast_to(np.eye(model.p), (*size.shape, model.p, model.p)).copy()
    runs = size.shape[:-1]
    return tsode.Trajectory(model, alpha, M, Q, np.full(runs, "completed"), np.full(runs, alpha[-1]))


def test_first_passages_at_their_limits():
    alpha = np.array([1.0, 2.0, 3.0])
    assert tsode.escape_time(trajectory(alpha, [0.5, 0.6, 0.7]), 0.1) == 1.0  # above from the start
    assert tsode.escape_time(trajectory(alpha, [0.0, 0.0, 0.7]), 0.1) == 3.0  # from exactly 0
    assert np.isnan(tsode.escape_time(trajectory(alpha, [0.0, 0.05, np.nan]), 0.1))
    assert np.ndim(tsode.escape_time(trajectory(alpha, [0.0, 0.05, 0.2]), 0.1)) == 0
    # the first passage counts, also where it is taken back
    assert tsode.escape_time(trajectory(alpha, [0.05, 0.2, 0.05]), 0.1) == pytest.approx(1.5)


def test_passage_is_above_the_threshold_not_at_it():
    assert np.isnan(tsode.escape_time(trajectory([1, 2, 4], [0.0625, 0.25, 0.25]), 0.25))
    assert tsode.escape_time(trajectory([1, 2, 4], [0.0625, 0.25, 1.0]), 0.25) == pytest.approx(2)


def test_passages_of_several_runs():
    """Powers of 4 at times 1, 2, 4, 8: from 4^a to 4^b the passage of 4^c is at the fraction (c - a) / (b - a)."""
    powers = np.array([[-3, -1, 0, 1], [-3, -2, -2, 2], [3, -3, -3, 2], [-3, -3, -3, -3], [-3, 3, -3, 3]])
    found = tsode.escape_time(trajectory([1, 2, 4, 8], 4.0**powers), 4.0**-0.5)
    np.testing.assert_allclose(found, [3.0, 4 + 4 * 1.5 / 4, 1.0, np.nan, 1 + 2.5 / 6], rtol=1e-12)


def test_fall_of_the_loss_is_interpolated_in_its_logarithm():
    """The loss from t^2/2 + tr A^2 with A = V Omega; the passage is the fraction of its logarithm."""
    model = tsode.TeacherStudent(4, 2, 0.6, 0.2, [0.3] * 4, [0.7] * 2)
    q = tsode.plateau(model).q
    path = trajectory([0, 1, 3], [[0.0, 0.5, 1.0], [0.0, 0.2, 0.9]], model)
    v = np.concatenate([model.student_readout, -model.teacher_readout])

    def loss(M, Q):
        A = np.diag(v) @ np.block([[Q, M], [M.T, np.eye(model.p_star)]])
        return np.trace(A) ** 2 / 2 + np.trace(A @ A)

    losses = [[loss(M, Q) for M, Q in zip(*run)] for run in zip(path.M, path.Q)]
    fraction = np.sqrt(losses[0][0] * losses[0][1]) / loss(np.zeros((4, 2)), q * np.eye(4))
    second = np.interp(-np.log(losses[0][0] * losses[0][1]) / 2, -np.log(losses[1]), [0, 1, 3])
    found = tsode.escape_time(path, loss_fraction=fraction)
    np.testing.assert_allclose(found, [0.5, second], rtol=1e-7)


def test_a_loss_of_exactly_zero_has_no_logarithm():
    """The passage then is at that record."""
    model = tsode.TeacherStudent(1, 1, 0.1)
    M, Q = np.array([[[0.0]], [[1.0]]]), np.ones((2, 1, 1))
    path = tsode.Trajectory(model, np.array([0.0, 2.0]), M, Q, "completed", 2.0)
    assert path.excess_loss[1] == 0
    assert tsode.escape_time(path, loss_fraction=0.5) == 2.0


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


def test_escape_time_refuses_what_has_no_plateau():
    with pytest.raises(TypeError, match="`trajectory` must be a Trajectory"):
        tsode.escape_time(np.zeros(3), 0.1)
    fast = trajectory([0.0, 1.0], [0.1, 0.2], QUICK.replace(learning_rate=9.0))
    with pytest.raises(ValueError, match="with a plateau"):
        tsode.escape_time(fast, loss_fraction=0.5)


# --- figures


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

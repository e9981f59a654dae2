"""The law of the escape time from plain code, and first passages at their edges."""

import functools

import numpy as np
import pytest
from reference import derivatives
from scipy import stats
from scipy.integrate import solve_ivp

import tsode
from tsode.activations.quadratic import escape

MODELS = {
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


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
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


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("name", ["noisy", "one and one", "spherical", "escape almost ends"])
def test_law_from_random_weights(name, scale):
    """N is so large that the norms are on the plateau by then. Random weights have standard deviation 1 by default."""
    model = MODELS[name]
    N, threshold = 10**10, 0.05
    law = tsode.escape_law(model, N, threshold, "random", *([scale] if scale != 1 else []))
    alpha = law.ppf([0.2, 0.5, 0.8])
    variance = variance_at(model, alpha, 1.0 if model.spherical else scale**2)
    np.testing.assert_allclose(chi_square_above(model, N * threshold / variance), [0.2, 0.5, 0.8], rtol=1e-5)


@pytest.mark.parametrize(("name", "N", "scale"), [("noisy", 5000, 0.01), ("too few students", 10**6, 1.2)])
def test_law_of_escapes_during_the_transient(name, N, scale):
    model, threshold = MODELS[name], 0.01
    law = tsode.escape_law(model, N, threshold, "random", scale)
    alpha = law.ppf([1e-6, 0.2, 0.5, 0.8])
    variance = variance_at(model, alpha, scale**2)
    np.testing.assert_allclose(chi_square_above(model, N * threshold / variance), [1e-6, 0.2, 0.5, 0.8], rtol=1e-4)
    # the density is the derivative of that
    h = 1e-4
    np.testing.assert_allclose(law.pdf(alpha), (law.cdf(alpha + h) - law.cdf(alpha - h)) / (2 * h), rtol=1e-5)


def test_while_norms_are_too_large_nothing_new_passes():
    """M shrinks at first: the largest variance so far counts, and from where it is exceeded the law goes on."""
    model, N, threshold, scale = MODELS["too few students"], 1000, 0.02, 1.8
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


@pytest.mark.parametrize("name", ["noisy", "escape almost ends"])
def test_law_does_not_depend_on_when_the_norms_are_taken_to_be_on_the_plateau(name, monkeypatch):
    """What SGD adds after that time counts: where the escape is slow, it is most of all."""
    means = []
    for relaxations in (20, 40):
        monkeypatch.setattr(escape, "RELAXATIONS", relaxations)
        means.append(tsode.escape_law(MODELS[name], 10**10, 0.05, "random").mean())
    assert means[0] == pytest.approx(means[1], rel=1e-7)


@pytest.mark.parametrize("name", ["noisy", "too few students"])
def test_small_norms_grow_exponentially_before_anything_else(name):
    """Each factor of 100 in their size then costs the same time t = ln(100^2) / r at dQ = r Q, dM = c M.

    Meanwhile the variance of M grows like Q, from the noise, or like exp(2 c t), whichever is faster: what it gains
    on Q escapes earlier by its logarithm over 2 g.
    """
    model = MODELS[name]
    c, r, _ = np.divide(at_zero(model, 1e-10), [1, 1e-10, 1])
    means = [tsode.escape_law(model, 9 * 10**15, 1e-2, "random", 10.0**-k).mean() for k in (6, 8)]
    t = np.log(1e4) / r
    cost = t - max(2 * c * t - np.log(1e4), 0.0) / (2 * tsode.plateau(model).escape_rate)
    assert np.diff(means)[0] == pytest.approx(cost, abs=1e-4 * t)


@pytest.mark.parametrize("name", ["noisy", "one and one", "too few students"])
def test_from_tiny_norms_the_teacher_is_found_before_they_have_grown(name):
    """A variance that grows like exp(2 c t), faster than Q like exp(r t), is alone what takes time."""
    model = MODELS[name]
    c, r, _ = np.divide(at_zero(model, 1e-10), [1, 1e-10, 1])
    assert 2 * c > r
    means = [tsode.escape_law(model, 10**9, 1e-3, "random", 10.0**-k).mean() for k in (24, 26, 30)]
    np.testing.assert_allclose(np.diff(means) / [1, 2], np.log(1e4) / (2 * c), rtol=1e-5)


def test_smallest_dimension_is_that_of_the_weights():
    model = MODELS["one and one"]
    assert tsode.escape_law(model, 2, 0.9).mean() > 0
    with pytest.raises(ValueError, match="`N` must be at least 2"):
        tsode.escape_law(model, 1, 0.9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "`threshold` must be larger than 0"),
        ({"threshold": -0.5}, "`threshold` must be larger than 0"),
        ({"scale": 0.0}, "`scale` must be larger than 0"),
        ({"scale": -0.5}, "`scale` must be larger than 0"),
        # the start's q p p*/N = 8/1000 and the solutions' min(p, p*) v*/v = 4, both excluded
        ({"threshold": 8 / 1000}, "the start, 0.008, and that of the solutions, 4, but is 0.008"),
        ({"threshold": 4.0}, "the start, 0.008, and that of the solutions, 4, but is 4"),
    ],
)
def test_law_refuses_what_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        tsode.escape_law(MODELS["spherical"], 1000, **{"threshold": 0.1, **options})


def test_threshold_lies_below_the_solutions_of_too_few_students():
    with pytest.raises(ValueError, match=r"that of the solutions, 1.6, but is 2"):
        tsode.escape_law(MODELS["too few students"], 1000, 2.0)


def test_norms_that_run_away_have_no_law():
    model = MODELS["noisy"]
    with pytest.raises(ValueError, match="`scale` must be smaller: from 5 the norms do not settle on the plateau"):
        tsode.escape_law(model, 10**6, 0.1, "random", 5.0)


# --- first passages --------------------------------------------------------------------------------------------------


def grown(size, alpha, model=MODELS["noisy"]):
    """A trajectory whose tr M M^T is `size`, shape (..., T)."""
    size = np.asarray(size, dtype=float)
    M = np.zeros((*size.shape, model.p, model.p_star))
    M[..., -1, -1] = np.sqrt(size)
    Q = np.broadcast_to(np.eye(model.p), (*size.shape, model.p, model.p)).copy()
    status, end = np.full(size.shape[:-1], "completed")[()], np.full(size.shape[:-1], float(alpha[-1]))[()]
    return tsode.Trajectory(model, np.asarray(alpha, dtype=float), M, Q, status, end)


def test_passage_is_above_the_threshold_not_at_it():
    assert np.isnan(tsode.escape_time(grown([0.0625, 0.25, 0.25], [1, 2, 4]), 0.25))
    assert tsode.escape_time(grown([0.0625, 0.25, 1.0], [1, 2, 4]), 0.25) == pytest.approx(2)


def test_passages_of_several_runs():
    """Powers of 4 at times 1, 2, 4, 8: from 4^a to 4^b the passage of 4^c is at the fraction (c - a) / (b - a)."""
    powers = np.array([[-3, -1, 0, 1], [-3, -2, -2, 2], [3, -3, -3, 2], [-3, -3, -3, -3], [-3, 3, -3, 3]])
    found = tsode.escape_time(grown(4.0**powers, [1, 2, 4, 8]), 4.0**-0.5)
    np.testing.assert_allclose(found, [3.0, 4 + 4 * 1.5 / 4, 1.0, np.nan, 1 + 2.5 / 6], rtol=1e-12)


def test_fall_of_the_loss_is_interpolated_in_its_logarithm():
    model = MODELS["noisy"]
    path = grown([[0.0, 0.5, 1.0], [0.0, 0.2, 0.9]], [0, 1, 3])
    n = model.p + model.p_star
    v = np.concatenate([model.student_readout, -model.teacher_readout])

    def loss(M, Q):
        A = np.diag(v) @ np.block([[Q, M], [M.T, np.eye(model.p_star)]])
        assert A.shape == (n, n)
        return np.trace(A) ** 2 / 2 + np.trace(A @ A)

    losses = [[loss(M, Q) for M, Q in zip(*run)] for run in zip(path.M, path.Q)]
    fraction = np.sqrt(losses[0][0] * losses[0][1]) / loss(np.zeros((4, 2)), plateau_norm(model) * np.eye(4))
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_fraction": 0.0}, "`loss_fraction` must be larger than 0"),
        ({"loss_fraction": -0.5}, "`loss_fraction` must be larger than 0"),
        ({"loss_fraction": 1.5}, "`loss_fraction` must be below 1, but is 1.5"),
        ({"threshold": -0.5}, "`threshold` must be larger than 0"),
        ({}, "must be given, but none is"),
        ({"threshold": 0.5, "loss_fraction": 0.5}, "must be given, but both are"),
    ],
)
def test_what_counts_as_escape_is_one_number_in_range(options, message):
    with pytest.raises(ValueError, match=message):
        tsode.escape_time(grown([0.1, 0.2], [0, 1]), **options)

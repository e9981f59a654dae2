"""Measure the claims of arXiv:2604.03068, print them as a Markdown table, and write it to a file.

Run it with ``make claims``. Every number is measured when the script runs, none is stored. What is random has a fixed
seed and a standard error; what is deterministic has the error of its integration or fit; a count has none. Theory is
that of infinite N, small thresholds or late times: what finite ones change is fitted or extrapolated, and the error is
that of the result. ``--seed`` measures all at another base seed. A claim holds if measured and theory differ by at most
`SIGMAS` errors; if one does not, the exit status is 1.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import digamma

import tsode
from tsode import hessian, manifold

SIGMAS = 4  # a claim fails by chance in one run of 16 000, and the seeds are fixed
SMALL = os.environ.get("TSODE_SMALL") == "1"
WAYS = {
    "runs": "standard error over runs or starts",
    "fit": "what the last extrapolation or a looser tolerance changes",
    "solver": "change with the solver's tolerance, or rounding",
    "count": "exact",
}


@dataclass(frozen=True)
class Claim:
    """One row of the table: a claim, what theory says, what was measured, its error and the way that was found."""

    claim: str
    theory: float
    measured: float
    error: float
    way: str
    shown: str

    @property
    def holds(self):
        """Whether measured and theory differ by at most SIGMAS errors; a count has to be equal."""
        return bool(np.isfinite(self.error) and abs(self.measured - self.theory) <= SIGMAS * self.error)

    def cells(self):
        """Return the cells of the row as text."""
        if self.way == "count":
            theory, measured = f"{self.theory:,.0f}", f"{self.measured:,.0f}"
        else:
            theory, measured = f"{self.theory:.6g}", pretty(self.measured, self.error)
        return self.claim, theory, measured, WAYS[self.way], self.shown, "yes" if self.holds else "**no**"


def pretty(value, error):
    """Return 'value ± error', the error to two digits and the value to the same place."""
    if not error > 0 or not np.isfinite(error):
        return f"{value:.6g} ± {error:.2g}"
    place = int(np.floor(np.log10(error))) - 1
    if abs(value) < error < 1e-4:
        return f"{value:.0e} ± {error:.0e}"
    if place < -6 or abs(value) >= 1e6:
        return f"{value:.9g} ± {error:.2g}"
    return f"{value:.{max(-place, 0)}f} ± {error:.{max(-place, 0)}f}"


def shifted(seed, base):
    """Return `seed` moved out of the way of all seeds of other base seeds."""
    return seed + 10**9 * base


def mean_and_error(values):
    """Return mean and standard error of the finite values."""
    values = np.asarray(values)[np.isfinite(values)]
    return values.mean(), values.std(ddof=1) / np.sqrt(values.size)


def slope(x, y, error, *corrections):
    """Return the slope of a straight line, plus multiples of `corrections`, through y ± error, and its error."""
    weight = 1 / np.asarray(error)
    columns = np.transpose([x, np.ones(len(x)), *corrections]) * weight[:, None]
    inverse = np.linalg.inv(columns.T @ columns)
    return inverse[0] @ (columns.T @ (weight * y)), np.sqrt(inverse[0, 0])


def extrapolated(fine, coarse):
    """Return value and error without the bias that is four times as large in `coarse`, also a value and its error."""
    return (4 * fine[0] - coarse[0]) / 3, np.hypot(4 * fine[1], coarse[1]) / 3


def solution_distance(model, trajectory, run=None):
    """Return how far the solution at the end of a run is from the one closest to its start."""
    start, end = (manifold.closest_rotation(model, trajectory.overlaps(i, run)) for i in (0, -1))
    return manifold.distance(model, manifold.solution(model, end), start)


def sgd_meets_ode(base=0):
    """One run of SGD differs from the ODE by N^(-1/2)."""
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    start = tsode.Overlaps.random(model, N=24, rng=shifted(3, base))  # overlaps of order 1
    alpha = np.linspace(0, 20, 41)
    ode = tsode.integrate(model, start, alpha)
    dimensions = (500, 2000, 8000, 32_000) if SMALL else (1000, 4000, 16_000, 64_000)
    means, errors = [], []
    for N in dimensions:
        sgd = tsode.simulate(model, start, alpha, N=N, runs=32, seed=shifted(N, base))
        mean, error = mean_and_error(np.log(np.sqrt(np.square(sgd.M - ode.M).mean(axis=(1, 2, 3)))))
        means.append(mean)
        errors.append(error)
    found = slope(np.log(dimensions), means, errors, 1 / np.array(dimensions))
    yield Claim("SGD follows its ODE: exponent in N of the deviation of M", -0.5, *found, "runs", "01")


def plateau_loss(base=0):
    """SGD stays at the plateau of theory."""
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    saddle = tsode.plateau(model)
    N = 20_000 if SMALL else 300_000
    levels = []
    for dimension in (N, N // 4):
        alpha = np.linspace(0, 4, 41)
        sgd = tsode.simulate(model, saddle.overlaps, alpha, N=dimension, runs=32, seed=shifted(1, base))
        levels.append(mean_and_error(sgd.excess_loss[:, 10:].mean(axis=1)))
    found = extrapolated(*levels)
    yield Claim("Plateau: excess loss at (p, p*, η) = (4, 2, 0.4)", saddle.excess_loss, *found, "runs", "02")
    limit = tsode.plateau(model, gradient_flow=True)
    ends = [
        tsode.integrate(model, tsode.Overlaps(np.zeros((4, 2)), np.eye(4)), 400.0, rtol=rtol, gradient_flow=True)
        for rtol in (1e-10, 1e-9)
    ]
    value, loose = (end.excess_loss[-1] for end in ends)
    theory = 1 / (model.p + 2) + 1 / model.p_star
    name = "Plateau of gradient flow: excess loss 1/(p+2) + 1/p*"
    yield Claim(name, theory, value, max(abs(value - loose), 1e-12), "solver", "02")
    if not np.isclose(limit.excess_loss, theory, rtol=1e-12):
        raise ArithmeticError(f"tsode.plateau gives {limit.excess_loss}, but 1/(p+2) + 1/p* is {theory}")


def escape_rate(base=0):
    """The escape rate depends on the product of learning rate and readout, not on the width."""
    N, widths = (20_000, (2, 4, 8)) if SMALL else (50_000, (2, 4, 8, 16))
    alpha = np.array([0.0, 2.0, 10.0])
    logs, errors, theory, flows = [], [], [], []
    for p in widths:
        model = tsode.TeacherStudent(p=p, p_star=2, learning_rate=0.05 * p)  # eta v = 0.05
        saddle = tsode.plateau(model)
        theory.append(np.log(saddle.escape_rate))
        start = tsode.Overlaps(0.1 * np.sqrt(saddle.q) * np.eye(p, 2), saddle.overlaps.Q)
        sgd = [tsode.simulate(model, start, alpha, N=n, runs=32, seed=shifted(p, base)) for n in (N, N // 4)]
        rate, error = extrapolated(*(mean_and_error(growth(one)) for one in sgd))
        # M is not small, for the sake of the statistics: what that changes is measured on the ODE
        tiny = tsode.Overlaps(0.01 * start.M, start.Q)
        precise = {"rtol": 1e-12, "atol": 1e-16}
        ode, linear = (tsode.integrate(model, one, alpha, **precise) for one in (start, tiny))
        rate -= growth(ode) - growth(linear)
        logs.append(np.log(rate))
        errors.append(error / rate)
        limit = tsode.plateau(model, gradient_flow=True).overlaps
        tiny = tsode.Overlaps(1e-5 * np.eye(p, 2), limit.Q)
        odes = [tsode.integrate(model, tiny, alpha, gradient_flow=True, rtol=r, atol=r * 1e-4) for r in (1e-12, 1e-9)]
        flows.append([np.log(growth(ode)) for ode in odes])
    found, loose = np.polyfit(np.log(widths), flows, 1)[0]
    error = max(abs(found - loose), 1e-8)
    yield Claim("Escape rate g of gradient flow: exponent in p at fixed ηv", 0.0, found, error, "solver", "02")
    theory = slope(np.log(widths), theory, errors)[0]  # of a curve, so that the weights matter
    found = slope(np.log(widths), logs, errors)
    yield Claim("Escape rate g of SGD: exponent in p at fixed ηv = 0.05 (0 as η → 0)", theory, *found, "runs", "02")


def growth(trajectory):
    """Return half the rate of ln tr M M^T between the last two of its times."""
    size = np.log(np.square(trajectory.M).sum(axis=(-1, -2)))
    return (size[..., -1] - size[..., -2]) / (2 * (trajectory.alpha[-1] - trajectory.alpha[-2]))


def beyond_the_law(model, N, threshold, runs, seed, *larger):
    """Return by how much runs escape later than their law says, (mean, error) at each threshold.

    The law neglects terms of first order in 1/N and in the threshold.
    """
    thresholds = (threshold, *larger)
    laws = [tsode.escape_law(model, N, one, start="random") for one in thresholds]
    sgd = tsode.simulate(model, None, np.linspace(0, 1.1 * laws[-1].ppf(0.9999), 400), N=N, runs=runs, seed=seed)
    found = [mean_and_error(tsode.escape_time(sgd, one)) for one in thresholds]
    return [(mean - law.mean(), error) for law, (mean, error) in zip(laws, found)]


def escape_prefactor(base=0):
    """The width enters the escape time through digamma(p p*/2) and S, at the same rate."""
    N, runs, widths = (2000, 96, (2, 8)) if SMALL else (10_000, 256, (2, 4, 8, 16))
    times, errors, laws, scaled = [], [], [], []
    for p in widths:
        model = tsode.TeacherStudent(p=p, p_star=2, learning_rate=0.1 * p)
        settings = (N, 0.01 * p), (N // 4, 0.04 * p)  # the same part of the solutions' tr M M^T = p at every width
        law = tsode.escape_law(model, *settings[0], start="random")
        late = (beyond_the_law(model, *setting, runs, shifted(p, base))[0] for setting in settings)
        late, error = extrapolated(*late)
        mean, threshold = law.mean() + late, settings[0][1]
        rate = 2 * tsode.plateau(model).escape_rate
        times.append(rate * mean)
        errors.append(rate * error)
        laws.append(rate * law.mean())
        # ln S as the law has it, so that what is left is ln(N threshold / 2) - digamma
        log_S = np.log(N * threshold / 2) - digamma(p) - rate * law.mean()
        scaled.append(rate * mean + log_S - np.log(N * threshold / 2))
    saved, error = times[0] - times[-1], np.hypot(errors[0], errors[-1])
    name = f"Escape time: 2g⟨T⟩ saved by p = {widths[-1]} over p = p* = 2 at fixed ηv, N = {N:,}"
    yield Claim(name, laws[0] - laws[-1], saved, error, "runs", "02")
    found = slope([digamma(p) for p in widths], scaled, errors)
    yield Claim("Escape time: coefficient of digamma(pp*/2) in 2g⟨T⟩", -1.0, *found, "runs", "02")


def escape_dimension(base=0):
    """The escape time grows as ln N / 2g."""
    model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
    dimensions = (250, 1000, 4000, 16_000) if SMALL else (1000, 4000, 16_000, 64_000, 256_000)
    threshold, runs = 0.05, 1024 if SMALL else 2048
    means, errors, late = [], [], []
    for i, N in enumerate(dimensions):
        late.append(beyond_the_law(model, N, threshold, runs >> i, shifted(N, base), 4 * threshold))
        law = tsode.escape_law(model, N, threshold, start="random")
        means.append(law.mean() + late[-1][0][0])
        errors.append(late[-1][0][1])
    rate = 2 * tsode.plateau(model).escape_rate
    found = np.multiply(rate, slope(np.log(dimensions), means, errors, 1 / np.array(dimensions)))
    name = "Escape time: slope of 2g⟨T⟩ in ln N"
    yield Claim(name, 1.0, *found, "runs", "02")
    name = f"Escape time from random weights at N = {dimensions[-1]:,}, law of tsode.escape_law"
    found, error = extrapolated(late[-1][0], late[-2][1])
    yield Claim(name, law.mean(), law.mean() + found, error, "runs", "02")


def closest_solution(base=0):
    """From Q proportional to 1 the ODE ends at the closest solution; from random weights up to N^(-1/2)."""
    model = tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.1)
    rng = np.random.default_rng(shifted(0, base))
    starts = [tsode.Overlaps(0.01 * rng.standard_normal((2, 2)), np.eye(2)) for _ in range(5 if SMALL else 20)]
    worst = []
    for rtol in (1e-10, 1e-8):
        odes = [tsode.integrate(model, start, 400.0, rtol=rtol, atol=1e-14) for start in starts]
        worst.append(max(solution_distance(model, ode) for ode in odes))
    name = "Chosen solution, ODE from Q ∝ 1: largest distance to the closest solution"
    yield Claim(name, 0.0, worst[0], max(worst[1], 1e-7), "solver", "03")

    dimensions = (100, 1000, 10_000, 100_000) if SMALL else (100, 1000, 10_000, 100_000, 1_000_000)
    number = 20 if SMALL else 40
    means, errors = [], []
    for N in dimensions:
        starts = [
            tsode.Overlaps.random(model, N, rng=np.random.default_rng([shifted(N, base), i])) for i in range(number)
        ]
        odes = tsode.integrate_many(model, starts, [0.0, 600.0], rtol=1e-9, atol=1e-13)
        mean, error = mean_and_error(np.log([solution_distance(model, ode) for ode in odes]))
        means.append(mean)
        errors.append(error)
    found = slope(np.log(dimensions), means, errors, 1 / np.array(dimensions))
    name = "Chosen solution, ODE from random weights: exponent in N of that distance"
    yield Claim(name, -0.5, *found, "runs", "03")


def noise_moves_the_choice(base=0):
    """At a finite learning rate SGD's noise turns M before the escape, by an angle that does not fall with N."""
    model = tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.1)
    N, runs = (1000, 96) if SMALL else (4000, 256)
    saddle = tsode.plateau(model)
    g = saddle.escape_rate
    distances = []
    for dimension in (N, N // 4):
        law = tsode.escape_law(model, dimension, 0.05, start="random")
        alpha = np.array([0.0, float(law.ppf(0.9999)) + 5 / g])
        sgd = tsode.simulate(model, None, alpha, N=dimension, runs=runs, seed=shifted(11, base))
        distances.append(mean_and_error([solution_distance(model, sgd, run) for run in range(runs)]))
    found, error = extrapolated(*distances)

    # What M gains from noise, relative to the start: both parts of S, the first from the ODE of a tiny M
    tiny = tsode.integrate(model, tsode.Overlaps(1e-7 * np.eye(2), np.eye(2)), [0.0, 60.0], rtol=1e-10, atol=1e-20)
    from_start = np.exp(-2 * g * 60) * np.square(tiny.M[-1] / 1e-7).sum() / 2
    large = tsode.escape_law(model, 10**12, 0.05, start="random")
    both = np.exp(np.log(10**12 * 0.05 / 2) - digamma(2) - 2 * g * large.mean())
    rng = np.random.default_rng(shifted(0, base))
    before, noise = rng.standard_normal((2, 20_000, 2, 2))
    after = before + np.sqrt(both / from_start - 1) * noise
    turned = manifold.polar_factor(before) - manifold.polar_factor(after)
    theory, drawn = mean_and_error(np.linalg.norm(turned, axis=(1, 2)))
    name = f"Chosen solution, SGD at η = 0.1 from random weights, N = {N:,}: mean distance to the closest, set by noise"
    yield Claim(name, theory, found, np.hypot(error, drawn), "runs", "03")


def conserved_quantity(base=0):
    """C stays constant in gradient flow; what it drifts by belongs to the solver."""
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)
    drift = []
    for rtol in (1e-12, 1e-11):
        starts = [tsode.Overlaps.random(model, N=1000, rng=shifted(seed, base)) for seed in range(3 if SMALL else 10)]
        flows = [tsode.integrate(model, s, 300.0, rtol=rtol, atol=rtol / 100, gradient_flow=True) for s in starts]
        drift.append(max(manifold.invariants(flow).flow_constant.drift for flow in flows))
    name = "Conserved quantity C of gradient flow: largest relative drift until τ = 30"
    yield Claim(name, 0.0, drift[0], drift[1], "solver", "03")


def late_times(base=0):
    """Overparameterised students approach the solutions by a power law, others exponentially."""
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)
    alpha = np.append(0.0, 2e5 / 2.0 ** np.arange(3, -1, -1))
    start = tsode.Overlaps.random(model, N=1000, rng=shifted(0, base))
    exponents, ratios = [], []
    for rtol in (1e-12, 1e-11):
        ode = tsode.integrate(model, start, alpha, "LSODA", rtol=rtol, atol=rtol * 1e-4, gradient_flow=True)
        exponents.append(np.diff(np.log(ode.excess_loss[1:])) / np.log(2))
        ratios.append(ode.excess_loss[2:] / manifold.power_law(model, alpha[2:]))
    yield Claim("Late loss for p > p*: exponent in α", -2.0, *limit(*exponents), "fit", "03")
    name = "Late loss for p > p*: amplitude over (p-p*)(p*+2) / [64 v²(p+2)(ηα)²]"
    yield Claim(name, 1.0, *limit(*ratios), "fit", "03")

    model = tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.1)
    start = tsode.Overlaps.random(model, N=1000, rng=shifted(0, base))
    late = np.append(0.0, np.linspace(20, 28, 3) / manifold.relaxation_rate(model))
    rates = []
    for rtol in (1e-12, 1e-11):
        ode = tsode.integrate(model, start, late, rtol=rtol, atol=rtol * 1e-4, gradient_flow=True)
        rates.append(np.diff(np.log(ode.excess_loss[1:])) / np.diff(late[1:]) / (model.learning_rate / 4))
    # faster modes fall off by more than half from one value to the next, so that less than the difference is left
    (first, second), (_, loose) = rates
    error = max(abs(second - first), abs(second - loose), 1e-5)
    yield Claim("Late loss for p = p*: rate / (η v v*)", -8.0, second, error, "fit", "03")


def limit(values, loose):
    """Return the limit of three values at doubled times, of corrections (a + b ln alpha) / alpha, and its error.

    The first extrapolation leaves b, which the second takes out. The error is what the second changes, or what a looser
    tolerance of the solver does.
    """
    (last, found), (_, other) = (twice_extrapolated(np.asarray(x)) for x in (values, loose))
    return found, max(abs(found - last), abs(found - other))


def twice_extrapolated(values):
    """Return values at doubled times without their part in 1 / alpha, and without that in (ln alpha) / alpha."""
    once = 2 * values[1:] - values[:-1]
    return once[1], 2 * once[1] - once[0]


def hessians(base=0):
    """The plateau is a saddle of index p p*; the solutions are marginal minima with quartic directions."""
    model, N = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1), 14
    p, p_star = model.p, model.p_star
    saddle, minimum = tsode.plateau(model, gradient_flow=True).overlaps, manifold.solution(model)
    counts = []
    W, W_star = saddle.realise(N, rng=shifted(1, base))
    for weights in (W, manifold.solution_weights(model, W_star)):
        # All 56 eigenvalues, by brute force: no use is made of their multiplicities
        dense = hessian.population_operator(model, weights, W_star) @ np.eye(p * N)
        values = np.linalg.eigvalsh(dense)
        counts.append((np.sum(values < -1e-9), np.sum(abs(values) < 1e-9)))
    name = "Hessian on the plateau: negative eigenvalues p p*, dense at (4, 2), N = 14"
    yield Claim(name, p * p_star, counts[0][0], 0, "count", "04")
    name = "Hessian on the plateau: zero eigenvalues p(N-p-p*) + p(p-1)/2"
    yield Claim(name, p * (N - p - p_star) + p * (p - 1) // 2, counts[0][1], 0, "count", "04")
    name = "Hessian on the solutions: negative eigenvalues, dense at (4, 2), N = 14"
    yield Claim(name, 0, counts[1][0], 0, "count", "04")
    name = "Hessian on the solutions: zero eigenvalues (p-p*)N + p*(p*-1)/2"
    yield Claim(name, (p - p_star) * N + p_star * (p_star - 1) // 2, counts[1][1], 0, "count", "04")

    N = 10**6
    both = hessian.compare(model, N)
    name = "Directions tangent to the solutions: p p* - p*(p*+1)/2, N = 10⁶"
    theory = p * p_star - p_star * (p_star + 1) // 2
    yield Claim(name, theory, both.manifold_modes.counts[0], 0, "count", "04")
    name = "Directions flat to second order only: (p-p*)(N-p*), N = 10⁶"
    yield Claim(name, (p - p_star) * (N - p_star), both.manifold_modes.counts[-1], 0, "count", "04")
    tangent = hessian.Family("tangent", np.pad(manifold.tangent_basis(model), ((0, 0), (0, 0), (p, 0))))
    orders = [hessian.null_space(model, minimum, N, [tangent], rng=shifted(seed, base)).orders[-1] for seed in range(8)]
    error = max(np.std(orders, ddof=1), 1e-6)
    yield Claim("Order of the loss along them", 4.0, np.mean(orders), error, "fit", "04")
    name = "Lowest eigenvalue on the plateau / (v v*)"
    yield Claim(name, -4.0, both.plateau.lowest * 8, 1e-9, "solver", "04")


def learning_rates(base=0):
    """The thresholds of the plateau say at which learning rates the ODEs escape, stay or diverge."""
    rates = np.geomspace(0.1, 10, 12 if SMALL else 48)
    grid = {"p": (2, 8) if SMALL else (1, 2, 4, 8, 16), "p_star": 4, "learning_rate": rates}
    table = tsode.scans.stability(grid, n_jobs=1, progress=False)
    differ = int((table["fate"] != table["theory"]).sum())
    name = f"Map of learning rates: points of {table['fate'].size} at which ODE and theory differ"
    yield Claim(name, 0, differ, 0, "count", "05")


def other_inputs(base=0):
    """A teacher that reads single components sees their kurtosis: M grows with kappa - 1 in place of 2."""
    model, kurtosis = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.05), 1.8  # of uniform components
    N, runs = (200, 96) if SMALL else (1000, 256)
    p, eta_v, v_star = model.p, model.learning_rate / model.p, model.teacher_readout[0]
    # The plateau of tsode.fixed_points with (kappa - 1) T_2 in E[D^2]: x = t + 2 y at this learning rate
    a, b, c = (p + 4) / (p + 2), 4 * v_star / (p + 2), (2 / (p + 2) + kurtosis - 1) * v_star**2
    x = 2 * eta_v * c / (1 - eta_v * b + np.sqrt((1 - eta_v * b) ** 2 - 4 * eta_v**2 * a * c))
    flow = 4 * eta_v * v_star
    theory = 2 * eta_v * ((kurtosis - 1) * v_star - x) / flow
    q = (x + v_star) / (p + 2) * p  # its plateau: y = v q
    duration, rates = 8.0, []
    for dimension, M in ((N, 0.05), (N // 4, 0.1)):
        rng = np.random.default_rng(shifted(5, base))
        W_star, ends = np.sqrt(dimension) * np.eye(1, dimension), []
        for seed in range(runs):
            W = np.sqrt(q) * rng.standard_normal((p, dimension))
            W[:, 0] = M * np.sqrt(dimension)
            options = {"N": dimension, "seed": shifted(seed, base), "engine": "weights", "inputs": "uniform"}
            ends.append(tsode.simulate(model, (W, W_star), [0.0, duration], **options).M[0, -1].mean())
        mean, error = mean_and_error(ends)
        rates.append((np.log(mean / M) / duration / flow, error / mean / duration / flow))
    found = extrapolated(*rates)
    name = "Beyond Gaussian inputs: escape rate / (4ηvv*), teacher of one uniform component, (κ-1)/2 + O(η)"
    yield Claim(name, theory, *found, "runs", "06")


MEASUREMENTS = (
    sgd_meets_ode,
    plateau_loss,
    escape_rate,
    escape_prefactor,
    escape_dimension,
    closest_solution,
    noise_moves_the_choice,
    conserved_quantity,
    late_times,
    hessians,
    learning_rates,
    other_inputs,
)


def table(claims):
    """Return the claims as a Markdown table."""
    header = ("claim", "theory", "measured ± error", "kind of error", "notebook", "holds")
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    lines += [" | ".join(claim.cells()) for claim in claims]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def main(arguments=None):
    """Measure all claims; return 1 if one does not hold, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for claims.md")
    parser.add_argument("--seed", type=int, default=0, help="base seed of all that is random")
    options = parser.parse_args(arguments)
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    claims = [claim for measure in MEASUREMENTS for claim in measure(options.seed)]
    text = table(claims)
    print(text, end="")
    (out / "claims.md").write_text(text, encoding="utf-8")
    return 0 if all(claim.holds for claim in claims) else 1


if __name__ == "__main__":
    raise SystemExit(main())

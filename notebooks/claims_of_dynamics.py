"""Claims about SGD beside its ODE, the plateau and the escape."""

import numpy as np
from claim_rows import SMALL, Claim, extrapolated, mean_and_error, shifted, slope
from scipy.special import digamma

import tsode
from tsode.activations import Hermite


def sgd_meets_ode(base=0):
    """One run of SGD differs from the ODE by N^(-1/2)."""
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    start = tsode.Overlaps.random(model, N=24, rng=shifted(3, base))  # overlaps of order 1
    alpha = np.linspace(0, 20, 41)
    ode = tsode.integrate(model, start, alpha)
    dimensions = (250, 1000, 4000, 16_000) if SMALL else (1000, 4000, 16_000, 64_000)
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
    dimensions = (125, 500, 2000, 8000) if SMALL else (1000, 4000, 16_000, 64_000, 256_000)
    threshold, runs = 0.05, 512 if SMALL else 2048
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
    yield from escape_at_huge_dimension(model, threshold, base)


def escape_at_huge_dimension(model, threshold, base):
    """The same up to N = 1e15, where SGD is run in coarse steps; what a finite threshold changes is the same at all."""
    dimensions, runs = (10**9, 10**12, 10**15), 128 if SMALL else 1024
    means, errors = [], []
    for i, N in enumerate(dimensions):
        end = tsode.escape_law(model, N, threshold, start="random").ppf(1 - 1e-6)
        sgd = tsode.simulate(
            model, None, np.linspace(0, end, 201), N, runs, shifted(10 + i, base), engine="diffusion",
            until=tsode.escaped(threshold),
        )  # fmt: skip
        for all_of_them, one in zip((means, errors), mean_and_error(tsode.escape_time(sgd, threshold))):
            all_of_them.append(one)
    rate = 2 * tsode.plateau(model).escape_rate
    found = np.multiply(rate, slope(np.log(dimensions), means, errors))
    yield Claim("Escape time: the same slope from N = 1e9 to 1e15, coarse steps", 1.0, *found, "runs", "02")


def information_exponents(base=0):
    """One unit learns h_k on the sphere: the escape time is a constant, grows as ln N / 2g, and as N^(k-2).

    The last at learning rates of N^(-1/2): at larger ones noise wins over a drift of m^2, m being N^(-1/2) at first.
    Runs at N > 1000, and all of k = 3, go in coarse steps.
    """
    eta, runs = 0.1, 128 if SMALL else 1024
    g = 2 * eta - 6 * eta**2
    dimensions = np.array((250, 1000, 4000, 16_000) if SMALL else (250, 1000, 10_000, 100_000))
    for k, what, theory, scale, power in (
        (1, "slope of ⟨T⟩ in ln N", 0.0, np.asarray, 1.0),
        (2, "slope of 2g⟨T⟩ in ln N", 1.0, lambda times: 2 * g * times, 1.0),
        (3, "exponent of T in N at η ~ N^(-1/2)", 1.0, np.log, 0.5),
    ):
        found = []
        for N in dimensions:
            rate = eta if k < 3 else 1 / (32 * np.sqrt(N))
            model = tsode.TeacherStudent(1, 1, rate, activation=Hermite(k), constraint="spherical")
            how = {"engine": "diffusion", "step": 0.25 if k < 3 else 0.5 / rate} if N > 1000 or k == 3 else {}
            alpha, seed = np.linspace(0, (30, 240, 600 * N)[k - 1], 601), shifted(100 * k + int(np.log2(N)), base)
            sgd = tsode.simulate(model, None, alpha, N, runs, seed, until=tsode.escaped(0.25), **how)
            found.append(mean_and_error(scale(tsode.escape_time(sgd, 0.25))))
        growth_with_N = slope(np.log(dimensions), *np.transpose(found), dimensions**-power)
        yield Claim(f"Information exponent {k}: {what}", theory, *growth_with_N, "runs", "07")

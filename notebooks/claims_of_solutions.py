"""Claims about the solutions, how they are chosen and approached, Hessians, and what else the notebooks show."""

import numpy as np
from claim_rows import SMALL, Claim, extrapolated, limit, mean_and_error, shifted, slope
from scipy.special import digamma

import tsode
from tsode import hessian, manifold


def solution_distance(model, trajectory, run=None):
    """Return how far the solution at the end of a run is from the one closest to its start."""
    start, end = (manifold.closest_rotation(model, trajectory.overlaps(i, run)) for i in (0, -1))
    return manifold.distance(model, manifold.solution(model, end), start)


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

"""How fast is the exact overlap chain, and does its cost depend on N, p and the number of threads as it should?"""

import functools
import os
import time

os.environ["NUMBA_NUM_THREADS"] = "2"

from report import Report, paired, quickest, timed

import numba
import numpy as np

import tsode
from tsode.activations import SHIPPED, Custom, Hermite
from tsode.sgd import driver, wide_chain

RATES = {2: 0.2}


def samples(model, N, runs, count, seed=0):
    """Return a call that runs about `count` samples in all."""
    alpha = [0.0, count / (N * runs)]
    return lambda: tsode.simulate(model, None, alpha, N, runs=runs, seed=seed)


def per_sample(model, N, runs, count):
    first, seconds, _ = timed(samples(model, N, runs, count))
    return first, 1e9 * seconds / count


def speed(report):
    for activation in SHIPPED:
        for p, p_star in ((2, 2), (4, 2), (8, 4)):
            model = tsode.TeacherStudent(p, p_star, RATES.get(p, 0.4), activation=activation)
            first, cost = per_sample(model, 10_000, 16, 8_000_000)
            case = f"{activation}, p = {p}, p* = {p_star}, 16 runs"
            if activation == "quadratic":
                note = "error: largest |mean of Q - ODE| in standard errors"
                report.add(case, cost, "ns/sample", error(model), note, first)
            else:
                report.add(case, cost, "ns/sample", first=first)


def activations(report):
    """What a sample costs with other activations, in units of the square, and with a function of the user's own."""
    others = {"ReLU": "relu", "h_3": Hermite(3), "tanh": "tanh", "erf": "erf", "x -> tanh(x)": Custom(np.tanh)}
    for p, p_star in ((2, 2), (4, 2), (8, 4)):
        count = 3_200_000 // p
        models = [tsode.TeacherStudent(p, p_star, 0.05, activation=each) for each in ("quadratic", *others.values())]
        square, *times = quickest([samples(each, 10_000, 16, count) for each in models], 15, time.process_time)
        for name, one in zip(others, times):
            note = f"processor time of the square, {1e9 * square / count:.3g} ns a sample"
            report.add(f"{name}, p = {p}, p* = {p_star}", one / square, "ratio", "", note)
        report.add(f"own tanh, p = {p}, p* = {p_star}", times[-1] / times[2], "ratio", "", "of the shipped one")


def alone(report):
    """What a run costs that has no company, in units of 16 that have."""
    for p, p_star in ((2, 2), (4, 2), (8, 4)):
        model = tsode.TeacherStudent(p, p_star, RATES.get(p, 0.4))
        one, many = paired([samples(model, 10_000, 1, 500_000), samples(model, 10_000, 16, 8_000_000)], repeat=9)
        note = f"time of 16 runs; alone {1e9 * one / 500_000:.4g} ns a sample"
        report.add(f"one run against 16, p = {p}, p* = {p_star}", one / many, "ratio", "", note)


def error(model, N=100_000, runs=64):
    """Largest deviation of the mean overlaps from the ODE in standard errors, on a start without a plateau."""
    M = np.full((model.p, model.p_star), 0.3)
    start, alpha = tsode.Overlaps(M, M @ M.T + 0.5 * np.eye(model.p)), [0.0, 1.0]
    ode = tsode.integrate(model, start, alpha)
    Q = tsode.simulate(model, start, alpha, N, runs=runs, seed=1).Q[:, -1]
    return f"{np.max(np.abs(Q.mean(axis=0) - ode.Q[-1]) / (Q.std(axis=0, ddof=1) / np.sqrt(runs))):.1f}"


def dimension(report):
    model, count = tsode.TeacherStudent(4, 2, 0.4), 8_000_000
    small, large = paired([samples(model, N, 16, count) for N in (10**4, 10**8)], repeat=9)
    report.add("N = 1e8 against N = 1e4", large / small, "ratio", "", "cost of a sample, p = 4, p* = 2")


def widths(report):
    sizes, costs = np.array([4, 8, 16, 32, 64]), []
    for p in sizes:
        costs.append(per_sample(tsode.TeacherStudent(int(p), 4, 0.4), 10_000, 16, int(4e7 / p**1.5))[1])
        report.add(f"p = {p}, p* = 4, 16 runs", costs[-1], "ns/sample")
    exponent = np.polyfit(np.log(sizes), np.log(costs), 1)[0]
    last = np.log(costs[-1] / costs[-2]) / np.log(2)
    report.add("growth with p from 4 to 64", exponent, "exponent", "", f"fitted; {last:.2f} from 32 to 64")


def blocks(report):
    """Blocks of samples beside samples one by one, which p + p* = 48 (4 runs) and 192 (16 runs) are to tell apart."""
    for runs, sizes in (
        (1, ((64, 64), (64, 32), (128, 128), (128, 64), (256, 256), (256, 128))),
        (4, ((24, 24), (40, 8))),
        (16, ((32, 32), (64, 64), (96, 96), (128, 64))),
    ):
        for p, p_star in sizes:
            model = tsode.TeacherStudent(p, p_star, 0.5 / p)
            count = max(6144 // runs, int(4e7 / (p * (p + p_star)))) * runs
            call = samples(model, 10_000, runs, count)
            wide, narrow = paired([forced(call, True), forced(call, False)])
            note = f"one by one {1e6 * narrow / count:.3g} us, {narrow / wide:.2f} x the blocks"
            report.add(f"blocks, p = {p}, p* = {p_star}, {runs} runs", 1e6 * wide / count, "us/sample", "", note)


def forced(call, in_blocks):
    def run():
        driver.in_blocks = lambda model, runs: in_blocks
        try:
            call()
        finally:
            driver.in_blocks = wide_chain.in_blocks

    return run


def trained(report):
    """What batches, momentum and a trained readout cost, in units of plain SGD."""
    plain = tsode.TeacherStudent(8, 4, 0.2)
    cases = {f"batch of {size}": plain.replace(batch_size=size) for size in (2, 8, 64, 256)}
    cases["momentum"] = plain.replace(momentum=0.5, learning_rate=0.1)
    cases["trained readout"] = plain.replace(readout_learning_rate=0.2)
    for case, model in cases.items():
        for runs in (1, 16):
            count = 1_280_000 // (1 if runs == 16 else 8)
            other, one = paired([samples(each, 10_000, runs, count) for each in (model, plain)], repeat=9)
            note = f"time of a sample over that of plain SGD, {1e9 * one / count:.4g} ns, p = 8, p* = 4"
            report.add(f"{case}, {runs} runs", other / one, "ratio", "", note)


def written(report):
    """What a rule of the user's own costs, in units of the shipped one that does the same."""
    for p, p_star in ((2, 2), (4, 2), (8, 4)):
        model = tsode.TeacherStudent(p, p_star, 0.2)
        start = tsode.Overlaps.random(model, 10_000, rng=0)

        def rule(z, xi, a, p=p):
            D = (z["student"] ** 2).mean(axis=1) - (z["teacher"] ** 2).mean(axis=1)
            return {"student": -0.4 / p * D[:, None] * z["student"]}

        def python(z, xi, a, rule=rule):
            return {
                "student": np.array(rule({name: np.array(each) for name, each in z.items()}, xi, a)["student"], float)
            }

        count = 3_200_000 // p
        compiled, slow = (tsode.Scheme({"student": p, "teacher": p_star}, each) for each in (rule, python))
        runs = {
            each: functools.partial(tsode.simulate, each, start, [0.0, count / 160_000], 10_000, 16)
            for each in (model, compiled)
        }
        shipped, own = quickest(list(runs.values()), repeat=9)
        few = functools.partial(tsode.simulate, slow, start, [0.0, count / 16_000_000], 10_000, 16)
        note = (
            f"time of the shipped rule; {1e6 * 100 * quickest([few])[0] / count:.2g} us a sample where Python runs it"
        )
        report.add(f"a rule in plain Python, p = {p}, p* = {p_star}", own / shipped, "ratio", "", note)


def many(report):
    """What 64 models cost in one call, in units of as many runs of one model."""
    models = [tsode.TeacherStudent(4, 2, rate, 0.1) for rate in np.linspace(0.1, 0.3, 64)]
    for points in (201, 21):
        alpha = np.linspace(0.0, 60.0, points)
        calls = [functools.partial(tsode.simulate, models[32], None, alpha, 1000, 64),
                 functools.partial(tsode.simulate_many, models, None, alpha, 1000)]  # fmt: skip
        one, each = quickest(calls, clock=time.process_time)
        report.add(f"64 models, {points} times", each / one, "ratio", "", "processor time of 64 runs of one model")


def stopped(report):
    """What is saved by runs that stop where they escape, instead of when nearly all have, as in a scan of escapes."""
    for p, p_star, rate, N in ((2, 1, 0.3, 1000), (4, 2, 0.4, 1000), (4, 2, 0.4, 10_000), (8, 4, 0.8, 4000)):
        model = tsode.TeacherStudent(p, p_star, rate)
        alpha = np.linspace(0.0, tsode.escape_law(model, N, 0.05, start="random").ppf(1 - 1e-4), 401)
        calls = [functools.partial(tsode.simulate, model, None, alpha, N, 32, until=until)
                 for until in (None, tsode.escaped(0.05))]  # fmt: skip
        whole, cut = quickest(calls, clock=time.process_time)
        spared = 1 - calls[1]().stopped_at.mean() / alpha[-1]
        note = f"processor time over that of runs to the end, 32 of them; {spared:.0%} of the samples are spared"
        report.add(f"until escape, p = {p}, p* = {p_star}, N = {N}", cut / whole, "ratio", "", note)


def threads(report):
    model, count = tsode.TeacherStudent(4, 2, 0.4), 64_000_000
    call = samples(model, 10_000, 64, count)

    def on(number):
        def run():
            numba.set_num_threads(number)
            call()

        return run

    one, two = paired([on(1), on(2)])
    numba.set_num_threads(1)
    report.add("two threads against one, 64 runs", one / two, "x faster")


if __name__ == "__main__":
    numba.set_num_threads(1)
    table = Report("The exact overlap chain, one thread where not said otherwise")
    speed(table)
    activations(table)
    alone(table)
    dimension(table)
    widths(table)
    blocks(table)
    trained(table)
    written(table)
    many(table)
    stopped(table)
    if numba.config.NUMBA_NUM_THREADS >= 2 and (os.cpu_count() or 1) >= 2:
        threads(table)
    table.finish()

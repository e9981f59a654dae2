"""How fast is a run in coarse steps where the chain is out of reach, and how far are its escapes from their law?"""

import functools

from report import Report, paired, timed

import numpy as np
from scipy import stats

import tsode

MODEL = tsode.TeacherStudent(4, 2, 0.4)


def runs(model, alpha, N, count=1, **options):
    """Return a call that runs in coarse steps."""
    return functools.partial(tsode.simulate, model, None, alpha, N, count, engine="diffusion", **options)


def whole_run(report, count=1000):
    """One run through the escape, and how the escapes of many lie."""
    for N in (10**12, 10**15):
        law = tsode.escape_law(MODEL, N, 0.05, start="random")
        first, seconds, _ = timed(runs(MODEL, [0.0, 90.0], N))
        alpha = np.linspace(0.0, law.ppf(1 - 1e-6), 301)
        times = tsode.escape_time(runs(MODEL, alpha, N, count, until=tsode.escaped(0.05))(), 0.05)
        error = f"<T> {times.mean():.2f} ± {times.std(ddof=1) / np.sqrt(count):.2f}, law {law.mean():.2f}"
        note = f"p = 4, p* = 2, default step; the chain takes {90 * N:.0e} samples"
        report.add(f"one run to alpha = 90, N = {N:.0e}", 1e3 * seconds, "ms", error, note, first)


def widths(report):
    """What a step costs, and how many samples of the chain cost as much."""
    for activation, p, p_star in (
        ("quadratic", 2, 1), ("quadratic", 4, 2), ("quadratic", 8, 4), ("erf", 4, 2), ("relu", 2, 2), ("tanh", 2, 2),
    ):  # fmt: skip
        model = tsode.TeacherStudent(p, p_star, 0.2, activation=activation)
        steps, samples = 1000 if activation in ("quadratic", "erf") else 40, 200_000
        coarse = runs(model, [0.0, steps / 4], 10**12)
        one, other = paired([coarse, functools.partial(tsode.simulate, model, None, [0.0, 1.0], samples)])
        each = one / steps
        note = f"one step; {each * samples / other:.0f} samples of one run of the chain"
        report.add(f"{activation}, p = {p}, p* = {p_star}", 1e6 * each, "us/step", "", note)


def against_the_chain(report, N=10**4, count=512):
    """The escape times of both at an N where there are both."""
    law = tsode.escape_law(MODEL, N, 0.05, start="random")
    alpha, until = np.linspace(0.0, law.ppf(1 - 1e-6), 161), tsode.escaped(0.05)
    times = [
        tsode.escape_time(tsode.simulate(MODEL, None, alpha, N, count, engine=engine, until=until), 0.05)
        for engine in ("chain", "diffusion")
    ]
    distance = stats.ks_2samp(*times)
    error = f"p-value {distance.pvalue:.2f}"
    report.add(f"KS distance of escape times to the chain, N = {N:.0e}", distance.statistic, "", error, f"{count} runs")


if __name__ == "__main__":
    table = Report("Coarse steps of many samples, for dimensions beyond the chain, one thread")
    whole_run(table)
    widths(table)
    against_the_chain(table)
    table.finish()

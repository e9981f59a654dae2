"""Each system at work at one setting, SGD beside its ODE or formula: for the command line, notebooks and claims."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import _checks
from .._statistics import standard_error
from ..model import TeacherStudent
from ..ode import integrate
from ..overlaps import Overlaps
from ..sgd import simulate, simulate_many
from . import fixed_sample
from .example_type import Example
from .exits import exits
from .features import features
from .lessons import lesson
from .logits import logits
from .more_examples import matched_noise_example, pruning_example
from .moving_teacher import moving_teacher
from .soft_labels import soft_labels

__all__ = ["EXAMPLES", "example"]

TIME, LOSS = "time α = samples / N", "excess loss"


def example(name: str, N: int = 1000, runs: int = 16, seed: int = 0) -> Example:
    """Return one system of distillation at work, SGD beside theory.

    Parameters
    ----------
    name : str
        One of the systems: a key of `EXAMPLES`.
    N : int
        Input dimension of SGD, at least 20; of a fixed sample it is 100, and logits have none.
    runs : int
        Runs of SGD, at least 2, or samples.
    seed : int
        Of starts and runs.

    Returns
    -------
    Example

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> print(example("soft_labels", N=400, runs=4))  # doctest: +ELLIPSIS
    Soft and hard labels, linear student
      quantity ...
    """
    _checks.choice("name", name, tuple(EXAMPLES))
    N, runs = _checks.integer("N", N, minimum=20), _checks.integer("runs", runs, minimum=2)
    _checks.samples("alpha", 3000.0, N)
    _checks.memory("`runs`", 2000 * runs)
    return EXAMPLES[name](N, runs, _checks.integer("seed", seed, minimum=0))


def means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over the runs, the first axis."""
    return values.mean(axis=0), standard_error(values)


def _lesson(N, runs, seed):
    truth, floor = TeacherStudent(2, 2, 0.3, noise_variance=0.5), 0.1875
    alpha, n, rng = np.linspace(0, 100, 41), np.arange(1, 5), np.random.default_rng(seed)
    ode, sgd, same = [], [], []
    teacher, teachers = None, [None] * runs
    for k in n:
        given = [[one] if one else [] for one in (teacher, *teachers)]
        task, *tasks = [lesson(truth, one, 1.0 - 1.0 / k, run=0) for one in given]
        teacher = task.as_teacher(integrate(task.model, Overlaps.random(task.model, N, rng=rng), 300.0))
        starts = [Overlaps.random(one.model, N, rng=rng) for one in tasks]
        found = simulate_many([one.model for one in tasks], starts, alpha, N=N, seed=seed + int(k))
        teachers = [one.as_teacher(run) for one, run in zip(tasks, found)]
        ode.append(teacher.excess_loss[-1] / floor)
        sgd.append(means(np.array([one.excess_loss[0, alpha > 60].mean() for one in teachers]) / floor))
        same.append(0.5 * 0.3 / k / (2 * (1 - 0.6 / k)) / floor)
    rows = [(f"loss of generation {k} over F", a, *b) for k, a, b in zip(n, ode, sgd)]
    curves = {"ODE": (n, np.array(ode)), "1/n": (n, 1 / n), "same samples, learning rate η/n": (n, np.array(same))}
    title, points = "A born-again chain, ρ = (n - 1)/n", {"ODE": (n, *np.transpose(sgd))}
    return Example("lesson", title, "generation n", "excess loss over F", "", curves, points, tuple(rows))


def _soft_labels(N, runs, seed):
    alpha, curves, points, rows = np.append(0.0, np.geomspace(0.5, 20, 17)), {}, {}, []
    for label, hard in (("soft", 0.0), ("hard", 1.0)):
        task = soft_labels(hard=hard)
        found = means(task.risk(simulate(task.model, task.start, alpha, N=N, runs=runs, seed=seed)))
        theory = task.risk(alpha)
        curves[f"{label} labels"], points[f"{label} labels"] = (alpha, theory), (alpha, *found)
        rows += [(f"{label} labels, α = {alpha[i]:.3g}", theory[i], found[0][i], found[1][i]) for i in (4, 11, 17)]
    title = "Soft and hard labels, linear student"
    return Example("soft_labels", title, TIME, "risk", "y", curves, points, tuple(rows))


def _fixed_sample(N, runs, seed):
    d, rng = 100, np.random.default_rng(seed)
    n, grid = np.array([10, 25, 50, 75, 90]), np.linspace(0, 1, 101)
    found = {"soft labels": [], "hard labels": []}
    for count in n:
        risks = []
        for X, star in zip(rng.standard_normal((runs, count, d)), rng.standard_normal((runs, d))):
            ends = fixed_sample.learn(X, X @ star), fixed_sample.margin(X, X @ star)
            risks.append([np.arccos(w @ star / np.linalg.norm(w) / np.linalg.norm(star)) / np.pi for w in ends])
        for each, (mean, error) in zip(found.values(), np.transpose(means(np.array(risks)))):
            each.append((mean, error))
    exact = np.array([fixed_sample.risk(count / d, d) for count in n])
    rows = [(f"risk at n/d = {n[i] / d:g}, d = {d}", exact[i], *found["soft labels"][i]) for i in (1, 2, 3)]
    curves = {"arccos(√α)/π": (grid, np.array([fixed_sample.risk(a) for a in grid])), "soft labels": (n / d, exact)}
    points = {key: (n / d, *np.transpose(value)) for key, value in found.items()}
    title, x = "A fixed sample of soft or hard labels, linear student", "samples over dimension n/d"
    return Example("fixed_sample", title, x, "risk", "", curves, points, tuple(rows))


def _run(task, alpha, names, N, runs, seed):
    """Return ODE and SGD of losses by name: {name: y}, {name: (mean, error)}."""
    start = task.random(N, seed)
    ode, sgd = integrate(task, start, alpha), simulate(task, start, alpha, N=N, runs=runs, seed=seed)
    return {name: ode.loss[name] for name in names}, {name: means(sgd.loss[name]) for name in names}


def _features(N, runs, seed):
    truth, alpha = TeacherStudent(2, 2, 0.05), np.linspace(0, 120, 25)
    ways = {"labels alone": (0.0, "none"), "features": (1.0, "none"), "with a projector": (1.0, "trained")}
    curves, points, rows = {}, {}, []
    for what, (gamma, projector) in ways.items():
        ode, sgd = _run(features(truth, gamma, projector, rng=1), alpha, ["loss"], N, runs, seed)
        curves[what], points[what] = (alpha, ode["loss"]), (alpha, *sgd["loss"])
        rows.append((f"loss at α = 20, {what}", ode["loss"][4], sgd["loss"][0][4], sgd["loss"][1][4]))
    return Example("features", "Features, through a projector or not", TIME, LOSS, "y", curves, points, tuple(rows))


def _exits(N, runs, seed):
    truth, alpha = TeacherStudent(4, 2, 0.1, 0.5, [0.5] * 4), np.linspace(0, 200, 26)
    curves, points, rows = {}, {}, []
    for what, mimic, rate in (("labels", [0, 0], 0.2), ("mimicry", [1, 0], 0.1)):
        names = ["exit 1", "exit 2"]
        ode, sgd = _run(exits(truth, (2, 4), mimic=mimic), alpha, names, N, runs, seed)
        for name in names:
            curves[f"{name}, {what}"], points[f"{name}, {what}"] = (alpha, ode[name]), (alpha, *sgd[name])
            rows.append((f"loss of {name}, {what}", ode[name][-1], sgd[name][0][-1], sgd[name][1][-1]))
        rows.append((f"... of exit 1 beside the floor F({rate:g})", 0.25 * rate / (1 - 2 * rate), *rows[-2][2:]))
    title = "Two exits, from labels or from the last exit"
    return Example("exits", title, TIME, LOSS, "y", curves, points, tuple(rows))


def _moving_teacher(N, runs, seed):
    truth, teacher_rate, alpha = TeacherStudent(2, 2, 0.02, 0.5), 0.04, np.linspace(0, 1500, 51)
    task = moving_teacher(truth, teacher_rate)
    start, late = task.random(N, seed), alpha >= 1000
    ode, sgd = integrate(task, start, alpha), simulate(task, start, alpha, N=N, runs=runs, seed=seed)
    names = ("student", "teacher")
    floors = [sgd.loss[name][:, late].mean(axis=1) for name in names]
    ratio = floors[0].mean() / floors[1].mean()
    error = ratio * np.hypot(*(standard_error(each) / each.mean() for each in floors))
    ends = [ode.loss[name][-1] for name in names]
    rows = [
        (f"floor of the {name}", end, each.mean(), standard_error(each)) for name, end, each in zip(names, ends, floors)
    ]
    rows += [("their ratio", ends[0] / ends[1], ratio, error), ("... beside ηS/(ηS + ηT)", 1 / 3, ratio, error)]
    curves = {name: (alpha, ode.loss[name]) for name in names}
    points = {name: (alpha, *means(sgd.loss[name])) for name in names}
    title = "A teacher that learns while it teaches"
    return Example("moving_teacher", title, TIME, LOSS, "y", curves, points, tuple(rows))


def _logits(N, runs, seed):
    T, ends = np.array([4.0, 8.0, 16.0]), {}
    start = logits(3).random(max(N, 200), seed, scale=1.5)
    for at in (np.inf, *T):
        run = integrate(logits(3, temperature=at), start, [0.0, 2.0], rtol=1e-6)
        ends[at] = np.concatenate([run.M[-1], run.Q[-1]], axis=1)
    sizes = np.array([np.abs(ends[at] - ends[np.inf]).max() for at in T])
    slopes = np.diff(np.log2(sizes))
    rows = [("exponent of the difference in T", -2.0, slopes[-1], abs(slopes[-1] - slopes[-2]))]
    curves = {"T⁻²": (T, sizes[-1] * (T[-1] / T) ** 2)}
    points = {"ODE": (T, sizes, 0 * sizes)}
    return Example("logits", "Overlaps at temperature T beside those of matched logits", "temperature T",
                   "largest difference at α = 2", "xy", curves, points, tuple(rows))  # fmt: skip


EXAMPLES: dict[str, Callable[[int, int, int], Example]] = {
    "lesson": _lesson, "soft_labels": _soft_labels, "fixed_sample": _fixed_sample, "spectral": pruning_example,
    "features": _features, "exits": _exits, "moving_teacher": _moving_teacher, "logits": _logits,
    "matched_noise": matched_noise_example,
}  # fmt: skip

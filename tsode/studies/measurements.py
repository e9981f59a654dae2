"""What is read off trajectories: the level of the plateau, the rate of escape, the end, and how far SGD is from theory.

Each function takes trajectories and returns plain numbers; nan where there is nothing to measure.
"""

from typing import Any

import numpy as np

from .._parts import in_parts
from .._statistics import standard_error
from ..closed_forms import closed_forms, has_closed_forms
from ..escapes import Escapes, size_of
from ..manifold import power_law, random_rotation, relaxation_rate
from ..model import TeacherStudent
from ..ode import integrate
from ..overlaps import Overlaps
from ..plateaus import escape_law, escape_time
from ..trajectory import Trajectory

__all__ = [
    "chosen_solution",
    "deviation",
    "escape_setting",
    "first_look",
    "fitted_escape_rate",
    "late_exponent",
    "plateau_level",
    "random_rotations",
    "time_to_learn",
    "worth_a_look",
]

RANDOM_SOLUTIONS = 200
LONG, MOST_DOUBLINGS = 6, 10  # of the natural time in which an ODE is looked at
FINE, MOST_NUMBERS = 2001, 1 << 25  # times at which it is looked at, fewer for wide students: 256 MB of overlaps
ESCAPED = 0.02  # part of the solutions' tr M M^T that counts as escaped: growth is still exponential there


def plateau_level(trajectory: Trajectory) -> float | np.ndarray:
    """Return the excess loss where it changes most slowly before its fall; one number, or one a run, shape (...).

    The place is found on the mean over the runs, the level averaged over 1/20 of the times there. With fewer than three
    times, or no run that finished, there is one nan.
    """
    alpha, loss = trajectory.alpha, np.atleast_2d(trajectory.excess_loss)
    width = max(1, len(alpha) // 20)
    whole = np.isfinite(loss).all(axis=1)
    if len(alpha) < 3 or not whole.any():
        return np.nan
    smooth = np.convolve(loss[whole].mean(axis=0), np.ones(width) / width, mode="valid")
    fallen = int(np.argmax(smooth < (smooth[0] + smooth.min()) / 2))
    first = int(np.argmin(np.abs(np.diff(smooth))[: max(fallen, 1)]))
    return trajectory.excess_loss[..., first : first + width].mean(axis=-1)


def escape_setting(model: TeacherStudent, N: int) -> tuple[Any, float]:
    """Return the law of the escape time from random weights (None where it has no closed form), and its threshold."""
    solution = model.solution_size
    lowest = model.p * model.p_star / N
    threshold = np.sqrt(lowest * solution) if 5 * lowest > ESCAPED * solution else ESCAPED * solution
    try:
        return escape_law(model, N, threshold, start="random"), threshold
    except ValueError:
        return None, threshold


def fitted_escape_rate(trajectory: Trajectory | Escapes, threshold: float) -> float | np.ndarray:
    """Return half the slope of ln tr M M^T between a fifth of `threshold` and `threshold`, shape (...)."""
    found = size_of(trajectory)
    size = np.atleast_2d(found)
    rates = np.full(len(size), np.nan)
    for run, values in enumerate(size):
        last = int(np.argmax(values > threshold))  # the first passage; what comes later is not exponential
        window = np.flatnonzero(values[:last] > threshold / 5)
        if window.size >= 4:
            rates[run] = _slope(trajectory.alpha[window], values[window]) / 2
    return rates.reshape(found.shape[:-1])[()]


def chosen_solution(trajectory: Trajectory, rotations: np.ndarray) -> tuple[float | np.ndarray, ...]:
    """Return how far the solution that a run ends at is from the one closest to its start, and from random ones (mean).

    The run's own solution is the one closest to its end, so that what is not learnt yet does not count. The random
    ones are those of `rotations`, shape (n, p, p_star). Two numbers, or two arrays of shape (runs,); nan for runs that
    did not finish.

    Raises
    ------
    ValueError
        For models whose solutions have no closed form.
    """
    minima, P = closed_forms(trajectory.model).minima, trajectory.model.teacher_overlap
    runs = trajectory.M.shape[:-3]
    found = np.full((2, *runs), np.nan)
    for run in np.ndindex(runs):
        first, last = trajectory.M[run][[0, -1]]
        if not np.isfinite(last).all():
            continue
        C = minima.coefficients(minima.closest(last))
        for i, others in enumerate((minima.closest(first), rotations)):
            squares = minima.squared_distance(C @ P, C @ P @ C.T, others)
            found[(i, *run)] = np.sqrt(np.maximum(squares, 0.0)).mean()
    return tuple(found)


def random_rotations(model: TeacherStudent) -> np.ndarray:
    """Return the rotations of some random solutions, always the same, shape (n, p, p_star)."""
    rng = np.random.default_rng(0)
    return np.array([random_rotation(model, rng) for _ in range(RANDOM_SOLUTIONS)])


def late_exponent(model: TeacherStudent, start: Overlaps) -> tuple[float, float]:
    """Return how gradient flow approaches the solutions: (theory, measured).

    For p > p* the exponent of alpha in the power law of the excess loss; for p = p* the exponential rate per alpha;
    nan where there is neither.
    """
    if model.p > model.p_star:
        # The law is reached when it is far below the loss of the plateau.
        late = integrate(model, start, 1000 * model.natural_time, gradient_flow=True)
        last = late.alpha > late.alpha.mean()
        alpha = late.alpha[last]
        return _slope(np.log(alpha), power_law(model, alpha)), _slope(np.log(alpha), late.excess_loss[last])
    rate = relaxation_rate(model)
    if not rate > 0:
        return np.nan, np.nan
    late = integrate(model, start, 60 / rate, gradient_flow=True)
    loss = late.excess_loss
    window = (loss < 1e-5 * loss[0]) & (loss > 1e-9 * loss[0])
    return -rate, _slope(late.alpha[window], loss[window]) if window.sum() > 4 else np.nan


def _slope(x, y):
    """Return the slope of ln y."""
    return float(np.polyfit(x, np.log(y), 1)[0])


def deviation(ode: np.ndarray, sgd: np.ndarray) -> tuple[float, float, float]:
    """Return the largest |mean of the runs - ODE| in standard errors, its 5 % level, and the root mean square.

    `ode` and `sgd` are overlaps of shapes (T, ...) and (runs, T', ...); the start is left out, and so is what a
    constraint keeps fixed, which has no statistical error. The level is that of Student's t with runs - 1 degrees
    of freedom over all times and entries (Bonferroni): noise alone stays below it in at least 19 of 20 studies.
    """
    from scipy.special import stdtrit  # imported late, as SciPy in tsode.ode

    times = min(len(ode), sgd.shape[1])
    whole = np.flatnonzero([np.isfinite(run).all() for run in sgd])
    if min(len(whole), times) < 2:
        return np.nan, np.nan, np.nan
    found = []
    for part in in_parts(times - 1, sgd[:, 0].size):
        runs = sgd[:, 1:times][whole, part]
        found.append((runs.mean(axis=0) - ode[1:times][part], standard_error(runs)))
    difference, error = map(np.concatenate, zip(*found))
    typical, moving = np.sqrt(np.mean(difference**2)), error > 1e-12
    if not moving.any():
        return np.nan, np.nan, typical
    level = stdtrit(len(whole) - 1, 1 - 0.025 / moving.sum())
    return np.max(np.abs(difference[moving]) / error[moving]), level, typical


def time_to_learn(model: TeacherStudent, start: Overlaps, threshold: float) -> float:
    """Return 1.3 times the time at which the ODE has lost 98 % of what it loses in the long run."""
    points = min(FINE, MOST_NUMBERS // (model.p * (model.p + model.p_star)))
    for doublings in range(first_look(model), MOST_DOUBLINGS):
        horizon = 2**doublings * model.natural_time
        ode = integrate(model, start, np.linspace(0, horizon, points), rtol=1e-6)
        if (end := worth_a_look(ode, threshold)) is not None:
            return end
    return float(8 * model.natural_time)  # never escapes: show the plateau


def first_look(model: TeacherStudent) -> int:
    """Return after how many doublings of its natural time a model may be said to have learnt.

    Without theory the loss may rest on a plateau that M does not show, such as that of students all alike.
    """
    return 0 if has_closed_forms(model) else LONG


def worth_a_look(ode: Trajectory, threshold: float) -> float | None:
    """Return 1.3 times the time at which a solution has lost 98 % of what it loses; None before it has settled."""
    if ode.status == "diverged":
        return float(1.5 * ode.stopped_at)  # so that the divergence is seen
    lost = ode.excess_loss[0] - ode.excess_loss
    learnt = np.argmax(lost > 0.98 * lost[-1])
    # Settled: the loss has fallen long ago, and M has grown, so that the escape is not still to come.
    if 0 < learnt < len(ode.alpha) // 2 and np.isfinite(escape_time(ode, threshold)):
        return float(1.3 * ode.alpha[learnt])
    return None

"""What is read off trajectories: the level of the plateau, the rate of escape, the end, and how far SGD is from theory.

Each function takes trajectories and returns plain numbers; nan where there is nothing to measure.
"""

from typing import Any

import numpy as np

from ..closed_forms import closed_forms, has_closed_forms
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
LATE_POINTS = 41
LONG, MOST_DOUBLINGS = 6, 10  # of the natural time in which an ODE is looked at
ESCAPED = 0.02  # part of the solutions' tr M M^T that counts as escaped: growth is still exponential there


def plateau_level(trajectory: Trajectory) -> float | np.ndarray:
    """Return the excess loss where it changes most slowly before its fall; one number, or one a run, shape (...).

    The place is found on the mean over the runs, the level averaged over 1/20 of the times there.
    """
    alpha, loss = trajectory.alpha, np.atleast_2d(trajectory.excess_loss)
    width = max(1, len(alpha) // 20)
    whole = np.isfinite(loss).all(axis=1)
    if len(alpha) < 3 * width or not whole.any():
        return np.full(trajectory.excess_loss.shape[:-1], np.nan)[()]
    smooth = np.convolve(loss[whole].mean(axis=0), np.ones(width) / width, mode="valid")
    fallen = int(np.argmax(smooth < (smooth[0] + smooth.min()) / 2))
    first = int(np.argmin(np.abs(np.diff(smooth))[: max(fallen, 1)]))
    return trajectory.excess_loss[..., first : first + width].mean(axis=-1)


def escape_setting(model: TeacherStudent, N: int) -> tuple[Any, float]:
    """Return the law of the escape time from random weights (None where it has no closed form), and its threshold."""
    solution = model.solution_size
    lowest = model.p * model.p_star / N
    threshold = max(ESCAPED * solution, np.sqrt(lowest * solution) if 5 * lowest > ESCAPED * solution else 0.0)
    try:
        return escape_law(model, N, threshold, start="random"), threshold
    except ValueError:
        return None, threshold


def fitted_escape_rate(trajectory: Trajectory, threshold: float) -> float | np.ndarray:
    """Return half the slope of ln tr M M^T between a fifth of `threshold` and `threshold`, shape (...)."""
    size = np.atleast_2d(np.sum(np.square(trajectory.M), axis=(-1, -2)))
    rates = np.full(len(size), np.nan)
    for run, values in enumerate(size):
        last = int(np.argmax(values > threshold))  # the first passage; what comes later is not exponential
        window = np.flatnonzero((values[:last] > threshold / 5) & (values[:last] > 0))
        if window.size >= 4:
            rates[run] = np.polyfit(trajectory.alpha[window], np.log(values[window]), 1)[0] / 2
    return rates.reshape(trajectory.M.shape[:-3])[()]


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
    M = trajectory.M.reshape(-1, *trajectory.M.shape[-3:])
    finished = np.isfinite(M[:, -1]).all(axis=(1, 2))
    found = np.full((2, len(M)), np.nan)
    for run in np.flatnonzero(finished):
        C = minima.coefficients(minima.closest(M[run, -1]))
        chosen = C @ P, C @ P @ C.T
        for i, others in enumerate((minima.closest(M[run, 0]), rotations)):
            found[i, run] = np.sqrt(np.maximum(minima.squared_distance(*chosen, others), 0.0)).mean()
    return tuple(found.reshape(2, *trajectory.M.shape[:-3]))


def random_rotations(model: TeacherStudent) -> np.ndarray:
    """Return the rotations of some random solutions, always the same, shape (n, p, p_star)."""
    rng = np.random.default_rng(0)
    return np.array([random_rotation(model, rng) for _ in range(RANDOM_SOLUTIONS)])


def late_exponent(model: TeacherStudent, start: Overlaps) -> tuple[float, float]:
    """Return how gradient flow approaches the solutions: (theory, measured).

    For p > p* the exponent of alpha in the power law of the excess loss; for p = p* the exponential rate per alpha;
    nan where there is neither.
    """
    v, v_star, eta = model.student_readout[0], model.teacher_readout.max(), model.learning_rate
    if model.p > model.p_star:
        # The law is reached when it is far below the loss of the plateau.
        end = 300 / (eta * v * v_star) * max(1.0, v / v_star)
        alpha = np.concatenate([[0.0], np.geomspace(end / 10, end, LATE_POINTS)])
        late = integrate(model, start, alpha, rtol=1e-9, atol=1e-13, gradient_flow=True)
        theory = np.log(power_law(model, alpha[-1]) / power_law(model, alpha[1])) / np.log(10)
        return float(theory), float(np.polyfit(np.log(alpha[1:]), np.log(late.excess_loss[1:]), 1)[0])
    rate = relaxation_rate(model)
    if not rate > 0:
        return np.nan, np.nan
    alpha = np.linspace(0, 60 / rate, 601)
    late = integrate(model, start, alpha, rtol=1e-11, atol=1e-14, gradient_flow=True)
    loss = late.excess_loss
    window = np.flatnonzero((loss < 1e-5 * loss[0]) & (loss > 1e-11))
    return -rate, float(np.polyfit(alpha[window], np.log(loss[window]), 1)[0]) if window.size > 4 else np.nan


def deviation(ode: np.ndarray, sgd: np.ndarray) -> tuple[float, float, float]:
    """Return the largest |mean of the runs - ODE| in standard errors, its 5 % level, and the root mean square.

    `ode` and `sgd` are overlaps of shapes (T, ...) and (runs, T', ...); the start is left out, and so is what a
    constraint keeps fixed, which has no statistical error. The level is that of Student's t with runs - 1 degrees
    of freedom over all times and entries (Bonferroni): noise alone stays below it in at least 19 of 20 studies.
    """
    from scipy.special import stdtrit  # imported late, as SciPy in tsode.ode

    times = min(len(ode), sgd.shape[1])
    sgd = sgd[np.isfinite(sgd).all(axis=(1, 2, 3))][:, 1:times]
    if len(sgd) < 2 or times < 2:
        return np.nan, np.nan, np.nan
    difference = sgd.mean(axis=0) - ode[1:times]
    error = sgd.std(axis=0, ddof=1) / np.sqrt(len(sgd))
    typical, moving = np.sqrt(np.mean(difference**2)), error > 1e-12
    if not moving.any():
        return np.nan, np.nan, typical
    level = stdtrit(len(sgd) - 1, 1 - 0.025 / moving.sum())
    return np.max(np.abs(difference[moving]) / error[moving]), level, typical


def time_to_learn(model: TeacherStudent, start: Overlaps, threshold: float) -> float:
    """Return 1.3 times the time at which the ODE has lost 98 % of what it loses in the long run."""
    for doublings in range(first_look(model), MOST_DOUBLINGS):
        horizon = 2**doublings * model.natural_time
        ode = integrate(model, start, np.linspace(0, horizon, 2001), rtol=1e-6)
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

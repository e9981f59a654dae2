"""Many ODE solutions at once: scans over parameters or starts, several times cheaper each than one by one.

Solutions of equal widths are solved as one system, so that the solver's Python is paid once a step for all
of them. They share their steps, which the most demanding one sets; the tolerance is divided by the root of
their number, so that each single one keeps the tolerance asked for.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from .. import _checks
from .._compiled import FAST, with_name_of
from .._divergence import norm_scale
from .._states import norm_positions, pack
from ..activations.error_averages import Averages
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps, check_start
from ..trajectory import Trajectory
from .rhs import derivatives, workspace
from .single import METHODS, as_trajectory, integrate, quiet

__all__ = ["integrate_many"]

CHUNK = 32  # solutions in one system; beyond, the arrays leave the cache and the gain is spent
RUNAWAY = 30.0  # growth of tr Q over start and solution at which a solution leaves the system, to be finished alone


def integrate_many(
    models: TeacherStudent | Sequence[TeacherStudent],
    starts: Overlaps | Sequence[Overlaps],
    alpha: ArrayLike,
    method: str = "DOP853",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    gradient_flow: bool = False,
) -> list[Trajectory]:
    """Integrate the overlap ODEs for many models, from many starts, or both.

    Parameters
    ----------
    models : TeacherStudent or sequence of them
        One model for all starts, or one for each. Widths may differ.
    starts : Overlaps or sequence of them
        One start for all models, or one for each.
    alpha, method, rtol, atol, gradient_flow
        As in :func:`tsode.integrate`, the same for all.

    Returns
    -------
    list of Trajectory
        In the order given; each is what ``integrate`` returns, up to the tolerance.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, length, shape or range.

    Examples
    --------
    >>> import tsode
    >>> models = [tsode.TeacherStudent(4, 2, eta) for eta in (0.1, 0.2, 0.4)]
    >>> start = tsode.Overlaps.random(models[0], N=1000, rng=0)
    >>> [round(float(ode.loss[-1]), 3) for ode in tsode.integrate_many(models, start, 40.0)]
    [0.641, 0.343, 0.017]
    """
    models, starts = _pairs(models, starts)
    alpha = _checks.times(alpha)
    method = _checks.choice("method", method, METHODS)
    options: dict[str, Any] = {"method": method, "rtol": _checks.number("rtol", rtol, above=0.0, maximum=1.0),
               "atol": _checks.number("atol", atol, above=0.0)}  # fmt: skip
    gradient_flow = _checks.flag("gradient_flow", gradient_flow)

    found: list[Any] = [None] * len(models)
    for chunk in _chunks(models):
        solved = _solve_chunk([models[i] for i in chunk], [starts[i] for i in chunk], alpha, gradient_flow, options)
        for i, states in zip(chunk, solved):
            if states is None:
                found[i] = integrate(models[i], starts[i], alpha, gradient_flow=gradient_flow, **options)
            else:
                found[i] = as_trajectory(models[i], alpha, states, None, gradient_flow, **options)
    return found


def _pairs(models: Any, starts: Any) -> tuple[list[TeacherStudent], list[Overlaps]]:
    """Return two lists of equal length, checked pair by pair."""
    one_model, one_start = not isinstance(models, (list, tuple)), not isinstance(starts, (list, tuple))
    models, starts = ([models] if one_model else list(models)), ([starts] if one_start else list(starts))
    if one_model:
        models = models * len(starts)
    if one_start:
        starts = starts * len(models)
    if len(models) != len(starts):
        raise ValueError(f"`starts` must be one or as many as `models` ({len(models)}), but are {len(starts)}")
    for model, start in zip(models, starts):
        check_start(check_model(model, "models"), start, "starts")
    return models, starts


def _chunks(models):
    """Group the positions by averages and widths, and solutions of similar speed together."""
    kinds = {}
    for i, model in enumerate(models):
        size = len(model.rule.average_parameters(model))
        kinds.setdefault((model.rule.averages(model), model.p, model.p_star, size), []).append(i)
    for _, found in sorted(kinds.items(), key=lambda kind: kind[0][1:]):
        found.sort(key=lambda i: models[i].learning_rate * np.abs(models[i].student_readout).max())
        for first in range(0, len(found), CHUNK):
            yield found[first : first + CHUNK]


def _solve_chunk(models, starts, alpha, gradient_flow, options):
    """Return the states of each solution, shape (T, n), or None for one that runs away or cannot be solved."""
    from scipy.integrate import solve_ivp  # imported late, as in tsode.ode

    averages = models[0].rule.averages(models[0])
    if averages.drift is None:
        return [None] * len(models)
    kernel = batch_kernel(averages)
    first = np.array([pack(start.M, start.Q) for start in starts])
    states = np.full((len(models), len(alpha), first.shape[1]), np.nan)
    states[:, 0] = first
    bounds = RUNAWAY * np.array([norm_scale(model, start.Q) for model, start in zip(models, starts)])
    diagonal = norm_positions(models[0])
    alive, done, time, y = np.arange(len(models)), 1, alpha[0], states[:, 0]
    while alive.size and done < len(alpha):
        constants = _constants([models[i] for i in alive], gradient_flow, options["rtol"])
        limit = bounds[alive]

        def rhs(_, y, constants=constants):
            return kernel(np.ascontiguousarray(y), *constants)

        def runaway(_, y, limit=limit):
            return np.min(limit - y.reshape(len(limit), -1)[:, diagonal].sum(axis=1))

        runaway.terminal = True
        tolerance = {name: options[name] / np.sqrt(alive.size) for name in ("rtol", "atol")}
        with quiet():
            solution = solve_ivp(
                rhs, (time, alpha[-1]), y.ravel(), t_eval=alpha[done:], events=runaway, method=options["method"],
                **{**tolerance, "rtol": max(tolerance["rtol"], 1e-13)},
            )  # fmt: skip
        # asarray: where nothing was reached, solve_ivp gives empty lists
        reached = np.asarray(solution.y).T.reshape(len(solution.t), alive.size, states.shape[2])
        states[alive, done : done + len(reached)] = np.swapaxes(reached, 0, 1)
        done += len(reached)
        if solution.status == 0:
            break
        if solution.status < 0:
            alive = alive[:0]
            break
        time, y = solution.t_events[0][0], solution.y_events[0][0].reshape(alive.size, -1)
        left = 1 - y[:, diagonal].sum(axis=1) / limit
        kept = left > max(1e-6, left.min())  # where time is rounded, not even the least one need be at its limit
        alive, y = alive[kept], y[kept]
    return [states[i] if i in alive else None for i in range(len(models))]


def _constants(models, gradient_flow, rtol=1e-8):
    return (
        np.array([model.teacher_overlap for model in models]),
        np.array([model.rule.average_parameters(model, rtol) for model in models]),
        np.array([model.spherical for model in models]),
        not gradient_flow,
        *workspace(models[0].p, models[0].p_star),
    )


@functools.cache
def batch_kernel(averages: Averages) -> Callable[..., Any]:
    """Return the compiled right-hand side of several solutions, one after the other in y."""
    one = derivatives(averages)

    @njit(cache=True, nogil=True, **FAST)
    @with_name_of(one)
    def kernel(y, P, parameters, spherical, second_order, omega, J, F, K):
        n = y.shape[0] // len(P)
        dy = np.empty(y.shape[0])
        for b in range(len(P)):
            part = y[b * n : (b + 1) * n]
            dy[b * n : (b + 1) * n] = one(part, P[b], parameters[b], spherical[b], second_order, omega, J, F, K)
        return dy

    return kernel

"""Many ODE solutions at once: scans over parameters or starts, several times cheaper each than one by one.

Solutions of equal widths go in lockstep, each with steps of its own: none depends on its neighbours. What goes together
is solved by one thread.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._lanes import WIDTH
from ..conditions import check_condition
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps, check_start
from ..trajectory import Trajectory
from .lockstep import solve
from .pieces import in_pieces
from .rates import is_bare
from .result import Options, trajectories
from .single import METHODS, in_loops, integrate

__all__ = ["integrate_many"]


def integrate_many(
    models: TeacherStudent | Sequence[TeacherStudent],
    starts: Overlaps | Sequence[Overlaps],
    alpha: ArrayLike,
    method: str = "DOP853",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    gradient_flow: bool = False,
    until: float | Callable[..., Any] | None = None,
) -> list[Trajectory]:
    """Integrate the overlap ODEs for many models, from many starts, or both.

    Parameters
    ----------
    models : TeacherStudent or sequence of them
        One model for all starts, or one for each. Widths may differ.
    starts : Overlaps or sequence of them
        One start for all models, or one for each.
    alpha, method, rtol, atol, gradient_flow, until
        As in :func:`tsode.integrate`, the same for all.

    Returns
    -------
    list of Trajectory
        In the order given; each is what ``integrate`` returns, up to the tolerance. As many threads are used as
        ``numba.get_num_threads()`` says; the result does not depend on it.

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
    rtol = _checks.number("rtol", rtol, above=0.0, maximum=1.0)
    atol = _checks.number("atol", atol, above=0.0)
    gradient_flow = _checks.flag("gradient_flow", gradient_flow)

    options = Options(method, rtol, atol, gradient_flow, check_condition(until))
    found: list[Any] = [None] * len(models)
    chunks = list(_chunks(models, alpha, options))
    together = [chunk for chunk in chunks if len(chunk) > 1]
    for chunk, solutions in zip(together, _in_threads(models, starts, alpha, options, together)):
        one, first = [models[i] for i in chunk], [starts[i] for i in chunk]
        for i, trajectory in zip(chunk, trajectories(one, first, alpha, solutions, options)):
            found[i] = trajectory
    for (i,) in (chunk for chunk in chunks if len(chunk) == 1):
        found[i] = integrate(models[i], starts[i], alpha, *options)
    return found


def _in_threads(models, starts, alpha, options, chunks):
    """Return the solutions of each chunk of positions, from as many threads as Numba is to use."""
    stop, threads = threading.Event(), numba.get_num_threads()

    def run(chunk):
        one, first = [models[i] for i in chunk], [starts[i] for i in chunk]
        return in_pieces(one, first, alpha, options, functools.partial(solve, stop=stop))

    if threads == 1:
        return map(run, chunks)
    first = [run(chunk) for chunk in chunks[:1]]  # alone, so that what has to be compiled is compiled once
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run, chunk) for chunk in chunks[1:]]
        try:
            return first + [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


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


def _chunks(models, alpha, options):
    """Group the positions by what goes in lockstep, and solutions of similar speed together."""
    kinds = {}
    for i, model in enumerate(models):
        together = in_loops(model, alpha, options)
        size = len(model.rule.average_parameters(model.fastest, options.rtol))
        breaks = () if model.schedule is None else model.schedule.breakpoints
        extra = model.inputs, len(model.rule.scalars(model)), is_bare(model), size, breaks
        kind = (model.rule.averages(model), model.p, model.p_star, model.spherical, *extra) if together else i
        kinds.setdefault(kind, []).append(i)
    for found in kinds.values():
        found.sort(key=lambda i: models[i].largest_rate * np.abs(models[i].student_readout).max())
        for first in range(0, len(found), WIDTH):
            yield found[first : first + WIDTH]

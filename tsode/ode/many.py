"""Many ODE solutions at once: scans over parameters or starts, several times cheaper each than one by one.

Solutions of equal widths go in lockstep, each with steps of its own: none depends on its neighbours. What goes together
is solved by one thread.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._lanes import WIDTH
from ..conditions import check_condition
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps, check_start
from ..scheme import Scheme, pair_of
from ..trajectory import Trajectory
from .lockstep import solve
from .pieces import in_pieces
from .rates import is_bare
from .result import Options, trajectories
from .single import METHODS, in_loops, integrate

__all__ = ["integrate_many"]


def integrate_many(
    models: TeacherStudent | Scheme | Sequence[TeacherStudent | Scheme],
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
    models : TeacherStudent or Scheme, or sequence of them
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
    solved = zip(together, _in_threads(models, starts, alpha, options, together))
    by_position = {i: solution for chunk, solutions in solved for i, solution in zip(chunk, solutions)}
    one, first = [models[i] for i in by_position], [starts[i] for i in by_position]
    for i, trajectory in zip(by_position, trajectories(one, first, alpha, list(by_position.values()), options)):
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
            for future in as_completed(futures):  # a later one may fail while an earlier one goes on
                future.result()
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
    models = [check_model(pair_of(*each), "models") for each in zip(models, starts)]
    for model, start in zip(models, starts):
        check_start(model, start, "starts")
    return models, starts


def _chunks(models, alpha, options):
    """Group the positions by what goes in lockstep, and solutions of similar speed together."""
    kinds = {}
    for i, model in enumerate(models):
        kinds.setdefault(_kind(model, options.rtol) if in_loops(model, alpha, options) else i, []).append(i)
    for found in kinds.values():
        readouts = np.abs([models[i].student_readout for i in found]).max(axis=1)
        speeds = readouts * [models[i].largest_rate for i in found]
        found = [found[k] for k in np.argsort(speeds, kind="stable")]
        for first in range(0, len(found), WIDTH):
            yield found[first : first + WIDTH]


def _kind(model, rtol):
    """Return what models have in common that go in lockstep."""
    averages, schedule, n_scalars = model.rule.averages(model), model.schedule, len(model.rule.scalars(model))
    size = len(model.rule.average_parameters(model.fastest, rtol)) if averages.constants else None
    breaks = () if schedule is None else schedule.breakpoints
    return averages, size, model.p, model.p_star, model.spherical, model.inputs, n_scalars, is_bare(model), breaks

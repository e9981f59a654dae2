"""A function over a grid of points: in processes or on a cluster, resumable, with a labelled result."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _checks
from .._progress import progress_bar
from .._types import PathLike
from .._versions import versions
from .batches import Batched
from .grids import GridLike, make_grid, point_seed
from .identity import function_name
from .store import Store
from .values import dataset
from .workers import Failure, PointFailed, Work, one_thread

if TYPE_CHECKING:
    import xarray

__all__ = ["scan"]

MOST_JOBS = 100_000
ON_ERROR = ("raise", "record")


def scan(
    function: Callable[..., Any],
    grid: GridLike,
    *,
    path: PathLike | None = None,
    n_jobs: int = -1,
    progress: bool = True,
    on_error: str = "raise",
) -> xarray.Dataset:
    """Call a function at every point of a grid and return the labelled results.

    Parameters
    ----------
    function : callable
        Called as ``function(**point)``; returns a number, an array, a dict of those, or a Trajectory; or an
        xarray.DataArray or Dataset, which keeps its names, dimensions and coordinates. As in xarray a pair ("name",
        array) or (("name", "name"), array) is an array with names for its dimensions. If it has a parameter `seed`
        without a default that the grid does not name, it gets a whole number made of the point alone: its random
        numbers depend neither on the order nor on the worker nor on the rest of the grid. See
        :func:`tsode.scans.batched` for functions of many points at once.
    grid : mapping of str to iterable, or list of mappings
        Values of each parameter, whose product is taken; or the points themselves. Numbers, strings, None,
        sequences and arrays of them, models and overlaps.
    path : path-like, optional
        Folder that keeps every point as soon as it is finished. The same call goes on from there: points are found
        by the function's code (see Notes), their full-precision values and the version of tsode. Several scans
        and processes may share a folder.
    n_jobs : int
        Number of processes, each with one thread; -1 for one a core. Within ``joblib.parallel_config`` its backend
        is used, such as "dask" for a cluster.
    progress : bool
        Show a progress bar where a person watches (a terminal or a notebook).
    on_error : {"raise", "record"}
        What happens when the function raises: "raise" ends the scan with that exception, whose cause names the
        point; "record" leaves nan there and lists it, see :func:`tsode.scans.failures`.

    Returns
    -------
    xarray.Dataset
        The names of the grid are its dimensions (for a list: coordinates along the dimension "point"). A number or
        array is the variable "value", a dict has its keys as variables, a Trajectory M, Q, loss, excess_loss,
        status, stopped_at and its provenance as "header". The same, to the last bit, on any number of workers.

    Raises
    ------
    ImportError
        If joblib or xarray (extra ``scan``) is not installed.
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or the grid does not fit the function.
    KeyboardInterrupt
        At Ctrl-C; it says how many points are finished and kept.

    Warns
    -----
    UserWarning
        For each file in `path` that is damaged or foreign; its point is computed again.
    RuntimeWarning
        If arrays are longer at some points than at others, along a dimension without coordinates: they are filled up.

    Notes
    -----
    The code that a kept point depends on is the function's source, its defaults, what ``functools.partial`` binds,
    and the constants and functions of its own module that it uses. Lists and dicts that it reads from outside
    are no part of it: give those through the grid or ``partial``.

    Examples
    --------
    >>> import tsode
    >>> def final_loss(p, learning_rate, seed):
    ...     model = tsode.TeacherStudent(p=p, p_star=1, learning_rate=learning_rate)
    ...     return tsode.simulate(model, None, alpha=20.0, N=200, seed=seed).loss[0, -1]
    >>> table = tsode.scan(final_loss, {"p": [1, 2, 4], "learning_rate": [0.1, 0.2]}, n_jobs=1)
    >>> dict(table.sizes)
    {'p': 3, 'learning_rate': 2}
    """
    _need_extra()
    if not callable(function):
        raise TypeError(f"`function` must be callable, but is {type(function).__name__}")
    whole = make_grid(grid)
    points = whole.points
    n_jobs = _checks.integer("n_jobs", n_jobs, maximum=MOST_JOBS)
    if n_jobs < 1 and n_jobs != -1:
        raise ValueError(f"`n_jobs` must be a number of processes, or -1 for one a core, but is {n_jobs}")
    progress = _checks.flag("progress", progress)
    _checks.choice("on_error", on_error, ON_ERROR)
    seeds = _seeds(function, points)
    store = None if path is None else Store(_checks.folder_path("path", path), function)

    size = function.size if isinstance(function, Batched) else 1
    tasks = [slice(first, first + size) for first in range(0, len(points), size)]
    outcomes: list[Any] = [None] * len(points)
    if store is not None:
        for task in tasks:
            outcomes[task] = store.read(points[task]) or outcomes[task]
    waiting = [(i, points[task], seeds[task]) for i, task in enumerate(tasks) if None in outcomes[task]]
    work = Work(function, store, os.getpid())
    running = contextlib.closing(_run(work, waiting, outcomes, n_jobs, progress))
    # one_thread is for backends whose workers are threads of this process, of which the first to end would lift it
    with _explained(outcomes, path), one_thread(), running as results:
        for number, values in results:
            some = points[tasks[number]]
            failed = [(point, value) for point, value in zip(some, values) if isinstance(value, Failure)]
            if failed and on_error == "raise":
                point, failure = failed[0]
                raise failure.error from PointFailed(f"at {_shown(point)}\n{failure.trace}")
            if store is not None and not failed and not store.file(some).exists():
                store.write(some, values)  # the worker could not
            outcomes[tasks[number]] = values
    return _labelled(function, whole, outcomes)


def _run(work, waiting, outcomes, n_jobs, progress):
    """Yield (number, values) of the waiting tasks as they are finished; closing it ends the workers."""
    import joblib

    if not waiting:
        return
    finished = sum(outcome is not None for outcome in outcomes)
    bar = progress_bar(progress, total=len(outcomes), initial=finished, desc="scan", unit=" points")
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    results = parallel(joblib.delayed(work)(*task) for task in waiting)
    with bar:
        try:
            for number, values in results:
                bar.update(len(values))
                yield number, values
        finally:
            with warnings.catch_warnings():
                # joblib remarks that not all results were used
                warnings.filterwarnings("ignore", ".*executed|.*cancelled", UserWarning)
                results.close()


@contextlib.contextmanager
def _explained(outcomes, path):
    """Let a Ctrl-C say in one line what is finished and where it is."""
    try:
        yield
    except KeyboardInterrupt:
        finished = sum(outcome is not None for outcome in outcomes)
        kept = "nothing is kept without `path`" if path is None else f"the same call goes on from {os.fspath(path)}"
        raise KeyboardInterrupt(f"interrupted after {finished} of {len(outcomes)} points; {kept}") from None


def _seeds(function, points):
    """Return what the function is called with at each point besides the point; check that it can be called so."""
    nothing = [{}] * len(points)
    if isinstance(function, Batched):
        return nothing
    try:
        signature = inspect.signature(function)
    except ValueError:  # some builtins have none
        return nothing
    first, seed = points[0], signature.parameters.get("seed")
    wanted = seed is not None and seed.default is inspect.Parameter.empty and "seed" not in first
    seeds = [{"seed": point_seed(point)} for point in points] if wanted else nothing
    try:
        signature.bind(**first, **seeds[0])
    except TypeError as error:
        names = ", ".join(signature.parameters)
        raise TypeError(
            f"`grid` must fit the parameters of `function`, {function_name(function)}({names}), "
            f"but names {', '.join(first)}: {error}"
        ) from None
    return seeds


def _labelled(function, grid, outcomes):
    failed = [
        {"point": {name: _shown_value(value) for name, value in point.items()}, "error": outcome.text}
        for point, outcome in zip(grid.points, outcomes)
        if isinstance(outcome, Failure)
    ]
    attributes = {"function": function_name(function), "tsode": versions()["tsode"]}
    if failed:
        attributes["failures"] = json.dumps(failed)
    return dataset(grid, [None if isinstance(outcome, Failure) else outcome for outcome in outcomes], attributes)


def _shown(point):
    return ", ".join(f"{name} = {_shown_value(value)!r}" for name, value in point.items())


def _shown_value(value):
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _need_extra():
    try:
        import joblib  # noqa: F401
        import xarray  # noqa: F401
    except ImportError as error:
        raise ImportError(f"scan needs {error.name}: pip install tsode[scan]") from None

"""How far SGD at dimension N is from its ODE, over a grid."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._statistics import mean_and_error
from ..finite_size import quick_fluctuations
from ..model import TeacherStudent
from ..ode import integrate
from ..overlaps import Overlaps
from ..sgd import simulate
from ..trajectory import Trajectory
from .model_grids import check_runs, model_grid, stream
from .runner import scan

if TYPE_CHECKING:
    import xarray

__all__ = ["deviation"]

# The start's dimension, times p + p*: overlaps of order 1, the same at every N. From smaller ones SGD escapes by
# chance, at times of its own that move away from the ODE's with N.
START = 4
DURATION = 3  # natural times: most of what can be learned
RECORDS = 101


def deviation(
    grid: Mapping[str, Any], runs: int = 16, alpha_max: float | None = None, seed: int = 0, **options: Any
) -> xarray.Dataset:
    r"""Measure the deviation of SGD from its ODE, over dimensions and whatever else.

    All runs of a model start from the same overlaps, which are of order 1: those of random weights at dimension
    4 (p + p*). The deviation of a run is the root mean square of the elements of :math:`M - M_\mathrm{ODE}` and
    :math:`Q - Q_\mathrm{ODE}` over the recorded times; theory expects it to fall as :math:`N^{-1/2}`.

    Parameters
    ----------
    grid : mapping of str to (value or sequence of values)
        Any of p, p_star, learning_rate, noise_variance, constraint, activation, teacher_activation and dimension.
    runs : int
        Runs at each point, at least 2.
    alpha_max : float, optional
        Last time; by default three times 1/(eta max|v| max|v*|).
    seed : int
        Seed of all points, each of which has a stream of its own, and of the start.
    **options
        `path`, `n_jobs`, `progress` and `on_error` of :func:`tsode.scan`.

    Returns
    -------
    xarray.Dataset
        With `deviation` of each run (a further dimension, run; nan for one that diverged), its `mean` and `std_error`,
        and `theory`: the root of its mean square at this N to leading order, from :func:`tsode.fluctuations`; nan where
        that has no closed form or does not hold, or the student is wide.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> import tsode
    >>> table = tsode.scans.deviation({"p": 2, "p_star": 1, "learning_rate": 0.2, "dimension": [1000, 100_000]},
    ...                               n_jobs=1)
    >>> small, large = table["mean"].squeeze().values
    >>> bool(5 < small / large < 20)
    True
    """
    grid = model_grid(grid)
    runs = _checks.integer("runs", runs, minimum=2)
    alpha_max = None if alpha_max is None else _checks.number("alpha_max", alpha_max, above=0.0)
    if alpha_max is not None:
        _checks.samples("alpha_max", alpha_max, max(grid["dimension"]))
    check_runs(grid, runs, RECORDS)
    seed = _checks.integer("seed", seed, minimum=0)
    return scan(functools.partial(deviation_point, runs=runs, alpha_max=alpha_max, base=seed), grid, **options)


def deviation_point(dimension, seed, runs, alpha_max, base, **parameters):
    """Return the deviation of each run of one point, their mean and its error."""
    model = TeacherStudent(**parameters)
    start = Overlaps.random(model, START * (model.p + model.p_star), rng=base)
    last = DURATION * model.natural_time if alpha_max is None else alpha_max
    # SGD records after whole samples, so both are compared at those.
    alpha = np.unique(np.rint(np.linspace(0, last, RECORDS) * dimension)) / dimension
    ode = integrate(model, start, alpha)
    sgd = simulate(model, start, ode.alpha, N=dimension, runs=runs, seed=stream(base, seed))
    times = sgd.M.shape[1]
    squares = sum(
        np.square(found[:, :times] - wanted[:times]).sum(axis=(2, 3))
        for found, wanted in ((sgd.M, ode.M), (sgd.Q, ode.Q))
    )
    deviations = np.sqrt(squares.mean(axis=1) / (model.p * (model.p + model.p_star)))
    mean, error = mean_and_error(deviations)
    return {"deviation": ("run", deviations), "mean": mean, "std_error": error, "theory": predicted(ode, dimension)}


def predicted(ode: Trajectory, N: int) -> float:
    """Return the root of the mean square of the deviation, over times, elements and runs."""
    model = ode.model
    if (found := quick_fluctuations(ode)) is None or found.valid_until(N) < ode.alpha[-1]:
        return np.nan
    squares = np.square(found.M_std(N)).sum(axis=(1, 2)) + np.square(found.Q_std(N)).sum(axis=(1, 2))
    return float(np.sqrt(squares.mean() / (model.p * (model.p + model.p_star))))

"""Escape times of SGD over a grid, beside their law."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._statistics import mean_and_error
from ..closed_forms import has_closed_forms
from ..model import TeacherStudent
from ..plateaus import escape_law, escape_time
from ..sgd import escape_runs
from .model_grids import check_runs, model_grid, stream
from .runner import scan

if TYPE_CHECKING:
    import xarray

__all__ = ["escape"]

TAIL = 1e-4  # part of the runs that, by the law, escape after the end
DURATION = 10  # natural times, where there is no theory to have a law
RECORDS = 401


def escape(
    grid: Mapping[str, Any], runs: int = 32, threshold: float = 0.05, seed: int = 0, **options: Any
) -> xarray.Dataset:
    """Measure when SGD leaves the plateau, over widths, learning rates and dimensions.

    Each run starts from Gaussian weights of unit variance; escape is the first time with tr M M^T above the
    threshold. Runs stop there, or when, by the law of the escape time, all but 1 in 10 000 have left; for models
    without a theory in closed form after 10 times 1/(eta max|v| max|v*|).

    Parameters
    ----------
    grid : mapping of str to (value or sequence of values)
        Any of p, p_star, learning_rate, noise_variance, constraint, activation, teacher_activation and dimension.
    runs : int
        Runs at each point, at least 2.
    threshold : float
        Value of tr M M^T.
    seed : int
        Seed of all points, each of which has a stream of its own.
    **options
        `path`, `n_jobs`, `progress` and `on_error` of :func:`tsode.scan`.

    Returns
    -------
    xarray.Dataset
        With `escape_time` (a further dimension, run; nan where a run did not escape), its `mean` and `std_error`
        over the runs that `escaped` (their number), and `law_mean` and `law_std` of :func:`tsode.escape_law`.
        Where there is no law because theory sees no escape, all of them are nan and `reason` says why; it also says
        why where there is no theory, and the law alone is nan.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> import tsode
    >>> table = tsode.scans.escape({"p": 2, "p_star": 1, "learning_rate": [0.2, 0.3], "dimension": 1000}, runs=4,
    ...                            n_jobs=1)
    >>> table["escape_time"].dims
    ('p', 'p_star', 'learning_rate', 'noise_variance', 'constraint', 'dimension', 'run')
    """
    grid = model_grid(grid)
    runs = _checks.integer("runs", runs, minimum=2)
    threshold = _checks.number("threshold", threshold, above=0.0)
    check_runs(grid, runs, records=1)
    seed = _checks.integer("seed", seed, minimum=0)
    return scan(functools.partial(escape_point, runs=runs, threshold=threshold, base=seed), grid, **options)


def escape_point(dimension, seed, runs, threshold, base, **parameters):
    """Return the escape times of one point, their mean and its error, and the law's."""
    model = TeacherStudent(**parameters)
    end, mean, std, reason = DURATION * model.natural_time, np.nan, np.nan, ""
    try:
        law = escape_law(model, dimension, threshold, start="random")
        end, mean, std = law.ppf(1 - TAIL), law.mean(), law.std()
    except ValueError as error:
        reason = str(error)
        if has_closed_forms(model):
            return _result(np.full(runs, np.nan), mean, std, reason)
    alpha = np.linspace(0.0, end, RECORDS)
    sgd = escape_runs(model, dimension, alpha, threshold, runs, stream(base, seed))
    return _result(escape_time(sgd, threshold), mean, std, reason)


def _result(times, law_mean, law_std, reason):
    mean, error = mean_and_error(times)
    return {
        "escape_time": ("run", times),
        "escaped": float(np.isfinite(times).sum()),
        "mean": mean,
        "std_error": error,
        "law_mean": law_mean,
        "law_std": law_std,
        "reason": reason,
    }

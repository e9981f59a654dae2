"""The fate of the ODE over a grid of learning rates, beside the thresholds of the plateau."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..closed_forms import NoClosedForm, closed_forms
from ..conditions import overlap_size
from ..model import TeacherStudent
from ..ode import integrate_many
from ..overlaps import Overlaps
from ..plateaus import plateau
from .batches import batched
from .model_grids import model_grid
from .runner import scan

if TYPE_CHECKING:
    import xarray

__all__ = ["FATES", "stability"]

FATES = ("escapes", "stuck", "diverges")

# The start: random weights of this size at this dimension. Small, for norms that grow towards the plateau from below
# meet it whenever it exists; and with so little overlap that growth by chance is not taken for escape.
SCALE, DIMENSION = 0.5, 10**12
ESCAPED = 1e-3  # of the solutions' tr M M^T
STRETCHES = (4, 12, 24, 48, 96)  # natural times, one after the other, until the fate is decided: far
# from the thresholds by the first, which is too short to tell what is stuck
RECORDS = 41
SPREAD = 1.5  # largest ratio of natural times among models that are integrated together
BATCH = 512


def stability(grid: Mapping[str, Any], **options: Any) -> xarray.Dataset:
    """Find out by the ODEs at which learning rates a student escapes the plateau, stays on it, or diverges.

    A student that starts small first learns its norms. If tr M M^T reaches 1/1000 of the solutions' it
    "escapes", even if it diverges afterwards; if its norms run away before, it "diverges"; if M decays it is "stuck".

    Parameters
    ----------
    grid : mapping of str to (value or sequence of values)
        Any of p, p_star, learning_rate, noise_variance, constraint, activation and teacher_activation.
    **options
        `path`, `n_jobs`, `progress` and `on_error` of :func:`tsode.scan`.

    Returns
    -------
    xarray.Dataset
        With `fate`, what theory expects (`theory`), and the thresholds `max_learning_rate` and
        `escape_learning_rate` of :func:`tsode.plateau` (nan where there is none). Without a theory in closed form
        `theory` is empty, and `reason` says why.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    Within a few percent above the largest learning rate the norms pass the place of the vanished plateau slowly, and
    near the escape's threshold M moves slowly: there the fate may be decided too early.

    Examples
    --------
    >>> import tsode
    >>> table = tsode.scans.stability({"p": 2, "p_star": 8, "learning_rate": [0.3, 0.55, 0.7]}, n_jobs=1)
    >>> print(*table["fate"].squeeze().values)
    escapes stuck diverges
    """
    return scan(batched(stability_points, BATCH), model_grid(grid, dimension=False), **options)


def stability_points(points):
    """Return the fate of each point and what theory says of it."""
    models = [TeacherStudent(**point) for point in points]
    results = [None] * len(models)
    groups = {}
    for i, model in enumerate(models):
        # equal times are needed of those that are integrated together, so their units must be similar
        groups.setdefault(math.floor(math.log(model.natural_time, SPREAD)), []).append(i)
    for group in groups.values():
        for i, fate in zip(group, _fates([models[i] for i in group])):
            results[i] = {"fate": fate, **_theory(models[i])}
    return results


def _fates(models):
    """Return the fate of each model; their natural times are similar."""
    states = [Overlaps.random(model, DIMENSION, SCALE, rng=0) for model in models]
    goals = [ESCAPED * model.solution_size for model in models]
    unit = max(model.natural_time for model in models)
    fates = ["stuck"] * len(models)
    undecided = list(range(len(models)))
    for stretch in STRETCHES:
        alpha = np.linspace(0.0, stretch * unit, RECORDS)
        pairs = zip(undecided, integrate_many([models[i] for i in undecided], [states[i] for i in undecided], alpha,
                                              rtol=1e-5))  # fmt: skip
        undecided = []
        for i, ode in pairs:
            overlap = overlap_size(ode.M)
            if overlap.max() > goals[i]:
                fates[i] = "escapes"
            elif ode.status == "diverged":
                fates[i] = "diverges"
            elif stretch == STRETCHES[0] or overlap[-1] > overlap[len(overlap) // 2]:
                states[i] = ode.overlaps(-1)
                undecided.append(i)
        if not undecided:
            break
    for i in undecided:  # M still grows, so slowly that it would take long
        fates[i] = "escapes"
    return fates


def _theory(model):
    try:
        closed_forms(model)
        saddle = plateau(model)
    except NoClosedForm as error:
        return {"theory": "", "max_learning_rate": np.nan, "escape_learning_rate": np.nan, "reason": str(error)}
    largest, escape = saddle.max_learning_rate, saddle.escape_learning_rate
    if model.learning_rate > largest:
        fate = "diverges"
    else:
        fate = "stuck" if model.learning_rate > escape else "escapes"
    return {"theory": fate, "max_learning_rate": largest, "escape_learning_rate": escape}

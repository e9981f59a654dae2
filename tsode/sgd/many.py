"""SGD of many models, or from many starts, in one call: runs of different models go in lockstep, too."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numba
from numpy.typing import ArrayLike

from .. import _checks
from .._random import run_sequence, seed_sequence
from .._types import Seed
from ..conditions import check_condition
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps
from ..trajectory import Trajectory
from .chain import shared
from .crew import run_all
from .observables import OfWeights, check_observables
from .records import Records, Wishes, runs_of
from .setting import check_any_start, check_fit, check_setting
from .wide_chain import in_blocks

__all__ = ["simulate_many"]

Start = Overlaps | tuple[ArrayLike, ArrayLike] | None


def simulate_many(
    models: TeacherStudent | Sequence[TeacherStudent],
    starts: Start | list[Start],
    alpha: ArrayLike,
    N: int,
    runs: int = 1,
    seed: Seed = 0,
    engine: str = "chain",
    inputs: str = "gaussian",
    progress: bool = False,
    precision: str = "double",
    until: float | Callable[..., Any] | None = None,
    observables: Mapping[str, Callable[..., Any] | OfWeights] | None = None,
    keep_weights: bool = False,
    step: float | None = None,
) -> list[Trajectory]:
    """Run one-pass SGD for many models, from many starts, or both.

    Parameters
    ----------
    models : TeacherStudent or sequence of them
        One model for all starts, or one for each. Those of equal widths, P, activations, constraint and decays go
        together, 16 runs at a time: then one run of each of 64 models takes about as long as 64 runs of one.
    starts : Overlaps, (W, W_star) or None, or list of them
        One start for all models, or one for each, as in :func:`tsode.simulate`.
    alpha, N, runs, engine, inputs, progress, precision, until, observables, keep_weights, step
        As in :func:`tsode.simulate`, the same for all; `runs` is the number for each model. Inputs are those of a law.
    seed : int, SeedSequence, Generator or None
        Seed of all randomness; each model has a child of its own.

    Returns
    -------
    list of Trajectory
        In the order given; each is, to the bit, what ``simulate`` returns with its `seed` as
        ``numpy.random.SeedSequence(trajectory.seed)``. (For wide students blocks of samples are chosen by the number of
        all runs that can go together: see the notes of ``simulate``.)

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, length, shape or range.

    Examples
    --------
    >>> import tsode
    >>> models = [tsode.TeacherStudent(4, 2, eta) for eta in (0.1, 0.2, 0.4)]
    >>> many = tsode.simulate_many(models, None, 60.0, N=1000, until=tsode.escaped(0.05))
    >>> many[0].stopped_at > many[1].stopped_at > many[2].stopped_at
    array([ True])
    """
    models, starts = _pairs(models, starts)
    alpha = _checks.times(alpha)
    N = _checks.integer("N", N, minimum=max(model.p + model.p_star for model in models))
    runs = _checks.integer("runs", runs, minimum=1)
    sequence = seed_sequence(seed)
    progress = _checks.flag("progress", progress)
    until = check_condition(until)
    if not isinstance(inputs, str):
        raise TypeError(f"`inputs` must be the name of a law for many models, but is {type(inputs).__name__}")
    setting = check_setting(N, runs, engine, inputs, precision, step)
    keep = setting.keeps(keep_weights)
    wishes = Wishes(until, check_observables(observables, setting), keep)

    begins = [check_any_start(model, start, setting, "starts") for model, start in zip(models, starts)]
    check_fit(models, alpha, setting, runs, keep)
    kinds: dict[Hashable, list[int]] = {}
    for i, model in enumerate(models):
        kinds.setdefault(shared(model), []).append(i)
    seeds = [seed_sequence(run_sequence(sequence, i)) for i in range(len(models))]
    every = []
    for own in kinds.values():
        together = [run for i in own for run in runs_of(models[i], begins[i], seeds[i], runs)]
        every.append(Records(together, alpha, N, in_blocks(models[own[0]], len(together)), wishes))
    run_all(every, setting, numba.get_num_threads(), progress)
    found = {
        i: records.trajectory(setting, keep, seeds[i].entropy, slice(place * runs, (place + 1) * runs))
        for records, own in zip(every, kinds.values())
        for place, i in enumerate(own)
    }
    return [found[i] for i in range(len(models))]


def _pairs(models: Any, starts: Any) -> tuple[list[TeacherStudent], list[Any]]:
    """Return two lists of equal length; a tuple of starts is one, of weights."""
    one_model, one_start = not isinstance(models, (list, tuple)), not isinstance(starts, list)
    models, starts = ([models] if one_model else list(models)), ([starts] if one_start else starts)
    models, starts = models * (len(starts) if one_model else 1), starts * (len(models) if one_start else 1)
    if len(models) != len(starts):
        raise ValueError(f"`starts` must be one or as many as `models` ({len(models)}), but are {len(starts)}")
    if not models:
        raise ValueError("`models` must be at least one, with a start, but are none")
    return [check_model(model, "models") for model in models], starts

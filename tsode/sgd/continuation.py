"""Runs that go on: from a trajectory, or from the file that an earlier call was writing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from .._random import seed_sequence
from ..model import TeacherStudent
from ..overlaps import Overlaps
from ..trajectory import Trajectory
from .records import NOT_BEGUN, Records, runs_of
from .setting import Setting

__all__ = ["Asked", "continued", "take_up"]

WORDS = ("engine", "inputs", "precision")
NUMBERS = ("limit", "step", "blocks")
COARSE = "step_length"  # kept of runs in coarse steps alone
SAME = 1e-6  # of a start and what was recorded of it


class Asked(NamedTuple):
    """What a call asks for that a trajectory which is continued decides."""

    alpha: Any
    N: Any
    runs: Any
    seed: Any
    engine: Any
    inputs: Any
    precision: Any
    step: Any


DEFAULTS = Asked(alpha=None, N=None, runs=1, seed=0, engine="chain", inputs="gaussian", precision="double", step=None)


def continued(trajectory: Trajectory, model: TeacherStudent, asked: Asked) -> Asked:
    """Return what the trajectory was made with, and the times of both."""
    if trajectory.state is None:
        raise ValueError(
            "`start` must be what `simulate` returned to be continued, of the engine 'weights' with keep_weights=True, "
            f"but is of the engine {trajectory.engine!r} without a state"
        )
    state = check_held(trajectory)
    if trajectory.model != model:
        raise ValueError(
            "`model` must be that of the trajectory `start`; another one starts from its overlaps, "
            "start=trajectory.overlaps(-1, run)"
        )
    if (unbegun := int((state["step"] == NOT_BEGUN).sum())) > 0:
        raise ValueError(f"`start` must be a trajectory of runs that have all begun, but {unbegun} have not")
    own: dict[str, Any] = {"N": trajectory.N, "runs": trajectory.runs, "seed": trajectory.seed}
    own |= {name: str(state[name]) for name in WORDS}
    own["step"] = float(state[COARSE]) if COARSE in state else None
    if own["inputs"] == "given":
        own["inputs"] = asked.inputs
    for name, value in own.items():
        given = getattr(asked, name)
        default = given is None or (isinstance(given, (int, str)) and given == getattr(DEFAULTS, name))
        if not default and name == "seed":
            given = seed_sequence(given).entropy
        if not default and given is not value and not np.array_equal(given, value):
            raise ValueError(f"`{name}` must be left out or that of the trajectory `start`, {value}, but is {given}")
    # a seed of several numbers goes on as it is
    own["seed"] = np.random.SeedSequence(own["seed"])
    return Asked(alpha=_all_times(trajectory.alpha, asked.alpha), **own)


def _all_times(past, alpha):
    """Return the past times and those of `alpha` that follow; a number stands for 201 even ones up to it."""
    if _checks.is_number(alpha):
        alpha = np.linspace(past[-1], _checks.number("alpha", alpha, above=past[-1]), 201)
    alpha = _checks.times(alpha)
    known = alpha <= past[-1]
    if not np.isin(alpha[known], past).all():
        raise ValueError(
            f"`alpha` must be later than the end of the trajectory `start` at {past[-1]:g}, or be among its times, but "
            f"starts at {alpha[0]:g}"
        )
    return np.concatenate([past, alpha[~known]])


def take_up(
    records: Records, setting: Setting, path: Path, sequence: np.random.SeedSequence, anew: bool
) -> tuple[Setting, np.random.SeedSequence, Trajectory | None]:
    """Let the runs go on from the file of an earlier call, if there is one; return it if it is all that is asked for.

    If the seed was to be made up `anew`, it is that of the file. Rows that were used are skipped: the setting returned
    has those that are left.
    """
    if not path.exists():
        return setting, sequence, None
    past = Trajectory.load(path)
    first, runs = records.runs[0], len(records.runs)
    ours = {"model": first.model, "N": records.N, "runs": runs, "engine": str(setting)}
    if not anew:
        ours["seed"] = sequence.entropy
    others = [name for name, value in ours.items() if getattr(past, name) != value]
    if not others and not np.array_equal(past.alpha, records.alpha[: len(past.alpha)]):
        others = ["alpha"]
    if not others and not _starts_alike(past, first.start, first.model.inputs):
        others = ["start"]
    if others:
        raise ValueError(f"`path` must be a file of this very call, or none yet, but {path} has another {others[0]}")
    if _is_done(past, records.alpha):
        return setting, sequence, past
    if past.state is None:
        raise ValueError(
            f"`path` must be a file that can be continued, but {path} was written at its end without keep_weights=True"
        )
    if anew:
        sequence = np.random.SeedSequence(past.seed)
        records.runs = runs_of(first.model, first.start, sequence, runs)
    check_held(past)
    records.resume(past)
    if not isinstance(setting.inputs, str):
        setting = setting._replace(inputs=itertools.islice(setting.inputs, records.first(0), None))
    return setting, sequence, None


def _is_done(past: Trajectory, alpha: np.ndarray) -> bool:
    """Return whether a trajectory is all that a call with these times returns."""
    if bool(np.isin(past.status, ("interrupted", "exhausted")).any()):
        return False
    return len(past.alpha) == len(alpha) or not np.any(np.asarray(past.status) == "completed")


def _starts_alike(past, start, inputs):
    """Return whether the first overlaps are those of a start; a drawn start is that of the seed."""
    if start is None or np.isnan(past.Q[:, 0]).any():
        return True
    first = start if isinstance(start, Overlaps) else Overlaps.from_weights(*start, inputs)
    return all(
        np.allclose(have[:, 0], want, rtol=SAME, atol=SAME) for have, want in ((past.M, first.M), (past.Q, first.Q))
    )


def check_held(trajectory: Trajectory) -> dict[str, np.ndarray]:
    """Return the state of a trajectory, which may come from a file, with all that :class:`Records` takes from it."""
    state, runs = dict(trajectory.state or {}), trajectory.runs
    names = (*WORDS, *NUMBERS, *([COARSE] if COARSE in state else []))
    for name in names:
        shape = (runs,) if name == "step" else ()
        if name not in state or state[name].shape != shape:
            raise ValueError(f"`state` must hold {name!r} of shape {shape}, as `simulate` makes it")
    step = state["step"]
    if step.dtype.kind != "i" or (step < NOT_BEGUN).any():
        raise ValueError("`state` must hold whole numbers of samples, 'step', as `simulate` makes it")
    if not all(array.shape[:1] == (runs,) for name, array in state.items() if name not in names):
        raise ValueError("`state` must hold arrays with an axis of the runs first, as `simulate` makes it")
    return state

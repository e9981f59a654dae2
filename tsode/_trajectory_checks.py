"""What the parts of a trajectory have to fulfil, made by the package or read from a file."""

from typing import Any

import numpy as np

from . import _checks

__all__ = ["check_ends", "check_observed", "check_seed", "check_state", "own_array", "position"]

STATUSES = ("completed", "reached", "diverged", "exhausted", "interrupted")


def own_array(name: str, value: Any) -> np.ndarray:
    """Return an array of floats, which may hold nan; without a copy where it is one already."""
    plain = type(value) is np.ndarray and value.dtype == np.float64
    return value if plain else _checks.real_array(name, value)


def check_ends(lead: tuple[int, ...], status: object, stopped_at: object) -> None:
    """Refuse a status or end of the runs that is not one a run; `lead` is the shape of the run axis."""
    stopped_at = _checks.real_array("stopped_at", stopped_at)
    if not np.isfinite(stopped_at).all():
        raise ValueError(f"`stopped_at` must be finite, but is {stopped_at}")
    status = np.asarray(_checks.instance("status", status, (str, np.ndarray), "a str or an array of str"))
    if status.dtype.kind != "U" or not np.isin(status, STATUSES).all():
        raise ValueError(f"`status` must be of {', '.join(STATUSES)}, but is {status}")
    for name, array in (("status", status), ("stopped_at", stopped_at)):
        if array.shape != lead:
            raise ValueError(f"`{name}` must have shape {lead}, one for each run, but has shape {array.shape}")


def check_seed(seed: object) -> None:
    """Refuse what is no entropy of a SeedSequence."""
    for part in seed if isinstance(seed, (list, tuple)) else [] if seed is None else [seed]:
        _checks.integer("seed", part, minimum=0, maximum=None)


def check_observed(lead: tuple[int, ...], observables: object) -> None:
    """Refuse what is no dict of arrays of numbers, one at each time of each run; `lead` is the shape of these."""
    for name, value in _checks.instance("observables", observables, dict, "a dict").items():
        _checks.instance("observables", name, str, "a dict with names")
        shape = _checks.real_array(f"observables[{name!r}]", value).shape
        if shape[: len(lead)] != lead:
            raise ValueError(f"`observables[{name!r}]` must have shape {lead} first, but has shape {shape}")


def check_state(state: object) -> None:
    """Refuse what is no dict of arrays; what they hold is looked at where runs go on."""
    if state is not None:
        for name, value in _checks.instance("state", state, dict, "a dict or None").items():
            _checks.instance("state", name, str, "a dict with names")
            _checks.instance(f"state[{name!r}]", value, np.ndarray, "an array")


def position(name: str, value: object, length: int, what: str) -> int:
    """Return a position on an axis as one from 0 on; negative ones count from the end."""
    value = _checks.integer(name, value)
    if not -length <= value < length:
        raise ValueError(f"`{name}` must be one of {length} {what}, but is {value}")
    return value % length

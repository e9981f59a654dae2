"""What else is recorded along a run: functions of its overlaps, or of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from .._trajectory_forms import LAYOUT
from .rows import ROW_LOSS, Rows
from .setting import Setting

__all__ = ["Observable", "check_observables", "of_weights", "values"]


class OfWeights(NamedTuple):
    """A function of W and W*."""

    function: Callable[..., Any]


Observable = Callable[..., Any] | OfWeights | Rows


def of_weights(function: Callable[..., Any]) -> OfWeights:
    """Mark an observable as a function of the weights, for `simulate` with the engine "weights".

    Parameters
    ----------
    function : callable
        Function of W and W_star, shapes (p, N) and (p_star, N), that returns a number or an array of numbers.

    Returns
    -------
    OfWeights
        To be given among the `observables`.

    Raises
    ------
    TypeError
        If it is no function.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> largest = tsode.of_weights(lambda W, W_star: np.abs(W).max())
    >>> sgd = tsode.simulate(model, None, 1.0, N=50, engine="weights", observables={"largest": largest})
    >>> sgd.observables["largest"].shape
    (1, 201)
    """
    if not callable(function):
        raise TypeError(f"`function` must be a function of (W, W_star), but is {type(function).__name__}")
    return OfWeights(function)


def check_observables(observables: Any, setting: Setting) -> dict[str, Observable]:
    """Return a dict of functions; those of the weights are refused where there are none."""
    if observables is None:
        return {}
    found = dict(_checks.instance("observables", observables, Mapping, "a dict of name to function"))
    for name, function in found.items():
        _checks.instance("observables", name, str, "a dict of name to function, each name a str")
        if name in (*LAYOUT, "alpha", ROW_LOSS):
            raise ValueError(f"`observables` must not be named as what is recorded in any case, but one is {name!r}")
        if isinstance(function, OfWeights):
            if not setting.has_weights:
                raise ValueError(
                    f"`observables` must be functions of (M, Q) for the engine {setting.engine!r}, but {name!r} is one "
                    "of the weights; take engine='weights'"
                )
        elif not callable(function):
            raise TypeError(f"`observables` must be functions, but {name!r} is {type(function).__name__}")
    return found


def values(name: str, function: Observable, engine: Any, M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return an observable of n runs, shape (n, ...)."""
    if isinstance(function, OfWeights):
        found = np.asarray(function.function(*engine.weights()))[None]
    elif isinstance(function, Rows):
        found = function.loss(engine)
    else:
        found = np.asarray(function(M, Q))
    if found.shape[:1] != M.shape[:1] or found.dtype.kind not in "biuf":
        raise ValueError(
            f"`observables` must return real numbers with an axis of {len(M)} runs first, but {name!r} returned "
            f"{found.dtype} of shape {found.shape}"
        )
    return found

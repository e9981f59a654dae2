"""Functions of the user's as straight source for the compiler: what was noted of them, between loads and stores."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import numpy as np
from scipy.special import erf

from .._compiled import jitable, with_name_of
from .._lanes import load, store
from .tracing import Trace

__all__ = ["compiled", "pull_source", "step_source"]

VARIABLE = re.compile(r"\b[znao]\d+\b")
STEP = "lam, mu, noise, size, scalars, parameters, change, scalar_change"
PULL = "omega, scalars, B"


def step_source(trace: Trace, p: int) -> str:
    """Return the body of a step whose results are those of p rows, and then those of scalars."""
    places = [f"change, {i}" if i < p else f"scalar_change, {i - p}" for i in range(len(trace.values))]
    return _body(STEP, trace, places, p)


def pull_source(trace: Trace) -> str:
    """Return the body of a pull."""
    return _body(PULL, trace, [f"B, {i}" for i in range(len(trace.values))], 0)


def _body(arguments, trace, places, p):
    ends = [f"store({place}, {value})" for place, value in zip(places, trace.values)]
    body = [*trace.statements, *ends]
    used = sorted(set(VARIABLE.findall("\n".join(body))), key=lambda name: (name[0], int(name[1:])))
    loads = [f"{name} = {_loaded(name[0], int(name[1:]), p)}" for name in used]
    return "\n".join([arguments, *loads, *body])


def _loaded(kind, i, p):
    array = {"z": "lam" if i < p else "mu", "n": "noise", "a": "scalars", "o": "omega"}[kind]
    return f"load({array}, {i - p if array == 'mu' else i})"


@functools.lru_cache(maxsize=256)
def compiled(source: str) -> Callable[..., None]:
    """Return the jitable function of a source, whose first line has the arguments."""
    arguments, *lines = source.split("\n")
    names = {"np": np, "erf": erf, "load": load, "store": store, "__name__": __name__}
    exec(f"def own({arguments}):\n" + "".join(f"    {line}\n" for line in lines), names)
    return jitable(with_name_of(source)(names["own"]))

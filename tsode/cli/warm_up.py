"""The command ``tsode warm-up``: compile every kernel once, so that no later call waits for the compiler."""

from __future__ import annotations

import argparse
import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import finite_size, hessian, ode, plateaus, sgd
from .._lanes import WIDTH
from .._progress import progress_bar
from ..activations import SHIPPED, NoClosedForm
from ..inputs import Inputs
from ..model import TeacherStudent
from ..overlaps import Overlaps

__all__ = ["add_warm_up"]

MODEL = TeacherStudent(2, 1, 0.1, 0.1)
END = 1.0  # of all runs
N = 400  # their input dimension, large enough for coarse steps
WIDE = 96  # student width from which one run goes in blocks of samples


def add_warm_up(commands: Any) -> None:
    """Add the command to the subparsers."""
    command = commands.add_parser(
        "warm-up",
        help="compile everything now, so that first calls are as quick as later ones",
        description="Compile the kernels of the ODEs, of the engines and of the derivatives for every activation; "
        "they are kept on disk, in the package or in NUMBA_CACHE_DIR, until tsode or Numba changes.",
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    calls = [*_shared_calls(), *(call for name in SHIPPED for call in _calls(name))]
    began = time.perf_counter()
    with progress_bar(True, total=len(calls), unit="kernel") as bar:
        for label, call in calls:
            bar.set_description(f"compiling {label}")
            call()
            bar.update()
    print(f"compiled in {time.perf_counter() - began:.0f} s; first calls of the package wait no more")
    return 0


def _shared_calls() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the smallest calls that compile what serves every activation."""
    start = Overlaps.random(MODEL, N)
    weights = np.ones((MODEL.p, N))

    def on_samples():
        hessian.empirical_operator(MODEL, weights, weights, np.ones(len(weights))).matvec(weights.ravel())

    yield "fixed points", lambda: plateaus.fixed_point(MODEL, start)
    yield "fluctuations at rest", lambda: finite_size.stationary_fluctuations(MODEL)
    yield "Hessian on samples", on_samples


def _calls(activation: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the smallest calls that compile all kernels of an activation."""
    model = MODEL.replace(activation=activation, teacher_activation=activation)
    start = Overlaps.random(model, N)
    wide = model.replace(p=WIDE, student_readout=None)
    others = {
        "readouts trained": model.replace(readout_learning_rate=model.learning_rate),
        "inputs in blocks": model.replace(inputs=Inputs.power_law(1.0, blocks=2)),
    }

    def derivatives():
        with contextlib.suppress(NoClosedForm):  # averages that only NumPy has
            ode.gradient(model, start, END)

    yield f"{activation}: ODE", lambda: ode.integrate(model, start, END)
    yield f"{activation}: ODEs in lockstep", lambda: ode.integrate_many([model, model], start, END)
    yield f"{activation}: derivatives", derivatives
    if model.rule.averages(model).step is not None:
        yield f"{activation}: fluctuations", lambda: finite_size.fluctuations(model, start, END)
    for each, noise in ((model, "with"), (model.replace(noise_variance=0.0), "without")):
        for runs in (1, WIDTH):
            run = functools.partial(sgd.simulate, each, start, END, N, runs)
            yield f"{activation}: {runs} runs {noise} noise", run
        run = functools.partial(sgd.simulate, each, start, END, N, engine="diffusion")
        yield f"{activation}: coarse steps {noise} noise", run
    yield f"{activation}: wide run", functools.partial(sgd.simulate, wide, None, END, N)
    for precision in sgd.PRECISIONS:
        run = functools.partial(sgd.simulate, model, start, END, N, engine="weights", precision=precision)
        yield f"{activation}: weights in {precision} precision", run
    for what, other in others.items():
        begin = Overlaps.random(other, N)
        yield f"{activation}: ODE, {what}", functools.partial(ode.integrate, other, begin, END)
        yield f"{activation}: run, {what}", functools.partial(sgd.simulate, other, None, END, N)

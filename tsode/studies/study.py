"""The whole comparison for one model in one call: SGD beside its ODE, plateau, escape, chosen solution, Hessians."""

from typing import Any

import numpy as np

from .. import _checks
from .._random import run_sequence, seed_sequence
from .._types import Seed
from ..model import TeacherStudent, check_model
from ..ode import integrate
from ..overlaps import Overlaps
from ..sgd import ENGINES, check_samples, escape_runs, simulate
from .measurements import escape_setting, time_to_learn
from .result import Study

__all__ = ["study"]

POINTS = 241
ESCAPE_RUNS = 8  # runs from random weights for each run from the start: they are short, and a law needs many


def study(
    model: TeacherStudent,
    N: int,
    runs: int = 8,
    alpha_max: float | None = None,
    seed: Seed = 0,
    engine: str = "chain",
    progress: bool = False,
) -> Study:
    """Run SGD and the ODE from one random start, SGD from random weights too, and compare them with theory.

    Parameters
    ----------
    model : TeacherStudent
        The pair.
    N : int
        Input dimension, at least p + p_star.
    runs : int
        Number of SGD runs from the one start, at least 2. From random weights there are 8 times as many, each until it
        has escaped or all but one in ten thousand should have; with the engine "weights" as many.
    alpha_max : float, optional
        Last time; by default long enough for SGD to leave the plateau, and for the ODE to lose 98 % of what it can
        lose; 8 times 1/(eta max|v| max|v*|) if it never does.
    seed : int, SeedSequence, Generator or None
        Seed of the start and of the runs.
    engine : str
        Engine of ``simulate``.
    progress : bool
        Show a progress bar where a person watches.

    Returns
    -------
    Study

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; the message names it.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
    >>> result = tsode.study(model, N=200, runs=2, alpha_max=5.0)
    >>> sorted(result.summary()["results"]["final excess loss"])
    ['ode', 'sgd', 'sgd_error', 'theory']
    """
    check_model(model)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    runs = _checks.integer("runs", runs, minimum=2)
    alpha_max = None if alpha_max is None else _checks.number("alpha_max", alpha_max, above=0.0)
    _checks.choice("engine", engine, ENGINES)
    if alpha_max is not None:
        check_samples("alpha_max", alpha_max, N, engine)
    progress = _checks.flag("progress", progress)
    sequence = seed_sequence(seed)
    start_sequence, runs_sequence, escapes_sequence = (run_sequence(sequence, i) for i in range(3))
    start = Overlaps.random(model, N, rng=start_sequence)
    law, threshold = escape_setting(model, N)
    last_escape = np.inf if law is None else float(law.ppf(0.9999))
    if alpha_max is None:
        alpha_max = time_to_learn(model, start, threshold)
        alpha_max = max(alpha_max, last_escape) if np.isfinite(last_escape) else alpha_max

    def times(end):
        """SGD records after whole samples, so the ODE is compared at those."""
        return np.unique(np.rint(np.linspace(0, end, POINTS) * N)) / N

    ode = integrate(model, start, times(alpha_max))
    options: dict[str, Any] = {"N": N, "engine": engine, "progress": progress}
    sgd = simulate(model, start, times(alpha_max), runs=runs, seed=runs_sequence, **options)
    many = runs if engine == "weights" else ESCAPE_RUNS * runs
    # Who interrupts the first runs does not want to wait for more: of these there is then the start alone.
    end = [0.0] if "interrupted" in sgd.status else times(min(alpha_max, last_escape))
    escapes = escape_runs(
        model, alpha=np.asarray(end), threshold=threshold, runs=many, seed=escapes_sequence, **options
    )
    return Study(ode=ode, sgd=sgd, escapes=escapes)

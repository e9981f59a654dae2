"""One call for SGD."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numba
from numpy.typing import ArrayLike

from .. import _checks
from .._random import seed_sequence
from .._types import PathLike, Seed
from ..conditions import check_condition
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps
from ..scheme import Scheme, pair_of
from ..trajectory import Trajectory
from .continuation import Asked, continued, take_up
from .crew import run_all
from .observables import OfWeights, check_observables
from .records import Records, Wishes, runs_of
from .rows import Rows
from .setting import check_any_start, check_fit, check_setting
from .wide_chain import in_blocks

__all__ = ["InputsExhausted", "simulate"]


class InputsExhausted(ValueError):
    """The user's input rows ran out before the last time asked for.

    Attributes
    ----------
    trajectory : Trajectory
        What was recorded until then, with status "exhausted".
    """

    def __init__(self, message: str, trajectory: Trajectory) -> None:
        super().__init__(message)
        self.trajectory = trajectory


def simulate(
    model: TeacherStudent | Scheme,
    start: Overlaps | tuple[ArrayLike, ArrayLike] | Trajectory | None,
    alpha: ArrayLike,
    N: int | None = None,
    runs: int = 1,
    seed: Seed = 0,
    engine: str = "chain",
    inputs: str | ArrayLike | Iterable[ArrayLike] = "gaussian",
    progress: bool = False,
    precision: str = "double",
    until: float | Callable[..., Any] | None = None,
    observables: Mapping[str, Callable[..., Any] | OfWeights] | None = None,
    keep_weights: bool = False,
    path: PathLike | None = None,
    step: float | None = None,
) -> Trajectory:
    r"""Run one-pass SGD at input dimension N and record the overlaps.

    Parameters
    ----------
    model : TeacherStudent or Scheme
        The pair, its learning rate, noise and constraint; or a rule of your own.
    start : Overlaps, (W, W_star), Trajectory or None
        Overlaps that every run realises exactly, with weights of its own; or the weights themselves, shapes
        (p, N) and (p_star, N); or None: each run draws Gaussian student weights of unit variance. A trajectory of
        this function is continued (see the notes).
    alpha : float or array_like, shape (T,)
        Times (samples / N), strictly increasing; a number stands for 201 even times from 0 up to it. The
        start belongs to ``alpha[0]``, and a time is recorded after round((alpha - alpha[0]) N) samples, in whole
        batches.
    N : int
        Input dimension, at least p + p_star; for the engine "chain" with momentum p more, and with a running average of
        the weights p more; for the engine "diffusion" at least 50 / step, up to 9e15. May be left out where a
        trajectory is continued.
    runs : int
        Number of independent runs.
    seed : int, SeedSequence, Generator or None
        Seed of all randomness. Run i depends on the seed and on i alone, and for wide students on whether the chain
        goes in blocks (see the notes).
    engine : {"chain", "weights", "diffusion"}
        "chain" is the exact Markov chain of the overlaps, for Gaussian inputs: a sample costs the same at every N,
        and there are alpha N of them. "weights" holds W explicitly and takes any inputs. Both have the same law.
        "diffusion" is its limit for large N, in steps of very many samples: for N where alpha N of them are out of
        reach (see the notes).
    inputs : {"gaussian", "rademacher", "uniform"}, array_like of shape (n, N), or iterable of rows
        Law of the inputs' independent components (mean 0, variance 1), or real rows, each used once and in
        order, for a single run. The labels come from the teacher in any case. With rows in an array the loss on them
        is recorded (see the notes).
    progress : bool
        Show a progress bar where a person watches (a terminal or a notebook). It says after two seconds how long the
        call will take, if that is more than a minute; so does the logger "tsode", at level INFO, in any case.
    precision : {"double", "single"}
        Of weights and inputs, for the engine "weights"; overlaps are recorded in double precision in any case.
        "single" halves the memory and is faster, most of all for wide networks. The same seed draws the same inputs,
        rounded; for the error see the notes.
    until : float or function of (M, Q), optional
        Each run stops at the first recorded time, the start included, at which its excess loss is below this number,
        or the function is true for it: it takes the overlaps of n runs, shapes (n, p, p_star) and (n, p, p), and
        returns n truth values. :func:`tsode.escaped` makes one. Runs that have stopped make room: what is left goes
        together.
    observables : dict of str to function, optional
        What to record beside the overlaps: functions of M and Q as above, that return one number or array a run,
        shape (n, ...); or, with the engine "weights", functions of W and W* marked by :func:`tsode.of_weights`.
    keep_weights : bool
        With the engine "weights": keep what it takes to continue, the final `weights` of every run among it.
    path : path-like, optional
        File (.npz) for what is done so far, written once a minute and at the end. If it is there, the same call goes
        on from it, and ends as if nothing had ended it before.
    step : float, optional
        With the engine "diffusion": length of a step in units of alpha, at least 50 samples; 0.25 by default. Records
        are ends of steps: those between two records are made equal, and shorter if need be.

    Returns
    -------
    Trajectory
        With a run axis. Runs that diverge are nan from then on and have status "diverged", those that met `until` are
        so after this record and have status "reached"; after a keyboard interrupt what was recorded is returned with
        status "interrupted".

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.
    NoClosedForm
        If the engine "diffusion" does not know the model; a ValueError.
    InputsExhausted
        If the rows run out; it carries the trajectory so far.

    Warns
    -----
    RuntimeWarning
        If the rows of an array have not the mean 0 and the variances that the theory takes them to have: by more than a
        tenth, and than three times what the number of rows explains.

    Notes
    -----
    Source of the setting: arXiv:2604.03068. As many threads are used as ``numba.get_num_threads()`` says; the
    result does not depend on it. With the engine "chain" one run alone costs about a third of what sixteen cost.
    It goes in blocks of samples where these are quicker: from p + p_star = 48 on for up to 4 runs, from 12 times the
    runs on for up to 16, from 192 on for more. The law is the same, but the random numbers are used in another way.
    There a sample of one run takes about 4, 13, 38, 130, 560 us on one core at p = p_star = 64, 128, 256, 512, 1024.

    The engine "diffusion" follows the drift of the overlap ODEs over a step, and adds what its N * step samples do
    beside their mean. For the quadratic activation this is Gaussian with the exact covariance; for others it is made of
    16 samples, whose sum has the covariance, too, and a sixteenth of the excess kurtosis. Q - M P^+ M^T is positive
    semidefinite at any step. Means have an error of order step^4 and of order 1 / N, covariances of order step^2:
    they are off by 2, 0.6, 0.14 % at steps of 1, 0.5, 0.25 at widths (4, 2), learning rate 0.4, noise 0.1. A step is
    to be short beside the times on which the overlaps change. The model needs isotropic inputs, gradient descent with a
    fixed readout, batches of 1 and no momentum. A step costs as much as some 100 samples of the chain; where averages
    are found by quadrature (ReLU, tanh, functions of one's own) much more: 8 right-hand sides of the ODEs.

    A trajectory as `start` is continued, all runs on their streams: the result has its times and those of `alpha` that
    follow, 201 even ones if it is a number, and is to the bit what one call with all these times returns. So runs go
    on, too, that had met a condition, or were interrupted; diverged ones stay as they are. What made the trajectory
    need not be said again; inputs that are rows are those that follow.

    `loss` of the result is the population loss for Gaussian inputs, also where the inputs are not. Beside it,
    ``observables["row_loss"]`` has the mean excess loss on the rows of an array: at each time on the next 1000, or as
    many as are left, which have not been learned from; nan where none is left. So let some be left at the end. The
    Gaussian theory of rows is that of a model with ``inputs=tsode.Inputs.from_data(rows, blocks)``.

    For a model with `inputs` of its own, a law gives each coordinate the standard deviation of its block, and the
    blocks follow each other; rows are used as they are. Where the teacher is not given, by weights or blocks, it is
    random: a block has then to have p_star coordinates, or be a spike, in which it has nothing.

    In single precision overlaps differ from those of double precision, on the same inputs, by 7e-9 at the start, 3e-7
    at alpha = 10 and 4e-6 at alpha = 60 (p = 4, N = 1000, free and spherical, through the escape, where errors are
    amplified): far below the deviations of SGD itself, of order 1/sqrt(N). It matters where overlaps are wanted to more
    than five digits, and where updates fall below the 6e-8 of a weight that single precision resolves.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> sgd = tsode.simulate(model, None, alpha=[0.0, 1.0, 2.0], N=500, runs=3, seed=1)
    >>> sgd.M.shape, sgd.loss.shape
    ((3, 3, 2, 1), (3, 3))
    >>> tsode.simulate(model, sgd, [3.0, 4.0]).alpha
    array([0., 1., 2., 3., 4.])
    >>> huge = tsode.simulate(model, None, 200.0, N=10**15, engine="diffusion", until=tsode.escaped(0.05))
    >>> huge.status.tolist()
    ['reached']
    """
    model = check_model(pair_of(model, start))
    progress = _checks.flag("progress", progress)
    until = check_condition(until)
    path = None if path is None else _checks.file_path("path", path, (".npz",))
    past = start if isinstance(start, Trajectory) else None
    if past is not None:
        asked = Asked(alpha, N, runs, seed, engine, inputs, precision, step)
        alpha, N, runs, seed, engine, inputs, precision, step = continued(past, model, asked)
    alpha = _checks.times(alpha)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    runs = _checks.integer("runs", runs, minimum=1)
    sequence = seed_sequence(seed)
    setting = check_setting(N, runs, engine, inputs, precision, step)
    setting = setting._replace(interpreted=model.rule.interpreted)
    keep = setting.keeps(keep_weights) or past is not None
    wishes = Wishes(until, check_observables(observables, setting), keep or path is not None)
    begin = check_any_start(model, None if past else start, setting)
    check_fit([model], alpha, setting, runs, keep)
    if isinstance(setting.inputs, Rows):
        wishes.observables.update(setting.inputs.observables(model))
        setting.inputs.warn(model.inputs)

    records = Records(runs_of(model, begin, sequence, runs), alpha, N, in_blocks(model, runs), wishes)
    if past is not None:
        records.resume(past)
    found = None
    if path is not None:
        setting, sequence, found = take_up(records, setting, path, sequence, seed is None)
    if found is None:
        save = None if path is None else lambda: records.trajectory(setting, True, sequence.entropy).save(path)
        run_all([records], setting, numba.get_num_threads(), progress, save)
        found = records.trajectory(setting, keep, sequence.entropy)
        if path is not None:
            found.save(path)
    _raise_if_exhausted(found, records)
    return found


def _raise_if_exhausted(trajectory, records):
    if "exhausted" in trajectory.status:
        raise InputsExhausted(
            f"`inputs` must hold {int(records.steps[-1])} rows to reach alpha = {records.alpha[-1]:g}, but ran out "
            f"after {int(records.reached[0])}; the exception's `trajectory` has what was recorded",
            trajectory,
        )

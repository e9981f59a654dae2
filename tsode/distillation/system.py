"""What the systems share: a scheme with a truth, the label of a sample, and what of a truth they take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..model import TeacherStudent, check_constant, check_model
from ..scheme import Scheme
from ..trajectory import Trajectory, check_trajectory

__all__ = ["System", "label_of", "loss_of", "taken"]

PLAIN = ("p", "p_star", "learning_rate", "noise_variance", "student_readout", "teacher_readout", "teacher_overlap",
         "activation", "teacher_activation", "inputs")  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class System(Scheme):
    """A scheme whose rows "student" learn, by whatever way, from the rows "truth" that stand still.

    It is made by the functions of :mod:`tsode.distillation`.

    Parameters
    ----------
    rows, rule, outputs, scalars, pull, noises, inputs
        As of :class:`tsode.Scheme`.
    truth : TeacherStudent
        The student and the truth as a plain pair.

    Raises
    ------
    TypeError, ValueError
        As :class:`tsode.Scheme`.

    Examples
    --------
    >>> import tsode
    >>> truth = tsode.TeacherStudent(2, 1, 0.1, teacher_overlap=[[2.0]])
    >>> tsode.distillation.features(truth).random(N=100, rng=0).P
    array([[2.]])
    """

    truth: TeacherStudent = field(kw_only=True)

    def __post_init__(self) -> None:
        check_model(self.truth, "truth")
        super().__post_init__()

    def _still(self, count):
        return self.truth.teacher_overlap

    def as_student(self, run: Trajectory) -> Trajectory:
        """Return runs as those of a plain student of the truth: for their loss, solutions and figures.

        Parameters
        ----------
        run : Trajectory
            What `integrate` or `simulate` made of this system.

        Returns
        -------
        Trajectory
            Of the model `truth`, with its readout; it cannot be continued.

        Raises
        ------
        TypeError, ValueError
            If `run` is none of this system.

        Examples
        --------
        >>> import tsode
        >>> task = tsode.distillation.features(tsode.TeacherStudent(2, 2, 0.1))
        >>> run = tsode.integrate(task, task.random(N=100, rng=0), 10.0)
        >>> task.as_student(run).M.shape
        (201, 2, 2)
        """
        self._check_run(run)
        return self._plain(run, run.overlap("student", "truth"), run.overlap("student", "student"))

    def _check_run(self, run):
        if check_trajectory(run, "run").model.rule != self._rule:
            raise ValueError("`run` must be one of this system, but is of another model")

    def _plain(self, run, M, Q):
        return Trajectory(
            self.truth.replace(readout_learning_rate=0.0), run.alpha, M, Q, run.status, run.stopped_at,
            run.N, run.seed, run.engine, run.versions, run.gradient_flow,
        )  # fmt: skip


def taken(truth: TeacherStudent, *more: str) -> TeacherStudent:
    """Return `truth` if nothing but what a system takes, `PLAIN` and what `more` names, is away from its default."""
    check_constant(check_model(truth, "truth"))
    kept = {name: getattr(truth, name) for name in (*PLAIN, *more)}
    if TeacherStudent(**kept) != truth:
        names = [one.name for one in dataclasses.fields(truth) if one.name not in kept]
        raise ValueError(f"`truth` must have the defaults of {', '.join(names)}, but has others")
    return truth


def label_of(truth: TeacherStudent) -> Callable[[Any, Any], Any]:
    """Return the function (mu, xi) -> noisy label of n samples."""
    spread, clean = math.sqrt(truth.noise_variance), output(truth.teacher_readout, truth.teacher_activation)
    return lambda mu, xi: clean(mu) + spread * xi[:, 0] if spread else clean(mu)


def loss_of(truth: TeacherStudent, said: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Return the excess loss of what is said of a sample, a function of (z, a), as an output of a scheme."""
    clean = output(truth.teacher_readout, truth.teacher_activation)
    return lambda z, xi, a: (said(z, a) - clean(z["truth"])) ** 2 / 2


def output(readout: np.ndarray, activation: Any) -> Callable[[Any], Any]:
    """Return the function of preactivations, shape (n, k), to outputs, shape (n,)."""
    function = activation.function
    return lambda z: np.sum(readout * function(z)[0], axis=1)

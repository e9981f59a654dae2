"""What :func:`tsode.distillation.lesson` returns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from .._display import Report
from ..model import TeacherStudent
from ..trajectory import Trajectory, check_trajectory

__all__ = ["Lesson"]


@dataclass(frozen=True, eq=False, repr=False)
class Lesson(Report):
    """A pair that learns from teachers and labels, and the truth on which it is tested.

    Attributes
    ----------
    truth : TeacherStudent
        The student, and the truth as its teacher.
    model : TeacherStudent
        The same student with the mixed target as its teacher, for :func:`tsode.integrate`, :func:`tsode.simulate` and
        :meth:`tsode.Overlaps.random`. Of its teacher's rows those of the truth are the last.
    soft : float
        Weight of all teachers together.
    teachers_loss : float
        Excess loss of what the teachers say together, their weighted mean, against the truth; 0 of the truth itself.
    """

    truth: TeacherStudent
    model: TeacherStudent
    soft: float
    teachers_loss: float

    def as_teacher(self, run: Trajectory) -> Trajectory:
        """Return runs of `model` as students of the truth: for their loss, for figures, and as the next teacher.

        Parameters
        ----------
        run : Trajectory
            What `integrate` or `simulate` made of `model`.

        Returns
        -------
        Trajectory
            Of the model `truth`, with the overlaps of student and truth; it cannot be continued.

        Raises
        ------
        TypeError, ValueError
            If `run` is none of this lesson.

        Examples
        --------
        >>> import tsode
        >>> truth = tsode.TeacherStudent(2, 2, 0.3, noise_variance=0.5)
        >>> first = tsode.integrate(truth, tsode.Overlaps.random(truth, N=100, rng=0), 20.0)
        >>> task = tsode.distillation.lesson(truth, [first], soft=0.5)
        >>> second = tsode.integrate(task.model, tsode.Overlaps.random(task.model, N=100, rng=1), 20.0)
        >>> second.M.shape, task.as_teacher(second).M.shape
        ((201, 2, 4), (201, 2, 2))
        """
        if check_trajectory(run, "run").model != self.model:
            raise ValueError("`run` must be one of the lesson's `model`, but is of another")
        return dataclasses.replace(run, model=self.truth, M=run.M[..., -self.truth.p_star :], state=None, averaged=None)

    def loss(self, run: Trajectory) -> np.ndarray:
        """Return the excess loss of runs of `model` against the truth, shape (..., T).

        Parameters
        ----------
        run : Trajectory
            What `integrate` or `simulate` made of `model`.

        Returns
        -------
        ndarray

        Raises
        ------
        TypeError, ValueError
            If `run` is none of this lesson.

        Examples
        --------
        >>> import tsode
        >>> task = tsode.distillation.lesson(tsode.TeacherStudent(2, 2, 0.3, noise_variance=0.5), soft=0.5)
        >>> run = tsode.integrate(task.model, tsode.Overlaps.random(task.model, N=100, rng=1), 100.0)
        >>> round(float(task.loss(run)[-1]), 6)  # a fourth of what labels alone leave
        0.046875
        """
        return self.as_teacher(run).excess_loss

    def _rows(self):
        return [
            ("weight of the teachers", f"{self.soft:.4g}"),
            ("excess loss of the teachers", f"{self.teachers_loss:.4g}"),
            ("noise variance of the target", f"{self.model.noise_variance:.4g}"),
            ("widths of student and target", f"{self.model.p}, {self.model.p_star}"),
        ]

    def _title(self):
        return "Lesson of a student"

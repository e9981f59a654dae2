"""How fast a pair learns, and how large it becomes: views of its parameters."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _checks
from ._checks import NoClosedForm
from .averaging import ExponentialAverage, UniformAverage
from .inputs import Inputs
from .schedules import Later, Schedule

Pair = TypeVar("Pair", bound="Scales")

__all__ = ["Scales", "check_constant", "check_isotropic", "later", "unchecked", "with_rate"]


class Scales:
    """Base of a pair that has a learning rate, widths, readouts and an activation."""

    if TYPE_CHECKING:
        p: int
        p_star: int
        learning_rate: Any
        student_readout: np.ndarray
        teacher_readout: np.ndarray
        activation: Any
        readout_learning_rate: float
        batch_size: int
        momentum: float
        averaging_rate: float | UniformAverage
        inputs: Inputs | None

    @property
    def schedule(self) -> Schedule | None:
        """The learning rate where it changes in time; None where it is a number."""
        rate = self.learning_rate
        # most are plain numbers, and an abstract class takes ten times as long to ask
        return rate if type(rate) is not float and isinstance(rate, Schedule) else None

    @property
    def averaging(self) -> ExponentialAverage | UniformAverage | None:
        """The running average of the weights, or None where there is none."""
        rate = self.averaging_rate
        return rate if isinstance(rate, UniformAverage) else ExponentialAverage(rate) if rate else None

    @property
    def largest_rate(self) -> float:
        """The learning rate, the largest one where it changes in time."""
        return self.learning_rate if self.schedule is None else self.schedule.largest

    @property
    def fastest(self: Pair) -> Pair:
        """The model with its largest learning rate at all times."""
        return self if self.schedule is None else with_rate(self, self.largest_rate)

    def at(self: Pair, alpha: float) -> Pair:
        """Return the model with the constant learning rate that holds at one time.

        Parameters
        ----------
        alpha : float
            Time, samples / N.

        Returns
        -------
        TeacherStudent

        Raises
        ------
        TypeError, ValueError
            If `alpha` is no number; if the learning rate is zero there.

        Examples
        --------
        >>> import tsode
        >>> tsode.TeacherStudent(p=4, p_star=2, learning_rate=[(0, 0.4), (20, 0.1)]).at(30.0).learning_rate
        0.1
        """
        alpha = _checks.number("alpha", alpha)
        return self if self.schedule is None else with_rate(self, float(self.schedule(alpha)))

    @property
    def is_sample_by_sample(self) -> bool:
        """Whether each sample makes a step of its own, which depends on no other: no batches and no momentum."""
        return self.batch_size == 1 and not self.momentum

    @property
    def effective_learning_rate(self) -> float:
        r"""Rate :math:`\eta / (B (1 - \beta))` of steps of one sample without momentum with the same ODE, float."""
        return self.largest_rate / (self.batch_size * (1 - self.momentum))

    @property
    def input_size(self) -> float:
        r"""The limit of :math:`|x|^2 / N`, float: 1, or the mean variance of inputs with a covariance of their own."""
        return 1.0 if self.inputs is None else float(self.inputs.fractions @ self.inputs.eigenvalues)

    @property
    def natural_time(self) -> float:
        r"""Unit of time in which the model learns, :math:`1 / (\eta \max|v| \max|v^*|)` at the largest rate, float."""
        v, v_star = np.abs(self.student_readout).max(), np.abs(self.teacher_readout).max()
        if self.readout_learning_rate:  # it will be of the size of the other
            v = max(v, v_star)
        return 1 / (self.effective_learning_rate * v * v_star)

    @property
    def solution_ratio(self) -> float:
        """Squared norm of a student's row over a teacher's at which both put out the same, for the largest readouts.

        1 for an activation that is not homogeneous, or a trained readout; huge but finite where the student puts out
        nothing.
        """
        if self.activation.degree is None or self.readout_learning_rate:
            return 1.0
        largest, largest_of_teacher = (max(map(abs, v.tolist())) for v in (self.student_readout, self.teacher_readout))
        ratio = largest_of_teacher / max(largest, 1e-100)
        return float(min(ratio ** (2 / self.activation.degree), 1e200))

    @property
    def solution_size(self) -> float:
        """The tr M M^T of a student that has learned as many directions of the teacher as it can, P = 1, float."""
        return min(self.p, self.p_star) * self.solution_ratio


def check_isotropic(model: Pair) -> Pair:
    """Return `model` if its inputs have no covariance of their own."""
    if model.inputs is None:
        return model
    raise NoClosedForm(
        "`model` must have isotropic inputs here; take `model.replace(inputs=None)`, or integrate and simulate, which "
        f"know others: it has {model.inputs!r}"
    )


def check_constant(model: Pair) -> Pair:
    """Return `model` if its learning rate is constant."""
    if model.schedule is None:
        return model
    raise NoClosedForm(
        "`model` must have a constant learning rate here; take `model.at(alpha)`, which has that of one time: "
        f"it is {model.schedule!r}"
    )


def with_rate(model: Pair, learning_rate: float) -> Pair:
    """Return what `model.replace` returns with another learning rate, a number, in a hundredth of the time."""
    return unchecked(model, learning_rate=_checks.number("learning_rate", learning_rate, above=0.0))


def later(model: Pair, alpha: float) -> Pair:
    """Return the model whose learning rate and running average depend on the time since `alpha`."""
    rate = model.averaging_rate
    if isinstance(rate, UniformAverage):
        model = unchecked(model, averaging_rate=rate.later(alpha))
    return (
        model if model.schedule is None or not alpha else unchecked(model, learning_rate=Later(model.schedule, alpha))
    )


def unchecked(model: Pair, **changes: Any) -> Pair:
    """Return what `model.replace` returns, in a hundredth of the time: nothing is checked."""
    changed = copy.copy(model)
    for name, value in changes.items():
        object.__setattr__(changed, name, value)
    return changed

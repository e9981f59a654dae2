r"""What a learning rule is: what one sample changes, as a function of the preactivations alone.

A sample moves the weights by :math:`W \leftarrow W + C x^T / \sqrt N` and trained scalars by
:math:`s \leftarrow s + d / N`. C, shape (p,), and d are functions of the preactivations :math:`z = (\lambda, \mu)`,
of the noise, of :math:`|x|^2 / N` and of s. Hence every engine and every average asks the rule and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .._parameters import arguments, plain
from ..activations import NoClosedForm
from ..activations.error_averages import Averages
from ..activations.squared_error import LossCurvature
from .moments import Moments

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Rule"]


class Rule(ABC):
    """What one sample changes.

    A new one is a subclass in a file of its own. `noises`, `step` and `parameters` say what a sample does, and both
    engines need no more; the averages that drive the ODEs are found by quadrature if it has none in closed form.
    Attributes of the object are its arguments: two rules with equal ones are equal, and files keep them.

    Attributes
    ----------
    name : str
        What it is called in files and on the command line.
    """

    name: str = ""

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments that make it again, but for those that are the default."""
        return arguments(self)

    @abstractmethod
    def noises(self, model: TeacherStudent) -> int:
        """Return how many standard normal numbers a sample needs beside its input."""

    def scalars(self, model: TeacherStudent) -> np.ndarray:
        """Return the starting values of the scalars s that are trained beside W, ndarray of shape (n_scalars,)."""
        return np.empty(0)

    @abstractmethod
    def step(self, model: TeacherStudent) -> Callable[..., None]:
        """Return the jitable function (lam, mu, noise, size, scalars, parameters, change, scalar_change).

        The arrays have shapes (p, lanes), (p_star, lanes), (noises, lanes), (1, lanes) with :math:`|x|^2 / N`,
        (n_scalars, lanes) and (n_parameters, lanes); C and d are written to the last two, shapes (p, lanes) and
        (n_scalars, lanes). For a single run the last axis is missing.
        """

    @abstractmethod
    def parameters(self, model: TeacherStudent) -> np.ndarray:
        """Return the numbers that `step` reads, the learning rate first, ndarray of shape (n_parameters,)."""

    def average_parameters(self, model: TeacherStudent, rtol: float = 1e-8) -> np.ndarray:
        """Return the numbers that `averages` read: by default `parameters` and `rtol`.

        The learning rate is that of steps of one sample without momentum which have the same limit. Averages by
        quadrature are to have an error of at most `rtol`, as far as they can.
        """
        return np.concatenate([[model.effective_learning_rate], self.parameters(model)[1:], [rtol]])

    def averages(self, model: TeacherStudent) -> Averages:
        """Return the Averages that drive the ODEs, as loops or arrays: by default by quadrature."""
        return Moments(model=model)

    def outcomes(
        self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, noise: np.ndarray, scalars: np.ndarray
    ) -> list[tuple[Any, np.ndarray, np.ndarray]]:
        """Return what samples may change, for quadrature: a list of triples of a weight, C and d.

        Weights are numbers or of shape (m,) and add up to 1. By default there is one outcome, that of `step`.

        Parameters
        ----------
        model : TeacherStudent
            The pair.
        lam, mu, noise : ndarray, shapes (p, m), (p_star, m), (hidden noises, m)
            Preactivations and noise of m samples.
        scalars : ndarray, shape (n_scalars,)
            Trained scalars.
        """
        change, scalar_change = np.empty_like(lam), np.empty((len(scalars), lam.shape[1]))
        size = np.full((1, lam.shape[1]), model.input_size)
        self.step(model)(lam, mu, noise, size, scalars, self.parameters(model), change, scalar_change)
        return [(1.0, change, scalar_change)]

    def hidden_noises(self, model: TeacherStudent) -> int:
        """Return how many noises `outcomes` takes; a rule that sums over some in closed form leaves them out."""
        return self.noises(model)

    def jumps(self, model: TeacherStudent, scalars: np.ndarray) -> list[np.ndarray] | None:
        """Return the values of each preactivation at which C jumps or has a kink, p + p_star arrays, for quadrature.

        None, the default, is for a rule that may jump anywhere: its averages have an error of about 1e-3.
        """
        return None

    def degree(self, model: TeacherStudent) -> int | None:
        """Return the degree of C as a polynomial of the preactivations, for quadrature; None if it is none."""
        return None

    def sharpness(self, model: TeacherStudent, scalars: np.ndarray) -> float:
        """Return how much faster than on a scale of 1 C varies with the preactivations, for quadrature."""
        return 1.0

    def accuracy(self, model: TeacherStudent, omega: np.ndarray, rtol: float = 1e-8) -> float:
        """Return an estimate of the relative error of the averages as the ODEs take them at a tolerance.

        It is the difference from a finer quadrature or, of Sobol' points, the spread over four ways to move them.

        Parameters
        ----------
        model : TeacherStudent
            The pair.
        omega : ndarray, shape (p + p_star, p + p_star)
            Joint covariance of the preactivations, ``start.joint`` of a :class:`tsode.Overlaps`.
        rtol : float
            As in :func:`tsode.integrate`.
        """
        return Moments(model=model.fastest).accuracy(omega, rtol)

    def scalar_drift(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        """Return E[d], the mean step of trained scalars, shape (n_scalars,): by default by quadrature."""
        return Moments(model=model).scalar_drift(M, Q, scalars)

    def teacher_marks(self, model: TeacherStudent) -> np.ndarray:
        """Return a number for each unit of the teacher, the same for those that may change places, shape (p_star,)."""
        return model.teacher_readout

    @abstractmethod
    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return the population loss less its floor, shape (...) of M, Q and `readout`, (..., p)."""

    @abstractmethod
    def floor(self, model: TeacherStudent) -> float:
        """Return the smallest loss that any function of the teacher's preactivations has, which noise may make."""

    def sample_losses(self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return the loss of given samples less the lowest, the mean over the noise of their labels, shape (m,).

        Parameters
        ----------
        model : TeacherStudent
            The pair.
        lam, mu : ndarray, shapes (p, m), (p_star, m)
            Preactivations of m samples.
        readout : ndarray, shape (p,)
            Readout of the student.
        """
        raise NoClosedForm(f"`rule` must have a loss of samples, but {self!r} has none")

    def output_error(self, model: TeacherStudent, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the error D of given samples if the loss is D^2 / 2, shape of `y`."""
        raise NoClosedForm(f"`rule` must be 'gradient' for the Hessian of samples, but is {self!r}")

    def loss_slopes(
        self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, P: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives L_M and L_Q of the population loss: see :meth:`tsode.TeacherStudent.loss_slopes`."""
        raise NoClosedForm(f"`rule` must have a loss with derivatives, but {self!r} has none")

    def parameter_slopes(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray) -> dict[str, np.ndarray]:
        """Return the derivatives of the population loss with respect to fields of the model, at one point."""
        raise NoClosedForm(f"`rule` must have a loss with derivatives, but {self!r} has none")

    def parameter_bars(self, model: TeacherStudent, bars: np.ndarray) -> dict[str, np.ndarray | float]:
        """Return derivatives with respect to fields of the model from those with respect to :meth:`parameters`."""
        raise NoClosedForm(f"`rule` must say how its parameters depend on the model, but {self!r} does not")

    def loss_curvature(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, P: np.ndarray) -> LossCurvature:
        """Return the second derivative of the loss: see :meth:`tsode.TeacherStudent.loss_curvature`."""
        raise NoClosedForm(f"`rule` must have a loss with derivatives, but {self!r} has none")

    def to_dict(self) -> dict[str, Any]:
        """Return name and arguments as JSON takes them."""
        return {"name": self.name, **{name: plain(value) for name, value in self.arguments.items()}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and type(other) is type(self) and other.to_dict() == self.to_dict()

    def __hash__(self) -> int:
        return hash(repr(self.to_dict()))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{type(self).__name__}({given})"

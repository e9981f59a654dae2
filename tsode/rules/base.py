r"""What a learning rule is: what one sample changes, as a function of the preactivations alone.

A sample moves the weights by :math:`W \leftarrow W + C x^T / \sqrt N` and trained scalars by
:math:`s \leftarrow s + d / N`. C, shape (p,), and d are functions of the preactivations :math:`z = (\lambda, \mu)`,
of the noise, of :math:`|x|^2 / N` and of s. Hence every engine and every average asks the rule and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..activations import NoClosedForm
from ..activations.error_averages import Averages
from ..activations.squared_error import LossCurvature

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Rule"]


class Rule(ABC):
    """What one sample changes.

    Attributes
    ----------
    name : str
        What it is called in files and on the command line.
    """

    name: str = ""

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
        """Return the numbers that `averages` read: by default `parameters`.

        Averages by quadrature are to have an error of at most `rtol`, as far as they can.
        """
        return self.parameters(model)

    @abstractmethod
    def averages(self, model: TeacherStudent) -> Averages:
        """Return the :class:`tsode.activations.Averages` that drive the ODEs."""

    def scalar_drift(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        """Return E[d], the mean step of trained scalars, shape (n_scalars,)."""
        return np.empty(0)

    @abstractmethod
    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return the population loss without the label noise, shape (...) of M, Q and `readout`, (..., p)."""

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

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

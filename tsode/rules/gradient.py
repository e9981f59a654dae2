r"""Gradient descent on half the squared error, :math:`\ell = D^2 / 2`.

.. math::
    D = \sum_k v_k \sigma(\lambda_k) - \sum_r v^*_r \sigma^*(\mu_r) - \sqrt\Delta\, \xi , \qquad
    C_k = -\eta\, v_k D\, \sigma'(\lambda_k) .

A trained readout is moved by :math:`d_k = -\eta_v D\, \sigma(\lambda_k)`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .._compiled import jitable, with_name_of
from .._lanes import load, store
from ..activations import Activation, squared_error
from ..activations.error_averages import Averages
from .base import Rule

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Gradient"]


class Gradient(Rule):
    """Gradient descent on half the squared error."""

    name = "gradient"

    def noises(self, model: TeacherStudent) -> int:
        """Return 1 where labels are noisy, else 0."""
        return int(model.noise_variance > 0)

    def scalars(self, model: TeacherStudent) -> np.ndarray:
        """Return v where it is trained."""
        return model.student_readout[: model.p if model.readout_learning_rate else 0]

    def step(self, model: TeacherStudent) -> Callable[..., None]:
        """Return the jitable step of the model's two activations."""
        sides = model.activation, model.teacher_activation
        return gradient_step(*sides, bool(self.noises(model)), bool(model.readout_learning_rate))

    def parameters(self, model: TeacherStudent) -> np.ndarray:
        """Return learning rate, standard deviation of the noise, v, -v* and the learning rate of a trained readout."""
        trained = [model.readout_learning_rate] if model.readout_learning_rate else []
        return np.array([*self._head(model, model.learning_rate), *trained])

    def average_parameters(self, model: TeacherStudent, rtol: float = 1e-8) -> np.ndarray:
        """Return the first four and the constants of the averages of both activations.

        The learning rate is that of steps of one sample without momentum which have the same limit.
        """
        head = self._head(model, model.effective_learning_rate)
        return np.array([*head, *model.activation.constants(model.teacher_activation, rtol)])

    def _head(self, model, learning_rate):
        sigma = math.sqrt(model.noise_variance)
        return learning_rate, sigma, *model.student_readout.tolist(), *(-model.teacher_readout).tolist()

    def averages(self, model: TeacherStudent) -> Averages:
        """Return the Averages of the model's two activations."""
        return model.activation.averages(model.teacher_activation)

    def accuracy(self, model: TeacherStudent, omega: np.ndarray, rtol: float = 1e-8) -> float:
        """Return that of the averages of both activations; 0 where they are closed."""
        readouts = model.student_readout, model.teacher_readout
        return model.activation.accuracy(model.teacher_activation, omega, *readouts, model.noise_variance, rtol)

    def scalar_drift(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        r"""Return :math:`-\eta_v E[D\, \sigma_k] / (B (1 - \beta))`, shape (p,)."""
        sides = model.activation, model.teacher_activation, scalars, model.teacher_readout
        rate = model.readout_learning_rate * model.effective_learning_rate / model.learning_rate
        return -rate * squared_error.readout_slopes(*sides, M, Q, model.teacher_overlap)[0]

    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return half the mean squared error without noise, shape (...) of M and Q."""
        mean_square = model.activation.squared_error
        P = model.teacher_overlap
        return mean_square(model.teacher_activation, readout, model.teacher_readout, M, Q, P) / 2

    def floor(self, model: TeacherStudent) -> float:
        """Return half the variance of the label noise."""
        return model.noise_variance / 2

    def sample_losses(self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return half the squared errors without noise, shape (m,)."""
        D = readout @ model.activation(lam) - model.teacher_readout @ model.teacher_activation(mu)
        return D**2 / 2

    def output_error(self, model: TeacherStudent, y_hat: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return D of given samples."""
        return y_hat - y

    def loss_slopes(
        self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, P: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return L_M and L_Q, shapes (..., p, p_star) and (..., p, p)."""
        sides = model.activation, model.teacher_activation, model.student_readout, model.teacher_readout
        return squared_error.loss_slopes(*sides, M, Q, P)

    def parameter_slopes(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray) -> dict[str, np.ndarray]:
        """Return the derivatives with respect to both readouts and P."""
        student, teacher = model.activation, model.teacher_activation
        v, v_star, P = model.student_readout, model.teacher_readout, model.teacher_overlap
        v_bar, v_star_bar = squared_error.readout_slopes(student, teacher, v, v_star, M, Q, P)
        # the error only changes its sign where student and teacher change places
        P_bar = squared_error.loss_slopes(teacher, student, v_star, v, M.T, P, Q)[1]
        return {"student_readout": v_bar, "teacher_readout": v_star_bar, "teacher_overlap": P_bar}

    def parameter_bars(self, model: TeacherStudent, bars: np.ndarray) -> dict[str, np.ndarray | float]:
        """Return the derivatives with respect to learning rate, noise and both readouts; the noise must be there."""
        return {
            "learning_rate": float(bars[0]),
            "noise_variance": float(bars[1]) / (2 * math.sqrt(model.noise_variance)),
            "student_readout": bars[2 : 2 + model.p],
            "teacher_readout": -bars[2 + model.p :],
        }

    def loss_curvature(
        self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, P: np.ndarray
    ) -> squared_error.LossCurvature:
        """Return the LossCurvature of :mod:`tsode.activations.squared_error`."""
        sides = model.activation, model.teacher_activation, model.student_readout, model.teacher_readout
        return squared_error.LossCurvature.of(*sides, M, Q, P)


@functools.lru_cache
def gradient_step(
    activation: Activation, teacher_activation: Activation, noisy: bool, trained: bool
) -> Callable[..., None]:
    """Return the step for two activations, with or without label noise, for a fixed or a trained readout."""
    # asked for once: a property may make a new function each time, which would be compiled each time
    student, teacher = activation.function, teacher_activation.function

    @jitable
    @with_name_of(student, teacher, noisy, trained)
    def step(lam, mu, noise, size, scalars, parameters, change, scalar_change):
        p, p_star = lam.shape[0], mu.shape[0]
        eta = load(parameters, 0)
        D = -load(parameters, 1) * load(noise, 0) if noisy else 0.0 * eta
        for r in range(p_star):
            D = D + load(parameters, 2 + p + r) * teacher(load(mu, r))[0]
        for k in range(p):
            value, slope = student(load(lam, k))
            v = load(scalars, k) if trained else load(parameters, 2 + k)
            D = D + v * value
            store(change, k, v * slope)
            if trained:
                store(scalar_change, k, value)
        for k in range(p):
            store(change, k, -eta * D * load(change, k))
            if trained:
                store(scalar_change, k, -load(parameters, 2 + p + p_star) * D * load(scalar_change, k))

    return step

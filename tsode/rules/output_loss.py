r"""Gradient descent on a loss :math:`\ell(\hat y, t)` of the student's output and a label.

.. math::
    \hat y = \sum_k v_k \sigma(\lambda_k), \qquad y = \sum_r v^*_r \sigma^*(\mu_r) + \sqrt\Delta\, \xi, \qquad
    C_k = -\eta\, v_k\, \ell'(\hat y, t)\, \sigma'(\lambda_k) ,

:math:`\ell'` being the derivative with respect to the first argument, and the label t what :mod:`tsode.rules.labels`
makes of y. A trained readout is moved by :math:`d_k = -\eta_v \ell'(\hat y, t)\, \sigma(\lambda_k)`. The averages are
found by quadrature.
"""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .._compiled import jitable, with_name_of
from .._lanes import load, store
from .._linear_algebra import joint_matrix
from ..activations import Activation
from ..activations.averages import gaussian_nodes, roughness
from .base import Rule
from .labels import Labels, Outputs
from .points import points

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["OutputLoss", "readout_of", "unit_jumps"]

SMOOTH = 1e-2  # part of a slope that interpolation may miss; more has kinks, whose places are not known
FEW = 4  # units up to which losses are sums over products of nodes; trajectories ask for many of them
NOISE_NODES = 33  # of the noise of given samples
FAR, GRID = 40.0, 4001  # how far out, and on how many points, an output is looked at for where it crosses a value


class OutputLoss(Rule):
    """Base of the losses of the output. A new one has a `name` and its `function`; the rest says more about it.

    Attributes
    ----------
    labels : Labels
        What it takes as label; the output of the teacher by default.
    breaks : tuple of float or None
        Outputs of the student at which the slope jumps, for any label; None where it has kinks that move with it.
    scale : float
        Change of the outputs over which the slope varies.
    """

    breaks: tuple[float, ...] | None = ()
    scale: float = 1.0

    @property
    def labels(self) -> Labels:
        """What it takes as label."""
        return Outputs()

    @property
    @abstractmethod
    def function(self) -> Callable[..., Any]:
        """Plain function (y_hat, label) -> (value, slope) under :func:`tsode.activations.jitable`.

        It serves NumPy and the compiler; the slope is the derivative with respect to `y_hat`.
        """

    def lowest(self, label: np.ndarray, spread: float) -> np.ndarray | float:
        """Return the smallest mean loss for given outputs of the teacher, over all outputs of the student.

        Parameters
        ----------
        label : ndarray, shape (m,)
            Mean label over the noise.
        spread : float
            Standard deviation of the noise of the teacher's output.

        Returns
        -------
        ndarray or float, shape (m,)
            0 by default, for a loss that is zero where the outputs agree; then noise in the labels counts as excess.
        """
        return 0.0

    def noises(self, model: TeacherStudent) -> int:
        """Return 1 where outputs are noisy, and 1 more where labels are drawn."""
        return int(model.noise_variance > 0) + self.labels.draws

    def hidden_noises(self, model: TeacherStudent) -> int:
        """Return 1 where outputs are noisy and the labels do not sum over that."""
        return int(model.noise_variance > 0 and not self.labels.averaged)

    def scalars(self, model: TeacherStudent) -> np.ndarray:
        """Return v where it is trained."""
        return model.student_readout[: model.p if model.readout_learning_rate else 0]

    def parameters(self, model: TeacherStudent) -> np.ndarray:
        """Return learning rate, standard deviation of the noise, v, v* and the learning rate of the readout."""
        rates = [model.learning_rate, math.sqrt(model.noise_variance)], [model.readout_learning_rate]
        return np.concatenate([rates[0], model.student_readout, model.teacher_readout, rates[1]])

    def step(self, model: TeacherStudent) -> Callable[..., None]:
        """Return the jitable step."""
        target = self.target(model)
        return _step(self, model.activation, target, bool(model.noise_variance), bool(model.readout_learning_rate))

    def target(self, model: TeacherStudent) -> Callable[..., Any]:
        """Return the jitable function (y, mu, parameters, first) -> y plus the output; v* stands from `first` on."""
        return _sum_over_units(model.teacher_activation)

    def teacher_output(self, model: TeacherStudent, mu: np.ndarray) -> np.ndarray:
        """Return the output without noise, shape (m,), for `mu` of shape (p_star, m)."""
        return model.teacher_readout @ model.teacher_activation(mu)

    def outcomes(
        self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, noise: np.ndarray, scalars: np.ndarray
    ) -> list[tuple[Any, np.ndarray, np.ndarray]]:
        """Return one outcome for each label that a sample may have."""
        v = readout_of(model, scalars)[:, None]
        values, slopes = model.activation.function(lam)
        y_hat, trained, found = np.sum(v * values, axis=0), values[: len(scalars)], []
        for odds, label in self._labelled(model, mu, noise):
            fall = -self.function(y_hat, label)[1]
            found.append((odds, model.learning_rate * v * slopes * fall, model.readout_learning_rate * trained * fall))
        return found

    def _labelled(self, model, mu, noise):
        y = self.teacher_output(model, mu)
        return self.labels.outcomes(y, math.sqrt(model.noise_variance), noise[0] if len(noise) else 0.0)

    def jumps(self, model: TeacherStudent, scalars: np.ndarray) -> list[np.ndarray] | None:
        """Return kinks of the activations, and where the output of one unit crosses what the loss jumps at."""
        sides = (model.activation, readout_of(model, scalars)), (model.teacher_activation, model.teacher_readout)
        sharp = self.labels.jumps and (model.p_star == 1 or not model.noise_variance)
        at = self.breaks, (0.0,) if sharp else ()
        found = [unit_jumps(*side, levels) for side, levels in zip(sides, at)]
        return None if found[0] is None or found[1] is None else found[0] + found[1]

    def sharpness(self, model: TeacherStudent, scalars: np.ndarray) -> float:
        """Return the largest readout over the change of outputs that matters."""
        v, v_star = np.abs(readout_of(model, scalars)).max(), np.abs(model.teacher_readout).max()
        return max(1.0, v / self.scale, v_star / self.labels.width(math.sqrt(model.noise_variance)))

    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return the mean loss less the lowest, given the teacher's preactivations: never negative, shape (...)."""
        M, Q = np.asarray(M, dtype=np.float64), np.asarray(Q, dtype=np.float64)
        omega, found = joint_matrix(M, Q, model.teacher_overlap), np.full(M.shape[:-2], np.nan)
        readout = np.broadcast_to(readout, (*found.shape, model.p))
        for i in np.ndindex(found.shape):
            if np.isfinite(omega[i]).all():  # a run that ended has none
                found[i] = self._mean_excess(model, omega[i], readout[i])
        return found[()]

    def _mean_excess(self, model, omega, v):
        jumps = self.jumps(model, v) if len(omega) <= FEW else None
        noises = self.hidden_noises(model)
        error, sharpness = _loss_error(len(omega)), self.sharpness(model, v)
        at = points(omega, jumps, noises, error, sharpness, degree=self.degree(model))
        y_hat, mu = v @ model.activation(at.z[: model.p]), at.z[model.p :]
        return at.weights @ self._excess(model, y_hat, mu, at.noise)

    def sample_losses(self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Return the mean over the labels less the lowest, shape (m,)."""
        y_hat, hidden = readout @ model.activation(lam), self.hidden_noises(model)
        nodes, weights = gaussian_nodes(NOISE_NODES) if hidden else (np.zeros(1), np.ones(1))
        return sum(w * self._excess(model, y_hat, mu, [noise] * hidden) for noise, w in zip(nodes, weights))

    def _excess(self, model, y_hat, mu, noise):
        total = sum(odds * self.function(y_hat, label)[0] for odds, label in self._labelled(model, mu, noise))
        return total - self._lowest(model, mu)

    def _lowest(self, model, mu):
        spread = math.sqrt(model.noise_variance)
        y = self.teacher_output(model, mu)
        return np.broadcast_to(self.lowest(self.labels.mean(y, spread), spread), y.shape)

    def floor(self, model: TeacherStudent) -> float:
        """Return the mean of the lowest loss, given the teacher's preactivations."""
        v, P = model.student_readout, model.teacher_overlap
        jumps = self.jumps(model, v)
        error, sharpness = _loss_error(model.p_star), self.sharpness(model, v)
        at = points(P, jumps and jumps[model.p :], 0, error, sharpness, degree=self.degree(model))
        return float(at.weights @ self._lowest(model, at.z))


def readout_of(model: TeacherStudent, scalars: np.ndarray) -> np.ndarray:
    """Return v: the scalars, or what is fixed."""
    return scalars if len(scalars) else model.student_readout


def _loss_error(units):
    """Return the relative error of a loss that depends on so many preactivations."""
    return 10.0 ** (2 * units - 13)


def unit_jumps(
    activation: Activation, readout: np.ndarray, levels: tuple[float, ...] | None
) -> list[np.ndarray] | None:
    """Return where each unit has kinks or its output crosses some levels; None where that is not so simple."""
    if levels is None or (levels and len(readout) > 1):
        return None
    if not activation.kinks and roughness(activation)[0] > SMOOTH:
        return None
    crossed = (_crossings(activation, float(readout[0]), level) for level in levels)
    return [np.unique(np.concatenate([np.array(activation.kinks), *crossed]))] * len(readout)


@functools.lru_cache(maxsize=256)
def _crossings(activation: Activation, readout: float, level: float) -> np.ndarray:
    """Return where the output of a single unit crosses a level."""
    x = np.linspace(-FAR, FAR, GRID)
    above = readout * activation(x) > level
    low = np.flatnonzero(above[1:] != above[:-1])
    ends, rising = np.array([x[low], x[low + 1]]), above[low + 1]
    for _ in range(50):
        middle = (ends[0] + ends[1]) / 2
        past = (readout * activation(middle) > level) == rising
        ends = np.where(past, [ends[0], middle], [middle, ends[1]])
    return ends[0]


def _named(function):
    """Return a function under a name of its own, if it holds numbers of its rule."""
    return with_name_of(function)(function) if function.__closure__ else function


@functools.lru_cache
def _sum_over_units(activation: Activation) -> Callable[..., Any]:
    """Return the output of a teacher with this activation, added to y."""
    teacher = activation.function  # asked for once: a property may make a new function each time

    @jitable
    @with_name_of(teacher)
    def target(y, mu, parameters, first):
        for r in range(mu.shape[0]):
            y = y + load(parameters, first + r) * teacher(load(mu, r))[0]
        return y

    return target


@functools.lru_cache
def _step(
    rule: OutputLoss, student_activation: Activation, target: Callable[..., Any], noisy: bool, trained: bool
) -> Callable[..., None]:
    """Return the step for an activation and a target, with or without noise, for a fixed or a trained readout."""
    student = student_activation.function  # asked for once, as above
    loss, label = map(_named, (rule.function, rule.labels.function))
    draws, drawn_at = rule.labels.draws > 0, int(noisy)

    @jitable
    @with_name_of(student, target, loss, label, draws, noisy, trained)
    def step(lam, mu, noise, size, scalars, parameters, change, scalar_change):
        p, p_star = lam.shape[0], mu.shape[0]
        eta = load(parameters, 0)
        y = load(parameters, 1) * load(noise, 0) if noisy else 0.0 * eta
        y = target(y, mu, parameters, 2 + p)
        y_hat = 0.0 * eta
        for k in range(p):
            value, slope = student(load(lam, k))
            v = load(scalars, k) if trained else load(parameters, 2 + k)
            y_hat = y_hat + v * value
            store(change, k, v * slope)
            if trained:
                store(scalar_change, k, value)
        draw = load(noise, drawn_at) if draws else y
        fall = -loss(y_hat, label(y, draw))[1]
        for k in range(p):
            store(change, k, eta * fall * load(change, k))
            if trained:
                store(scalar_change, k, load(parameters, 2 + p + p_star) * fall * load(scalar_change, k))

    return step

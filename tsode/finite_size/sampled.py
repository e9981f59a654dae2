r"""The moments of one step of gradient descent by quadrature, for activations that have none in closed form.

What the ODEs have anyway, the drift f, gives J and H by central differences. The covariance of the step is a sum over
products of nodes of :mod:`tsode.rules.points`, the label noise over three, which are exact for the powers that occur.
For h of any form the mean of :math:`h |x|^2` at the norm's own correlation with the preactivations is
:math:`N E[h] + E[z \cdot \nabla h]`, so that :math:`g_Q` is the derivative of :math:`E[C C^T]` with respect to the
logarithm of a factor on all preactivations.
"""

from __future__ import annotations

import numpy as np

from .._linear_algebra import joint_matrix
from .._states import pack, start_state, unpack
from ..closed_forms import NoClosedForm
from ..model import TeacherStudent
from ..ode.rhs import right_hand_side
from ..overlaps import Overlaps
from ..rules.points import Points, points
from .layout import entries_of, matrices_of, pairs_of
from .rates import BEND, COHERENT, DRIFT, LINEAR, change, constrain, shares_of

__all__ = ["Sampled", "quadrature", "solve_sampled"]

FINE, ACCURACY = 1e-8, 1e-5  # relative errors of the drift, as far as it can, and of B
FIRST, SECOND, SCALING = 5e-3, 5e-2, 1e-3  # steps of the differences that stand for J, H and the derivative of K
LOOSEST = 1e-4  # tolerance of C and m
NORMALS, WEIGHTS = np.array([-np.sqrt(3), 0.0, np.sqrt(3)]), np.array([1, 4, 1]) / 6  # exact up to the fifth power


class Sampled:
    """The moments of a step, for one model.

    Parameters
    ----------
    model : TeacherStudent
        Gradient descent with a fixed readout.
    """

    def __init__(self, model: TeacherStudent) -> None:
        self.model = model
        rate = {"learning_rate": model.effective_learning_rate, "batch_size": 1, "weight_decay": 0.0}
        self.bare = model.replace(constraint="free", **rate)
        self.pairs = pairs_of(model).astype(int)
        self.rates, self.shares = right_hand_side(self.bare, rtol=FINE), shares_of(self.pairs, model.p)

    def drift(self, o: np.ndarray) -> np.ndarray:
        """Return f of a free student, shape (n,)."""
        found = self.rates(0.0, pack(*matrices_of(o, self.model)))
        return entries_of(*unpack(found, self.model))

    def moments(self, o: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return J, B and the lines of the model's steps at one point, given fluctuations of covariance C."""
        model = self.model
        J, B, lines = self.free_moments(o, C)
        decay = model.weight_decay / model.batch_size
        constrain(o, C, model.p, model.batch_size, decay, model.spherical, self.shares, J, B, lines)
        return J, B, lines

    def free_moments(self, o: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what :class:`tsode.activations.error_averages.Averages` asks of `step`."""
        n, f = len(o), self.drift(o)
        J = np.transpose([(self.drift(o + h) - self.drift(o - h)) / (2 * FIRST) for h in FIRST * np.eye(n)])
        lines = np.empty((4, n))
        B = self._covariance(o, lines)
        lines[DRIFT] = f
        values, vectors = np.linalg.eigh(C)
        for value, vector in zip(values, vectors.T):
            if value > 1e-12 * values[-1]:
                bent = self.drift(o + SECOND * vector) - 2 * f + self.drift(o - SECOND * vector)
                lines[BEND] += value / 2 * bent / SECOND**2
        return J, B, lines

    def _covariance(self, o, lines):
        """Return the covariance of X, and write to `lines` what does not depend on C."""
        p, (a, b) = self.model.p, self.pairs
        omega = joint_matrix(*matrices_of(o, self.model), self.model.teacher_overlap)
        z, noise, weights = self._points(omega)
        c = self._steps(z, noise)
        students = (b < p)[:, None]
        inner = np.where(students, c[np.minimum(b, p - 1)], 0.0)  # c of the second unit, 0 of a teacher
        linear = c[a] * z[b] + inner * z[a]
        X = linear + c[a] * inner
        mean, lines[LINEAR] = X @ weights, linear @ weights
        K = [self._steps(factor * z, noise) for factor in (np.exp(SCALING), np.exp(-SCALING))]
        K = [(each * weights) @ each.T for each in K]
        lines[BEND] = np.where(b < p, (K[0] - K[1])[a, np.minimum(b, p - 1)] / (2 * SCALING), 0.0)
        F = (c * weights) @ z.T
        lines[COHERENT] = np.where(b < p, (F @ np.linalg.pinv(omega, rcond=1e-10) @ F.T)[a, np.minimum(b, p - 1)], 0.0)
        return (X * weights) @ X.T - np.outer(mean, mean)

    def _points(self, omega):
        """Return points, label noise there, or none, and weights."""
        found = quadrature(self.model, omega)
        if not self.model.noise_variance:
            return found.z, np.empty((0, len(found.weights))), found.weights
        noise = np.repeat(NORMALS, len(found.weights))[None]
        return np.tile(found.z, 3), noise, np.outer(WEIGHTS, found.weights).ravel()

    def _steps(self, z, noise):
        """Return C at points, shape (p, m)."""
        p = self.model.p
        return self.bare.rule.outcomes(self.bare, z[:p], z[p:], noise, np.empty(0))[0][1]


def quadrature(model: TeacherStudent, omega: np.ndarray) -> Points:
    """Return points and weights of the quadrature over preactivations of a covariance; raise where it would sample."""
    kinks = [np.array(each.kinks) for each in [model.activation] * model.p + [model.teacher_activation] * model.p_star]
    found = points(omega, kinks, rtol=ACCURACY)
    if found.moved:
        raise NoClosedForm(
            "`model` must have fewer units, or the square as activation, for fluctuations; take the spread of runs "
            f"of tsode.simulate, whose chain is exact for any: quadrature over {len(omega)} preactivations of "
            f"{model.activation!r} and {model.teacher_activation!r} is too dear"
        )
    return found


def solve_sampled(
    model: TeacherStudent, start: Overlaps, first: np.ndarray, alpha: np.ndarray, rtol: float, atol: float
) -> np.ndarray:
    """Return the states (o, C, m) at the times that were reached, shape (T', n): C and m along a solution for o."""
    from scipy.integrate import solve_ivp  # half of the package's import time, if it stood above

    sampled, n, ends = Sampled(model), len(pairs_of(model)[0]), (alpha[0], alpha[-1])
    options = {"method": "DOP853", "rtol": rtol, "atol": atol}
    path = solve_ivp(right_hand_side(model), ends, start_state(model, start), dense_output=True, **options).sol

    def rates(time, y):
        y = np.concatenate([entries_of(*unpack(path(time), model)), y])
        dy, C = np.empty_like(y), y[n : n + n * n].reshape(n, n)
        change(y, *sampled.moments(y[:n], C), dy)
        return dy[n:]

    rest = solve_ivp(rates, ends, first[n:], t_eval=alpha, **{**options, "rtol": max(rtol, LOOSEST), "atol": LOOSEST})
    overlaps = np.array([entries_of(*unpack(path(time), model)) for time in rest.t])
    return np.hstack([overlaps, rest.y.T])

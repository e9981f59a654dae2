r"""How the end is approached: exponentially, by a power law, or not at all under label noise.

Equal readouts v of the student; the teacher's eigenvalues :math:`l_1 \ge l_2 \ge \dots` as in
:mod:`tsode.activations.quadratic.minima`, :math:`k = \min(p, p^*)` of them kept.

Gradient flow, p <= p*. Of the student's rows, what lies outside the teacher's span decays as
:math:`e^{-4 v l_k \tau}`, what lies along eigenvector j > k as :math:`e^{-4 v (l_k - l_j) \tau}` (it stays where
they tie); the rest of the student relaxes faster. The excess loss is quadratic in them.

Gradient flow, p > p*. The p - p* surplus directions have no force of first order. Let them carry
:math:`y = v q` each. The teacher's directions follow at once, each short of its eigenvalue by t/2 with
:math:`t = 2 (p - p^*) y / (p^* + 2)`, so that

.. math::
    \frac{dy}{d\tau} = -4 v y (t + 2 y) = -8 v \frac{p + 2}{p^* + 2}\, y^2 , \qquad
    L = (p - p^*) \frac{p + 2}{p^* + 2}\, y^2
    \;\to\; \frac{(p - p^*)(p^* + 2)}{64 v^2 (p + 2)\, \tau^2} .

Finite learning rate, isotropic teacher (eigenvalue :math:`\mu`, :math:`M M^T` a multiple of a projector). Let the
k kept directions have :math:`y = v q` and :math:`n = v \mu\, m^2`, m the singular value of M in units of that of
:math:`P^{1/2}`, and the surplus ones :math:`z = v q`. dM = 0 needs :math:`t + 2 y = 2 \mu`, hence

.. math::
    t = \frac{2 [(p - k) z - (p^* - k) \mu]}{k + 2}, \qquad
    E = t^2 + 2 [k (y^2 - 2 n) + p^* \mu^2 + (p - k) z^2] + \Delta ,

and dQ = 0 needs, in the kept and in the surplus directions, with :math:`\beta = y^2 - n`,

.. math::
    t y + 2 \beta &= \eta v\, [E y + 4 t \beta + 8 (\beta y - n (y - \mu))] , \\
    t + 2 z &= \eta v\, (E + 4 t z + 8 z^2) \quad \text{or} \quad z = 0 .

The first is linear in n; the second is then an equation for z alone. For p = p* both are solved by hand:
:math:`L = p v \mu\, \eta \Delta / [1 - 2 \eta v \mu (p + 2)]`, and above
:math:`\eta = 1 / [2 v \mu (p + 2)]` SGD does not stay at the solution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..base import NoClosedForm
from .minima import TIE

if TYPE_CHECKING:
    from ...model import TeacherStudent
    from .theory import Theory

__all__ = ["loss_floor", "power_law", "relaxation_rate"]

GRID = 400  # values of z among which the smallest root is bracketed


def relaxation_rate(theory: Theory) -> float:
    """Return the exponential rate of the excess loss over its minimum, per alpha; 0 for p > p*."""
    model = theory.model
    v, minima = _equal_readout(model), theory.minima
    if model.p > minima.rank:
        return 0.0
    last = minima.values[model.p - 1]
    lower = minima.values[minima.values < last - TIE * minima.values[0]]
    gap = last - lower.max(initial=0.0)
    return float(8 * model.learning_rate * v * gap)


def power_law(theory: Theory, alpha: np.ndarray) -> np.ndarray:
    """Return the excess loss at the times `alpha`, for p > p*."""
    model = theory.model
    v, minima = _equal_readout(model), theory.minima
    surplus = model.p - minima.rank
    if surplus <= 0:
        raise NoClosedForm(
            f"`model` must have p > p_star for a power law, but has p = {model.p}, p_star = {minima.rank}"
        )
    return np.asarray(surplus * (minima.rank + 2) / (64 * (v * model.learning_rate * alpha) ** 2 * (model.p + 2)))


def loss_floor(theory: Theory) -> float:
    """Return the excess loss of the fixed point near the solutions; nan where there is none."""
    model = theory.model
    v, _ = _equal_readout(model), theory.minima  # which raises where there is no solution to end at
    if not model.is_uniform:
        raise NoClosedForm("`model` must have equal readouts of the teacher and P = 1")
    mu = abs(model.teacher_readout[0])
    fixed = _FixedPoint(model, v, mu)
    if model.p <= model.p_star:
        return fixed.loss(0.0)
    # z is of the order of eta v Delta; the plateau, where n = 0, bounds it from above
    grid = np.concatenate([[0.0], np.geomspace(1e-12, 4.0, GRID) * mu * model.p_star])
    force = [fixed.surplus_force(z) for z in grid]
    if force[0] <= 0:  # no label noise, or less than the rounding error
        return fixed.loss(0.0)
    down = next((i for i in range(1, len(grid)) if force[i] < 0 <= force[i - 1]), None)
    if down is None:
        return np.nan
    from scipy.optimize import brentq  # a third of the package's import time, if it stood above

    return fixed.loss(brentq(fixed.surplus_force, grid[down - 1], grid[down], xtol=1e-300, rtol=1e-14))


class _FixedPoint:
    """The equations of the module's docstring, for given z."""

    def __init__(self, model: TeacherStudent, v: float, mu: float) -> None:
        self.p, self.p_star, self.k, self.mu = model.p, model.p_star, min(model.p, model.p_star), mu
        self.eta_v, self.noise_variance = model.learning_rate * v, model.noise_variance

    def _state(self, z):
        """Return t, y, E, n."""
        k, mu, c = self.k, self.mu, self.eta_v
        t = 2 * ((self.p - k) * z - (self.p_star - k) * mu) / (k + 2)
        y = mu - t / 2
        E0 = t * t + 2 * (k * y * y + self.p_star * mu**2 + (self.p - k) * z * z) + self.noise_variance
        # t y + 2 beta - c [E y + 4 t beta + 8 (beta y - n (y - mu))] = constant - slope n
        constant = t * y + 2 * y * y - c * (E0 * y + 4 * t * y * y + 8 * y**3)
        slope = 2 - c * (4 * k * y + 4 * t + 8 * y + 8 * (y - mu))
        n = constant / slope if slope > 0 else np.nan
        return t, y, E0 - 4 * k * n, n

    def surplus_force(self, z):
        """Return f of the surplus directions."""
        t, _, E, _ = self._state(z)
        return -(t + 2 * z) + self.eta_v * (E + 4 * t * z + 8 * z * z)

    def loss(self, z):
        """Return the excess loss."""
        _, _, E, n = self._state(z)
        return float((E - self.noise_variance) / 2) if n >= 0 else np.nan


def _equal_readout(model):
    """Return |v| of a free model with equal readouts of the student."""
    if np.ptp(model.student_readout) != 0:
        raise NoClosedForm("`model` must have equal readouts of the student")
    if model.spherical:
        raise NoClosedForm("`model` must be free: the late times of the spherical constraint have no closed form here")
    return abs(model.student_readout[0])

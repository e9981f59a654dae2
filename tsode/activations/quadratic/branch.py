"""What all branches of fixed points at M = 0 share: see :mod:`tsode.activations.quadratic.fixed_points`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._linear_algebra import semidefinite_root

if TYPE_CHECKING:
    from ...model import TeacherStudent

__all__ = ["ALIGNING", "ALWAYS_ESCAPE", "NO_ESCAPE", "Branch"]

NO_ESCAPE = "M decays at every learning rate: no direction of the teacher has the sign of a student's readout"
ALWAYS_ESCAPE = "M grows at every learning rate up to the largest"
NO_OUTPUT = "the student or the teacher puts out zero, so nothing is learned"
ALIGNING = "rows of the student with readouts of opposite sign align, so Q = I attracts at no learning rate"


class Branch:
    """What all branches share: the rates at a point y, and the limits, which are nan where there is no output.

    Attributes
    ----------
    end, escape, fastest : float
        Learning rates above which there is no attracting fixed point, above which M does not grow, and at which
        it grows fastest; nan where there is none.
    reasons : dict of str
        Why, for each of the three that is nan.
    """

    end = escape = fastest = np.nan

    def __init__(self, model: TeacherStudent) -> None:
        self.v = model.student_readout
        F = semidefinite_root(model.teacher_overlap)
        self.mu = np.linalg.eigvalsh((F.T * model.teacher_readout) @ F)
        self.T1, self.T2 = self.mu.sum(), np.square(self.mu).sum()
        self.noise_variance = model.noise_variance
        self.spherical = model.spherical
        self.reasons = dict.fromkeys(("end", "escape", "fastest"), NO_OUTPUT)
        # the inverse of the natural unit of the learning rate: largest readout times sqrt(E) at y = 0
        teacher = np.abs(self.mu).max() * np.sqrt(self.T1**2 + 2 * self.T2 + self.noise_variance)
        self.scale = np.abs(self.v).max() * np.sqrt(teacher)

    def point(self, eta: float) -> np.ndarray | None:
        """Return y, shape (p,), at a learning rate, or None above the end of the branch."""
        return None

    def escape_rate(self, eta: float, y: np.ndarray, gradient_flow: bool = False) -> float:
        """Return the largest growth rate of M; gradient flow has no term in f of second order."""
        t, _ = self._moments(y)
        rates = 2 * eta * self.v[:, None] * (2 * self.mu - (t + 2 * y)[:, None])
        if self.spherical:
            rates = rates - (2 * eta * self.v * self.growth(0.0 if gradient_flow else eta, y))[:, None]
        return float(rates.max())

    def norms(self, y: np.ndarray) -> np.ndarray:
        """Return q = y / v; a row with v = 0 never moves and counts as 1."""
        return np.divide(y, self.v, out=np.ones_like(y), where=self.v != 0) + 0.0  # no -0.0

    def growth(self, eta: float, y: np.ndarray) -> np.ndarray:
        """Return f_k, shape (p,)."""
        t, E = self._moments(y)
        return -(t + 2 * y) + eta * self.v * (E + 4 * t * y + 8 * y * y)

    def growth_jacobian(self, eta: float, y: np.ndarray) -> np.ndarray:
        """Return df_k/dy_j, shape (p, p)."""
        t, _ = self._moments(y)
        c = eta * self.v
        jacobian = -1 + 2 * c[:, None] * (t + 2 * y[:, None] + 2 * y)
        return jacobian - 2 * np.diag(1 - 2 * c * (t + 4 * y))

    def angle_growth(self, eta: float, y: np.ndarray) -> np.ndarray:
        """Return the growth rates of Q_kl off the diagonal in units of 2 eta, shape (p, p), with zeros on it."""
        t, E = self._moments(y)
        v, b = self.v, y[:, None] + y
        rates = -(v[:, None] + v) * (t + 2 * b) + 2 * eta * np.outer(v, v) * (
            E + 4 * t * b + 8 * (b * b - np.outer(y, y))
        )
        np.fill_diagonal(rates, 0.0)
        return rates

    def _moments(self, y):
        t = y.sum() - self.T1
        return t, t * t + 2 * (y @ y + self.T2) + self.noise_variance

    def _set_limits(self, **limits):
        """Set the three limits; a string is the reason why one does not exist."""
        self.reasons = {name: value for name, value in limits.items() if isinstance(value, str)}
        for name, value in limits.items():
            setattr(self, name, np.nan if isinstance(value, str) else float(value))

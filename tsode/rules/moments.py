r"""The averages of any learning rule by quadrature: what the rule does at points, summed with weights.

With preactivations z of covariance :math:`\Omega` the ODEs ask for :math:`F = E[C z^T]` and :math:`K = E[C C^T]`. No
derivative is taken, so that rules may jump. K has no negative eigenvalue, and where the rule does nothing, as square
loss does at a solution, both are zero. The points are those of :mod:`tsode.rules.points`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._linear_algebra import joint_matrix
from ..activations.error_averages import Averages
from .points import SHIFTS, points

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Moments"]

RTOL = 1e-8  # of the mean step of trained scalars
AT_ONCE = 1 << 14  # points whose values stay in cache together


@dataclass(frozen=True)
class Moments(Averages):
    """Averages of the rule of a model by quadrature, for NumPy: F and K at once, and no J.

    Attributes
    ----------
    model : TeacherStudent
        Whose rule.
    """

    model: TeacherStudent = None  # type: ignore[assignment]

    def moments(
        self, omega: np.ndarray, parameters: np.ndarray, p: int, second_order: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return F and, if the term of second order is wanted, K.

        The first of `parameters` is the learning rate, to which C is proportional; the last is the relative error, and
        trained scalars stand from the third on.
        """
        scalars, share = parameters[2 : 2 + len(self.model.rule.scalars(self.model))], self._share(parameters[0])
        F, K, _ = self._sums(omega, scalars, parameters[-1])
        return share * F, share**2 * K if second_order else None

    def scalar_drift(self, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        """Return E[d], shape (n_scalars,)."""
        omega = joint_matrix(M, Q, self.model.teacher_overlap)
        return self._share(self.model.effective_learning_rate) * self._sums(omega, scalars, RTOL)[2]

    def _share(self, learning_rate):
        return learning_rate / self.model.learning_rate

    def tolerance(self, omega: np.ndarray, rtol: float) -> float:
        """Return the relative tolerance that the ODEs can be solved to from a point: larger where points are few."""
        return max(rtol, self._points(omega, self.model.rule.scalars(self.model), rtol).tolerance)

    def accuracy(self, omega: np.ndarray, rtol: float) -> float:
        """Return an estimate of the relative error of F and K: the largest difference over the largest entry."""
        scalars = self.model.rule.scalars(self.model)
        moved = self._points(omega, scalars, rtol).moved
        others = [{"seed": SHIFTS + i} for i in (1, 2, 3)] if moved else [{"finer": 2}]
        found = [np.hstack(self._sums(omega, scalars, rtol, **more)[:2]) for more in ({}, *others)]
        spread = np.std(found, axis=0, ddof=1).max() if moved else np.abs(found[0] - found[1]).max()
        return float(spread / max(np.abs(found[0]).max(), 1e-300))

    def _points(self, omega, scalars, rtol, **more):
        rule, model = self.model.rule, self.model
        sharpness, noises = rule.sharpness(model, scalars), rule.hidden_noises(model)
        more["degree"] = rule.degree(model)
        return points(omega, rule.jumps(model, scalars), noises, rtol, sharpness, **more)

    def _sums(self, omega, scalars, rtol, **more):
        """Return F, K and E[d] at the learning rate of the model."""
        p, rule = self.model.p, self.model.rule
        F, K, drift = np.zeros((p, len(omega))), np.zeros((p, p)), np.zeros(len(scalars))
        if not np.isfinite(omega).all():  # a solution that diverges
            return F * np.nan, K * np.nan, drift * np.nan
        z, noise, weights, *_ = self._points(omega, scalars, rtol, **more)
        for first in range(0, len(weights), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            x = z[:, part]
            for odds, C, d in rule.outcomes(self.model, x[:p], x[p:], noise[:, part], scalars):
                share = odds * weights[part]
                weighted = C * share
                F += weighted @ x.T
                K += weighted @ C.T
                drift += d @ share
        return F, K, drift

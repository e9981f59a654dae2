r"""The averages of any learning rule by quadrature: what the rule does at points, summed with weights.

With preactivations z of covariance :math:`\Omega` the ODEs ask for :math:`F = E[C z^T]` and :math:`K = E[C C^T]`. No
derivative is taken, so that rules may jump. K has no negative eigenvalue, and where the rule does nothing, as square
loss does at a solution, both are zero. The points are those of :mod:`tsode.rules.points`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..activations.error_averages import Averages
from .points import SHIFTS, points

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Moments"]


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
        """Return F and, if the term of second order is wanted, K; the last of `parameters` is the relative error."""
        F, K = self._sums(omega, parameters[-1])
        return F, K if second_order else None

    def tolerance(self, omega: np.ndarray, rtol: float) -> float:
        """Return the relative tolerance that the ODEs can be solved to from a point: larger where points are few."""
        return max(rtol, self._points(omega, rtol).tolerance)

    def accuracy(self, omega: np.ndarray, rtol: float) -> float:
        """Return an estimate of the relative error of F and K: the largest difference over the largest entry."""
        found = [np.hstack(self._sums(omega, rtol))]
        if self._points(omega, rtol).moved:
            found += [np.hstack(self._sums(omega, rtol, seed=seed)) for seed in range(SHIFTS + 1, SHIFTS + 4)]
            spread = np.std(found, axis=0, ddof=1).max()
        else:
            spread = np.abs(found[0] - np.hstack(self._sums(omega, rtol, finer=2))).max()
        return float(spread / max(np.abs(found[0]).max(), 1e-300))

    def _points(self, omega, rtol, **more):
        rule, model = self.model.rule, self.model
        return points(omega, rule.jumps(model), rule.hidden_noises(model), rtol, rule.sharpness(model), **more)

    def _sums(self, omega, rtol, **more):
        p, rule = self.model.p, self.model.rule
        F, K = np.zeros((p, len(omega))), np.zeros((p, p))
        if not np.isfinite(omega).all():  # a solution that diverges
            return F * np.nan, K * np.nan
        z, noise, weights, *_ = self._points(omega, rtol, **more)
        for odds, C, _ in rule.outcomes(self.model, z[:p], z[p:], noise, np.empty(0)):
            weighted = C * (odds * weights)
            F += weighted @ z.T
            K += weighted @ C.T
        return F, K

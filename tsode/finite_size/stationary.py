r"""Fluctuations at rest: on the noise floor, and on plateaus.

At a fixed point of the ODE :math:`\dot C = J C + C J^T + B` has constant coefficients. In the directions that relax C
becomes stationary, which is Lyapunov's equation. A direction of zero rate, along a manifold of fixed points such as the
rotations of the solutions for equal readouts, is explored by diffusion: C grows as :math:`\alpha D` there. What grows
exponentially, as M on a plateau, has no stationary spread and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import schur, solve_continuous_lyapunov, solve_sylvester

from .._display import Report
from .._parameters import describe
from ..closed_forms import closed_forms
from ..model import TeacherStudent
from ..overlaps import Overlaps
from ..plateaus.fixed_point import FixedPoint, attracting_point, fixed_point
from .driver import check_fluctuating
from .layout import entries_of
from .loss import loss_correction, loss_variance
from .rates import BEND, Rates
from .sampled import Sampled

__all__ = ["Stationary", "stationary_fluctuations"]

ZERO = 1e-6  # of the largest rate: one that counts as zero
SURPLUS = 0.1  # Q of directions that no solution needs, where the search for the floor begins


@dataclass(frozen=True, eq=False, repr=False)
class Stationary(Report):
    r"""How SGD at large N fluctuates about a fixed point of its ODE; the n entries are those of `Fluctuations`.

    Attributes
    ----------
    point : FixedPoint
        Where.
    covariance : ndarray, shape (n, n)
        N times the covariance of the entries, but for what does not relax.
    correction : ndarray, shape (n,)
        N times what their mean differs from the fixed point by, likewise.
    diffusion : ndarray, shape (n, n)
        D, what the noise adds per unit of alpha to N times the covariance in directions that do not relax.
    loss_variance : float
        N times the variance of the loss.
    loss_correction : float
        N times what the mean of the loss differs from that of the fixed point by.
    """

    point: FixedPoint
    covariance: np.ndarray
    correction: np.ndarray
    diffusion: np.ndarray
    loss_variance: float
    loss_correction: float

    @property
    def relative_variance(self) -> float:
        r""":math:`N\, \mathrm{Var}(L) / L^2` of the excess loss, float."""
        return self.loss_variance / self.point.excess_loss**2

    @property
    def relative_correction(self) -> float:
        """N (E[L] - L) / L of the excess loss, float."""
        return self.loss_correction / self.point.excess_loss

    def _title(self):
        return f"Stationary fluctuations, {describe(self.point.model)}"

    def _rows(self):
        return [
            ("fixed point", self.point.verdict),
            ("excess loss L", f"{self.point.excess_loss:.6g}"),
            ("N Var(L) / L²", f"{self.relative_variance:.4g}"),
            ("N (E[L] - L) / L", f"{self.relative_correction:.4g}"),
            ("largest N Var of an entry", f"{np.diagonal(self.covariance).max():.4g}"),
            ("diffusion, trace per α", f"{self.diffusion.trace():.4g}"),
        ]


def stationary_fluctuations(model: TeacherStudent, start: Overlaps | None = None) -> Stationary:
    r"""Return the fluctuations of SGD where its ODE rests: at the noise floor, or on a plateau.

    Parameters
    ----------
    model : TeacherStudent
        As of :func:`tsode.fluctuations`.
    start : Overlaps, optional
        A point near the fixed point, which :func:`tsode.fixed_point` finds from it: ``plateau(model).overlaps``. By
        default the floor: where the ODE ends from a solution, which the model must have in closed form.

    Returns
    -------
    Stationary

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, nothing is found, or the model's fluctuations or solutions are not known.

    Notes
    -----
    For equal readouts, P = 1, p = p_star and a small learning rate :math:`N\, \mathrm{Var}(L) / L^2 = 2 / p`, and the
    mean is above the ODE's by the factor 1 + 2/N, whatever the noise.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.01, noise_variance=0.3)
    >>> found = tsode.stationary_fluctuations(model)
    >>> f"{found.relative_variance:.2f}, {found.relative_correction:.2f}"
    '1.00, 2.16'
    """
    check_fluctuating(model)
    point = _floor(model) if start is None else fixed_point(model, start)
    M, Q, step = point.overlaps.M, point.overlaps.Q, model.rule.averages(model).step
    rates, o = Sampled(model) if step is None else Rates(model, step), entries_of(M, Q)
    J, B, lines = rates.moments(o, np.zeros((len(o), len(o))))
    C, D, inverse = _at_rest(J, B)
    # where C grows as alpha D, the mean moves along at a constant rate, and lags behind its equilibrium
    rate = -inverse @ (rates.moments(o, D)[2] - lines)[BEND]
    m = inverse @ (rate - rates.moments(o, C)[2][BEND])
    variance, correction = float(loss_variance(model, M, Q, C)), loss_correction(model, M, Q, C, m)
    return Stationary(point, C, m, D, variance, correction)


def _floor(model):
    """Return the fixed point at which the ODE ends from a solution."""
    minima, P = closed_forms(model).minima, model.teacher_overlap
    C = minima.coefficients(minima.check(None))
    Q = C @ P @ C.T
    if not model.spherical:
        Q = Q + SURPLUS * (np.eye(model.p) - C @ np.linalg.pinv(C))
    found = attracting_point(model, Overlaps(C @ P, Q, P), gradient_flow=False)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _at_rest(J, B):
    """Return C without what does not relax, D, and the inverse of J where it relaxes, all of shape (n, n)."""
    zero = ZERO * np.abs(np.linalg.eigvals(J)).max()
    T, Z, s = schur(J, sort=lambda real, imaginary=0.0: np.real(real) < -zero)
    relaxing, resting = T[:s, :s], T[s:, s:]
    # a basis in which both parts of J stand alone
    mixed = solve_sylvester(relaxing, -resting, -T[:s, s:])
    basis, dual = np.hstack([Z[:, :s], Z[:, :s] @ mixed + Z[:, s:]]), Z.T.copy()
    dual[:s] -= mixed @ dual[s:]
    B = dual @ B @ dual.T
    C = np.zeros_like(B)
    C[:s, :s] = solve_continuous_lyapunov(relaxing, -B[:s, :s])
    C[:s, s:] = solve_sylvester(relaxing, resting.T, -B[:s, s:])
    C[s:, :s] = C[:s, s:].T
    inverse = basis[:, :s] @ np.linalg.solve(relaxing, dual[:s])
    return basis @ C @ basis.T, basis[:, s:] @ B[s:, s:] @ basis[:, s:].T, inverse

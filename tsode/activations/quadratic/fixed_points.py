r"""The fixed points of the overlap ODEs at M = 0, followed along the learning rate.

At M = 0 the ODEs keep Q diagonal. With :math:`y_k = v_k Q_{kk}`, the eigenvalues :math:`\mu_r` of
:math:`V^* P`, their power sums :math:`T_1 = \sum_r \mu_r` and :math:`T_2 = \sum_r \mu_r^2`, and

.. math::
    t = \sum_k y_k - T_1, \qquad E = t^2 + 2 \Bigl(\sum_k y_k^2 + T_2\Bigr) + \Delta ,

the moments of :mod:`tsode.activations.quadratic.averages` give :math:`dQ_{kk}/d\alpha = 4 \eta v_k Q_{kk} f_k` with

.. math::
    f_k = -(t + 2 y_k) + \eta v_k (E + 4 t y_k + 8 y_k^2) .

At a fixed point :math:`f_k = 0`, or :math:`Q_{kk} = 0` for a row that nothing keeps alive (a readout of the
wrong sign). To first order in M, Q stays as it is and the rows of M move on their own: in an eigenvector of
:math:`V^* P`,

.. math::
    \frac{dM_k}{d\alpha} = 2 \eta v_k \left[ 2 \mu_r - (t + 2 y_k) \right] M_k .

The largest of these rates is the escape rate g. Under the spherical constraint Q = I, and each rate loses
:math:`2 \eta v_k f_k`, half the growth rate of the row's squared norm.

Equal readouts v
----------------
Let v > 0 (else change the sign of both outputs) and :math:`T_1 \ge 0`. With
:math:`x = t + 2 y = (p+2) y - T_1`, f = 0 reads

.. math::
    \eta v = \frac{x}{a x^2 + b x + c}, \qquad a = \frac{p+4}{p+2}, \quad b = \frac{4 T_1}{p+2}, \quad
    c = \frac{2 T_1^2}{p+2} + 2 T_2 + \Delta, \qquad g = 2 \eta v (2 \mu_{\max} - x) ,

and x rises from 0 with the learning rate. The fraction is largest at :math:`x = \sqrt{c/a}`, where two fixed
points meet: above :math:`\eta v = 1 / (2 \sqrt{a c} + b)` there is none and the norms diverge. g vanishes at
:math:`x = 2 \mu_{\max}` and is largest where
:math:`(2 \mu_{\max} a + b) x^2 + 2 c x - 2 \mu_{\max} c = 0`.

Stability
---------
An element :math:`Q_{kl}` off the diagonal grows on its own, at the rate

.. math::
    -2 \eta (v_k + v_l) (t + 2 y_k + 2 y_l)
    + 4 \eta^2 v_k v_l \left[ E + 4 t (y_k + y_l) + 8 (y_k^2 + y_k y_l + y_l^2) \right]

(under the constraint less the mean growth rate of the two squared norms, which leaves
:math:`-8 \eta v_k v_l + O(\eta^2)`), and the diagonal moves with the Jacobian of f. For equal readouts all of
these rates vanish together where the two fixed points meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._linear_algebra import semidefinite_root

if TYPE_CHECKING:
    from ...model import TeacherStudent

__all__ = ["branch_of"]

STEP_TOLERANCE = 1e-13  # relative accuracy of the learning rate at which a followed branch ends
NEWTON_TOLERANCE = 1e-13  # size of f, relative to the terms in it, that counts as zero
NEWTON_STEPS = 40
GRID = 100  # learning rates among which zero and maximum of the escape rate are bracketed

NO_ESCAPE = "M decays at every learning rate: no direction of the teacher has the sign of a student's readout"
ALWAYS_ESCAPE = "M grows at every learning rate up to the largest"
NO_OUTPUT = "the student or the teacher puts out zero, so nothing is learned"
ALIGNING = "rows of the student with readouts of opposite sign align, so Q = I attracts at no learning rate"


def branch_of(model: TeacherStudent) -> Branch:
    """Return the branch of attracting fixed points of a model, as the subclass of Branch that fits."""
    v = model.student_readout
    branch = Branch(model)
    if not branch.scale > 0:
        return branch
    if model.spherical:
        return SphericalBranch(model)
    return EqualBranch(model) if np.ptp(v) == 0 and v[0] * branch.T1 >= 0 else FollowedBranch(model)


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


class EqualBranch(Branch):
    """Equal readouts of the student, T_1 of their sign: the closed form, in x."""

    def __init__(self, model: TeacherStudent) -> None:
        super().__init__(model)
        p, v = model.p, abs(self.v[0])
        T1, mu = abs(self.T1), (self.mu * np.sign(self.v[0])).max()
        a, b = (p + 4) / (p + 2), 4 * T1 / (p + 2)
        c = 2 * T1**2 / (p + 2) + 2 * self.T2 + self.noise_variance
        self.p, self.abc, self.end_v = p, (a, b, c), 1 / (2 * np.sqrt(a * c) + b)

        def eta(x):
            return x / (a * x * x + b * x + c) / v

        x = 2 * mu * c / (c + np.sqrt(c * c + 2 * mu * c * (2 * mu * a + b)))
        self._set_limits(
            end=self.end_v / v,
            escape=eta(2 * mu) if 2 * mu < np.sqrt(c / a) else ALWAYS_ESCAPE,
            fastest=eta(x),
        )

    def point(self, eta: float) -> np.ndarray | None:
        a, b, c = self.abc
        eta_v = eta * abs(self.v[0])
        if eta_v > self.end_v:
            return None
        # the smaller root of eta v a x^2 - (1 - eta v b) x + eta v c = 0, in the form that does not cancel
        linear = 1 - eta_v * b
        x = 2 * eta_v * c / (linear + np.sqrt(max(linear**2 - 4 * eta_v**2 * a * c, 0.0)))
        return np.full(self.p, np.sign(self.v[0]) * (x + abs(self.T1)) / (self.p + 2))


class SphericalBranch(Branch):
    """Q = I at every learning rate; the rates are parabolas in it."""

    def __init__(self, model: TeacherStudent) -> None:
        super().__init__(model)
        v = self.v
        t, E = self._moments(v)
        k, l = np.triu_indices(model.p, 1)
        linear = 8 * v[k] * v[l]
        mean = v * v * (E + 4 * t * v + 8 * v * v)
        curvature = 4 * v[k] * v[l] * (E + 4 * t * (v[k] + v[l]) + 8 * (v[k] ** 2 + v[k] * v[l] + v[l] ** 2))
        curvature -= 2 * (mean[k] + mean[l])
        unstable = curvature > 0
        if np.any(linear < 0):
            self._set_limits(end=ALIGNING, escape=ALIGNING, fastest=ALIGNING)
            return
        self.end = np.min(linear[unstable] / curvature[unstable], initial=np.inf)

        # rate of row k in its best direction: slope_k eta - 2 mean_k eta^2
        slope = 4 * np.max(v[:, None] * self.mu, axis=1)
        grows = slope > 0
        if not np.any(grows):
            self._set_limits(end=self.end, escape=NO_ESCAPE, fastest=NO_ESCAPE)
            return
        slope, mean = slope[grows], mean[grows]
        escape = np.max(slope / (2 * mean))
        peaks = np.minimum(slope / (4 * mean), self.end)
        self._set_limits(
            end=self.end,
            escape=escape if escape < self.end else ALWAYS_ESCAPE,
            fastest=peaks[np.argmax(slope * peaks - 2 * mean * peaks**2)],
        )

    def point(self, eta: float) -> np.ndarray | None:
        return self.v.copy() if eta <= self.end else None


class FollowedBranch(Branch):
    """Any readouts: followed from learning rate 0 by Newton's method, until it attracts no more or ends."""

    def __init__(self, model: TeacherStudent) -> None:
        super().__init__(model)
        self._follow()
        end = self.etas[-1]
        grid = np.linspace(0.0, end, GRID + 1)[1:]
        rates = np.array([self._rate(eta) for eta in grid])
        self._set_limits(end=end, escape=self._last_zero(grid, rates), fastest=self._maximum(grid, rates))

    def point(self, eta: float) -> np.ndarray | None:
        return (
            self._solve(eta, self.points[np.searchsorted(self.etas, eta, side="right") - 1])
            if eta <= self.etas[-1]
            else None
        )

    def _follow(self):
        """Find `etas` and `points` along the branch, up to its end, in steps that grow until one fails."""
        self.etas, self.points = [0.0], [self._solve(0.0, np.zeros(len(self.v)))]
        step = 1e-2 / self.scale
        while step > STEP_TOLERANCE * self.etas[-1]:
            y = self._solve(self.etas[-1] + step, self.points[-1])
            if y is None:
                step /= 2
                continue
            self.etas.append(self.etas[-1] + step)
            self.points.append(y)
            step *= 1.5

    def _solve(self, eta, y):
        """Return the attracting fixed point near y, or None."""
        alive = y != 0
        for _ in range(2 * len(y) + 1):
            y = self._newton(eta, y, alive)
            if y is None:
                return None
            dying = alive & (y * self.v < 0)
            reviving = ~alive & (np.sign(self.v) * self.growth(eta, y) > self._tolerance(y))
            if not np.any(dying | reviving):
                return y if self._attracts(eta, y, alive) else None
            alive = (alive & ~dying) | reviving
        return None

    def _tolerance(self, y):
        """Return the f that counts as 0: for T_1 = 0 but for rounding, no row is kept alive by it."""
        return NEWTON_TOLERANCE * (np.abs(self.mu).sum() + np.abs(y).sum())

    def _newton(self, eta, y, alive):
        """Return the zero of f near y among the points at which the rows that are not `alive` have q = 0."""
        y = np.where(alive, y, 0.0)
        for _ in range(NEWTON_STEPS):
            f = np.where(alive, self.growth(eta, y), 0.0)
            if np.abs(f).max() <= self._tolerance(y):
                return y
            jacobian = np.where(np.outer(alive, alive), self.growth_jacobian(eta, y), np.eye(len(y)))
            try:
                y = y - np.linalg.solve(jacobian, f)
            except np.linalg.LinAlgError:
                return None
        return None

    def _attracts(self, eta, y, alive):
        """Whether Q returns to the fixed point after a small change that keeps M = 0."""
        v = self.v
        flow = (v[:, None] * self.growth_jacobian(eta, y) * y)[np.ix_(alive, alive)]
        if flow.size and np.linalg.eigvals(flow).real.max() >= 0:
            return False
        # a dead row beside a living one is marginal as eta -> 0, so rounding must be allowed for
        return self.angle_growth(eta, y).max() <= self._tolerance(y) * np.abs(v[:, None] + v).max()

    def _rate(self, eta):
        return self.escape_rate(eta, self.point(eta))

    def _last_zero(self, grid, rates):
        """Return the learning rate at which the escape rate last turns negative."""
        from scipy.optimize import brentq

        if rates.max() <= 0:
            return NO_ESCAPE
        last = np.flatnonzero(rates > 0)[-1]
        if last + 1 == len(grid):
            return ALWAYS_ESCAPE
        return brentq(self._rate, grid[last], grid[last + 1], xtol=1e-14 * grid[-1], rtol=1e-14)

    def _maximum(self, grid, rates):
        """Return the learning rate of the largest escape rate."""
        from scipy.optimize import minimize_scalar

        if rates.max() <= 0:
            return NO_ESCAPE
        best = int(np.argmax(rates))
        bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        accuracy = {"xatol": 1e-10 * grid[-1]}  # no better than the root of rounding: the maximum is flat
        return minimize_scalar(lambda eta: -self._rate(eta), bounds=bounds, method="bounded", options=accuracy).x

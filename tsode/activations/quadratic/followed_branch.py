"""Fixed points at M = 0 for any readouts, followed along the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .branch import ALWAYS_ESCAPE, NO_ESCAPE, Branch

if TYPE_CHECKING:
    from ...model import TeacherStudent

__all__ = ["FollowedBranch"]

STEP_TOLERANCE = 1e-13  # relative accuracy of the learning rate at which a followed branch ends
NEWTON_TOLERANCE = 1e-13  # size of f, relative to the terms in it, that counts as zero
NEWTON_STEPS = 40
GRID = 100  # learning rates among which zero and maximum of the escape rate are bracketed


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

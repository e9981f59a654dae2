r"""The law of the first time at which :math:`\sigma^2(\alpha) G` exceeds a level, G a Gamma variable of scale 1.

:math:`\sigma^2` is any positive function that in the end grows exponentially. Where it falls, nothing new is
exceeded: its largest value so far counts, and what starts above the level is an atom at 0. A module of its own, because
scipy.stats takes long to import; the classes stand at module level so that frozen distributions can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv, gammaln
from scipy.stats import norm, rv_continuous

__all__ = ["FirstPassage", "Variance"]

TAIL = 1e-17  # probability left out at each end of the integrals over ln G
PANELS, ORDER = 60, 10  # of their Gauss-Legendre quadrature
STEPS, ACCURACY = 100, 1e-12  # of Newton's method, which converges in less than 10 but where sigma^2 turns


class Variance:
    r""":math:`\ln \sigma^2(\alpha)`: some solution up to its end, then that of d sigma^2/dalpha = 2 g sigma^2 + d.

    Parameters
    ----------
    g, d : float
        Constants of the growth in the end, larger than 0.
    log_end : float
        The logarithm at the end of the solution, or at 0 if there is none.
    nodes : array_like, shape (n,)
        From 0 to the end of the solution, which is monotone between two of them.
    solution : callable, optional
        Returns the logarithm and its derivative at an array of times.
    """

    def __init__(
        self,
        g: float,
        d: float,
        log_end: float,
        nodes: ArrayLike = (0.0,),
        solution: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        self.g, self.log_d, self.log_end = g, np.log(d / (2 * g)), log_end
        self.nodes = np.asarray(nodes, dtype=float)
        self.solution: Any = solution  # asked between nodes only
        values = [log_end] if solution is None else solution(self.nodes)[0]
        self.largest = np.maximum.accumulate(values)  # so far, at the nodes

    def __call__(self, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logarithm and its derivative at times alpha >= 0, shape (n,)."""
        growth = 2 * self.g * np.maximum(alpha - self.nodes[-1], 0.0)
        with np.errstate(divide="ignore"):
            value = np.logaddexp(self.log_end + growth, self.log_d + growth + np.log(-np.expm1(-growth)))
        slope = 2 * self.g * (1 + np.exp(self.log_d - value))
        early = alpha < self.nodes[-1]
        if early.any():
            value[early], slope[early] = self.solution(alpha[early])
        return value, slope

    def so_far(self, alpha: np.ndarray) -> np.ndarray:
        """Return the largest logarithm up to times alpha, shape (n,)."""
        before = self.largest[np.searchsorted(self.nodes, alpha, side="right") - 1]
        return np.maximum(before, self(alpha)[0])

    def first_time(self, level: np.ndarray) -> np.ndarray:
        """Return when the logarithm first exceeds levels of shape (n,); 0 where it does at the start."""
        after = np.searchsorted(self.largest, level, side="right")
        gain = np.logaddexp(level, self.log_d) - np.logaddexp(self.log_end, self.log_d)
        time = self.nodes[-1] + np.maximum(gain, 0.0) / (2 * self.g)
        time[after == 0] = 0.0
        inside = (after > 0) & (after < len(self.nodes))
        if inside.any():
            time[inside] = self._between(level[inside], self.nodes[after[inside] - 1], self.nodes[after[inside]])
        return time

    def _between(self, level, low, high):
        """Return where the logarithm is `level` between nodes, by Newton's method kept inside by bisection."""
        time = (low + high) / 2
        for _ in range(STEPS):
            value, slope = self.solution(time)
            above = value > level
            low, high = np.where(above, low, time), np.where(above, time, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                step = time - (value - level) / slope
            step = np.where((step >= low) & (step <= high), step, (low + high) / 2)
            done = np.abs(step - time) <= ACCURACY * high
            time = step
            if done.all():
                break
        return time


Frozen: Any = type(norm())  # SciPy's class has no public name


class _Frozen(Frozen):
    def __repr__(self) -> str:
        return f"Law of the escape time: mean {self.mean():.4g}, standard deviation {self.std():.4g}"


class FirstPassage(rv_continuous):
    """T, the first time with sigma^2 G > level; G has shape c, and `variance` is a Variance."""

    def __init__(self, variance: Variance, c: float, level: float, **options: Any) -> None:
        self._variance, self._c, self._log_level = variance, c, np.log(level)
        super().__init__(**{"name": "first_passage", **options, "a": 0.0})

    def freeze(self, *arguments: Any, **options: Any) -> _Frozen:
        """Return the law with its parameters fixed, which says what it is."""
        return _Frozen(self, *arguments, **options)

    def _updated_ctor_param(self):  # what freezing copies, as in scipy.stats.rv_histogram
        own = {"variance": self._variance, "c": self._c, "level": np.exp(self._log_level)}
        return {**super()._updated_ctor_param(), **own}

    def _gamma(self, t):
        """Return the largest G that has not passed at times t."""
        with np.errstate(over="ignore"):
            return np.exp(self._log_level - self._variance.so_far(t))

    def _time(self, G):
        with np.errstate(divide="ignore"):
            return self._variance.first_time(np.ravel(self._log_level - np.log(G))).reshape(np.shape(G))

    def _logpdf(self, t):
        value, slope = self._variance(t)
        log_G = self._log_level - value
        with np.errstate(divide="ignore", over="ignore"):
            density = self._c * log_G - np.exp(log_G) - gammaln(self._c) + np.log(np.maximum(slope, 0.0))
        return np.where(value < self._variance.so_far(t), -np.inf, density)

    def _pdf(self, t):
        return np.exp(self._logpdf(t))

    def _cdf(self, t):
        return gammaincc(self._c, self._gamma(t))

    def _sf(self, t):
        return gammainc(self._c, self._gamma(t))

    def _ppf(self, q):
        return self._time(gammainccinv(self._c, q))

    def _isf(self, q):
        return self._time(gammaincinv(self._c, q))

    def _rvs(self, size=None, random_state=None):
        return self._time(random_state.standard_gamma(self._c, size=size))

    def _nodes(self):
        """Return times and weights of a quadrature over w = ln G, whose density is smooth, in panels between kinks."""
        c = self._c
        low, high = np.log(gammaincinv(c, TAIL)), np.log(gammainccinv(c, TAIL))
        kinks = self._log_level - self._variance.largest
        edges = np.unique(np.r_[np.linspace(low, high, PANELS + 1), kinks[(kinks > low) & (kinks < high)]])
        x, weights = np.polynomial.legendre.leggauss(ORDER)
        half = np.diff(edges)[:, None] / 2
        w = (edges[:-1, None] + half * (1 + x)).ravel()
        weights = (half * weights).ravel() * np.exp(c * w - np.exp(w) - gammaln(c))
        return self._time(np.exp(w)), weights / weights.sum()

    def _stats(self):
        t, weights = self._nodes()
        mean = weights @ t
        second, third, fourth = (weights @ (t - mean) ** k for k in (2, 3, 4))
        return mean, second, third / second**1.5, fourth / second**2 - 3

    def _munp(self, n):
        t, weights = self._nodes()
        return weights @ t**n

    def _entropy(self):
        t, weights = self._nodes()
        return -(weights[t > 0] @ self._logpdf(t[t > 0]))

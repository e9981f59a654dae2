"""What is known of finite N without simulation: means and spreads of overlaps and loss, at any N."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._display import Report
from .._linear_algebra import semidefinite_root
from .._parameters import describe
from .._random import generator
from .._types import Seed
from ..model import TeacherStudent
from ..overlaps import Overlaps
from ..trajectory import Trajectory
from .layout import matrices_of, positions_of
from .loss import loss_correction, loss_variance
from .squares import exceeds

__all__ = ["Fluctuations"]

GROWN = 0.01  # tr M M^T of fluctuations, in units of a solution's row, up to which they do not feel each other
LARGE = 0.3  # standard deviation of the loss over the loss, likewise
EARLY = 1.0  # tr M M^T times sqrt(N) at which runs are drawn: half way between noise of the start and saturation


@dataclass(frozen=True, eq=False, repr=False)
class Fluctuations(Report):
    r"""How runs of SGD at large N spread about the ODE, and what their mean misses it by.

    The n = p p_star + p (p + 1)/2 entries are those of M, row by row, and of the lower triangle of Q. N is an argument
    of the methods: at least p + p_star, and so large that what they return is a small correction.

    Attributes
    ----------
    ode : Trajectory
        The solution of the ODE.
    covariance : ndarray, shape (T, n, n)
        N times the covariance of the entries, in the limit; nan where a diverging solution left no time for it.
    correction : ndarray, shape (T, n)
        N times what the mean differs from the ODE by, likewise.
    """

    ode: Trajectory
    covariance: np.ndarray
    correction: np.ndarray

    @property
    def model(self) -> TeacherStudent:
        """The pair."""
        return self.ode.model

    @property
    def M_covariance(self) -> np.ndarray:
        """N Cov(M_kr, M_ls), shape (T, p, p_star, p, p_star)."""
        M = positions_of(self.model)[0]
        return self.covariance[:, M[..., None, None], M]

    @property
    def Q_covariance(self) -> np.ndarray:
        """N Cov(Q_kl, Q_ij), shape (T, p, p, p, p)."""
        Q = positions_of(self.model)[1]
        return self.covariance[:, Q[..., None, None], Q]

    def M_mean(self, N: int) -> np.ndarray:
        """Return the mean of M up to terms of order 1/N, shape (T, p, p_star)."""
        return self.ode.M + matrices_of(self.correction, self.model)[0] / self._dimension(N)

    def Q_mean(self, N: int) -> np.ndarray:
        """Return the mean of Q likewise, shape (T, p, p)."""
        return self.ode.Q + matrices_of(self.correction, self.model)[1] / self._dimension(N)

    def M_std(self, N: int) -> np.ndarray:
        """Return the standard deviation of the entries of M, shape (T, p, p_star)."""
        return self._std(N)[0]

    def Q_std(self, N: int) -> np.ndarray:
        """Return the standard deviation of the entries of Q, shape (T, p, p)."""
        return self._std(N)[1]

    def loss_mean(self, N: int) -> np.ndarray:
        """Return the mean of the excess loss up to terms of order 1/N, shape (T,)."""
        return self.ode.excess_loss + self._loss_correction / self._dimension(N)

    def loss_std(self, N: int) -> np.ndarray:
        """Return the standard deviation of the excess loss, shape (T,)."""
        return np.sqrt(self._loss_variance / self._dimension(N))

    def loss_band(self, N: int, sigmas: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        r"""Return a band of the excess loss, :math:`L e^{\pm \sigma}` with :math:`\sigma` so many relative deviations.

        Parameters
        ----------
        N : int
            Input dimension.
        sigmas : float
            Half its width, in standard deviations.

        Returns
        -------
        lower, upper : ndarray, shape (T,)
        """
        sigmas = _checks.number("sigmas", sigmas, above=0.0)
        spread, loss = sigmas * self._relative_std(N), self.ode.excess_loss
        with np.errstate(over="ignore"):
            return loss * np.exp(-spread), loss * np.exp(spread)

    def valid_until(self, N: int) -> float:
        """Return the first time at which fluctuations feel each other, inf where none is reached.

        From then on the expansion is none: tr M M^T of the fluctuations is above 1 % of a row of a solution, times
        the number of rows, or the loss spreads by more than 30 %. At the first bound growth is some 3 % too large.
        """
        grown = self._spread_of_M() > GROWN * self.model.solution_ratio * self._dimension(N)
        late = (grown & self._blind) | ~(self._relative_std(N) <= LARGE)
        return float(self.ode.alpha[np.argmax(late)]) if late.any() else np.inf

    def escape_cdf(self, N: int, threshold: float) -> np.ndarray:
        r"""Return the probability that tr M M^T has been above a threshold, from random weights, shape (T,).

        Parameters
        ----------
        N : int
            Input dimension.
        threshold : float
            As of :func:`tsode.escape_law`, whose law it is where readouts are equal and P = 1: there M has one
            variance, here all of its covariance.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or range, or M of the ODE is not zero.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(3, 2, 0.3, student_readout=[0.5, 0.3, 0.2], teacher_readout=[0.6, 0.4])
        >>> cdf = tsode.fluctuations(model, None, 60.0).escape_cdf(N=10**6, threshold=0.05)
        >>> bool(cdf[0] == 0 and cdf[-1] > 0.9)
        True
        """
        N, threshold = self._dimension(N), _checks.number("threshold", threshold, above=0.0)
        if not self._blind.all():
            raise ValueError(
                "`start` of the fluctuations must be None, or with M = 0, for the law of an escape that noise alone "
                "decides, and stay so, but M is not zero along the ODE"
            )
        size = self.ode.M[0].size
        weights = np.linalg.eigvalsh(self.covariance[:, :size, :size])
        return np.maximum.accumulate(exceeds(np.maximum(weights, 0.0), N * threshold))

    def sample(self, N: int, runs: int, rng: Seed = None) -> tuple[float, list[Overlaps]]:
        r"""Draw where runs are at the time up to which noise matters, for :func:`tsode.integrate_many` to go on from.

        That is the last time with :math:`\mathrm{tr}\, C_{MM} \le \sqrt N`: what noise does later and what saturation
        does before are both of relative order :math:`N^{-1/2}`.

        Parameters
        ----------
        N, runs : int
            Input dimension, and how many.
        rng : numpy.random.Generator, int or None
            Source of randomness.

        Returns
        -------
        alpha : float
            The time.
        starts : list of Overlaps

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or range, or N so small that what is drawn is no overlaps.

        Examples
        --------
        >>> import numpy as np, tsode
        >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
        >>> time, starts = tsode.fluctuations(model, None, 30.0).sample(N=10**6, runs=3, rng=0)
        >>> runs = tsode.integrate_many(model, starts, np.linspace(time, 90.0, 50))
        >>> bool(min(run.excess_loss[-1] for run in runs) < 0.2)
        True
        """
        N, runs = self._dimension(N), _checks.integer("runs", runs, minimum=1)
        rng, model = generator("rng", rng), self.model
        early = self._spread_of_M() <= EARLY * np.sqrt(N)
        i = len(early) - 1 - int(np.argmax(early[::-1]))
        noise = rng.standard_normal((runs, len(self.correction[i]))) @ semidefinite_root(self.covariance[i]).T
        M, Q = matrices_of(self.correction[i] / N + noise / np.sqrt(N), model)
        drawn = zip(self.ode.M[i] + M, self.ode.Q[i] + Q)
        return float(self.ode.alpha[i]), [Overlaps(M, Q, model.teacher_overlap) for M, Q in drawn]

    @functools.cached_property
    def _loss_variance(self):
        return loss_variance(self.model, self.ode.M, self.ode.Q, self.covariance)

    @functools.cached_property
    def _loss_correction(self):
        points = zip(self.ode.M, self.ode.Q, self.covariance, self.correction)
        return np.array([loss_correction(self.model, *point) for point in points])

    @functools.cached_property
    def _blind(self):
        """Where M of the ODE is zero, shape (T,)."""
        return (self.ode.M == 0).all(axis=(1, 2))

    def _spread_of_M(self):
        """Return N times the variances of M, summed, shape (T,)."""
        size = self.ode.M[0].size
        return self.covariance[:, :size, :size].trace(axis1=1, axis2=2)

    def _std(self, N):
        variances = np.diagonal(self.covariance, axis1=1, axis2=2)
        return matrices_of(np.sqrt(np.maximum(variances, 0.0) / self._dimension(N)), self.model)

    def _relative_std(self, N):
        """Return the standard deviation of the excess loss over it, 0 where there is neither, shape (T,)."""
        std, loss = self.loss_std(N), self.ode.excess_loss
        return np.divide(std, loss, out=np.zeros_like(std), where=std > 0)

    def _dimension(self, N):
        return _checks.integer("N", N, minimum=self.model.p + self.model.p_star)

    def _title(self):
        return "Fluctuations of SGD about its ODE"

    def _rows(self):
        alpha, last = self.ode.alpha, np.sqrt(self._loss_variance[-1])
        times = ", ".join(f"{self.valid_until(N):.4g} at N = {N:,}" for N in (10**4, 10**6, 10**8))
        return [
            ("model", describe(self.model)),
            ("time alpha", f"{alpha[0]:g} to {alpha[-1]:g}, {len(alpha)} points"),
            ("last excess loss", f"{self.ode.excess_loss[-1]:.4g} ± {last:.4g} / sqrt(N)"),
            ("valid until alpha", times),
        ]

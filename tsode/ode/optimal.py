r"""The learning rates that leave the smallest loss, and those that lower it fastest at every time.

The first are found by descent on the logarithms of the rates between given times (L-BFGS-B), with the derivatives of
the discrete adjoint. The second follow from the two terms of the ODEs: at learning rate eta the loss changes by
:math:`dL/d\alpha = -\eta a + \eta^2 b`, which is least at :math:`\eta = a / 2b`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Report
from .._lanes import WIDTH
from .._parameters import describe
from .._states import pack, unpack
from ..model import TeacherStudent, check_isotropic, check_model, with_rate
from ..overlaps import Overlaps, check_start
from ..schedules import Table
from .gradient import Diverged, differentiable, differentiate, weights_of
from .lockstep import solve
from .pieces import in_pieces, overlaps_of
from .result import Options
from .rhs import right_hand_side

__all__ = ["OptimalSchedule", "optimal_schedule"]

RANGE = 1e-3, 1e2  # learning rates, in units of the model's
PIECES = 50  # between even times
CONSTANTS = 2 * WIDTH  # rates that are tried first
SEARCH = Options("DOP853", 1e-6, 1e-9, False)  # how solutions of the search are found; its result is computed again
ITERATIONS = 100  # of the descent from each guess
WORSE = 1.0  # log loss above that of the guess at which solutions that diverge are put
TINY = 1e-300  # losses below count as this


@dataclass(frozen=True, eq=False, repr=False)
class OptimalSchedule(Report):
    """The best schedule of learning rates, beside the best constant and the greedy one.

    Attributes
    ----------
    model : TeacherStudent
        The pair.
    alpha : ndarray, shape (T,)
        Times between which the rates are constant.
    schedule, greedy : Table
        The schedule with the smallest loss, and the one that lowers the loss fastest at the beginning of each piece.
    constant : float
        The best constant learning rate.
    loss, greedy_loss, constant_loss : float
        Population loss without label noise at the last time, or its weighted sum over the times, with each of them.
    """

    model: TeacherStudent
    alpha: np.ndarray
    schedule: Table
    loss: float
    constant: float
    constant_loss: float
    greedy: Table
    greedy_loss: float

    def _title(self):
        return "Learning rates that leave the smallest loss"

    def _rows(self):
        return [
            ("model", describe(self.model)),
            ("time alpha", f"{self.alpha[0]:g} to {self.alpha[-1]:g}, {len(self.alpha) - 1} pieces"),
            ("loss, best schedule", f"{self.loss:.4g} with {self.schedule!r}"),
            ("best constant rate", f"{self.constant_loss:.4g} with {self.constant:.4g}"),
            ("greedy schedule", f"{self.greedy_loss:.4g} with {self.greedy!r}"),
        ]


def optimal_schedule(
    model: TeacherStudent,
    start: Overlaps,
    alpha: ArrayLike,
    weights: ArrayLike | None = None,
    bounds: tuple[float, float] | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> OptimalSchedule:
    r"""Find the learning rates, constant between given times, that leave the smallest loss at the end.

    Beside them stand the best constant learning rate, which is never better, and the greedy schedule, which lowers the
    loss fastest at every time and does not look ahead: it waits on plateaus.

    Parameters
    ----------
    model : TeacherStudent
        The pair; its learning rate is where the search begins.
    start : Overlaps
        Overlaps at time ``alpha[0]``.
    alpha : float or array_like, shape (T,)
        Times (samples / N) at which the learning rate may change, strictly increasing, the last one that of the end;
        a number stands for 51 even times from 0 up to it.
    weights : array_like, shape (T,), optional
        Weights of the times in the sum of losses that is made small; the last time alone by default.
    bounds : (float, float), optional
        Smallest and largest learning rate; a thousandth and a hundred times the model's by default.
    rtol, atol : float
        Relative and absolute tolerance of the losses that are returned.

    Returns
    -------
    OptimalSchedule
        With `schedule`, `loss`, `constant`, `constant_loss`, `greedy` and `greedy_loss`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; if all constant rates diverge; NoClosedForm if the averages
        of the activations are those of NumPy alone.

    Notes
    -----
    The descent (L-BFGS-B on the logarithms of the rates, with the derivatives of :func:`tsode.gradient`) finds a local
    minimum. It begins from the best constant rate, from the greedy schedule, and from the larger of both at each time.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4, noise_variance=0.1)
    >>> start = tsode.Overlaps.random(model, N=1000, rng=0)
    >>> best = tsode.optimal_schedule(model, start, 60.0)
    >>> round(best.loss, 4), round(best.greedy_loss, 4), round(best.constant_loss, 4)
    (0.0071, 0.01, 0.0159)
    >>> ode = tsode.integrate(model.replace(learning_rate=best.schedule), start, 60.0)
    """
    check_start(check_isotropic(check_model(model)), start)
    alpha = _checks.times(alpha, PIECES + 1)
    if len(alpha) < 2:
        raise ValueError(f"`alpha` must hold at least two times, but holds {len(alpha)}")
    options = Options("DOP853", _checks.number("rtol", rtol, above=0.0, maximum=1.0),
                      _checks.number("atol", atol, above=0.0), False)  # fmt: skip
    search = _Search(differentiable(model), start, alpha, _weights(weights, alpha), _bounds(model, bounds))
    constant = search.best_constant()
    greedy = search.greedy()
    guesses = np.full(len(greedy), constant), greedy, np.maximum(greedy, constant)
    _, rates = min(map(search.descend, guesses), key=lambda found: found[0])
    tables = [Table(np.column_stack([alpha[:-1], each])) for each in (guesses[0], greedy, rates)]
    losses = [search.loss_of(table, options) for table in tables]
    best = int(np.argmin(losses))
    return OptimalSchedule(model, alpha, tables[best], losses[best], constant, losses[0], tables[1], losses[1])


def _weights(weights, alpha):
    """Return the weights of the losses, shape (T,), of which none is negative."""
    found = weights_of(weights, alpha)
    if not (found >= 0).all() or not found[1:].any():
        raise ValueError("`weights` must not be negative, and not all be 0 after the start")
    return found


def _bounds(model, bounds):
    """Return the smallest and the largest learning rate."""
    if bounds is None:
        bounds = [factor * model.largest_rate for factor in RANGE]
    low, high = _checks.float_array("bounds", bounds, (2,))
    if not 0 < low < high:
        raise ValueError(f"`bounds` must be increasing and larger than 0, but are {low:g} and {high:g}")
    return low, high


class _Search:
    """Losses of one model as functions of the learning rates between the times."""

    def __init__(
        self,
        model: TeacherStudent,
        start: Overlaps,
        alpha: np.ndarray,
        weights: np.ndarray,
        bounds: tuple[float, float],
    ) -> None:
        self.model, self.start, self.alpha, self.weights, self.bounds = model, start, alpha, weights, bounds

    def loss_of(self, schedule: Table, options: Options) -> float:
        """Return the loss with a schedule, infinite where the solution diverges."""
        model = self.model.replace(learning_rate=schedule)
        return self._loss(in_pieces([model], [self.start], self.alpha, options, solve)[0])

    def _loss(self, solution):
        if solution.stopped_at is not None:
            return np.inf
        return float(self.weights @ self.model.excess_loss(*unpack(solution.states, self.model)))

    def best_constant(self) -> float:
        """Return the constant learning rate with the smallest loss."""
        from scipy.optimize import minimize_scalar  # imported late, as in tsode.ode.single

        def losses(rates):
            models = [with_rate(self.model, rate) for rate in rates]
            return [self._loss(one) for one in solve(models, [self.start] * len(models), self.alpha, SEARCH)]

        tried = np.geomspace(*self.bounds, CONSTANTS)
        found = [loss for first in range(0, CONSTANTS, WIDTH) for loss in losses(tried[first : first + WIDTH])]
        best = int(np.argmin(found))
        if not np.isfinite(found[best]):
            raise ValueError(f"`bounds` must begin with a rate that does not diverge, but with {tried[0]:g} all do")
        diverged = _log(found[best]) + WORSE
        nearby = np.log(tried[[max(best - 1, 0), min(best + 1, CONSTANTS - 1)]])
        refined = minimize_scalar(
            lambda x: min(_log(losses([math.exp(x)])[0]), diverged), bounds=nearby, method="bounded",
            options={"xatol": 1e-4},
        )  # fmt: skip
        return float(np.exp(refined.x)) if refined.fun < _log(found[best]) else float(tried[best])

    def greedy(self) -> np.ndarray:
        """Return the rates that lower the loss fastest at the beginning of each piece, shape (T - 1,)."""
        model, now, rates = with_rate(self.model, 1.0), self.start, []
        flow, full = (right_hand_side(model, only, SEARCH.rtol) for only in (True, False))
        for piece in zip(self.alpha[:-1], self.alpha[1:]):
            y = pack(now.M, now.Q)
            slope = pack(*model.loss_slopes(now.M, now.Q))
            a = -slope @ flow(0.0, y)
            b = slope @ full(0.0, y) + a
            rate = np.clip(a / (2 * b) if b > 0 else np.copysign(np.inf, a), *self.bounds)
            while (
                solution := solve([with_rate(model, rate)], [now], np.array(piece), SEARCH)[0]
            ).stopped_at is not None and rate > self.bounds[0]:  # the piece is too long for it
                rate = max(rate / 2, self.bounds[0])
            rates.append(rate)
            now = overlaps_of(model, solution.states[-1], now)
        return np.array(rates)

    def descend(self, rates: np.ndarray) -> tuple[float, np.ndarray]:
        """Return log loss and rates, shape (T - 1,), of a minimum that is found from a guess."""
        from scipy.optimize import minimize

        diverged = np.inf

        def log_loss(x):
            rates = np.exp(x)
            try:
                found = differentiate(self.model, self.start, self.alpha, rates, self.weights, SEARCH)
            except Diverged:
                return diverged, np.zeros(len(x))
            return _log(found["loss"]), found["learning_rates"] * rates / max(found["loss"], TINY)

        x, limits = np.log(rates), np.log(self.bounds)
        first, _ = log_loss(x)
        diverged = first + WORSE
        if not np.isfinite(first):
            return first, rates
        found = minimize(
            log_loss, x, jac=True, method="L-BFGS-B", bounds=[limits] * len(x), options={"maxiter": ITERATIONS}
        )
        return float(found.fun), np.exp(found.x)


def _log(loss):
    return math.log(max(loss, TINY))

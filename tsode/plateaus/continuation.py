"""Fixed points along the learning rate: where they cease to exist, and where their stability changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .._display import Table
from .._parameters import describe
from .._states import pack

if TYPE_CHECKING:
    from .fixed_point import FixedPoint
    from .search import Search

__all__ = ["Change", "Continuation", "follow"]

FIRST, LARGEST, SMALLEST = 0.05, 0.2, 1e-10  # steps of the logarithm of the learning rate
JUMP = 0.2  # part of the overlaps by which one point may differ from the next
FAR = 1e2  # overlaps over the first point's that count as on their way to infinity
SHOWN_APART = 0.01
NEAR_END = 1e-6  # logarithm of the learning rate around an end in which rounding decides the stability


@dataclass(frozen=True)
class Change:
    """A learning rate at which the number of unstable directions changes, and that number below and above.

    Attributes
    ----------
    learning_rate : float
        Where.
    below, above : int
        Unstable directions on either side.
    """

    learning_rate: float
    below: int
    above: int


@dataclass(frozen=True, eq=False, repr=False)
class Continuation(Table):
    """A fixed point followed along the learning rate.

    Attributes
    ----------
    points : tuple of FixedPoint
        In the order of their learning rates.
    min_learning_rate, max_learning_rate : float
        Between which the fixed point exists. 0 and inf where no end was met between the learning rates asked for. One
        that merges with another of more symmetry is followed onto that.
    ends : tuple of str
        Why it ends there: "fold", it meets another fixed point and both vanish, right to about 1e-9; "far away", its
        norms are a hundred times those of the point from which it is followed; "" where there is no end.
    changes : tuple of Change
        Where the number of unstable directions changes.
    """

    points: tuple[FixedPoint, ...]
    min_learning_rate: float
    max_learning_rate: float
    ends: tuple[str, str]
    changes: tuple[Change, ...]

    @property
    def learning_rates(self) -> np.ndarray:
        """Learning rates of the points, shape (n,)."""
        return np.array([point.model.learning_rate for point in self.points])

    def _table(self):
        header = ["learning rate", "loss", "fastest escape", "unstable", "verdict"]
        rows = []
        for each in self._apart():
            numbers = (each.model.learning_rate, each.loss, each.escape_rate)
            rows.append([*(f"{number:.4g}" for number in numbers), each.unstable, each.verdict])
        return f"Fixed point along the learning rate, {describe(self.points[0].model, 'widths')}", header, rows

    def _apart(self):
        """Return the points but for those that crowd towards an end."""
        found = [self.points[0]]
        for point in self.points[1:]:
            if _log(point) - _log(found[-1]) > SHOWN_APART:
                found.append(point)
        return found

    def _remarks(self):
        limits = (self.min_learning_rate, self.max_learning_rate)
        low, high = (f"{limit:.6g}" + (f" ({end})" if end else "") for limit, end in zip(limits, self.ends))
        return [f"exists between the learning rates {low} and {high}"] + [
            f"at {each.learning_rate:.6g} unstable directions change from {each.below} to {each.above}"
            for each in self.changes
        ]


def follow(
    search: Search, point: FixedPoint, lowest: float, highest: float, report: Callable[[np.ndarray], FixedPoint]
) -> Continuation:
    """Return the fixed point between two learning rates; `report` makes one of a state at the search's model."""
    down, low, why_low = _one_way(search, point, lowest, -1, report)
    up, high, why_high = _one_way(search, point, highest, 1, report)
    points = [*reversed(down), point, *up]
    changes = []
    for first, last in pairwise(points):
        changes += _changes(search, first, last, report)
    ends = [np.log(end) for end in (low, high) if 0 < end < np.inf]
    far = [one for one in changes if all(abs(np.log(one.learning_rate) - end) > NEAR_END for end in ends)]
    return Continuation(tuple(points), low, high, (why_low, why_high), tuple(far))


def _one_way(search, point, limit, sign, report):
    """Return the points in one direction, where they end, 0 or inf if that is not before the limit, and why."""
    points, step, goal, far = [point], FIRST, np.log(limit), FAR * np.abs(_state(point)).max()
    while sign * (goal - _log(points[-1])) > 0:
        x = _log(points[-1]) + sign * step
        x = goal if sign * (x - goal) > -SMALLEST else x
        y = _solve(search, points[-2:], x)
        if y is not None:
            points.append(report(y))
            step = min(1.5 * step, LARGEST)
            if np.abs(y).max() > far:
                return points[1:], points[-1].model.learning_rate, "far away"
        elif step < SMALLEST:
            return points[1:], points[-1].model.learning_rate, "fold"
        else:
            step /= 2
    return points[1:], 0.0 if sign < 0 else np.inf, ""


def _solve(search, points, x):
    """Return the state of the fixed point at ln(learning rate) = x near the extrapolation of others, or None."""
    last = _state(points[-1])
    guess = last
    if len(points) == 2 and _log(points[1]) != _log(points[0]):
        slope = (last - _state(points[0])) / (_log(points[1]) - _log(points[0]))
        guess = last + slope * (x - _log(points[1]))
    search.at(search.model.replace(learning_rate=float(np.exp(x))))
    y, found = search.newton(guess)
    return y if found and np.abs(y - last).max() <= JUMP * np.abs(last).max() else None


def _changes(search, first, last, report):
    """Return the changes of the number of unstable directions between two points."""
    found = []
    while first.unstable != last.unstable:
        low, high = first, last
        while abs(_log(high) - _log(low)) > SMALLEST:
            y = _solve(search, [low, high], (_log(low) + _log(high)) / 2)
            if y is None:
                return found
            middle = report(y)
            low, high = (middle, high) if middle.unstable == first.unstable else (low, middle)
        found.append(Change(high.model.learning_rate, low.unstable, high.unstable))
        first = high
    return found


def _log(point):
    return np.log(point.model.learning_rate)


def _state(point):
    return pack(point.overlaps.M, point.overlaps.Q)

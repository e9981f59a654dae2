r"""Polynomials, :math:`\sigma(x) = \sum_q a_q x^q`; every average of theirs is a finite sum."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import ArrayLike

from .. import _checks
from .._compiled import jitable, with_name_of
from .base import Activation

__all__ = ["Polynomial"]

LARGEST = 24  # degree from which the sums lose digits


class Polynomial(Activation):
    r"""A polynomial, :math:`\sigma(x) = \sum_q a_q x^q`.

    Parameters
    ----------
    coefficients : array_like, shape (degree + 1,)
        :math:`a_q`, the lowest first. At least one beyond :math:`a_0` is not zero.

    Examples
    --------
    >>> Polynomial([0, -3, 0, 1])(2.0)
    np.float64(2.0)
    """

    name = "polynomial"

    def __init__(self, coefficients: ArrayLike) -> None:
        given = _checks.float_array("coefficients", coefficients, (None,), "(degree + 1,)")
        if not np.any(given[1:]) or len(given) > LARGEST + 1:
            raise ValueError(f"`coefficients` must be those of a degree from 1 to {LARGEST}, but are {given.tolist()}")
        self.coefficients = tuple(np.trim_zeros(given, "b").tolist())

    @property
    def degree(self) -> float | None:  # type: ignore[override]
        """The degree of a single power; None of a sum, which is not homogeneous."""
        return len(self.coefficients) - 1 if np.count_nonzero(self.coefficients) == 1 else None

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return evaluation(self.coefficients)

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Return its second derivative, shape of `x`."""
        return polynomial.polyval(np.asarray(x, dtype=np.float64), polynomial.polyder(self.coefficients, 2))


@functools.lru_cache(maxsize=256)
def evaluation(coefficients: tuple[float, ...]) -> Callable[..., Any]:
    """Return the plain function x -> (value, slope) of a polynomial, in powers of x^2 where it is even or odd."""
    parities = [q % 2 for q, a in enumerate(coefficients) if a]
    step = 2 if min(parities) == max(parities) else 1
    first = parities[0] if step == 2 else 0
    top, *rest = coefficients[first::step][::-1]
    powers = [(len(coefficients) - 1 - step * i) * a for i, a in enumerate((top, *rest))]
    # x^first (a + ...) and its slope; an even polynomial has a slope x (2 a + ...), of one coefficient less
    slope_first = 1 if (step == 2 and first == 0) else 0
    slope_top, *slope_rest = powers[: len(powers) - (first == 0)]
    value_rest, slope_rest = tuple(rest), tuple(slope_rest)

    @jitable
    @with_name_of(coefficients)
    def polynomial(x):
        y = x * x if step == 2 else x
        value, slope = 0.0 * x + top, 0.0 * x + slope_top
        for a in value_rest:
            value = value * y + a
        for a in slope_rest:
            slope = slope * y + a
        return value * x if first else value, slope * x if slope_first else slope

    return polynomial

r"""Polynomials, :math:`\sigma(x) = \sum_q a_q x^q`; every average of theirs is a finite sum."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import ArrayLike

from .. import _checks
from .base import Activation
from .expressions import Tape, plain_function, source, traced

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
        coefficients = _of(self)
        return len(coefficients) - 1 if np.count_nonzero(coefficients) == 1 else None

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return evaluation(_of(self))

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Return its second derivative, shape of `x`."""
        return polynomial.polyval(np.asarray(x, dtype=np.float64), polynomial.polyder(_of(self), 2))


def _of(activation: Polynomial) -> tuple[float, ...]:
    return activation.coefficients or ()


@functools.lru_cache(maxsize=256)
def evaluation(coefficients: tuple[float, ...]) -> Callable[..., Any]:
    """Return the plain function x -> (value, slope) of a polynomial, in powers of x^2 where it is even or odd."""
    tape = Tape()
    slopes = tuple(q * a for q, a in enumerate(coefficients))[1:]
    return plain_function(source(tape, *(traced(functools.partial(horner, a), tape) for a in (coefficients, slopes))))


def horner(coefficients: tuple[float, ...], x: Any) -> Any:
    """Return the value of a polynomial."""
    parities = {q % 2 for q, a in enumerate(coefficients) if a}
    if parities == {1}:
        return horner(coefficients[1:], x) * x
    y, step = (x * x, 2) if parities == {0} and len(coefficients) > 1 else (x, 1)
    found = 0.0
    for a in coefficients[::-step]:
        found = found * y + a
    return found

"""Eigenvalues with multiplicities, and what they say about a point of the loss landscape."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Report

__all__ = ["TOLERANCE", "Spectrum", "check_tolerance", "smooth"]

# Size, relative to the largest eigenvalue, below which an eigenvalue or a gradient counts as zero.
TOLERANCE = 1e-9
# Relative distance of two eigenvalues that rounding explains: they are listed as one.
ROUNDING = 1e-11


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(Report):
    r"""The spectrum of a Hessian: distinct eigenvalues, how often each occurs, and the gradient beside them.

    Parameters
    ----------
    values : array_like, shape (n,)
        Eigenvalues, in any order; values closer than rounding (1e-11 of the largest) become one, their mean.
    multiplicities : array_like of int, shape (n,), optional
        How often each occurs; once by default. Entries of 0 are dropped.
    gradient_norm : float
        Euclidean norm of the gradient at the same point, in the same coordinates.
    tolerance : float
        What counts as zero, relative to the largest absolute eigenvalue; see :attr:`zero`.

    Raises
    ------
    TypeError, ValueError
        If there is no eigenvalue, a multiplicity is no whole number or negative, or a number is out of range.

    Examples
    --------
    >>> spectrum = Spectrum([-0.5, 0.0, 1.0], [8, 38, 10])
    >>> spectrum.index, spectrum.nullity, spectrum.verdict
    (8, 38, 'saddle')
    """

    values: np.ndarray
    multiplicities: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    gradient_norm: float = 0.0
    tolerance: float = TOLERANCE

    if TYPE_CHECKING:  # what is taken is more than what is held

        def __init__(
            self,
            values: ArrayLike,
            multiplicities: ArrayLike | None = None,
            gradient_norm: float = 0.0,
            tolerance: float = TOLERANCE,
        ) -> None: ...

    def __post_init__(self) -> None:
        values = _checks.float_array("values", self.values, (None,), "(n,)")
        counts = np.ones(len(values)) if self.multiplicities is None else self.multiplicities
        counts = _checks.float_array("multiplicities", counts, values.shape, "(n,)", _checks.LARGEST_INTEGER)
        if np.any(counts < 0) or np.any(counts != np.rint(counts)):
            raise ValueError(f"`multiplicities` must be whole numbers from 0 on, but is {self.multiplicities}")
        if not np.any(counts):
            raise ValueError("`values` must hold at least one eigenvalue of multiplicity 1, but has none")
        values, counts = _distinct(values, counts.astype(np.int64))
        for name, value in {
            "values": values,
            "multiplicities": counts,
            "gradient_norm": _checks.number("gradient_norm", self.gradient_norm, minimum=0.0),
            "tolerance": check_tolerance(self.tolerance),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def zero(self) -> float:
        """What counts as zero: the tolerance times the largest absolute eigenvalue, float."""
        return self.tolerance * float(np.max(np.abs(self.values)))

    @property
    def dimension(self) -> int:
        """Number of eigenvalues with their multiplicities, int."""
        return int(self.multiplicities.sum())

    @property
    def index(self) -> int:
        """Number of negative eigenvalues, int: the directions of descent."""
        return int(self.multiplicities[self.values < -self.zero].sum())

    @property
    def nullity(self) -> int:
        """Number of eigenvalues that count as zero, int."""
        return int(self.multiplicities[np.abs(self.values) <= self.zero].sum())

    @property
    def lowest(self) -> float:
        """Smallest eigenvalue, float."""
        return float(self.values[0])

    @property
    def highest(self) -> float:
        """Largest eigenvalue, float."""
        return float(self.values[-1])

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues with their multiplicities, float."""
        return float(self.values @ self.multiplicities)

    @property
    def verdict(self) -> str:
        """What the point is, to second order, str.

        "not a critical point" if the gradient is not zero; else "saddle", "maximum" (some direction of
        descent, none of ascent), "strict minimum", or "marginal minimum" (no direction of descent, but flat
        ones, in which higher orders decide).
        """
        if self.gradient_norm > self.zero:
            return "not a critical point"
        if self.index:
            return "saddle" if self.index + self.nullity < self.dimension else "maximum"
        return "marginal minimum" if self.nullity else "strict minimum"

    @cached_property
    def expanded(self) -> np.ndarray:
        """Every eigenvalue as often as it occurs, ascending, ndarray of shape (dimension,)."""
        return np.repeat(self.values, self.multiplicities)

    def density(self, x: ArrayLike, width: float) -> np.ndarray:
        """Return the normalised spectral density, every eigenvalue broadened to a Gaussian.

        Parameters
        ----------
        x : array_like, shape (m,)
            Where to evaluate it.
        width : float
            Standard deviation of the Gaussians.

        Returns
        -------
        ndarray, shape (m,)
            Integrates to 1; in units of 1 / eigenvalue.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or shape, or `width` is not positive.

        Examples
        --------
        >>> Spectrum([-0.5, 0.0, 1.0], [8, 38, 10]).density([0.0, 5.0], 0.1).round(2)
        array([2.71, 0.  ])
        """
        return smooth(x, width, self.values, self.multiplicities / self.dimension)

    def _rows(self):
        shown = range(len(self.values)) if len(self.values) <= 12 else [*range(6), None, *range(-6, 0)]
        lines = [
            "..." if i is None else f"{_rounded(self.values[i], self.zero):>12.6g}  x {self.multiplicities[i]:,}"
            for i in shown
        ]
        return [
            ("verdict", self.verdict),
            ("index (negative)", f"{self.index:,}"),
            ("nullity", f"{self.nullity:,}  (absolute value at most {self.zero:.2g})"),
            ("dimension", f"{self.dimension:,}"),
            ("trace", f"{self.trace:.6g}"),
            ("gradient norm", f"{self.gradient_norm:.3g}"),
            ("eigenvalues", "\n".join(lines)),
        ]

    def _title(self):
        return "Spectrum of a Hessian"


def check_tolerance(tolerance: float) -> float:
    """Return `tolerance` as a float below 1: else everything would count as zero."""
    return _checks.number("tolerance", tolerance, minimum=0.0, maximum=0.5)


def smooth(x: ArrayLike, width: float, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of Gaussians of standard deviation `width` at `values`, each of area `weights`, at `x`."""
    x = _checks.float_array("x", x, (None,), "(m,)")
    width = _checks.number("width", width, above=0.0)
    result = np.zeros(len(x))
    for value, weight in zip(values, weights):  # one by one: memory stays that of x
        result += weight * np.exp(-(((x - value) / width) ** 2) / 2)
    return result / (width * np.sqrt(2 * np.pi))


def _distinct(values, counts):
    """Return ascending values and their multiplicities, runs of values that differ by rounding merged."""
    present = counts > 0
    values, counts = values[present], counts[present]
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    apart = np.diff(values) > ROUNDING * np.max(np.abs(values))
    first = np.concatenate([[0], np.flatnonzero(apart) + 1])
    total = np.add.reduceat(counts, first)
    # A mean of differences to the first of the run, so that equal values stay equal to the last bit.
    offset = np.add.reduceat((values - np.repeat(values[first], np.diff([*first, len(values)]))) * counts, first)
    merged = values[first] + offset / total
    merged.setflags(write=False)
    total.setflags(write=False)
    return merged, total


def _rounded(value, zero):
    return 0.0 if abs(value) <= zero else value

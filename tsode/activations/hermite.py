r"""Hermite's polynomials :math:`\mathrm{He}_k`, orthogonal under a standard normal density."""

import functools
import math

from numpy.polynomial import hermite_e

from .. import _checks
from .polynomial import Polynomial

__all__ = ["Hermite"]


class Hermite(Polynomial):
    r"""The polynomial :math:`h_k = \mathrm{He}_k / \sqrt{k!}`: a target of information exponent k.

    For standard normal x and z with correlation :math:`\rho`, :math:`E[h_j(x)\, h_k(z)] = \delta_{jk}\, \rho^k`.

    Parameters
    ----------
    k : int
        Its degree, from 1 on.
    normalised : bool
        Divide by :math:`\sqrt{k!}`.

    Examples
    --------
    >>> round(float(Hermite(3).pair(Hermite(3), 1.0, 0.5, 1.0)), 12)
    0.125
    """

    name = "hermite"

    def __init__(self, k: int, normalised: bool = True) -> None:
        self.k = _checks.integer("k", k, minimum=1, maximum=24)
        self.normalised = _checks.flag("normalised", normalised)

    @property
    def coefficients(self) -> tuple[float, ...]:  # type: ignore[override]
        """Its coefficients, the lowest power first."""
        return hermite_coefficients(self.k, self.normalised)


@functools.cache
def hermite_coefficients(k: int, normalised: bool) -> tuple[float, ...]:
    """Return the coefficients of a Hermite polynomial, the lowest power first."""
    norm = math.sqrt(math.factorial(k)) if normalised else 1.0
    return tuple((hermite_e.herme2poly([0] * k + [1]) / norm).tolist())

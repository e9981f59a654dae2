r"""The error function, :math:`\sigma(x) = \mathrm{erf}(x / \sqrt 2)`: the soft committee machine of Saad & Solla."""

import math

import numpy as np
from scipy.special import erf as erf_function

from .._compiled import jitable
from .base import Activation

__all__ = ["Erf"]

ROOT_HALF, SLOPE = math.sqrt(0.5), math.sqrt(2 / math.pi)


@jitable
def erf(x):
    """Return the error function of x / sqrt(2) and its slope."""
    return erf_function(ROOT_HALF * x), SLOPE * np.exp(-0.5 * x * x)


class Erf(Activation):
    r"""The error function, :math:`\sigma(x) = \mathrm{erf}(x / \sqrt 2)`."""

    name = "erf"

    @property
    def function(self):
        """Plain function x -> (value, slope)."""
        return erf

    def curvature(self, x):
        """Return its second derivative, shape of `x`."""
        return -np.asarray(x) * self.slope(x)

r"""The sign, :math:`\sigma(x) = \mathrm{sgn}(x)`, of teachers: the limit of error functions of any steepness.

A student with it would never learn, as its slope is zero. The averages with students that have the error function are
those of :mod:`tsode.activations.erf` with o = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._compiled import jitable
from .base import Activation
from .erf import Erf

__all__ = ["Sign"]


@jitable
def sign(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sign and its slope where it has one."""
    return np.sign(x), 0.0 * x


class Sign(Erf):
    """The sign, for teachers that tell two classes apart.

    Examples
    --------
    >>> Sign()([-2.0, 0.0, 2.0])
    array([-1.,  0.,  1.])
    """

    name = "sign"
    degree = 0
    softness = 0.0
    kinks = (0.0,)
    learns = False

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return sign

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Say that it has none."""
        return Activation.curvature(self, x)

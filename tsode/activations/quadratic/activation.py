"""The square as an activation: what it answers to the rooms above."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..._compiled import jitable
from .. import symmetry
from ..base import Activation
from ..error_averages import Averages
from .averages import AVERAGES, squared_error
from .theory import Theory

if TYPE_CHECKING:
    from ...model import TeacherStudent

__all__ = ["Quadratic"]


@jitable
def square(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the square and its slope."""
    return x * x, 2.0 * x


class Quadratic(Activation):
    r"""The square, :math:`\sigma(x) = x^2`."""

    name = "quadratic"
    degree = 2
    coefficients = (0.0, 0.0, 1.0)

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return square

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Return its second derivative, shape of `x`."""
        return np.full(np.shape(x), 2.0)

    def pair(self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
        """Return E[s(x) g(z)], s being this activation."""
        if not isinstance(second, Quadratic):
            return super().pair(second, c_xx, c_xz, c_zz)
        return np.multiply(c_xx, c_zz) + 2 * np.square(c_xz)

    def pair_slopes(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the derivatives of `pair` with respect to the three covariances."""
        if not isinstance(second, Quadratic):
            return super().pair_slopes(second, c_xx, c_xz, c_zz)
        found = np.empty((3, *np.broadcast(c_xx, c_xz, c_zz).shape))
        found[0], found[1], found[2] = c_zz, np.multiply(4.0, c_xz), c_xx
        return found[0], found[1], found[2]

    def pair_curvatures(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, ...]:
        """Return the six second derivatives of `pair`."""
        if not isinstance(second, Quadratic):
            return super().pair_curvatures(second, c_xx, c_xz, c_zz)
        found = np.zeros((6, *np.broadcast(c_xx, c_xz, c_zz).shape))
        found[2], found[3] = 1.0, 4.0
        return tuple(found)

    def input_rotations(self, readout: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rotations that commute with the quadratic form that units put out."""
        return symmetry.commuting(rows.T @ (readout[:, None] * rows))

    def averages(self, teacher: Activation) -> Averages:
        """Return the Averages, in closed form for a teacher of the same activation."""
        return AVERAGES if teacher == self else super().averages(teacher)

    def squared_error(
        self, teacher: Activation, v: np.ndarray, v_star: np.ndarray, M: np.ndarray, Q: np.ndarray, P: np.ndarray
    ) -> np.ndarray:
        """Return the mean of the squared error without noise, shape (...) of M and Q."""
        if teacher != self:
            return super().squared_error(teacher, v, v_star, M, Q, P)
        return squared_error(v, v_star, M, Q, P)

    def closed_forms(self, model: TeacherStudent) -> Theory:
        """Return everything that is known about a plain model in closed form."""
        return Theory(model)

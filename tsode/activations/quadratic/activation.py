"""The square as an activation: what it answers to the rooms above."""

import numpy as np

from ..._compiled import jitable
from ..base import Activation
from .averages import AVERAGES, squared_error
from .theory import Theory

__all__ = ["Quadratic"]


@jitable
def square(x):
    """Return the square and its slope."""
    return x * x, 2.0 * x


class Quadratic(Activation):
    r"""The square, :math:`\sigma(x) = x^2`."""

    name = "quadratic"
    degree = 2

    @property
    def function(self):
        """Plain function x -> (value, slope)."""
        return square

    def pair(self, second, c_xx, c_xz, c_zz):
        """Return E[s(x) g(z)], s being this activation."""
        if not isinstance(second, Quadratic):
            return super().pair(second, c_xx, c_xz, c_zz)
        return np.multiply(c_xx, c_zz) + 2 * np.square(c_xz)

    def pair_slopes(self, second, c_xx, c_xz, c_zz):
        """Return the derivatives of `pair` with respect to the three covariances."""
        if not isinstance(second, Quadratic):
            return super().pair_slopes(second, c_xx, c_xz, c_zz)
        c_xx, c_xz, c_zz = np.broadcast_arrays(c_xx, c_xz, c_zz)
        return 1.0 * c_zz, 4.0 * c_xz, 1.0 * c_xx

    def pair_curvatures(self, second, c_xx, c_xz, c_zz):
        """Return the six second derivatives of `pair`."""
        if not isinstance(second, Quadratic):
            return super().pair_curvatures(second, c_xx, c_xz, c_zz)
        shape = np.broadcast_shapes(np.shape(c_xx), np.shape(c_xz), np.shape(c_zz))
        return tuple(np.full(shape, value) for value in (0.0, 0.0, 1.0, 4.0, 0.0, 0.0))

    def averages(self, teacher):
        """Return the Averages, in closed form for a teacher of the same activation."""
        return AVERAGES if teacher == self else super().averages(teacher)

    def squared_error(self, teacher, v, v_star, M, Q, P):
        """Return the mean of the squared error without noise, shape (...) of M and Q."""
        if teacher != self:
            return super().squared_error(teacher, v, v_star, M, Q, P)
        return squared_error(v, v_star, M, Q, P)

    def closed_forms(self, model):
        """Return everything that is known about a plain model in closed form."""
        return Theory(model)

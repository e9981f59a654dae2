"""The square as an activation: what it answers to the rooms above."""

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

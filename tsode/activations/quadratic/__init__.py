"""The square, and everything that is known about it in closed form: nothing outside this room names its formulas."""

from ..._compiled import jitable
from ..base import Activation

__all__ = ["Quadratic"]


@jitable
def square(x):
    """Return the square and its slope."""
    return x * x, 2.0 * x


class Quadratic(Activation):
    r"""The square, :math:`\sigma(x) = x^2`."""

    name = "quadratic"

    @property
    def function(self):
        """Plain function x -> (value, slope)."""
        return square

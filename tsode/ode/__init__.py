"""The overlap ODEs: one solution, or many at once."""

from .gradient import LossGradient, gradient
from .many import integrate_many
from .single import METHODS, integrate

__all__ = ["METHODS", "LossGradient", "gradient", "integrate", "integrate_many"]

"""The overlap ODEs: one solution, or many at once."""

from .gradient import LossGradient, gradient
from .many import integrate_many
from .optimal import OptimalSchedule, optimal_schedule
from .single import METHODS, integrate

__all__ = ["METHODS", "LossGradient", "OptimalSchedule", "gradient", "integrate", "integrate_many", "optimal_schedule"]

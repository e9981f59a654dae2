"""The overlap ODEs: one solution, or many at once; and the map that takes their place for giant batches."""

from .giant_steps import giant_steps
from .gradient import LossGradient, gradient
from .many import integrate_many
from .optimal import OptimalSchedule, optimal_schedule
from .single import METHODS, integrate

__all__ = [
    "METHODS",
    "LossGradient",
    "OptimalSchedule",
    "giant_steps",
    "gradient",
    "integrate",
    "integrate_many",
    "optimal_schedule",
]

"""The overlap ODEs: one solution, or many at once."""

from .many import integrate_many
from .single import METHODS, integrate

__all__ = ["METHODS", "integrate", "integrate_many"]

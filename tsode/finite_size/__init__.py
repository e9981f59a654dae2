"""Finite input dimension without simulation: how far single runs of SGD are from their ODE."""

from .driver import fluctuations
from .result import Fluctuations

__all__ = ["Fluctuations", "fluctuations"]

"""Finite input dimension without simulation: how far single runs of SGD are from their ODE."""

from .driver import fluctuations, quick_fluctuations
from .result import Fluctuations
from .stationary import Stationary, stationary_fluctuations

__all__ = ["Fluctuations", "Stationary", "fluctuations", "quick_fluctuations", "stationary_fluctuations"]

"""Finite input dimension without simulation: how far single runs of SGD are from their ODE."""

from .driver import fluctuations
from .result import Fluctuations
from .stationary import Stationary, stationary_fluctuations

__all__ = ["Fluctuations", "Stationary", "fluctuations", "stationary_fluctuations"]

"""The plateau at M = 0, and when it is left."""

from .escape import escape_law, escape_time
from .plateau import Plateau, plateau

__all__ = ["Plateau", "escape_law", "escape_time", "plateau"]

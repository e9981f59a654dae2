"""The plateau, when it is left, and fixed points of any model."""

from .continuation import Change, Continuation
from .escape import escape_law, escape_time
from .fixed_point import FixedPoint, fixed_point
from .plateau import Plateau, plateau

__all__ = ["Change", "Continuation", "FixedPoint", "Plateau", "escape_law", "escape_time", "fixed_point", "plateau"]

"""One call for everything about one model: SGD beside its ODE, and what is read off them beside theory."""

from .result import Study
from .study import study

__all__ = ["Study", "study"]

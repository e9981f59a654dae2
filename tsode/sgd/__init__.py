"""One-pass SGD at finite input dimension: one call, several engines."""

from .driver import ENGINES, InputsExhausted, simulate
from .weights import PRECISIONS

__all__ = ["ENGINES", "PRECISIONS", "InputsExhausted", "simulate"]

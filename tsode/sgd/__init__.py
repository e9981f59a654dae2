"""One-pass SGD at finite input dimension: one call, several engines."""

from .driver import ENGINES, InputsExhausted, simulate

__all__ = ["ENGINES", "InputsExhausted", "simulate"]

"""One-pass SGD at finite input dimension: one call, several engines."""

from .driver import InputsExhausted, simulate
from .escape_runs import escape_runs
from .many import simulate_many
from .observables import of_weights
from .setting import ENGINES, check_samples
from .weights import PRECISIONS

__all__ = [
    "ENGINES", "PRECISIONS", "InputsExhausted", "check_samples", "escape_runs", "of_weights", "simulate",
    "simulate_many",
]  # fmt: skip

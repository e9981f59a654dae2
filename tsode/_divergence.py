"""What counts as diverged, for the ODEs and for SGD alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .model import TeacherStudent

__all__ = ["divergence_limit", "norm_scale"]


def norm_scale(model: TeacherStudent, Q: np.ndarray) -> float:
    """Return the larger of tr Q of a start and of a solution, at least 1: what tr Q is to be compared with."""
    return max(1.0, float(Q.trace()), model.solution_ratio * float(model.teacher_overlap.trace()))


def divergence_limit(model: TeacherStudent, Q: np.ndarray) -> float:
    """Return the tr Q that counts as diverged: 1e6 times that of the start Q or of a solution, if larger.

    The ODEs diverge as one over the root of the time left: much later, that is lost in rounding.
    """
    return 1e6 * norm_scale(model, Q)

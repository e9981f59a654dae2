"""How fine a quadrature has to be: levels of the average over the error, 0 being the coarsest."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .base import Activation

__all__ = ["accuracy", "level_of"]

LAST = 4  # the finest level
# covariance and readouts of a generic point
GENERIC = (
    np.array([[1.0, 0.2, 0.6, 0.1], [0.2, 1.0, -0.2, 0.5], [0.6, -0.2, 1.0, 0.0], [0.1, 0.5, 0.0, 1.0]]),
    np.array([0.8, -0.5]), np.array([1.0, 0.4]),
)  # fmt: skip
Squared = Callable[..., np.ndarray]


@functools.lru_cache(maxsize=256)
def level_of(squared: Squared, student: Activation, teacher: Activation, rtol: float) -> int:
    """Return the first level whose relative error at a generic point is at most `rtol`, or the last one.

    Parameters
    ----------
    squared : callable
        (student, teacher, omega, v, v_star, noise_variance, level) -> E[D^2 s'_k s'_l].
    student, teacher : Activation
        Both activations.
    rtol : float
        The tolerance.
    """
    return next((i for i in range(LAST) if _difference(squared, student, teacher, i, *GENERIC, 0.0) <= rtol), LAST)


def accuracy(
    squared: Squared,
    student: Activation,
    teacher: Activation,
    omega: np.ndarray,
    v: np.ndarray,
    v_star: np.ndarray,
    noise_variance: float,
    rtol: float,
) -> float:
    """Return how far the level for a tolerance is from the next one at some point, relative to the largest entry."""
    level = level_of(squared, student, teacher, rtol)
    return _difference(squared, student, teacher, level, omega, v, v_star, noise_variance)


def _difference(
    squared: Squared,
    student: Activation,
    teacher: Activation,
    level: int,
    omega: np.ndarray,
    v: np.ndarray,
    v_star: np.ndarray,
    noise_variance: float,
) -> float:
    """Return how far a level is from the next one, relative to the largest entry."""
    coarse, fine = (squared(student, teacher, omega, v, v_star, noise_variance, level + i) for i in (0, 1))
    return float(np.abs(fine - coarse).max() / max(np.abs(fine).max(), np.finfo(float).tiny))

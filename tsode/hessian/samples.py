"""Samples of a teacher for the empirical Hessians, as many as a multiple of N."""

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..model import TeacherStudent

__all__ = ["check_ratios", "gaussian_samples"]


def gaussian_samples(
    model: TeacherStudent, W_star: np.ndarray, ratio: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian inputs and the teacher's noisy labels, shapes (n, N), (n,)."""
    N = W_star.shape[1]
    X = rng.standard_normal((round(ratio * N), N))
    noise = np.sqrt(model.noise_variance) * rng.standard_normal(len(X))
    return X, model.teacher_activation(X @ W_star.T / np.sqrt(N)) @ model.teacher_readout + noise


def check_ratios(ratios: ArrayLike, N: int) -> np.ndarray:
    """Return `ratios` as an array, if it is strictly increasing from at least one sample on."""
    ratios = _checks.float_array("ratios", ratios, (None,), "(R,)")
    if ratios.size == 0 or np.any(np.diff(ratios) <= 0) or round(ratios[0] * N) < 1:
        raise ValueError(f"`ratios` must be positive and strictly increasing, at least one of them, but is {ratios}")
    _checks.memory("`ratios`", ratios[-1] * N * N)
    return ratios

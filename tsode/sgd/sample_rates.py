"""The learning rate of each sample."""

import numpy as np

from ..model import TeacherStudent

__all__ = ["sample_rates"]


def sample_rates(model: TeacherStudent, N: int, step: int, stop: int) -> np.ndarray:
    """Return the learning rates of samples `step` to `stop`, shape (stop - step,); empty where they are all the same.

    Sample n comes at alpha = n / N, and all samples of a batch have the rate of the first one.
    """
    if model.schedule is None:
        return np.empty(0)
    first = np.arange(step, stop) // model.batch_size * model.batch_size
    return np.array(model.schedule(first / N))  # a copy: kernels would be compiled once more for what is read-only

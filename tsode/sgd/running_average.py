"""The running average of the weights beside them: see `tsode.averaging`. It takes no part in the steps."""

import numpy as np
from numba import njit

from .._lanes import fma, load, store
from ..model import TeacherStudent

__all__ = ["average_rows", "average_weights", "newest_weights"]


def newest_weights(model: TeacherStudent, N: int, step: int, stop: int) -> np.ndarray:
    """Return what the weights after the batch of each sample count in their average, shape (stop - step,), or empty.

    They count at the time at which their batch is complete.
    """
    if model.averaging is None:
        return np.empty(0)
    complete = (np.arange(step, stop) // model.batch_size + 1) * model.batch_size
    return model.averaging.weights(complete / N, model.batch_size / N)


@njit(inline="always", error_model="numpy")
def average_rows(rows, scalars, averages, p, newest):
    """Move the average, the last p rows, towards the student, the first ones; and that of the scalars.

    The rows are a triangle, in which the student's have no column that those behind have not.
    """
    first = rows.shape[0] - p
    for k in range(p):
        for j in range(rows.shape[1]):
            here = load(rows, first + k, j)
            store(rows, first + k, j, fma(newest, load(rows, k, j) - here, here))
    for i in range(averages.shape[0]):
        here = load(averages, i)
        store(averages, i, fma(newest, load(scalars, i) - here, here))


@njit(cache=True, nogil=True, error_model="numpy")
def average_weights(W, average, scalars, averages, newest):
    """Move the average of the student's rows in panels towards them, and that of the scalars."""
    for t in range(average.shape[0]):
        for k in range(average.shape[1]):
            for i in range(average.shape[2]):
                average[t, k, i] += newest * (W[t, k, i] - average[t, k, i])
    for i in range(averages.shape[0]):
        averages[i] += newest * (scalars[i] - averages[i])

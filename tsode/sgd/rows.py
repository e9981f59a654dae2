r"""Rows of data as inputs: how far they are from what the theory takes them for, and the loss on them.

The theory wants inputs of mean 0 and of the model's variances. What becomes of it on other rows is seen on the loss: at
every record the mean is taken over the next rows, from which SGD has not learned yet. It is then an estimate, without
bias, of the loss on the law that the rows are drawn from; rows that were learned have a smaller loss.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..activations import NoClosedForm
from ..inputs import Inputs
from ..model import TeacherStudent

__all__ = ["ROW_LOSS", "Rows"]

ROW_LOSS = "row_loss"  # its name among the observables
AHEAD = 1000  # rows at most that a loss is the mean of; a record then takes the time of some hundred samples
LOOKED_AT = 2000  # rows at most, evenly spaced, whose mean and variance are measured
MARGIN, SIGMAS = 0.1, 3.0  # departures that are told: above both, the second in units of the sampling error


class Rows:
    """Rows of an array, each used once and in order; those that follow can be seen before.

    Parameters
    ----------
    array : ndarray, shape (n, N)
        The rows.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.used = array, 0

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> np.ndarray:
        if self.used == len(self.array):
            raise StopIteration
        self.used += 1
        return self.array[self.used - 1]

    def observables(self, model: TeacherStudent) -> dict[str, Any]:
        """Return the loss on rows as an observable, by its name; nothing for a rule that has no loss of samples."""
        try:
            self._losses(model, np.zeros((model.p, 0)), np.zeros((model.p_star, 0)), model.student_readout)
        except NoClosedForm:
            return {}
        return {ROW_LOSS: self}

    def loss(self, engine: Any) -> np.ndarray:
        """Return the mean excess loss on the rows that follow in a run, shape (1,); nan where none is left."""
        model, rows = engine.model, self.array[self.used : self.used + AHEAD]
        if not len(rows):
            return np.full(1, np.nan)
        lam, mu = (weights @ rows.T / np.sqrt(rows.shape[1]) for weights in engine.weights())
        trained = engine.trained()[0]
        return self._losses(model, lam, mu, trained if len(trained) else model.student_readout).mean(keepdims=True)

    def _losses(self, model, lam, mu, readout):
        return model.rule.sample_losses(model, lam, mu, readout)

    def warn(self, inputs: Inputs | None) -> None:
        """Warn where the rows have not the mean or the variances that the theory takes them to have."""
        rows = self.array[:: max(1, -(-len(self.array) // LOOKED_AT))]
        shift, spread = departures(rows, inputs)
        if not (shift or spread):
            return
        found = [f"means of {shift:.2g} standard deviations"] * bool(shift)
        found += [f"variances that are off by {100 * spread:.0f} %"] * bool(spread)
        warnings.warn(
            "standardise `inputs`, as (rows - rows.mean(axis=0)) / rows.std(axis=0), or rotate them to their principal "
            "components and take the model with their spectrum, model.replace(inputs=tsode.Inputs.from_data(rows, "
            f"blocks)): the theory takes them for centred and of the model's variances, but they have "
            f"{' and '.join(found)} (root mean squares over the coordinates)",
            RuntimeWarning,
            stacklevel=3,
        )


def departures(rows: np.ndarray, inputs: Inputs | None) -> tuple[float, float]:
    """Return by how much rows miss mean 0, in standard deviations, and their variances, as a part of these.

    Both are root mean squares, over coordinates and, of variances of blocks, over these; 0 where that is little, or may
    come from the number of rows.
    """
    count, N = rows.shape
    sizes = np.ones(N, dtype=int) if inputs is None else inputs.sizes(N)
    scales = np.ones(N) if inputs is None else inputs.scales(N)
    flat = scales == 0  # what has no variance has a mean that can be told from 0 at once
    shifts = rows / np.where(flat, 1.0, scales)
    mean = shifts.mean(axis=0)
    squares = np.add.reduceat(np.square(shifts - mean), np.cumsum(sizes) - sizes, axis=1) / sizes
    variances = squares.mean(axis=0)
    wanted = np.add.reduceat(~flat, np.cumsum(sizes) - sizes) / sizes
    error = np.maximum(1.0, variances.mean()) / count, np.maximum(2.0 / sizes, squares.var(axis=0)) / count
    found = []
    for departure, noise in ((mean, error[0]), (variances - wanted, error[1])):
        size, least = np.sqrt(np.mean(np.square(departure))), np.sqrt(np.mean(noise))
        found.append(float(size) if size > max(MARGIN, SIGMAS * least) else 0.0)
    return found[0], found[1]

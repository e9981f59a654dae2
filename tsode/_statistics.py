"""Statistics over runs."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["mean_and_error", "standard_error"]


def standard_error(values: ArrayLike) -> Any:
    """Return the standard error of the mean over runs, the first axis."""
    from scipy.stats import sem  # takes longer to import than all of tsode

    return sem(values)


def mean_and_error(values: ArrayLike) -> tuple[float, float]:
    """Return mean and standard error of the finite values, shape (runs,); nan where there are too few."""
    values = np.asarray(values)[np.isfinite(values)]
    return (
        float(np.mean(values)) if values.size else np.nan,
        float(standard_error(values)) if values.size > 1 else np.nan,
    )

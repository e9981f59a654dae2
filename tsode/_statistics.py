"""Statistics over runs."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["mean_and_error"]


def mean_and_error(values: ArrayLike) -> tuple[float, float]:
    """Return mean and standard error of the finite values, shape (runs,); nan where there are too few."""
    from scipy.stats import sem  # takes longer to import than all of tsode

    values = np.asarray(values)[np.isfinite(values)]
    return (
        float(np.mean(values)) if values.size else np.nan,
        float(sem(values)) if values.size > 1 else np.nan,
    )

"""Types that several rooms take."""

import os

import numpy as np

__all__ = ["PathLike", "Seed"]

PathLike = str | os.PathLike[str]
Seed = int | np.random.SeedSequence | np.random.Generator | None

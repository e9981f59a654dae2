"""Parameter scans that survive a crash: a function over a grid, in processes or on a cluster."""

from .batches import batched
from .grids import point_seed
from .runner import scan
from .values import failures

__all__ = ["batched", "failures", "point_seed", "scan"]

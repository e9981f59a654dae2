"""Parameter scans that survive a crash: a function over a grid, in processes or on a cluster."""

from .batches import batched
from .deviation_scans import deviation
from .escape_scans import escape
from .grids import point_seed
from .model_grids import DEFAULTS
from .runner import scan
from .stability_scans import stability
from .values import failures
from .workers import PointFailed

__all__ = ["DEFAULTS", "PointFailed", "batched", "deviation", "escape", "failures", "point_seed", "scan", "stability"]

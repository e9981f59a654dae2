"""Parameter scans that survive a crash: a function over a grid, in processes or on a cluster.

``scan`` takes any function, ``batched`` lets it take many points a call, and `escape`, `stability` and `deviation` are
ready scans, each with its figure in :mod:`tsode.plot` and its command.

Examples
--------
>>> import tsode
>>> table = tsode.scans.stability({"p": [1, 2], "p_star": 8, "learning_rate": [0.1, 0.3]}, n_jobs=1)
>>> print(table["fate"].squeeze().values)
[['escapes' 'diverges']
 ['escapes' 'escapes']]
"""

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

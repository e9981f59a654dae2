"""Progress bars: where a person watches (a terminal or a notebook), and nothing in a pipe."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from tqdm import TqdmWarning

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["progress_bar"]


def progress_bar(show: bool, **options: Any) -> tqdm:
    """Return a tqdm bar, drawn as a widget in a notebook that has widgets and as text elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # without widgets text is good enough
        from tqdm.auto import tqdm
    # tqdm's own None stands for no terminal, no bar; a notebook's output is none, and is watched
    shown = False if _in_notebook() else None
    return tqdm(disable=shown if show else True, **options)


def _in_notebook():
    """Return whether this is the process of a notebook, which has imported IPython then."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})

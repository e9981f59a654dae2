"""Progress bars: where a person watches (a terminal or a notebook), and nothing in a pipe."""

from __future__ import annotations

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
    return tqdm(disable=None if show else True, **options)

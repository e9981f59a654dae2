"""Progress bars: where a person watches (a terminal or a notebook), and nothing in a pipe."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from numba.core import event
from tqdm import TqdmWarning

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["progress_bar", "saying_what_compiles"]


def progress_bar(show: bool, **options: Any) -> tqdm:
    """Return a tqdm bar, drawn as a widget in a notebook that has widgets and as text elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # without widgets text is good enough
        from tqdm.auto import tqdm
    return tqdm(disable=None if show else True, **options)


def saying_what_compiles(bar: tqdm) -> contextlib.AbstractContextManager[object]:
    """Have a bar say so while a kernel is compiled: the first run of a kind would seem to stand still."""
    return contextlib.nullcontext() if bar.disable else event.install_listener("numba:compile", _Compiling(bar))


class _Compiling(event.Listener):
    """Puts a word before what a bar says, from the first kernel that is begun to the last that is done."""

    def __init__(self, bar: tqdm) -> None:
        self._bar, self._open, self._said = bar, 0, ""

    def on_start(self, event):
        if not self._open:
            self._said = self._bar.desc
            self._bar.set_description_str(f"compiling for the first run, {self._said}")
        self._open += 1

    def on_end(self, event):
        self._open -= 1
        if not self._open:
            self._bar.set_description_str(self._said)

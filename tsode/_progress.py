"""Progress bars: where a person watches (a terminal or a notebook), and nothing in a pipe."""

from __future__ import annotations

import contextlib
import sys
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
    # tqdm's own None stands for no terminal, no bar; a notebook's output is none, and is watched
    shown = False if _in_notebook() else None
    return tqdm(disable=shown if show else True, **options)


def _in_notebook():
    """Return whether this is the process of a notebook, which has imported IPython then."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


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

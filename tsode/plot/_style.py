"""What all figures share: axes given or made, colours that survive colour blindness and grey print."""

import contextlib
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from .. import _checks

__all__ = ["COLOURS", "GREY", "MARKERS", "axes_or_new", "check_label", "check_law", "check_level", "style"]

# Okabe & Ito (2008), ordered from dark to light so that they also differ in grey.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#808080"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Small sans-serif figures with light grids; the user's rcParams are left as they were."""
    with plt.rc_context(
        {"font.size": 9, "axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False, "savefig.dpi": 160}
    ):
        yield


def axes_or_new(ax: Axes | None, **figure: Any) -> Axes:
    """Return `ax`, or the axes of a new figure; figures of the house have constrained layout."""
    if ax is not None:
        return check_axes(ax)
    _, ax = plt.subplots(layout="constrained", **figure)
    return ax


def check_axes(ax: Axes | None) -> Axes | None:
    """Return `ax` if it is None or Axes."""
    return None if ax is None else _checks.instance("ax", ax, Axes, "matplotlib Axes or None")


def check_label(name: str, text: object) -> Any:
    """Return a text or None."""
    return None if text is None else _checks.instance(name, text, str, "a str or None")


def check_level(name: str, value: object) -> float | None:
    """Return a number to be drawn as a line, which may be nan, or None."""
    missing = value is None or (_checks.is_number(value) and value != value)
    return None if missing else _checks.number(name, value)


def check_law(name: str, law: object) -> Any:
    """Return a distribution that has what figures ask of it."""
    if not all(callable(getattr(law, method, None)) for method in ("mean", "pdf", "ppf")) or isinstance(law, type):
        raise TypeError(f"`{name}` must be a frozen distribution of scipy.stats, but is {type(law).__name__}")
    return law

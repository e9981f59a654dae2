"""What all figures share: axes given or made, colours that survive colour blindness and grey print."""

import contextlib

import matplotlib.pyplot as plt

__all__ = ["COLOURS", "GREY", "MARKERS", "axes_or_new", "style"]

# Okabe & Ito (2008), ordered from dark to light so that they also differ in grey.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#808080"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@contextlib.contextmanager
def style():
    """Small sans-serif figures with light grids; the user's rcParams are left as they were."""
    with plt.rc_context(
        {"font.size": 9, "axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False, "savefig.dpi": 160}
    ):
        yield


def axes_or_new(ax, **figure):
    """Return `ax`, or the axes of a new figure; figures of the house have constrained layout."""
    if ax is not None:
        return ax
    _, ax = plt.subplots(layout="constrained", **figure)
    return ax

"""What all figures share: axes given or made, colours that survive colour blindness and grey print."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from .. import _checks

__all__ = [
    "COLOURS", "GREY", "MARKERS", "axes_or_new", "check_label", "check_law", "check_level", "colours", "paper", "style",
]  # fmt: skip

# Okabe & Ito (2008), ordered from dark to light so that they also differ in grey.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#808080"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HOUSE = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False, "savefig.dpi": 160}
PAPER = {"font.size": 7, "axes.grid": False, "savefig.dpi": 300, "pdf.fonttype": 42, "svg.fonttype": "none"}
_width: ContextVar[float | None] = ContextVar("width of a column in inches", default=None)


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Small sans-serif figures with light grids; the user's rcParams are left as they were."""
    ours = HOUSE | (PAPER if _width.get() else {})
    # theirs alone are set back: the first figure of a notebook turns on that figures are shown, which has to stay
    theirs = {name: plt.rcParams[name] for name in ours}
    plt.rcParams.update(ours)
    try:
        yield
    finally:
        plt.rcParams.update(theirs)


def paper(width: float = 3.4) -> contextlib.AbstractContextManager[None]:
    """Draw figures for print: as wide as a column, small text, no grid, text that stays text in PDF and SVG.

    Parameters
    ----------
    width : float
        Width of a figure of one panel, in inches.

    Returns
    -------
    context manager

    Raises
    ------
    TypeError, ValueError
        If `width` is no number above 0.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> ode = tsode.integrate(model, tsode.Overlaps.random(model, N=100, rng=0), 30.0)
    >>> with tsode.plot.paper():
    ...     ax = tsode.plot.loss_curve(ode)
    >>> ax.figure.get_size_inches().tolist()
    [3.4, 2.312]
    """
    return _paper(_checks.number("width", width, above=0.0))


@contextlib.contextmanager
def _paper(width):
    token = _width.set(width)
    try:
        with style():
            yield
    finally:
        _width.reset(token)


def axes_or_new(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """Return `ax`, or the axes of a new figure; figures of the house have constrained layout."""
    if ax is not None:
        return check_axes(ax)
    width = _width.get() or figsize[0]
    _, ax = plt.subplots(layout="constrained", figsize=(width, width * figsize[1] / figsize[0]))
    return ax


def colours(ax: Axes) -> tuple[str, ...]:
    """Return the colours of lines in axes: on a dark background the first, which is that of theory, is white."""
    face = to_rgba(ax.get_facecolor())
    red, green, blue, _ = face if face[3] else to_rgba(ax.figure.get_facecolor())
    return ("#FFFFFF" if red + green + blue < 1.5 else COLOURS[0], *COLOURS[1:])


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

"""The escape time: its histogram under the law's density, and its mean against whatever was varied."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from .. import _checks
from .._statistics import mean_and_error
from ._style import COLOURS, MARKERS, axes_or_new, check_label, check_law, colours, style

__all__ = ["escape_histogram", "escape_means"]

ESTIMATORS = ("auto", "stone", "doane", "fd", "rice", "scott", "sqrt", "sturges")
MOST_BINS = 100_000
TIME = r"escape time $\alpha$ = samples / $N$"


def escape_histogram(
    times: ArrayLike, law: Any = None, bins: int | str | ArrayLike = "auto", ax: Axes | None = None
) -> Axes:
    """Draw the histogram of measured escape times under the density of the law.

    Parameters
    ----------
    times : array_like, shape (R,)
        Escape times of the runs, as from ``escape_time``; runs that never escaped (nan) are counted in the label.
    law : scipy.stats frozen distribution, optional
        As from ``escape_law``.
    bins : int, str or array_like
        As in ``numpy.histogram``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If no run escaped, or an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
    >>> law = tsode.escape_law(model, N=1000, threshold=0.05, start="random")
    >>> times = tsode.escape_time(tsode.simulate(model, None, law.ppf(0.999), N=1000, runs=20), threshold=0.05)
    >>> tsode.plot.escape_histogram(times, law).get_ylabel()
    'probability density'
    """
    times = np.ravel(_checks.real_array("times", times))
    law = None if law is None else check_law("law", law)
    escaped = times[np.isfinite(times)]
    if escaped.size == 0:
        raise ValueError("`times` must hold at least one finite escape time, but holds none")
    bins = _edges(_checks.float_array("times", escaped, (None,)), bins)
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        label = f"SGD, {escaped.size} runs"
        if escaped.size < times.size:
            label += f" ({times.size - escaped.size} more did not escape)"
        ax.hist(escaped, bins=bins, density=True, color=COLOURS[6], edgecolor=COLOURS[1], lw=0.6, label=label)
        ax.axvline(escaped.mean(), color=COLOURS[1], ls=":", lw=1.4, label=f"mean of the runs: {escaped.mean():.4g}")
        if law is not None:
            first, last = law.ppf([1e-4, 1 - 1e-4])
            t = np.linspace(first, last, 400)
            ax.plot(t, law.pdf(t), color=colours(ax)[0], lw=1.6, label="theory")
            ax.axvline(law.mean(), color=colours(ax)[0], ls="--", lw=1.1, label=f"mean of the theory: {law.mean():.4g}")
        ax.set(xlabel=TIME, ylabel="probability density", ylim=(0, 1.5 * ax.get_ylim()[1]))  # room for the legend
        ax.legend()
    return ax


def escape_means(
    values: ArrayLike,
    times: Sequence[ArrayLike] | None = None,
    laws: Sequence[Any] | None = None,
    label: str | None = None,
    quantity: str = "student width $p$",
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean escape time against a quantity; call it again with the same axes for further series.

    Parameters
    ----------
    values : array_like, shape (n,)
        What was varied; its axis is logarithmic where it spans a decade.
    times : sequence of array_like, optional
        Escape times of the runs at each value: drawn as their mean with its standard error.
    laws : sequence of scipy.stats frozen distributions, optional
        The law at each value: its means are joined by a line.
    label : str, optional
        Name of the series, for instance "p* = 2".
    quantity : str
        Name of what was varied, for instance "input dimension $N$"; used where the axis has no name yet.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Every further series takes the next colour and marker.

    Raises
    ------
    TypeError, ValueError
        If neither `times` nor `laws` is given, their number is not that of `values`, or one is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
    >>> law = tsode.escape_law(model, N=1000, threshold=0.05, start="random")
    >>> times = tsode.escape_time(tsode.simulate(model, None, law.ppf(0.999), N=1000, runs=20), threshold=0.05)
    >>> tsode.plot.escape_means([2], [times], [law]).get_xlabel()
    'student width $p$'
    """
    values = _checks.float_array("values", values, (None,), "(n,)")
    if values.size == 0:
        raise ValueError("`values` must hold at least one number, but is empty")
    label, quantity = check_label("label", label), check_label("quantity", quantity)
    if times is None and laws is None:
        raise ValueError("`times` or `laws` must be given")
    times = None if times is None else [_checks.real_array("times", one) for one in _each("times", times, values)]
    laws = None if laws is None else [check_law("laws", law) for law in _each("laws", laws, values)]
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        series = len(ax.get_legend_handles_labels()[1])  # each series has one entry in the legend
        colour, marker = COLOURS[series % len(COLOURS)], MARKERS[series % len(MARKERS)]
        if laws is not None:
            name = label or "theory" if times is None else None
            ax.plot(values, [law.mean() for law in laws], color=colour, lw=1.3, label=name)
        if times is not None:
            look = {"fmt": marker, "color": colour, "ms": 4.5, "mfc": "white", "capsize": 2, "label": label or "SGD"}
            ax.errorbar(values, *np.transpose([mean_and_error(one) for one in times]), **look)
        if values.max() >= 10 * values.min() > 0:
            ax.set_xscale("log", base=2 if values.max() < 100 else 10)
            if values.max() < 100:
                ax.xaxis.set_major_formatter("{x:g}")
        ax.set(xlabel=ax.get_xlabel() or quantity, ylabel=f"mean {TIME}")
        ax.legend(title="points: SGD, lines: theory" if times is not None and laws is not None else None)
    return ax


def _edges(times: np.ndarray, bins: Any) -> np.ndarray:
    """Return the edges of the bins, as ``numpy.histogram`` would have them."""
    if isinstance(bins, str):
        bins = _checks.choice("bins", bins, ESTIMATORS)
    elif _checks.is_number(bins):
        bins = _checks.integer("bins", bins, minimum=1, maximum=MOST_BINS)
    else:
        bins = _checks.float_array("bins", bins, (None,))
        if bins.size < 2 or np.any(np.diff(bins) <= 0):
            raise ValueError(f"`bins` must be at least two strictly increasing edges, but is {bins}")
        if not np.any((times >= bins[0]) & (times <= bins[-1])):
            raise ValueError(f"`bins` must hold some of the times, but go from {bins[0]:g} to {bins[-1]:g}")
    try:
        edges = np.histogram_bin_edges(times, bins)
        if np.any(np.diff(edges) <= 0):  # as NumPy 1 gives them
            raise ValueError(f"the edges of the bins are {edges}")
    except ValueError as error:  # too narrow for their size
        raise ValueError(f"`times` must differ by more than rounding for a histogram: {error}") from None
    return edges


def _each(name, given, values):
    """Return a sequence that has one entry for each of the values."""
    _checks.instance(name, given, (list, tuple, np.ndarray), "a list, a tuple or an array")
    given = list(np.atleast_1d(given)) if isinstance(given, np.ndarray) else given
    if len(given) != len(values):
        raise ValueError(f"`{name}` must have one entry for each of the {len(values)} values, but has {len(given)}")
    return given

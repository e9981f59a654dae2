"""The escape time: its histogram under the law's density, and its mean against whatever was varied."""

import numpy as np

from ._style import COLOURS, MARKERS, axes_or_new, style

__all__ = ["escape_histogram", "escape_means"]

TIME = r"escape time $\alpha$ = samples / $N$"


def escape_histogram(times, law=None, bins="auto", ax=None):
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
    ValueError
        If no run escaped.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
    >>> law = tsode.escape_law(model, N=1000, threshold=0.05, start="random")
    >>> times = tsode.escape_time(tsode.simulate(model, None, law.ppf(0.999), N=1000, runs=20), threshold=0.05)
    >>> tsode.plot.escape_histogram(times, law).get_ylabel()
    'probability density'
    """
    times = np.ravel(np.asarray(times, dtype=float))
    escaped = times[np.isfinite(times)]
    if escaped.size == 0:
        raise ValueError("`times` must hold at least one finite escape time, but holds none")
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        label = f"SGD, {escaped.size} runs"
        if escaped.size < times.size:
            label += f" ({times.size - escaped.size} more did not escape)"
        ax.hist(escaped, bins=bins, density=True, color=COLOURS[6], edgecolor=COLOURS[1], lw=0.6, label=label)
        ax.axvline(escaped.mean(), color=COLOURS[1], ls=":", lw=1.4, label=f"mean of the runs: {escaped.mean():.4g}")
        if law is not None:
            t = np.linspace(*law.ppf([1e-4, 1 - 1e-4]), 400)
            ax.plot(t, law.pdf(t), color=COLOURS[0], lw=1.6, label="theory")
            ax.axvline(law.mean(), color=COLOURS[0], ls="--", lw=1.1, label=f"mean of the theory: {law.mean():.4g}")
        ax.set(xlabel=TIME, ylabel="probability density", ylim=(0, 1.5 * ax.get_ylim()[1]))  # room for the legend
        ax.legend()
    return ax


def escape_means(values, times=None, laws=None, label=None, quantity="student width $p$", ax=None):
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
    ValueError
        If neither `times` nor `laws` is given, or their number is not that of `values`.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
    >>> law = tsode.escape_law(model, N=1000, threshold=0.05, start="random")
    >>> times = tsode.escape_time(tsode.simulate(model, None, law.ppf(0.999), N=1000, runs=20), threshold=0.05)
    >>> tsode.plot.escape_means([2], [times], [law]).get_xlabel()
    'student width $p$'
    """
    values = np.asarray(values, dtype=float)
    if times is None and laws is None:
        raise ValueError("`times` or `laws` must be given")
    for name, given in (("times", times), ("laws", laws)):
        if given is not None and len(given) != len(values):
            raise ValueError(f"`{name}` must have one entry for each of the {len(values)} values, but has {len(given)}")
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        series = len(ax.get_legend_handles_labels()[1])  # each series has one entry in the legend
        colour, marker = COLOURS[series % len(COLOURS)], MARKERS[series % len(MARKERS)]
        if laws is not None:
            name = label or "theory" if times is None else None
            ax.plot(values, [law.mean() for law in laws], color=colour, lw=1.3, label=name)
        if times is not None:
            means = [np.nanmean(one) for one in times]
            errors = [np.nanstd(one, ddof=1) / np.sqrt(np.isfinite(one).sum()) for one in times]
            ax.errorbar(
                values, means, errors, fmt=marker, color=colour, ms=4.5, mfc="white", capsize=2, label=label or "SGD"
            )
        if values.max() >= 10 * values.min() > 0:
            ax.set_xscale("log", base=2 if values.max() < 100 else 10)
            if values.max() < 100:
                ax.xaxis.set_major_formatter("{x:g}")
        ax.set(xlabel=ax.get_xlabel() or quantity, ylabel=f"mean {TIME}")
        ax.legend(title="points: SGD, lines: theory" if times is not None and laws is not None else None)
    return ax

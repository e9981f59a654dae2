"""Figures of the ready scans: each takes the dataset that the scan returned, or its copy from a file."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatter

from .. import _checks
from ..scans.model_grids import PARAMETERS
from ._style import COLOURS, GREY, MARKERS, axes_or_new, check_label, style

if TYPE_CHECKING:
    import xarray

__all__ = ["deviation_curves", "escape_curves", "stability_map"]

SYMBOLS = {
    name: f"${about['symbol'].replace('*', '^*')}$" if about["symbol"] else about["label"]
    for name, about in PARAMETERS.items()
}
LABELS = {
    name: about.get("short", about["label"]) + (f" {SYMBOLS[name]}" if about["symbol"] else "")
    for name, about in PARAMETERS.items()
}
FATES = ("escapes", "stuck", "diverges")
# light to dark, so that they also differ in grey; blue and orange differ for every eye
FATE_COLOURS = ("#F7F2E0", "#E69F00", "#0072B2")
LOGARITHMIC = 8  # ratio of the largest to the smallest value from which an axis is logarithmic


def escape_curves(dataset: xarray.Dataset, x: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw escape times with their standard errors as markers, and the law's mean as lines.

    Parameters
    ----------
    dataset : xarray.Dataset
        What ``tsode.scans.escape`` returned.
    x : str, optional
        Parameter along the horizontal axis; by default the one with the most values.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If `dataset` is of something else, or `x` no parameter of the scan with numbers for values.

    Examples
    --------
    >>> import tsode
    >>> table = tsode.scans.escape({"p": 2, "p_star": 1, "learning_rate": [0.2, 0.3], "dimension": 1000}, runs=4,
    ...                            n_jobs=1)
    >>> tsode.plot.escape_curves(table).get_xlabel().split(" $")[0]
    'learning rate'
    """
    _check_dataset(dataset, "escape", "mean", "std_error", "law_mean")
    x = _axis(dataset, check_label("x", x))
    dataset = dataset.sortby(x)
    with style():
        ax = axes_or_new(ax, figsize=(5.2, 3.6))
        for i, (label, curve) in enumerate(_curves(dataset, x)):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            law = curve["law_mean"].values
            ax.plot(curve[x], law, color=colour, lw=1.2, ls=("-", "--", ":")[i // len(COLOURS) % 3])
            ax.errorbar(
                curve[x], curve["mean"], curve["std_error"], color=colour, ls="none", marker=marker, ms=4.5,
                mfc="none", capsize=2, label=label,
            )  # fmt: skip
        if np.isfinite(dataset["law_mean"]).any():
            ax.plot([], [], color=GREY, lw=1.2, label="law of the escape time, mean")
        ax.errorbar([], [], [], color=GREY, ls="none", marker="o", mfc="none", ms=4.5, capsize=2,
                    label="SGD, mean and its error")  # fmt: skip
        ax.set(xlabel=LABELS[x], ylabel=r"escape time $\alpha$ = samples / $N$")
        _scales(ax, dataset[x].values, dataset["mean"].values)
        _legend(ax)
    return ax


def deviation_curves(dataset: xarray.Dataset, ax: Axes | None = None) -> Axes:
    r"""Draw the deviation of SGD from its ODE against N, with the :math:`N^{-1/2}` of theory as lines.

    Theory has the amplitude, too, for the square: the root of the mean square, up to some 15 % above the mean. Else the
    line is fitted.

    Parameters
    ----------
    dataset : xarray.Dataset
        What ``tsode.scans.deviation`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If `dataset` is of something else.

    Examples
    --------
    >>> import tsode
    >>> table = tsode.scans.deviation({"p": 2, "p_star": 1, "dimension": [100, 1000]}, runs=4, n_jobs=1)
    >>> tsode.plot.deviation_curves(table).get_xlabel()
    'input dimension $N$'
    """
    _check_dataset(dataset, "deviation", "mean", "std_error", "dimension")
    dataset = dataset.sortby("dimension")
    with style():
        ax = axes_or_new(ax, figsize=(5.2, 3.6))
        N, labels = dataset["dimension"].values, set()
        for i, (label, curve) in enumerate(_curves(dataset, "dimension")):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            mean = curve["mean"].values
            ax.errorbar(N, mean, curve["std_error"], color=colour, ls="none", marker=marker, ms=4.5, mfc="none",
                        capsize=2, label=label or "SGD, mean of the runs and its error")  # fmt: skip
            theory = curve["theory"].values if "theory" in curve else np.full(len(N), np.nan)
            known = np.isfinite(theory).any()
            level = theory if known else mean
            good = np.isfinite(level) & (level > 0)
            if good.any():
                prefactor = np.exp(np.mean(np.log(level[good] * np.sqrt(N[good]))))
                ax.plot(N, prefactor / np.sqrt(N), color=colour, lw=1, ls="-" if known else "--")
                labels.add("-" if known else "--")
        for look, label in (("-", r"theory, rms $\propto N^{-1/2}$"), ("--", r"fitted, $\propto N^{-1/2}$")):
            if look in labels:
                ax.plot([], [], color=GREY, lw=1, ls=look, label=label)
        ax.set(xscale="log", yscale="log", xlabel=LABELS["dimension"],
               ylabel="rms deviation of $M$ and $Q$\nfrom the ODE")  # fmt: skip
        _legend(ax)
    return ax


def stability_map(dataset: xarray.Dataset, ax: Axes | None = None, **selection: Any) -> Axes:
    """Draw the fate of the ODE over widths and learning rates, with the thresholds of theory as lines.

    Parameters
    ----------
    dataset : xarray.Dataset
        What ``tsode.scans.stability`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    **selection
        Values of the other parameters, by name; their first ones by default. The horizontal axis is the parameter
        with the most values of those that are left.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If `dataset` is of something else, a selected parameter or value is not in it, or there is no other parameter
        with numbers for values.

    Examples
    --------
    >>> import tsode
    >>> table = tsode.scans.stability({"p": [2, 4], "p_star": 8, "learning_rate": [0.3, 0.55, 0.7]}, n_jobs=1)
    >>> tsode.plot.stability_map(table).get_ylabel().split(" $")[0]
    'learning rate'
    """
    _check_dataset(dataset, "stability", "fate", "max_learning_rate", "escape_learning_rate", "learning_rate")
    dataset = _selected(dataset, selection)
    x = _axis(dataset.drop_dims("learning_rate"), None)
    shown = dataset.isel({name: 0 for name in dataset.dims if name not in (x, "learning_rate")})
    shown = shown.sortby(["learning_rate", x])
    places = np.arange(shown.sizes[x])
    with style():
        ax = axes_or_new(ax, figsize=(5.2, 4.2))
        ax.grid(False)
        handles = _fate_cells(ax, shown["fate"].transpose(x, "learning_rate").values, shown["learning_rate"].values)
        for name, dashes, label in (
            ("max_learning_rate", "-", "no plateau above (theory)"),
            ("escape_learning_rate", "--", "no escape above (theory)"),
        ):
            threshold = shown[name].isel(learning_rate=0).values
            if np.isfinite(threshold).any():
                lines = ax.hlines(threshold, places - 0.5, places + 0.5, color="black", ls=dashes, lw=1.6, label=label)
                handles.append(lines)
        ax.set_xticks(places, [_short(value) for value in shown[x].values])
        ax.set(xlabel=LABELS[x], ylabel=LABELS["learning_rate"])
        fixed = [name for name in SYMBOLS if name in shown.coords and shown[name].ndim == 0]
        ax.set_title(", ".join(f"{SYMBOLS[name]} = {_short(shown[name].item())}" for name in fixed), fontsize=8)
        ax.legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return ax


def _check_dataset(dataset, scan, *names):
    """Refuse what is not the result of one of the ready scans."""
    import xarray  # of the extra: who has a dataset has it

    _checks.instance("dataset", dataset, xarray.Dataset, "an xarray.Dataset")
    for name in names:
        if name not in dataset:
            raise ValueError(f"`dataset` must be what tsode.scans.{scan} returns, but has no {name!r}")


def _selected(dataset, selection):
    """Return the part of a dataset at given values of some parameters."""
    _checks.names("selection", selection, [name for name in LABELS if name in dataset.dims], ValueError)
    for name, value in selection.items():
        if not (isinstance(value, str) or _checks.is_number(value)) or value not in dataset[name].values.tolist():
            raise ValueError(f"`{name}` must be one of {dataset[name].values.tolist()}, but is {value!r}")
    return dataset.sel(selection)


def _fate_cells(ax, fates, rates):
    """Fill a cell for each fate, shape (columns, learning rates); return the handles of the legend."""
    edges = _edges(rates)
    colours = np.array([*FATE_COLOURS, "#FFFFFF"])  # white where a point failed
    codes = np.select([fates == fate for fate in FATES], range(len(FATES)), len(FATES))
    for column, code in enumerate(codes):
        ax.bar(np.full(len(rates), column), np.diff(edges), bottom=edges[:-1], width=0.96, color=colours[code], lw=0)
    ax.set(xlim=(-0.5, len(fates) - 0.5), yscale="log" if edges[-1] > LOGARITHMIC * edges[0] else "linear")
    ax.set_ylim(edges[0], edges[-1])
    return [
        Patch(facecolor=colour, edgecolor="black", lw=0.5, label=f"ODE {fate}")
        for fate, colour in zip(FATES, FATE_COLOURS)
    ]


def _edges(rates):
    """Return the borders between learning rates, geometric means."""
    if len(rates) == 1:
        return rates[0] * np.array([0.8, 1.25])
    middle = np.sqrt(rates[1:] * rates[:-1])
    return np.concatenate([[rates[0] ** 2 / middle[0]], middle, [rates[-1] ** 2 / middle[-1]]])


def _axis(dataset, x):
    numeric = [name for name in LABELS if name in dataset.dims and dataset[name].dtype.kind in "iuf"]
    if x is None and numeric:
        return max(numeric, key=lambda name: dataset.sizes[name])
    if x not in numeric:
        raise ValueError(f"`x` must be a parameter of the scan with numbers ({', '.join(numeric)}), but is {x!r}")
    return x


def _curves(dataset, x):
    """Yield the label and the part of the dataset of each curve along x; the label names what differs."""
    others = [name for name in LABELS if name in dataset.dims and name != x]
    for indices in itertools.product(*(range(dataset.sizes[name]) for name in others)):
        curve = dataset.isel(dict(zip(others, indices)))
        label = ", ".join(
            f"{SYMBOLS[name]} = {_short(curve[name].item())}" for name in others if dataset.sizes[name] > 1
        )
        yield label, curve


def _legend(ax):
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if len(ax.get_legend_handles_labels()[0]) > 6 else {}
    ax.legend(fontsize=8, **beside)


def _short(value):
    return value if isinstance(value, str) else f"{value:g}"


def _scales(ax, x, y):
    for values, axis in ((x, "x"), (y[np.isfinite(y)], "y")):
        if values.size and values.min() > 0 and values.max() > LOGARITHMIC * values.min():
            ax.set(**{f"{axis}scale": "log"})
            for which in ("major", "minor"):
                getattr(ax, f"{axis}axis").set(**{f"{which}_formatter": _PlainNumbers(minor_thresholds=(2, 0.5))})


class _PlainNumbers(LogFormatter):
    """Labels 0.2 and 50 instead of 2e-01 and 5 x 10^1."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""

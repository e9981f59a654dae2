"""Spectra of Hessians: plateau beside solution manifold, on samples, and along a trajectory."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .. import _checks
from .._parameters import describe
from ..hessian import Comparison, Convergence, HessianPath, Separation, SpectralDensity, Spectrum
from ._style import COLOURS, GREY, MARKERS, axes_or_new, colours, style
from .curves import TIME

__all__ = [
    "check_comparison",
    "check_samples",
    "hessian_convergence",
    "hessian_path",
    "hessian_separation",
    "hessian_spectra",
]

EIGENVALUE = r"eigenvalue of the Hessian in $W/\sqrt{N}$"
BINS = 80


def hessian_spectra(
    comparison: Comparison, empirical: Sequence[Spectrum | SpectralDensity] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the spectra of plateau and solution manifold as spikes, each as high as its multiplicity.

    Parameters
    ----------
    comparison : tsode.hessian.Comparison
        The population's spectra.
    empirical : pair of Spectrum or SpectralDensity, optional
        Spectra on samples at the plateau and on the manifold, drawn behind as counts per bin.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With a logarithmic count axis; multiplicities are written at the spikes.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> both = tsode.hessian.compare(tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1), N=20)
    >>> tsode.plot.hessian_spectra(both).get_ylabel()
    'number of eigenvalues'
    """
    check_comparison(comparison)
    empirical = None if empirical is None else _check_pair(empirical)
    sides = (comparison.plateau, comparison.manifold)
    names = ("plateau", "solution manifold")
    with style():
        ax = axes_or_new(ax, figsize=(6, 3.8))
        low = min(side.lowest for side in sides)
        high = max(side.highest for side in sides)
        if empirical is not None:
            for part, name, colour, line in zip(empirical, names, COLOURS[1:], ("-", "--")):
                _histogram(ax, part, low - 0.3 * (high - low), high + 0.3 * (high - low), name, colour, line)
        for i, (side, name) in enumerate(zip(sides, names)):
            _spikes(ax, side, f"{name}: {side.verdict}", COLOURS[1 + i], MARKERS[i], left=i == 0)
        ax.set_yscale("log")
        ax.set_ylim(0.7, 30 * max(side.multiplicities.max() for side in sides))
        ax.set_xlim(low - 0.2 * (high - low), high + 0.2 * (high - low))
        ax.set(xlabel=EIGENVALUE, ylabel="number of eigenvalues")
        ax.set_title(describe(comparison.model, "loss", comparison.N), fontsize=9)
        ax.legend(loc="upper right", fontsize=8)
    return ax


def hessian_convergence(result: Convergence, which: str = "plateau", ax: Axes | None = None) -> Axes:
    """Draw the empirical spectral densities at several n/N, and where the population's eigenvalues are.

    Parameters
    ----------
    result : tsode.hessian.Convergence
        What to draw.
    which : {"plateau", "manifold"}
        Where.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With a logarithmic density axis.

    Raises
    ------
    TypeError, ValueError
        If `which` is neither, or an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> samples = tsode.hessian.convergence(model, N=20, ratios=[4, 64])
    >>> tsode.plot.hessian_convergence(samples, "manifold").get_yscale()
    'log'
    """
    check_samples(result)
    _checks.choice("which", which, ("plateau", "manifold"))
    spectra, limit = getattr(result, which), getattr(result.population, which)
    with style():
        ax = axes_or_new(ax, figsize=(6, 3.8))
        low, high = min(s.lowest for s in spectra), max(s.highest for s in spectra)
        span = limit.highest - limit.lowest
        x = np.linspace(max(low, limit.lowest - 0.7 * span), min(high, limit.highest + 0.7 * span), 1200)
        styles = ((0, (1, 1)), (0, (3, 1, 1, 1)), "--", "-")
        top = 0.0
        for i, (ratio, spectrum) in enumerate(zip(result.ratios, spectra)):
            shade = ("#B0B0B0", COLOURS[6], COLOURS[1], COLOURS[0])[i % 4]
            y = spectrum.density(x, 0.02 * span)
            top = max(top, y.max())
            ax.plot(x, y, color=shade, ls=styles[i % 4], lw=1.2, label=f"n/N = {ratio:g}")
        for i, (value, count) in enumerate(zip(limit.values, limit.multiplicities)):
            label = "population (multiplicity above)" if i == 0 else None
            ax.axvline(value, color=COLOURS[2], lw=1, zorder=1, label=label)
            ax.annotate(
                f"{count:,}", (value, 1.0), (0, 2), xycoords=ax.get_xaxis_transform(), textcoords="offset points",
                ha="center", va="bottom", fontsize=7, color=COLOURS[2],
            )  # fmt: skip
        ax.set_yscale("log")
        ax.set_ylim(1 / limit.dimension / span, 3 * top)
        name = "plateau" if which == "plateau" else "solution manifold"
        title = describe(result.population.model, "widths", result.population.N)
        ax.set_title(f"{name}, {title}", fontsize=9, pad=14)
        ax.set(xlabel=EIGENVALUE, ylabel="density (per unit of eigenvalue)")
        ax.legend(fontsize=8, frameon=True, framealpha=1, edgecolor="none")
    return ax


def hessian_separation(result: Separation, ax: Axes | None = None) -> Axes:
    """Draw the lowest empirical eigenvalues at the plateau against n/N: outliers, next ones, and where they part.

    Parameters
    ----------
    result : tsode.hessian.Separation
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With a logarithmic n/N axis.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> tsode.plot.hessian_separation(tsode.hessian.separation(model, N=60, ratios=[1, 16, 64])).get_xscale()
    'log'
    """
    k = _checks.instance("result", result, Separation, "a Separation").index
    with style():
        ax = axes_or_new(ax, figsize=(5.4, 3.6))
        for j in range(result.lowest.shape[1]):
            outlier = j < k
            ax.plot(
                result.ratios, result.lowest[:, j], ls="none", marker=MARKERS[0] if outlier else MARKERS[1], ms=3.5,
                color=COLOURS[2] if outlier else GREY, mfc="none" if outlier else GREY,
                label={0: f"{k} lowest eigenvalues", k: f"next {result.lowest.shape[1] - k}"}.get(j),
            )  # fmt: skip
        if np.isfinite(result.threshold):
            ax.axvline(
                result.threshold, color=colours(ax)[0], ls="--", lw=1, label=f"separate from {result.threshold:.3g}"
            )
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.set(xlabel="samples per dimension n/N", ylabel=EIGENVALUE)
        ax.set_title(f"plateau, {describe(result.model, 'widths', result.N)}", fontsize=9)
        ax.legend(fontsize=8)
    return ax


def hessian_path(path: HessianPath, ax: Axes | None = None) -> Axes:
    """Draw the lowest eigenvalue of the population Hessian along a trajectory, and the index on a second axis.

    Parameters
    ----------
    path : tsode.hessian.HessianPath
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the eigenvalue.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> ode = tsode.integrate(model, start, 30.0)
    >>> tsode.plot.hessian_path(tsode.hessian.along(ode, N=100)).get_title()
    'population Hessian, N = 100'
    """
    _checks.instance("path", path, HessianPath, "a HessianPath")
    with style():
        ax = axes_or_new(ax, figsize=(5.4, 3.4))
        (line,) = ax.plot(path.alpha, path.lowest, color=COLOURS[1], lw=1.4, label="lowest eigenvalue")
        ax.set(xlabel=TIME, ylabel=EIGENVALUE)
        second = ax.twinx()
        second.grid(False)
        (steps,) = second.step(path.alpha, path.index, where="post", color=COLOURS[2], ls="--", lw=1.1, label="index")
        if path.index.max() > 50:  # from multiples of N down to a few
            second.set_yscale("symlog", linthresh=1)
        else:
            second.yaxis.set_major_locator(MaxNLocator(integer=True))
        second.set_ylim(0, 1.25 * max(path.index.max(), 1))
        second.set_ylabel("index (number of negative eigenvalues)")
        second.legend([line, steps], ["lowest eigenvalue", "index"], fontsize=8, loc="lower right")
        ax.set_title(f"population Hessian, N = {path.N:,}", fontsize=9)
    return ax


def check_comparison(comparison: Comparison) -> Comparison:
    """Return `comparison` if it is a Comparison."""
    return _checks.instance("comparison", comparison, Comparison, "a Comparison")


def check_samples(result: Convergence, name: str = "result") -> Convergence:
    """Return `result` if it is a Convergence."""
    return _checks.instance(name, result, Convergence, "a Convergence")


def _check_pair(empirical):
    pair = _checks.instance("empirical", empirical, (tuple, list), "a pair of Spectrum or SpectralDensity")
    if len(pair) != 2:
        raise ValueError(f"`empirical` must be a pair, but has {len(pair)} parts")
    for part in pair:
        _checks.instance("empirical", part, (Spectrum, SpectralDensity), "a pair of Spectrum or SpectralDensity")
    return pair


def _spikes(ax, spectrum, label, colour, marker, left):
    values = np.where(np.abs(spectrum.values) <= spectrum.zero, 0.0, spectrum.values)
    ax.vlines(values, 0.5, spectrum.multiplicities, color=colour, lw=1.4 if left else 3, zorder=3 + left)
    ax.plot(values, spectrum.multiplicities, ls="none", marker=marker, ms=5, color=colour, label=label, zorder=5)
    crowded = len(values) > 8  # little symmetry: many single eigenvalues, which need no number
    for value, count in zip(values, spectrum.multiplicities):
        if count > 1 or not crowded:
            ax.annotate(
                f"{count:,}", (value, count), (-4 if left else 4, 2), textcoords="offset points", fontsize=7,
                color=colour, ha="right" if left else "left", rotation=-35 if left else 35, rotation_mode="anchor",
            )  # fmt: skip


def _histogram(ax, part, low, high, name, colour, line):
    x = np.linspace(low, high, 10 * BINS)
    width = (high - low) / BINS
    counts = part.density(x, width / 2) * part.dimension * width
    ax.plot(x, counts, color=colour, ls=line, lw=0.9, alpha=0.7, label=f"on samples, {name} (per {width:.2g})")
    ax.fill_between(x, 1e-3, counts, color=colour, alpha=0.12, lw=0)

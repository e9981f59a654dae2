"""Loss and overlaps against time: the theory's line over the runs of SGD."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .. import _checks
from ..overlaps import Overlaps
from ..trajectory import Trajectory, check_trajectory
from ._style import COLOURS, GREY, MARKERS, axes_or_new, check_label, check_level, colours, style

__all__ = ["loss_curve", "need", "over_runs", "overlap_curves", "overlap_matrix"]

MOST_ENTRIES = 6  # of an overlap matrix in one panel: more cannot be told apart

NAMES = {
    "M": "student-teacher overlap $M_{kr}$",
    "Q": "student-student overlap $Q_{kl}$",
    "readout": "readout of the student $v_k$",
}
LOSS = r"excess loss $L - \Delta/2$"
TIME = r"time $\alpha$ = samples / $N$"


def loss_curve(
    ode: Trajectory | None = None,
    sgd: Trajectory | None = None,
    plateau_loss: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the excess loss against time: ODE as a line, SGD as single runs, their mean and spread.

    Running averages of the weights are drawn too, where trajectories have them.

    Parameters
    ----------
    ode, sgd : Trajectory, optional
        A solution of ``integrate`` and the runs of ``simulate``; at least one of them.
    plateau_loss : float, optional
        Excess loss of the plateau, drawn as a dashed line.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its loss axis is logarithmic where the curves span more than a decade.

    Raises
    ------
    TypeError, ValueError
        If there is nothing to draw, or an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> ode = tsode.integrate(model, start, 30.0)
    >>> sgd = tsode.simulate(model, start, 30.0, N=100, runs=3)
    >>> ax = tsode.plot.loss_curve(ode, sgd, tsode.plateau(model).excess_loss)
    >>> ax.get_yscale()
    'log'
    """
    need(ode, sgd)
    plateau_loss = check_level("plateau_loss", plateau_loss)
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        drawn = []
        averages = [None if one is None else one.averaged for one in (ode, sgd)]
        ways = ((ode, sgd), COLOURS[1], "-", ""), (averages, COLOURS[3], ":", "average, ")
        for (theory, runs), colour, line, of in ways:
            if runs is not None:
                _runs(ax, runs.alpha, runs.excess_loss, colour, f"{of}SGD, N = {runs.N:,}")
                drawn.append(runs.excess_loss)
            if theory is not None:
                look = {"color": colours(ax)[0], "lw": 1.6, "ls": line, "zorder": 4}
                ax.plot(theory.alpha, theory.excess_loss, label=f"{of}theory (ODE)", **look)
                drawn.append(theory.excess_loss)
        if plateau_loss is not None:
            ax.axhline(plateau_loss, color=COLOURS[2], ls="--", lw=1.1, label=f"plateau, theory: {plateau_loss:.4g}")
        values = np.concatenate([np.ravel(loss) for loss in drawn])
        values = values[np.isfinite(values) & (values > 0)]
        if values.size and values.max() > 10 * values.min():
            ax.set_yscale("log")
        ax.set(xlabel=TIME, ylabel=LOSS)
        above = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "labelspacing": 0.2}  # twice as many curves
        ax.legend(**(above if any(averages) else {}))
    return ax


def overlap_curves(
    ode: Trajectory | None = None, sgd: Trajectory | None = None, which: str = "M", ax: Axes | None = None
) -> Axes:
    """Draw entries of one overlap matrix, or the readout, against time: ODE as lines, the mean of SGD as markers.

    The six entries that move most are drawn; the label of the axis says of how many.

    Parameters
    ----------
    ode, sgd : Trajectory, optional
        A solution of ``integrate`` and the runs of ``simulate``; at least one of them.
    which : {"M", "Q", "readout"}
        Student-teacher or student-student overlap, of which one of each pair of equal entries is drawn; or the readout
        of the student.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Error bars are the spread (one standard deviation) of the runs.

    Raises
    ------
    TypeError, ValueError
        If there is nothing to draw, `which` is none of them, or an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> ode = tsode.integrate(model, start, 30.0)
    >>> sgd = tsode.simulate(model, start, 30.0, N=100, runs=3)
    >>> tsode.plot.overlap_curves(ode, sgd, "Q").get_ylabel()
    'student-student overlap $Q_{kl}$'
    """
    need(ode, sgd)
    _checks.choice("which", which, tuple(NAMES))
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        shades = colours(ax)
        entries = _entries(_values(ode if ode is not None else sgd, which), which)
        for i, (k, l) in enumerate(entries[:MOST_ENTRIES]):
            look = {"color": shades[i % len(shades)], "zorder": 4 - i / 10}
            if ode is not None:
                values = _values(ode, which)[:, k, l]
                ax.plot(ode.alpha, values, lw=1.3, ls="--" if which == "Q" and k != l else "-", **look)
            if sgd is not None:
                shown = np.unique(np.linspace(0, len(sgd.alpha) - 1, 13).astype(int))
                entry = _values(sgd, which)[:, shown, k, l]
                ax.errorbar(
                    sgd.alpha[shown], over_runs(np.nanmean, entry), over_runs(np.nanstd, entry), lw=0.6, ms=3.5,
                    fmt=MARKERS[i % len(MARKERS)], alpha=0.8, **look,
                )  # fmt: skip
            ax.plot(
                [], [], marker=MARKERS[i % len(MARKERS)], color=look["color"], ms=3.5, ls="", label=_symbol(which, k, l)
            )
        if ode is not None:
            ax.plot(
                [],
                [],
                color=shades[0],
                lw=1.3,
                label="theory (ODE)" + (", dashed: $k \\neq l$" if which == "Q" else ""),
            )
        if sgd is not None:
            ax.errorbar([], [], [], color=shades[0], fmt="o", ms=3.5, lw=0.6, label="SGD, mean and spread of runs")
        more = len(entries) - MOST_ENTRIES
        ax.set(xlabel=TIME, ylabel=NAMES[which] + (f", {MOST_ENTRIES} of {len(entries)}" if more > 0 else ""))
        ax.legend(fontsize=7, ncols=2)
    return ax


def overlap_matrix(overlaps: Overlaps, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the joint overlap matrix [[Q, M], [M^T, P]] as a heat map, its blocks parted by lines.

    Parameters
    ----------
    overlaps : Overlaps
        What to draw, for instance ``trajectory.overlaps(-1)``.
    title : str, optional
        Title of the axes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

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
    >>> tsode.plot.overlap_matrix(ode.overlaps(-1), "the end").get_title()
    'the end'
    """
    _checks.instance("overlaps", overlaps, Overlaps, "an Overlaps")
    title = check_label("title", title)
    with style():
        ax = axes_or_new(ax, figsize=(3.6, 3.2))
        joint = overlaps.joint
        largest = np.abs(joint).max()
        image = ax.imshow(joint, cmap="PuOr", vmin=-largest, vmax=largest)
        ax.figure.colorbar(image, ax=ax, shrink=0.8, label="overlap")
        ax.grid(False)
        edge = overlaps.p - 0.5
        ax.axhline(edge, color="black", lw=1)
        ax.axvline(edge, color="black", lw=1)
        centres = [(overlaps.p - 1) / 2, overlaps.p + (overlaps.p_star - 1) / 2]
        names = [f"student (p = {overlaps.p})", f"teacher (p* = {overlaps.p_star})"]
        ax.set_xticks(centres, names)
        ax.set_yticks(centres, names, rotation=90, va="center")
        ax.tick_params(length=0)
        if len(joint) <= 8:
            for (k, l), value in np.ndenumerate(joint):
                dark = abs(value) > 0.6 * largest
                ax.text(l, k, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if dark else "black")
        if title:
            ax.set_title(title, fontsize=9)
    return ax


def _runs(ax, alpha, values, colour, label):
    """Single runs thin, their mean thick, one standard deviation shaded."""
    ax.plot(alpha, values.T, color=GREY, lw=0.5, alpha=0.6)
    if len(values) == 1:
        ax.lines[-1].set(color=colour, lw=1.2, alpha=1.0, label=label)
        return
    mean, spread = over_runs(np.nanmean, values), over_runs(np.nanstd, values)
    floor = np.nanmin(np.where(values > 0, values, np.nan), axis=0) if np.isfinite(values).all() else mean / 10
    ax.fill_between(alpha, np.maximum(mean - spread, floor), mean + spread, color=colour, alpha=0.25, lw=0)
    ax.plot(alpha, mean, color=colour, lw=1.3, ls="-.", label=f"{label}, mean of {len(values)} runs")


def over_runs(statistic: Callable[..., Any], values: np.ndarray) -> np.ndarray:
    """Apply a nan-statistic over the run axis to the times that at least one run reached."""
    out = np.full(values.shape[1], np.nan)
    reached = np.isfinite(values).any(axis=0)
    out[reached] = statistic(values[:, reached], axis=0)
    return out


def _entries(values, which):
    """Return the entries (k, l) of M, of the lower triangle of Q, or of the readout, those that move most first."""
    rows, columns = values.shape[-2:]
    entries = [(k, l) for k in range(rows) for l in range(k + 1 if which == "Q" else columns)]
    moves = np.abs(values[..., -1, :, :] - values[..., 0, :, :])
    moves = np.nan_to_num(moves.mean(axis=0) if moves.ndim == 3 else moves)
    return sorted(entries, key=lambda entry: -moves[entry])


def _values(trajectory, which):
    """Return M or Q, or the readout as a matrix of one column."""
    return trajectory.readout[..., None] if which == "readout" else getattr(trajectory, which)


def _symbol(which, k, l):
    return f"$v_{{{k + 1}}}$" if which == "readout" else f"${which}_{{{k + 1},{l + 1}}}$"


def need(ode: Trajectory | None, sgd: Trajectory | None) -> None:
    """Raise an error unless there is something to draw, each made by the right function."""
    if ode is None and sgd is None:
        raise ValueError("`ode` or `sgd` must be a Trajectory, but both are None")
    for name, run, wanted in (("ode", ode, "integrate"), ("sgd", sgd, "simulate")):
        if run is not None and (check_trajectory(run, name).runs is None) != (name == "ode"):
            raise ValueError(f"`{name}` must be what `{wanted}` returns, but is of the engine '{run.engine}'")

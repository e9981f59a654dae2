"""What of the overlaps does not depend on which solution a run takes: singular values of M, eigenvalues of Q."""

import numpy as np
from matplotlib.axes import Axes

from .. import _checks
from .._parts import in_parts
from ..trajectory import Trajectory
from ._style import axes_or_new, colours, style
from .curves import MOST_ENTRIES, TIME, need, over_runs

__all__ = ["overlap_invariants"]

NAMES = {"M": "singular values of $M$", "Q": "eigenvalues of $Q$"}


def overlap_invariants(
    ode: Trajectory | None = None, sgd: Trajectory | None = None, which: str = "M", ax: Axes | None = None
) -> Axes:
    """Draw singular values of M, or eigenvalues of Q, against time: ODE as lines, SGD as mean and spread.

    Entries of M and Q depend on which of the equivalent solutions a run takes, and rotations or permutations of hidden
    units lead from one to the other. These numbers do not.

    Parameters
    ----------
    ode, sgd : Trajectory, optional
        A solution of ``integrate`` and the runs of ``simulate``; at least one of them.
    which : {"M", "Q"}
        Singular values of the student-teacher overlap, or eigenvalues of the student-student overlap, largest first;
        the largest six are drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Shades are one standard deviation of the runs around their mean.

    Raises
    ------
    TypeError, ValueError
        If there is nothing to draw, `which` is neither, or an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> ode = tsode.integrate(model, start, 30.0)
    >>> sgd = tsode.simulate(model, start, 30.0, N=100, runs=3)
    >>> tsode.plot.overlap_invariants(ode, sgd, "Q").get_ylabel()
    'eigenvalues of $Q$'
    """
    need(ode, sgd)
    _checks.choice("which", which, tuple(NAMES))
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        (theory, ink), size = colours(ax)[:2], 0
        if sgd is not None:
            runs = np.moveaxis(_values(sgd, which), -1, 0)
            size = len(runs)
            for values in runs[:MOST_ENTRIES]:
                mean, spread = over_runs(np.nanmean, values), over_runs(np.nanstd, values)
                ax.fill_between(sgd.alpha, mean - spread, mean + spread, color=ink, alpha=0.25, lw=0)
                ax.plot(sgd.alpha, mean, color=ink, lw=1.3, ls="-.")
            ax.plot([], [], color=ink, lw=1.3, ls="-.", label=f"SGD, N = {sgd.N:,}, mean and spread of runs")
        if ode is not None:
            values = _values(ode, which)
            size = values.shape[-1]
            ax.plot(ode.alpha, values[:, :MOST_ENTRIES], color=theory, lw=1.3, zorder=4)[0].set_label("theory (ODE)")
        more = f", {MOST_ENTRIES} of {size}" if size > MOST_ENTRIES else ""
        ax.set(xlabel=TIME, ylabel=NAMES[which] + more)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
        ax.legend(fontsize=7, loc="upper left")
    return ax


def _values(trajectory, which):
    """Return the values, largest first, shape (..., T, m); nan where a run has ended."""
    matrices = getattr(trajectory, which)
    reached = np.isfinite(matrices).all(axis=(-1, -2))
    size = min(matrices.shape[-2:])
    values = np.full((*matrices.shape[:-2], size), np.nan)
    for part in in_parts(len(matrices), matrices[0].size):
        whole = matrices[part][reached[part]]
        values[part][reached[part]] = (
            np.linalg.svd(whole, compute_uv=False) if which == "M" else np.linalg.eigvalsh(whole)[..., ::-1]
        )
    return values

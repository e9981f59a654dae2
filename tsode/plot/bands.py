"""The band that theory gives to the loss at finite N, over the runs of SGD."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from .. import _checks
from ..finite_size import Fluctuations
from ..trajectory import Trajectory, check_trajectory
from ._style import COLOURS, GREY, axes_or_new, colours, style
from .curves import LOSS, TIME

__all__ = ["draw_band", "loss_band"]


def loss_band(
    fluctuations: Fluctuations, sgd: Trajectory | None = None, N: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the excess loss of the ODE with the band that one standard deviation of SGD at some N makes of it.

    A band ends where fluctuations are too large for theory, which a dotted line shows: where SGD leaves a plateau it
    is noise that decides when, and the law of that time is ``tsode.escape_law``.

    Parameters
    ----------
    fluctuations : Fluctuations
        What ``tsode.fluctuations`` returned.
    sgd : Trajectory, optional
        Runs of ``simulate``, drawn as thin lines.
    N : int or array_like of int, optional
        Input dimensions of the bands; that of `sgd` by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its loss axis is logarithmic.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or there is neither N nor `sgd`.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps([[0.5], [0.2]], [[1.0, 0.1], [0.1, 1.0]])
    >>> ax = tsode.plot.loss_band(tsode.fluctuations(model, start, 30.0), N=[1000, 100_000])
    >>> ax.get_yscale()
    'log'
    """
    _checks.instance("fluctuations", fluctuations, Fluctuations, "what tsode.fluctuations returns")
    if sgd is not None and check_trajectory(sgd, "sgd").runs is None:
        raise ValueError(f"`sgd` must be what `simulate` returns, but is of the engine '{sgd.engine}'")
    if N is None and sgd is None:
        raise ValueError("`N` or `sgd` must be given, but both are None")
    given = np.atleast_1d(_checks.real_array("N", sgd.N if N is None and sgd is not None else N))
    dimensions = [_checks.integer("N", value, minimum=1) for value in given.ravel()]
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        ode = fluctuations.ode
        if sgd is not None:
            lines = ax.plot(sgd.alpha, sgd.excess_loss.T, color=GREY, lw=0.5, alpha=0.7)
            lines[0].set_label(f"SGD, N = {sgd.N:,}, {sgd.runs} run{'s' * (sgd.runs != 1)}")
        ax.plot(ode.alpha, ode.excess_loss, color=colours(ax)[0], lw=1.6, label="theory (ODE)", zorder=4)
        for i, dimension in enumerate(dimensions):
            draw_band(ax, fluctuations, dimension, COLOURS[1 + i % (len(COLOURS) - 1)])
        ax.set(xlabel=TIME, ylabel=LOSS, yscale="log")
        ax.legend()
    return ax


def draw_band(ax: Axes, fluctuations: Fluctuations, N: int, colour: str = COLOURS[3]) -> None:
    """Draw one band up to where it holds, and a line there; a legend that is there takes both up."""
    end, alpha = fluctuations.valid_until(N), fluctuations.ode.alpha
    held = alpha < end
    low, high = fluctuations.loss_band(N)
    ax.fill_between(
        alpha[held], low[held], high[held], color=colour, alpha=0.35, lw=0.8, zorder=3,
        label=f"one standard deviation, N = {N:,}",
    )  # fmt: skip
    if not held.all():
        ax.axvline(end, color=colour, ls=":", lw=1.1, label="beyond: chance, tsode.escape_law")
    if ax.get_legend() is not None:
        with style():
            ax.legend(loc="lower left", fontsize=7)

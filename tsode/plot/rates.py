"""Learning rates against time: the best schedule beside the best constant and the greedy one."""

import numpy as np
from matplotlib.axes import Axes

from .. import _checks
from ..ode import OptimalSchedule
from ._style import GREY, axes_or_new, colours, style
from .curves import TIME

__all__ = ["learning_rates"]


def learning_rates(found: OptimalSchedule, ax: Axes | None = None) -> Axes:
    """Draw the learning rates of the best, the greedy and the best constant schedule, with the loss that each leaves.

    Parameters
    ----------
    found : OptimalSchedule
        What ``optimal_schedule`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its axis of learning rates is logarithmic where they span more than a decade.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> tsode.plot.learning_rates(tsode.optimal_schedule(model, start, 10.0)).get_ylabel()
    'learning rate η'
    """
    _checks.instance("found", found, OptimalSchedule, "an OptimalSchedule")
    with style():
        ax = axes_or_new(ax, figsize=(5, 3.4))
        best, other = colours(ax)[:2]
        curves = (
            (found.schedule(found.alpha[:-1]), found.loss, "best schedule", best, "-"),
            (found.greedy(found.alpha[:-1]), found.greedy_loss, "greedy schedule", other, "-"),
            (np.full(len(found.alpha) - 1, found.constant), found.constant_loss, "best constant", GREY, "--"),
        )
        for rates, loss, name, colour, line in curves:
            ax.stairs(
                rates, found.alpha, baseline=None, color=colour, ls=line, lw=1.4, label=f"{name}: loss {loss:.3g}"
            )
        rates = np.concatenate([curve[0] for curve in curves])
        ax.set(xlabel=TIME, ylabel="learning rate η", yscale="log" if rates.max() > 10 * rates.min() else "linear")
        ax.legend()
    return ax

"""A system of distillation: theory as lines, what was measured as points."""

from matplotlib.axes import Axes

from .. import _checks
from ..distillation import Example
from ._style import COLOURS, MARKERS, axes_or_new, style

__all__ = ["distillation_curves"]


def distillation_curves(example: Example, ax: Axes | None = None) -> Axes:
    """Draw an example of :mod:`tsode.distillation`.

    Parameters
    ----------
    example : Example
        What ``distillation.example`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Lines are theory, points what was measured, with one standard error; those of one name have one colour.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> tsode.plot.distillation_curves(tsode.distillation.example("fixed_sample", runs=2)).get_ylabel()
    'risk'
    """
    _checks.instance("example", example, Example, "an Example of tsode.distillation")
    names = list(dict.fromkeys([*example.curves, *example.points]))
    with style():
        ax = axes_or_new(ax, figsize=(5.4, 3.6))
        for i, name in enumerate(names):
            colour, drawn = COLOURS[i % len(COLOURS)], name in example.curves
            if drawn:
                ax.plot(*example.curves[name], lw=1.3, color=colour, label=name)
            if name in example.points:
                marker, label = MARKERS[i % len(MARKERS)], None if drawn else name
                ax.errorbar(*example.points[name], fmt=marker, ms=4, capsize=2, color=colour, label=label)
        ax.set(xlabel=example.x, ylabel=example.y, title=example.title)
        ax.set(xscale="log" if "x" in example.log else "linear", yscale="log" if "y" in example.log else "linear")
        ax.legend(title="lines: theory; points: measured", title_fontsize="small")
    return ax

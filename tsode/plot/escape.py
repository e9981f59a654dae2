"""Escape times."""

import numpy as np

from ._style import COLOURS, axes_or_new, style


def escape_histogram(times, law=None, ax=None):
    times = times[np.isfinite(times)]
    with style():
        ax = axes_or_new(ax)
        ax.hist(times, bins=max(5, int(np.sqrt(times.size))), density=True, color=COLOURS[6], edgecolor="black")
        if law is not None:
            t = np.linspace(*law.ppf([1e-3, 0.999]), 300)
            ax.plot(t, law.pdf(t), color=COLOURS[0])
    return ax

"""Whole figures: several panels of one result."""

from pathlib import Path
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import _checks
from .._files import atomic_path
from .._parameters import describe
from .._types import PathLike
from ..closed_forms import has_closed_forms
from ..hessian import Comparison, Convergence
from ..plateaus import plateau
from ..trajectory import Trajectory, check_trajectory
from ._style import check_law, check_level, say, style
from .curves import loss_curve, overlap_curves, overlap_matrix
from .escape import escape_histogram
from .invariants import overlap_invariants
from .spectra import check_comparison, check_samples, hessian_convergence, hessian_spectra

__all__ = ["hessian_panels", "save", "study_panels"]

FORMATS = (".png", ".pdf", ".svg")  # of figures in files; the first where none is named


def study_panels(
    ode: Trajectory,
    sgd: Trajectory,
    plateau_loss: float | None = None,
    escapes: ArrayLike | None = None,
    law: Any = None,
    hessian: Comparison | None = None,
    threshold: float | None = None,
) -> Figure:
    """Draw SGD beside its ODE: loss with the plateau, overlaps, escape times, Hessians, the theory's last overlaps.

    Of the overlaps it shows what does not depend on which solution a run takes (:func:`overlap_invariants`). Where the
    readout is trained, it has the place of the Hessians.

    Parameters
    ----------
    ode, sgd : Trajectory
        A solution of ``integrate`` and the runs of ``simulate``.
    plateau_loss : float, optional
        Excess loss of the plateau.
    escapes : ndarray, shape (runs,), optional
        Escape times of runs from random weights; not drawn where SGD has no plateau to escape from.
    law : scipy.stats frozen distribution, optional
        Their law.
    hessian : tsode.hessian.Comparison, optional
        Spectra on plateau and solution manifold.
    threshold : float, optional
        Value of tr M M^T at which runs count as escaped.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or `ode` and `sgd` are not what they should be.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> ode = tsode.integrate(model, start, 30.0)
    >>> sgd = tsode.simulate(model, start, 30.0, N=100, runs=3)
    >>> figure = tsode.plot.study_panels(ode, sgd, tsode.plateau(model).excess_loss)
    >>> len(figure.axes) >= 6
    True
    """
    model = check_trajectory(ode, "ode").model
    check_trajectory(sgd, "sgd")
    escapes = None if escapes is None else _checks.real_array("escapes", escapes)
    law = None if law is None else check_law("law", law)
    threshold = check_level("threshold", threshold)
    with style():
        figure, axes = plt.subplots(2, 3, figsize=(14, 7.4), layout="constrained")
        loss_curve(ode, sgd, plateau_loss, ax=axes[0, 0])
        overlap_invariants(ode, sgd, "M", ax=axes[0, 1])
        overlap_invariants(ode, sgd, "Q", ax=axes[0, 2])
        if no_plateau := _no_plateau(model):
            say(axes[1, 0], f"no plateau, and no escape from one:\n{no_plateau}")
        elif escapes is not None and np.isfinite(escapes).any():
            escape_histogram(escapes, law, ax=axes[1, 0])
            if threshold is not None:
                axes[1, 0].set_xlabel(rf"first time with tr $M M^T > {threshold:.3g}$, from random weights")
        else:
            say(axes[1, 0], "no run escaped")
        if hessian is not None:
            hessian_spectra(hessian, ax=axes[1, 1])
        elif model.readout_learning_rate:
            overlap_curves(ode, sgd, "readout", ax=axes[1, 1])
        else:
            say(axes[1, 1], "no plateau or no solution in closed form:\nno Hessians to compare")
        overlap_matrix(ode.overlaps(-1), rf"theory at $\alpha$ = {ode.alpha[-1]:.4g}", ax=axes[1, 2])
        for letter, ax in zip("abcdef", axes.flat):
            ax.set_title(letter, loc="left", fontsize=10, fontweight="bold")
        figure.suptitle(describe(model, N=sgd.N, words=True), fontsize=10)
    return figure


def hessian_panels(comparison: Comparison, samples: Convergence | None = None) -> Figure:
    """Draw the population's spectra, and beside them those of samples as n/N grows.

    Parameters
    ----------
    comparison : tsode.hessian.Comparison
        The population's spectra.
    samples : tsode.hessian.Convergence, optional
        Spectra on samples.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import tsode
    >>> both = tsode.hessian.compare(tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1), N=20)
    >>> len(tsode.plot.hessian_panels(both).axes)
    1
    """
    check_comparison(comparison)
    if samples is not None:
        check_samples(samples, "samples")
    with style():
        columns = 1 if samples is None else 3
        figure, axes = plt.subplots(1, columns, figsize=(6.4 * columns, 4), layout="constrained", squeeze=False)
        hessian_spectra(comparison, ax=axes[0, 0])
        if samples is not None:
            hessian_convergence(samples, "plateau", ax=axes[0, 1])
            hessian_convergence(samples, "manifold", ax=axes[0, 2])
    return figure


def _no_plateau(model):
    """Return why SGD has no plateau; None where it has one or theory does not know."""
    return plateau(model).reasons.get("q") if has_closed_forms(model) else None


def save(figure: Figure | Axes, path: PathLike) -> Path:
    """Write a figure as PNG, PDF or SVG, complete or not at all, and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or Axes
        What to write: a figure, or the one that axes are in.
    path : path-like
        File to write, which ends in .png, .pdf or .svg; ".png" is appended if it has no suffix.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    TypeError, ValueError, OSError
        If `figure` is none, or `path` no path or one of another suffix, or nothing can be written there; a file that
        was there before is then as it was.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> ode = tsode.integrate(model, start, 30.0)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tsode.plot.save(tsode.plot.loss_curve(ode).figure, f"{folder}/loss.pdf").name
    'loss.pdf'
    """
    _checks.instance("figure", figure, (Figure, Axes), "a matplotlib Figure or Axes")
    path = _checks.file_path("path", path, FORMATS)
    figure = cast(Figure, figure.figure)  # of itself, too
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=160)
    plt.close(figure)
    return path

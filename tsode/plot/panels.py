"""Whole figures: several panels of one result."""

import matplotlib.pyplot as plt

from .._files import atomic_path
from ._style import style
from .curves import loss_curve, overlap_curves, overlap_matrix

__all__ = ["save", "study_panels"]


def study_panels(ode, sgd, plateau_loss=None):
    """Draw SGD beside its ODE: loss with the plateau, both overlaps, and the last overlap matrix of the theory.

    Parameters
    ----------
    ode, sgd : Trajectory
        A solution of ``integrate`` and the runs of ``simulate``.
    plateau_loss : float, optional
        Excess loss of the plateau.

    Returns
    -------
    matplotlib.figure.Figure
    """
    model = ode.model
    with style():
        figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
        loss_curve(ode, sgd, plateau_loss, ax=axes[0, 0])
        overlap_curves(ode, sgd, "M", ax=axes[0, 1])
        overlap_curves(ode, sgd, "Q", ax=axes[1, 0])
        overlap_matrix(ode.overlaps(-1), rf"theory at $\alpha$ = {ode.alpha[-1]:.4g}", ax=axes[1, 1])
        figure.suptitle(
            f"p = {model.p}, p* = {model.p_star}, N = {sgd.N:,}, learning rate {model.learning_rate:g}, "
            f"noise variance {model.noise_variance:g}, {model.constraint}",
            fontsize=10,
        )
    return figure


def save(figure, path):
    """Write a figure as PNG, complete or not at all, and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=160)
    plt.close(figure)

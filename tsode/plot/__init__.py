"""Figures of results. Each function takes ``ax=None`` and returns the Axes; nothing is shown or saved."""

from ._style import paper
from .bands import loss_band
from .curves import loss_curve, overlap_curves, overlap_matrix
from .distillation import distillation_curves
from .escape import escape_histogram, escape_means
from .invariants import overlap_invariants
from .panels import hessian_panels, save, study_panels
from .rates import learning_rates
from .scans import deviation_curves, escape_curves, stability_map
from .spectra import hessian_convergence, hessian_path, hessian_separation, hessian_spectra

__all__ = [
    "deviation_curves",
    "distillation_curves",
    "escape_curves",
    "escape_histogram",
    "escape_means",
    "hessian_convergence",
    "hessian_panels",
    "hessian_path",
    "hessian_separation",
    "hessian_spectra",
    "learning_rates",
    "loss_band",
    "loss_curve",
    "overlap_curves",
    "overlap_invariants",
    "overlap_matrix",
    "paper",
    "save",
    "stability_map",
    "study_panels",
]

"""Figures of results. Each function takes ``ax=None`` and returns the Axes; nothing is shown or saved."""

from .curves import loss_curve, overlap_curves, overlap_matrix

__all__ = ["loss_curve", "overlap_curves", "overlap_matrix"]

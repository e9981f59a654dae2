"""The layout of what evolves: M, Q and what is trained beside W, flattened one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .model import TeacherStudent

__all__ = ["norm_positions", "pack", "scalars_of", "start_state", "unpack"]


def pack(M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return M and Q as one flat state, shape (p p_star + p p,)."""
    return np.concatenate([M.ravel(), Q.ravel()])


def unpack(states: np.ndarray, model: TeacherStudent) -> tuple[np.ndarray, np.ndarray]:
    """Return M, Q of flat states, shape (..., n)."""
    n, end = model.p * model.p_star, model.p * (model.p_star + model.p)
    lead = states.shape[:-1]
    return states[..., :n].reshape(*lead, model.p, model.p_star), states[..., n:end].reshape(*lead, model.p, model.p)


def scalars_of(states: np.ndarray, model: TeacherStudent) -> np.ndarray:
    """Return the trained scalars of flat states, shape (..., n_scalars)."""
    return states[..., model.p * (model.p_star + model.p) :]


def start_state(model: TeacherStudent, M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return the flat state at the start: these overlaps, and the model's values of trained scalars."""
    return np.concatenate([M.ravel(), Q.ravel(), model.rule.scalars(model)])


def norm_positions(model: TeacherStudent) -> np.ndarray:
    """Return where in a flat state the diagonal of Q stands, shape (p,)."""
    return model.p * model.p_star + (model.p + 1) * np.arange(model.p)

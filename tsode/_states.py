"""The layout of what evolves: M, Q and what is trained beside W, flattened; weights in panels of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._linear_algebra import weighted_sum

if TYPE_CHECKING:
    from .model import TeacherStudent
    from .overlaps import Overlaps

__all__ = [
    "block_count", "blocks_of", "norm_positions", "norms", "pack", "scalars_of", "start_state", "unfold", "unpack",
]  # fmt: skip


def pack(M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return M and Q as one flat state, shape (p p_star + p p,)."""
    return np.concatenate([M.ravel(), Q.ravel()])


def unpack(states: np.ndarray, model: TeacherStudent) -> tuple[np.ndarray, np.ndarray]:
    """Return M, Q of flat states, shape (..., n)."""
    if model.inputs is not None:
        M, Q = blocks_of(states, model)
        weights = model.inputs.eigenvalues
        return weighted_sum(weights, M), weighted_sum(weights, Q)
    n, end = model.p * model.p_star, model.p * (model.p_star + model.p)
    lead = states.shape[:-1]
    return states[..., :n].reshape(*lead, model.p, model.p_star), states[..., n:end].reshape(*lead, model.p, model.p)


def blocks_of(states: np.ndarray, model: TeacherStudent) -> tuple[np.ndarray, np.ndarray]:
    """Return M and Q in each block of the inputs, of flat states, shape (..., n)."""
    p, p_star, count, lead = model.p, model.p_star, block_count(model), states.shape[:-1]
    n, end = count * p * p_star, count * p * (p_star + p)
    return states[..., :n].reshape(*lead, count, p, p_star), states[..., n:end].reshape(*lead, count, p, p)


def block_count(model: TeacherStudent) -> int:
    """Return in how many blocks the inputs come; one where they are isotropic."""
    return 1 if model.inputs is None else len(model.inputs)


def scalars_of(states: np.ndarray, model: TeacherStudent) -> np.ndarray:
    """Return the trained scalars of flat states, shape (..., n_scalars)."""
    first = block_count(model) * model.p * (model.p_star + model.p)
    return states[..., first : first + len(model.rule.scalars(model))]


def start_state(model: TeacherStudent, start: Overlaps) -> np.ndarray:
    """Return the flat state at the start: these overlaps, and the model's values of trained scalars."""
    M, Q = (start.M, start.Q) if start.blocks is None else start.blocks[:2]
    return np.concatenate([M.ravel(), Q.ravel(), model.rule.scalars(model)])


def norm_positions(model: TeacherStudent) -> np.ndarray:
    """Return where in a flat state the diagonal of Q stands, shape (p,)."""
    return model.p * model.p_star + (model.p + 1) * np.arange(model.p)


def norms(model: TeacherStudent) -> np.ndarray:
    """Return what tr Q is the sum of: places in a flat state and weights, shape (p, 2), or (B p, 2) with inputs."""
    p, count = model.p, block_count(model)
    diagonals = p * p * np.arange(count)[:, None] + (p + 1) * np.arange(p)
    weights = np.ones(count) if model.inputs is None else model.inputs.eigenvalues
    return np.column_stack([count * p * model.p_star + diagonals.ravel(), np.repeat(weights, p)])


def unfold(panels: np.ndarray, N: int) -> np.ndarray:
    """Return the rows of panels of columns, shape (..., rows, N) of (..., n_panels, rows, width)."""
    rows = np.swapaxes(panels, -3, -2)
    return rows.reshape(*rows.shape[:-2], -1)[..., :N]

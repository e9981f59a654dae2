"""The layout of what evolves: M and Q, flattened one after the other."""

import numpy as np

__all__ = ["norm_positions", "pack", "unpack"]


def pack(M, Q):
    """Return M and Q as one flat state, shape (p p_star + p p,)."""
    return np.concatenate([M.ravel(), Q.ravel()])


def unpack(states, model):
    """Return M, Q of flat states, shape (..., n)."""
    n = model.p * model.p_star
    lead = states.shape[:-1]
    return states[..., :n].reshape(*lead, model.p, model.p_star), states[..., n:].reshape(*lead, model.p, model.p)


def norm_positions(model):
    """Return where in a flat state the diagonal of Q stands, shape (p,)."""
    return model.p * model.p_star + (model.p + 1) * np.arange(model.p)

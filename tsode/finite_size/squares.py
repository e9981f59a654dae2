"""The law of a weighted sum of squares of standard normal numbers."""

import numpy as np

__all__ = ["exceeds"]

NODES = 18  # the error falls as 10^(-0.6 NODES), and rounding grows as e^(0.4 NODES)


def exceeds(weights: np.ndarray, level: float) -> np.ndarray:
    r"""Return the probability that :math:`\sum_i w_i x_i^2` is above a level, shape (...) of `weights`, (..., n).

    The distribution function is the inverse Laplace transform of :math:`\prod_i (1 + 2 w_i s)^{-1/2} / s`, along the
    contour of Talbot that Abate & Valko (Int. J. Numer. Meth. Engng 60, 979, 2004) fix. Its error is below 1e-9.
    """
    radius, theta = 0.4 * NODES, np.arange(1, NODES) * np.pi / NODES
    cot = 1 / np.tan(theta)
    s = np.append(radius, radius * theta * (cot + 1j)) / level
    slope = np.append(0.5, 1 + 1j * (theta + (theta * cot - 1) * cot))
    transform = np.prod((1 + 2 * np.asarray(weights)[..., None, :] * s[:, None]) ** -0.5, axis=-1) / s
    below = radius / level / NODES * np.real(np.exp(s * level) * transform * slope).sum(axis=-1)
    return np.clip(1 - below, 0.0, 1.0)

"""Overlaps block by block of the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _checks
from ._linear_algebra import weighted_sum

if TYPE_CHECKING:
    from .inputs import Inputs

__all__ = ["Blocks", "check_blocks", "teacher_blocks"]


class Blocks(NamedTuple):
    """Overlaps block by block, which know nothing of variances.

    Attributes
    ----------
    M, Q : ndarray, shapes (..., B, p, p_star), (..., B, p, p)
        Overlaps of the student; over time and runs there are axes before.
    P : ndarray, shape (B, p_star, p_star)
        Overlaps of the teacher, which does not move.
    """

    M: np.ndarray
    Q: np.ndarray
    P: np.ndarray

    def covariance(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return M, Q and P of the preactivations, shapes (..., p, p_star), (..., p, p) and (p_star, p_star)."""
        s = inputs.eigenvalues
        return weighted_sum(s, self.M), weighted_sum(s, self.Q), weighted_sum(s, self.P)


def teacher_blocks(inputs: Inputs, P: np.ndarray) -> np.ndarray:
    r"""Return :math:`P^b = f_b P / \sum_c f_c s_c^2`, shape (B, p_star, p_star).

    That is a teacher with random weights in all coordinates, whose preactivations have the covariance P.
    """
    return (inputs.fractions / (inputs.fractions @ inputs.eigenvalues))[:, None, None] * P


def check_blocks(blocks: object, inputs: Inputs | None, M: np.ndarray, Q: np.ndarray, P: np.ndarray) -> None:
    """Refuse `blocks` where there are no inputs, or of which M, Q and P are not the sums."""
    if (blocks is None) != (inputs is None):
        raise ValueError("`blocks` must be given where the model has `inputs`, and nowhere else")
    if inputs is None:
        return
    _checks.instance("blocks", blocks, Blocks, "a tsode.inputs.Blocks")
    assert isinstance(blocks, Blocks)
    count, (p, p_star), lead = len(inputs), M.shape[-2:], M.shape[:-2]
    shapes = (*lead, count, p, p_star), (*lead, count, p, p), (count, p_star, p_star)
    for name, array, shape in zip("MQP", blocks, shapes):
        if np.shape(array) != shape:
            raise ValueError(f"`blocks.{name}` must have shape {shape}, but has shape {np.shape(array)}")
    for name, found, wanted in zip("MQP", blocks.covariance(inputs), (M, Q, P)):
        if not np.allclose(found, wanted, rtol=1e-6, atol=1e-9, equal_nan=True):
            raise ValueError(
                f"`blocks.{name}` must have the sum {name}, each block times its variance, but has another"
            )

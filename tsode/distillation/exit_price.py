"""The price that a first exit pays for an exact last one."""

from __future__ import annotations

import numpy as np

from .. import _checks
from ..model import TeacherStudent, check_model

__all__ = ["exit_price"]


def exit_price(truth: TeacherStudent, width: int) -> float:
    r"""Return by how much an exact last exit raises the loss of a first one, for the square with readouts all alike.

    Parameters
    ----------
    truth : TeacherStudent
        The truth, readouts of one sign.
    width : int
        Units r of the first exit, at least 1.

    Returns
    -------
    float
        :math:`r R^2 / (2 (r + 2))`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; if readouts of the truth have both signs.

    Examples
    --------
    >>> import numpy as np, tsode
    >>> P = np.diag([1.6, 1.0, 0.6, 0.3])
    >>> truth = tsode.TeacherStudent(4, 4, 0.1, teacher_readout=np.ones(4), teacher_overlap=P)
    >>> round(exit_price(truth, 2), 6)
    0.2025
    """
    width = _checks.integer("width", width, minimum=1)
    v = check_model(truth, "truth").teacher_readout
    if v.min() < 0 < v.max():
        raise ValueError("`truth` must have readouts of one sign, but has both")
    root = np.sqrt(np.abs(v))
    parts = np.linalg.eigvalsh(root[:, None] * truth.teacher_overlap * root)[::-1]
    return float(width * parts[width:].sum() ** 2 / (2 * (width + 2)))

"""What gradient flow of both layers conserves."""

from __future__ import annotations

import numpy as np

from .._checks import NoClosedForm
from ..model import check_constant, check_isotropic
from ..trajectory import Trajectory, check_trajectory

__all__ = ["layer_balance"]


def layer_balance(trajectory: Trajectory) -> np.ndarray:
    r"""Return the balance of the layers, which gradient flow conserves where the readout is trained, too.

    An activation that is homogeneous of degree h leaves the output as it is if a unit's weights are multiplied by s and
    its readout by :math:`s^{-h}`. Hence, without decay, gradient flow conserves for each unit

    .. math::
        B_k = \frac{Q_{kk}}{h\, \eta} - \frac{v_k^2}{\eta_v} .

    SGD changes it at second order in the learning rates.

    Parameters
    ----------
    trajectory : Trajectory
        Of a model with a trained readout.

    Returns
    -------
    ndarray, shape (..., T, p)

    Raises
    ------
    TypeError
        If `trajectory` is no Trajectory.
    NoClosedForm
        If the activation is not homogeneous, or the readout is fixed, or the learning rate changes in time.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2, readout_learning_rate=0.1)
    >>> start = tsode.Overlaps.random(model, N=100, rng=0)
    >>> balance = layer_balance(tsode.integrate(model, start, 30.0, gradient_flow=True))
    >>> bool(abs(balance - balance[0]).max() < 1e-6)
    True
    """
    model = check_isotropic(check_constant(check_trajectory(trajectory).model))
    if model.activation.degree is None or not model.readout_learning_rate:
        raise NoClosedForm(
            "`trajectory` must be of a homogeneous activation with a trained readout, but its model has "
            f"{model.activation!r} and the readout's learning rate {model.readout_learning_rate:g}"
        )
    norms = np.diagonal(trajectory.Q, axis1=-2, axis2=-1)
    return norms / (model.activation.degree * model.learning_rate) - trajectory.readout**2 / model.readout_learning_rate

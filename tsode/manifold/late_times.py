"""How the end is approached: exponentially, by a power law, or not at all under label noise."""

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..closed_forms import closed_forms
from ..model import TeacherStudent, check_model

__all__ = ["loss_floor", "power_law", "relaxation_rate"]


def relaxation_rate(model: TeacherStudent) -> float:
    r"""Return the rate at which the excess loss over its minimum decays at late times, in gradient flow.

    Parameters
    ----------
    model : TeacherStudent
        Equal readouts of the student, of the teacher's sign; free.

    Returns
    -------
    float
        Exponent per unit of :math:`\alpha`; 0 for p > p*, where the decay is the power law of :func:`power_law`.

    Raises
    ------
    TypeError, ValueError
        If the readouts of the student differ, or the model is spherical or has no solutions.

    Notes
    -----
    Derivations of all three in :mod:`tsode.activations.quadratic.late_times`.

    Examples
    --------
    >>> import tsode
    >>> round(tsode.manifold.relaxation_rate(tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.1)), 6)
    0.2
    """
    return closed_forms(check_model(model)).relaxation_rate


def power_law(model: TeacherStudent, alpha: ArrayLike) -> np.ndarray:
    r"""Return the excess loss of an overparameterised student at late times, in gradient flow.

    Parameters
    ----------
    model : TeacherStudent
        Equal readouts of the student, of the teacher's sign; free; p > p*.
    alpha : float or array_like, shape (T,)
        Times since the start, larger than 0.

    Returns
    -------
    ndarray, shape (T,) or ()
        Proportional to :math:`\alpha^{-2}`.

    Raises
    ------
    TypeError, ValueError
        If p <= p*, or as in :func:`relaxation_rate`.

    Examples
    --------
    >>> import tsode
    >>> tsode.manifold.power_law(tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1), 1000.0)
    array(3.33333333e-05)
    """
    theory = closed_forms(check_model(model))
    alpha = _checks.real_array("alpha", alpha)
    alpha = _checks.float_array("alpha", alpha, alpha.shape)
    if not (alpha >= 1 / _checks.LARGEST).all():
        raise ValueError(f"`alpha` must be larger than 0, but has {alpha.min():g}")
    return theory.power_law(alpha)


def loss_floor(model: TeacherStudent) -> float:
    r"""Return the excess loss at which SGD at finite learning rate ends: above the minimum under label noise.

    Parameters
    ----------
    model : TeacherStudent
        Equal readouts on each side, of one sign, P = 1; free.

    Returns
    -------
    float
        Excess loss of the fixed point of the ODEs near the solutions; nan where there is none, as the learning
        rate is too large.

    Raises
    ------
    TypeError, ValueError
        If the model is not of that kind.

    Notes
    -----
    Label noise 0 and p >= p* give 0 up to :math:`\eta = 1 / [2 v \mu (p^* + 2)]`. Above it p > p* students end at a
    fixed point at which the surplus ones do not die out. For p < p* what the student cannot learn acts as noise.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.1, noise_variance=0.1)
    >>> round(tsode.manifold.loss_floor(model), 6)
    0.00625
    """
    return closed_forms(check_model(model)).loss_floor

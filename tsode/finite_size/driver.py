"""Fluctuations of the overlaps along the ODE: the call."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._divergence import divergence_limit
from .._linear_algebra import joint_matrix
from ..closed_forms import NoClosedForm
from ..model import TeacherStudent, check_constant, check_isotropic, check_model
from ..ode import integrate
from ..ode.any_rates import solve_rates
from ..overlaps import Overlaps, check_scale, check_start
from ..trajectory import Trajectory
from .layout import entries_of, positions_of, random_covariance
from .rates import Rates
from .result import Fluctuations
from .sampled import quadrature, solve_sampled

__all__ = ["check_fluctuating", "fluctuations", "quick_fluctuations"]

RTOL, ATOL = 1e-8, 1e-10  # of `integrate`
WIDEST = 12  # students whose fluctuations take less than some seconds
LOOSER = 100.0  # tolerances of what is an expansion in 1/N anyway, over those of the ODE


def fluctuations(
    model: TeacherStudent,
    start: Overlaps | None,
    alpha: ArrayLike,
    scale: float = 1.0,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> Fluctuations:
    r"""Return how SGD at any large N fluctuates about its ODE, and by how much its mean misses it.

    Parameters
    ----------
    model : TeacherStudent
        Gradient descent with a fixed readout at a constant learning rate, free or spherical, in batches or not, with
        weight decay or not; without momentum, and for isotropic inputs. The square is in closed form at any widths.
        Other activations go by quadrature over p + p_star preactivations, of which up to 4 are independent.
    start : Overlaps or None
        Overlaps at time ``alpha[0]``, the same in every run; None: random weights, another draw in every run.
    alpha : float or array_like, shape (T,)
        Times (samples / N), strictly increasing; a number stands for 201 even times from 0 up to it.
    scale : float
        Standard deviation of random weights; ignored under the spherical constraint, where all norms are 1.
    rtol, atol : float
        Tolerances of the ODE, as of :func:`tsode.integrate`; those of covariance and correction are 100 times as
        large, by quadrature 1e-4.

    Returns
    -------
    Fluctuations
        Of order :math:`1/\sqrt N`: it knows no N, but its methods take one.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; NoClosedForm for a model that it does not cover.

    Notes
    -----
    The equations are in :mod:`tsode.finite_size.rates`. It is an expansion about the ODE: where noise alone decides
    when something happens, as in the escape from a plateau, it ends, and `valid_until` of the result says when. The law
    of that time is :func:`tsode.escape_law`, and `escape_cdf` of the result where readouts differ.

    The square takes 10 to 20 times as long as the ODE at (p, p_star) = (4, 2), and 0.1 s at (8, 4) to
    alpha = 10. By quadrature one unit on each side takes seconds, two on each side a minute.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> start = tsode.Overlaps([[0.5], [0.2]], [[1.0, 0.1], [0.1, 1.0]])
    >>> found = tsode.fluctuations(model, start, 20.0)
    >>> bool((found.M_std(40_000) == found.M_std(10_000) / 2).all())
    True
    """
    check_fluctuating(model)
    alpha, scale = _checks.times(alpha), check_scale(scale)
    rtol = _checks.number("rtol", rtol, above=0.0, maximum=1.0)
    atol = _checks.number("atol", atol, above=0.0)
    if start is None:
        scale = 1.0 if model.spherical else scale
        C, Q = random_covariance(model, scale), scale**2 * np.eye(model.p)
        start = Overlaps(np.zeros((model.p, model.p_star)), Q, model.teacher_overlap)
    else:
        check_start(model, start)
        C = np.zeros_like(random_covariance(model, scale))
    _checks.memory("`alpha` and the model", len(alpha) * C.size)
    if model.rule.averages(model).step is None:
        quadrature(model, joint_matrix(start.M, start.Q, model.teacher_overlap))  # raises before an hour's work
    return _along(integrate(model, start, alpha, rtol=rtol, atol=atol), C, rtol, atol)


def _along(ode, C, rtol=RTOL, atol=ATOL):
    """Return the fluctuations along a solution of the ODE, from the covariance C of its start on."""
    model, start, n = ode.model, ode.overlaps(0), len(C)
    first = np.concatenate([entries_of(start.M, start.Q), C.ravel(), np.zeros(n)])
    states = np.full((len(ode.alpha), len(first)), np.nan)
    if len(ode.alpha) == 1:
        states[0] = first
    else:
        found = _solved(model, start, first, ode.alpha, rtol, atol)
        states[: len(found)] = found
    covariance = states[:, n : n + n * n].reshape(-1, n, n)
    return Fluctuations(ode, covariance, states[:, n + n * n :])


def quick_fluctuations(ode: Trajectory) -> Fluctuations | None:
    """Return the fluctuations along a solution of the ODE; None where they take longer, or none are known."""
    model = ode.model
    try:
        check_fluctuating(model)
    except NoClosedForm:
        return None
    if model.rule.averages(model).step is None or model.p > WIDEST:
        return None
    C = np.zeros_like(random_covariance(model, 1.0))
    _checks.memory("the times of `ode` and its model", len(ode.alpha) * C.size)
    return _along(ode, C)


def _solved(model, start, first, alpha, rtol, atol):
    """Return the states (o, C, m) at the times that were reached."""
    step = model.rule.averages(model).step
    if step is None:
        return solve_sampled(model, start, first, alpha, rtol, atol)
    norms, limit = np.diagonal(positions_of(model)[1]).copy(), divergence_limit(model, start.Q)
    return solve_rates(Rates(model, step), first, alpha, norms, limit, LOOSER * rtol, LOOSER * atol)


def check_fluctuating(model: TeacherStudent) -> TeacherStudent:
    """Return `model` if it is one whose fluctuations are known."""
    check_isotropic(check_constant(check_model(model)))
    averages = model.rule.averages(model)
    gradient_descent = averages.drift is not None or averages.drift_arrays is not None
    if model.momentum or model.readout_learning_rate or not gradient_descent:
        raise NoClosedForm(
            "`model` must have the rule 'gradient', a fixed readout and no momentum for fluctuations; take the spread "
            f"of runs of tsode.simulate, whose chain is exact for any: it has {model.rule!r}, readout_learning_rate "
            f"{model.readout_learning_rate:g} and momentum {model.momentum:g}"
        )
    return model

"""One solution of the overlap ODEs: SGD in the limit of infinite input dimension."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._divergence import divergence_limit
from .._linear_algebra import joint_matrix
from .._states import norm_positions, pack, unpack
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps, check_start
from ..trajectory import Trajectory, versions
from .rhs import right_hand_side

__all__ = ["METHODS", "as_trajectory", "integrate", "quiet"]

METHODS = ("RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA")

OUTSIDE = 1e-6  # negative eigenvalue of the joint overlaps, relative to their trace, that rounding does not explain
LOOKS = 16  # records at which eigenvalues are looked at; all would take as long as the solution itself


def integrate(
    model: TeacherStudent,
    start: Overlaps,
    alpha: ArrayLike,
    method: str = "DOP853",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    gradient_flow: bool = False,
) -> Trajectory:
    r"""Integrate the overlap ODEs of one-pass SGD from a start.

    Parameters
    ----------
    model : TeacherStudent
        The pair, its learning rate, noise and constraint.
    start : Overlaps
        Overlaps at time ``alpha[0]``.
    alpha : float or array_like, shape (T,)
        Times (samples / N), strictly increasing; a number stands for 201 even times from 0 up to it.
    method : {"RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA"}
        Method of :func:`scipy.integrate.solve_ivp`.
    rtol, atol : float
        Its relative and absolute tolerance, larger than 0: overlaps may be 0 and have no relative error.
    gradient_flow : bool
        Leave out the :math:`\eta^2` term: the limit of small learning rate, with
        :math:`\tau = \eta \alpha` as its natural time.

    Returns
    -------
    Trajectory
        Its first point is `start`, exactly. If the norms diverge, it ends before the divergence, with status
        "diverged" and the time in ``stopped_at``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Warns
    -----
    RuntimeWarning
        If rounding grew until the solution is that of no weights, which happens where parallel students are unstable.

    Notes
    -----
    The equations are in :mod:`tsode.ode.rhs`; the source of the setting is arXiv:2604.03068.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    >>> start = tsode.Overlaps.random(model, N=1000, rng=0)
    >>> ode = tsode.integrate(model, start, 60.0)
    >>> ode.status
    'completed'
    """
    check_start(check_model(model), start)
    alpha = _checks.times(alpha)
    method = _checks.choice("method", method, METHODS)
    rtol = _checks.number("rtol", rtol, above=0.0, maximum=1.0)
    atol = _checks.number("atol", atol, above=0.0)
    gradient_flow = _checks.flag("gradient_flow", gradient_flow)

    state = pack(start.M, start.Q)
    states, stopped_at = _solve(model, state, alpha, gradient_flow, method=method, rtol=rtol, atol=atol)
    states[0] = state  # LSODA and BDF interpolate even their first point
    return as_trajectory(model, alpha, states, stopped_at, gradient_flow, method=method, rtol=rtol, atol=atol)


def as_trajectory(
    model: TeacherStudent,
    alpha: np.ndarray,
    states: np.ndarray,
    stopped_at: float | None,
    gradient_flow: bool,
    **options: Any,
) -> Trajectory:
    """Return the Trajectory of flat states, shape (T', n), T' <= T; `stopped_at` is None if it was completed."""
    M, Q = unpack(states, model)
    Q = (Q + np.swapaxes(Q, -1, -2)) / 2  # implicit methods keep the symmetry only to their tolerance
    alpha, completed = alpha[: len(states)], stopped_at is None
    if completed:
        _warn_outside(model, alpha, M, Q, options["rtol"])
    name = "{}{method}, rtol={rtol:g}, atol={atol:g}".format("gradient flow, " if gradient_flow else "", **options)
    return Trajectory(
        model=model,
        alpha=alpha,
        M=M,
        Q=Q,
        status="completed" if completed else "diverged",
        stopped_at=float(alpha[-1]) if stopped_at is None else stopped_at,
        engine=f"ode, {name}",
        gradient_flow=gradient_flow,
        versions=versions(),
    )


def _warn_outside(model, alpha, M, Q, rtol):
    """Warn if no weights have these overlaps.

    Parallel students stay parallel in the exact solution. If that is unstable, rounding grows, and nothing in the
    equations keeps it from making the squared distance of two students negative.
    """
    looked_at = slice(None, None, -max(1, len(alpha) // LOOKS))
    joint = joint_matrix(M[looked_at], Q[looked_at], model.teacher_overlap)
    lowest = np.linalg.eigvalsh(joint)[:, 0] / np.maximum(np.trace(joint, axis1=1, axis2=2), np.finfo(float).tiny)
    worst = int(np.argmin(lowest))
    if lowest[worst] < -max(OUTSIDE, 100 * rtol):
        warnings.warn(
            f"no weights have the overlaps of this solution: at alpha = {alpha[looked_at][worst]:g} an eigenvalue is "
            f"{lowest[worst]:.2g} of the trace; start from students that are not parallel, or with another `method`",
            RuntimeWarning,
            stacklevel=4,
        )


def _solve(model, state, alpha, gradient_flow, **options):
    """Return the states up to the last finite one, shape (T', n), and the time of divergence or None."""
    from scipy.integrate import solve_ivp  # half of the package's import time, if it stood above

    if len(alpha) == 1:
        return state[None].copy(), None
    rhs = right_hand_side(model, gradient_flow, options["rtol"])
    limit = divergence_limit(model, unpack(state, model)[1])
    diagonal = norm_positions(model)

    reached = alpha[0]

    def too_large(time, y):
        nonlocal reached  # where a step becomes too small for rounding before the event, this is the end
        reached = time
        return limit - y[diagonal].sum()

    too_large.terminal = True
    with quiet():
        solution = solve_ivp(rhs, (alpha[0], alpha[-1]), state, t_eval=alpha, events=too_large, **options)
    states = solution.y.T if len(solution.y) else state[None].copy()  # the first step may already fail
    finite = np.isfinite(states).all(axis=1)
    if solution.status == 0 and finite.all():
        return states, None
    kept = len(states) if finite.all() else int(np.argmin(finite))
    return states[:kept], float(solution.t_events[0][0] if solution.t_events[0].size else reached)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence overflow: a trial step of a diverging run overflows before its end is found and told as a status."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield

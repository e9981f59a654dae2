r"""The overlap ODEs: SGD in the limit of infinite input dimension.

One step of SGD changes :math:`w_k` by :math:`c_k x / \sqrt N`, :math:`c_k = -2 \eta v_k D \lambda_k`. Hence
:math:`M_{kr}` changes by :math:`c_k \mu_r / N` and :math:`Q_{kl}` by
:math:`(c_k \lambda_l + c_l \lambda_k)/N + c_k c_l |x|^2 / N^2`; the last norm is N up to its fluctuations.
Averaged over a sample, with time :math:`\alpha` = samples / N,

.. math::
    \frac{dM}{d\alpha} = -2 \eta V E[D \lambda \mu^T], \qquad
    \frac{dQ}{d\alpha} = -2 \eta \left( V E[D \lambda \lambda^T] + E[D \lambda \lambda^T] V \right)
        + 4 \eta^2 V E[D^2 \lambda \lambda^T] V ,

the method of Saad & Solla, Phys. Rev. E 52, 4225 (1995). Gradient flow leaves the :math:`\eta^2` term out.
"""

import contextlib
import warnings

import numpy as np
from numba import njit

from . import _checks
from .model import check_model
from .moments import error_moments, error_moments_kernel
from .overlaps import check_start, divergence_limit, joint_matrix
from .trajectory import Trajectory, versions

__all__ = ["METHODS", "as_trajectory", "integrate", "quiet", "rhs_kernel", "right_hand_side", "unpack"]

METHODS = ("RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA")

OUTSIDE = 1e-6  # negative eigenvalue of the joint overlaps, relative to their trace, that rounding does not explain
LOOKS = 16  # records at which eigenvalues are looked at; all would take as long as the solution itself

# Student width from which the matrix products outrun the loops of the compiled kernel (benchmarks/ode_widths.py).
BLAS_WIDTH = 52


def integrate(model, start, alpha, method="DOP853", rtol=1e-8, atol=1e-10, gradient_flow=False):
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
    The equations are in the module's docstring; the source of the setting is arXiv:2604.03068.

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

    state = np.concatenate([start.M.ravel(), start.Q.ravel()])
    states, stopped_at = _solve(model, state, alpha, gradient_flow, method=method, rtol=rtol, atol=atol)
    states[0] = state  # LSODA and BDF interpolate even their first point
    return as_trajectory(model, alpha, states, stopped_at, gradient_flow, method=method, rtol=rtol, atol=atol)


def as_trajectory(model, alpha, states, stopped_at, gradient_flow, **options):
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
        stopped_at=float(alpha[-1]) if completed else stopped_at,
        engine=f"ode, {name}",
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
    rhs = right_hand_side(model, gradient_flow)
    limit = divergence_limit(model, unpack(state, model)[1])
    diagonal = model.p * model.p_star + (model.p + 1) * np.arange(model.p)

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


def right_hand_side(model, gradient_flow=False):
    """Return the function (alpha, y) -> dy/dalpha, y being M and Q flattened one after the other.

    Small widths run a compiled kernel, large ones matrix products; `BLAS_WIDTH` is where they cross.

    Parameters
    ----------
    model : TeacherStudent
        The pair.
    gradient_flow : bool
        Leave out the term of second order in the learning rate.

    Returns
    -------
    callable
    """
    eta = model.learning_rate
    constants = (
        model.student_readout,
        model.teacher_readout,
        model.teacher_overlap,
        eta,
        0.0 if gradient_flow else eta**2,
        model.noise_variance,
        model.spherical,
    )
    if model.p >= BLAS_WIDTH:
        return lambda alpha, y: rhs_blas(y, *constants)
    work = np.empty((model.p, model.p))
    # The implicit methods hand over strided columns; the kernel takes contiguous arrays only.
    return lambda alpha, y: rhs_kernel(np.ascontiguousarray(y), *constants, work)


@njit(cache=True, nogil=True, error_model="numpy")
def rhs_kernel(y, v, v_star, P, eta, eta2, noise_variance, spherical, work):
    """Return dy/dalpha; the loops allocate nothing but the result. `work` has shape (p, p)."""
    p = v.shape[0]
    p_star = v_star.shape[0]
    n = p * p_star
    M = y[:n].reshape(p, p_star)
    Q = y[n:].reshape(p, p)
    dy = np.empty(y.shape[0])
    dM = dy[:n].reshape(p, p_star)
    dQ = dy[n:].reshape(p, p)
    error_moments_kernel(v, v_star, M, Q, P, noise_variance, dM, work, dQ)
    for k in range(p):
        for r in range(p_star):
            dM[k, r] *= -2.0 * eta * v[k]
        for l in range(k + 1):
            dQ[k, l] = 4.0 * eta2 * v[k] * v[l] * dQ[k, l] - 2.0 * eta * (v[k] + v[l]) * work[k, l]
            dQ[l, k] = dQ[k, l]
    if spherical:
        # A row's norm grows at the rate g_k of Q_kk = 1; rescaling takes half of it off the row itself.
        for k in range(p):
            for r in range(p_star):
                dM[k, r] -= 0.5 * dQ[k, k] * M[k, r]
            for l in range(k):
                dQ[k, l] -= 0.5 * (dQ[k, k] + dQ[l, l]) * Q[k, l]
                dQ[l, k] = dQ[k, l]
        # g_k (1 - Q_kk) is zero too, but where the loss pulls the norm inwards, g_k < 0, it would blow up rounding.
        for k in range(p):
            dQ[k, k] = 0.0
    return dy


def rhs_blas(y, v, v_star, P, eta, eta2, noise_variance, spherical):
    """Return dy/dalpha through matrix products."""
    p, p_star = len(v), len(v_star)
    M, Q = y[: p * p_star].reshape(p, p_star), y[p * p_star :].reshape(p, p)
    E_M, E_Q, E_QQ = error_moments(v, v_star, M, Q, P, noise_variance)
    vv = v[:, None] + v
    dM = -2 * eta * v[:, None] * E_M
    dQ = 4 * eta2 * np.outer(v, v) * E_QQ - 2 * eta * vv * E_Q
    dQ = (dQ + dQ.T) / 2
    if spherical:
        g = np.diagonal(dQ).copy()
        dM -= M * g[:, None] / 2
        dQ -= Q * (g[:, None] + g) / 2
        np.fill_diagonal(dQ, 0.0)  # as in the kernel
    return np.concatenate([dM.ravel(), dQ.ravel()])


@contextlib.contextmanager
def quiet():
    """Silence overflow: a trial step of a diverging run overflows before its end is found and told as a status."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def unpack(states, model):
    """Return M, Q of flat states, shape (..., n)."""
    n = model.p * model.p_star
    lead = states.shape[:-1]
    return states[..., :n].reshape(*lead, model.p, model.p_star), states[..., n:].reshape(*lead, model.p, model.p)

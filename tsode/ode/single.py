"""One solution of the overlap ODEs: SGD in the limit of infinite input dimension."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from .. import _checks
from .._divergence import divergence_limit
from .._states import blocks_of, start_state, unpack
from ..conditions import check_condition
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps, check_start
from ..scheme import Scheme, pair_of
from ..trajectory import Trajectory
from .averages import averages_beside
from .blocks import block_right_hand_side
from .lockstep import solve
from .pieces import in_pieces
from .result import Options, Solution, trajectories
from .rhs import has_loops, right_hand_side

__all__ = ["METHODS", "function_from", "in_loops", "integrate"]

ABSOLUTE = 0.1  # absolute tolerance over the relative one where averages jump: overlaps are of order 1
METHODS = ("RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA")


def integrate(
    model: TeacherStudent | Scheme,
    start: Overlaps,
    alpha: ArrayLike,
    method: str = "DOP853",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    gradient_flow: bool = False,
    until: float | Callable[..., Any] | None = None,
) -> Trajectory:
    r"""Integrate the overlap ODEs of one-pass SGD from a start.

    Parameters
    ----------
    model : TeacherStudent or Scheme
        The pair, its learning rate, noise and constraint; or a rule of your own.
    start : Overlaps
        Overlaps at time ``alpha[0]``.
    alpha : float or array_like, shape (T,)
        Times (samples / N), strictly increasing; a number stands for 201 even times from 0 up to it.
    method : {"RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA"}
        Method of :func:`scipy.integrate.solve_ivp`. DOP853 is compiled and finds the same digits many times faster, but
        for wide students and activations without compiled averages.
    rtol, atol : float
        Its relative and absolute tolerance, larger than 0: overlaps may be 0 and have no relative error.
    gradient_flow : bool
        Leave out the :math:`\eta^2` term: the limit of small learning rate, with
        :math:`\tau = \eta \alpha` as its natural time.
    until : float or function of (M, Q), optional
        Stop at the first of the times `alpha` at which the excess loss is below this number, or the function is true:
        it takes overlaps at n times, shapes (n, p, p_star) and (n, p, p), and returns n truth values.
        :func:`tsode.escaped` makes one. Other methods than the compiled one are cut there only at the end.

    Returns
    -------
    Trajectory
        Its first point is `start`, exactly. If the norms diverge, it ends before the divergence, with status
        "diverged" and the time in ``stopped_at``; where `until` was met, with status "reached".

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

    Where a learning rate that changes in time jumps or bends, the solution is begun anew: with a table it is that of
    one call after the other, to the bit. Rates that change between those times go through SciPy's method, which takes
    some twenty times as long.

    The escape from a plateau amplifies errors. From random weights to alpha = 150 the overlaps of the square are right
    to 5e-6 at (p, p_star) = (2, 1), to 1e-6 at (4, 2) and to 2e-7 at (8, 4) with the default tolerances; to 3e-8 or
    better with ``rtol=1e-10, atol=1e-12``, and to 1e-4 with ``rtol=1e-6``.

    Averages of losses other than the square are found by quadrature. With a few units, and where the rule is smooth or
    jumps at one unit of student and teacher each, they follow `rtol`; else they are sums over 2^16 points, with an
    error of about 1e-3 of the rates, :meth:`tsode.rules.Rule.accuracy`. Where the rule jumps, such a sum jumps with the
    overlaps: smaller tolerances than 1e-3 are then loosened to it, `engine` of the trajectory says what was taken, and
    "RK45", of lower order, takes a fourth of DOP853's time.

    The running average of a model that has one is integrated beside it (:mod:`tsode.ode.averages`), by SciPy's method.
    An `averaging_rate` far above that of learning makes the equations stiff: "LSODA" and "BDF" are then quicker.

    Late times are stiff: at (4, 2) "LSODA" takes gradient flow to alpha = 1e5 in a fifteenth of DOP853's time, the
    overlaps right to 2e-6. Its Jacobian has (p^2 + p p_star)^2 entries: from p = 16 on DOP853 is quicker there, too.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    >>> start = tsode.Overlaps.random(model, N=1000, rng=0)
    >>> ode = tsode.integrate(model, start, 60.0)
    >>> ode.status
    'completed'
    """
    model = check_model(pair_of(model, start))
    check_start(model, start)
    alpha = _checks.times(alpha)
    method = _checks.choice("method", method, METHODS)
    rtol = _checks.number("rtol", rtol, above=0.0, maximum=1.0)
    atol = _checks.number("atol", atol, above=0.0)
    gradient_flow = _checks.flag("gradient_flow", gradient_flow)

    options = Options(method, rtol, atol, gradient_flow, check_condition(until))
    solutions = [solve_one(model, start, alpha, options)]
    if not in_loops(model, alpha, options):
        options = reachable(model, start, options)
    return trajectories([model], [start], alpha, solutions, options)[0]


def solve_one(model: TeacherStudent, start: Overlaps, alpha: np.ndarray, options: Options) -> Solution:
    """Return the solution of one model."""
    if model.averaging is not None:
        return averages_beside(model, start, alpha, options, _solve)
    if model.schedule is not None and len(alpha) > 1:
        return in_pieces([model], [start], alpha, options, _solve_piece)[0]
    return _solve_piece([model], [start], alpha, options)[0]


def _solve_piece(models, starts, alpha, options):
    """Return the solution of the one model there is, up to the next breakpoint of its learning rate."""
    if in_loops(models[0], alpha, options):
        return solve(models, starts, alpha, options)
    return [_solve(models[0], starts[0], alpha, options)]


def in_loops(model: TeacherStudent, alpha: np.ndarray, options: Options) -> bool:
    """Return whether the compiled integrator is what solves a model."""
    constant = model.schedule is None or model.schedule.is_piecewise_constant
    return options.method == "DOP853" and has_loops(model) and len(alpha) > 1 and constant and model.averaging is None


def reachable(model: TeacherStudent, start: Overlaps, options: Options) -> Options:
    """Return the options with tolerances that the averages of the model allow."""
    rtol = model.rule.averages(model).tolerance(start.joint, options.rtol)
    return options if rtol <= options.rtol else options._replace(rtol=rtol, atol=max(options.atol, ABSOLUTE * rtol))


def function_from(
    model: TeacherStudent, start: Overlaps, options: Options
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return the right-hand side (alpha, y) -> dy/dalpha of a model, with blocks if the start has them."""
    flow, blocks = (options.gradient_flow, options.rtol), start.blocks
    return right_hand_side(model, *flow) if blocks is None else block_right_hand_side(model, blocks.P, *flow)


def _solve(model, start, alpha, options, state=None, rhs=None):
    """Return the Solution of one of SciPy's methods, up to the last finite state.

    A state that has more than the start, and the right-hand side of that, may be given.
    """
    from scipy.integrate import solve_ivp  # half of the package's import time, if it stood above

    state = start_state(model, start) if state is None else state
    if len(alpha) == 1:
        return Solution(state[None].copy(), None)
    options, limit = reachable(model, start, options), divergence_limit(model, start.Q)
    rhs = rhs or function_from(model, start, options)
    reached = alpha[0]

    def too_large(time, y):
        nonlocal reached  # where a step becomes too small for rounding before the event, this is the end
        reached = time
        return limit - unpack(y, model)[1].trace()

    too_large.terminal = True
    with (
        _quiet(),
        threadpool_limits(1, user_api="blas"),
    ):  # threads of BLAS wait for each other
        solution = solve_ivp(
            rhs, (alpha[0], alpha[-1]), state, options.method, alpha,
            events=too_large, rtol=options.rtol, atol=options.atol,
        )  # fmt: skip
    states = np.ascontiguousarray(solution.y.T) if len(solution.y) else state[None].copy()  # where the first step fails
    Q = blocks_of(states, model)[1]
    Q[:] = (Q + np.swapaxes(Q, -1, -2)) / 2  # implicit methods keep the symmetry only to their tolerance
    states[0] = state  # LSODA and BDF interpolate even their first point
    finite = np.isfinite(states).all(axis=1)
    if solution.status == 0 and finite.all():
        return Solution(states, None)
    kept = len(states) if finite.all() else int(np.argmin(finite))
    return Solution(states[:kept], float(solution.t_events[0][0] if solution.t_events[0].size else reached))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence overflow: a trial step of a diverging run overflows before its end is found and told as a status."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield

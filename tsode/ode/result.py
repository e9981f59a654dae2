"""From the states that an integrator found to trajectories."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._linear_algebra import joint_matrix
from .._parts import in_parts
from .._states import blocks_of, scalars_of, unpack
from .._versions import versions
from ..conditions import Condition, met
from ..inputs import Blocks
from ..model import TeacherStudent
from ..overlaps import Overlaps
from ..trajectory import Trajectory

__all__ = ["Options", "Solution", "first_met", "trajectories"]

OUTSIDE = 1e-6  # negative eigenvalue of the joint overlaps, relative to their trace, that rounding does not explain
TINY = np.finfo(float).tiny
LOOKS = 16  # records at which eigenvalues are looked at; all would take as long as the solution itself


class Options(NamedTuple):
    """How the ODEs are solved: see :func:`tsode.integrate`."""

    method: str
    rtol: float
    atol: float
    gradient_flow: bool
    until: Condition = None

    def __str__(self) -> str:
        flow = "gradient flow, " if self.gradient_flow else ""
        return f"ode, {flow}{self.method}, rtol={self.rtol:g}, atol={self.atol:g}"


class Solution(NamedTuple):
    """States at the times that were reached, shape (T', n), the time of divergence or None, and states of averages."""

    states: np.ndarray
    stopped_at: float | None
    averaged: np.ndarray | None = None


def trajectories(
    models: Sequence[TeacherStudent],
    starts: Sequence[Overlaps],
    alpha: np.ndarray,
    solutions: Sequence[Solution],
    options: Options,
    stacklevel: int = 3,
) -> list[Trajectory]:
    """Return the Trajectory of each solution.

    Warns
    -----
    RuntimeWarning
        At `stacklevel`, if no weights have the overlaps of a solution.
    """
    engine, found = str(options), []
    for model, start, (states, stopped_at, averaged) in zip(models, starts, solutions):
        status, end = ("completed", float(alpha[-1])) if stopped_at is None else ("diverged", stopped_at)
        if options.until is not None and (reached := first_met(options.until, model, states)) is not None:
            states, status, end = states[: reached + 1], "reached", float(alpha[reached])
        about = {"model": model, "start": start, "alpha": alpha[: len(states)], "status": status, "stopped_at": end}
        about |= {"engine": engine, "gradient_flow": options.gradient_flow}
        beside = None if averaged is None else _trajectory(averaged[: len(states)], **about)
        found.append(_trajectory(states, averaged=beside, **about))
    _warn_outside(found, max(OUTSIDE, 100 * options.rtol), stacklevel)
    return found


def first_met(until: float | Callable[..., Any], model: TeacherStudent, states: np.ndarray) -> int | None:
    """Return the first of some states, shape (T, n), at which a condition holds, or None."""
    held = met(until, [model] * len(states), *unpack(states, model), scalars_of(states, model))
    return int(np.argmax(held)) if held.any() else None


def _trajectory(states, model, start, alpha, **fields):
    """Return the trajectory of states that were computed here: nothing is checked or copied."""
    found, (M, Q) = object.__new__(Trajectory), unpack(states, model)
    scalars, blocks = scalars_of(states, model), start.blocks and Blocks(*blocks_of(states, model), start.blocks.P)
    for array in (alpha, M, Q, scalars):
        array.flags.writeable = False
    vars(found).update(
        model=model, alpha=alpha, M=M, Q=Q, scalars=scalars, blocks=blocks, versions=versions(),
        N=None, seed=None, observables={}, state=None, **fields,
    )  # fmt: skip
    return found


def _warn_outside(solutions, tolerance, stacklevel):
    """Warn if no weights have the overlaps of a solution.

    Parallel students stay parallel in the exact solution. If that is unstable, rounding grows, and nothing in the
    equations keeps it from making the squared distance of two students negative.
    """
    kinds: dict[Any, list[Trajectory]] = {}
    for solution in solutions:
        if solution.status == "completed":
            kinds.setdefault((solution.model.p, solution.model.p_star), []).append(solution)
    for (p, p_star), completed in kinds.items():
        for part in in_parts(len(completed), LOOKS * (p + p_star) ** 2):
            _warn_of_widths(completed[part], tolerance, stacklevel + 1)


def _warn_of_widths(completed, tolerance, stacklevel):
    """Warn of completed solutions of the same widths and times."""
    alpha = completed[0].alpha
    looked_at = slice(None, None, -max(1, len(alpha) // LOOKS))
    parts = ([s.M[looked_at] for s in completed], [s.Q[looked_at] for s in completed],
             [s.model.teacher_overlap[None] for s in completed])  # fmt: skip
    joint = joint_matrix(*map(np.array, parts))
    joint /= np.maximum(joint.trace(axis1=2, axis2=3), TINY)[..., None, None]
    try:  # takes a fraction of the time that eigenvalues take
        np.linalg.cholesky(joint + tolerance * np.eye(joint.shape[-1]))
    except np.linalg.LinAlgError:
        lowest = np.linalg.eigvalsh(joint)[..., 0]
        for values in lowest[lowest.min(axis=1) < -tolerance]:
            worst = int(np.argmin(values))
            warnings.warn(
                f"no weights have the overlaps of this solution: at alpha = {alpha[looked_at][worst]:g} an eigenvalue "
                f"is {values[worst]:.2g} of the trace; start from students that are not parallel, or with another "
                "`method`",
                RuntimeWarning,
                stacklevel=stacklevel + 1,
            )

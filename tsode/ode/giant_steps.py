r"""Batches as large as the input dimension: the overlaps go in steps of order 1, and in the limit by a map.

Let a batch have :math:`b N` samples and the learning rate be :math:`\gamma N`. The step of the weights is the mean of
:math:`\sqrt N C x` over the batch, C being that of the learning rate :math:`\gamma`. Two inputs of one batch have
:math:`x \cdot x' / N = z^T \Omega^{-1} z' / N` on average, given their preactivations, and each has :math:`|x|^2 = N`.
With :math:`F = J \Omega = E[C z^T]` and :math:`K = E[C C^T]` this gives

.. math::
    M \leftarrow M + F_\mu , \qquad Q \leftarrow Q + F_\lambda + F_\lambda^T + J \Omega J^T + K / b ,

and :math:`v \leftarrow v + E[d]` for a trained readout whose learning rate is :math:`\gamma_v N`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import _checks
from .._divergence import divergence_limit
from .._linear_algebra import joint_matrix
from .._versions import versions
from ..model import TeacherStudent, check_constant, check_isotropic, check_model
from ..overlaps import Overlaps, check_start
from ..trajectory import Trajectory
from .rates import Rates
from .rhs import derivatives

__all__ = ["giant_steps"]


def giant_steps(model: TeacherStudent, start: Overlaps, steps: int, samples: float = 1.0) -> Trajectory:
    r"""Iterate the overlaps under batches whose size is proportional to N, in the limit of infinite N.

    Parameters
    ----------
    model : TeacherStudent
        Its learning rate is :math:`\gamma`, that of SGD over N, and so is that of a trained readout; without batches,
        momentum, decay and running average of its own.
    start : Overlaps
        Overlaps before the first step.
    steps : int
        Number of steps, at least 1.
    samples : float
        Samples per step over N, b > 0.

    Returns
    -------
    Trajectory
        With the times 0, b, 2 b, ... of all steps; up to the last one that is finite, with status "diverged", where the
        norms run away.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; NoClosedForm if the averages of the model are not those of
        gradient descent in compiled form.

    Notes
    -----
    The equations are in :mod:`tsode.ode.giant_steps`. SGD with ``batch_size = b N`` and ``learning_rate = gamma N``
    tends to it as 1/sqrt(N).

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.05)
    >>> start = tsode.Overlaps.random(model, N=1000, rng=0)
    >>> float(tsode.giant_steps(model, start, 10, samples=2.0).alpha[-1])
    20.0
    """
    check_start(check_isotropic(check_constant(check_model(model))), start)
    steps = _checks.integer("steps", steps, minimum=1)
    samples = _checks.number("samples", samples, above=0.0)
    if not model.is_sample_by_sample or model.weight_decay or model.readout_decay or model.averaging_rate:
        raise ValueError(
            "`model` must have no batches, momentum, decay and average of its own for giant steps, but has"
        )
    if model.rule.averages(model).drift is None:
        raise _checks.NoClosedForm(
            f"`model` must have compiled averages of gradient descent for giant steps, but has {model.activation!r}, "
            f"{model.teacher_activation!r} and {model.rule!r}"
        )
    _checks.memory("`steps` and the model", steps * model.p * (model.p + model.p_star))
    step, limit = _step(model, samples), divergence_limit(model, start.Q)
    states = [(start.M, start.Q, model.rule.scalars(model))]
    with np.errstate(all="ignore"):
        for _ in range(steps):
            found = step(*states[-1])
            if not np.trace(found[1]) < limit:
                break
            states.append(found)
    M, Q, scalars = (np.array(part) for part in zip(*states))
    alpha, whole = samples * np.arange(len(states)), len(states) == steps + 1
    return Trajectory(
        model, alpha, M, Q, "completed" if whole else "diverged", float(alpha[-1]),
        engine=f"map, {samples:g} N samples a step", versions=versions(), scalars=scalars,
    )  # fmt: skip


def _step(model: TeacherStudent, samples: float) -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the function (M, Q, scalars) -> the same after a step."""
    rates = Rates([model.replace(readout_learning_rate=0.0)], False, lanes=1, rtol=1e-8)
    p, parameters = model.p, rates.arrays[1]

    def step(M, Q, scalars):
        parameters[2 : 2 + len(scalars)] = scalars
        derivatives(rates.pointer, np.concatenate([M.ravel(), Q.ravel()]), rates.arrays, rates.numbers)
        J, F, K = (array.copy() for array in rates.arrays[-3:])
        new_M = M + F[:, p:]
        new_Q = Q + F[:, :p] + F[:, :p].T + J @ joint_matrix(M, Q, model.teacher_overlap) @ J.T + K / samples
        if model.spherical:
            norms = np.sqrt(np.diagonal(new_Q))
            new_M, new_Q = new_M / norms[:, None], new_Q / np.outer(norms, norms)
        trained = scalars + model.rule.scalar_drift(model, M, Q, scalars) if len(scalars) else scalars
        return new_M, (new_Q + new_Q.T) / 2, trained

    return step

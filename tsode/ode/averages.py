r"""The overlaps of a running average of the weights, beside those of the weights: see :mod:`tsode.averaging`.

Let u be the average times its mass, :math:`\dot u = a w - b u`, and :math:`C = u w^T / N`. A step of w by
:math:`C_k x / \sqrt N` has, at a fixed u, the mean :math:`J (C^T, M_u)` along u. In a block of the inputs, with the
variance :math:`s_b^2` and the sum :math:`\Omega^b` of squares and products of the rows (w, u, w*),

.. math::
    D = \begin{pmatrix} s_b^2 J_\lambda & 0 & s_b^2 J_\mu \\ a & 0 & 0 \end{pmatrix} , \qquad
    \frac{dM^b}{d\alpha} = (D \Omega^b)_\mu , \qquad
    \frac{dQ^b}{d\alpha} = (D \Omega^b)_{\lambda u} + (D \Omega^b)_{\lambda u}^T + s_b^2 f_b K ,

for M and Q of all rows (w, u), K being for w alone. Each row then loses its own part: u the rate b, w those of decay
and of the sphere, as in :mod:`tsode.ode.blocks`. Isotropic inputs are one block of variance 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._linear_algebra import joint_matrix, weighted_sum
from .._states import block_count, blocks_of, pack, scalars_of, start_state
from ..activations import NoClosedForm
from ..model import TeacherStudent
from ..overlaps import Overlaps
from .blocks import averages_of
from .pieces import in_pieces
from .rates import beside
from .result import Options, Solution
from .rhs import with_schedule

__all__ = ["averages_beside", "with_averages"]

Solve = Callable[..., Solution]
RightHandSide = Callable[[float, np.ndarray], np.ndarray]


def averages_beside(
    model: TeacherStudent, start: Overlaps, alpha: np.ndarray, options: Options, solve: Solve
) -> Solution:
    """Return the solution of a model with a running average: states, and beside them those of the average.

    Parameters
    ----------
    model, start, alpha, options
        As in :func:`tsode.ode.pieces.in_pieces`.
    solve : callable
        (model, start, alpha, options, state, right-hand side) -> solution.
    """
    average = model.averaging
    assert average is not None
    if model.rule.pull(model) is not None:
        raise NoClosedForm("`model` must have no running average where its rule pulls; take tsode.simulate")
    first, cross = start_state(model, start), (start.Q if start.blocks is None else start.blocks.Q).ravel()
    mass = float(average.mass(alpha[:1])[0])
    state = np.concatenate([first, scaled(first, mass, model), mass * cross])

    def piece(models, starts, times, options):
        nonlocal state
        rhs = with_averages(models[0], starts[0], average.flow(times[0]), options)
        found = solve(models[0], starts[0], times, options, state, rhs)
        state = found.states[-1]
        return [found]

    (found,) = in_pieces([model], [start], alpha, options, piece)
    plain, summed = np.split(found.states[:, : 2 * len(first)], 2, axis=1)
    masses = average.mass(alpha[: len(plain)])[:, None]
    averaged = np.where(masses > 0, scaled(summed, 1 / np.where(masses > 0, masses, 1.0), model), plain)
    return Solution(plain, found.stopped_at, averaged)


def scaled(states, factor, model):
    """Return the states of rows and scalars that are multiplied by a factor."""
    n = block_count(model) * model.p * model.p_star
    end = n + block_count(model) * model.p**2
    return np.concatenate([states[..., :n] * factor, states[..., n:end] * factor**2, states[..., end:] * factor], -1)


def with_averages(model: TeacherStudent, start: Overlaps, flow: tuple[float, float], options: Options) -> RightHandSide:
    """Return the function (alpha, y) -> dy/dalpha, y being the states of w and u, and C, one after the other.

    Parameters
    ----------
    model, start
        The pair, and a start, whose teacher is taken.
    flow : (float, float)
        The constants a and b.
    options : Options
        Tolerances, and whether it is gradient flow.

    Returns
    -------
    callable
    """
    scheduled, model = model, model.fastest
    averages, parameters = averages_of(model, options.gradient_flow, options.rtol)
    p, n_scalars, (gain, loss), (decay, readout_decay, _) = model.p, len(model.rule.scalars(model)), flow, beside(model)
    variances, fractions = (np.ones(1), np.ones(1)) if model.inputs is None else (
        model.inputs.eigenvalues, model.inputs.fractions
    )  # fmt: skip
    P = model.teacher_overlap[None] if start.blocks is None else start.blocks.P
    s, count = variances[:, None, None], len(variances)
    n = count * p * (p + model.p_star) + n_scalars
    D = np.zeros((count, 2 * p, 2 * p + model.p_star))
    D[:, p:, :p] = gain * np.eye(p)

    def function(alpha, y):
        w, u, C = y[:n], y[n : 2 * n], y[2 * n :].reshape(count, p, p)
        (M, Q), (M_u, Q_u) = ([x.reshape(count, p, -1) for x in blocks_of(each, model)] for each in (w, u))
        scalars = parameters[2 : 2 + n_scalars] = scalars_of(w, model)
        M_sum, Q_sum = weighted_sum(variances, M), weighted_sum(variances, Q)
        J, K = averages(M_sum, Q_sum)
        D[:, :p, :p], D[:, :p, 2 * p :] = s * J[:, :p], s * J[:, p:]
        rows_M, rows_Q = np.concatenate([M, M_u], axis=1), joint_matrix(np.swapaxes(C, 1, 2), Q, Q_u)
        F = D @ joint_matrix(rows_M, rows_Q, P)
        dM, dQ = F[..., 2 * p :], F[..., : 2 * p] + np.swapaxes(F[..., : 2 * p], 1, 2)
        if not options.gradient_flow:
            dQ[:, :p, :p] += s * fractions[:, None, None] * K
        pull = np.repeat([decay, loss], p)
        if model.spherical:
            pull[:p] = np.diagonal(dQ.sum(axis=0))[:p] / (2 * np.diagonal(Q.sum(axis=0)))
        dM, dQ = dM - pull[:, None] * rows_M, dQ - (pull[:, None] + pull) * rows_Q
        change = -readout_decay * scalars
        if n_scalars:
            change = change + model.rule.scalar_drift(model, M_sum, Q_sum, scalars)
        return np.concatenate([
            pack(dM[:, :p], dQ[:, :p, :p]), change, pack(dM[:, p:], dQ[:, p:, p:]),
            gain * scalars - loss * scalars_of(u, model), dQ[:, p:, :p].ravel(),
        ])  # fmt: skip

    return with_schedule(scheduled, function, parameters)

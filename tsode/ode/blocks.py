r"""The right-hand side of the overlap ODEs for inputs whose covariance has blocks: see :mod:`tsode.inputs`.

A sample changes the columns of block b by :math:`C_k x^b / \sqrt N`, with :math:`x^b` of variance :math:`s_b^2`. The
averages J and K of the rule are those at the covariance :math:`\Omega = \sum_b s_b^2 \Omega^b` of the
preactivations, and :math:`E[C z^T]` of a block is :math:`s_b^2 J \Omega^b`. With the fraction
:math:`f_b` of the coordinates,

.. math::
    \frac{dM^b}{d\alpha} = s_b^2 (J \Omega^b)_\mu - \kappa M^b , \qquad
    \frac{dQ^b}{d\alpha} = s_b^2 \left[ (J \Omega^b)_\lambda + (J \Omega^b)_\lambda^T + f_b K \right] - 2 \kappa Q^b .

A spike has :math:`f_b = 0`. Under the spherical constraint every row loses half the growth rate of its squared norm,
the sum over all blocks. One block of variance 1 has the equations of :mod:`tsode.ode.rhs`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._linear_algebra import joint_matrix, weighted_sum
from .._states import blocks_of, pack, scalars_of
from ..model import TeacherStudent
from .rates import Rates, beside
from .rhs import derivatives, loops_for_weights, pull_at, with_schedule

__all__ = ["block_right_hand_side"]

SMALLEST = 1e-12  # eigenvalue of the preactivations' covariance, relative to the largest, that is no direction
IN_CACHE = 2**16  # entries of the joint overlaps of blocks that go together: they are read again while they are near
ASIDE = 8  # numbers between rows, so that a column, which is read to transpose, is not all at one place of the cache


def block_right_hand_side(
    model: TeacherStudent, P: np.ndarray, gradient_flow: bool = False, rtol: float = 1e-8
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return the function (alpha, y) -> dy/dalpha, y being M^b, Q^b and trained scalars flattened.

    Parameters
    ----------
    model : TeacherStudent
        The pair, with inputs.
    P : ndarray, shape (B, p_star, p_star)
        Overlaps of the teacher in each block.
    gradient_flow, rtol
        As in :func:`tsode.ode.rhs.right_hand_side`.

    Returns
    -------
    callable
    """
    scheduled, model = model, model.fastest
    averages, parameters = averages_of(model, gradient_flow, rtol)
    inputs, p, n_scalars = model.inputs, model.p, len(model.rule.scalars(model))
    assert inputs is not None
    variances, (decay, readout_decay, _) = inputs.eigenvalues[:, None, None], beside(model)
    pull = model.rule.pull(model)
    fractions, n = inputs.fractions[:, None, None], p + model.p_star
    count = min(len(inputs), max(1, IN_CACHE // n**2))
    omega, room = np.empty((count, n, n)), np.empty((count, p, n + ASIDE))
    parts = [slice(i, min(i + count, len(inputs))) for i in range(0, len(inputs), count)]

    def function(alpha, y):
        blocks, scalars, change = blocks_of(y, model), scalars_of(y, model), np.empty_like(y)
        M, Q = (weighted_sum(inputs.eigenvalues, each) for each in blocks)
        parameters[2 : 2 + n_scalars] = scalars
        J, K = averages(M, Q)
        dM, dQ = blocks_of(change, model)
        for b in parts:
            F, joint = room[: b.stop - b.start, :, :n], omega[: b.stop - b.start]
            F_lam, F_mu = F[..., :p], F[..., p:]
            F_mu[:] = blocks[0][b]
            np.matmul(J, joint_matrix(F_mu, blocks[1][b], P[b], joint), out=F)
            if not gradient_flow:
                F_lam += fractions[b] / 2 * K
            np.multiply(variances[b], F_mu, out=dM[b])
            np.add(F_lam, np.swapaxes(F_lam, -1, -2), out=dQ[b])
            dQ[b] *= variances[b]
        if decay:
            dM -= decay * blocks[0]
            dQ -= 2 * decay * blocks[1]
        if pull is not None:
            B = pull_at(pull, joint_matrix(*blocks, P).sum(axis=0), scalars, p) / model.batch_size
            dM += B @ blocks[0]
            dQ += B @ blocks[1] + blocks[1] @ B.T
        if model.spherical:
            half = np.diagonal(dQ.sum(axis=0)) / 2
            dM -= half[:, None] * blocks[0]
            dQ -= (half[:, None] + half) * blocks[1]
        if n_scalars:
            scalars_of(change, model)[:] = model.rule.scalar_drift(model, M, Q, scalars) - readout_decay * scalars
        return change

    return with_schedule(scheduled, function, parameters)


def averages_of(model, gradient_flow, rtol):
    """Return the function (M, Q) -> J, K (None for gradient flow), and the numbers that it reads."""
    averages = model.rule.averages(model)
    if loops_for_weights(averages, model.p):
        bare = model.replace(readout_learning_rate=0.0, weight_decay=0.0, constraint="free")
        rates = Rates([bare], gradient_flow, lanes=1, rtol=rtol)
        parameters, (J, _, K) = rates.arrays[1], rates.arrays[-3:]

        def loops(M, Q):
            derivatives(rates.pointer, pack(M, Q), rates.arrays, rates.numbers)  # leaves J and, below, K behind
            return J, None if gradient_flow else np.tril(K) + np.tril(K, -1).T

        return loops, parameters

    parameters, p = model.rule.average_parameters(model, rtol), model.p

    def arrays(M, Q):
        omega = joint_matrix(M, Q, model.teacher_overlap)
        if averages.drift_arrays is None:  # F = J omega is all there is, for rules that may jump
            F, K = averages.moments(omega, parameters, p, not gradient_flow)
            J = F @ np.linalg.pinv(omega, SMALLEST, hermitian=True)
        else:
            J, K = averages.drift_arrays(omega, parameters, p), None
            if not gradient_flow:
                K = averages.noise_arrays(omega, parameters, J, J @ omega)
        return J, None if K is None else (K + K.T) / 2

    return arrays, parameters

r"""The right-hand side of the overlap ODEs, for any rule.

One sample changes :math:`w_k` by :math:`C_k x / \sqrt N`. Hence :math:`M_{kr}` changes by :math:`C_k \mu_r / N` and
:math:`Q_{kl}` by :math:`(C_k \lambda_l + C_l \lambda_k)/N + C_k C_l |x|^2 / N^2`; the last norm is N up to its
fluctuations. Averaged over a sample, with time :math:`\alpha` = samples / N, and with the averages
:math:`J = E[\partial C / \partial z]` and :math:`K = E[C C^T]` of the rule, :math:`F = J \Omega = E[C z^T]` gives

.. math::
    \frac{dM}{d\alpha} = F_\mu , \qquad \frac{dQ}{d\alpha} = F_\lambda + F_\lambda^T + K ,

the method of Saad & Solla, Phys. Rev. E 52, 4225 (1995). Gradient flow leaves K out, which is of second order in the
learning rate. Under the spherical constraint every row loses half the growth rate of its squared norm. With weight
decay at the rate :math:`\kappa`, M loses :math:`\kappa M` and Q :math:`2 \kappa Q`. A trained readout moves by
:math:`dv_k / d\alpha = -\eta_v E[D\, \sigma_k] - \kappa_v v_k`, the error being D.

Loops over the entries are compiled to a C function (:mod:`tsode.ode.rates`), for one solution or for WIDTH at once;
wide students go through NumPy's matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from .._compiled import call
from .._linear_algebra import joint_matrix
from .._states import pack, unpack
from ..activations.error_averages import Averages
from ..model import TeacherStudent
from .rates import Rates, beside

__all__ = ["derivatives", "has_loops", "loops_for_weights", "right_hand_side", "with_schedule"]

# Student width from which the matrix products outrun the loops of the compiled kernel (benchmarks/ode_widths.py).
BLAS_WIDTH = 52


def has_loops(model: TeacherStudent) -> bool:
    """Return whether the right-hand side of a model runs in compiled loops, and not through matrix products."""
    averages = model.rule.averages(model)
    whole = averages.outputs is not None or not len(model.rule.scalars(model))
    return whole and loops_for_weights(averages, model.p)


def loops_for_weights(averages: Averages, p: int) -> bool:
    """Return whether J and K come from compiled loops."""
    return averages.drift is not None and (p < BLAS_WIDTH or averages.drift_arrays is None)


def right_hand_side(
    model: TeacherStudent, gradient_flow: bool = False, rtol: float = 1e-8
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return the function (alpha, y) -> dy/dalpha, y being M, Q and trained scalars flattened one after the other.

    Parameters
    ----------
    model : TeacherStudent
        The pair.
    gradient_flow : bool
        Leave out the term of second order in the learning rate.
    rtol : float
        Relative error that averages by quadrature may have.

    Returns
    -------
    callable
    """
    return with_schedule(model, *_of_constant(model.fastest, gradient_flow, rtol))


def with_schedule(
    model: TeacherStudent, function: Callable[[float, np.ndarray], np.ndarray], parameters: np.ndarray
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return a right-hand side with the learning rate of each time, the first of the parameters that it reads."""
    schedule, largest = model.schedule, model.largest_rate
    if schedule is None:
        return function
    effective = parameters[0] / largest

    def scheduled(alpha: float, y: np.ndarray) -> np.ndarray:
        parameters[0] = effective * schedule(alpha)
        return function(alpha, y)

    return scheduled


def _of_constant(model, gradient_flow, rtol):
    """Return the function for a constant learning rate, and the numbers that it reads, the learning rate first."""
    if not has_loops(model):
        return _with_arrays(model, gradient_flow, rtol)
    rates = Rates([model], gradient_flow, lanes=1, rtol=rtol)

    def function(alpha, y):
        # The implicit methods hand over strided columns; the kernel takes contiguous arrays only.
        return derivatives(rates.pointer, np.ascontiguousarray(y), rates.arrays, rates.numbers)

    return function, rates.arrays[1]


@njit(cache=True, nogil=True)
def derivatives(pointer: Any, y: np.ndarray, arrays: Any, numbers: Any) -> np.ndarray:
    """Return dy/dalpha of one solution, or of many side by side."""
    dy = np.empty_like(y)
    call(pointer, (y, *arrays, dy), numbers)
    return dy


def _with_arrays(model, gradient_flow, rtol):
    """Return the same where matrix products take part in it, or a trained readout has no loops."""
    averages, parameters = model.rule.averages(model), model.rule.average_parameters(model, rtol)
    n, rates_beside, n_scalars = model.p * (model.p + model.p_star), beside(model), len(model.rule.scalars(model))
    if loops_for_weights(averages, model.p):
        rates = Rates([model.replace(readout_learning_rate=0.0)], gradient_flow, lanes=1, rtol=rtol)
        parameters = rates.arrays[1]

        def weights(y):
            return derivatives(rates.pointer, np.ascontiguousarray(y), rates.arrays, rates.numbers)

    else:

        def weights(y):
            return _through_arrays(averages, parameters, model, gradient_flow, y)

    def rhs(alpha, y):
        if not n_scalars:
            return weights(y)
        scalars = parameters[2 : 2 + n_scalars] = y[n:]
        change = model.rule.scalar_drift(model, *unpack(y, model), scalars) - rates_beside[1] * scalars
        return np.concatenate([weights(y[:n]), change])

    return rhs, parameters


def _through_arrays(averages, parameters, model, gradient_flow, y):
    """Return the derivatives of M and Q through matrix products."""
    p, decay = model.p, model.weight_decay / model.batch_size
    M, Q = unpack(y, model)
    omega = joint_matrix(M, Q, model.teacher_overlap)
    F, K = averages.moments(omega, parameters, p, not gradient_flow)
    dM, dQ = F[:, p:], F[:, :p] + F[:, :p].T
    if K is not None:
        dQ = dQ + (K + K.T) / 2
    if decay:
        dM, dQ = dM - decay * M, dQ - 2 * decay * Q
    if model.spherical:  # as in `keep_norms`
        half = np.diagonal(dQ) / 2
        dM = dM - half[:, None] * M
        dQ = dQ - (half[:, None] + half) * Q
        np.fill_diagonal(dQ, 0.0)
    return pack(dM, dQ)

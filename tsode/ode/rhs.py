r"""The right-hand side of the overlap ODEs, for any rule.

One sample changes :math:`w_k` by :math:`C_k x / \sqrt N`. Hence :math:`M_{kr}` changes by :math:`C_k \mu_r / N` and
:math:`Q_{kl}` by :math:`(C_k \lambda_l + C_l \lambda_k)/N + C_k C_l |x|^2 / N^2`; the last norm is N up to its
fluctuations. Averaged over a sample, with time :math:`\alpha` = samples / N, and with the averages
:math:`J = E[\partial C / \partial z]` and :math:`K = E[C C^T]` of the rule, :math:`F = J \Omega = E[C z^T]` gives

.. math::
    \frac{dM}{d\alpha} = F_\mu , \qquad \frac{dQ}{d\alpha} = F_\lambda + F_\lambda^T + K ,

the method of Saad & Solla, Phys. Rev. E 52, 4225 (1995). Gradient flow leaves K out, which is of second order in the
learning rate. Under the spherical constraint every row loses half the growth rate of its squared norm.

Loops over the entries are compiled to a C function, for one solution or for WIDTH at once; wide students go through
NumPy's matrix products.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import carray, njit

from .._compiled import CFunction, call, jitable, with_name_of
from .._lanes import WIDTH, aligned, fma, load, store
from .._linear_algebra import joint_matrix
from .._states import pack, unpack
from ..activations.error_averages import Averages
from ..model import TeacherStudent

__all__ = ["Rates", "derivatives", "has_loops", "right_hand_side"]

# Student width from which the matrix products outrun the loops of the compiled kernel (benchmarks/ode_widths.py).
BLAS_WIDTH = 52


def has_loops(model: TeacherStudent) -> bool:
    """Return whether the right-hand side of a model runs in compiled loops, and not through matrix products."""
    averages = model.rule.averages(model)
    return averages.drift is not None and (model.p < BLAS_WIDTH or averages.drift_arrays is None)


def right_hand_side(
    model: TeacherStudent, gradient_flow: bool = False, rtol: float = 1e-8
) -> Callable[[float, np.ndarray], np.ndarray]:
    """Return the function (alpha, y) -> dy/dalpha, y being M and Q flattened one after the other.

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
    if not has_loops(model):
        return functools.partial(_through_arrays, model, gradient_flow, model.rule.average_parameters(model, rtol))
    rates = Rates([model], gradient_flow, lanes=1, rtol=rtol)
    # The implicit methods hand over strided columns; the kernel takes contiguous arrays only.
    return lambda alpha, y: derivatives(rates.pointer, np.ascontiguousarray(y), rates.arrays, rates.numbers)


@njit(cache=True, nogil=True)
def derivatives(pointer: Any, y: np.ndarray, arrays: Any, numbers: Any) -> np.ndarray:
    """Return dy/dalpha of one solution, or of many side by side."""
    dy = np.empty_like(y)
    call(pointer, (y, *arrays, dy), numbers)
    return dy


class Rates:
    """The right-hand side of one solution, or of up to WIDTH in lockstep, as compiled code takes it.

    Parameters
    ----------
    models : sequence of TeacherStudent
        One for each solution, of the same averages, widths and constraint.
    gradient_flow : bool
        Leave out the term of second order in the learning rate.
    lanes : int
        1 or WIDTH; lanes without a model repeat the first.
    rtol : float
        Relative error that averages by quadrature may have.

    Attributes
    ----------
    pointer, arrays, numbers
        ``call(pointer, (y, *arrays, dy), numbers)`` writes dy/dalpha of the states y, both of shape (n,) or (n, WIDTH).
    """

    def __init__(self, models: Sequence[TeacherStudent], gradient_flow: bool, lanes: int, rtol: float) -> None:
        model, last = models[0], () if lanes == 1 else (lanes,)
        p, n = model.p, model.p + model.p_star
        function = rates_function(model.rule.averages(model), lanes > 1)
        P = [each.teacher_overlap.ravel() for each in models]
        parameters = [each.rule.average_parameters(each, rtol) for each in models]
        shapes, room = ((n, n), (p, n), (p, n), (p, p)), aligned((n * n + 2 * p * n + p * p, *last))
        ends = itertools.accumulate(rows * columns for rows, columns in shapes)
        work = [room[end - a * b : end].reshape(a, b, *last) for (a, b), end in zip(shapes, ends)]
        self.function = function  # the address is good as long as it lives
        self.pointer = function.pointer
        self.arrays = (_side_by_side(P, lanes), _side_by_side(parameters, lanes), *work)
        self.numbers = p, model.p_star, len(parameters[0]), int(model.spherical), int(not gradient_flow)


def _side_by_side(rows, lanes):
    """Return one row, or several as columns, shape (n, lanes); what is missing repeats the first."""
    if lanes == 1:
        return rows[0].copy()
    found = aligned((len(rows[0]), lanes))
    found[:] = rows[0][:, None]
    found[:, : len(rows)] = np.transpose(rows)
    return found


@functools.cache
def rates_function(averages: Averages, lanes: bool) -> CFunction:
    """Return the C function (y, P, parameters, omega, J, F, K, dy, p, p_star, n_parameters, spherical, second_order).

    Its arrays are those of :class:`Rates`; omega, J, F and K are what it works in.
    """
    rates = rates_of(averages)
    if lanes and not averages.lanes:
        rates = _each(rates)
    return CFunction(rates, _of_many(rates) if lanes else _of_one(rates), 8, 5)


def _of_one(rates):
    @with_name_of(rates)
    def entry(y, P, parameters, omega, J, F, K, dy, p, p_star, n_parameters, spherical, second_order):
        n = p + p_star
        rates(
            carray(y, (p * n,)), carray(P, (p_star * p_star,)), carray(parameters, (n_parameters,)),
            carray(omega, (n, n)), carray(J, (p, n)), carray(F, (p, n)), carray(K, (p, p)), carray(dy, (p * n,)),
            p, p_star, n_parameters, spherical, second_order,
        )  # fmt: skip

    return entry


def _of_many(rates):
    @with_name_of(rates)
    def entry(y, P, parameters, omega, J, F, K, dy, p, p_star, n_parameters, spherical, second_order):
        n = p + p_star
        rates(
            carray(y, (p * n, WIDTH)), carray(P, (p_star * p_star, WIDTH)), carray(parameters, (n_parameters, WIDTH)),
            carray(omega, (n, n, WIDTH)), carray(J, (p, n, WIDTH)), carray(F, (p, n, WIDTH)), carray(K, (p, p, WIDTH)),
            carray(dy, (p * n, WIDTH)), p, p_star, n_parameters, spherical, second_order,
        )  # fmt: skip

    return entry


def _each(rates):
    """Return the rates of many solutions one after the other, for averages that are not written for lanes."""

    @jitable
    @with_name_of(rates)
    def each(y, P, parameters, omega, J, F, K, dy, p, p_star, n_parameters, spherical, second_order):
        n = p + p_star
        one_omega, one_J, one_F, one_K = np.empty((n, n)), np.empty((p, n)), np.empty((p, n)), np.empty((p, p))
        change = np.empty(p * n)
        for lane in range(WIDTH):
            rates(
                y[:, lane].copy(), P[:, lane].copy(), parameters[:, lane].copy(), one_omega, one_J, one_F, one_K,
                change, p, p_star, n_parameters, spherical, second_order,
            )  # fmt: skip
            dy[: len(change), lane] = change

    return each


@functools.cache
def rates_of(averages: Averages) -> Callable[..., Any]:
    """Return the right-hand side for some averages as a jitable function of the arrays and numbers of Rates."""
    drift, noise = averages.drift, averages.noise

    @jitable
    @with_name_of(drift, noise)
    def rates(y, P, parameters, omega, J, F, K, dy, p, p_star, n_parameters, spherical, second_order):
        # plain loops over the flat state: views and slices of arrays take Numba seconds to compile
        first = p * p_star
        for i in range(p):
            for r in range(p_star):
                store(omega, i, p + r, load(y, i * p_star + r))
                store(omega, p + r, i, load(y, i * p_star + r))
            for j in range(p):
                store(omega, i, j, load(y, first + i * p + j))
        for r in range(p_star):
            for q in range(p_star):
                store(omega, p + r, p + q, load(P, r * p_star + q))
        drift(omega, parameters, J)
        multiply(J, omega, F)
        if second_order:
            noise(omega, parameters, J, F, K)
        for k in range(p):
            for r in range(p_star):
                store(dy, k * p_star + r, load(F, k, p + r))
            for l in range(k + 1):
                change = load(F, k, l) + load(F, l, k)
                if second_order:
                    change = change + load(K, k, l)
                store(dy, first + k * p + l, change)
                store(dy, first + l * p + k, change)
        if spherical:
            keep_norms(y, dy, p, p_star)

    return rates


@jitable
def multiply(J: np.ndarray, omega: np.ndarray, F: np.ndarray) -> None:
    """Write F = J Omega, four columns at a time, so that what is read of J is used four times."""
    p, n = J.shape[0], J.shape[1]
    full = n - n % 4
    for k in range(p):
        for j in range(0, full, 4):
            a = 0.0 * load(J, k, 0)
            b, c, d = a, a, a
            for i in range(n):
                factor = load(J, k, i)
                a = fma(factor, load(omega, i, j), a)
                b = fma(factor, load(omega, i, j + 1), b)
                c = fma(factor, load(omega, i, j + 2), c)
                d = fma(factor, load(omega, i, j + 3), d)
            store(F, k, j, a)
            store(F, k, j + 1, b)
            store(F, k, j + 2, c)
            store(F, k, j + 3, d)
        for j in range(full, n):
            a = 0.0 * load(J, k, 0)
            for i in range(n):
                a = fma(load(J, k, i), load(omega, i, j), a)
            store(F, k, j, a)


@jitable
def keep_norms(y: np.ndarray, dy: np.ndarray, p: int, p_star: int) -> None:
    """Take off each row half the rate g_k at which its squared norm, Q_kk = 1, would grow."""
    first = p * p_star
    for k in range(p):
        half = 0.5 * load(dy, first + k * p + k)
        for r in range(p_star):
            store(dy, k * p_star + r, load(dy, k * p_star + r) - half * load(y, k * p_star + r))
        for l in range(k):
            other = 0.5 * load(dy, first + l * p + l)
            change = load(dy, first + k * p + l) - (half + other) * load(y, first + k * p + l)
            store(dy, first + k * p + l, change)
            store(dy, first + l * p + k, change)
    # g_k (1 - Q_kk) is zero too, but where the loss pulls the norm inwards, g_k < 0, it would blow up rounding.
    for k in range(p):
        store(dy, first + k * p + k, 0.0)


def _through_arrays(model, gradient_flow, parameters, alpha, y):
    """Return dy/dalpha through matrix products."""
    p, averages = model.p, model.rule.averages(model)
    M, Q = unpack(y, model)
    omega = joint_matrix(M, Q, model.teacher_overlap)
    F, K = averages.moments(omega, parameters, p, not gradient_flow)
    dM, dQ = F[:, p:], F[:, :p] + F[:, :p].T
    if K is not None:
        dQ = dQ + (K + K.T) / 2
    if model.spherical:  # as in `keep_norms`
        half = np.diagonal(dQ) / 2
        dM = dM - half[:, None] * M
        dQ = dQ - (half[:, None] + half) * Q
        np.fill_diagonal(dQ, 0.0)
    return pack(dM, dQ)

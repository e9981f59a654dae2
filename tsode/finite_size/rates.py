r"""The rates of overlaps, of their covariance and of the 1/N part of their means.

One step moves the entries o of M and Q by :math:`X / N`. With the drift :math:`f = E[X]`, its derivatives J and H, and
the covariance B of X, the expansion of the chain about its ODE is

.. math::
    o = o_\mathrm{ODE} + \xi / \sqrt N + \dots , \quad C = E[\xi \xi^T] , \quad
    m = N (E[o] - o_\mathrm{ODE}) , \\
    \dot o = f , \qquad \dot C = J C + C J^T + B , \qquad
    \dot m = J m + \tfrac12 H \! : \! C + g - \tfrac{s}{2} J f ,

to leading order (van Kampen, Stochastic Processes in Physics and Chemistry, ch. X). The last term is there because a
batch of s samples is one step of length s/N, not a flow; g is the part of E[X] that is of order 1/N itself. With the
learning rate over s, B is that of single samples. Of g, weight decay at the rate :math:`\kappa` and the products of
different samples of a batch have :math:`s (J' - \kappa) \Omega (J' - \kappa)^T - J' \Omega J'^T` in Q, with
:math:`J' = E[\partial C / \partial z]`.

Under the spherical constraint entry i is divided by :math:`\prod_k (1 + y_k / N)^{S_{ik}}`, :math:`y_k` being what
:math:`Q_{kk}` gains and :math:`S_{ik}` half the number of times that row k takes part in the entry. To first order that
takes :math:`o_i \sum_k S_{ik} y_k` from :math:`X_i`, and f, J and B follow; the second order adds to g

.. math::
    - \sum_k S_{ik} E[X_i y_k]
    + \frac{o_i}{2} \Big( \sum_{kl} S_{ik} S_{il} E[y_k y_l] + \sum_k S_{ik} E[y_k^2] \Big) .
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import carray

from .._compiled import CFunction, jitable, with_name_of
from ..model import TeacherStudent
from ..ode.rhs import derivatives
from .layout import norm_position, pairs_of

__all__ = ["BEND", "COHERENT", "DRIFT", "LINEAR", "Rates", "change", "constrain", "shares_of"]

LINEAR, DRIFT, BEND, COHERENT = 0, 1, 2, 3  # what the rows of `lines` are


def shares_of(pairs: np.ndarray, p: int) -> np.ndarray:
    """Return S, half the number of times that a row of the student takes part in an entry, shape (n, p)."""
    return np.mean([np.equal.outer(rows, range(p)) for rows in pairs], axis=0)


class Rates:
    """The right-hand side of y = (o, C, m), flattened one after the other, as the compiled integrator takes it.

    Attributes
    ----------
    pointer, arrays, numbers
        As of :class:`tsode.ode.rates.Rates`.
    """

    def __init__(self, model: TeacherStudent, step: Callable[..., None]) -> None:
        pairs, d = pairs_of(model), model.p + model.p_star
        n, shares = pairs.shape[1], shares_of(pairs, model.p)
        parameters = model.rule.average_parameters(model)
        beside = np.array([model.batch_size, model.weight_decay / model.batch_size])
        constants = model.teacher_overlap.ravel().copy(), parameters, pairs, shares, beside
        self.function = _function(step)  # the address is good as long as it lives
        self.pointer = self.function.pointer
        self.arrays = (*constants, np.empty((d, d)), np.empty((n, n)), np.empty((n, n)), np.empty((4, n)))
        self.numbers = model.p, model.p_star, len(parameters), int(model.spherical)

    def moments(self, o: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return J, B and the lines of the model's steps at one point, given fluctuations of covariance C."""
        derivatives(self.pointer, np.concatenate([o, C.ravel(), 0 * o]), self.arrays, self.numbers)
        J, B, lines = (array.copy() for array in self.arrays[-3:])
        return J, B, lines


@functools.cache
def _function(step):
    """Return the C function of the rates for averages that are compiled."""

    @jitable
    @with_name_of(step)
    def rates(
        y, P, parameters, pairs, shares, beside, omega, J, B, lines, dy, p, p_star, n_parameters, spherical
    ):  # fmt: skip
        n = pairs.shape[1]
        C = y[n : n + n * n].reshape((n, n))
        for i in range(n):
            a, b = int(pairs[0, i]), int(pairs[1, i])
            omega[a, b] = omega[b, a] = y[i]
        for r in range(p_star):
            for q in range(p_star):
                omega[p + r, p + q] = P[r * p_star + q]
        step(omega, parameters, p, pairs, C, J, B, lines)
        constrain(y[:n], C, p, beside[0], beside[1], spherical, shares, J, B, lines)
        change(y, J, B, lines, dy)

    @with_name_of(rates)
    def entry(
        y, P, parameters, pairs, shares, beside, omega, J, B, lines, dy, p, p_star, n_parameters, spherical
    ):  # fmt: skip
        d = p + p_star
        n = p * p_star + p * (p + 1) // 2
        rates(
            carray(y, (n * (n + 2),)), carray(P, (p_star * p_star,)), carray(parameters, (n_parameters,)),
            carray(pairs, (2, n)), carray(shares, (n, p)), carray(beside, (2,)), carray(omega, (d, d)),
            carray(J, (n, n)), carray(B, (n, n)), carray(lines, (4, n)), carray(dy, (n * (n + 2),)),
            p, p_star, n_parameters, spherical,
        )  # fmt: skip

    return CFunction(rates, entry, 11, 4)


@jitable
def change(y: np.ndarray, J: np.ndarray, B: np.ndarray, lines: np.ndarray, dy: np.ndarray) -> None:
    """Write the rates of o, C and m."""
    n = len(J)
    C, m = y[n : n + n * n].reshape((n, n)), y[n + n * n :]
    dC, dm = dy[n : n + n * n].reshape((n, n)), dy[n + n * n :]
    for i in range(n):
        dy[i], total = lines[DRIFT, i], lines[BEND, i]
        for j in range(n):
            total += J[i, j] * m[j]
            dC[i, j] = 0.0
        dm[i] = total
        for k in range(n):
            factor = J[i, k]
            for j in range(n):
                dC[i, j] += factor * C[k, j]
    for i in range(n):
        for j in range(i + 1):
            dC[i, j] += dC[j, i] + B[i, j]
            dC[j, i] = dC[i, j]


@jitable
def constrain(
    o: np.ndarray, C: np.ndarray, p: int, batch: float, decay: float, spherical: int, shares: np.ndarray,
    J: np.ndarray, B: np.ndarray, lines: np.ndarray,
) -> None:  # fmt: skip
    """Turn the moments of a free student's step on one sample into those of the model's steps; all but J m of m."""
    n = len(o)
    for i in range(n):
        rows = 0.0
        for k in range(p):
            rows += 2.0 * shares[i, k]
        if rows == 2.0:
            lines[BEND, i] += (batch - 1.0) * lines[COHERENT, i]
            lines[BEND, i] += batch * decay * (decay * o[i] - lines[LINEAR, i])
        lines[DRIFT, i] -= rows * decay * o[i]
        J[i, i] -= rows * decay
    if spherical:
        keep_norms(o, C, p, batch, shares, J, B, lines)
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += J[i, j] * lines[DRIFT, j]
        lines[BEND, i] -= batch / 2.0 * total


@jitable
def keep_norms(o, C, p, batch, shares, J, B, lines):
    """Apply the constraint; in loops, as slices take the compiler seconds."""
    n = len(o)
    f, bends, rows_J, rows_B, columns_B = np.empty(n), np.empty(p), np.empty((p, n)), np.empty((p, n)), np.empty((p, n))
    for j in range(n):
        f[j] = lines[DRIFT, j]
        for k in range(p):
            y = norm_position(k, p, n)
            rows_J[k, j], rows_B[k, j], bends[k] = J[y, j], B[y, j], lines[BEND, y]
    for i in range(n):
        for k in range(p):
            share, y = shares[i, k], norm_position(k, p, n)
            if share == 0.0:
                continue
            lines[DRIFT, i] -= o[i] * share * f[y]
            lines[BEND, i] -= share * (o[i] * bends[k] + rows_B[k, i] + batch * f[i] * f[y])
            for l in range(p):
                other = norm_position(l, p, n)
                both = rows_B[k, other] + batch * f[y] * f[other]
                lines[BEND, i] += o[i] / 2.0 * share * (shares[i, l] + (k == l)) * both
            for j in range(n):
                lines[BEND, i] -= share * rows_J[k, j] * C[j, i]
                J[i, j] -= o[i] * share * rows_J[k, j]
                B[i, j] -= o[i] * share * rows_B[k, j]
            J[i, i] -= share * f[y]
    for k in range(p):
        for j in range(n):
            columns_B[k, j] = B[j, norm_position(k, p, n)]
    for i in range(n):
        for k in range(p):
            for j in range(n):
                B[j, i] -= columns_B[k, j] * o[i] * shares[i, k]
    for k in range(p):  # zero but for rounding, which would grow where the loss pulls the norms inwards
        y = norm_position(k, p, n)
        lines[DRIFT, y] = lines[BEND, y] = 0.0
        for j in range(n):
            J[y, j] = B[y, j] = B[j, y] = 0.0

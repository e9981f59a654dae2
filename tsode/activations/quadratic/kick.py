r"""What many samples add to the rows of a quadratic student beside its drift: Gaussian, with the exact covariance.

With rows F, shape (p, d), a sample is :math:`\lambda = F y` and :math:`\mu = T y` of a standard normal y, and its error
is the quadratic form :math:`D = y^T (F^T V F - T^T V^* T)\, y - \sqrt\Delta\, \xi`. In the eigenbasis of the form it is
:math:`D = \sum_a \kappa_a y_a^2 - \sqrt\Delta\, \xi`, even in each :math:`y_a`. So the pairs
:math:`(D y_a y_b,\, D^2 y_a y_b)`, a < b, are uncorrelated with all others, and only the 2 d numbers
:math:`(D y_a^2,\, D^2 y_a^2)` are correlated among themselves. The moments are coefficients of power series in s,

.. math::
    E[e^{s D}] = Z(s), \qquad E[e^{s D} y_a^2] = Z(s)\, g_a(s), \qquad
    E[e^{s D} y_a^2 y_b^2] = (1 + 2 \delta_{ab})\, Z(s)\, g_a(s)\, g_b(s), \\
    g_a = \frac{1}{1 - 2 \kappa_a s}, \qquad
    \ln Z = \sum_{m \ge 1} \frac{(2 s)^m}{2 m} \sum_a \kappa_a^m + \frac{\Delta s^2}{2} .

Nothing is inverted: rows and overlaps may be of any rank. A root of the covariance of all entries thus takes an
eigenproblem of size d and a triangular root of size 2 d.
"""

import numpy as np

from ..._cholesky import cholesky
from ..._compiled import jitable

__all__ = ["kick"]

FACTORIALS = (1.0, 1.0, 2.0, 6.0, 24.0)
ORDERS = 5


@jitable
def kick(
    rows: np.ndarray,
    T: np.ndarray,
    parameters: np.ndarray,
    numbers: np.ndarray,
    change: np.ndarray,
    spread: np.ndarray,
) -> None:
    """Write Gaussian numbers of mean zero with the covariance of C y^T and C C^T: see :class:`Averages`."""
    p, d, p_star = rows.shape[0], rows.shape[1], T.shape[0]
    form, C, half = np.zeros((d, d)), np.empty((p, d)), np.empty((p, d))
    for a in range(d):
        for b in range(a + 1):
            for k in range(p):
                form[a, b] += parameters[2 + k] * rows[k, a] * rows[k, b]
            for r in range(p_star if a < p_star else 0):
                form[a, b] += parameters[2 + p + r] * T[r, a] * T[r, b]
            form[b, a] = form[a, b]
    kappa, basis = np.linalg.eigh(form)
    first, second = drawn(kappa, parameters[1] * parameters[1], numbers)
    for k in range(p):  # C / D in the basis
        for a in range(d):
            total = 0.0
            for j in range(d):
                total += rows[k, j] * basis[j, a]
            C[k, a] = -2.0 * parameters[0] * parameters[2 + k] * total
    multiply(C, first, half)
    multiply(half, basis, change)
    multiply(C, second, half)
    multiply(half, C, spread)


@jitable
def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Write a b^T."""
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[j, k]
            out[i, j] = total


@jitable
def drawn(kappa: np.ndarray, noise_variance: float, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return D y y^T and D^2 y y^T less their means in the eigenbasis, drawn, shapes (d, d)."""
    d = len(kappa)
    one, two = moments(kappa, noise_variance)
    first, second = np.empty((d, d)), np.empty((d, d))
    covariance, root = np.empty((2 * d, 2 * d)), np.empty((2 * d, 2 * d))
    for a in range(d):
        for b in range(d):
            pairings = 3.0 if a == b else 1.0
            for i in range(2):
                for j in range(2):
                    square = pairings * two[a, b, i + j + 2]
                    covariance[2 * a + i, 2 * b + j] = square - one[a, i + 1] * one[b, j + 1]
    cholesky(covariance, root)
    place = 2 * d
    for a in range(d):
        first[a, a], second[a, a] = 0.0, 0.0
        for i in range(2 * a + 2):
            first[a, a] += root[2 * a, i] * numbers[i]
            second[a, a] += root[2 * a + 1, i] * numbers[i]
        for b in range(a):
            root_11 = np.sqrt(two[a, b, 2])
            root_21 = two[a, b, 3] / root_11 if root_11 > 0.0 else 0.0
            root_22 = np.sqrt(max(two[a, b, 4] - root_21 * root_21, 0.0))
            x, y = numbers[place], numbers[place + 1]
            first[a, b] = first[b, a] = root_11 * x
            second[a, b] = second[b, a] = root_21 * x + root_22 * y
            place += 2
    return first, second


@jitable
def moments(kappa: np.ndarray, noise_variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return E[D^j y_a^2], and E[D^j y_a^2 y_b^2] less the factor 1 + 2 delta_ab, shapes (d, 5) and (d, d, 5)."""
    d = len(kappa)
    Z, one, two = np.zeros(ORDERS), np.empty((d, ORDERS)), np.empty((d, d, ORDERS))
    Z[0] = 1.0
    for j in range(1, ORDERS):  # Z' = (ln Z)' Z
        for m in range(1, j + 1):
            slope = noise_variance if m == 2 else 0.0
            for a in range(d):
                slope += 0.5 * (2.0 * kappa[a]) ** m
            Z[j] += slope * Z[j - m] / j
    for a in range(d):
        one[a, 0] = Z[0]
        for j in range(1, ORDERS):  # a product with g_a
            one[a, j] = Z[j] + 2.0 * kappa[a] * one[a, j - 1]
        for b in range(a + 1):
            two[a, b, 0] = two[b, a, 0] = one[a, 0]
            for j in range(1, ORDERS):
                two[a, b, j] = two[b, a, j] = one[a, j] + 2.0 * kappa[b] * two[a, b, j - 1]
    for a in range(d):
        for j in range(ORDERS):
            one[a, j] *= FACTORIALS[j]
            for b in range(d):
                two[a, b, j] *= FACTORIALS[j]
    return one, two

r"""The average over four of functions that are linear on either side of zero, for the noise of SGD.

With slopes :math:`s'(x) = m + h\, \mathrm{sgn}(x)`, units scaled to norm 1, and S, T as in
:mod:`tsode.activations.piecewise_averages`, the products of an even number of odd factors survive:

.. math::
    E[s'_a s'_b s_c s_d] = m_a m_b (m_c m_d\, r_{cd} + h_c h_d\, S_{cd})
        + h_a h_b (m_c m_d\, U + h_c h_d\, F)
        + h_a m_b (m_c h_d\, T_{a;cd} + h_c m_d\, T_{a;dc}) + m_a h_b (m_c h_d\, T_{b;cd} + h_c m_d\, T_{b;dc}) .

Let :math:`x_{k|i}` be the unit vector along what is left of unit k orthogonal to unit i. Integrating by parts, with
:math:`\mathrm{sgn}' = 2 \delta`, and projecting on the plane of every :math:`\delta`,

.. math::
    U = E[\mathrm{sgn}_a \mathrm{sgn}_b\, c\, d]
      = \tfrac2\pi \big( r_{cd} \arcsin r_{ab} + (x_c x_a)(x_d x_{b|a}) + (x_c x_b)(x_d x_{a|b}) \big) , \\
    F = E[\mathrm{sgn}_a \mathrm{sgn}_b |c| |d|]
      = r_{cd}\, E_4 + \tfrac4{\pi^2} \sum_{i \in abc} (x_c x_i) \sum_{j \ne i} (x_d x_{j|i}) \arcsin r_{kl|ij} ,

where k and l are the other two of a, b, c, d. What is left is :math:`E_4`, the mean product of the four signs, which
has no elementary form. Plackett's identity, with the correlations between the pairs (i k) and (j l) scaled by t, gives

.. math::
    E_4 = \tfrac4{\pi^2} \Big( \arcsin r_{ab} \arcsin r_{cd} + \sum_{i \in ab,\, j \in cd} r_{ij}
          \int_0^1 \frac{dt \arcsin R_{ij}(t)}{\sqrt{1 - t^2 r_{ij}^2}} \Big) ,

R being the correlation of the partners k and l given :math:`x_i = x_j = 0`. It is symmetric in all four; the pairing
with the largest correlation inside a pair is taken. Units of equal index are merged first, all of which is elementary.

Angles are taken from vectors, rows of a factor of the correlations, since covariances lose them. Every unit gets a
direction of its own of length 1e-9, the consistent limit of units that are parallel or depend on one another. The error
of the integrals is below 1e-12 for any four units. What remains is that of the angles in the overlaps: 1e-13 of the
result for units at an angle of 1e-2, 1e-11 at 1e-4, 1e-8 at 1e-6 and below.
"""

import math

import numpy as np

from .._compiled import jitable
from .units import part, unit_rows

__all__ = ["squared"]

OWN = 1e-9  # length of a unit's own direction
# t = 1 - exp(-SHARP x^2): nodes are dense at both ends, where arcsine and root are singular for units close together
SHARP, NODES = 36.0, 80


def _nodes():
    """Return t, 1 - t^2 and the weights, shape (3, NODES)."""
    x, weights = np.polynomial.legendre.leggauss(NODES)
    x, weights = (x + 1) / 2, weights / 2
    e = np.exp(-SHARP * x * x)
    return np.array([-np.expm1(-SHARP * x * x), e * (2 - e), weights * 2 * SHARP * x * e])


T = _nodes()


@part
def arcsine(r: float) -> float:
    """Return the arcsine of what rounding may have put beyond 1."""
    return np.arcsin(max(-1.0, min(1.0, r)))


@part
def dot(x: np.ndarray, y: np.ndarray) -> float:
    """Return the inner product."""
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return total


@part
def residuals(X: np.ndarray, r: np.ndarray, arcs: np.ndarray, rho: np.ndarray, R: np.ndarray) -> None:
    """Write correlations, their arcsines, the sines of the angles, and R[i, k], the unit vector along k beside i."""
    n = X.shape[0]
    for i in range(n):
        for k in range(n):
            r[i, k] = dot(X[i], X[k]) if i != k else 1.0
            for q in range(2 * n):
                R[i, k, q] = X[k, q] - r[i, k] * X[i, q]
            again = dot(R[i, k], X[i])  # once more: what rounding left along i
            for q in range(2 * n):
                R[i, k, q] -= again * X[i, q]
            rho[i, k] = np.sqrt(dot(R[i, k], R[i, k])) if i != k else 0.0
            for q in range(2 * n):
                R[i, k, q] = R[i, k, q] / rho[i, k] if i != k else 0.0
            arcs[i, k] = np.arctan2(r[i, k], rho[i, k])


@part
def beside(x: np.ndarray, e: np.ndarray) -> float:
    """Return the squared length of what a unit vector has orthogonal to another."""
    along, total = dot(x, e), 0.0
    for i in range(x.shape[0]):
        left = x[i] - along * e[i]
        total += left * left
    return total


@part
def arcsine_beside(x: np.ndarray, y: np.ndarray, e: np.ndarray) -> float:
    """Return the arcsine of the correlation of x and y orthogonal to e, unit vectors."""
    x_e, y_e = dot(x, e), dot(y, e)
    xx, yy, xy = 0.0, 0.0, 0.0
    for i in range(x.shape[0]):
        a, b = x[i] - x_e * e[i], y[i] - y_e * e[i]
        xx, yy, xy = xx + a * a, yy + b * b, xy + a * b
    return arcsine(xy / np.sqrt(xx * yy))


@part
def crossing(i: int, k: int, j: int, l: int, X: np.ndarray, R: np.ndarray, T: np.ndarray) -> float:
    """Return the term (i, j) of Plackett's identity, k and l being the partners."""
    r, a, b = dot(X[i], X[j]), R[i, k], R[j, l]
    kappa, chi, other = dot(a, X[j]), dot(a, b), dot(b, X[i])
    # 1 - r^2 and what is left of it, as sums of squares
    s = r * r
    free = 0.0
    for q in range(X.shape[1]):
        left = X[j, q] - r * X[i, q]
        free += left * left
    free_a, free_b = free * beside(R[i, j], a), free * beside(R[j, i], b)
    total = 0.0
    for node in range(T.shape[1]):
        t, rest = T[0, node], T[1, node]
        q = free + s * rest
        q_a, q_b = free_a + (s + kappa * kappa) * rest, free_b + (s + other * other) * rest
        total += T[2, node] * arcsine(t * (chi * q + t * t * r * kappa * other) / np.sqrt(q_a * q_b)) / np.sqrt(q)
    return r * total


@part
def four_signs(a: int, b: int, c: int, d: int, X: np.ndarray, R: np.ndarray, arcs: np.ndarray) -> float:
    """Return the mean product of the signs of four different units."""
    straight = max(abs(arcs[a, b]), abs(arcs[c, d]))
    if max(abs(arcs[a, c]), abs(arcs[b, d])) > straight:
        straight, b, c = max(abs(arcs[a, c]), abs(arcs[b, d])), c, b
    if max(abs(arcs[a, d]), abs(arcs[b, c])) > straight:
        b, d = d, b
    total = arcs[a, b] * arcs[c, d]
    for turn in range(4):
        i, k = (a, b) if turn < 2 else (b, a)
        j, l = (c, d) if turn % 2 == 0 else (d, c)
        total += crossing(i, k, j, l, X, R, T)
    return 4.0 / math.pi**2 * total


@part
def absolute_products(
    four: np.ndarray, A: np.ndarray, X: np.ndarray, r: np.ndarray, R: np.ndarray, arcs: np.ndarray
) -> float:
    """Write what F needs of four different units to A, shape (4, 4): its arcsines; return E4."""
    for x in range(4):
        for y in range(x):
            z = 0 if y > 0 else 1 if x > 1 else 2  # the two others
            w = 6 - x - y - z
            i, j, k, l = four[x], four[y], four[z], four[w]
            A[x, y] = arcsine_beside(R[i, k], R[i, l], R[i, j])
            A[y, x] = A[x, y]
    return four_signs(four[0], four[1], four[2], four[3], X, R, arcs)


@part
def sign_product(four, c, d, signs, A, X, R):
    """Return F of four different units, of which those at places c and d bear the absolute values."""
    total = 0.0
    for x in range(4):
        if x == d:
            continue
        inner = 0.0
        for y in range(4):
            if y != x:
                inner += dot(X[four[d]], R[four[x], four[y]]) * A[x, y]
        total += dot(X[four[c]], X[four[x]]) * inner
    return dot(X[four[c]], X[four[d]]) * signs + 4.0 / math.pi**2 * total


@part
def elementary(a, b, c, d, geometry):
    """Return S, U, F, and twice the sums over a and b of T with c and with d as the absolute value.

    F is left out, zero, where all four differ.
    """
    X, r, rho, arcs, R = geometry
    S = 2.0 / math.pi * (rho[c, d] + r[c, d] * arcs[c, d])
    a_cd, a_dc = r[a, c] * rho[a, d] + r[c, d] * arcs[a, d], r[a, d] * rho[a, c] + r[c, d] * arcs[a, c]
    b_cd, b_dc = r[b, c] * rho[b, d] + r[c, d] * arcs[b, d], r[b, d] * rho[b, c] + r[c, d] * arcs[b, c]
    T_cd, T_dc = 2.0 / math.pi * (a_cd + b_cd), 2.0 / math.pi * (a_dc + b_dc)
    if a == b:
        return S, r[c, d], S, T_dc, T_cd
    U = r[c, d] * arcs[a, b] + r[c, a] * dot(X[d], R[a, b]) + r[c, b] * dot(X[d], R[b, a])
    U, F = 2.0 / math.pi * U, 0.0
    if c == d:
        F = U
    elif c == a:
        F = r[a, b] if d == b else 2.0 / math.pi * b_cd
    elif c == b:
        F = r[a, b] if d == a else 2.0 / math.pi * a_cd
    elif d == a:
        F = 2.0 / math.pi * b_dc
    elif d == b:
        F = 2.0 / math.pi * a_dc
    return S, U, F, T_dc, T_cd


@jitable
def squared(omega: np.ndarray, u: np.ndarray, noise_variance: float, sides: np.ndarray, K: np.ndarray) -> None:
    r"""Write :math:`E[D^2 s'_k s'_l]`; `sides` are m and h of the student, m and h of the teacher."""
    m, h, m_star, h_star = sides[0], sides[1], sides[2], sides[3]
    p, n = K.shape[0], omega.shape[0]
    norms, X, R = np.empty(n), np.empty((n, 2 * n)), np.empty((n, n, 2 * n))
    r, rho, arcs, A = np.empty((n, n)), np.empty((n, n)), np.empty((n, n)), np.empty((4, 4))
    unit_rows(omega, norms, X)
    for i in range(n):
        X[i, n + i] = OWN
    residuals(X, r, arcs, rho, R)
    odd, even = np.empty(n), np.empty(n)
    for i in range(n):
        odd[i] = u[i] * norms[i] * (m if i < p else m_star)
        even[i] = u[i] * norms[i] * (h if i < p else h_star)
    for a in range(p):
        for b in range(a + 1):
            total = noise_variance * (m * m + h * h * 2.0 / math.pi * arcs[a, b])
            for c in range(n):
                for d in range(c + 1):
                    S, U, F, T_c, T_d = elementary(a, b, c, d, (X, r, rho, arcs, R))
                    term = odd[c] * odd[d] * (m * m * r[c, d] + h * h * U) + even[c] * even[d] * (m * m * S + h * h * F)
                    term += m * h * (even[c] * odd[d] * T_c + odd[c] * even[d] * T_d)
                    total += term if c == d else 2.0 * term
            K[a, b] = total
    add_different(K, h * h, even, (X, r, R, arcs, A))
    for a in range(p):
        for b in range(a):
            K[b, a] = K[a, b]


@part
def add_different(K, weight, even, geometry):
    """Add the terms with F of four different units, each four of them once: their E4 is the same for all pairs."""
    X, r, R, arcs, A = geometry
    p, n = K.shape[0], X.shape[0]
    four = np.empty(4, dtype=np.int64)
    for a in range(p):
        for b in range(a + 1, p):
            for c in range(b + 1, n):
                for d in range(c + 1, n):
                    four[0], four[1], four[2], four[3] = a, b, c, d
                    signs = absolute_products(four, A, X, r, R, arcs)
                    for x in range(4):
                        for y in range(x):
                            if four[x] < p:
                                z = 0 if y > 0 else 1 if x > 1 else 2
                                w = 6 - x - y - z
                                F = sign_product(four, z, w, signs, A, X, R)
                                K[four[x], four[y]] += 2.0 * weight * even[four[z]] * even[four[w]] * F

r"""How one step of gradient descent on the quadratic network fluctuates, and how its mean bends, in closed form.

The entries of M and Q are moved by :math:`X_i / N`,

.. math::
    X_i = f^1_i\, D z_a z_b + f^2_i\, D^2 z_a z_b\, |x|^2 / N , \qquad
    f^1_i = -2 \eta (v_a + v_b), \quad f^2_i = 4 \eta^2 v_a v_b ,

(a, b) being the pair of preactivations that belongs to entry i, and v of a teacher's 0. With :math:`A = S \Omega` and
power series in s that are cut at the fourth order, of which nothing is inverted,

.. math::
    \Omega (1 - 2 s A)^{-1} = \sum_k s^k O_k , \quad O_k = 2^k \Omega A^k , \qquad
    \ln Z = \sum_m \frac{(2 s)^m}{2 m} \mathrm{tr} A^m + \frac{\Delta s^2}{2} , \quad Z(s) = E[e^{s D}] ,

and :math:`\psi_k = \sum_i Z_i O_{k-i}`, the moments of the error with two and four preactivations are

.. math::
    E[D^j z_a z_b] = j!\, (\psi_j)_{ab} , \qquad
    E[D^j z_a z_b z_c z_e] = j! \sum_{k=0}^{j} \left( \psi_{k,ab} O_{j-k,ce} + \psi_{k,ac} O_{j-k,be}
    + \psi_{k,ae} O_{j-k,bc} \right) :

Isserlis' theorem under the Gaussian tilted by :math:`e^{s D}`. The derivatives of the first are those of

.. math::
    E[D z z^T] = t\, \Omega + 2 B_1 , \quad E[D^2 z z^T] = c\, \Omega + 4 t B_1 + 8 B_2 , \qquad
    B_k = \Omega A^k , \quad t = \mathrm{tr} A , \quad c = t^2 + 2\, \mathrm{tr} A^2 + \Delta .

As :math:`E[h |x|^2] = (N + k) E[h]` for h homogeneous of degree k (Stein), the mean of the step has
:math:`g_i = f^2_i\, (6 E[D^2 z_a z_b] - 4 \Delta\, \Omega_{ab})` over N beside it.
"""

import numpy as np

from ..._compiled import jitable

__all__ = ["step_moments"]


@jitable
def step_moments(
    omega: np.ndarray, parameters: np.ndarray, p: int, pairs: np.ndarray, C: np.ndarray, J: np.ndarray, B: np.ndarray,
    lines: np.ndarray,
) -> None:  # fmt: skip
    """Write what :class:`tsode.activations.error_averages.Averages` says of `step`."""
    d, n = omega.shape[0], pairs.shape[1]
    u, noise_variance = parameters[2 : 2 + d], parameters[1] ** 2
    O, psi, factors = np.empty((d, d, 5)), np.empty((d, d, 5)), np.empty((2, n))
    t, c = series(omega, u, noise_variance, O, psi)
    for i in range(n):
        a, b = int(pairs[0, i]), int(pairs[1, i])
        inner = u[b] if b < p else 0.0
        factors[0, i], factors[1, i] = -2.0 * parameters[0] * (u[a] + inner), 4.0 * parameters[0] ** 2 * u[a] * inner
        lines[0, i] = factors[0, i] * psi[a, b, 1]
        lines[1, i] = lines[0, i] + 2.0 * factors[1, i] * psi[a, b, 2]
        lines[3, i] = factors[1, i] * (t * t * omega[a, b] + 2.0 * t * O[a, b, 1] + O[a, b, 2])
    covariance(O, psi, pairs, factors, lines[1], B)
    slopes(omega, u, t, c, O, pairs, factors, J)
    bend(omega, u, t, p, O, pairs, factors, C, lines[2])
    for i in range(n):
        a, b = int(pairs[0, i]), int(pairs[1, i])
        lines[2, i] += factors[1, i] * (12.0 * psi[a, b, 2] - 4.0 * noise_variance * omega[a, b])


@jitable
def series(omega, u, noise_variance, O, psi):
    """Write O_k and psi_k, the order k on the last axis; return t and c."""
    d = len(u)
    log_Z, Z = np.zeros(5), np.zeros(5)
    log_Z[2], Z[0] = noise_variance / 2.0, 1.0
    for k in range(5):
        for a in range(d):
            for b in range(a + 1):
                found = omega[a, b]
                if k > 0:
                    found = 0.0
                    for x in range(d):
                        found += 2.0 * omega[a, x] * u[x] * O[x, b, k - 1]
                O[a, b, k] = O[b, a, k] = found
            if k < 4:
                log_Z[k + 1] += u[a] * O[a, a, k] / (k + 1)
    for j in range(1, 5):
        for m in range(1, j + 1):
            Z[j] += m * log_Z[m] * Z[j - m] / j
    for a in range(d):
        for b in range(d):
            for k in range(5):
                found = 0.0
                for i in range(k + 1):
                    found += Z[i] * O[a, b, k - i]
                psi[a, b, k] = found
    return Z[1], 2.0 * Z[2]


@jitable
def covariance(O, psi, pairs, factors, f, B):
    """Write the covariance of X at |x|^2 = N."""
    for i in range(pairs.shape[1]):
        a, b = int(pairs[0, i]), int(pairs[1, i])
        for j in range(i + 1):
            c, e = int(pairs[0, j]), int(pairs[1, j])
            second = 2.0 * factors[0, i] * factors[0, j]
            third = 6.0 * (factors[0, i] * factors[1, j] + factors[1, i] * factors[0, j])
            fourth = 24.0 * factors[1, i] * factors[1, j]
            total = second * fourfold(psi, O, a, b, c, e, 2) - f[i] * f[j]
            if third != 0.0:
                total += third * fourfold(psi, O, a, b, c, e, 3)
            if fourth != 0.0:
                total += fourth * fourfold(psi, O, a, b, c, e, 4)
            B[i, j] = B[j, i] = total


@jitable
def fourfold(psi, O, a, b, c, e, j):
    """Return E[D^j z_a z_b z_c z_e] / j!."""
    found = 0.0
    for k in range(j + 1):
        found += psi[a, b, k] * O[c, e, j - k] + psi[a, c, k] * O[b, e, j - k] + psi[a, e, k] * O[b, c, j - k]
    return found


@jitable
def slopes(omega, u, t, c, O, pairs, factors, J):
    """Write the derivatives of f along every entry: changes of Omega by w (e_x e_y^T + e_y e_x^T)."""
    for j in range(pairs.shape[1]):
        x, y = int(pairs[0, j]), int(pairs[1, j])
        w, dt = (0.5, u[x]) if x == y else (1.0, 0.0)
        dc = 2.0 * t * dt + 8.0 * w * u[x] * u[y] * omega[x, y]
        for i in range(pairs.shape[1]):
            a, b = int(pairs[0, i]), int(pairs[1, i])
            ax, ay, bx, by = w * (a == x), w * (a == y), w * (b == x), w * (b == y)
            delta = ax * (b == y) + ay * (b == x)
            ax, ay, bx, by = ax * u[y], ay * u[x], bx * u[y], by * u[x]
            dO_1 = 2.0 * (ax * omega[y, b] + ay * omega[x, b] + bx * omega[y, a] + by * omega[x, a])
            J[i, j] = factors[0, i] * (dt * omega[a, b] + t * delta + dO_1)
            if factors[1, i] != 0.0:
                both = omega[a, x] * omega[y, b] + omega[a, y] * omega[x, b]
                dO_2 = 2.0 * (ax * O[y, b, 1] + ay * O[x, b, 1] + bx * O[y, a, 1] + by * O[x, a, 1])
                dO_2 += 4.0 * w * u[x] * u[y] * both
                change = dc * omega[a, b] + c * delta + 2.0 * (dt * O[a, b, 1] + t * dO_1 + dO_2)
                J[i, j] += factors[1, i] * change


@jitable
def place(a, b, p, p_star):
    """Return which entry a pair belongs to, -1 for two teachers."""
    a, b = max(a, b), min(a, b)
    if b >= p:
        return -1
    return b * p_star + a - p if a >= p else p * p_star + a * (a + 1) // 2 + b


@jitable
def bend(omega, u, t, p, O, pairs, factors, C, found):
    """Write half the second derivative of f, averaged over changes delta of Omega with covariance C."""
    d = len(u)
    # E[dt delta], E[delta S delta], E[ds delta] with s = tr A^2, and E[delta S Omega S delta] of students
    dt_delta, square, ds_delta, through = np.zeros((d, d)), np.zeros((d, d)), np.zeros((d, d)), np.zeros((p, p))
    for a in range(d):
        for b in range(d):
            ab = place(a, b, p, d - p)
            for x in range(d):
                if ab >= 0 and x < p:
                    dt_delta[a, b] += u[x] * C[place(x, x, p, d - p), ab]
                ax, xb = place(a, x, p, d - p), place(x, b, p, d - p)
                if ax >= 0 and xb >= 0:
                    square[a, b] += u[x] * C[ax, xb]
                for y in range(d):
                    weight, xy, yb = u[x] * u[y] * omega[x, y], place(x, y, p, d - p), place(y, b, p, d - p)
                    if ab >= 0 and xy >= 0:
                        ds_delta[a, b] += 2.0 * weight * C[xy, ab]
                    if a < p and b < p:
                        through[a, b] += weight * C[ax, yb]
    dt_square, ds_square = 0.0, 0.0
    for a in range(d):
        dt_square += u[a] * dt_delta[a, a]
        ds_square += u[a] * square[a, a]
    for i in range(pairs.shape[1]):
        a, b = int(pairs[0, i]), int(pairs[1, i])
        found[i] = factors[0, i] * (dt_delta[a, b] + 2.0 * square[a, b])
        if factors[1, i] != 0.0:
            dt_B, square_A = 0.0, 0.0
            for x in range(d):
                dt_B += u[x] * (dt_delta[a, x] * omega[x, b] + omega[a, x] * dt_delta[x, b])
                square_A += u[x] * (square[a, x] * omega[x, b] + omega[a, x] * square[x, b])
            change = (dt_square + 2.0 * ds_square) * omega[a, b] + 2.0 * t * dt_delta[a, b] + 2.0 * ds_delta[a, b]
            change += 4.0 * dt_B + 4.0 * t * square[a, b] + 8.0 * (square_A + through[a, b])
            found[i] += factors[1, i] * change

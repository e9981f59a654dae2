r"""Gaussian moments of the quadratic network: the population loss and the averages that drive the ODEs.

One sample puts the jointly Gaussian :math:`z = (\lambda, \mu)` into the error
:math:`D = z^T S z - \sqrt\Delta\, \xi`, where :math:`S = \mathrm{diag}(v, -v^*)` and z has covariance
:math:`\Omega = [[Q, M], [M^T, P]]`. With :math:`t = \mathrm{tr}\, S\Omega` and
:math:`s = \mathrm{tr}\, (S\Omega)^2`, pairing the Gaussian factors (Isserlis' theorem) gives

.. math::
    E[D] = t, \qquad E[D^2] = t^2 + 2 s + \Delta, \qquad
    E[D\, z z^T] = t\, \Omega + 2\, \Omega S \Omega, \\
    E[D^2 z z^T] = (t^2 + 2 s + \Delta)\, \Omega + 4 t\, \Omega S \Omega + 8\, \Omega S \Omega S \Omega .

The last line pairs z with z (first term), with one factor D (second) or with both (third). Every average
that the quadratic activation needs is here and nowhere else; only the student's rows are ever formed.
"""

import numpy as np
from numba import njit

__all__ = ["error_moments", "error_moments_kernel", "excess_loss"]


def excess_loss(v, v_star, M, Q, P):
    r"""Return the population loss without the label noise, :math:`(t^2 + 2 s)/2`.

    Parameters
    ----------
    v, v_star : ndarray, shapes (p,), (p_star,)
        Readouts of student and teacher.
    M, Q : ndarray, shapes (..., p, p_star), (..., p, p)
        Overlaps.
    P : ndarray, shape (p_star, p_star)
        Teacher overlap.

    Returns
    -------
    ndarray, shape (...)
    """
    student = np.einsum("k,...kk->...", v, Q)
    teacher = v_star @ np.diagonal(P)
    t = student - teacher
    # s is the squared Frobenius norm of F^T S F for any Omega = F F^T; only rounding can put it below zero.
    s = (
        np.einsum("k,l,...kl->...", v, v, np.square(Q))
        - 2 * np.einsum("k,r,...kr->...", v, v_star, np.square(M))
        + v_star @ np.square(P) @ v_star
    )
    return t**2 / 2 + np.maximum(s, 0.0)


def error_moments(v, v_star, M, Q, P, noise_variance):
    r"""Return :math:`E[D \lambda \mu^T]`, :math:`E[D \lambda \lambda^T]` and :math:`E[D^2 \lambda \lambda^T]`.

    The form for large widths: every product is a matrix product.

    Parameters
    ----------
    v, v_star : ndarray, shapes (p,), (p_star,)
        Readouts of student and teacher.
    M, Q, P : ndarray, shapes (p, p_star), (p, p), (p_star, p_star)
        Overlaps.
    noise_variance : float
        Variance of the label noise.

    Returns
    -------
    E_M, E_Q, E_QQ : ndarray, shapes (p, p_star), (p, p), (p, p)
    """
    SQ = v[:, None] * Q
    SM = v_star[:, None] * M.T
    t = v @ np.diagonal(Q) - v_star @ np.diagonal(P)
    s = v @ np.square(Q) @ v - 2 * (v @ np.square(M) @ v_star) + v_star @ np.square(P) @ v_star
    B_Q = Q @ SQ - M @ SM  # the blocks of Omega S Omega
    B_M = SQ.T @ M - SM.T @ P
    C_Q = B_Q @ SQ - B_M @ SM  # of Omega S Omega S Omega
    return (
        t * M + 2 * B_M,
        t * Q + 2 * B_Q,
        (t * t + 2 * s + noise_variance) * Q + 4 * t * B_Q + 8 * C_Q,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def error_moments_kernel(v, v_star, M, Q, P, noise_variance, E_M, E_Q, E_QQ):
    """The same three moments written into the last three arguments, in loops that allocate nothing."""
    p, p_star = M.shape
    t = 0.0
    s = 0.0
    for r in range(p_star):
        t -= v_star[r] * P[r, r]
        for q in range(p_star):
            s += v_star[r] * v_star[q] * P[r, q] * P[r, q]
    for k in range(p):
        t += v[k] * Q[k, k]
        for j in range(p):
            s += v[k] * v[j] * Q[k, j] * Q[k, j]
        for r in range(p_star):
            s -= 2.0 * v[k] * v_star[r] * M[k, r] * M[k, r]
    # B_Q and B_M, the blocks of Omega S Omega
    E_Q[:, :] = 0.0
    E_M[:, :] = 0.0
    for k in range(p):
        for j in range(p):
            a = Q[k, j] * v[j]
            for l in range(p):
                E_Q[k, l] += a * Q[j, l]
            for r in range(p_star):
                E_M[k, r] += a * M[j, r]
        for r in range(p_star):
            a = M[k, r] * v_star[r]
            for l in range(p):
                E_Q[k, l] -= a * M[l, r]
            for q in range(p_star):
                E_M[k, q] -= a * P[r, q]
    # C_Q, of Omega S Omega S Omega
    E_QQ[:, :] = 0.0
    for k in range(p):
        for j in range(p):
            a = E_Q[k, j] * v[j]
            for l in range(p):
                E_QQ[k, l] += a * Q[j, l]
        for r in range(p_star):
            a = E_M[k, r] * v_star[r]
            for l in range(p):
                E_QQ[k, l] -= a * M[l, r]
    second = t * t + 2.0 * s + noise_variance
    for k in range(p):
        for l in range(p):
            E_QQ[k, l] = second * Q[k, l] + 4.0 * t * E_Q[k, l] + 8.0 * E_QQ[k, l]
            E_Q[k, l] = t * Q[k, l] + 2.0 * E_Q[k, l]
        for r in range(p_star):
            E_M[k, r] = t * M[k, r] + 2.0 * E_M[k, r]

"""How fast is the ODE of the soft committee machine, beside the four-point averages of Saad & Solla in plain NumPy?"""

from report import Report, paired, timed

import numpy as np
from scipy.integrate import solve_ivp

import tsode

K, ETA, END = 4, 0.5, 50.0
ONES = np.ones(K)
MODEL = tsode.TeacherStudent(K, K, ETA, student_readout=ONES, teacher_readout=ONES, activation="erf")
START = tsode.Overlaps.random(MODEL, 1000, scale=0.6, rng=0)
U = np.concatenate([ONES, -ONES])
FIRST, LAST = np.tril_indices(K)  # pairs of students, and of all units with their weights in the sum
ONE, OTHER = np.tril_indices(2 * K)
WEIGHTS = np.where(ONE == OTHER, 1, 2) * U[ONE] * U[OTHER]


def four_point(C):
    """Return E[s'_k s'_l D^2] for all pairs of students, from the closed form of E[s'_k s'_l s_i s_j]."""
    k, l, i, j = FIRST[:, None], LAST[:, None], ONE, OTHER
    A, B, mixed = 1 + C[k, k], 1 + C[l, l], C[k, l]
    determinant = A * B - mixed**2

    def reduced(i, j):
        cross = mixed * (C[k, i] * C[l, j] + C[k, j] * C[l, i])
        return determinant * C[i, j] - C[l, i] * C[l, j] * A - C[k, i] * C[k, j] * B + cross

    sizes = (reduced(i, i) + determinant) * (reduced(j, j) + determinant)
    angle = np.arcsin(np.clip(reduced(i, j) / np.sqrt(sizes), -1, 1))
    return (4 / np.pi**2 / np.sqrt(determinant) * angle) @ WEIGHTS


def derivatives(_, y):
    C = np.eye(2 * K)
    C[:K, K:], C[:K, :K] = y[: K * K].reshape(K, K), y[K * K :].reshape(K, K)
    C[K:, :K] = C[:K, K:].T
    a, b, c = np.ogrid[:K, : 2 * K, : 2 * K]
    A = 1 + C[a, a]
    three = 2 / np.pi * (C[b, c] * A - C[a, b] * C[a, c]) / (A * np.sqrt(A * (1 + C[c, c]) - C[a, c] ** 2))
    F = -ETA * three @ U
    squared = np.empty((K, K))
    squared[FIRST, LAST] = squared[LAST, FIRST] = four_point(C)
    return np.concatenate([F[:, K:].ravel(), (F[:, :K] + F[:, :K].T + ETA**2 * squared).ravel()])


def plain():
    start = np.concatenate([START.M.ravel(), START.Q.ravel()])
    return solve_ivp(derivatives, (0, END), start, method="DOP853", rtol=1e-6, atol=1e-10).y[K * K :, -1]


def solve(rtol=1e-6, atol=1e-10):
    return tsode.integrate(MODEL, START, [0.0, END], rtol=rtol, atol=atol).Q[-1].ravel()


if __name__ == "__main__":
    table = Report(f"Soft committee machine, p = p* = {K}, alpha to {END:.0f}, rtol 1e-6, one thread")
    exact = solve(1e-12, 1e-14)
    first, fast, found = timed(solve, repeat=15)
    error = np.abs(found - exact).max()
    table.add("integrate, activation erf", 1e3 * fast, "ms", f"{error:.0e}", "error of the end point", first)
    slow, fast = paired([plain, solve])
    error = np.abs(plain() - exact).max()
    table.add("the same solver, NumPy", 1e3 * slow, "ms", f"{error:.0e}", f"{slow / fast:.0f} x integrate's time")
    table.finish()

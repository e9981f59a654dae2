"""How fast is an ODE solution, alone and in a batch, beside a fixed-step Euler loop and its error?"""

from report import Report, paired, timed

import numpy as np

import tsode
from tsode.ode import rhs

MODEL = tsode.TeacherStudent(8, 4, 0.4)
START = tsode.Overlaps.random(MODEL, 10_000, rng=0)
END = 60.0
STATE = np.concatenate([START.M.ravel(), START.Q.ravel()])


def both_forms(model):
    """Return the right-hand side through compiled loops, and through NumPy's matrix products."""
    found = []
    for rhs.BLAS_WIDTH in (10**9, 1):
        found.append(rhs.right_hand_side(model))
    return found


LOOPS, PRODUCTS = both_forms(MODEL)
rhs.BLAS_WIDTH = 52


def euler(dt):
    """Fixed-step Euler on the NumPy right-hand side, as simulators in the literature do it."""
    y, steps = STATE.copy(), round(END / dt)
    for _ in range(steps):
        y += END / steps * PRODUCTS(0.0, y)
    return y


def solve(**options):
    ode = tsode.integrate(MODEL, START, np.linspace(0, END, 201), **options)
    return np.concatenate([ode.M[-1].ravel(), ode.Q[-1].ravel()])


if __name__ == "__main__":
    table = Report("The overlap ODEs, p = 8, p* = 4, alpha to 60, one thread")
    exact = solve(rtol=1e-13, atol=1e-15)
    first, fast, found = timed(lambda: solve(rtol=1e-6), repeat=15)
    error = np.abs(found - exact).max()
    table.add("integrate, rtol 1e-6, 201 times", 1e3 * fast, "ms", f"{error:.0e}", "error of the end point", first)
    step = 1e-3 * MODEL.p / MODEL.learning_rate  # 1e-3 in units of eta alpha / p
    slow, fast = paired([lambda: euler(step), lambda: solve(rtol=1e-6)])
    error = np.abs(euler(step) - exact).max()
    table.add("fixed-step Euler, NumPy", 1e3 * slow, "ms", f"{error:.0e}", f"{slow / fast:.0f} x integrate's time")
    compiled, plain = paired([
        lambda: [LOOPS(0.0, STATE) for _ in range(2000)],
        lambda: [PRODUCTS(0.0, STATE) for _ in range(2000)],
    ])  # fmt: skip
    error = np.abs(LOOPS(0.0, STATE) - PRODUCTS(0.0, STATE)).max()
    table.add("right-hand side, compiled", 1e6 * compiled / 2000, "us", f"{error:.0e}", "difference of the two")
    table.add("right-hand side, NumPy", 1e6 * plain / 2000, "us", "", f"{plain / compiled:.1f} x the compiled one")
    models = [MODEL.replace(learning_rate=eta) for eta in np.linspace(0.1, 0.6, 1000)]
    alpha = np.linspace(0, END, 201)
    first, batch, many = timed(lambda: tsode.integrate_many(models, START, alpha, rtol=1e-6), repeat=3)
    error = max(
        np.abs(ode.Q - tsode.integrate(ode.model, START, alpha, rtol=1e-12, atol=1e-14).Q).max() for ode in many[::50]
    )
    table.add(
        "integrate_many, 1000 learning rates", batch, "ms each", f"{error:.0e}", "largest error, at any time", first
    )
    table.finish()

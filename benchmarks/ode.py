"""How fast is an ODE solution, alone, in a batch and differentiated, beside peers and its error?"""

import os
import time
from itertools import pairwise

os.environ["NUMBA_NUM_THREADS"] = "2"  # for the last rows; one thread before them

from report import Report, quickest, timed

import numba
import numpy as np
from scipy.integrate import solve_ivp

import tsode
from tsode._states import pack
from tsode.ode import rhs

try:
    import diffrax_peer
except ImportError:
    diffrax_peer = None

CPU = time.process_time  # of all threads; what the clock would show on an idle machine, where there is but one
END, TOLERANCE = 60.0, 1e-6
ALPHA = np.linspace(0, END, 201)
RATES = np.linspace(0.25, 1.5, 256)  # over the model's


def pair(p, p_star):
    """Return a model, of which all widths take the same natural time, and a start."""
    model = tsode.TeacherStudent(p, p_star, p / 20)
    return model, tsode.Overlaps.random(model, 10_000, rng=0)


def deviation(found, exact):
    """The largest difference of M and Q at any time."""
    return max(float(np.abs(a - b).max()) for a, b in zip(found, exact))


def overlaps(odes):
    return np.array([ode.M for ode in odes]), np.array([ode.Q for ode in odes])


def of_equal_error(solve, error, exact):
    """Return the tolerance, in steps of half a power of ten, whose error is closest, and that error."""
    errors = {rtol: deviation(solve(rtol), exact) for rtol in 10.0 ** -np.arange(3.0, 11.0, 0.5)}
    return min(errors.items(), key=lambda found: abs(np.log(found[1] / error)))


def one_solution(table, p, p_star):
    model, start = pair(p, p_star)
    right, y = rhs.right_hand_side(model), pack(start.M, start.Q)

    def solve(rtol=TOLERANCE, atol=1e-10):
        ode = tsode.integrate(model, start, ALPHA, rtol=rtol, atol=atol)
        return ode.M, ode.Q

    def scipy():
        return solve_ivp(right, (0, END), y, "DOP853", ALPHA, rtol=TOLERANCE, atol=1e-10).y

    first, _, found = timed(solve)
    exact = solve(1e-13, 1e-15)
    error, contestants = deviation(found, exact), [solve, scipy]
    if diffrax_peer:
        diffrax = diffrax_peer.solver(model, start, ALPHA)
        compiling, _, _ = timed(lambda: diffrax(model.learning_rate, 1e-3))
        rtol, other = of_equal_error(lambda rtol: diffrax(model.learning_rate, rtol), error, exact)
        contestants.append(lambda: diffrax(model.learning_rate, rtol))
    times = quickest(contestants, 100, CPU)
    case = f"({p}, {p_star})"
    table.add(f"{case} integrate, rtol {TOLERANCE:g}", 1e3 * times[0], "ms", f"{error:.0e}", "201 times", first)
    states = pack(*(part.reshape(len(ALPHA), -1).T for part in exact)).reshape(len(y), -1)
    error = deviation([scipy()], [states])
    ratio = [f"{each / times[0]:.2f} x integrate's time" for each in times]
    table.add(f"{case} SciPy's solve_ivp, same right-hand side", 1e3 * times[1], "ms", f"{error:.0e}", ratio[1])
    if diffrax_peer:
        note = f"{ratio[2]}; rtol {rtol:.0e}"
        table.add(f"{case} diffrax, jit", 1e3 * times[2], "ms", f"{other:.0e}", note, compiling)


def many_rates(table, p, p_star):
    model, start = pair(p, p_star)
    models = [model.replace(learning_rate=model.learning_rate * factor) for factor in RATES]
    eta = np.array([each.learning_rate for each in models])

    def solve(rtol=TOLERANCE, atol=1e-10):
        return tsode.integrate_many(models, start, ALPHA, rtol=rtol, atol=atol)

    first, _, found = timed(solve)
    exact = overlaps(solve(1e-13, 1e-15))
    error, contestants = deviation(overlaps(found), exact), [solve]
    if diffrax_peer:
        diffrax = diffrax_peer.solver(model, start, ALPHA, many=True)
        compiling, _, _ = timed(lambda: diffrax(eta, 1e-3), repeat=1)
        rtol, other = of_equal_error(lambda rtol: diffrax(eta, rtol), error, exact)
        contestants.append(lambda: diffrax(eta, rtol))
    times = quickest(contestants, 10, CPU)
    case, each = f"({p}, {p_star}) 256 learning rates:", 1e3 / len(models)
    table.add(f"{case} integrate_many", each * times[0], "ms each", f"{error:.0e}", "one thread", first)
    if diffrax_peer:
        note = f"{times[1] / times[0]:.2f} x integrate_many's time; rtol {rtol:.0e}"
        table.add(f"{case} diffrax, jit(vmap)", each * times[1], "ms each", f"{other:.0e}", note, compiling)


def scan(table):
    """The trajectories of the scan in scans.py, without the scan."""
    models = [tsode.TeacherStudent(p, 2, eta) for p in range(1, 9) for eta in np.linspace(0.02, 0.2, 1250)]
    starts = [tsode.Overlaps.random(model, N=1000, rng=0) for model in models]

    def solve(threads):
        numba.set_num_threads(threads)
        tsode.integrate_many(models, starts, np.linspace(0.0, 100.0, 101))

    cpu, clock = (quickest([lambda: solve(1), lambda: solve(2)], 5, of) for of in (CPU, time.perf_counter))
    numba.set_num_threads(1)
    note = "p = 1 to 8, p* = 2, alpha to 100, 101 times, rtol 1e-8"
    table.add("10 000 trajectories, one thread", cpu[0], "s of CPU", "", note)
    table.add("10 000 trajectories, two threads", cpu[1], "s of CPU", "", "of both")
    table.add("10 000 trajectories, one thread", clock[0], "s", "", "by the clock")
    table.add(
        "10 000 trajectories, two threads", clock[1], "s", "", f"by the clock, {clock[0] / clock[1]:.2f} x faster"
    )


def gradients(table, p, p_star, pieces=32):
    """Derivatives of the last loss with respect to the learning rate in each of 32 pieces of the time."""
    model, start = pair(p, p_star)
    alpha, eta = np.linspace(0, END, pieces + 1), np.full(pieces, model.learning_rate)

    def adjoint(rtol=1e-8, atol=1e-10):
        return tsode.gradient(model, start, alpha, eta, rtol=rtol, atol=atol).learning_rates

    def loss(eta):
        here = start
        for rate, piece in zip(eta, pairwise(alpha)):
            ode = tsode.integrate(model.replace(learning_rate=rate), here, piece, rtol=1e-11, atol=1e-13)
            here = ode.overlaps(-1)
        return ode.excess_loss[-1]

    def differences(step=1e-4):
        return np.array([loss(eta + e) - loss(eta - e) for e in step * np.eye(pieces)]) / (2 * step)

    first, _, _ = timed(adjoint)
    exact = adjoint(1e-13, 1e-15)
    contestants = [adjoint, differences]
    if diffrax_peer:
        diffrax = diffrax_peer.gradient(model, start, alpha)
        compiling, _, _ = timed(lambda: diffrax(eta, 1e-8), repeat=1)
        contestants.append(lambda: diffrax(eta, 1e-8))
    times = quickest(contestants, 3, CPU)
    case = f"({p}, {p_star}) {pieces} learning rates' derivatives:"
    rows = [("gradient", "rtol 1e-8; error: largest over the largest derivative", first),
            ("differences of integrate", "rtol 1e-11", None)]  # fmt: skip
    rows += [("diffrax, jit(grad)", "rtol 1e-8", compiling)] if diffrax_peer else []
    for (name, note, first), each, function in zip(rows, times, contestants):
        error = np.abs(function() - exact).max() / np.abs(exact).max()
        table.add(f"{case} {name}", 1e3 * each, "ms", f"{error:.0e}", f"{each / times[0]:.1f} x; {note}", first)


def plain(table, p, p_star):
    """What simulators in the literature do: Euler's fixed steps, of 1e-3 in units of eta alpha / p, in NumPy."""
    model, start = pair(p, p_star)
    width, forms, state = rhs.BLAS_WIDTH, [], pack(start.M, start.Q)
    for rhs.BLAS_WIDTH in (10**9, 1):
        forms.append(rhs.right_hand_side(model))
    rhs.BLAS_WIDTH = width
    loops, products = forms

    def euler():
        y, steps = state.copy(), round(END / (1e-3 * p / model.learning_rate))
        for _ in range(steps):
            y += END / steps * products(0.0, y)
        return y

    def solve(rtol=TOLERANCE, atol=1e-10):
        ode = tsode.integrate(model, start, ALPHA, rtol=rtol, atol=atol)
        return pack(ode.M[-1], ode.Q[-1])

    slow, fast = quickest([euler, solve], 5, CPU)
    error, case = deviation([euler()], [solve(1e-13, 1e-15)]), f"({p}, {p_star})"
    table.add(f"{case} fixed-step Euler, NumPy", 1e3 * slow, "ms", f"{error:.0e}", f"{slow / fast:.0f} x integrate's")
    compiled, slow = quickest([lambda f=f: [f(0.0, state) for _ in range(2000)] for f in forms], 5, CPU)
    error = deviation([loops(0.0, state)], [products(0.0, state)])
    table.add(f"{case} right-hand side, compiled", 1e6 * compiled / 2000, "us", f"{error:.0e}", "difference of the two")
    note = f"{slow / compiled:.1f} x the compiled one"
    table.add(f"{case} right-hand side, NumPy", 1e6 * slow / 2000, "us", "", note)


if __name__ == "__main__":
    numba.set_num_threads(1)
    table = Report(
        "The overlap ODEs, alpha to 60: least CPU time of calls in turn; error at any time, against rtol 1e-13"
    )
    if diffrax_peer is None:
        print("  diffrax is not installed (extra bench): its rows are left out")
    for widths in ((2, 1), (4, 2), (8, 4)):
        one_solution(table, *widths)
    for widths in ((2, 1), (4, 2), (8, 4)):
        many_rates(table, *widths)
    gradients(table, 8, 4)
    plain(table, 8, 4)
    scan(table)
    table.finish()

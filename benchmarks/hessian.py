"""Time of the Hessians beside their error: population spectra, and one product with the empirical Hessian.

    python benchmarks/hessian.py [--repeat 7] [--samples 20000]

One thread. The first call of each compiled function is timed apart; the others are medians of several.
"""

import argparse
import os

os.environ.update(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import time

import numpy as np

import tsode


def timed(function, repeat):
    """Return the result, the time of the first call, and the median time of `repeat` more, in seconds."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return result, times[0], float(np.median(times[1:]))


def loop_over_samples(model, U, X, y, Z):
    """Return H Z by a plain NumPy loop: the sum over samples as the formula has it."""
    v = model.student_readout
    total = np.zeros_like(Z)
    for x, label in zip(X, y):
        lam, zeta = U @ x, Z @ x
        D = v @ lam**2 - label
        total += np.outer(v * (4 * lam * (v @ (lam * zeta)) + 2 * D * zeta), x)
    return total / len(X)


def line(name, first, median, error="", remark=""):
    print(f"{name:<46} {1e3 * first:>10.2f} {1e3 * median:>10.3f}  {error:>9}  {remark}")


def population(repeat):
    model = tsode.TeacherStudent(p=6, p_star=3, learning_rate=0.1)
    saddle, _ = tsode.hessian.gradient_flow_plateau(model)
    solution = tsode.manifold.solution(model)

    def both(N=10**6):
        return [tsode.hessian.population_spectrum(model, point, N) for point in (saddle, solution)]

    _, first, median = timed(both, repeat)
    v, v_star = model.student_readout[0], model.teacher_readout[0]
    error = max(abs(both()[0].lowest + 4 * v * v_star), abs(both()[1].highest - 4 * v * v_star * 5))
    line("population spectra, p = 6, p* = 3, N = 1e6", first, median, f"{error:.1e}", "two, against the closed form")
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)
    W, W_star = tsode.hessian.gradient_flow_plateau(model)[0].realise(14, rng=0)
    H = tsode.hessian.population_operator(model, W, W_star)
    dense, first, median = timed(lambda: np.linalg.eigvalsh(H @ np.eye(56)), repeat)
    found = tsode.hessian.population_spectrum(model, tsode.hessian.gradient_flow_plateau(model)[0], 14).expanded
    line("dense, p = 4, p* = 2, N = 14", first, median, f"{np.abs(dense - found).max():.1e}", "against the reduction")
    W, W_star = np.random.default_rng(0).standard_normal((2, 4, 10**5))
    H = tsode.hessian.population_operator(model, W, W_star[:2])
    z = np.ones(W.size)
    _, first, median = timed(lambda: H @ z, repeat)
    line("population product, p = 4, p* = 2, N = 1e5", first, median)


def empirical(repeat, n, p=4, N=2000):
    model = tsode.TeacherStudent(p=p, p_star=2, learning_rate=0.1)
    rng = np.random.default_rng(0)
    W, W_star = tsode.hessian.gradient_flow_plateau(model)[0].realise(N, rng)
    X, Z = rng.standard_normal((n, N)), rng.standard_normal((p, N))
    y = np.square(X @ W_star.T) @ model.teacher_readout / N
    H = tsode.hessian.empirical_operator(model, W, X, y)
    C = rng.standard_normal((n, p))
    size = f"p = {p}, N = {N}, n = {n}"
    expected, first, loop = timed(lambda: loop_over_samples(model, W / np.sqrt(N), X, y, Z), max(1, repeat // 3))
    line(f"plain loop, {size}", first, loop)
    _, first, bound = timed(lambda: (X @ Z.T, C.T @ X), repeat)
    line(f"two matrix products, {size}", first, bound)
    found, first, product = timed(lambda: H @ Z.ravel(), repeat)
    error = np.abs(found.reshape(Z.shape) - expected).max() / np.abs(expected).max()
    remark = f"{loop / product:.1f} x faster than the loop, {product / bound:.2f} x the two products"
    line(f"empirical product, {size}", first, product, f"{error:.1e}", remark)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--samples", type=int, default=20_000)
    arguments = parser.parse_args()
    print(f"{'':<46} {'first/ms':>10} {'median/ms':>10}  {'error':>9}")
    population(arguments.repeat)
    empirical(arguments.repeat, arguments.samples)

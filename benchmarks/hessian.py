"""How fast are the Hessians: the population's spectra at any N, and one product with the empirical one?"""

from report import Report, paired, timed

import numpy as np

import tsode


def loop_over_samples(model, U, X, y, Z):
    """Return H Z by a plain NumPy loop: the sum over samples as the formula has it."""
    v = model.student_readout
    total = np.zeros_like(Z)
    for x, label in zip(X, y):
        lam, zeta = U @ x, Z @ x
        D = v @ lam**2 - label
        total += np.outer(v * (4 * lam * (v @ (lam * zeta)) + 2 * D * zeta), x)
    return total / len(X)


def population(table):
    model = tsode.TeacherStudent(p=6, p_star=3, learning_rate=0.1)
    saddle, _ = tsode.hessian.gradient_flow_plateau(model)
    solution = tsode.manifold.solution(model)

    def both(N=10**6):
        return [tsode.hessian.population_spectrum(model, point, N) for point in (saddle, solution)]

    first, median, spectra = timed(both)
    v, v_star = model.student_readout[0], model.teacher_readout[0]
    error = max(abs(spectra[0].lowest + 4 * v * v_star), abs(spectra[1].highest - 4 * v * v_star * 5))
    table.add(
        "two spectra, p = 6, p* = 3, N = 1e6", 1e3 * median, "ms", f"{error:.0e}", "against the closed form", first
    )
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)
    W, W_star = tsode.hessian.gradient_flow_plateau(model)[0].realise(14, rng=0)
    H = tsode.hessian.population_operator(model, W, W_star)
    first, median, dense = timed(lambda: np.linalg.eigvalsh(H @ np.eye(56)))
    found = tsode.hessian.population_spectrum(model, tsode.hessian.gradient_flow_plateau(model)[0], 14).expanded
    error = np.abs(dense - found).max()
    table.add("dense, p = 4, p* = 2, N = 14", 1e3 * median, "ms", f"{error:.0e}", "against the reduction", first)
    W, W_star = np.random.default_rng(0).standard_normal((2, 4, 10**5))
    H = tsode.hessian.population_operator(model, W, W_star[:2])
    z = np.ones(W.size)
    first, median, _ = timed(lambda: H @ z)
    table.add("population product, p = 4, p* = 2, N = 1e5", 1e3 * median, "ms", first=first)


def empirical(table, n=20_000, p=4, N=2000):
    model = tsode.TeacherStudent(p=p, p_star=2, learning_rate=0.1)
    rng = np.random.default_rng(0)
    W, W_star = tsode.hessian.gradient_flow_plateau(model)[0].realise(N, rng)
    X, Z = rng.standard_normal((n, N)), rng.standard_normal((p, N))
    y = np.square(X @ W_star.T) @ model.teacher_readout / N
    H = tsode.hessian.empirical_operator(model, W, X, y)
    C = rng.standard_normal((n, p))
    size = f"p = {p}, N = {N}, n = {n}"
    expected = loop_over_samples(model, W / np.sqrt(N), X, y, Z)
    first, _, found = timed(lambda: H @ Z.ravel(), repeat=1)
    error = np.abs(found.reshape(Z.shape) - expected).max() / np.abs(expected).max()
    product, bound, loop = paired([
        lambda: H @ Z.ravel(),
        lambda: (X @ Z.T, C.T @ X),
        lambda: loop_over_samples(model, W / np.sqrt(N), X, y, Z),
    ])  # fmt: skip
    table.add(f"empirical product, {size}", 1e3 * product, "ms", f"{error:.0e}", "against the plain loop", first)
    table.add(
        f"two matrix products, {size}", 1e3 * bound, "ms", "", f"{product / bound:.2f} x is the empirical product"
    )
    table.add(f"plain loop over samples, {size}", 1e3 * loop, "ms", "", f"{loop / product:.1f} x the empirical product")


if __name__ == "__main__":
    report = Report("Hessians, one thread")
    population(report)
    empirical(report)
    report.finish()

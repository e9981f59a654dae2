import tracemalloc

import numpy as np
import pytest
from hessian_points import dense_samples, numerical_hessian, random_points, sample_loss, spherical
from scipy.sparse.linalg import eigsh, lobpcg
from twins import python_twin

import tsode
from tsode import hessian
from tsode.hessian.empirical import product_kernel

CONSTRAINTS = ("free", "spherical")


def samples(model, W_star, n, rng):
    X = rng.standard_normal((n, W_star.shape[1]))
    return X, np.square(X @ W_star.T) @ model.teacher_readout / W_star.shape[1] + 0.3 * rng.standard_normal(n)


def cases(count, N, n, seed, constraint):
    rng = np.random.default_rng(seed)
    for model, W, W_star in random_points(count, N, seed, constraint):
        yield model, W, *samples(model, W_star, n, rng)


def at_the_plateau(p, p_star, N, n, seed=0):
    model = tsode.TeacherStudent(p, p_star, 0.1)
    rng = np.random.default_rng(seed)
    W, W_star = hessian.gradient_flow_plateau(model)[0].realise(N, rng)
    X = rng.standard_normal((n, N))
    return model, W, W_star, X, np.square(X @ W_star.T) @ model.teacher_readout / N


# ---- the formula, from the loss itself


def test_dense_formula_against_differences_of_the_loss():
    for model, W, X, y in cases(3, 4, 9, 1, "free"):
        numerical = numerical_hessian(lambda u, m=model, X=X, y=y: sample_loss(m, u, X, y), W / 2)
        dense = dense_samples(model, W, X, y)
        np.testing.assert_allclose(dense, numerical, atol=2e-7 * np.abs(dense).max())


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("n", [1, 7, 40])
def test_operator_gradient_and_spectrum_against_dense(constraint, n):
    for model, W, X, y in cases(10, 9, n, 2, constraint):
        U, free = W / 3, model.replace(constraint="free")
        H, g = dense_samples(model, W, X, y), hessian.empirical_gradient(free, W, X, y)
        scale = np.abs(H).max()
        np.testing.assert_allclose(hessian.empirical_operator(free, W, X, y) @ np.eye(W.size), H, atol=1e-12 * scale)
        lam = X @ U.T
        plain = sum(np.outer(2 * model.student_readout * a, x) * (model.student_readout @ a**2 - b)
                    for a, x, b in zip(lam, X, y)) / n  # fmt: skip
        np.testing.assert_allclose(g, plain, atol=1e-11 * (1 + np.abs(plain).max()))
        found = np.linalg.eigvalsh(hessian.empirical_operator(model, W, X, y) @ np.eye(W.size))
        if model.spherical:
            values = np.linalg.eigvalsh(spherical(H, U, g))
            np.testing.assert_allclose(found, np.sort([*values, *np.zeros(model.p)]), atol=1e-11 * scale)
        else:
            values = np.linalg.eigvalsh(H)
            np.testing.assert_allclose(found, values, atol=1e-11 * scale)
        spectrum = hessian.empirical_spectrum(model, W, X, y)
        np.testing.assert_allclose(spectrum.expanded, values, atol=1e-10 * scale)
        norm = np.linalg.norm(hessian.empirical_gradient(model, W, X, y))
        assert spectrum.gradient_norm == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize("tile", [1, 64, 10**6])
@pytest.mark.parametrize("n", [1, 8, 21])
def test_kernel_against_its_python_twin(tile, n):
    rng = np.random.default_rng(3)
    Z, X = rng.standard_normal((3, 11)), rng.standard_normal((n, 11))
    J, R = rng.standard_normal((2, n, 3))
    compiled = product_kernel(Z, X, J, R, tile)
    np.testing.assert_allclose(compiled, python_twin(product_kernel)(Z, X, J, R, tile), rtol=1e-12, atol=1e-14)
    C = J * np.sum(J * (X @ Z.T), axis=1, keepdims=True) + R * (X @ Z.T)
    np.testing.assert_allclose(compiled, C.T @ X / n, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_operator_is_self_adjoint(constraint):
    rng = np.random.default_rng(4)
    for model, W, X, y in cases(5, 50, 120, 4, constraint):
        H = hessian.empirical_operator(model, W, X, y)
        a, b = rng.standard_normal((2, W.size))
        assert abs(a @ (H @ b) - b @ (H @ a)) <= 1e-12 * np.linalg.norm(a) * np.linalg.norm(H @ b)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_taylor_remainder_has_slope_three(constraint):
    rng = np.random.default_rng(5)
    for model, W, X, y in cases(5, 10, 25, 5, constraint):
        U = W / np.sqrt(10)
        H, g = hessian.empirical_operator(model, W, X, y), hessian.empirical_gradient(model, W, X, y)
        Z = rng.standard_normal(U.shape)
        if model.spherical:
            Z -= np.sum(Z * U, axis=1, keepdims=True) * U
        Z /= np.linalg.norm(Z)
        steps, remainder = 10.0 ** -np.linspace(2.5, 3.5, 5), []
        for step in steps:
            moved = U + step * Z
            if model.spherical:
                moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            second = step * np.sum(g * Z) + step**2 / 2 * (Z.ravel() @ (H @ Z.ravel()))
            remainder.append(abs(sample_loss(model, moved, X, y) - sample_loss(model, U, X, y) - second))
        assert np.polyfit(np.log(steps), np.log(remainder), 1)[0] == pytest.approx(3.0, abs=0.1)


# ---- use with SciPy


def test_extreme_eigenvalues_by_eigsh_and_lobpcg():
    model, W, _, X, y = at_the_plateau(3, 1, 60, 3000)
    H = hessian.empirical_operator(model, W, X, y)
    dense = hessian.empirical_spectrum(model, W, X, y).expanded
    lowest = eigsh(H, 3, which="SA", return_eigenvectors=False, v0=np.ones(180))
    np.testing.assert_allclose(np.sort(lowest), dense[:3], atol=1e-9)
    start = np.random.default_rng(0).standard_normal((180, 3))
    found, _ = lobpcg(H, start, largest=False, tol=1e-6, maxiter=300)
    np.testing.assert_allclose(np.sort(found), dense[:3], atol=1e-6)


def test_memory_is_that_of_weights_and_preactivations():
    model, W, _, X, y = at_the_plateau(4, 2, 500, 8000)
    z = np.ones(W.size)
    hessian.empirical_operator(model, W, X, y) @ z
    tracemalloc.start()
    hessian.empirical_operator(model, W, X, y) @ z
    _, peak = tracemalloc.get_traced_memory()  # of NumPy; the kernel holds p N and a few rows' preactivations
    tracemalloc.stop()
    assert peak < 8 * (4 * 8000 * 4 + 10 * 2000)
    assert peak < X.nbytes / 20


def test_inputs_are_not_copied():
    model, W, _, X, y = at_the_plateau(2, 1, 20, 50)
    H = hessian.empirical_operator(model, W, X, y)
    before = H @ np.ones(40)
    X *= 2.0
    assert not np.allclose(H @ np.ones(40), before)  # the operator sees the caller's array


def test_other_layouts_and_integers_are_taken():
    model, W, _, X, y = at_the_plateau(2, 1, 20, 50)
    expected = hessian.empirical_operator(model, W, X, y) @ np.ones(40)
    for other in (np.asfortranarray(X), X.tolist(), np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_allclose(hessian.empirical_operator(model, W, other, y) @ np.ones(40), expected)
    whole = np.rint(3 * X).astype(int)
    found = hessian.empirical_operator(model, W, whole, y) @ np.ones(40, dtype=int)
    np.testing.assert_allclose(found, hessian.empirical_operator(model, W, whole * 1.0, y) @ np.ones(40))


# ---- the limit of many samples


def test_operator_approaches_the_population_as_the_root_of_samples():
    model, W, W_star, X, y = at_the_plateau(3, 2, 20, 64_000)
    limit = hessian.population_operator(model, W, W_star) @ np.eye(60)
    sizes = np.array([250, 1000, 4000, 16_000, 64_000])
    errors = [np.linalg.norm(hessian.empirical_operator(model, W, X[:n], y[:n]) @ np.eye(60) - limit) for n in sizes]
    # The Frobenius norm averages 3600 entries, so each error is known to a few percent and the slope to 0.02.
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] == pytest.approx(-0.5, abs=0.06)


# ---- spectral density


def test_density_moments_against_dense_eigenvalues():
    model, W, _, X, y = at_the_plateau(4, 2, 80, 640)
    H = hessian.empirical_operator(model, W, X, y)
    values = hessian.empirical_spectrum(model, W, X, y).expanded
    estimate = hessian.spectral_density(H, steps=60, probes=30, rng=1)
    np.testing.assert_allclose(estimate.weights.sum(axis=1), 1.0, atol=1e-12)
    for function in (lambda x: x, np.square, lambda x: np.exp(-x), lambda x: x**4):
        mean, error = estimate.mean(function)
        assert abs(mean - function(values).mean()) < 5 * error  # 5 standard errors, 29 degrees of freedom: 3e-5
    x = np.linspace(-2, 3, 400)
    width = 0.1
    exact = np.mean(np.exp(-(((x[:, None] - values) / width) ** 2) / 2), axis=1) / (width * np.sqrt(2 * np.pi))
    assert np.abs(estimate.density(x, width) - exact).max() < 0.05 * exact.max()


def test_density_without_reorthogonalisation_keeps_the_weights_of_spikes():
    # 200 steps on 4 distinct eigenvalues: Lanczos breaks down after 4, or makes copies whose weights add up.
    model = tsode.TeacherStudent(4, 2, 0.1)
    W, W_star = hessian.gradient_flow_plateau(model)[0].realise(100, rng=0)
    estimate = hessian.spectral_density(hessian.population_operator(model, W, W_star), steps=200, probes=50, rng=2)
    for value, count in ((-0.5, 8), (0.0, 382), (1 / 3, 9), (1.0, 1)):
        mean, error = estimate.mean(lambda x, value=value: (np.abs(x - value) < 1e-6).astype(float))
        assert abs(400 * mean - count) < 5 * 400 * error


def test_density_takes_matrices_and_repeats_itself():
    matrix = np.diag([1.0, 2.0, 2.0, 3.0])
    first, second = (hessian.spectral_density(matrix, rng=7) for _ in range(2))
    np.testing.assert_array_equal(first.nodes, second.nodes)
    assert first.dimension == 4
    assert np.isnan(hessian.spectral_density(matrix, probes=1).mean(np.square)[1])
    assert "Lanczos" in repr(first)
    assert "<table>" in first._repr_html_()


# ---- bad input


def test_bad_input():
    model, W, _, X, y = at_the_plateau(2, 1, 20, 50)
    holed = X.copy()
    holed[3, 4] = np.nan
    for error, match, arguments in (
        (TypeError, "`model`", (None, W, X, y)),
        (ValueError, "`W`", (model, W[:1], X, y)),
        (ValueError, "`X`", (model, W, X[:, :10], y)),
        (ValueError, "`X`", (model, W, X[:0], y[:0])),
        (ValueError, r"`X` must be finite, but has nan at index \(3, 4\)", (model, W, holed, y)),
        (TypeError, "`X`", (model, W, X.astype(complex), y)),
        (TypeError, "`X`", (model, W, "inputs", y)),
        (ValueError, "`y`", (model, W, X, y[1:])),
        (ValueError, "`W` must have rows of squared norm", (model.replace(constraint="spherical"), W, X, y)),
    ):
        for function in (hessian.empirical_operator, hessian.empirical_gradient, hessian.empirical_spectrum):
            with pytest.raises(error, match=match):
                function(*arguments)


def test_bad_input_of_the_density():
    with pytest.raises(TypeError, match="`operator`"):
        hessian.spectral_density("H")
    with pytest.raises(ValueError, match="`operator`"):
        hessian.spectral_density(np.ones((2, 3)))
    with pytest.raises(ValueError, match="`steps`"):
        hessian.spectral_density(np.eye(3), steps=0)
    with pytest.raises(ValueError, match="`probes`"):
        hessian.spectral_density(np.eye(3), probes=0)

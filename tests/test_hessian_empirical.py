"""The Hessian on samples: formula, operator, use with SciPy, and the limit of many samples."""

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
            radial = np.zeros((model.p, model.p, 9))
            radial[range(model.p), range(model.p)] = U
            operator = hessian.empirical_operator(model, W, X, y)
            np.testing.assert_allclose(operator @ radial.reshape(model.p, -1).T, 0, atol=1e-11 * scale)
            g = g - np.sum(g * U, axis=1, keepdims=True) * U
        else:
            values = np.linalg.eigvalsh(H)
            np.testing.assert_allclose(found, values, atol=1e-11 * scale)
        spectrum = hessian.empirical_spectrum(model, W, X, y)
        np.testing.assert_allclose(spectrum.expanded, values, atol=1e-10 * scale)
        np.testing.assert_allclose(hessian.empirical_gradient(model, W, X, y), g, atol=1e-11 * (1 + np.abs(g).max()))
        assert spectrum.gradient_norm == pytest.approx(np.linalg.norm(g), rel=1e-9)


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


def test_tolerance_is_kept():
    model, W, _, X, y = at_the_plateau(2, 1, 6, 5)
    assert hessian.empirical_spectrum(model, W, X, y, tolerance=1e-7).tolerance == 1e-7


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


@pytest.mark.slow
def test_other_layouts_and_integers_are_taken():
    model, W, _, X, y = at_the_plateau(2, 1, 20, 50)
    expected = hessian.empirical_operator(model, W, X, y) @ np.ones(40)
    for other in (np.asfortranarray(X), X.tolist(), np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_allclose(hessian.empirical_operator(model, W, other, y) @ np.ones(40), expected)
    gradient = hessian.empirical_gradient(model, W, X, y)
    np.testing.assert_array_equal(hessian.empirical_gradient(model, W, X.tolist(), y.tolist()), gradient)
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
        (ValueError, "`X` must be finite, but has inf", (model, W, np.where(np.isclose(X, X[1, 2]), np.inf, X), y)),
        (TypeError, "`X` must be an array of real numbers", (model, W, X.astype(complex), y)),
        (TypeError, "`X`", (model, W, "inputs", y)),
        (ValueError, "`y`", (model, W, X, y[1:])),
        (ValueError, "`W` must have rows of squared norm", (model.replace(constraint="spherical"), W, X, y)),
    ):
        for function in (hessian.empirical_operator, hessian.empirical_gradient, hessian.empirical_spectrum):
            with pytest.raises(error, match=match):
                function(*arguments)


def test_inputs_of_wrong_shape():
    model, W, _, X, y = at_the_plateau(2, 1, 6, 5)
    for wrong in (X[0], X[:, :, None], X[:, :5], X[:0], np.ones((5, 6, 6))):
        with pytest.raises(ValueError, match=r"`X` must have shape \(n, N\) = \(at least 1, 6\), but has shape"):
            hessian.empirical_gradient(model, W, wrong, y[: len(wrong)])
    with pytest.raises(TypeError, match="`X` must be an array of real numbers"):
        hessian.empirical_gradient(model, W, X.astype(object), y)


# ---- kernels


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

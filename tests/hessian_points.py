"""Points of the loss landscape and the plainest Hessians there are, shared by the tests of the Hessians."""

import numpy as np

from tsode import Overlaps, TeacherStudent


def random_points(count, N, seed, constraint="free"):
    """Yield (model, W, W_star) with random widths, readouts of any sign, teacher overlap and rank of the span."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        p, p_star = (int(n) for n in rng.integers(1, 5, size=2))
        W, W_star = rng.standard_normal((p, N)), rng.standard_normal((p_star, N))
        kind = rng.integers(4)
        if kind == 1:  # the student inside the teacher's span
            W = rng.standard_normal((p, p_star)) @ W_star
        elif kind == 2:  # a teacher of rank 1
            W_star = rng.standard_normal((p_star, 1)) @ W_star[:1]
        elif kind == 3:  # equal rows of the student
            W[-1] = W[0]
        if constraint == "spherical":
            W *= np.sqrt(N) / np.linalg.norm(W, axis=1, keepdims=True)
        model = TeacherStudent(
            p=p,
            p_star=p_star,
            learning_rate=0.1,
            student_readout=rng.standard_normal(p),
            teacher_readout=rng.standard_normal(p_star),
            teacher_overlap=W_star @ W_star.T / N,
            constraint=constraint,
        )
        yield model, W, W_star


def population_loss(model, U, U_star):
    """Return t^2/2 + tr B^2 from the N x N matrix B."""
    B = U.T @ np.diag(model.student_readout) @ U - U_star.T @ np.diag(model.teacher_readout) @ U_star
    return np.trace(B) ** 2 / 2 + np.trace(B @ B)


def sample_loss(model, U, X, y):
    """Return the mean of (yhat - y)^2 / 2, sample by sample."""
    total = 0.0
    for x, label in zip(X, y):
        total += (sum(v * (u @ x) ** 2 for v, u in zip(model.student_readout, U)) - label) ** 2 / 2
    return total / len(X)


def dense_population(model, W, W_star):
    """Return the p N x p N Hessian entry by entry from its formula; no reduction, no matrix products."""
    p, N = W.shape
    U, U_star, v = W / np.sqrt(N), W_star / np.sqrt(N), model.student_readout
    B = sum(v[k] * np.outer(U[k], U[k]) for k in range(p))
    B = B - sum(model.teacher_readout[r] * np.outer(U_star[r], U_star[r]) for r in range(model.p_star))
    H = np.zeros((p, N, p, N))
    for k in range(p):
        for l in range(p):
            block = np.outer(U[k], U[l]) + np.outer(U[l], U[k]) + (U[k] @ U[l]) * np.eye(N)
            H[k, :, l] = 4 * v[k] * v[l] * block
        H[k, :, k] += 2 * v[k] * (np.trace(B) * np.eye(N) + 2 * B)
    return H.reshape(p * N, p * N)


def dense_samples(model, W, X, y):
    """Return the Hessian of the loss on samples as a sum over samples of p N x p N matrices."""
    p, N = W.shape
    v, U = model.student_readout, W / np.sqrt(N)
    H = np.zeros((p * N, p * N))
    for x, label in zip(X, y):
        lam = U @ x
        D = v @ lam**2 - label
        slope = np.kron(2 * v * lam, x)
        H += np.outer(slope, slope) + np.kron(np.diag(2 * v * D), np.outer(x, x))
    return H / len(X)


def numerical_hessian(loss, U, step=1e-3):
    """Return the Hessian of a quartic `loss` by central differences of fourth order, each entry on its own."""
    n = U.size
    H = np.zeros((n, n))

    def at(i, j, a, b):
        moved = U.ravel().copy()
        moved[i] += a * step
        moved[j] += b * step
        return loss(moved.reshape(U.shape))

    def mixed(i, j, s):
        return (at(i, j, s, s) - at(i, j, s, -s) - at(i, j, -s, s) + at(i, j, -s, -s)) / (2 * s * step) ** 2

    for i in range(n):
        for j in range(n):
            H[i, j] = (4 * mixed(i, j, 1) - mixed(i, j, 2)) / 3
    return H


def spherical(H, U, gradient):
    """Return the Riemannian Hessian of the product of spheres in an orthonormal basis of the tangent vectors."""
    p, N = U.shape
    normals = np.zeros((p, p * N))
    for k in range(p):
        normals[k, k * N : (k + 1) * N] = U[k] / np.linalg.norm(U[k])
    tangent = np.linalg.svd(normals)[2][p:].T
    c = np.repeat([gradient[k] @ U[k] / (U[k] @ U[k]) for k in range(p)], N)
    return tangent.T @ (H - np.diag(c)) @ tangent


def overlaps_of(model, W, W_star):
    """Return the Overlaps of weights, with exactly the model's P."""
    N = W.shape[1]
    return Overlaps(W @ W_star.T / N, W @ W.T / N, model.teacher_overlap)

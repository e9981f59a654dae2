"""The plainest possible versions of what the package computes fast: nothing here is shared with it."""

from itertools import pairwise

import numpy as np


def joint_moments(v, v_star, M, Q, P, noise_variance):
    """E[D z z^T] and E[D^2 z z^T] for the joint z, straight from the formulas with full matrices."""
    omega = np.block([[Q, M], [M.T, P]])
    A = np.diag(np.concatenate([v, -v_star])) @ omega
    t, s = np.trace(A), np.trace(A @ A)
    first = t * omega + 2 * omega @ A
    second = (t**2 + 2 * s + noise_variance) * omega + 4 * t * omega @ A + 8 * omega @ A @ A
    return first, second


def derivatives(model, M, Q, gradient_flow=False):
    """dM/dalpha and dQ/dalpha, term by term."""
    v, eta, p = model.student_readout, model.learning_rate, model.p
    first, second = joint_moments(v, model.teacher_readout, M, Q, model.teacher_overlap, model.noise_variance)
    V = np.diag(v)
    dM = -2 * eta * V @ first[:p, p:]
    dQ = -2 * eta * (V @ first[:p, :p] + first[:p, :p] @ V)
    if not gradient_flow:
        dQ = dQ + 4 * eta**2 * V @ second[:p, :p] @ V
    if model.spherical:
        g = np.diag(dQ).copy()
        for k in range(p):
            dM[k] -= M[k] * g[k] / 2
        dQ = dQ - Q * (g[:, None] + g[None, :]) / 2
    return dM, dQ


def runge_kutta(model, start, alpha, steps, gradient_flow=False):
    """Classical fourth-order Runge-Kutta with `steps` equal steps between two times."""
    M, Q = start.M.copy(), start.Q.copy()
    Ms, Qs = [M], [Q]
    for a, b in pairwise(alpha):
        h = (b - a) / steps
        for _ in range(steps):
            k1 = derivatives(model, M, Q, gradient_flow)
            k2 = derivatives(model, M + h / 2 * k1[0], Q + h / 2 * k1[1], gradient_flow)
            k3 = derivatives(model, M + h / 2 * k2[0], Q + h / 2 * k2[1], gradient_flow)
            k4 = derivatives(model, M + h * k3[0], Q + h * k3[1], gradient_flow)
            M = M + h / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0])
            Q = Q + h / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])
        Ms.append(M)
        Qs.append(Q)
    return np.array(Ms), np.array(Qs)


def sgd(model, W, W_star, rows, label_noise=None):
    """One-pass SGD sample by sample, as the definition says; returns the weights after every sample."""
    W, N = W.copy(), W.shape[1]
    history = [W.copy()]
    for n, x in enumerate(rows):
        lam, mu = W @ x / np.sqrt(N), W_star @ x / np.sqrt(N)
        y = np.sum(model.teacher_readout * mu**2) + (0.0 if label_noise is None else label_noise[n])
        D = np.sum(model.student_readout * lam**2) - y
        for k in range(model.p):
            W[k] -= model.learning_rate * 2 * model.student_readout[k] * D * lam[k] * x / np.sqrt(N)
            if model.spherical:
                W[k] *= np.sqrt(N) / np.linalg.norm(W[k])
        history.append(W.copy())
    return np.array(history)


def train(model, W, W_star, rows, label_noise):
    """SGD of any student with all that a model says of its steps; returns W and v after every whole batch."""
    W, v, N, B = W.copy(), model.student_readout.copy(), W.shape[1], model.batch_size
    velocity, readout_velocity = np.zeros_like(W), np.zeros_like(v)
    history = [(W.copy(), v.copy())]
    for first in range(0, len(rows) - B + 1, B):
        gradient, readout_gradient = np.zeros_like(W), np.zeros_like(v)
        for x, xi in zip(rows[first : first + B], label_noise[first : first + B]):
            lam, mu = W @ x / np.sqrt(N), W_star @ x / np.sqrt(N)
            D = v @ model.activation(lam) - model.teacher_readout @ model.teacher_activation(mu) - xi
            gradient += np.outer(D * v * model.activation.slope(lam), x) / np.sqrt(N) / B
            readout_gradient += D * model.activation(lam) / B
        velocity = model.momentum * velocity - model.learning_rate * gradient
        readout_velocity = model.momentum * readout_velocity - model.readout_learning_rate / N * readout_gradient
        W = (1 - model.weight_decay / N) * W + velocity
        if model.readout_learning_rate:
            v = (1 - model.readout_decay / N) * v + readout_velocity
        if model.spherical:
            W *= np.sqrt(N) / np.linalg.norm(W, axis=1, keepdims=True)
        history.append((W.copy(), v.copy()))
    return history

"""The overlap ODEs of the quadratic activation in JAX, in double precision, solved by diffrax's Dopri8."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # one thread, before JAX is imported

import diffrax
import jax
import jax.numpy as jnp

import numpy as np

jax.config.update("jax_enable_x64", True)


def moments(model, M, Q):
    """Return Omega, A = diag(v, -v*) Omega, tr A and tr A^2."""
    omega = jnp.block([[Q, M], [M.T, model.teacher_overlap]])
    A = jnp.concatenate([model.student_readout, -model.teacher_readout])[:, None] * omega
    return omega, A, jnp.trace(A), jnp.sum(A * A.T)


def rates(model, eta, y):
    """Return dM/dalpha and dQ/dalpha at one learning rate."""
    p, v = model.p, model.student_readout
    omega, A, t, s = moments(model, *y)
    product = _times(omega[:p], A)
    F = -2 * eta * v[:, None] * (t * omega[:p] + 2 * product)
    second = (t**2 + 2 * s + model.noise_variance) * y[1] + 4 * t * product[:, :p] + 8 * _times(product, A[:, :p])
    return F[:, p:], F[:, :p] + F[:, :p].T + 4 * eta**2 * v[:, None] * v * second


def _times(a, b):
    """Return a b; as a sum XLA fuses it with what stands around it, which here is up to 1.4 times faster than a @ b."""
    return jnp.sum(a[:, :, None] * b, axis=1)


def _solve(model, start, alpha, at, eta, rtol, save, jumps=None):
    """Solve with learning rate at(eta, time); tolerances in the proportion of tsode's defaults."""
    control = diffrax.PIDController(rtol, rtol / 100)
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda time, y, eta: rates(model, at(eta, time), y)),
        diffrax.Dopri8(), alpha[0], alpha[-1], None, (jnp.asarray(start.M), jnp.asarray(start.Q)), eta, saveat=save,
        stepsize_controller=control if jumps is None else diffrax.ClipStepSizeController(control, jump_ts=jumps),
    ).ys  # fmt: skip


def solver(model, start, alpha, many=False):
    """Return the compiled function (eta, rtol) -> (M, Q) at all times, of one learning rate or of many."""

    def solve(eta, rtol):
        save = diffrax.SaveAt(ts=jnp.asarray(alpha))
        return _solve(model, start, alpha, lambda eta, time: eta, eta, rtol, save)

    return _finished(jax.jit(jax.vmap(solve, (0, None)) if many else solve))


def gradient(model, start, alpha):
    """Return the compiled function (rates of the pieces, rtol) -> derivatives of the last loss."""
    jumps = jnp.asarray(alpha[1:-1])

    def loss(eta, rtol):
        def at(eta, time):
            return eta[jnp.searchsorted(jumps, time, side="right")]

        ends = _solve(model, start, alpha, at, eta, rtol, diffrax.SaveAt(t1=True), jumps)
        _, _, t, s = moments(model, ends[0][0], ends[1][0])
        return (t**2 + 2 * s) / 2

    return _finished(jax.jit(jax.grad(loss)))


def _finished(function):
    """Return the function with its results as NumPy's arrays: JAX returns before it has computed."""
    return lambda *given: jax.tree.map(np.asarray, function(*given))

r"""Averages as compiled loops that are called by their address, so that one right-hand side serves all of them.

A family of activations has two plain functions, which take Omega, u = (v, -v*), the variance of the noise, the
numbers that tell the activations apart, and what to write to: ``drift`` writes
:math:`E[\partial (D s'_k) / \partial z_j]`, shape (p, p + p*), and ``squared`` writes :math:`E[D^2 s'_k s'_l]`, shape
(p, p). Both become C functions, compiled once for all members of the family. Their addresses stand among the constants.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from .._compiled import jitable, with_name_of
from .error_averages import Averages

__all__ = ["BY_ADDRESS", "Loops"]

NUMBERS = types.CPointer(types.float64)
SIGNATURE = types.void(NUMBERS, NUMBERS, types.float64, NUMBERS, NUMBERS, *[types.intp] * 4)
Average = Callable[[np.ndarray, np.ndarray, float, np.ndarray, np.ndarray], None]


class Loops:
    """The averages of a family of activations.

    Parameters
    ----------
    drift, squared : callable
        Jitable functions (omega, u, noise_variance, numbers, out).
    """

    def __init__(self, drift: Average, squared: Average) -> None:
        self.drift, self.squared = drift, squared

    def constants(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """Return what the right-hand side reads after the readouts: addresses, which are below 2^53, and numbers."""
        if numba.config.DISABLE_JIT:
            return tuple(numbers)
        return (float(_compiled(self.drift).address), float(_compiled(self.squared).address), *numbers)

    def averages(self) -> Averages:
        """Return the Averages, the same for all; with the compiler off those of the plain functions."""
        return _uncompiled(self) if numba.config.DISABLE_JIT else BY_ADDRESS

    def error_squared(
        self, omega: np.ndarray, v: np.ndarray, v_star: np.ndarray, noise_variance: float, numbers: Sequence[float]
    ) -> np.ndarray:
        """Return E[D^2 s'_k s'_l], shape (p, p)."""
        u, found = np.concatenate([v, -np.asarray(v_star, dtype=np.float64)]), np.full((len(v), len(v)), np.nan)
        omega, held = np.array(omega, dtype=np.float64), np.array(numbers, dtype=np.float64)
        if not np.isfinite(omega).all():  # a solution that diverges
            return found
        if numba.config.DISABLE_JIT:
            self.squared(omega, u, noise_variance, held, found)
            return found
        function = _compiled(self.squared).ctypes
        pointers = [array.ctypes.data_as(kind) for array, kind in zip((omega, u), function.argtypes)]
        held_pointer, found_pointer = (array.ctypes.data_as(function.argtypes[3]) for array in (held, found))
        function(*pointers, noise_variance, held_pointer, found_pointer, *found.shape, len(u), len(held))
        return found


@functools.cache
def _compiled(function):
    """Return the C function, which stays where it is."""

    @with_name_of(function)
    def entry(omega, u, noise_variance, numbers, out, rows, columns, n, count):
        function(carray(omega, (n, n)), carray(u, (n,)), noise_variance, carray(numbers, (count,)),
                 carray(out, (rows, columns)))  # fmt: skip

    return numba.cfunc(SIGNATURE, cache=True)(entry)


@intrinsic
def call(context, pointer, omega, u, noise_variance, numbers, out):
    """Call a C function of `_compiled`."""

    def generate(context, builder, signature, values):
        number, whole = ir.DoubleType(), ir.IntType(64)
        omega, u, numbers, out = (
            context.make_array(signature.args[i])(context, builder, values[i]) for i in (1, 2, 4, 5)
        )
        kinds = [number.as_pointer()] * 2 + [number] + [number.as_pointer()] * 2 + [whole] * 4
        rows, columns = (builder.extract_value(out.shape, i) for i in (0, 1))
        n, count = (builder.extract_value(array.shape, 0) for array in (u, numbers))
        builder.call(
            builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer()),
            [omega.data, u.data, values[3], numbers.data, out.data, rows, columns, n, count],
        )
        return context.get_dummy_value()

    return types.void(types.int64, omega, u, types.float64, numbers, out), generate


@jitable
def finite(omega: np.ndarray) -> bool:
    """Return whether no solution has diverged."""
    total = 0.0
    for i in range(omega.shape[0]):
        for j in range(omega.shape[0]):
            total += abs(omega[i, j])
    return total < np.inf


@jitable
def drift(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray) -> None:
    """Write J of gradient descent."""
    n, diverged = omega.shape[0], not finite(omega)
    if not diverged:
        call(int(parameters[2 + n]), omega, parameters[2 : 2 + n], 0.0, parameters[4 + n :], J)
    for k in range(J.shape[0]):
        for j in range(n):
            J[k, j] = np.nan if diverged else -parameters[0] * parameters[2 + k] * J[k, j]


@jitable
def noise(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray, F: np.ndarray, K: np.ndarray) -> None:
    """Write K of gradient descent."""
    n, diverged = omega.shape[0], not finite(omega)
    variance = parameters[1] * parameters[1]
    if not diverged:
        call(int(parameters[3 + n]), omega, parameters[2 : 2 + n], variance, parameters[4 + n :], K)
    for k in range(K.shape[0]):
        for l in range(K.shape[1]):
            both = parameters[0] * parameters[0] * parameters[2 + k] * parameters[2 + l]
            K[k, l] = np.nan if diverged else both * K[k, l]


BY_ADDRESS = Averages(drift, noise, constants=True)


@functools.cache
def _uncompiled(loops: Loops) -> Averages:
    def drift_arrays(omega: np.ndarray, parameters: np.ndarray, p: int) -> np.ndarray:
        n = len(omega)
        J = np.empty((p, n))
        loops.drift(omega, parameters[2 : 2 + n], 0.0, parameters[2 + n :], J)
        return -parameters[0] * parameters[2 : 2 + p, None] * J

    def noise_arrays(omega: np.ndarray, parameters: np.ndarray, J: np.ndarray, F: np.ndarray) -> Any:
        n, p = len(omega), len(J)
        K, v = np.empty((p, p)), parameters[2 : 2 + p]
        loops.squared(omega, parameters[2 : 2 + n], parameters[1] ** 2, parameters[2 + n :], K)
        return parameters[0] ** 2 * np.outer(v, v) * K

    return Averages(drift_arrays=drift_arrays, noise_arrays=noise_arrays, constants=True)

"""Plain functions for the compiler: what is written once serves NumPy, scalar kernels and lanes of runs.

A function marked :func:`jitable` stays a Python function, which NumPy calls with arrays, and compiled code calls it
with what it has. Unlike a function under ``njit`` it is pickled by its name, so that a closure over it has the same
name in every process and is found in Numba's cache on disk.

What a learning rule does to one sample is such a closure, and so is the right-hand side of its ODEs. It is compiled to
a C function, which kernels call by its address: one compiled kernel serves all rules, and a rule of the user's compiles
alone.
"""

import functools
import hashlib
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic, lower_builtin, overload, register_jitable, type_callable

from ._callback import Callback, Interpreted
from ._lanes import WIDTH, load, store

__all__ = [
    "FAST", "INNER", "CFunction", "call", "call_step", "evaluate", "evaluation_function", "fingerprint", "jitable",
    "prefer_wide_vectors", "pull_function", "step_function", "with_name_of",
]  # fmt: skip

Function = TypeVar("Function", bound=Callable[..., Any])

# no exceptions at divisions by zero; products and sums may be fused
FAST = {"error_model": "numpy", "fastmath": {"contract"}}

# of functions that kernels alone call: without the entries for Python and C they compile faster
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# not fused: one run and 16 in lockstep are to make the same roundings
jitable = register_jitable(error_model="numpy", **INNER)


def with_name_of(*functions: Any) -> Callable[[Function], Function]:
    """Return a decorator that gives a closure over functions a name of their own.

    Numba names compiled code after a function's name and the number of functions compiled before it in its process.
    Two closures of one factory that come from the caches of two processes may then have one name, and the linker
    takes either for the other, without a word.
    """
    digest = fingerprint(*functions)

    def rename(closure: Function) -> Function:
        closure.__name__ += f"_{digest}"
        closure.__qualname__ += f"_{digest}"
        return closure

    return rename


def fingerprint(*functions: Any) -> str:
    """Return a short text that functions share only if they do the same, up to what they call of other packages."""
    return hashlib.sha256("".join(map(_described, functions)).encode()).hexdigest()[:16]


def _described(thing, seen=()):
    """Return what tells a function, or a number that a closure holds, from others: instructions, constants, globals."""
    if isinstance(thing, np.ndarray):
        return f"{thing.dtype} {thing.shape} {thing.tobytes().hex()}"
    if isinstance(thing, tuple):
        return f"({', '.join(_described(part, seen) for part in thing)})"
    if isinstance(thing, CodeType):
        constants = [_described(constant, seen) for constant in thing.co_consts]
        return f"{thing.co_code.hex()} {thing.co_names} {constants}"
    code = getattr(thing, "__code__", None)
    if code is None:
        return repr(thing)
    if thing in seen:
        return thing.__qualname__
    read = [value for name, value in sorted(thing.__globals__.items()) if name in code.co_names]
    held = [cell.cell_contents for cell in thing.__closure__ or ()]
    held += [value for value in read if isinstance(value, (int, float, tuple, np.ndarray, FunctionType))]
    parts = [_described(part, (*seen, thing)) for part in (code, *held)]
    return f"{thing.__module__}.{thing.__qualname__} {' '.join(parts)}"


NUMBERS = types.CPointer(types.float64)


class CFunction:
    """A C function that kernels call by its address, or with the compiler off a plain one.

    Attributes
    ----------
    pointer : int or function
        What :func:`call` takes. It is an address, which is good as long as this object lives.
    plain : function
        The same in Python.
    at_once : int
        How many samples at most an engine is to run in one call: it has a limit of its own.
    """

    at_once = 2**62

    def __init__(self, plain: Callable[..., None], entry: Callable[..., None], arrays: int, numbers: int) -> None:
        signature = types.void(*[NUMBERS] * arrays, *[types.intp] * numbers)
        self.plain = plain
        self.compiled = None if numba.config.DISABLE_JIT else numba.cfunc(signature, cache=True)(entry)
        self.pointer = plain if self.compiled is None else self.compiled.address

    def check(self) -> None:
        """Raise what a call has raised: compiled code raises nothing."""


def call(pointer, arrays, numbers):
    """Call a function by its address, or a plain one, with a tuple of arrays in one piece and a tuple of integers.

    A pair of an array and an integer stands for what follows that row.
    """
    pointer(*(each[0][each[1] :] if isinstance(each, tuple) else each for each in arrays), *numbers)


def _start(context, builder, kind, value):
    """Return the pointer to the first number of an array, or of what follows one of its rows."""
    if isinstance(kind, types.Array):
        return context.make_array(kind)(context, builder, value).data
    array = context.make_array(kind[0])(context, builder, builder.extract_value(value, 0))
    row = context.cast(builder, builder.extract_value(value, 1), kind[1], types.intp)
    width = ir.IntType(64)(1) if kind[0].ndim == 1 else builder.extract_value(array.shape, 1)
    return builder.gep(array.data, [builder.mul(row, width)])


@intrinsic
def _call(context, pointer, arrays, numbers):
    def generate(context, builder, signature, values):
        whole = ir.IntType(64)
        starts = [_start(context, builder, kind, builder.extract_value(values[1], i)) for i, kind in enumerate(arrays)]
        integers = [
            context.cast(builder, builder.extract_value(values[2], i), kind, types.intp)
            for i, kind in enumerate(numbers)
        ]
        kinds = [start.type for start in starts] + [whole] * len(integers)
        function = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        builder.call(builder.inttoptr(values[0], function), [*starts, *integers])
        return context.get_dummy_value()

    return types.void(pointer, arrays, numbers), generate


@overload(call)
def _call_compiled(pointer, arrays, numbers):
    if isinstance(pointer, types.Integer):
        return lambda pointer, arrays, numbers: _call(pointer, arrays, numbers)
    return None


@functools.lru_cache(maxsize=256)
def step_function(step: Callable[..., None] | Interpreted, lanes: bool) -> CFunction | Callback:
    """Return the C function of a rule's `step`, for WIDTH runs or for one.

    It takes lam, mu, noise, size, scalars, parameters, change and scalar_change, then p, p*, and the numbers of noises,
    of scalars and of parameters.
    """
    if isinstance(step, Interpreted):
        if numba.config.DISABLE_JIT:
            return CFunction(_plain(step.function), step.function, 8, 5)
        return Callback(step, _step_lengths, (6, 7), 8, 5, WIDTH if lanes else 0)
    return CFunction(_plain(step), _many(step) if lanes else _one(step), 8, 5)


@functools.lru_cache(maxsize=256)
def pull_function(pull: Callable[..., None] | Interpreted, lanes: bool) -> CFunction | Callback:
    """Return the C function of a rule's pull; it takes overlaps, scalars and B, and the number of rows of each."""
    if isinstance(pull, Interpreted):
        if numba.config.DISABLE_JIT:
            return CFunction(_plain_pull(pull.function), pull.function, 3, 3)
        return Callback(pull, lambda *lengths: lengths, (2,), 3, 3, WIDTH if lanes else 0)

    @with_name_of(pull)
    def many(omega, scalars, B, n, n_scalars, n_B):
        pull(carray(omega, (n, WIDTH)), carray(scalars, (n_scalars, WIDTH)), carray(B, (n_B, WIDTH)))

    @with_name_of(pull)
    def one(omega, scalars, B, n, n_scalars, n_B):
        pull(carray(omega, (n,)), carray(scalars, (n_scalars,)), carray(B, (n_B,)))

    return CFunction(_plain_pull(pull), many if lanes else one, 3, 3)


def _plain_pull(pull):
    return lambda *given: pull(*given[:3])


def _step_lengths(p, p_star, noises, n_scalars, n_parameters):
    return p, p_star, noises, 1, n_scalars, n_parameters, p, n_scalars


def _plain(step):
    return lambda *given: step(*given[:8])


def _many(step):
    @with_name_of(step)
    def entry(
        lam, mu, noise, size, scalars, parameters, change, scalar_change, p, p_star, noises, n_scalars, n_parameters
    ):  # fmt: skip
        step(
            carray(lam, (p, WIDTH)), carray(mu, (p_star, WIDTH)), carray(noise, (noises, WIDTH)),
            carray(size, (1, WIDTH)), carray(scalars, (n_scalars, WIDTH)), carray(parameters, (n_parameters, WIDTH)),
            carray(change, (p, WIDTH)), carray(scalar_change, (n_scalars, WIDTH)),
        )  # fmt: skip

    return entry


def _one(step):
    @with_name_of(step)
    def entry(
        lam, mu, noise, size, scalars, parameters, change, scalar_change, p, p_star, noises, n_scalars, n_parameters
    ):  # fmt: skip
        step(
            carray(lam, (p,)), carray(mu, (p_star,)), carray(noise, (noises,)), carray(size, (1,)),
            carray(scalars, (n_scalars,)), carray(parameters, (n_parameters,)), carray(change, (p,)),
            carray(scalar_change, (n_scalars,)),
        )  # fmt: skip

    return entry


@jitable
def call_step(pointer, lam, mu, normals, first, noises, size, scalars, parameters, change, scalar_change):
    """Let a rule write what a sample changes into `change` and `scalar_change`; see :meth:`tsode.rules.Rule.step`.

    The noise stands in `normals` from number or row `first` on.
    """
    arrays = (lam, mu, (normals, first), size, scalars, parameters, change, scalar_change)
    call(pointer, arrays, (lam.shape[0], mu.shape[0], noises, scalars.shape[0], parameters.shape[0]))


def prefer_wide_vectors():
    """Let loops of the function that calls this be made of the widest vectors the machine has.

    By itself the compiler takes half of 64 bytes, as first machines with such vectors slowed down at them.
    """


@type_callable(prefer_wide_vectors)
def _type_of_prefer_wide_vectors(context):
    return lambda: types.none


@lower_builtin(prefer_wide_vectors)
def _prefer_wide_vectors(context, builder, signature, values):
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own method refuses it
    return context.get_dummy_value()


def evaluation_function(function: Callable[..., Any]) -> Any:
    """Return the compiled C function of a plain function x -> (value, slope), which :func:`evaluate` calls.

    It takes x, value, slope, and the number of rows of WIDTH numbers that each holds.
    """

    @with_name_of(function)
    def entry(x, value, slope, rows):
        xs, values, slopes = carray(x, (rows, WIDTH)), carray(value, (rows, WIDTH)), carray(slope, (rows, WIDTH))
        for i in range(rows):
            found = function(load(xs, i))
            store(values, i, found[0])
            store(slopes, i, found[1])

    return numba.cfunc(types.void(*[NUMBERS] * 3, types.intp), cache=True)(entry)


@intrinsic
def evaluate(context, pointer, rows, x, value, slope):
    """Write a function's values and slopes for the first rows of x; `pointer` is the address of its C function."""

    def generate(context, builder, signature, values):
        arrays = [context.make_array(signature.args[i])(context, builder, values[i]) for i in (2, 3, 4)]
        number, whole = ir.DoubleType().as_pointer(), ir.IntType(64)
        function = ir.FunctionType(ir.VoidType(), [number] * 3 + [whole]).as_pointer()
        rows = context.cast(builder, values[1], signature.args[1], types.intp)
        builder.call(builder.inttoptr(values[0], function), [*(array.data for array in arrays), rows])
        return context.get_dummy_value()

    return types.void(types.int64, rows, x, value, slope), generate

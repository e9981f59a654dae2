"""Products of long rows, block by block, with all sums of a block in registers.

A few rows of weights times a few inputs is too thin a product for BLAS, which copies both before it starts. Here a
block of ROWS x SIDE sums goes along the columns at once, each of them a vector of the machine. The functions that
compiled code calls are those of NumPy below, for arrays in one piece; the compiled ones do the same to rounding, in
the precision of the rows, and add up in double precision what they have summed over the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.extending import intrinsic, overload

from .._vectors import F64, I64

__all__ = ["ROWS", "WHOLE", "add_products", "learn"]

MANY_REGISTERS = binding.get_host_cpu_features().get("avx512f", False)  # 32 of 64 bytes, else 16 of 32 or the like
VECTOR_BYTES = 64 if MANY_REGISTERS else 32
ROWS, SIDE = 4, 4 if MANY_REGISTERS else 2
WHOLE = 64  # the length of rows is a multiple of it: of SIDE vectors in either precision
Values = list[Any]


@njit(cache=True, nogil=True, error_model="numpy")
def add_products(A: np.ndarray, X: np.ndarray, upper: bool, out: np.ndarray) -> None:
    """Add A X^T to `out`, shape of whole blocks; with `upper` only blocks that reach the diagonal or lie above it."""
    for a in range(0, A.shape[0], ROWS):
        for b in range(a if upper else 0, X.shape[0], SIDE):
            add_block(A, X, a, b, out)


@njit(cache=True, nogil=True, error_model="numpy")
def learn(W: np.ndarray, C: np.ndarray, X: np.ndarray, growth: np.ndarray) -> None:
    """Add growth W + C^T X to the first rows of W, with a growth for each of them: many small terms, one rounding."""
    for first in range(0, W.shape[1], SIDE * VECTOR_BYTES // W.itemsize):
        for k in range(0, C.shape[1], ROWS):
            learn_block(W, C, X, growth, k, first)


def add_block(A, X, a, b, out):
    """Add products of rows a, a + 1, ... of A and b, b + 1, ... of X; past the last rows `out` has no meaning."""
    part = A[a : a + ROWS] @ X[b : b + SIDE].T
    out[a : a + len(part), b : b + part.shape[1]] += part


def learn_block(W, C, X, growth, k, first):
    """Do it for rows k, k + 1, ... and the columns from `first` on."""
    rows, columns = slice(k, min(k + ROWS, C.shape[1])), slice(first, first + SIDE * VECTOR_BYTES // W.itemsize)
    W[rows, columns] += growth[rows, None] * W[rows, columns] + C[:, rows].T @ X[:, columns]


# The same in LLVM's language ------------------------------------------------------------------------------------------


class Rows:
    """A two-dimensional array in one piece."""

    def __init__(self, context: Any, builder: ir.IRBuilder, kind: types.Array, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.data, self.element = builder, array.data, context.get_value_type(kind.dtype)
        self.count, self.length = (builder.extract_value(array.shape, i) for i in (0, 1))
        self.lanes = VECTOR_BYTES // kind.dtype.bitwidth * 8
        self.vector = ir.VectorType(self.element, self.lanes)

    def place(self, row: Any, column: Any) -> Any:
        return self.builder.gep(self.data, [self.builder.add(self.builder.mul(row, self.length), column)])

    def load(self, place: Any) -> Any:
        return self.builder.load(self.builder.bitcast(place, self.vector.as_pointer()), align=8)

    def store(self, value: Any, place: Any) -> None:
        self.builder.store(value, self.builder.bitcast(place, value.type.as_pointer()), align=8)

    def spread(self, place: Any) -> Any:
        """Return the double that stands there in all lanes."""
        number = self.builder.load(place)
        number = number if self.element == F64 else self.builder.fptrunc(number, self.element)
        anything = ir.Constant(self.vector, ir.Undefined)
        number = self.builder.insert_element(anything, number, ir.IntType(32)(0))
        return _shuffled(self.builder, number, number, [0] * self.lanes)


def _shuffled(builder, a, b, places):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


def _fma(builder, a, b, c):
    kind = a.type
    name = f"llvm.fmuladd.v{kind.count}f{64 if kind.element == F64 else 32}"
    known = builder.module.globals.get(name)
    return builder.call(known or ir.Function(builder.module, ir.FunctionType(kind, [kind] * 3), name), [a, b, c])


def _repeat(builder: ir.IRBuilder, count: Any, start: Sequence[Any], step: Callable[[Any, Values], Values]) -> Values:
    """Return what `step` makes of the values, one time or more: step(i, values) for i = 0, ..., count - 1."""
    before, inside = builder.block, builder.append_basic_block("inside")
    builder.branch(inside)
    builder.position_at_end(inside)
    variables = [builder.phi(value.type) for value in (I64(0), *start)]
    changed = [builder.add(variables[0], I64(1)), *step(variables[0], variables[1:])]
    for variable, first, later in zip(variables, (I64(0), *start), changed):
        variable.add_incoming(first, before)
        variable.add_incoming(later, builder.block)
    after = builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed("<", changed[0], count), inside, after)
    builder.position_at_end(after)
    return changed[1:]


def _sums_of_lanes(builder, vectors):
    """Return one vector of doubles with the sum over the lanes of each of SIDE vectors: halves, then neighbours."""
    lanes = vectors[0].type.count
    while lanes > SIDE:
        lanes //= 2
        low, high = list(range(lanes)), list(range(lanes, 2 * lanes))
        vectors = [builder.fadd(_shuffled(builder, v, v, low), _shuffled(builder, v, v, high)) for v in vectors]
    doubles = ir.VectorType(F64, SIDE)
    vectors = [v if v.type == doubles else builder.fpext(v, doubles) for v in vectors]
    even, odd = list(range(0, 2 * SIDE, 2)), list(range(1, 2 * SIDE, 2))
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2])
        vectors = [builder.fadd(_shuffled(builder, a, b, even), _shuffled(builder, a, b, odd)) for a, b in pairs]
    return vectors[0]


def _next_rows(builder, first, rows, count):
    """Return the numbers of so many rows; past the last one it is the last again."""
    rows, last = [builder.add(first, I64(i)) for i in range(rows)], builder.sub(count, I64(1))
    return [builder.select(builder.icmp_signed("<", row, last), row, last) for row in rows]


@intrinsic
def _add_block(context, A, X, a, b, out):
    def generate(context, builder, signature, values):
        kinds = signature.args
        A, X, out = (Rows(context, builder, kinds[i], values[i]) for i in (0, 1, 4))
        a, b = (context.cast(builder, values[i], kinds[i], types.intp) for i in (2, 3))
        of_A = [A.place(row, I64(0)) for row in _next_rows(builder, a, ROWS, A.count)]
        of_X = [X.place(row, I64(0)) for row in _next_rows(builder, b, SIDE, X.count)]

        def step(i, sums):
            column = builder.mul(i, I64(A.lanes))
            right = [X.load(builder.gep(row, [column])) for row in of_X]
            left = [A.load(builder.gep(row, [column])) for row in of_A]
            pairs = [(w, x) for w in left for x in right]
            return [_fma(builder, w, x, total) for (w, x), total in zip(pairs, sums)]

        nothing = [ir.Constant(A.vector, None)] * (ROWS * SIDE)
        sums = _repeat(builder, builder.udiv(A.length, I64(A.lanes)), nothing, step)
        for i in range(ROWS):
            row = _sums_of_lanes(builder, sums[SIDE * i : SIDE * (i + 1)])
            place = out.place(builder.add(a, I64(i)), b)
            before = builder.load(builder.bitcast(place, row.type.as_pointer()), align=8)
            out.store(builder.fadd(before, row), place)
        return context.get_dummy_value()

    return types.void(A, X, a, b, out), generate


@intrinsic
def _learn_block(context, W, C, X, growth, k, first):
    def generate(context, builder, signature, values):
        kinds = signature.args
        W, C, X = (Rows(context, builder, kinds[i], values[i]) for i in (0, 1, 2))
        growth = context.make_array(kinds[3])(context, builder, values[3]).data
        k, first = (context.cast(builder, values[i], kinds[i], types.intp) for i in (4, 5))
        rows = _next_rows(builder, k, ROWS, C.length)
        columns = [builder.add(first, I64(i * W.lanes)) for i in range(SIDE)]
        places = [W.place(row, column) for row in rows for column in columns]

        def step(s, changes):
            right = [X.load(X.place(s, column)) for column in columns]
            pairs = [(W.spread(C.place(s, row)), x) for row in rows for x in right]
            return [_fma(builder, c, x, change) for (c, x), change in zip(pairs, changes)]

        factors = [W.spread(builder.gep(growth, [row])) for row in rows for _ in columns]
        changes = [builder.fmul(factor, W.load(place)) for factor, place in zip(factors, places)]
        changes = _repeat(builder, C.count, changes, step)
        # All are read before one is written: the last row may be there more than once.
        sums = [builder.fadd(W.load(place), change) for place, change in zip(places, changes)]
        for place, w in zip(places, sums):
            W.store(w, place)
        return context.get_dummy_value()

    return types.void(W, C, X, growth, k, first), generate


@overload(add_block)
def _compiled_add_block(A, X, a, b, out):
    return lambda A, X, a, b, out: _add_block(A, X, a, b, out)


@overload(learn_block)
def _compiled_learn_block(W, C, X, growth, k, first):
    return lambda W, C, X, growth, k, first: _learn_block(W, C, X, growth, k, first)

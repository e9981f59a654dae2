"""Numbers of runs that go in lockstep: in compiled code, one value of every run is one vector.

`load` makes a value of an array, `store` writes it back: of an array of shape (n, WIDTH) row i as one vector, of one of
shape (n,) the number i; with two positions, the same of arrays of shapes (m, n, WIDTH) and (m, n). Between the two,
arithmetic, comparisons and NumPy's functions act on what was loaded. Hence one source serves WIDTH runs and one run,
and both get the same bits. Uncompiled, the same names act on NumPy's rows and numbers.
"""

import math
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, lower_cast, models, overload, register_model, type_callable
from numpy.typing import DTypeLike
from scipy import special

from . import _vectors
from ._vectors import F64, I64, Vector, wide

__all__ = ["WIDTH", "aligned", "every", "fma", "inverse_root", "load", "power_of_two", "store"]

WIDTH = 16


# What the arrays hold, and the same names on NumPy's rows and numbers -----------------------------------------------


def aligned(shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> np.ndarray:
    """Return an array of zeros that starts where a vector of the machine may start."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + 64, dtype=np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + size].view(dtype).reshape(shape)


def load(array, *place):
    """Return row (i) or (i, j) of an array of lanes, or that number of a plain one."""
    return array[place] + 0.0


def store(array, *place_and_value):
    """Write it back."""
    *place, value = place_and_value
    array[tuple(place)] = value


def fma(a, b, c):
    """Return a b + c, rounded once on machines that can."""
    return a * b + c


def inverse_root(x):
    """Return 1/sqrt(x), and a number near 1e154 at 0; no root and no division, which vectors are slow at."""
    return 1.0 / np.sqrt(np.maximum(x, 1e-308))


def power_of_two(x):
    """Return 2^-k for x = 4^k m, where m is from 1/4 to 1."""
    halved = (np.uint64(_vectors.POWER_BITS) - np.float64(x).view(np.uint64)) >> np.uint64(1)
    return (halved & np.uint64(_vectors.EXPONENT_BITS)).view(np.float64)


def every(mask):
    """Return whether a condition holds in all lanes."""
    return bool(np.all(mask))


# The types ------------------------------------------------------------------------------------------------------------


class Lanes(types.Type):
    """A double of each of `width` runs; a number where the width is 1."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"lanes{width}")

    def unify(self, context, other):
        """Return itself for a number, which is then the same in all lanes."""
        return self if isinstance(other, NUMBERS) else None


class Mask(types.Type):
    """A condition in each of `width` runs."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"mask{width}")


NUMBERS = (types.Float, types.Integer)


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, wide(F64, kind.width))


@register_model(Mask)
class MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, wide(ir.IntType(1), kind.width))


@lower_cast(types.Float, Lanes)
@lower_cast(types.Integer, Lanes)
def spread(context, builder, source, target, value):
    """Put one number into all lanes."""
    value = context.cast(builder, value, source, types.float64)
    if target.width == 1:
        return value
    anything = ir.Constant(wide(F64, target.width), ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), target.width), [0] * target.width)
    return builder.shuffle_vector(builder.insert_element(anything, value, ir.IntType(32)(0)), anything, zeros)


# Memory ---------------------------------------------------------------------------------------------------------------


def lanes_of(array, places):
    """Return the type of what an array in one piece holds at that many places, or None."""
    if isinstance(array, types.Array) and array.layout == "C" and array.dtype == types.float64:
        return {places: Lanes(1), places + 1: Lanes(WIDTH)}.get(array.ndim)
    return None


def pointer_to(context, builder, kinds, values):
    """Return the type of what stands at (i) or (i, j) of an array, and the pointer to it."""
    lanes = lanes_of(kinds[0], len(kinds) - 1)
    array = context.make_array(kinds[0])(context, builder, values[0])
    i, *rest = (context.cast(builder, value, kind, types.intp) for kind, value in zip(kinds[1:], values[1:]))
    for j in rest:
        i = builder.add(builder.mul(i, builder.extract_value(array.shape, 1)), j)
    start = builder.gep(array.data, [builder.mul(i, I64(lanes.width))])
    return lanes, builder.bitcast(start, wide(F64, lanes.width).as_pointer())


def _load(context, builder, signature, values):
    return builder.load(pointer_to(context, builder, signature.args, values)[1], align=8)


def _store(context, builder, signature, values):
    lanes, pointer = pointer_to(context, builder, signature.args[:-1], values[:-1])
    builder.store(context.cast(builder, values[-1], signature.args[-1], lanes), pointer, align=8)
    return context.get_dummy_value()


def _type_of_load(array, *place):
    return lanes_of(array, len(place)) if all(isinstance(i, types.Integer) for i in place) else None


def _type_of_store(array, *place_and_value):
    *place, value = place_and_value
    lanes = _type_of_load(array, *place)
    return types.none if lanes and width_of(value) in (None, lanes.width) else None


type_callable(load)(lambda context: lambda array, i: _type_of_load(array, i))
type_callable(load)(lambda context: lambda array, i, j: _type_of_load(array, i, j))
type_callable(store)(lambda context: lambda array, i, value: _type_of_store(array, i, value))
type_callable(store)(lambda context: lambda array, i, j, value: _type_of_store(array, i, j, value))
for indices in ((types.Integer,), (types.Integer, types.Integer)):
    lower_builtin(load, types.Array, *indices)(_load)
    lower_builtin(store, types.Array, *indices, types.Any)(_store)


# Formulas of vectors --------------------------------------------------------------------------------------------------


# What compiled code calls ---------------------------------------------------------------------------------------------


def width_of(*kinds):
    """Return the width if some are lanes or masks of one width and the others numbers, else None."""
    widths = {kind.width for kind in kinds if isinstance(kind, (Lanes, Mask))}
    fitting = all(isinstance(kind, (Lanes, Mask, *NUMBERS)) for kind in kinds)
    return widths.pop() if fitting and len(widths) == 1 else None


def on_lanes(formula, kinds, *functions, result=Lanes):
    """Let compiled code that calls one of the functions with such kinds use a formula of vectors."""

    def typed(context):
        def of(*given):
            width = width_of(*given)
            return result(width) if width and len(given) == len(kinds) else None

        return (lambda a: of(a), lambda a, b: of(a, b), lambda a, b, c: of(a, b, c))[len(kinds) - 1]

    def lowered(context, builder, signature, values):
        width = width_of(*signature.args)
        vectors = [
            value if isinstance(kind, (Lanes, Mask)) else context.cast(builder, value, kind, Lanes(width))
            for kind, value in zip(signature.args, values)
        ]
        return formula(*(Vector(builder, width, value) for value in vectors)).value

    for function in functions:
        type_callable(function)(typed)
        lower_builtin(function, *kinds)(lowered)


def on_pairs(formula, *functions, result=Lanes):
    """The same for functions of two numbers, of which one may be plain."""
    for kinds in (
        (Lanes, Lanes),
        (Lanes, types.Float),
        (Lanes, types.Integer),
        (types.Float, Lanes),
        (types.Integer, Lanes),
    ):
        on_lanes(formula, kinds, *functions, result=result)


on_pairs(lambda a, b: a + b, operator.add, operator.iadd)
on_pairs(lambda a, b: a - b, operator.sub, operator.isub)
on_pairs(lambda a, b: a * b, operator.mul, operator.imul)
on_pairs(lambda a, b: a / b, operator.truediv, operator.itruediv)
on_pairs(lambda a, b: a.compare("<", b), operator.lt, result=Mask)
on_pairs(lambda a, b: a.compare("<=", b), operator.le, result=Mask)
on_pairs(lambda a, b: a.compare(">", b), operator.gt, result=Mask)
on_pairs(lambda a, b: a.compare(">=", b), operator.ge, result=Mask)
on_pairs(lambda a, b: a.compare("==", b), operator.eq, result=Mask)
on_pairs(lambda a, b: a.compare("!=", b), operator.ne, result=Mask)
on_pairs(_vectors.maximum, np.maximum)
on_pairs(_vectors.minimum, np.minimum)
on_lanes(lambda a, b: a.make(a.builder.and_(a.value, b.value)), (Mask, Mask), operator.and_, result=Mask)
on_lanes(lambda a, b: a.make(a.builder.or_(a.value, b.value)), (Mask, Mask), operator.or_, result=Mask)
on_lanes(lambda a: a.make(a.builder.not_(a.value)), (Mask,), operator.invert, result=Mask)
on_lanes(lambda a, b, c: a.choose(b, c), (Mask, types.Any, types.Any), np.where)
on_lanes(lambda a, b, c: a.fma(b, c), (types.Any, types.Any, types.Any), fma)
on_lanes(lambda x: -x, (Lanes,), operator.neg)
on_lanes(lambda x: x * x, (Lanes,), np.square)
on_lanes(lambda x: x.call("fabs"), (Lanes,), abs, np.abs)
on_lanes(lambda x: x.call("sqrt"), (Lanes,), np.sqrt)
on_lanes(_vectors.newton, (Lanes,), inverse_root)
on_lanes(lambda x: x.halved_bits(_vectors.POWER_BITS, _vectors.EXPONENT_BITS), (Lanes,), power_of_two)
on_lanes(_vectors.sign, (Lanes,), np.sign)
on_lanes(_vectors.exp, (Lanes,), np.exp)
on_lanes(_vectors.tanh, (Lanes,), np.tanh)
on_lanes(_vectors.erf, (Lanes,), special.erf)
for _name in ("log", "sin", "cos"):  # one number after the other, by the library of C
    on_lanes(lambda x, name=_name: x.call(name), (Lanes,), getattr(np, _name))


def any_power(x, n):
    """Return x^n for any number n."""
    return x**n


on_lanes(lambda x, n: x.call("pow", n), (Lanes, types.Float), any_power)


@overload(special.erf)
def _erf_of_numbers(x):
    return (lambda x: math.erf(x)) if isinstance(x, types.Float) else None


@overload(operator.pow, prefer_literal=True)
def _power(x, n):
    """A whole power that stands in the source, or another."""
    if isinstance(x, Lanes) and isinstance(n, types.Float):
        return lambda x, n: any_power(x, n)
    if not (isinstance(x, Lanes) and isinstance(n, types.IntegerLiteral)):
        return None
    exponent = n.literal_value

    @intrinsic
    def raised(context, x):
        def generate(context, builder, signature, values):
            return _vectors.power(Vector(builder, x.width, values[0]), exponent).value

        return x(x), generate

    return lambda x, n: raised(x)


@type_callable(every)
def _type_of_every(context):
    return lambda mask: types.boolean if isinstance(mask, Mask) else None


@lower_builtin(every, Mask)
def _every(context, builder, signature, values):
    width = signature.args[0].width
    bits = ir.IntType(width)
    return builder.icmp_unsigned("==", builder.bitcast(values[0], bits), bits(-1))

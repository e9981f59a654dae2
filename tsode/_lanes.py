r"""Numbers of runs that go in lockstep: in compiled code, one value of every run is one vector.

`load` makes a value of an array, `store` writes it back: of a two-dimensional array, shape (n, WIDTH), row i as one
vector; of a one-dimensional one, shape (n,), the number i. Between the two, arithmetic, comparisons and NumPy's
functions act on what was loaded. Hence one source serves WIDTH runs and one run, and both make the same roundings, to the
bit: products and sums are fused where `fma` says so and nowhere else, and the functions are the same polynomials.
LLVM cuts the vectors into what the machine has. Uncompiled, the same names act on NumPy's rows and numbers.

Exponential function: :math:`2^n e^r` with :math:`|r| \le \ln 2 / 2`, the polynomial minimax to 3.4e-18. Error function:
:math:`1 - e^{-y^2} (1 + w R(w))`, :math:`y = |x|`, :math:`w = y / (1 + 0.3 y)`, minimax to 1.6e-17 for the product, so the
absolute error is that of rounding (2.3e-16) and :math:`|x| \ll 1` has no more digits than that. Both fitted by Remez'
exchange in 50 digits.
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, lower_cast, models, overload, register_model, type_callable
from scipy import special

__all__ = ["WIDTH", "aligned", "every", "fma", "inverse_root", "load", "power_of_two", "store"]

WIDTH = 16

F64, I64, BIT = ir.DoubleType(), ir.IntType(64), ir.IntType(1)
# e^r = 1 + r + r^2 (...), the lowest power first
EXP = (
    0.5000000000000012, 0.166666666666667, 0.04166666666651542, 0.008333333333307207, 0.0013888888947016435,
    0.00019841269917379462, 2.4801489941781168e-05, 2.755721630476046e-06, 2.7631280469509887e-07,
    2.5117859731029583e-08,
)  # fmt: skip
# R in powers of 1 - ERFC_SCALE w, which runs from 1 to -1 as y goes from 0 to 6
ERFC = (
    -0.6448150391076993, -0.31429833928515577, -0.1230476112073316, -0.03728352121874933, -0.008061225435262581,
    -0.0009574030609974688, 4.6699862769904884e-05, 3.628510567160521e-05, 2.2642529512057237e-06,
    -1.183096288100341e-06, -1.4551217269948389e-07, 4.8608189445385255e-08, 4.940416194530453e-09,
    -1.94185752871752e-09,
)  # fmt: skip
ERFC_SCALE = 14 / 15
ROUND = 1.5 * 2.0**52  # adding it rounds to a whole number, which then stands in the lowest bits
ROOT_BITS = 0x5FE6EB50C7B537A9  # less half the bits of x: those of 1/sqrt(x) within 3.5 %
POWER_BITS, EXPONENT_BITS = np.uint64(3069 << 52), np.uint64(0x7FF << 52)
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # the first with 21 zeros at its end


# What the arrays hold, and the same names on NumPy's rows and numbers -----------------------------------------------


def aligned(shape, dtype=np.float64):
    """Return an array of zeros that starts where a vector of the machine may start."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + 64, dtype=np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + size].view(dtype).reshape(shape)


def load(array, i):
    """Return row i of an array of lanes, or number i of a plain one."""
    return array[i] + 0.0


def store(array, i, value):
    """Write it back."""
    array[i] = value


def fma(a, b, c):
    """Return a b + c, rounded once on machines that can."""
    return a * b + c


def inverse_root(x):
    """Return 1/sqrt(x), and a number near 1e154 at 0; no root and no division, which vectors are slow at."""
    return 1.0 / np.sqrt(np.maximum(x, 1e-308))


def power_of_two(x):
    """Return 2^-k for x = 4^k m, where m is from 1/4 to 1."""
    halved = (POWER_BITS - np.float64(x).view(np.uint64)) >> np.uint64(1)
    return (halved & EXPONENT_BITS).view(np.float64)


def every(mask):
    """Return whether a condition holds in all lanes."""
    return bool(np.all(mask))


# The types ------------------------------------------------------------------------------------------------------------


class Lanes(types.Type):
    """A double of each of `width` runs; a number where the width is 1."""

    def __init__(self, width):
        self.width = width
        super().__init__(name=f"lanes{width}")

    def unify(self, context, other):
        """Return itself for a number, which is then the same in all lanes."""
        return self if isinstance(other, NUMBERS) else None


class Mask(types.Type):
    """A condition in each of `width` runs."""

    def __init__(self, width):
        self.width = width
        super().__init__(name=f"mask{width}")


NUMBERS = (types.Float, types.Integer)


def wide(element, width):
    """Return LLVM's type of `width` elements."""
    return element if width == 1 else ir.VectorType(element, width)


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, wide(F64, kind.width))


@register_model(Mask)
class MaskModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, wide(BIT, kind.width))


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


def lanes_of(array):
    """Return the type of what an array in one piece holds, or None."""
    if isinstance(array, types.Array) and array.layout == "C" and array.dtype == types.float64:
        return {1: Lanes(1), 2: Lanes(WIDTH)}.get(array.ndim)
    return None


def place(context, builder, kinds, values):
    """Return the pointer to row or number i."""
    width = lanes_of(kinds[0]).width
    start = context.make_array(kinds[0])(context, builder, values[0]).data
    i = builder.mul(context.cast(builder, values[1], kinds[1], types.intp), I64(width))
    return builder.bitcast(builder.gep(start, [i]), wide(F64, width).as_pointer())


@type_callable(load)
def _type_of_load(context):
    return lambda array, i: lanes_of(array) if isinstance(i, types.Integer) else None


@lower_builtin(load, types.Array, types.Integer)
def _load(context, builder, signature, values):
    return builder.load(place(context, builder, signature.args, values), align=8)


@type_callable(store)
def _type_of_store(context):
    return lambda array, i, value: (
        types.none if lanes_of(array) and width_of(value) in (None, lanes_of(array).width) else None
    )


@lower_builtin(store, types.Array, types.Integer, types.Any)
def _store(context, builder, signature, values):
    value = context.cast(builder, values[2], signature.args[2], lanes_of(signature.args[0]))
    builder.store(value, place(context, builder, signature.args, values), align=8)
    return context.get_dummy_value()


# Formulas of vectors --------------------------------------------------------------------------------------------------


class Vector:
    """A value in LLVM's language with the operators of Python, so that what is below reads as formulas."""

    def __init__(self, builder, width, value):
        self.builder, self.width, self.value = builder, width, value

    def make(self, value):
        return Vector(self.builder, self.width, value)

    def other(self, x, element=F64):
        """Return LLVM's value of a vector, or of a constant in all lanes."""
        return (
            x.value
            if isinstance(x, Vector)
            else ir.Constant(wide(element, self.width), x if self.width == 1 else [x] * self.width)
        )

    def call(self, name, *others):
        """Call one of LLVM's own functions of doubles."""
        kind, values = wide(F64, self.width), [self.value, *map(self.other, others)]
        name = f"llvm.{name}.f64" if self.width == 1 else f"llvm.{name}.v{self.width}f64"
        known = self.builder.module.globals
        function = (
            known[name]
            if name in known
            else ir.Function(self.builder.module, ir.FunctionType(kind, [kind] * len(values)), name)
        )
        return self.make(self.builder.call(function, values))

    def __add__(self, x):
        return self.make(self.builder.fadd(self.value, self.other(x)))

    def __sub__(self, x):
        return self.make(self.builder.fsub(self.value, self.other(x)))

    def __mul__(self, x):
        return self.make(self.builder.fmul(self.value, self.other(x)))

    def __truediv__(self, x):
        return self.make(self.builder.fdiv(self.value, self.other(x)))

    def __neg__(self):
        return self.make(self.builder.fneg(self.value))

    def compare(self, symbol, x):
        """Compare; false where one is nan, but for `!=`."""
        form = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
        return self.make(form(symbol, self.value, self.other(x)))

    def choose(self, x, y):
        """Return x where this mask holds and y elsewhere."""
        return self.make(self.builder.select(self.value, self.other(x), self.other(y)))

    def fma(self, x, y):
        return self.call("fmuladd", x, y)

    def polynomial(self, coefficients):
        """Return the polynomial of given coefficients, the lowest first, by Horner's scheme."""
        total = self.make(self.other(coefficients[-1]))
        for coefficient in coefficients[-2::-1]:
            total = total.fma(self, coefficient)
        return total

    def halved_bits(self, of, mask):
        """Return (of - bits) / 2, or of - bits / 2 where nothing is masked."""
        builder, one = self.builder, self.other(1, I64)
        bits = builder.bitcast(self.value, wide(I64, self.width))
        if mask is None:
            bits = builder.sub(self.other(of, I64), builder.lshr(bits, one))
        else:
            bits = builder.and_(builder.lshr(builder.sub(self.other(of, I64), bits), one), self.other(mask, I64))
        return self.make(builder.bitcast(bits, wide(F64, self.width)))

    def half_power(self):
        """Return 2^(n - 1) of n + ROUND, n from -1021 to 1024."""
        whole = self.builder.bitcast(self.value, wide(I64, self.width))
        bits = self.builder.shl(self.builder.add(whole, self.other(1022, I64)), self.other(52, I64))
        return self.make(self.builder.bitcast(bits, wide(F64, self.width)))


def maximum(a, b):
    """nan stays nan, as in NumPy."""
    return a.make(a.builder.or_(a.compare(">", b).value, a.compare("!=", a).value)).choose(a, b)


def minimum(a, b):
    return a.make(a.builder.or_(a.compare("<", b).value, a.compare("!=", a).value)).choose(a, b)


def sign(x):
    return x.compare(">", 0.0).choose(1.0, x.compare("<", 0.0).choose(-1.0, x))


def exp(x):
    """Below -708, where doubles lose digits, 0 is returned."""
    bounded = minimum(maximum(x, -708.0), 710.0)
    shifted = bounded.fma(1 / math.log(2), ROUND)
    n = shifted - ROUND
    r = n.fma(-LN2_LOW, n.fma(-LN2_HIGH, bounded))
    mantissa = (r * r).fma(r.polynomial(EXP), r) + 1.0
    return x.compare("<", -708.0).choose(0.0, mantissa * shifted.half_power() * 2.0)


def erf(x):
    y = minimum(x.call("fabs"), 6.0)
    w = y / y.fma(0.3, 1.0)
    scaled = w.fma(w.fma(-ERFC_SCALE, 1.0).polynomial(ERFC), 1.0)
    return (-exp(-(y * y))).fma(scaled, 1.0).call("copysign", x)


def tanh(x):
    y = x.call("fabs")
    two = y.make(y.other(2.0))
    return (-(two / (exp(y * 2.0) + 1.0)) + 1.0).call("copysign", x)


def newton(x):
    """Two steps of Newton's kind, of third and of fifth order: 3e-2, 1e-4, rounding."""
    y = x.halved_bits(ROOT_BITS, None)
    for series in ((1 / 2, 3 / 8), (1 / 2, 3 / 8, 5 / 16, 35 / 128)):
        h = (-(x * y)).fma(y, 1.0)
        y = (y * h).fma(h.polynomial(series), y)
    return y


def power(x, n):
    """x^n for a whole number n, by squaring."""
    one = x.make(x.other(1.0))
    found, base, left = one, x, abs(n)
    while left:
        found = found * base if left & 1 else found
        base, left = base * base, left >> 1
    return one / found if n < 0 else found


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
on_pairs(maximum, np.maximum)
on_pairs(minimum, np.minimum)
on_lanes(lambda a, b: a.make(a.builder.and_(a.value, b.value)), (Mask, Mask), operator.and_, result=Mask)
on_lanes(lambda a, b: a.make(a.builder.or_(a.value, b.value)), (Mask, Mask), operator.or_, result=Mask)
on_lanes(lambda a: a.make(a.builder.not_(a.value)), (Mask,), operator.invert, result=Mask)
on_lanes(lambda a, b, c: a.choose(b, c), (Mask, types.Any, types.Any), np.where)
on_lanes(lambda a, b, c: a.fma(b, c), (types.Any, types.Any, types.Any), fma)
on_lanes(lambda x: -x, (Lanes,), operator.neg)
on_lanes(lambda x: x * x, (Lanes,), np.square)
on_lanes(lambda x: x.call("fabs"), (Lanes,), abs, np.abs)
on_lanes(lambda x: x.call("sqrt"), (Lanes,), np.sqrt)
on_lanes(newton, (Lanes,), inverse_root)
on_lanes(lambda x: x.halved_bits(int(POWER_BITS), int(EXPONENT_BITS)), (Lanes,), power_of_two)
on_lanes(sign, (Lanes,), np.sign)
on_lanes(exp, (Lanes,), np.exp)
on_lanes(tanh, (Lanes,), np.tanh)
on_lanes(erf, (Lanes,), special.erf)


@overload(special.erf)
def _erf_of_numbers(x):
    return (lambda x: math.erf(x)) if isinstance(x, types.Float) else None


@overload(operator.pow, prefer_literal=True)
def _power(x, n):
    """A power that stands in the source."""
    if not (isinstance(x, Lanes) and isinstance(n, types.IntegerLiteral)):
        return None
    exponent = n.literal_value

    @intrinsic
    def raised(context, x):
        def generate(context, builder, signature, values):
            return power(Vector(builder, x.width, values[0]), exponent).value

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

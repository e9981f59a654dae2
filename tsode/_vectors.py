r"""Formulas of vectors in LLVM's language: what compiled code does with numbers of runs that go in lockstep.

Products and sums are fused where a formula says so and nowhere else, so that a vector of one number makes the same
roundings as one of many. LLVM cuts the vectors into what the machine has.

The exponential function is :math:`2^n e^r`, :math:`|r| \le \ln 2 / 2`, with a polynomial that is minimax to 3.4e-18.
The error function is :math:`1 - e^{-y^2} (1 + w R(w))`, :math:`y = |x|`, :math:`w = y / (1 + 0.3 y)`, minimax to
1.6e-17 as a whole: the absolute error is that of rounding, and :math:`|x| \ll 1` has no more digits than that. Both
were fitted by Remez' exchange in 50 digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llvmlite import ir

__all__ = [
    "EXPONENT_BITS", "F64", "I64", "POWER_BITS", "Vector", "erf", "exp", "maximum", "minimum", "newton", "power",
    "sign", "tanh", "wide",
]  # fmt: skip

F64, I64 = ir.DoubleType(), ir.IntType(64)
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
POWER_BITS, EXPONENT_BITS = 3069 << 52, 0x7FF << 52
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # the first with 21 zeros at its end


def wide(element: ir.Type, width: int) -> ir.Type:
    """Return LLVM's type of `width` elements."""
    return element if width == 1 else ir.VectorType(element, width)


class Vector:
    """A value in LLVM's language with the operators of Python, so that what is below reads as formulas."""

    def __init__(self, builder: ir.IRBuilder, width: int, value: Any) -> None:
        self.builder, self.width, self.value = builder, width, value

    def make(self, value: Any) -> Vector:
        return Vector(self.builder, self.width, value)

    def other(self, x: Vector | float, element: ir.Type = F64) -> Any:
        """Return LLVM's value of a vector, or of a constant in all lanes."""
        return (
            x.value
            if isinstance(x, Vector)
            else ir.Constant(wide(element, self.width), x if self.width == 1 else [x] * self.width)
        )

    def call(self, name: str, *others: Vector | float) -> Vector:
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

    def __add__(self, x: Vector | float) -> Vector:
        return self.make(self.builder.fadd(self.value, self.other(x)))

    def __sub__(self, x: Vector | float) -> Vector:
        return self.make(self.builder.fsub(self.value, self.other(x)))

    def __mul__(self, x: Vector | float) -> Vector:
        return self.make(self.builder.fmul(self.value, self.other(x)))

    def __truediv__(self, x: Vector | float) -> Vector:
        return self.make(self.builder.fdiv(self.value, self.other(x)))

    def __neg__(self) -> Vector:
        return self.make(self.builder.fneg(self.value))

    def compare(self, symbol: str, x: Vector | float) -> Vector:
        """Compare; false where one is nan, but for `!=`."""
        form = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
        return self.make(form(symbol, self.value, self.other(x)))

    def choose(self, x: Vector | float, y: Vector | float) -> Vector:
        """Return x where this mask holds and y elsewhere."""
        return self.make(self.builder.select(self.value, self.other(x), self.other(y)))

    def fma(self, x: Vector | float, y: Vector | float) -> Vector:
        return self.call("fmuladd", x, y)

    def polynomial(self, coefficients: Sequence[float]) -> Vector:
        """Return the polynomial of given coefficients, the lowest first, by Horner's scheme."""
        total = self.make(self.other(coefficients[-1]))
        for coefficient in coefficients[-2::-1]:
            total = total.fma(self, coefficient)
        return total

    def halved_bits(self, of: int, mask: int | None) -> Vector:
        """Return (of - bits) / 2, or of - bits / 2 where nothing is masked."""
        builder, one = self.builder, self.other(1, I64)
        bits = builder.bitcast(self.value, wide(I64, self.width))
        if mask is None:
            bits = builder.sub(self.other(of, I64), builder.lshr(bits, one))
        else:
            bits = builder.and_(builder.lshr(builder.sub(self.other(of, I64), bits), one), self.other(mask, I64))
        return self.make(builder.bitcast(bits, wide(F64, self.width)))

    def half_power(self) -> Vector:
        """Return 2^(n - 1) of n + ROUND, n from -1021 to 1024."""
        whole = self.builder.bitcast(self.value, wide(I64, self.width))
        bits = self.builder.shl(self.builder.add(whole, self.other(1022, I64)), self.other(52, I64))
        return self.make(self.builder.bitcast(bits, wide(F64, self.width)))


def maximum(a: Vector, b: Vector | float) -> Vector:
    """nan stays nan, as in NumPy."""
    return a.make(a.builder.or_(a.compare(">", b).value, a.compare("!=", a).value)).choose(a, b)


def minimum(a: Vector, b: Vector | float) -> Vector:
    return a.make(a.builder.or_(a.compare("<", b).value, a.compare("!=", a).value)).choose(a, b)


def sign(x: Vector) -> Vector:
    return x.compare(">", 0.0).choose(1.0, x.compare("<", 0.0).choose(-1.0, x))


def exp(x: Vector) -> Vector:
    """Below -708, where doubles lose digits, 0 is returned."""
    bounded = minimum(maximum(x, -708.0), 710.0)
    shifted = bounded.fma(1 / math.log(2), ROUND)
    n = shifted - ROUND
    r = n.fma(-LN2_LOW, n.fma(-LN2_HIGH, bounded))
    mantissa = (r * r).fma(r.polynomial(EXP), r) + 1.0
    return x.compare("<", -708.0).choose(0.0, mantissa * shifted.half_power() * 2.0)


def erf(x: Vector) -> Vector:
    y = minimum(x.call("fabs"), 6.0)
    w = y / y.fma(0.3, 1.0)
    scaled = w.fma(w.fma(-ERFC_SCALE, 1.0).polynomial(ERFC), 1.0)
    return (-exp(-(y * y))).fma(scaled, 1.0).call("copysign", x)


def tanh(x: Vector) -> Vector:
    y = x.call("fabs")
    two = y.make(y.other(2.0))
    return (-(two / (exp(y * 2.0) + 1.0)) + 1.0).call("copysign", x)


def newton(x: Vector) -> Vector:
    """Two steps of Newton's kind, of third and of fifth order: 3e-2, 1e-4, rounding."""
    y = x.halved_bits(ROOT_BITS, None)
    for series in ((1 / 2, 3 / 8), (1 / 2, 3 / 8, 5 / 16, 35 / 128)):
        h = (-(x * y)).fma(y, 1.0)
        y = (y * h).fma(h.polynomial(series), y)
    return y


def power(x: Vector, n: int) -> Vector:
    """x^n for a whole number n, by squaring."""
    one = x.make(x.other(1.0))
    found, base, left = one, x, abs(n)
    while left:
        found = found * base if left & 1 else found
        base, left = base * base, left >> 1
    return one / found if n < 0 else found

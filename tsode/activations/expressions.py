"""A user's function as a list of elementary steps, and the derivative of one of one variable.

The function is called once, with a stand-in for each variable that notes what is done to it. What was noted is
differentiated step by step, and written down as plain source: no Python of the user's runs in kernels, equal functions
are equal, whatever they close over, and files and caches know them by their text.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from .._compiled import jitable, with_name_of
from .._lanes import load

__all__ = ["Tape", "derivative", "expression", "plain_function", "traced"]

Value = str | float  # the name of a step, or a constant

UNARY = {
    "negative": "-{}", "exp": "np.exp({})", "log": "np.log({})", "tanh": "np.tanh({})", "erf": "erf({})",
    "sqrt": "np.sqrt({})", "absolute": "np.abs({})", "sign": "np.sign({})", "sin": "np.sin({})", "cos": "np.cos({})",
    "invert": "~{}",
}  # fmt: skip
BINARY = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}",
    "maximum": "np.maximum({}, {})", "minimum": "np.minimum({}, {})", "power": "{} ** {}",
    "greater": "{} > {}", "greater_equal": "{} >= {}", "less": "{} < {}", "less_equal": "{} <= {}",
    "equal": "{} == {}", "not_equal": "{} != {}", "bitwise_and": "{} & {}", "bitwise_or": "{} | {}",
}  # fmt: skip
STEPS = {**UNARY, **BINARY, "where": "np.where({}, {}, {})"}
COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
MASKS = (*COMPARISONS, "bitwise_and", "bitwise_or", "invert")
KINKED = ("maximum", "minimum", "where", "absolute", "sign", *MASKS)
LONGEST = 72  # characters of an expression that is shown
LARGEST_POWER = 64  # up to which whole powers are products
# what is one step for NumPy and several here
COMPOSED: dict[str, Callable[..., Any]] = {
    "positive": lambda x: x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 / x,
    "fabs": lambda x: np.abs(x),
    "cosh": lambda x: 0.5 * (np.exp(x) + np.exp(-x)),
    "sinh": lambda x: 0.5 * (np.exp(x) - np.exp(-x)),
    "erfc": lambda x: 1.0 - special.erf(x),
    "log1p": lambda x: np.log(1.0 + x),
    "expm1": lambda x: np.exp(x) - 1.0,
    "expit": lambda x: 0.5 + 0.5 * np.tanh(0.5 * x),
    "logaddexp": lambda x, y: np.maximum(x, y) + np.log(1.0 + np.exp(-np.abs(x - y))),
    "logical_and": lambda x, y: x & y,
    "logical_or": lambda x, y: x | y,
    "logical_not": lambda x: ~x,
    "heaviside": lambda x, y: np.where(x > 0.0, 1.0, np.where(x < 0.0, 0.0, y)),
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
}


class Tape:
    """Steps in their order, none of them twice.

    Attributes
    ----------
    steps : dict of (str, tuple) to str
        Name of the result of each step, given by its operation and what it is applied to.
    """

    def __init__(self) -> None:
        self.steps: dict[tuple[str, tuple[Value, ...]], str] = {}
        self.operations: dict[str, str] = {}

    def add(self, operation: str, *given: Value) -> Value:
        """Return the result of a step, without making one where it is known."""
        if operation not in MASKS and operation != "where":
            given = tuple(self.number(value) for value in given)
        elif operation == "where":
            given = (given[0], self.number(given[1]), self.number(given[2]))
        if operation == "divide" and isinstance(given[1], float) and given[1] != 0.0:
            return self.add("multiply", given[0], 1.0 / given[1])  # vectors are slow at divisions
        short = _shortened(operation, given)
        if short is not None:
            return short
        if all(isinstance(value, float) for value in given):
            return float(evaluated(operation, given))
        if (operation, given) not in self.steps:
            name = f"t{len(self.steps)}"
            self.steps[operation, given], self.operations[name] = name, operation
        return self.steps[operation, given]

    def number(self, value: Value) -> Value:
        """Return a condition as 1 and 0, and anything else as it is."""
        return self.add("where", value, 1.0, 0.0) if self.operations.get(str(value)) in MASKS else value

    def power(self, x: Value, n: Value) -> Value:
        """Return x^n for a constant n."""
        if not isinstance(n, float):
            raise TypeError("`function` must have constant exponents; write a^x as np.exp(np.log(a) * x)")
        if n in (0.0, 1.0):
            return x if n else 1.0
        if n == 0.5:
            return self.add("sqrt", x)
        return self.add("multiply", x, x) if n == 2 else self.add("power", x, n)


class Expression(np.lib.mixins.NDArrayOperatorsMixin):
    """The stand-in for x and for what is made of it; NumPy's functions and operators note a step."""

    def __init__(self, tape: Tape, value: Value) -> None:
        self.tape, self.value = tape, value

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *given: Any, **options: Any) -> Expression:
        """Note a step."""
        if method != "__call__" or options or len(given) != ufunc.nin:
            raise TypeError(f"`function` must call np.{ufunc.__name__} on single numbers, without options")
        return self._step(ufunc.__name__, given)

    def __array_function__(self, function: Callable[..., Any], types: Any, given: Any, options: Any) -> Expression:
        """Note a choice."""
        if options:
            raise TypeError(f"`function` must call np.{function.__name__} without options, but gives {list(options)}")
        return self._step(function.__name__, given)

    def _step(self, name, given):
        if name in COMPOSED:
            return COMPOSED[name](*given)
        if name not in STEPS:
            raise TypeError(f"`function` must be made of {', '.join([*STEPS, *COMPOSED])}, but calls {name!r}")
        values = [part.value if isinstance(part, Expression) else _constant(part) for part in given]
        made = self.tape.power(*values) if name == "power" else self.tape.add(name, *values)
        return Expression(self.tape, made)

    def __bool__(self) -> bool:
        raise TypeError("`function` must choose by np.where(condition, a, b), not by `if`, `and` or `or`")

    def __float__(self) -> float:
        raise TypeError("`function` must call NumPy's functions, not those of `math`, and none that asks for a float")

    __int__ = __index__ = __float__


def _constant(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"`function` must combine x with single numbers, but combines it with {value!r}") from None


def evaluated(operation: str, given: Sequence[Any]) -> Any:
    """Return what a step makes of numbers."""
    call = {"erf": special.erf, "where": np.where, "invert": np.logical_not}.get(operation) or getattr(np, operation)
    conditions = operation in ("invert", "bitwise_and", "bitwise_or")
    with np.errstate(all="ignore"):
        return call(*(map(bool, given) if conditions else given))


def _shortened(operation, given):
    """Return what a step comes to without being made, or None."""
    a, b = (*given, None, None)[:2]
    if operation == "where" and given[1] == given[2]:
        return given[1]
    if operation in ("add", "subtract") and b == 0.0:
        return a
    if operation == "add" and a == 0.0:
        return b
    if operation == "multiply" and 0.0 in (a, b):
        return 0.0
    if operation == "multiply" and 1.0 in (a, b):
        return b if a == 1.0 else a
    if operation == "divide" and (b == 1.0 or a == 0.0):
        return a
    return None


def traced(function: Callable[..., Any], tape: Tape, variables: Sequence[str] = ("x",)) -> Value:
    """Note the steps of a function of some variables, and return the name of its result.

    Raises
    ------
    TypeError
        If it does what cannot be noted; the message says what.
    """
    found = function(*(Expression(tape, name) for name in variables))
    return tape.number(found.value) if isinstance(found, Expression) else _constant(found)


def derivative(tape: Tape, value: Value) -> Value:
    """Note the steps of the derivative of a value, and return its name."""
    slopes: dict[Value, Value] = {"x": 1.0}
    for (operation, given), result in list(tape.steps.items()):
        if operation not in MASKS:
            parts = [slopes.get(part, 0.0) for part in given]
            slopes[result] = _slope(tape, operation, given, result, parts)
        if result == value:
            break
    return slopes.get(value, 0.0)


def _slope(tape, operation, given, result, slopes):
    """Return the slope of a step's result from those of what it is applied to."""
    add = tape.add
    a, b, da, db = given[0], given[-1], slopes[0], slopes[-1]
    if operation in ("add", "subtract"):
        return add(operation, da, db) if operation == "add" or da != 0.0 else add("negative", db)
    if operation == "multiply":
        return add("add", add("multiply", da, b), add("multiply", a, db))
    if operation == "divide":
        first = add("divide", da, b)
        return first if db == 0.0 else add("subtract", first, add("multiply", add("divide", result, b), db))
    if operation == "where":
        return add("where", a, slopes[1], db)
    if operation in ("maximum", "minimum"):
        return add("where", add("greater" if operation == "maximum" else "less", a, b), da, db)
    if operation == "power":
        return add("multiply", add("multiply", b, tape.power(a, b - 1.0)), da)
    if operation == "absolute":
        return add("where", add("less", a, 0.0), add("negative", da), da)
    outer = {
        "negative": lambda: -1.0,
        "sign": lambda: 0.0,
        "exp": lambda: result,
        "log": lambda: add("divide", 1.0, a),
        "tanh": lambda: add("subtract", 1.0, add("multiply", result, result)),
        "erf": lambda: add("multiply", 2.0 / math.sqrt(math.pi), add("exp", add("negative", add("multiply", a, a)))),
        "sqrt": lambda: add("divide", 0.5, result),
        "sin": lambda: add("cos", a),
        "cos": lambda: add("negative", add("sin", a)),
    }[operation]()
    return add("multiply", outer, da)


def source(tape: Tape, *values: Value) -> str:
    """Return the steps that some values need, one a line, and the values in the last line."""
    results = [f"0.0 * x + {value!r}" if isinstance(value, float) else value for value in values]
    return "\n".join([*steps_of(tape, *values), ", ".join(results)])


def steps_of(tape: Tape, *values: Value) -> list[str]:
    """Return the steps that some values need, as statements of Python."""
    needed, lines = set(values), []
    for (operation, given), name in reversed(tape.steps.items()):
        if name in needed:
            needed.update(given)
            texts = [str(part) for part in given]
            if operation == "power" and given[1] == int(given[1]) and abs(given[1]) <= LARGEST_POWER:
                texts[1] = str(int(given[1]))
            lines.append(f"{name} = {STEPS[operation].format(*(f'({t})' if t[0] == '-' else t for t in texts))}")
    return lines[::-1]


def expression(text: str) -> str:
    """Return the value that a source says as one expression of x; of a long one how many steps it has."""
    *lines, results = text.split("\n")
    known: dict[str, ast.expr] = {}
    for line in lines:
        name, step = line.split(" = ", 1)
        known[name] = _Inlined(known).visit(ast.parse(step, mode="eval").body)
        if len(ast.unparse(known[name])) > LONGEST:
            known[name] = ast.Name("...")
    value = _Inlined(known).visit(ast.parse(f"({results},)", mode="eval").body).elts[0]
    shown = ast.unparse(value)
    return f"... in {len(lines)} steps" if "..." in shown else shown


class _Inlined(ast.NodeTransformer):
    """An expression with what is known in the place of names."""

    def __init__(self, known: dict[str, ast.expr]) -> None:
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.known.get(node.id, node)


@functools.lru_cache(maxsize=256)
def plain_function(text: str, given: str = "x") -> Callable[..., Any]:
    """Return the jitable function that a source says; it takes what is `given`, x or an array of rows."""
    *lines, results = text.split("\n")
    body = "".join(f"    {line}\n" for line in [*lines, f"return {results}"])
    names = {"np": np, "erf": special.erf, "load": load, "__name__": __name__}
    exec(f"def custom({given}):\n{body}", names)
    return jitable(with_name_of(text)(names["custom"]))

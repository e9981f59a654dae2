r"""Any function of one variable, as the user writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .base import Activation
from .expressions import KINKED, Tape, derivative, expression, plain_function, source, traced

__all__ = ["Custom"]


class Custom(Activation):
    r"""A function of the user's own, such as ``np.tanh`` or ``lambda x: np.maximum(x, 0.0)``.

    The function is called once, with a stand-in for x, and what it does is noted as steps: arithmetic, powers,
    comparisons, `np.where`, `np.maximum`, `np.minimum`, `np.clip`, `np.abs`, `np.sign`, `np.sqrt`, `np.exp`, `np.log`,
    `np.tanh`, `np.sin`, `np.cos`, `scipy.special.erf`, `scipy.special.expit` and what is made of them. Loops and
    constants of any kind are unrolled into it. The derivative is that of the steps, exact to rounding. Two functions
    are equal if their steps are.

    Both engines take any function. The ODEs, the loss and the Hessians find averages by quadrature, which asks for a
    function that is smooth on a scale of 1: one with kinks raises `NoClosedForm` there. :class:`ReLU` has its averages
    in closed form. Files keep the steps as a text that is never executed: a trajectory that is loaded has its loss,
    and an activation that says what it was.

    Parameters
    ----------
    function : callable
        Of one argument x.
    derivative : callable, optional
        Its derivative, where not that of the steps is to be used.

    Raises
    ------
    TypeError
        If the function does what cannot be noted, such as ``if x > 0``; the message says what.

    Examples
    --------
    >>> softplus = Custom(lambda x: np.log(1 + np.exp(x)))
    >>> float(softplus.slope(0.0))
    0.5
    >>> Custom(np.tanh) == Custom(lambda x: np.tanh(x))
    True
    """

    name = "custom"

    def __init__(self, function: Callable[..., Any], derivative: Callable[..., Any] | None = None) -> None:
        self.steps, self._curvature = _written(function, derivative)

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope)."""
        return plain_function(self.steps)

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Return its second derivative, shape of `x`.

        Raises
        ------
        NoClosedForm
            If it may have kinks.
        """
        return super().curvature(x) if self._curvature is None else plain_function(self._curvature)(np.asarray(x) * 1.0)

    def __repr__(self) -> str:
        return f"Custom(x -> {expression(self.steps)})"


def _written(function, slope_function):
    """Return the source of value and slope, and that of the second derivative, or None where there may be kinks."""
    for name, given in (("function", function), ("derivative", slope_function)):
        if not (callable(given) or (given is None and name == "derivative")):
            raise TypeError(f"`{name}` must be a function of x, but is {type(given).__name__}")
    tape = Tape()
    value = traced(function, tape)
    if isinstance(value, float):
        raise TypeError(f"`function` must depend on x, but is {value} everywhere")
    slope = derivative(tape, value) if slope_function is None else traced(slope_function, tape)
    text = source(tape, value, slope)
    kinked = any(tape.operations.get(line.partition(" ")[0]) in KINKED for line in text.splitlines())
    return text, None if kinked else source(tape, derivative(tape, slope))

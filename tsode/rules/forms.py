r"""What a function of Gaussian numbers looks at: linear forms of them, and where along these it jumps or bends.

A function of :math:`x \sim N(0, \Sigma)` that depends on :math:`d = A x` alone has the same averages, those with x
itself included, where x is replaced by its mean given d: :math:`E[c x^T] = E[c\, E[x | d]^T]`. That mean has the
covariance :math:`\Sigma A^T (A \Sigma A^T)^+ A \Sigma`, of the rank of A: a softmax of differences, or a single
output of many units, need few axes of quadrature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..activations.expressions import COMPARISONS, MASKS, evaluated
from .points import Points, points
from .tracing import Trace

__all__ = ["Forms", "form_points", "forms_of"]

BENDING = ("maximum", "minimum", *COMPARISONS)  # where both sides are equal
SAME = 1e-12  # of directions
SMALLEST = 1e-13  # eigenvalue over the largest that is zero


@dataclass
class Forms:
    """What a function looks at, for given scalars.

    Attributes
    ----------
    directions : list of ndarray, shape (count,)
        The linear forms.
    kinks : list of (ndarray, set of float), or None
        Forms along which it jumps or bends, and at which values; None where it may do so anywhere.
    """

    directions: list[np.ndarray] = field(default_factory=list)
    kinks: list[tuple[np.ndarray, set[float]]] | None = field(default_factory=list)

    @property
    def sharpness(self) -> float:
        """The largest coefficient of a form, at least 1."""
        return max(1.0, max((np.abs(each).max() for each in self.directions), default=1.0))

    def look(self, *values: object) -> None:
        """Note the forms among some values."""
        self.directions += [value[:-1] for value in values if isinstance(value, np.ndarray)]

    def bend(self, value: object) -> None:
        """Note that there is a kink where a value is zero."""
        if isinstance(value, tuple):
            for factor in value:
                self.bend(factor)
        elif isinstance(value, Cut):
            self._bend_along(value.form)
        elif isinstance(value, np.ndarray):
            self._bend_along(value)
        elif not isinstance(value, (float, Steps)):
            self.kinks = None

    def _bend_along(self, form):
        scale = form[np.flatnonzero(form[:-1])[0]]
        direction, level = form[:-1] / scale, float(-form[-1] / scale)
        for other, levels in self.kinks or ():
            if np.abs(other - direction).max() <= SAME:
                levels.add(level)
                return
        if self.kinks is not None:
            self.kinks.append((direction, {level}))


class Steps:
    """A value that is constant between kinks."""


@dataclass
class Cut:
    """A value that is a form between kinks, and constant beyond."""

    form: np.ndarray


def forms_of(trace: Trace, scalars: np.ndarray, rows: int, noises: int) -> Forms:
    """Return what a function of so many preactivations and noises looks at."""
    first, found = {"z": 0, "n": rows}, Forms()
    known: dict[object, object] = {}

    def value_of(name):
        if isinstance(name, float) or name in known:
            return known.get(name, name)
        if name[0] == "a":
            return float(scalars[int(name[1:])])
        return np.eye(1, rows + noises + 1, first[name[0]] + int(name[1:]))[0]

    for operation, given, name in trace.steps:
        known[name] = _result(operation, [value_of(each) for each in given], found)
    found.look(*(value_of(each) for each in trace.values))
    return found


def _result(operation, parts, found):
    """Return what is known of the result of a step; note what it looks at.

    That is a number, a form with a constant at the end, a form that is Cut, Steps, a tuple of such factors for their
    product, or None.
    """
    if all(isinstance(part, float) for part in parts):
        return float(evaluated(operation, parts))
    if operation == "where" and isinstance(parts[0], float):
        return parts[1] if parts[0] else parts[2]
    if all(isinstance(part, (float, np.ndarray)) for part in parts):
        form = _form(operation, parts)
        if form is not None:
            return form if form[:-1].any() else float(form[-1])
    found.look(*parts)
    if operation in BENDING:
        found.bend(_difference(*parts))
    elif operation in ("absolute", "sign"):
        found.bend(parts[0])
    if operation in MASKS or operation == "sign" or all(isinstance(part, (float, Steps)) for part in parts):
        return Steps()
    if operation in ("maximum", "minimum"):
        forms = [part.form if isinstance(part, Cut) else part for part in parts if isinstance(part, (Cut, np.ndarray))]
        return Cut(forms[0]) if len(forms) == 1 and any(isinstance(part, float) for part in parts) else None
    if operation in ("multiply", "negative") and not any(part is None for part in parts):
        return tuple(factor for part in parts for factor in (part if isinstance(part, tuple) else (part,)))
    return None


def _form(operation, parts):
    """Return what a step makes of forms and numbers if it is a form, else None."""
    length = next(len(part) for part in parts if isinstance(part, np.ndarray))
    number = any(isinstance(part, float) for part in parts)
    if operation in ("add", "subtract", "negative"):
        a, b = (_with_constant(part, length) for part in (parts[0], parts[-1]))
        return {"add": a + b, "subtract": a - b, "negative": -a}[operation]
    if (operation == "multiply" and number) or (operation == "divide" and isinstance(parts[1], float)):
        return parts[0] * parts[1] if operation == "multiply" else parts[0] / parts[1]
    return None


def _difference(a, b):
    """Return a value that is zero where two are the same, None where that is not known."""
    if isinstance(a, (float, Steps)) and isinstance(b, (float, Steps)):
        return 0.0
    if 0.0 in [part for part in (a, b) if isinstance(part, float)]:
        return b if isinstance(a, float) else a
    a, b = (
        part.form if isinstance(part, Cut) and isinstance(other, float) else part for part, other in ((a, b), (b, a))
    )
    if all(isinstance(part, (float, np.ndarray)) for part in (a, b)):
        return _result("subtract", (a, b), Forms())
    return None


def _with_constant(part, length):
    return np.eye(1, length, length - 1)[0] * part if isinstance(part, float) else part


def form_points(forms: Forms, omega: np.ndarray, noises: int, rtol: float, **more: int) -> Points:
    """Return points for averages of a function of preactivations with covariance `omega`, and of noises."""
    n = len(omega)
    sigma = np.eye(n + noises)
    sigma[:n, :n] = omega
    A = np.array(forms.directions).reshape(-1, n + noises)
    seen = A @ sigma
    sigma = seen.T @ np.linalg.pinv(seen @ A.T, SMALLEST, hermitian=True) @ seen
    kinks: Sequence = forms.kinks or ()
    whole = np.vstack([np.eye(n + noises), *(direction for direction, _ in kinks)])
    jumps = [np.empty(0)] * (n + noises) + [np.array(sorted(levels)) for _, levels in kinks]
    found = points(whole @ sigma @ whole.T, None if forms.kinks is None else jumps, 0, rtol, forms.sharpness, **more)
    return found._replace(z=found.z[:n], noise=found.z[n : n + noises])

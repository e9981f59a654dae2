r"""Targets that are any function of the preactivations, :math:`y = f(\mu_1, \mu_2, \dots) + \sqrt\Delta\, \xi`.

These are multi-index models. The loss is half the squared error, or one of the others of the output; the averages are
found by quadrature. Of the square the noise is summed over exactly: C is linear in it, so that its two values
:math:`\pm \sqrt\Delta` have all the moments that matter.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._compiled import jitable, with_name_of
from ..activations.expressions import KINKED, Expression, Tape, plain_function, source, traced
from .labels import Labels, Outcomes, Outputs
from .output_loss import OutputLoss, readout_of, unit_jumps
from .tracing import Trace

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Link"]

PROBES = 1 << 12  # points at which a target is looked at


class EitherNoise(Outputs):
    """The output of the teacher, whose noise has one of two values."""

    averaged = True

    def outcomes(self, y: np.ndarray, spread: float, noise: np.ndarray | float) -> Outcomes:
        """Return both labels."""
        return [(0.5, y + spread), (0.5, y - spread)] if spread else [(1.0, y)]


class Square(OutputLoss):
    """Half the squared error."""

    name = "square"

    @property
    def labels(self) -> Labels:
        """The output."""
        return EitherNoise()

    @property
    def function(self) -> Callable[..., Any]:
        """Plain function (y_hat, label) -> (value, slope)."""
        return square

    def lowest(self, label: np.ndarray, spread: float) -> float:
        """Return half the variance of the noise."""
        return spread**2 / 2


@jitable
def square(y_hat, label):
    """Return half the square of the error, and its slope."""
    error = y_hat - label
    return 0.5 * error * error, error


class Link(OutputLoss):
    r"""Gradient descent on a loss whose target is any function of the teacher's preactivations.

    The function is called once, with a stand-in for each of these, and may do what that of
    :class:`tsode.activations.Custom` may. The teacher's activation and readout then have no part in the model. What
    needs a formula raises `NoClosedForm`.

    Parameters
    ----------
    function : callable
        Of p* arguments, the preactivations, such as ``lambda a, b: a * b``.
    loss : OutputLoss, optional
        One of the losses of the output, such as ``Logistic()``, with the labels that it makes of the target; by default
        half the squared error.
    kinks : sequence of float
        Values of the preactivations at which the function jumps or has a kink, such as 0 of ``np.sign(a * b)``; for
        labels that are its sign also those at which it changes that. Where there may be some and none are given,
        averages are sums over many points.

    Raises
    ------
    TypeError, ValueError
        If `function` does what cannot be noted, or has no fixed number of arguments; if `loss` is none.

    Notes
    -----
    The product of k independent preactivations has information exponent k: for k = 2 students rest on a plateau and
    leave it exponentially, as the square does, and for larger k ever more slowly.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.1, rule=Link(lambda a, b: a * b))
    >>> float(model.excess_loss([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]).round(6))
    0.5
    """

    name = "link"

    def __init__(
        self, function: Callable[..., Any], loss: OutputLoss | None = None, kinks: Sequence[float] = ()
    ) -> None:
        self.steps, self._units, self._kinked, self._degree = _written(function)
        self.loss = Square() if loss is None else _checks.instance("loss", loss, OutputLoss, "a loss of the output")
        self.kinks = _checks.float_array("kinks", kinks, (None,), "(n,)").tolist()

    @property
    def breaks(self) -> tuple[float, ...] | None:  # type: ignore[override]
        """Those of the loss."""
        return self.loss.breaks

    @property
    def scale(self) -> float:  # type: ignore[override]
        """That of the loss."""
        return self.loss.scale

    @property
    def labels(self) -> Labels:
        """Those of the loss."""
        return self.loss.labels

    @property
    def function(self) -> Callable[..., Any]:
        """That of the loss."""
        return self.loss.function

    def lowest(self, label: np.ndarray, spread: float) -> np.ndarray | float:
        """Return that of the loss."""
        return self.loss.lowest(label, spread)

    def target(self, model: TeacherStudent) -> Callable[..., Any]:
        """Return the jitable function (y, mu, parameters, first) -> y plus the target."""
        if model.p_star != self._units:
            raise ValueError(
                f"`p_star` must be the number of arguments of the link, {self._units}, but is {model.p_star}"
            )
        return _target(self.steps)

    def teacher_output(self, model: TeacherStudent, mu: np.ndarray) -> np.ndarray:
        """Return the target without noise, shape (m,)."""
        return self.target(model)(0.0, mu, None, 0)

    def jumps(self, model: TeacherStudent, scalars: np.ndarray) -> list[np.ndarray] | None:
        """Return kinks of the activation and of the target; None where they are not known."""
        student = unit_jumps(model.activation, readout_of(model, scalars), self.breaks)
        sharp = self.labels.jumps and not model.noise_variance
        if student is None or ((sharp or self._kinked) and not self.kinks):
            return None
        return student + [np.array(self.kinks)] * model.p_star

    def degree(self, model: TeacherStudent) -> int | None:
        """Return the degree of C where activation and target are polynomials and the loss is the square."""
        own = model.activation.coefficients
        if own is None or math.isinf(self._degree) or not isinstance(self.loss, Square):
            return None
        return max(len(own) - 1, int(self._degree)) + len(own) - 2

    def sharpness(self, model: TeacherStudent, scalars: np.ndarray) -> float:
        """Return the larger of the slopes of both outputs, over the change of each that matters."""
        steepness = _steepness(self.steps, self._units) / self.labels.width(math.sqrt(model.noise_variance))
        return max(1.0, np.abs(readout_of(model, scalars)).max() / self.scale, steepness)

    def teacher_marks(self, model: TeacherStudent) -> np.ndarray:
        """Return different numbers: no two units are known to be alike."""
        return np.arange(model.p_star, dtype=np.float64)

    def __repr__(self) -> str:
        return f"Link(mu -> {'; '.join(self.steps.splitlines())})"


def _written(function):
    """Return the source of a function of rows, of how many, whether it may have kinks, and its degree."""
    if not callable(function):
        raise TypeError(f"`function` must be a function of p_star numbers, but is {type(function).__name__}")
    try:
        given = [one.kind for one in inspect.signature(function).parameters.values()]
    except ValueError:
        given = []
    if not given or not set(given) <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        raise TypeError("`function` must have a fixed number of arguments, as lambda a, b: a * b, but has others")
    tape, rows = Tape(), [f"x{r}" for r in range(len(given))]
    value = traced(function, tape, rows)
    if isinstance(value, float):
        raise TypeError(f"`function` must depend on its arguments, but is {value} everywhere")
    kinked = any(operation in KINKED for operation in tape.operations.values())
    loads = [f"{row} = load(mu, {r})" for r, row in enumerate(rows)]
    (degree,) = Trace(tape, [(Expression(tape, value), ())]).degrees
    return "\n".join([*loads, source(tape, value)]), len(rows), kinked, degree


@functools.lru_cache
def _steepness(steps, units):
    """Return the mean length of the target's gradient, about, over preactivations of variance 1."""
    link, mu, h = plain_function(steps, "mu"), np.random.default_rng(0).standard_normal((units, PROBES)), 1e-3
    slopes = [(link(mu + h * e) - link(mu - h * e)) / (2 * h) for e in np.eye(units)[..., None]]
    return float(np.mean(np.linalg.norm(slopes, axis=0)))


@functools.lru_cache
def _target(steps):
    """Return the target, added to y."""
    link = plain_function(steps, "mu")

    @jitable
    @with_name_of(link)
    def target(y, mu, parameters, first):
        return y + link(mu)

    return target

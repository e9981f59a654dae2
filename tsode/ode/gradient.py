"""Derivatives of the loss of an ODE solution with respect to everything that it depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Report
from .._parameters import describe
from .._states import norms, unpack
from ..model import TeacherStudent, check_isotropic, check_model, unchecked, with_rate
from ..overlaps import Overlaps, check_start
from . import dop853
from .adjoint import backward, forward, pullback_function
from .lockstep import begin
from .rates import Rates, is_bare
from .result import Options

__all__ = ["Diverged", "LossGradient", "differentiable", "differentiate", "gradient", "rates_of_model", "weights_of"]

NO_NOISE = 1e-30  # variance beside which the derivative with respect to the variance is taken; changes nothing else


class Diverged(ValueError):
    """The solution diverges."""


@dataclass(frozen=True, eq=False, repr=False)
class LossGradient(Report):
    r"""A loss and its derivatives.

    Attributes
    ----------
    model : TeacherStudent
        The pair.
    alpha : ndarray, shape (T,)
        Times.
    loss : float
        Population loss without label noise at the last time, or its weighted sum over the times.
    learning_rates : ndarray, shape (T - 1,)
        Derivatives with respect to the learning rate between one time and the next.
    learning_rate, noise_variance : float
        Derivatives with respect to the learning rate at all times, and to the variance of the label noise.
    student_readout, teacher_readout : ndarray, shapes (p,), (p_star,)
        Derivatives with respect to v and v*.
    teacher_overlap : ndarray, shape (p_star, p_star)
        Derivatives with respect to P at fixed M and Q of the start; P_rs and P_sr count as independent.
    M, Q : ndarray, shapes (p, p_star), (p, p)
        Derivatives with respect to the overlaps of the start; Q_kl and Q_lk count as independent.
    """

    model: TeacherStudent
    alpha: np.ndarray
    loss: float
    learning_rates: np.ndarray
    learning_rate: float
    noise_variance: float
    student_readout: np.ndarray
    teacher_readout: np.ndarray
    teacher_overlap: np.ndarray
    M: np.ndarray
    Q: np.ndarray

    def _title(self):
        return "Derivatives of the loss of an ODE solution"

    def _rows(self):
        return [
            ("model", describe(self.model)),
            ("time alpha", f"{self.alpha[0]:g} to {self.alpha[-1]:g}, {len(self.alpha)} points"),
            ("loss", f"{self.loss:.4g}"),
            ("with respect to the learning rate", f"{self.learning_rate:.4g}"),
            ("to the label noise variance", f"{self.noise_variance:.4g}"),
            ("to the student readout", np.array2string(self.student_readout, precision=4, threshold=8)),
            ("to the teacher readout", np.array2string(self.teacher_readout, precision=4, threshold=8)),
            ("to M, Q at the start: norms", f"{np.linalg.norm(self.M):.4g}, {np.linalg.norm(self.Q):.4g}"),
        ]


def gradient(
    model: TeacherStudent,
    start: Overlaps,
    alpha: ArrayLike,
    learning_rates: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    gradient_flow: bool = False,
) -> LossGradient:
    r"""Differentiate the loss at the end of an ODE solution with respect to all parameters and the start.

    The solution is that of :func:`tsode.integrate` with DOP853, each interval between two times on its own; it is then
    taken back once, by the discrete adjoint (:mod:`tsode.ode.adjoint`): a few times the time of the solution, whatever
    the number of derivatives. Their error is that of the solution. Where averages do not say how they are
    differentiated, as those of the error function, it takes a few hundred times the time of the solution.

    Parameters
    ----------
    model : TeacherStudent
        The pair.
    start : Overlaps
        Overlaps at time ``alpha[0]``.
    alpha : float or array_like, shape (T,)
        Times (samples / N), strictly increasing, at least two; a number stands for 201 even times from 0 up to it.
    learning_rates : array_like, shape (T - 1,), optional
        Learning rate between one time and the next; the model's by default, where it is constant between the times.
    weights : array_like, shape (T,), optional
        Weights of the times in the sum of losses that is differentiated; the last time alone by default.
    rtol, atol : float
        Relative and absolute tolerance.
    gradient_flow : bool
        Leave out the :math:`\eta^2` term.

    Returns
    -------
    LossGradient

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; if the solution diverges; NoClosedForm if the averages of
        the activations are those of NumPy alone.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    >>> start = tsode.Overlaps.random(model, N=1000, rng=0)
    >>> found = tsode.gradient(model, start, [0.0, 20.0, 40.0])
    >>> bool((found.learning_rates < 0).all())  # more would have learned faster
    True
    """
    check_start(check_isotropic(check_model(model)), start)
    alpha = _checks.times(alpha)
    if len(alpha) < 2:
        raise ValueError(f"`alpha` must hold at least two times, but holds {len(alpha)}")
    rtol = _checks.number("rtol", rtol, above=0.0, maximum=1.0)
    atol = _checks.number("atol", atol, above=0.0)
    options = Options("DOP853", rtol, atol, _checks.flag("gradient_flow", gradient_flow))
    given = rates_of_model(model, alpha) if learning_rates is None else learning_rates
    rates_given = _vector("learning_rates", given, len(alpha) - 1, "(T - 1,)")
    if not (rates_given > 0).all():
        raise ValueError(f"`learning_rates` must be larger than 0, but one is {rates_given.min():g}")
    weights_given = weights_of(weights, alpha)
    found = differentiate(differentiable(model), start, alpha, rates_given, weights_given, options)
    return LossGradient(model=model, alpha=alpha, **found)


def differentiable(model: TeacherStudent) -> TeacherStudent:
    """Return the model with some noise, be it next to none, if it has compiled averages."""
    if model.rule.averages(model).drift is None:
        raise _checks.NoClosedForm(
            "`model` must have activations with compiled averages and the rule 'gradient', but has "
            f"{model.activation!r}, {model.teacher_activation!r} and {model.rule!r}; take differences of "
            "tsode.integrate instead"
        )
    if not is_bare(model):
        raise _checks.NoClosedForm(
            "`model` must have a fixed readout and no weight decay for derivatives, but has not; take differences of "
            "tsode.integrate instead"
        )
    return model if model.noise_variance else unchecked(model, noise_variance=NO_NOISE)


def rates_of_model(model: TeacherStudent, alpha: np.ndarray) -> np.ndarray:
    """Return the learning rate between one time and the next, shape (T - 1,); it is not to change between them."""
    if model.schedule is None:
        return np.full(len(alpha) - 1, model.learning_rate)
    inner = [time for time in model.schedule.breakpoints if alpha[0] < time < alpha[-1]]
    if not (model.schedule.is_piecewise_constant and np.isin(inner, alpha).all()):
        raise ValueError(
            "`learning_rates` must be given, or `alpha` hold all times at which the learning rate changes: it is "
            f"{model.schedule!r}"
        )
    return model.schedule(alpha[:-1])


def weights_of(weights: ArrayLike | None, alpha: np.ndarray) -> np.ndarray:
    """Return the weights of the losses at the times, shape (T,): the last alone by default."""
    return np.eye(len(alpha))[-1] if weights is None else _vector("weights", weights, len(alpha), "(T,)")


def _vector(name, values, length, shape):
    """Return checked numbers, shape (length,)."""
    return _checks.float_array(name, values, (length,), shape).copy()


def differentiate(
    model: TeacherStudent,
    start: Overlaps,
    alpha: np.ndarray,
    learning_rates: np.ndarray,
    weights: np.ndarray,
    options: Options,
) -> dict[str, Any]:
    """Integrate, take back, and collect what the loss depends on directly; return the numbers of LossGradient."""
    model = with_rate(model, float(learning_rates[0]))
    rates, tables = Rates([model], options.gradient_flow, 1, options.rtol), dop853.tables()
    work, control, out = begin([model], [start], rates, 1, alpha, options)
    share = model.effective_learning_rate / model.learning_rate
    learning_rates = share * learning_rates
    history, ends = forward(
        rates.pointer, rates.arrays, rates.numbers, tables, work, control, alpha.copy(), learning_rates, out,
        norms(model), options.rtol, options.atol,
    )  # fmt: skip
    if (ends[1:] == 0).any():
        raise Diverged(
            f"`alpha` must end before the solution diverges, but ends at {alpha[-1]:g}, after about "
            f"{control[dop853.TIME, 0]:g}; smaller learning rates may not diverge"
        )
    M, Q = unpack(out[0], model)
    counted, record_bars = np.flatnonzero(weights), np.zeros(out[0].shape)
    for bars, slopes in zip(unpack(record_bars, model), model.loss_slopes(M[counted], Q[counted])):
        bars[counted] = weights[counted, None, None] * slopes
    P_bar, parameters_bar = np.zeros(model.p_star**2), np.zeros(len(model.rule.parameters(model)))
    learning_rates_bar = np.empty(len(learning_rates))
    pullback = pullback_function(model.rule.averages(model))
    y_bar = backward(
        rates.pointer, pullback.pointer, rates.arrays, rates.numbers, tables, history, ends, learning_rates,
        record_bars, P_bar, parameters_bar, learning_rates_bar,
    )  # fmt: skip
    learning_rates_bar *= share
    parameters_bar[0] *= share
    found = model.rule.parameter_bars(model, parameters_bar)
    square = P_bar.reshape(model.p_star, model.p_star)
    found["teacher_overlap"] = (square + square.T) / 2
    for i in counted:
        for name, slopes in model.rule.parameter_slopes(model, M[i], Q[i]).items():
            found[name] = found[name] + weights[i] * slopes
    M_bar, Q_bar = unpack(y_bar, model)
    loss = float(weights @ model.excess_loss(M, Q))
    return {"loss": loss, "learning_rates": learning_rates_bar, "M": M_bar, "Q": (Q_bar + Q_bar.T) / 2, **found}

r"""The plateau: the fixed point of the overlap ODEs that a student reaches before it finds the teacher.

With the square the student first learns its norms, which needs no knowledge of the teacher, and stops at a saddle where
it puts out the same for every direction, M = 0. The mathematics, for any readouts, is in
:mod:`tsode.activations.quadratic.fixed_points`. Other activations may learn at once what all directions of the teacher
have in common: there the students stop where all are alike, and the plateau is looked for.
"""

from dataclasses import dataclass, field

import numpy as np

from .. import _checks
from .._display import Report
from .._parameters import describe
from ..closed_forms import NoClosedForm, closed_forms, has_closed_forms
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps
from .fixed_point import attracting_point

__all__ = ["Plateau", "plateau"]

LIMITS = {"max_learning_rate": "end", "escape_learning_rate": "escape", "fastest_learning_rate": "fastest"}


@dataclass(frozen=True, eq=False, repr=False)
class Plateau(Report):
    r"""The fixed point at M = 0 or of students all alike, how fast it is left, and what learning rates bound it.

    Attributes
    ----------
    model : TeacherStudent
        What it belongs to.
    q : float or ndarray, shape (p,)
        Diagonal of Q; one number where all rows have the same. Rows with readout 0 never move and count as 1.
    overlaps : Overlaps or None
        The fixed point; None where there is none.
    escape_rate : float
        Largest exponent g of the growth of M, per unit of alpha; from M = 0 tr M M^T and the drop of the loss grow
        with 2 g. Not positive where SGD does not leave. Without a closed form that of the growth of any overlap.
    max_learning_rate : float
        Learning rate above which there is no such fixed point, or none that attracts Q.
    escape_learning_rate : float
        Learning rate above which M does not grow.
    fastest_learning_rate : float
        Learning rate of the largest escape rate.
    reasons : dict of str
        For each of these numbers that is nan: why it does not exist.
    """

    model: TeacherStudent
    q: float | np.ndarray
    overlaps: Overlaps | None
    escape_rate: float
    max_learning_rate: float
    escape_learning_rate: float
    fastest_learning_rate: float
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def excess_loss(self) -> float:
        """Population loss on the plateau without the label noise, float."""
        if self.overlaps is None:
            return np.nan
        return float(self.model.excess_loss(self.overlaps.M, self.overlaps.Q))

    @property
    def loss(self) -> float:
        """Population loss on the plateau, half the label noise's variance included, float."""
        return self.excess_loss + self.model.rule.floor(self.model)

    def _rows(self):
        def show(name, value):
            return f"{value:.6g}" if np.ndim(value) == 0 and np.isfinite(value) else self.reasons.get(name, str(value))

        rows = [
            ("norm q", "q"),
            ("loss", "loss"),
            ("escape rate g", "escape_rate"),
            ("largest learning rate", "max_learning_rate"),
            ("no escape above", "escape_learning_rate"),
            ("fastest escape at", "fastest_learning_rate"),
        ]
        return [
            ("learning rate η", f"{self.model.learning_rate:g}"),
            *((label, show(n, getattr(self, n))) for label, n in rows),
        ]

    def _title(self):
        return f"Plateau, {describe(self.model, 'widths')}"


def plateau(model: TeacherStudent, gradient_flow: bool = False) -> Plateau:
    r"""Return the plateau of a model: the fixed point of the overlap ODEs at which students rest that are all alike.

    For the square that is at M = 0, and in closed form if all readouts of the student are equal (and the sum of
    :math:`\mu_r` has their sign), or under the spherical constraint; otherwise the branch of fixed points is followed
    from learning rate 0. For other activations it is where the ODE rests that starts from M = 0 and Q = 1, found as by
    :func:`tsode.fixed_point`; what `follow` of its result finds is nan here.

    Parameters
    ----------
    model : TeacherStudent
        Free or spherical; any readouts and any teacher for the square, equal readouts on each side and P = 1 for other
        activations.
    gradient_flow : bool
        The fixed point of gradient flow instead, to which that of SGD tends at small learning rate; it has no limits
        on the learning rate.

    Returns
    -------
    Plateau
        With `q`, `overlaps`, `loss`, `escape_rate`, `max_learning_rate`, `escape_learning_rate` and
        `fastest_learning_rate`. What does not exist is nan, with a reason in `reasons`.

    Raises
    ------
    TypeError
        If `model` is no TeacherStudent.
    NoClosedForm
        If nothing is known about its activation in closed form, and its readouts or P tell units apart.

    Notes
    -----
    Derivation in :mod:`tsode.activations.quadratic.fixed_points`; the setting is that of arXiv:2604.03068.

    Examples
    --------
    >>> import tsode
    >>> saddle = tsode.plateau(tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1))
    >>> round(saddle.q, 6), round(saddle.escape_rate, 6)
    (0.689292, 0.048303)
    """
    gradient_flow = _checks.flag("gradient_flow", gradient_flow)
    return (_known if has_closed_forms(check_model(model)) else _found)(model, gradient_flow)


def _found(model, gradient_flow):
    """Return the plateau at which the ODE rests."""
    if not model.is_uniform:
        raise NoClosedForm(
            "`model` must have equal readouts on each side and P = 1 for a plateau of students all alike, or the "
            "quadratic activation; tsode.fixed_point finds those of others from a start"
        )
    start = Overlaps(np.zeros((model.p, model.p_star)), np.eye(model.p))
    point = attracting_point(model, start, gradient_flow)
    reasons = dict.fromkeys(LIMITS, "tsode.fixed_point(model, plateau.overlaps).follow() finds it")
    nothing = dict.fromkeys(LIMITS, np.nan)
    if isinstance(point, str):
        reasons |= dict.fromkeys(("q", "loss", "excess_loss", "escape_rate"), f"none was found: {point}")
        return Plateau(model, np.nan, None, np.nan, **nothing, reasons=reasons)
    q = float(point.overlaps.Q[0, 0])
    return Plateau(model, q, point.overlaps, point.escape_rate, **nothing, reasons=reasons)


def _known(model, gradient_flow):
    """Return the plateau in closed form, or on the branch that is followed from learning rate 0."""
    branch, eta = closed_forms(model).branch, model.learning_rate
    if gradient_flow:
        limits, y = dict.fromkeys(LIMITS, np.nan), branch.point(0.0)
        reasons = dict.fromkeys(LIMITS, "gradient flow knows no learning rate")
    else:
        limits, y = {name: getattr(branch, at) for name, at in LIMITS.items()}, branch.point(eta)
        reasons = {name: branch.reasons[at] for name, at in LIMITS.items() if at in branch.reasons}
    if y is None:
        why = branch.reasons.get("end", f"no attracting fixed point above the learning rate {branch.end:.6g}")
        reasons |= dict.fromkeys(("q", "loss", "excess_loss", "escape_rate"), why)
        return Plateau(model, np.nan, None, np.nan, **limits, reasons=reasons)
    q = branch.norms(y)
    overlaps = Overlaps(np.zeros((model.p, model.p_star)), np.diag(q), model.teacher_overlap)
    q = float(q[0]) if np.ptp(q) == 0 else q
    return Plateau(model, q, overlaps, branch.escape_rate(eta, y, gradient_flow), **limits, reasons=reasons)

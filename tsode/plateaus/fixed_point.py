r"""Fixed points of the overlap ODEs of any model: plateaus that no formula gives, and end points.

They are found by Newton's method on the right-hand side (:mod:`tsode.plateaus.search`), among the states that have the
symmetries of the start (:mod:`tsode.plateaus.symmetric_states`). The eigenvalues are those of the Jacobian in the space
of all changes of M and of the symmetric Q, whatever their symmetry; on the sphere without the norms.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._display import Report
from .._parameters import describe
from .._states import pack, unpack
from ..model import TeacherStudent, check_isotropic, check_model
from ..overlaps import Overlaps, check_start
from .continuation import Continuation, follow
from .search import LONGEST, Search

__all__ = ["FixedPoint", "attracting_point", "fixed_point"]

ZERO = 1e-6  # real part, relative to the largest eigenvalue, that counts as zero
SHOWN = 8


@dataclass(frozen=True, eq=False, repr=False)
class FixedPoint(Report):
    r"""A fixed point of the overlap ODEs, and what the dynamics does near it.

    Attributes
    ----------
    model : TeacherStudent
        The pair, with the learning rate of the fixed point.
    overlaps : Overlaps
        Where it is.
    residual : float
        Largest rate that is left, of any overlap per unit of alpha.
    eigenvalues : ndarray of complex, shape (n,)
        Of the Jacobian, those of the largest real parts first: per unit of alpha, a small change of the overlaps grows
        as exp(eigenvalue alpha). n = p p_star + p (p + 1)/2, on the sphere less by p. nan where there is no Jacobian:
        for an activation with a kink where two units are parallel.
    gradient_flow : bool
        Whether it is one of gradient flow.
    """

    model: TeacherStudent
    overlaps: Overlaps
    residual: float
    eigenvalues: np.ndarray
    gradient_flow: bool

    @property
    def excess_loss(self) -> float:
        """Population loss without the label noise, float."""
        return float(self.model.excess_loss(self.overlaps.M, self.overlaps.Q))

    @property
    def loss(self) -> float:
        """Population loss, half the label noise's variance included, float."""
        return self.excess_loss + self.model.rule.floor(self.model)

    @property
    def escape_rate(self) -> float:
        """Largest real part of the eigenvalues, float: the rate of the fastest escape where it is positive."""
        return float(self.eigenvalues[0].real)

    @property
    def zero(self) -> float:
        """Size up to which the real part of an eigenvalue counts as zero, float."""
        return ZERO * float(np.abs(self.eigenvalues).max())

    @property
    def unstable(self) -> int:
        """Number of directions in which it is left."""
        return int(np.sum(self.eigenvalues.real > self.zero))

    @property
    def nullity(self) -> int:
        """Number of directions in which nothing moves to first order, such as those of a manifold of fixed points."""
        return int(np.sum(np.abs(self.eigenvalues.real) <= self.zero))

    @property
    def verdict(self) -> str:
        """One of "saddle", "manifold" (nothing grows, and something does not decay), "stable", "no Jacobian"."""
        if np.isnan(self.eigenvalues).any():
            return "no Jacobian"
        if self.unstable:
            return "saddle"
        return "manifold" if self.nullity else "stable"

    def follow(self, lowest: float | None = None, highest: float | None = None) -> Continuation:
        r"""Follow the fixed point along the learning rate, until it ceases to exist.

        Parameters
        ----------
        lowest, highest : float, optional
            Learning rates between which it is followed; a tenth and ten times its own by default.

        Returns
        -------
        Continuation
            The learning rates that bound it, those at which its stability changes, and the fixed points between.

        Raises
        ------
        TypeError, ValueError
            If a learning rate is no number, or the fixed point's own is not between them, or it is one of gradient
            flow, which knows no learning rate.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> saddle = tsode.fixed_point(model, tsode.plateau(model).overlaps)
        >>> bool(abs(saddle.follow().max_learning_rate - tsode.plateau(model).max_learning_rate) < 1e-6)
        True
        """
        if self.gradient_flow:
            raise ValueError("`gradient_flow` must be False for a fixed point to have learning rates, but is True")
        eta = self.model.learning_rate
        lowest = eta / 10 if lowest is None else _checks.number("lowest", lowest, above=0.0, maximum=eta)
        highest = 10 * eta if highest is None else _checks.number("highest", highest, minimum=eta)
        search = Search(self.model, self.overlaps, False)
        return follow(search, self, lowest, highest, functools.partial(_report, search))

    def _title(self):
        return f"Fixed point, {describe(self.model, 'widths')}"

    def _rows(self):
        shown = [f"{value.real:.4g}" + (f" {value.imag:+.4g}i" if value.imag else "") for value in self.eigenvalues]
        more = [] if len(shown) <= SHOWN else [f"... {len(shown) - SHOWN} more"]
        return [
            ("learning rate η", "gradient flow" if self.gradient_flow else f"{self.model.learning_rate:g}"),
            ("verdict", self.verdict),
            ("loss", f"{self.loss:.6g}"),
            ("fastest escape", f"{self.escape_rate:.6g}"),
            ("unstable, marginal directions", f"{self.unstable}, {self.nullity} of {len(shown)}"),
            ("eigenvalues", "\n".join([*shown[:SHOWN], *more])),
            ("largest rate left", f"{self.residual:.2g}"),
            *self.overlaps._rows()[:2],
        ]


def fixed_point(model: TeacherStudent, start: Overlaps, relax: float = 0.0, gradient_flow: bool = False) -> FixedPoint:
    r"""Find a fixed point of the overlap ODEs near a start: a plateau, or where learning ends.

    Newton's method leads to a fixed point whether the dynamics would go there or leave it. It keeps the symmetries of
    the start: the permutations of students with equal readouts, together with those of such teachers, that leave its
    overlaps as they are. A start without any is followed in full. Where Newton's method finds nothing, the start is
    first taken along the ODE, for longer and longer.

    Parameters
    ----------
    model : TeacherStudent
        Any pair whose averages are known to the ODEs.
    start : Overlaps
        Where the search begins. Equal students stay so: break a symmetry slightly to look beyond it.
    relax : float
        Time alpha along the ODE before Newton's method begins.
    gradient_flow : bool
        Leave out the :math:`\eta^2` term.

    Returns
    -------
    FixedPoint
        With `overlaps`, `loss`, `eigenvalues`, `escape_rate`, `verdict`, and `follow` for the learning rates that bound
        it. Where fixed points form a manifold, one of them near the start.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or range; if the start diverges, or nothing is found.

    Notes
    -----
    Eigenvalues are right to about 1e-9 of the largest for smooth activations. They take some 4 n evaluations of the
    right-hand side, n = p p_star + p (p + 1)/2, and 16 n where parallel units or solutions make overlaps singular.

    Examples
    --------
    The symmetric plateau of two soft committee machines (Saad & Solla 1995), and the rate at which students specialise:

    >>> import numpy as np, tsode
    >>> model = tsode.TeacherStudent(2, 2, 0.1, student_readout=[1, 1], teacher_readout=[1, 1], activation="erf")
    >>> alike = tsode.Overlaps(M=np.full((2, 2), 0.4), Q=[[0.34, 0.33], [0.33, 0.34]])
    >>> found = tsode.fixed_point(model, alike)
    >>> found.verdict, found.unstable, round(found.escape_rate / 0.1, 6)
    ('saddle', 1, 0.065316)
    """
    check_start(check_isotropic(check_model(model)), start)
    relax = _checks.number("relax", relax, minimum=0.0)
    search = Search(model, start, _checks.flag("gradient_flow", gradient_flow))
    y = _found(search, start, relax, attracting=False)
    if isinstance(y, str):
        raise ValueError(y)
    return _report(search, y)


def attracting_point(model: TeacherStudent, start: Overlaps, gradient_flow: bool) -> FixedPoint | str:
    """Return the fixed point at which the ODE from a start rests as long as it keeps its symmetries, or why none."""
    search = Search(model, start, gradient_flow)
    y = _found(search, start, model.natural_time, attracting=True)
    return y if isinstance(y, str) else _report(search, y)


def _found(search, start, relax, attracting):
    """Return the state of a fixed point, with as much of the ODE before it as is needed, or why none was found."""
    y, total = pack(start.M, start.Q), 0.0
    for n in range(-1, LONGEST):
        if relax > 0:
            y, total = search.relax(y, relax), total + relax
            if y is None:
                remedy = "`model` must have a smaller learning rate, or `start` be another"
                return f"{remedy}: by alpha = {total:g} it diverges"
        state, found = search.newton(y)
        if found and not (attracting and not search.attracts(state, ZERO)):
            return state
        relax = search.model.natural_time * 2.0 ** (n + 1)
    left = np.abs(search.rates(state)).max()
    return (
        "`start` must be closer to a fixed point, or `relax` longer: Newton's method stopped where an overlap still "
        f"moves at the rate {left:.2g}, after alpha = {total:g} of relaxation"
    )


def _report(search, y):
    """Return the FixedPoint at a state."""
    A = search.jacobian(y, search.all)
    if np.isfinite(A).all():
        values = np.linalg.eigvals(A).astype(complex)
        values = values[np.argsort(-values.real, kind="stable")]
    else:
        values = np.full(len(A), complex(np.nan))
    overlaps = Overlaps(*unpack(y, search.model), search.model.teacher_overlap)
    return FixedPoint(search.model, overlaps, float(np.abs(search.rates(y)).max()), values, search.gradient_flow)

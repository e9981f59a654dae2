r"""Any learning rule of named rows, as the user writes it.

Rows :math:`z = W x / \sqrt N` of students, teachers and truths, numbers a that are trained beside them, and a rule that
says what one sample changes:

.. math::
    (c, h) = \mathrm{rule}(z, \xi, a) , \qquad W \leftarrow W + c\, x^T / \sqrt N + (B / N)\, W , \qquad
    a \leftarrow a + h / N ,

with :math:`B = \mathrm{pull}(\Omega, a)`. The covariance :math:`\Omega = W W^T / N` of all rows follows, for large N,

.. math::
    \frac{d\Omega}{d\alpha} = E[c z^T] + E[z c^T] + E[c c^T] + B \Omega + \Omega B^T , \qquad
    \frac{da}{d\alpha} = E[h] .

Engines know rows that move and rows that stand still, and ask a :class:`tsode.rules.Rule` what a sample changes. A
scheme names them: those that the rule writes are the engines' student, the others its teacher.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import _checks
from ._display import Report
from ._types import Seed
from .inputs import Inputs, inputs_of
from .model import TeacherStudent
from .overlaps import Overlaps
from .rules import Named
from .rules.trial import checked
from .trajectory import Trajectory

__all__ = ["Scheme", "pair_of"]


@dataclass(frozen=True, eq=False, repr=False)
class Scheme(Report):
    r"""A learning rule of the user's own, in plain NumPy.

    Parameters
    ----------
    rows : dict of str to int
        Names of the rows, and how many there are of each.
    rule : callable
        Function (z, xi, a) -> dict of what a sample changes: C of rows, shape (n, rows), and h of scalars, shape
        (n, ...), by name, for n samples. z is a dict of preactivations, each of shape (n, rows), xi is noise, shape
        (n, noises), and a is a dict of scalars, each of shape (n, ...) or, where samples share them, (1, ...). Rows and
        scalars that it leaves out stand still.
    outputs : dict of str to callable, optional
        Losses: functions (z, xi, a) -> shape (n,), whose means are ``trajectory.loss[name]``.
    scalars : dict of str to array_like, optional
        Numbers that are trained beside the rows, at their start.
    pull : callable, optional
        Function (Omega, a) -> B of the rows that move, shape (moving, moving). Omega, shape (rows, rows), has all rows
        in their order, and a the scalars as they are.
    noises : int
        How many standard normal numbers xi a sample has.
    inputs : Inputs, optional
        Covariance of the inputs; isotropic by default.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or shape; if a function returns what is not there, of another shape, or
        not for each sample by itself. The message names it.

    Notes
    -----
    The rule is called once with stand-ins for its arrays, and its steps are compiled. One that does what cannot be
    noted, such as ``if`` or writing into arrays of numbers, stays Python: it is slower by far, and `engine` of the
    trajectory says so. Averages of polynomials, C of degree 3 at most, are exact; those of other rules are found by
    quadrature, with an error that :meth:`accuracy` estimates.

    Examples
    --------
    >>> import tsode
    >>> def rule(z, xi, a):
    ...     error = (z["student"] ** 2).mean(axis=1) - z["teacher"][:, 0] ** 2
    ...     return {"student": -0.2 * error[:, None] * z["student"]}
    >>> scheme = tsode.Scheme(rows={"student": 2, "teacher": 1}, rule=rule)
    >>> start = scheme.random(N=1000, rng=0)
    >>> ode = tsode.integrate(scheme, start, 20.0)
    >>> ode.overlap("student", "teacher").shape
    (201, 2, 1)
    """

    rows: Mapping[str, int]
    rule: Callable[..., Any]
    _: KW_ONLY
    outputs: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)
    pull: Callable[..., Any] | None = None
    noises: int = 0
    inputs: Inputs | None = None

    if TYPE_CHECKING:  # what is taken is more than what is held

        def __init__(
            self, rows: Mapping[str, int], rule: Callable[..., Any], *,
            outputs: Mapping[str, Callable[..., Any]] | None = None, scalars: Mapping[str, ArrayLike] | None = None,
            pull: Callable[..., Any] | None = None, noises: int = 0, inputs: Inputs | None = None,
        ) -> None: ...  # fmt: skip

    def __post_init__(self) -> None:
        known = checked(self.rows, self.rule, self.outputs, self.scalars, self.pull, self.noises)
        for name, value in {**known, "inputs": inputs_of(self.inputs)}.items():
            object.__setattr__(self, name, value)
        self._rule  # noqa: B018  # which looks at the functions

    @functools.cached_property
    def _rule(self):
        return Named(self.rows, self.rule, self.scalars, self.outputs, self.noises, self.pull)

    @property
    def moving(self) -> tuple[str, ...]:
        """Names of the rows that move."""
        return self._rule.layout().moving

    def replace(self, **changes: Any) -> Scheme:
        """Return a scheme with some arguments changed.

        Parameters
        ----------
        **changes
            Arguments of the class, by name.

        Returns
        -------
        Scheme

        Raises
        ------
        TypeError, ValueError
            If a name is none of the class, or as in the class.

        Examples
        --------
        >>> scheme = Scheme({"student": 3, "truth": 1}, lambda z, xi, a: {"student": z["truth"] - z["student"]})
        >>> scheme.replace(inputs=Inputs([1.5, 0.5], [1, 1])).random(N=100, rng=0).blocks.Q.shape
        (2, 3, 3)
        """
        _checks.names("changes", changes, self.__dataclass_fields__)
        return replace(self, **changes)

    def start(self, Omega: ArrayLike) -> Overlaps:
        """Return the start with given overlaps of all rows.

        Parameters
        ----------
        Omega : array_like, shape (rows, rows), or (B, rows, rows) in blocks of the inputs
            W W^T / N of all rows in their order.

        Returns
        -------
        Overlaps
            The rows that move are its student, the others its teacher.

        Raises
        ------
        TypeError, ValueError
            If it is not symmetric, or no rows have these overlaps.

        Examples
        --------
        >>> import numpy as np
        >>> scheme = Scheme(rows={"truth": 1, "student": 1}, rule=lambda z, xi, a: {"student": z["truth"]})
        >>> scheme.start([[1.0, 0.1], [0.1, 0.5]]).Q
        array([[0.5]])
        """
        layout = self._rule.layout()
        n, lead = len(layout.order), () if self.inputs is None else (len(self.inputs),)
        shape = "(B, rows, rows)" if lead else "(rows, rows)"
        Omega = _checks.float_array("Omega", Omega, (*lead, n, n), shape)
        for each in Omega.reshape(-1, n, n):
            _checks.semidefinite("`Omega`", _checks.symmetric("Omega", each))
        joint = np.zeros((*lead, layout.p + layout.p_star, layout.p + layout.p_star))
        joint[..., layout.order[:, None], layout.order] = Omega
        moving, still = slice(layout.p), slice(layout.p, None)
        M, Q, P = joint[..., moving, still], joint[..., moving, moving], joint[..., still, still]
        return Overlaps(M, Q, P) if self.inputs is None else Overlaps.from_blocks(self.inputs, M, Q, P)

    def random(self, N: int, rng: Seed = None, scale: float = 1.0, P: ArrayLike | None = None) -> Overlaps:
        """Draw the overlaps of random rows that move, beside rows that stand still.

        Parameters
        ----------
        N : int
            Input dimension.
        rng : numpy.random.Generator, int or None
            Source of randomness.
        scale : float
            Standard deviation of the weights.
        P : array_like, shape (rows, rows), optional
            Overlaps of the rows that stand still, in their order; those of its truth by default where a system has
            one, else the identity.

        Returns
        -------
        Overlaps

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, shape or range.

        Examples
        --------
        >>> scheme = Scheme({"student": 3, "truth": 1}, lambda z, xi, a: {"student": z["truth"] - z["student"]})
        >>> scheme.random(N=100, rng=0).Q.shape
        (3, 3)
        """
        layout = self._rule.layout()
        still = sum(layout.rows.values()) - layout.p
        P = self._still(still) if P is None else P
        P = _checks.float_array("P", P, (still, still), "(rows, rows) of those that stand still")
        return Overlaps.random(self._pair(P if still else np.zeros((1, 1))), N, scale, rng)

    def _still(self, count):
        """Return the overlaps of the rows that stand still, where none are given."""
        return np.eye(count)

    def accuracy(self, start: Overlaps, rtol: float = 1e-8) -> float:
        """Return an estimate of the relative error of the averages of the ODEs at a start, 0 where they are exact.

        Parameters
        ----------
        start : Overlaps
            What :meth:`start` or :meth:`random` returned.
        rtol : float
            As in :func:`tsode.integrate`.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If `start` is none of this scheme.

        Examples
        --------
        >>> cubic = Scheme({"one": 2}, lambda z, xi, a: {"one": -0.1 * z["one"] ** 3})
        >>> cubic.accuracy(cubic.start(np.eye(2)))
        0.0
        """
        rtol = _checks.number("rtol", rtol, above=0.0, maximum=1.0)
        pair = self.pair(start)
        return pair.rule.accuracy(pair, start.joint, rtol)

    def pair(self, start: Overlaps) -> TeacherStudent:
        """Return the pair that engines run: rows that move and, with the overlaps of a start, rows that stand still.

        Parameters
        ----------
        start : Overlaps
            What :meth:`start` or :meth:`random` returned.

        Returns
        -------
        TeacherStudent
            Its rule is that of the scheme; readouts and activations are not used. Where all rows move, a row of zeros
            stands in for those that stand still.

        Raises
        ------
        TypeError, ValueError
            If `start` is none of this scheme.

        Examples
        --------
        >>> scheme = Scheme({"student": 3, "truth": 1}, lambda z, xi, a: {"student": z["truth"] - z["student"]})
        >>> scheme.pair(scheme.random(N=100, rng=0)).p
        3
        """
        _checks.instance("start", start, Overlaps, "an Overlaps, as scheme.start(Omega) and scheme.random(N) return")
        layout = self._rule.layout()
        if start.M.shape != (layout.p, layout.p_star):
            raise ValueError(
                f"`start` must be what scheme.start(Omega) or scheme.random(N) returns, with {layout.p} rows that move "
                f"and {layout.p_star} that stand still, but has {start.M.shape}"
            )
        return self._pair(start.P)

    def _pair(self, P):
        self._rule.check()
        layout = self._rule.layout()
        return TeacherStudent(layout.p, layout.p_star, 1.0, teacher_overlap=P, rule=self._rule, inputs=self.inputs)

    def _title(self):
        return "Scheme"

    def _rows(self):
        return [
            ("rows", self._rule.layout()),
            ("scalars", ", ".join(self.scalars) or "none"),
            ("losses", ", ".join(self.outputs) or "none"),
            ("rule", "plain Python, not compiled" if self._rule.interpreted else "compiled"),
            *([] if self.inputs is None else [("inputs", self.inputs)]),
        ]


def pair_of(model: TeacherStudent | Scheme, start: Any) -> Any:
    """Return the pair that engines run for a scheme and a start, or a trajectory to go on from; other models as is."""
    if not isinstance(model, Scheme):
        return model
    if isinstance(start, Trajectory):
        return model._pair(start.model.teacher_overlap)
    if start is None:
        return model.pair(model.random(2**40, 0))
    if isinstance(start, tuple) and len(start) == 2:
        return model.pair(Overlaps.from_weights(*start, model.inputs))
    return model.pair(start)

"""The plateau beside the solution manifold: two spectra, two verdicts, and what the zero modes are."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Table
from .._parameters import describe
from ..closed_forms import closed_forms
from ..manifold import dimension, solution, tangent_basis
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps
from ..plateaus.plateau import plateau
from .nullspace import Family, NullSpace, null_space, rotations
from .population import population_spectrum
from .spectrum import TOLERANCE, Spectrum, check_tolerance

__all__ = ["Comparison", "compare", "gradient_flow_plateau"]

MOST_LINES = 8  # eigenvalues listed in a table
SORTED = 1000  # size p (p + p_star) up to which a table sorts zero modes: that takes a dense matrix


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Table):
    """Population Hessians on the plateau and on the solution manifold of one model.

    Attributes
    ----------
    model : TeacherStudent
        The pair.
    N : int
        Input dimension.
    points : tuple of Overlaps
        The plateau of gradient flow, and a solution.
    plateau, manifold : Spectrum
        Their spectra, with respect to W / sqrt(N).
    tangent_dimension : int
        Dimension of the solution manifold.
    escape_rate : float
        Rate at which gradient flow leaves the plateau, per unit of learning rate x alpha; minus the lowest
        eigenvalue there.
    rotation : ndarray, shape (p, p_star), or None
        Which solution, as in :func:`tsode.manifold.solution`.
    """

    model: TeacherStudent
    N: int
    points: tuple[Overlaps, Overlaps]
    plateau: Spectrum
    manifold: Spectrum
    tangent_dimension: int
    escape_rate: float
    rotation: np.ndarray | None = None

    @cached_property
    def plateau_modes(self) -> NullSpace:
        """Zero modes of the plateau, NullSpace: those that rotations of inputs and hidden units make, and the rest.

        Like those of the manifold they are sorted when they are first asked for, by a dense matrix of size p r: see
        :func:`null_space`.
        """
        saddle = self.points[0]
        return null_space(self.model, saddle, self.N, [rotations(self.model, saddle)], self.plateau.tolerance)

    @cached_property
    def manifold_modes(self) -> NullSpace:
        """Zero modes of the solution, NullSpace: those tangent to the solution manifold, and the rest."""
        C = tangent_basis(self.model, self.rotation)
        in_teacher = np.dstack([np.zeros((len(C), self.model.p, self.model.p)), C])  # C combines rows of W* alone
        tangent = Family("tangent to the solution manifold", in_teacher)
        return null_space(self.model, self.points[1], self.N, [tangent], self.manifold.tolerance)

    @property
    def _modes(self):
        """Zero modes of both points, where they are sorted in no time; else nothing."""
        if self.model.p * (self.model.p + self.model.p_star) > SORTED:
            return ()
        return self.plateau_modes, self.manifold_modes

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain numbers, strings and lists, as JSON takes them; no zero modes of wide students.

        Examples
        --------
        >>> import tsode
        >>> both = tsode.hessian.compare(tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1), N=20)
        >>> both.to_dict()["plateau"]["verdict"]
        'saddle'
        """

        def side(spectrum, *modes):
            return {
                "values": spectrum.values.tolist(),
                "multiplicities": spectrum.multiplicities.tolist(),
                "verdict": spectrum.verdict,
                "index": spectrum.index,
                "nullity": spectrum.nullity,
                "tolerance": spectrum.tolerance,
                "lowest": spectrum.lowest,
                "highest": spectrum.highest,
                "trace": spectrum.trace,
                "gradient_norm": spectrum.gradient_norm,
                "zero_modes": [
                    {"name": name, "count": count, "order": order if np.isfinite(order) else None}
                    for each in modes
                    for name, count, order in zip(each.names, each.counts, each.orders)
                ],
            }

        return {
            "model": self.model.to_dict(),
            "N": self.N,
            "plateau": side(self.plateau, *self._modes[:1]),
            "manifold": side(self.manifold, *self._modes[1:]),
            "tangent_dimension": self.tangent_dimension,
            "escape_rate": self.escape_rate,
        }

    def _table(self):
        sides = (self.plateau, self.manifold)
        rows = [
            ("verdict", *(side.verdict for side in sides)),
            ("index (negative)", *(f"{side.index:,}" for side in sides)),
            ("nullity", *(f"{side.nullity:,}" for side in sides)),
        ]
        if modes := self._modes:
            rows += [
                ("  rotations | tangent", *(f"{mode.counts[0]:,}" for mode in modes)),
                ("  others, order of the loss", *(_others(mode) for mode in modes)),
            ]
        rows += [
            ("escape rate / η", f"{self.escape_rate:.6g}", ""),
            (
                "trace",
                *(f"{0.0 if abs(side.trace) <= side.zero * side.dimension else side.trace:.6g}" for side in sides),
            ),
            ("gradient norm", *(f"{side.gradient_norm:.2g}" for side in sides)),
        ]
        lists = [_lines(side) for side in sides]
        for i in range(max(map(len, lists))):
            rows.append(("eigenvalues" if i == 0 else "", *(lines[i] if i < len(lines) else "" for lines in lists)))
        return f"Hessians at {describe(self.model, 'loss', self.N)}", ("", "plateau", "solution manifold"), rows


def compare(
    model: TeacherStudent, N: int, rotation: ArrayLike | None = None, tolerance: float = TOLERANCE
) -> Comparison:
    r"""Compare the population Hessian on the plateau of gradient flow with that on the solution manifold.

    Parameters
    ----------
    model : TeacherStudent
        A model with a plateau and a solution: see :func:`tsode.plateau` and :func:`tsode.manifold.solution`.
    N : int
        Input dimension, at least p + p_star.
    rotation : array_like, shape (p, p_star), optional
        Which solution, as in :func:`tsode.manifold.solution`.
    tolerance : float
        What counts as zero, relative to the largest absolute eigenvalue.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range, or the model has no plateau or solution.
    NoClosedForm
        If they are not known in closed form for the model's activations; a ValueError.

    Notes
    -----
    The spectra of the quadratic network are in :mod:`tsode.activations.quadratic.spectra`. There is no closed form of
    a solution on the spheres for p > p*; :func:`population_spectrum` and :func:`null_space` take any point.

    The most negative eigenvalue of the plateau is minus the rate at which gradient flow escapes from it, per unit of
    learning rate times alpha.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)
    >>> both = tsode.hessian.compare(model, N=10**6)
    >>> both.plateau.verdict, both.manifold.verdict
    ('saddle', 'marginal minimum')
    >>> both.manifold.nullity, both.tangent_dimension
    (2000001, 5)
    """
    check_model(model)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    tolerance = check_tolerance(tolerance)
    saddle, rate = gradient_flow_plateau(model)
    minimum = solution(model, rotation)
    return Comparison(
        model=model,
        N=N,
        points=(saddle, minimum),
        plateau=population_spectrum(model, saddle, N, tolerance),
        manifold=population_spectrum(model, minimum, N, tolerance),
        tangent_dimension=dimension(model),
        escape_rate=rate,
        rotation=None if rotation is None else np.array(rotation, dtype=np.float64),
    )


def gradient_flow_plateau(model: TeacherStudent) -> tuple[Overlaps, float]:
    """Return the plateau of gradient flow, a critical point of the loss, and its escape rate per learning rate.

    Parameters
    ----------
    model : TeacherStudent
        The pair; its learning rate does not enter.

    Returns
    -------
    overlaps : Overlaps
    escape_rate : float

    Raises
    ------
    ValueError
        If gradient flow has no attracting fixed point at M = 0.

    Examples
    --------
    >>> import tsode
    >>> overlaps, rate = gradient_flow_plateau(tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1))
    >>> overlaps.Q.diagonal().round(6), round(rate, 6)
    (array([0.666667, 0.666667, 0.666667, 0.666667]), 0.5)
    """
    closed_forms(check_model(model))
    limit = plateau(model, gradient_flow=True)
    if limit.overlaps is None:
        raise ValueError(f"`model` must have a plateau, but has none: {limit.reasons['q']}")
    return limit.overlaps, limit.escape_rate / model.learning_rate


def _others(modes):
    count, order = modes.counts[-1], modes.orders[-1]
    if not count:
        return "0"
    return f"{count:,}, " + (f"order {order:.3f}" if np.isfinite(order) else "loss constant")


def _lines(spectrum):
    lines = [
        f"{0.0 if abs(value) <= spectrum.zero else value:.6g} x {count:,}"
        for value, count in zip(spectrum.values, spectrum.multiplicities)
    ]
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES // 2], "...", *lines[-MOST_LINES // 2 :]]

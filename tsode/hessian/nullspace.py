r"""What the zero modes of a Hessian are: directions along which the loss is constant, or flat to second order only.

The loss along a zero mode z is to be read after the other directions have relaxed (Lyapunov-Schmidt reduction):
:math:`\mathcal V(\epsilon) = L(U + \epsilon z + y(\epsilon)) - L(U)`, where y, orthogonal to all zero modes, is the
nearby solution of :math:`\partial L / \partial y = 0`. If z is tangent to a manifold of critical points,
:math:`\mathcal V` vanishes, although a straight line leaves the manifold in fourth order; else
:math:`\mathcal V \sim \epsilon^k` with an order k > 2, which is measured here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Report
from .._linear_algebra import interruptible
from .._random import generator
from .._types import Seed
from ..model import TeacherStudent, check_model
from ..overlaps import Overlaps
from .landscape import Point
from .reduction import Reduction
from .spectrum import TOLERANCE
from .spheres import project

__all__ = ["Family", "NullSpace", "null_space", "rotations"]

STEPS = 0.01 * 2.0 ** (np.arange(7) / 2)  # sizes of z over the size of U between which the order is fitted
RELAXATIONS = 200
SAME = 1e-6  # relative size below which the difference of two directions counts as rounding
CONSTANT = 1e-12  # a change of the loss, relative to |H| |U|^2, that rounding explains


@dataclass(frozen=True, eq=False)
class Family:
    """Directions that share a name, at one point, in coordinates that do not depend on N.

    Attributes
    ----------
    name : str
        What they are.
    inside : array_like, shape (m, p, p + p_star)
        Directions inside the span of the weights, each a combination A of them: Z = A [U, U_star].
    outside : array_like, shape (m, p)
        Directions c that come once for every unit vector e orthogonal to the span: Z = c e^T.

    Raises
    ------
    TypeError, ValueError
        If `name` is no text, or an array is of the wrong type or shape.
    """

    name: str
    inside: ArrayLike = ()
    outside: ArrayLike = ()

    def __post_init__(self) -> None:
        _checks.instance("name", self.name, str, "a str")
        for name, ndim in (("inside", 3), ("outside", 2)):
            array = _checks.real_array(name, getattr(self, name))
            if array.size:
                _checks.float_array(name, array, (None,) * ndim)


@dataclass(frozen=True, eq=False, repr=False)
class NullSpace(Report):
    """The zero modes of a Hessian in classes.

    Attributes
    ----------
    names : tuple of str
        The families given, in order, then "flat to second order" for what none of them explains.
    counts : tuple of int
        Number of zero modes in each class; they add up to the nullity.
    orders : tuple of float
        Order at which the loss changes along a random direction of each class: inf where it stays constant up
        to rounding, nan for an empty class.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    orders: tuple[float, ...]

    @property
    def nullity(self) -> int:
        """Number of all zero modes, int."""
        return sum(self.counts)

    def _rows(self):
        def words(count, order):
            if not count:
                return "none"
            return f"{count:,}, " + ("loss constant" if np.isinf(order) else f"loss changes with order {order:.3f}")

        rows = [(name, words(count, order)) for name, count, order in zip(self.names, self.counts, self.orders)]
        return [*rows, ("all zero modes", f"{self.nullity:,}")]

    def _title(self):
        return "Zero modes"


def null_space(
    model: TeacherStudent,
    overlaps: Overlaps,
    N: int,
    families: Iterable[Family] = (),
    tolerance: float = TOLERANCE,
    rng: Seed = 0,
) -> NullSpace:
    r"""Sort the zero modes of the population Hessian at a critical point into classes, and measure their orders.

    Parameters
    ----------
    model : TeacherStudent
        Gives the loss and the constraint.
    overlaps : Overlaps
        A critical point of the population loss.
    N : int
        Input dimension, at least p + p_star.
    families : iterable of Family
        What is known about the point: its symmetries, the manifold it lies on. A direction in two families
        counts for the first.
    tolerance : float
        What counts as zero, relative to the largest absolute eigenvalue.
    rng : numpy.random.Generator, int or None
        Source of the directions along which orders are measured.

    Returns
    -------
    NullSpace

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or range, the point is not critical, or a family has directions
        that are no zero modes.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> solution = tsode.Overlaps([[2 ** 0.5], [0.0]], [[2.0, 0.0], [0.0, 0.0]])
    >>> turn = tsode.hessian.Family("turns of the hidden units", inside=[[[0, 1, 0], [-1, 0, 0]]])
    >>> tsode.hessian.null_space(model, solution, N=10, families=[turn]).counts
    (1, 9)
    """
    families = [_checks.instance("families", family, Family, "an iterable of Family") for family in _listed(families)]
    reduction = Reduction.of(model, overlaps, N)
    spectrum = reduction.spectrum(tolerance)
    if spectrum.verdict == "not a critical point":
        raise ValueError(
            f"`overlaps` must be a critical point, but has a gradient of norm {spectrum.gradient_norm:.3g}"
        )
    rng = generator("rng", rng)
    kernels = tuple(_kernel(block, spectrum.zero) for block in (reduction.inside, reduction.outside))
    inside, outside = kernels
    weights = np.vstack([reduction.U, reduction.U_star])
    names, counts, orders = [], [], []

    def add(name, part_in, part_out):
        names.append(name)
        counts.append(part_in.shape[1] + part_out.shape[1] * reduction.copies)
        orders.append(_order(model, reduction, part_in, part_out, spectrum.zero, rng) if counts[-1] else np.nan)

    for family in families:
        Z = _array(family.inside, (model.p, len(weights))) @ weights
        part_in, inside = _split(
            family.name, kernels[0], inside, Z.reshape(len(Z), len(reduction.basis)) @ reduction.basis
        )
        part_out, outside = _split(family.name, kernels[1], outside, _array(family.outside, (model.p,)))
        add(family.name, part_in, part_out)
    add("flat to second order", inside, outside)
    return NullSpace(tuple(names), tuple(counts), tuple(orders))


def rotations(model: TeacherStudent, overlaps: Overlaps) -> Family:
    r"""Return the family of directions in which rotations of the inputs and of the hidden units move a point.

    Rotations of the inputs leave the loss alone if they leave the teacher's output alone: those of directions
    orthogonal to its units for any activation, more for some. Rotations of the hidden units leave it alone for some
    activations. With the matrices X and Y of
    :meth:`Activation.input_rotations <tsode.activations.Activation.input_rotations>` and ``unit_rotations`` the
    directions are :math:`Z = U X` and :math:`Z = Y U`.

    Parameters
    ----------
    model : TeacherStudent
        The pair; rotations of hidden units are left out under the spherical constraint, which they break.
    overlaps : Overlaps
        The point.

    Returns
    -------
    Family

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> saddle = tsode.plateau(model, gradient_flow=True).overlaps
    >>> tsode.hessian.null_space(model, saddle, N=10, families=[rotations(model, saddle)]).counts
    (15, 0)
    """
    check_model(model)
    reduction = Reduction.of(model, overlaps, model.p + model.p_star)
    U, U_star = reduction.U, reduction.U_star
    to_rows = np.linalg.pinv(np.vstack([U, U_star]))
    turns, axes = model.teacher_activation.input_rotations(model.teacher_readout, U_star)
    inside = U @ turns @ to_rows
    if not model.spherical:
        swaps = model.activation.unit_rotations(model.student_readout)
        inside = np.concatenate([inside, np.pad(swaps, ((0, 0), (0, 0), (0, model.p_star)))])
    return Family("rotations of inputs and hidden units", inside, axes @ U.T)


def _listed(families):
    one = isinstance(families, (Family, np.ndarray)) or not isinstance(families, Iterable)
    return [families] if one else families


def _array(value, shape):
    """Return a stack of arrays of the given shape; an empty one from nothing."""
    value = np.asarray(value, dtype=np.float64)
    return value.reshape(0, *shape) if value.size == 0 else _checks.float_array("families", value, (None, *shape))


def _kernel(H, zero):
    """Return an orthonormal basis of the null space of a symmetric matrix as columns."""
    values, vectors = interruptible(np.linalg.eigh, H)
    return vectors[:, np.abs(values) <= zero]


def _split(name, kernel, rest, directions):
    """Split the columns of `rest`, a part of `kernel`, into what the rows `directions` span and what they do not."""
    size = np.max(np.linalg.norm(directions, axis=1), initial=1e-300)
    missed = np.max(np.abs(directions - directions @ kernel @ kernel.T), initial=0.0)
    if missed > SAME * size:
        raise ValueError(
            f"`families` must hold zero modes, but {name!r} has parts of size {missed / size:.3g} that are not"
        )
    _, sizes, rows = np.linalg.svd(directions @ rest)
    rank = np.count_nonzero(sizes > SAME * size)
    return rest @ rows[:rank].T, rest @ rows[rank:].T


def _order(model, reduction, inside, outside, zero, rng):
    """Return the order at which the loss changes along a random direction of a class of zero modes."""
    p = model.p
    extra = min(len(outside.T), reduction.copies)
    U, U_star = (np.pad(rows, ((0, 0), (0, extra))) for rows in (reduction.U, reduction.U_star))
    z = (reduction.basis @ inside @ rng.standard_normal(inside.shape[1])).reshape(p, -1)
    z = np.hstack([z, outside @ rng.standard_normal((outside.shape[1], extra))])
    z *= np.linalg.norm(U) / np.linalg.norm(z)
    H, basis, _ = Point(model, U, U_star).dense()
    values, vectors = interruptible(np.linalg.eigh, H)
    stiff = np.abs(values) > zero
    values, directions = values[stiff], (basis @ vectors[:, stiff]).T
    level = _loss(model, U, U_star)
    change = np.empty(len(STEPS))
    for i, step in enumerate(STEPS):
        change[i] = abs(_loss(model, _relaxed(model, U, U_star, step * z, values, directions), U_star) - level)
    if change.max() <= CONSTANT * np.abs(values).max() * np.sum(U * U):
        return np.inf
    return float(np.polyfit(np.log(STEPS), np.log(change), 1)[0])


def _relaxed(model, U, U_star, z, values, directions):
    """Return U + z + y on the constraint, y in the stiff `directions` making the loss stationary in them."""
    y = np.zeros(len(values))
    smallest = np.inf
    for _ in range(RELAXATIONS):
        moved = U + z + (y @ directions).reshape(U.shape)
        norms = np.linalg.norm(moved, axis=1, keepdims=True) if model.spherical else 1.0
        g = Point(model, moved / norms, U_star).gradient
        force = directions @ ((project(moved, g) if model.spherical else g) / norms).ravel()
        size = np.linalg.norm(force)
        if size >= smallest:  # rounding: Newton's method with the Hessian at U contracts for small z
            break
        smallest = size
        y = y - force / values
    return moved / norms


def _loss(model, U, U_star):
    return float(model.excess_loss(U @ U_star.T, U @ U.T))

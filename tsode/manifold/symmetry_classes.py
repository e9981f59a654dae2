r"""Students that put out the same, and what of it the symmetries of the activation explain.

The symmetries are in :mod:`tsode.manifold.students`. On generic students they explain everything: two of them have the
same output if and only if a symmetry takes one to the other. For one hidden layer this is
Sussmann, Neural Networks 5, 589 (1992), for odd sigmoids; Phuong & Lampert, ICLR 2020, for ReLU, where kinks tell the
units; Kruskal's theorem on tensors for powers above two; Witt's theorem on quadratic forms for the square. What breaks
it: units that put out nothing, equal and (where homogeneous) parallel units, for ReLU
:math:`\sum_{k \in S} v_k u_k = 0` over some units, since :math:`\sigma(x) - \sigma(-x) = x`.

Whether the output is the same is decided on its own, by the mean of the squared difference over Gaussian inputs, which
the pair averages of the activation give.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Report
from .._linear_algebra import polar
from ..model import TeacherStudent
from .genericity import obstacle
from .students import Student

__all__ = ["Equivalence", "canonical", "equivalent", "symmetry_distance"]

TOLERANCE = 1e-6
DIGITS = 12  # of numbers that the canonical order of units compares, relative to the largest
PIVOT = 1e-9  # relative size of a part of a column that counts as a new direction


@dataclass(frozen=True, eq=False, repr=False)
class Equivalence(Report):
    """How two students compare; true where they have the same output.

    Attributes
    ----------
    same_output : bool
        Whether both put out the same, decided by `squared_difference` alone.
    squared_difference : float
        Mean of the squared difference of both outputs over Gaussian inputs, over the sum of both mean squares.
    symmetric : bool
        Whether a symmetry takes one to the other (or as close as one likes), decided by `distance` alone.
    distance : float
        As :func:`symmetry_distance`.
    generic : bool
        Whether both are such that the same output implies a symmetry.
    reason : str
        Why not, empty if `generic`.
    """

    same_output: bool
    squared_difference: float
    symmetric: bool
    distance: float
    generic: bool
    reason: str

    def __bool__(self) -> bool:
        return self.same_output

    def _title(self):
        return "Equivalence of two students"

    def _rows(self):
        return [
            ("same output", f"{'yes' if self.same_output else 'no'}: squared difference {self.squared_difference:.3g}"),
            ("symmetric", f"{'yes' if self.symmetric else 'no'}: distance {self.distance:.3g}"),
            ("generic", "yes" if self.generic else f"no: {self.reason}"),
        ]


def equivalent(
    model: TeacherStudent, a: ArrayLike, b: ArrayLike, readouts: ArrayLike | None = None, tolerance: float = TOLERANCE
) -> Equivalence:
    """Compare two students: whether they put out the same, and whether a symmetry of the activation explains it.

    Parameters
    ----------
    model : TeacherStudent
        Gives activation and readouts; the teacher and the constraint do not enter.
    a, b : array_like, shape (p, N)
        Weights of both students.
    readouts : array_like, shape (2, p), optional
        Readouts of both, which are then trained: symmetries may change them. By default both have the model's, which
        are fixed.
    tolerance : float
        What counts as zero, relative to the size of the outputs or of the weights. Units that differ by less than its
        root are too close to be generic: a student sees their mean alone to first order.

    Returns
    -------
    Equivalence

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> a = np.random.default_rng(0).standard_normal((2, 50))
    >>> turned = np.array([[0.6, 0.8], [-0.8, 0.6]]) @ a
    >>> found = tsode.manifold.equivalent(model, a, turned)
    >>> found.same_output, found.symmetric, found.generic
    (True, True, True)
    >>> bool(tsode.manifold.equivalent(model.replace(activation="erf"), a, turned))
    False
    """
    one, other = _both(model, a, b, readouts)
    tolerance = _checks.number("tolerance", tolerance, above=0.0, maximum=0.1)
    difference, distance = _squared_difference(one, other), _distance(one, other)
    size = np.sqrt(sum(np.sum(np.square(each.vectors()[0][0])) for each in (one, other)))
    reasons = [f"`{name}` {why}" for name, each in (("a", one), ("b", other)) if (why := obstacle(each, tolerance))]
    return Equivalence(
        difference <= tolerance**2, difference, bool(distance <= tolerance * size), distance, not reasons,
        next(iter(reasons), ""),
    )  # fmt: skip


def symmetry_distance(model: TeacherStudent, a: ArrayLike, b: ArrayLike, readouts: ArrayLike | None = None) -> float:
    r"""Return the distance between two students modulo the symmetries of the activation.

    Parameters
    ----------
    model, a, b, readouts
        As in :func:`equivalent`.

    Returns
    -------
    float
        Smallest root of :math:`|W_a - g W_b|^2 / N` over the symmetries g, a metric on their classes. For the square
        the minimum is found by Procrustes, else by assignment of units to units; both are exact. For homogeneous
        activations rows count by :math:`(|v_k| / \overline{|v|})^{2/h}`, as in :func:`distance`. With readouts of two
        signs units of the square are compared in the representatives of least norm. Trained readouts of homogeneous
        activations are 1 or -1, made so by scales; those of others count beside W as :math:`|v_a - g v_b|^2`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1, activation="erf")
    >>> round(tsode.manifold.symmetry_distance(model, [[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [1.0, 0.0]]) ** 2, 12)
    0.5
    """
    return _distance(*_both(model, a, b, readouts))


def canonical(
    model: TeacherStudent, W: ArrayLike, readout: ArrayLike | None = None
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    r"""Return the representative of a student's class: the same for all students that symmetries take to one another.

    Parameters
    ----------
    model : TeacherStudent
        As in :func:`equivalent`.
    W : array_like, shape (p, N)
        Weights.
    readout : array_like, shape (p,), optional
        Readouts, which are then trained.

    Returns
    -------
    W : ndarray, shape (p, N)
        For the square with positive diagonal entries and zeros below them, up to a scale of the rows: the factor R of
        a QR decomposition (a staircase where the first columns are dependent). For others units in descending order of
        readout and weights, after the sign that comes first in this order.
    readout : ndarray, shape (p,)
        If it was given; 1 and -1 for homogeneous activations, 0 for units that put out nothing.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; the message names it.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> tsode.manifold.canonical(model, [[3.0, 1.0], [4.0, 2.0]]).round(12)
    array([[5. , 2.2],
           [0. , 0.4]])
    >>> tsode.manifold.canonical(model.replace(activation="erf"), [[3.0, 1.0], [4.0, 2.0]])
    array([[4., 2.],
           [3., 1.]])
    """
    student = Student.of(model, W, readout, ("W", "readout"))
    rows, marks = (_turned if student.turns else _sorted)(student)
    if student.trained:
        return rows * np.sqrt(rows.shape[1]), marks
    return rows / student.factors[:, None] * np.sqrt(rows.shape[1])


def _both(model, a, b, readouts):
    """Return both Students, checked."""
    first = Student.of(model, a, None, ("a", ""))
    second = Student.of(model, b, None, ("b", ""))
    if first.U.shape != second.U.shape:
        raise ValueError(f"`b` must have the shape {first.U.shape} of `a`, but has shape {second.U.shape}")
    if readouts is None:
        return first, second
    v = _checks.float_array("readouts", readouts, (2, model.p), "(2, p)", 1e12)
    return Student(first.activation, first.U, v[0], True), Student(second.activation, second.U, v[1], True)


def _squared_difference(one, other):
    """Return E[(f_a - f_b)^2] / (E[f_a^2] + E[f_b^2]), 0 where the rounding of terms that cancel explains it."""
    U, u, p = np.vstack([one.U, other.U]), np.concatenate([one.v, -other.v]), len(one.v)
    Q = U @ U.T
    q = np.diagonal(Q)
    products = np.outer(u, u) * one.activation.pair(one.activation, q[:, None], Q, q)
    difference, rounding = products.sum(), 4 * np.finfo(float).eps * np.abs(products).sum()
    return float(difference / (products[:p, :p].sum() + products[p:, p:].sum())) if difference > rounding else 0.0


def _distance(one, other):
    from scipy.optimize import linear_sum_assignment  # imported late, as in tsode.ode.single

    if one.turns:
        pairs = zip(one.parts().values(), other.parts().values())
        return float(np.sqrt(sum(np.sum(np.square(X - polar(X @ Y.T) @ Y)) for X, Y in pairs if len(X))))
    (X, labels), images = one.vectors()[0], other.vectors()
    overlaps = [np.where(_same(labels, theirs), X @ Y.T, -np.inf) for Y, theirs in images]
    k, l = linear_sum_assignment(np.max(overlaps, axis=0), maximize=True)
    sign = np.argmax(overlaps, axis=0)[k, l]
    return float(np.linalg.norm(X[k] - np.array([Y for Y, _ in images])[sign, l]))


def _same(labels, others):
    """Return which of the labels agree but for rounding."""
    return np.isclose(labels[:, None], others, rtol=1e-9, atol=0)


def _turned(student):
    """Return canonical rows and marks of units that turn."""
    parts = {s: _staircase(rows) for s, rows in student.parts().items()}
    if not student.trained:
        rows = np.empty(student.U.shape)
        for s, part in parts.items():
            rows[student.marks == s] = part
        return rows, student.marks
    found = {s: part[np.any(part != 0, axis=1)] for s, part in parts.items()}
    rows, marks = np.zeros(student.U.shape), np.zeros(len(student.U))
    used = len(found[1]) + len(found[-1])
    rows[:used] = np.vstack([found[1], found[-1]])
    marks[:used] = np.repeat([1.0, -1.0], [len(found[1]), len(found[-1])])
    return rows, marks


def _staircase(rows):
    """Return O^T `rows` for the rotation O that makes it a staircase with positive steps."""
    basis, steps, largest = np.zeros((len(rows), 0)), [], np.max(np.linalg.norm(rows, axis=0), initial=0.0)
    for i, column in enumerate(rows.T):
        if len(steps) == len(rows):
            break
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)
        if (size := np.linalg.norm(left)) > PIVOT * largest:
            basis = np.column_stack([basis, left / size])
            steps.append(i)
    found = np.zeros_like(rows)
    for i, (first, direction) in enumerate(zip(steps, basis.T)):
        found[i, first:] = direction @ rows[:, first:]
    return found


def _sorted(student):
    """Return canonical rows and marks of units that are permuted, and change sign where the output allows it."""
    images, units = [(rows, marks) for rows, marks in student.images], range(len(student.v))
    largest = [max(np.abs(part).max(), np.finfo(float).tiny) for part in images[0]]
    keys = [
        [(*np.round(marks[k : k + 1] / largest[1], DIGITS), *np.round(rows[k] / largest[0], DIGITS)) for k in units]
        for rows, marks in images
    ]
    signs = [max(range(len(images)), key=lambda i: keys[i][k]) for k in units]
    order = sorted(units, key=lambda k: keys[signs[k]][k], reverse=True)
    rows = np.array([images[signs[k]][0][k] for k in order])
    marks = np.array([images[signs[k]][1][k] for k in order])
    if student.trained:
        return rows, marks
    # the units go to the places of their readouts, the sign that comes first before the other
    own = student.marks
    shown = np.abs(own) if student.activation.parity == -1 else own
    places = sorted(units, key=lambda k: (-np.round(shown[k] / largest[1], DIGITS), -own[k], k))
    found = np.empty_like(rows)
    found[places] = rows * np.where(own[places] * marks < 0, -1.0, 1.0)[:, None]
    return found, own

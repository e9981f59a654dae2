r"""The search for fixed points of the overlap ODEs, and the Jacobian there.

Newton's method in the form of Levenberg and Marquardt: with the right-hand side f and its Jacobian A,

.. math::
    dx = -(A^T A + \lambda)^{-1} A^T f , \qquad \lambda \propto |f|^2 ,

which converges like Newton's where A is regular, and to the nearest one where the fixed points form a manifold and A is
singular (Yamashita & Fukushima 2001). Steps stay among the overlaps that some weights have.

A consists of central differences of fourth order. Averages need not be defined beyond the overlaps that some weights
have, and many fixed points lie on that border: students all alike, students like the teacher. There differences are
taken at points beside it, where every student has some more weight of its own, and extrapolated to the border.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from .._checks import NoClosedForm
from .._linear_algebra import joint_matrix
from .._parameters import describe
from .._states import pack, unpack
from ..model import TeacherStudent, check_constant, check_isotropic
from ..ode import integrate
from ..ode.rhs import right_hand_side
from ..overlaps import Overlaps
from .symmetric_states import basis, changes, orbits

__all__ = ["Search"]

STEP = 1e-3  # of the differences, relative to the overlaps
BESIDE = 8.0  # distance from the border in steps, beyond which all states of a difference have weights
EXTRAPOLATION = np.array([4.0, -6.0, 4.0, -1.0])  # from once, twice, ... that distance to the border itself
UNSTEADY = 0.1  # change of the Jacobian beside the border, relative to it, from which it has no limit there
FOUND = 1e-9  # rate, relative to the fastest times the overlaps, that counts as zero
LEAVES = 1e-7  # rate out of a symmetry, relative to the largest, that counts as rounding
ROUNDING = 1e-15
SINGULAR = 1e-8  # singular values, relative to the fastest rate, below which a direction is left alone
ITERATIONS, TRIALS, SLOW = 80, 12, 6
STRETCH = 3.0  # natural times between which a relaxing state is made symmetric again
LONGEST = 6  # doublings of the time of relaxation before the search gives up


class Search:
    """Looks for fixed points of one model that have the symmetries of one state.

    Parameters
    ----------
    model : TeacherStudent
        The pair.
    start : Overlaps
        A state whose symmetries are kept.
    gradient_flow : bool
        Leave out the term of second order in the learning rate.
    """

    def __init__(self, model: TeacherStudent, start: Overlaps, gradient_flow: bool) -> None:
        if len(model.rule.scalars(model)):
            raise NoClosedForm(
                f"`model` must have a fixed readout for a fixed point of the overlaps, but is {describe(model)}"
            )
        self.gradient_flow = gradient_flow
        self.all = basis(changes(model))
        self.at(model)
        self.fixed = pack(start.M, start.Q)
        self.fixed -= self.all @ (self.all.T @ self.fixed)  # norms on the sphere
        labels = orbits(model, start.M, start.Q)
        at_rest = np.where(np.arange(labels.size) < start.M.size, -1, labels)
        alone = not start.M.any() and (at_rest >= 0).any()
        choices = [basis(at_rest)] if alone else []  # M = 0 stays where an activation is even
        for self.symmetric in [*choices, basis(labels)]:
            if self._stays(pack(start.M, start.Q)):
                return
        self.symmetric = self.all  # for very wide models: see `orbits`

    def _stays(self, y):
        """Return whether the rates at a generic state of the symmetry have it too."""
        shaken = self.pull(y + self.symmetric @ np.random.default_rng(0).normal(0, 0.01, self.symmetric.shape[1]))
        rates = self.rates(shaken)
        outside = rates - self.symmetric @ (self.symmetric.T @ rates)
        return np.abs(outside).max() <= LEAVES * np.abs(rates).max()

    def at(self, model: TeacherStudent) -> Search:
        """Look at this model from now on, which differs in its learning rate alone."""
        self.model = check_isotropic(check_constant(model))
        self.function: Callable[[float, np.ndarray], np.ndarray] = right_hand_side(model, self.gradient_flow)
        return self

    def rates(self, y: np.ndarray) -> np.ndarray:
        """Return dy/dalpha."""
        with np.errstate(all="ignore"):
            return self.function(0.0, y)

    def pull(self, y: np.ndarray) -> np.ndarray:
        """Return the nearby state that has the symmetry, and weights that have its overlaps."""
        model, P = self.model, self.model.teacher_overlap
        M, Q = unpack(self.fixed + self.symmetric @ (self.symmetric.T @ y), model)
        inverse = np.linalg.pinv(P, hermitian=True)
        M = M @ P @ inverse
        inside = M @ inverse @ M.T
        values, vectors = np.linalg.eigh(Q - inside)
        if values[0] < 0:
            Q = inside + (vectors * np.maximum(values, 0.0)) @ vectors.T
        return self._normed(M, (Q + Q.T) / 2)

    def _normed(self, M, Q):
        if self.model.spherical:
            norms = np.sqrt(np.diagonal(Q))
            M, Q = M / norms[:, None], Q / np.outer(norms, norms)
            np.fill_diagonal(Q, 1.0)
        return pack(M, Q)

    def _size(self, y):
        """Return the size of the overlaps, by which steps are measured."""
        return max(np.diagonal(unpack(y, self.model)[1]).max(), 1e-3 * min(self.model.solution_ratio, 1e3))

    def _speed(self, A):
        """Return the rate beside which others are zero: the largest of the Jacobian, or how fast the model learns."""
        return max(np.linalg.norm(A, 2), 1 / self.model.natural_time)

    def jacobian(self, y: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return the Jacobian among the directions, orthonormal columns; nan where it has no limit at the border."""
        M, Q = unpack(y, self.model)
        size = self._size(y)
        border = np.linalg.eigvalsh(joint_matrix(M, Q, self.model.teacher_overlap))[0]
        h = min(STEP * size, border / 3)
        if h > 0.02 * STEP * size:
            return self._differences(y, directions, h)
        h = STEP * size / 5
        more = BESIDE * h * np.eye(len(Q))
        beside = [self._differences(self._normed(M, Q + n * more), directions, h) for n in (1, 2, 3, 4)]
        found = np.tensordot(EXTRAPOLATION, beside, axes=1)
        if np.isfinite(found).all() and np.abs(beside[0] - beside[1]).max() > UNSTEADY * self._speed(found):
            return np.full_like(found, np.nan)
        return found

    def _differences(self, y, directions, h):
        columns = [
            8 * (self.rates(y + h * e) - self.rates(y - h * e)) - self.rates(y + 2 * h * e) + self.rates(y - 2 * h * e)
            for e in directions.T
        ]
        return directions.T @ np.transpose(columns) / (12 * h)

    def newton(self, y: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return the state with the smallest rates to which Newton's method leads, and whether it is a fixed point."""
        y = self.pull(y)
        f, size, damping, slow = self.symmetric.T @ self.rates(y), self._size(y), 1.0, 0
        zero = 0.0
        for _ in range(ITERATIONS):
            A = self.jacobian(y, self.symmetric)
            if not (np.isfinite(A).all() and np.isfinite(f).all()):
                return y, False
            U, sigma, Vt = np.linalg.svd(A)
            zero = self._speed(A) * size
            if np.linalg.norm(f) <= ROUNDING * zero or slow == SLOW:
                break
            for _ in range(TRIALS):
                damped = sigma**2 + damping * (f @ f) / size**2 + (SINGULAR * zero / size) ** 2
                tried = self.pull(y - self.symmetric @ (Vt.T @ (sigma / damped * (U.T @ f))))
                f_tried = self.symmetric.T @ self.rates(tried)
                if np.linalg.norm(f_tried) < np.linalg.norm(f):
                    break
                damping = max(10 * damping, 1e-3)
            else:
                break
            slow = slow + 1 if np.linalg.norm(f_tried) > 0.9 * np.linalg.norm(f) else 0
            y, f, size, damping = tried, f_tried, self._size(tried), damping / 10
        return y, bool(np.linalg.norm(f) <= FOUND * zero)

    def attracts(self, y: np.ndarray, zero: float) -> bool:
        """Return whether the states of the same symmetry around a fixed point do not leave it."""
        A = self.jacobian(y, self.symmetric)
        return bool(np.isfinite(A).all() and np.linalg.eigvals(A).real.max() <= zero * self._speed(A))

    def relax(self, y: np.ndarray, alpha: float) -> np.ndarray | None:
        """Return the state after some time of the ODE, None if it diverges."""
        y = self.pull(y)
        pieces = int(np.ceil(alpha / (STRETCH * self.model.natural_time)))
        for _ in range(pieces):
            start = Overlaps(*unpack(y, self.model), self.model.teacher_overlap)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # rounding that `pull` takes back
                end = integrate(self.model, start, [0.0, alpha / pieces], rtol=1e-6, gradient_flow=self.gradient_flow)
            if end.status != "completed":
                return None
            y = self.pull(pack(end.M[-1], end.Q[-1]))
        return y

"""What a run conserves, and by how much it does not."""

from dataclasses import dataclass

import numpy as np

from .._display import Report
from .._linear_algebra import frobenius, polar
from ..closed_forms import closed_forms
from ..trajectory import Trajectory, check_trajectory

__all__ = ["Invariant", "Invariants", "invariants"]

ROUND = 1e-12  # relative size of what is not proportional to 1 in a matrix that counts as such


@dataclass(frozen=True, eq=False, repr=False)
class Invariant(Report):
    """One conserved quantity along a run.

    Attributes
    ----------
    name : str
        What it is.
    exact : str
        When it is conserved exactly.
    applies : bool
        Whether that is so for this trajectory.
    change : ndarray, shape (..., T)
        How far it is from its value at the start, relative to its size; nan where a run had ended, or where the
        quantity does not exist or is lost in rounding.
    """

    name: str
    exact: str
    applies: bool
    change: np.ndarray

    @property
    def drift(self) -> np.ndarray | float:
        """Largest change along each run, shape (...)."""
        finite = np.where(np.isfinite(self.change), self.change, -np.inf).max(axis=-1)
        return np.where(np.isfinite(finite), finite, np.nan)[()]

    def _title(self):
        return f"Invariant: {self.name}"

    def _rows(self):
        worst = np.max(np.atleast_1d(self.drift))
        return [("drift", f"{worst:.3g}"), ("exact for", self.exact), ("here exact", "yes" if self.applies else "no")]


@dataclass(frozen=True, eq=False, repr=False)
class Invariants(Report):
    """What a trajectory conserves.

    Attributes
    ----------
    singular_vectors : Invariant
        Sine of the rotation of the singular vectors: the part of U0^T M V0 off the diagonal, relative to M.
    polar_factor : Invariant
        Change of the polar factor of M, Frobenius norm relative to that of the factor.
    flow_constant : Invariant
        Relative change of C.
    angular_momentum : Invariant
        Antisymmetric part of the expected W dW^T, relative to the largest W dW^T of the run (not to the start).
    row_space : Invariant
        Sine of the largest angle between the row spaces of M now and at the start; 0 for p >= p*.
    """

    singular_vectors: Invariant
    polar_factor: Invariant
    flow_constant: Invariant
    angular_momentum: Invariant
    row_space: Invariant

    def _rows(self):
        rows = []
        for one in vars(self).values():
            drift = np.max(np.atleast_1d(one.drift))
            rows.append(
                (one.name, f"drift {drift:.3g}; {'exact here' if one.applies else 'not exact here'}: {one.exact}")
            )
        return rows

    def _title(self):
        return "Invariants of a trajectory"


def invariants(trajectory: Trajectory) -> Invariants:
    """Return what the dynamics conserves, each with its drift along the run and when it is exact.

    Parameters
    ----------
    trajectory : Trajectory
        An ODE solution or SGD runs. SGD at finite N conserves them up to fluctuations of order 1/sqrt(N).

    Returns
    -------
    Invariants
        With `singular_vectors`, `polar_factor`, `flow_constant`, `angular_momentum` and `row_space`.

    Raises
    ------
    TypeError
        If `trajectory` is no Trajectory.
    NoClosedForm
        If nothing is known to be conserved for the activation of its model.

    Notes
    -----
    Derivations in :mod:`tsode.activations.quadratic.invariants`; the setting is that of arXiv:2604.03068.

    Examples
    --------
    >>> import numpy as np
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=2, learning_rate=0.1)
    >>> start = tsode.Overlaps(M=[[0.02, 0.01], [0.0, 0.01]], Q=np.eye(2))
    >>> bool(tsode.manifold.invariants(tsode.integrate(model, start, 100.0)).polar_factor.drift < 1e-7)
    True
    """
    check_trajectory(trajectory)
    model, M, Q = trajectory.model, trajectory.M, trajectory.Q
    theory = closed_forms(model)
    equal = np.ptp(model.student_readout) == 0
    teacher = model.teacher_readout[:, None] * model.teacher_overlap
    isotropic = _is_isotropic(teacher)
    deterministic = trajectory.N is None
    flow = deterministic and trajectory.gradient_flow and not model.spherical

    finite = np.isfinite(Q[..., 0, 0])
    M, Q = np.where(finite[..., None, None], M, 0.0), np.where(finite[..., None, None], Q, 0.0)
    round_start = np.all(_is_isotropic(Q[..., 0, :, :]))
    aligned = deterministic and model.is_uniform and round_start and not (model.spherical and model.p > 1)
    start = "the ODEs from Q proportional to 1, equal readouts on each side, P = 1, free"

    def entry(name, exact, applies, change):
        return Invariant(name, exact, bool(applies), np.where(finite, change, np.nan))

    return Invariants(
        entry("singular vectors of M", start, aligned, _rotation(M)),
        entry("polar factor of M", start, aligned, _relative_change(polar(M))),
        entry(
            "constant C of gradient flow",
            "gradient flow, equal student readouts, free, P regular",
            flow and equal,
            _flow_constant_change(theory, trajectory, M, Q),
        ),
        entry(
            "symmetry of W dW^T",
            "equal student readouts, free",
            equal and not model.spherical,
            _asymmetry(theory, M, Q),
        ),
        entry("row space of M", "the ODEs, isotropic teacher", deterministic and isotropic, _row_space_change(M)),
    )


def _is_isotropic(X):
    return frobenius(X - X[..., :1, :1] * np.eye(X.shape[-1])) <= ROUND * frobenius(X)


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _relative_change(X):
    return _ratio(frobenius(X - X[..., :1, :, :]), frobenius(X))


def _rotation(M):
    U, _, Vt = np.linalg.svd(M[..., 0, :, :])
    turned = np.swapaxes(U, -1, -2)[..., None, :, :] @ M @ np.swapaxes(Vt, -1, -2)[..., None, :, :]
    return _ratio(frobenius(turned * ~np.eye(*M.shape[-2:], dtype=bool)), frobenius(M))


def _row_space_change(M):
    if M.shape[-2] >= M.shape[-1]:
        return np.zeros(M.shape[:-2])
    Vt = np.linalg.svd(M, full_matrices=False)[2]
    first = Vt[..., :1, :, :]
    return np.linalg.norm(Vt - Vt @ np.swapaxes(first, -1, -2) @ first, ord=2, axis=(-1, -2))


def _flow_constant_change(theory, trajectory, M, Q):
    tau = trajectory.model.learning_rate * (trajectory.alpha - trajectory.alpha[0])
    C, resolved = theory.flow_constant(tau, M, Q)
    return np.where(resolved, _relative_change(C), np.nan)


def _asymmetry(theory, M, Q):
    X = theory.force(M, Q)
    size = frobenius(X).max(axis=-1, keepdims=True) * np.ones(X.shape[:-2])
    return _ratio(frobenius(X - np.swapaxes(X, -1, -2)), size)

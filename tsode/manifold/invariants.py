r"""What a run conserves, and by how much it does not.

For equal readouts v of the student the gradient flow of the weights, in :math:`\tau = \eta \alpha`, is

.. math::
    \frac{dW^T}{d\tau} = 4 v B^* W^T - 2 v W^T (t + 2 v Q), \qquad B^* = W^{*T} V^* W^* / N ,

:math:`B^*` acting from the left, the rest from the right. Hence
:math:`W^T(\tau) = e^{4 v B^* \tau} W_0^T Z(\tau)` with some p x p matrix Z. Write :math:`P = F F^T`,
:math:`A = M F^{-T}` for the student in an orthonormal basis of the teacher's span, and :math:`K = F^T V^* F` for
:math:`B^*` in it. Then :math:`A^T = e^{4 v K \tau} A_0^T Z` and the rest of the student,
:math:`Q - A A^T`, is :math:`Z^T (Q_0 - A_0 A_0^T) Z`, so that Z drops out of

.. math::
    C = e^{-4 v K \tau} A^T (Q - A A^T)^{-1} A\, e^{-4 v K \tau} ,

which is constant: :math:`e^{-8 v v^* \tau} M^T (Q - M M^T)^{-1} M` for equal readouts v* and P = 1.

:math:`W\, dW^T / d\tau = -2 E[D \lambda \lambda^T] V` is symmetric: the student does not turn about itself.
Where the teacher is isotropic (:math:`V^* P` proportional to 1) M moves by factors from the left alone, at any
learning rate, so its row space stays. For equal readouts on each side, P = 1 and a Q that starts proportional to 1,
those factors are functions of :math:`M M^T`: then only the singular values of M move.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.linalg import expm

from .._display import html_table, text_table
from ..moments import error_moments_kernel
from ..overlaps import semidefinite_root
from ..trajectory import check_trajectory
from .minima import polar_factor

__all__ = ["Invariant", "Invariants", "invariants"]

SINGULAR = 1e-9  # relative size of the smallest eigenvalue of Q - A A^T below which rounding spoils its inverse
ROUND = 1e-12  # relative size of what is not proportional to 1 in a matrix that counts as such


@dataclass(frozen=True, eq=False, repr=False)
class Invariant:
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
    def drift(self):
        """Largest change along each run, shape (...)."""
        finite = np.where(np.isfinite(self.change), self.change, -np.inf).max(axis=-1)
        return np.where(np.isfinite(finite), finite, np.nan)[()]

    def __repr__(self):
        return text_table(f"Invariant: {self.name}", self._rows())

    def _repr_html_(self):
        return html_table(f"Invariant: {self.name}", self._rows())

    def _rows(self):
        worst = np.max(np.atleast_1d(self.drift))
        return [("drift", f"{worst:.3g}"), ("exact for", self.exact), ("here exact", "yes" if self.applies else "no")]


@dataclass(frozen=True, eq=False, repr=False)
class Invariants:
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

    def __repr__(self):
        return text_table("Invariants of a trajectory", self._rows())

    def _repr_html_(self):
        return html_table("Invariants of a trajectory", self._rows())


def invariants(trajectory):
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

    Notes
    -----
    Derivations in the module's docstring; the setting is that of arXiv:2604.03068.

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
    equal = np.ptp(model.student_readout) == 0
    teacher = model.teacher_readout[:, None] * model.teacher_overlap
    isotropic = _is_isotropic(teacher)
    deterministic = trajectory.N is None
    flow = deterministic and "gradient flow" in trajectory.engine and not model.spherical

    finite = np.isfinite(Q[..., 0, 0])
    M, Q = np.where(finite[..., None, None], M, 0.0), np.where(finite[..., None, None], Q, 0.0)
    round_start = np.all(_is_isotropic(Q[..., 0, :, :]))
    aligned = deterministic and model.is_uniform and round_start and not (model.spherical and model.p > 1)
    start = "the ODEs from Q proportional to 1, equal readouts on each side, P = 1, free"

    def entry(name, exact, applies, change):
        return Invariant(name, exact, bool(applies), np.where(finite, change, np.nan))

    return Invariants(
        entry("singular vectors of M", start, aligned, _rotation(M)),
        entry("polar factor of M", start, aligned, _relative_change(polar_factor(M))),
        entry(
            "constant C of gradient flow",
            "gradient flow, equal student readouts, free, P regular",
            flow and equal,
            _flow_constant_change(trajectory, M, Q),
        ),
        entry(
            "symmetry of W dW^T",
            "equal student readouts, free",
            equal and not model.spherical,
            _asymmetry(model, M, Q),
        ),
        entry("row space of M", "the ODEs, isotropic teacher", deterministic and isotropic, _row_space_change(M)),
    )


def _norm(X):
    return np.sqrt(np.sum(np.square(X), axis=(-1, -2)))


def _is_isotropic(X):
    return _norm(X - X[..., :1, :1] * np.eye(X.shape[-1])) <= ROUND * _norm(X)


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _relative_change(X):
    return _ratio(_norm(X - X[..., :1, :, :]), _norm(X))


def _rotation(M):
    U, _, Vt = np.linalg.svd(M[..., 0, :, :])
    turned = np.swapaxes(U, -1, -2)[..., None, :, :] @ M @ np.swapaxes(Vt, -1, -2)[..., None, :, :]
    return _ratio(_norm(turned * ~np.eye(*M.shape[-2:], dtype=bool)), _norm(M))


def _row_space_change(M):
    if M.shape[-2] >= M.shape[-1]:
        return np.zeros(M.shape[:-2])
    Vt = np.linalg.svd(M, full_matrices=False)[2]
    first = Vt[..., :1, :, :]
    return np.linalg.norm(Vt - Vt @ np.swapaxes(first, -1, -2) @ first, ord=2, axis=(-1, -2))


def _flow_constant_change(trajectory, M, Q):
    model = trajectory.model
    F = semidefinite_root(model.teacher_overlap)
    if np.linalg.cond(F) > 1 / SINGULAR:
        return np.full(M.shape[:-2], np.nan)
    A = M @ np.linalg.inv(F).T
    rest = Q - A @ np.swapaxes(A, -1, -2)
    values, vectors = np.linalg.eigh(rest)
    resolved = values[..., 0] > SINGULAR * np.trace(Q, axis1=-2, axis2=-1)
    B = np.swapaxes(vectors, -1, -2) @ A / np.sqrt(np.where(resolved[..., None], values, np.inf))[..., None]
    K = (F.T * model.teacher_readout) @ F
    tau = model.learning_rate * (trajectory.alpha - trajectory.alpha[0])
    B = B @ expm(-4 * model.student_readout[0] * tau[:, None, None] * K)
    return np.where(resolved, _relative_change(np.swapaxes(B, -1, -2) @ B), np.nan)


def _asymmetry(model, M, Q):
    v = model.student_readout
    X = np.empty((Q[..., 0, 0].size, model.p, model.p))
    force_kernel(v, model.teacher_readout, M.reshape(-1, *M.shape[-2:]), Q.reshape(X.shape), model.teacher_overlap, X)
    X = X.reshape(Q.shape) * v
    size = _norm(X).max(axis=-1, keepdims=True) * np.ones(X.shape[:-2])
    return _ratio(_norm(X - np.swapaxes(X, -1, -2)), size)


@njit(cache=True, nogil=True, error_model="numpy")
def force_kernel(v, v_star, M, Q, P, E_Q):
    """Write E[D lambda lambda^T] of every record into the last argument, shape (n, p, p)."""
    E_M, E_QQ = np.empty(M.shape[1:]), np.empty(Q.shape[1:])
    for i in range(len(M)):
        error_moments_kernel(v, v_star, M[i], Q[i], P, 0.0, E_M, E_Q[i], E_QQ)

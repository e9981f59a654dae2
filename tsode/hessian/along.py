"""The population Hessian along a trajectory: when directions of descent appear and vanish."""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._display import Report
from ..trajectory import Trajectory, check_trajectory
from .population import population_spectrum
from .spectrum import check_tolerance

__all__ = ["HessianPath", "along"]


@dataclass(frozen=True, eq=False, repr=False)
class HessianPath(Report):
    """Numbers of the population Hessian against time.

    Attributes
    ----------
    alpha : ndarray, shape (T,)
        Times, samples / N.
    index, nullity : ndarray of int, shape (T,)
        Negative eigenvalues, and those that count as zero.
    lowest, highest, gradient_norm : ndarray, shape (T,)
        Extreme eigenvalues and norm of the gradient, with respect to W / sqrt(N).
    N : int
        Input dimension of the Hessians.
    tolerance : float
        What counts as zero, relative to the largest absolute eigenvalue at each time.
    """

    alpha: np.ndarray
    index: np.ndarray
    nullity: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    gradient_norm: np.ndarray
    N: int
    tolerance: float

    def _rows(self):
        return [
            ("time alpha", f"{self.alpha[0]:g} to {self.alpha[-1]:g}, {len(self.alpha)} points"),
            ("input dimension N", f"{self.N:,}"),
            ("index (negative)", f"{self.index[0]:,} to {self.index[-1]:,}, at most {self.index.max():,}"),
            ("lowest eigenvalue", f"{self.lowest[0]:.4g} to {self.lowest[-1]:.4g}, at least {self.lowest.min():.4g}"),
            ("gradient norm", f"{self.gradient_norm[0]:.3g} to {self.gradient_norm[-1]:.3g}"),
        ]

    def _title(self):
        return "Population Hessian along a trajectory"


def along(trajectory: Trajectory, N: int | None = None, run: int | None = None, tolerance: float = 1e-6) -> HessianPath:
    """Return index, nullity and extreme eigenvalues of the population Hessian along a trajectory.

    Where the readout is trained, it is that of weights and readout.

    Parameters
    ----------
    trajectory : Trajectory
        From ``integrate`` or ``simulate``.
    N : int, optional
        Input dimension; needed for a solution of the ODEs, by default that of the simulation.
    run : int, optional
        Which run; needed where there is a run axis.
    tolerance : float
        What counts as zero, relative to the largest absolute eigenvalue; by default above the errors that an ODE
        solver leaves in the overlaps.

    Returns
    -------
    HessianPath
        Up to the end of the run, if it ended early.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or range, or N or `run` is missing; the message names it.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.1)
    >>> ode = tsode.integrate(model, tsode.Overlaps.random(model, N=1000, rng=0), 150.0)
    >>> path = tsode.hessian.along(ode, N=1000)
    >>> bool(path.lowest[-1] > -0.01)
    True
    """
    check_trajectory(trajectory)
    model = trajectory.model
    N = trajectory.N if N is None else N
    if N is None:
        raise ValueError("`N` must be given for a solution of the ODEs, whose dimension is infinite, but is None")
    tolerance = check_tolerance(tolerance)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    first = trajectory.overlaps(0, run)
    Q, readout = (each if run is None else each[run] for each in (trajectory.Q, trajectory.readout))
    alpha, spectra = trajectory.alpha[np.isfinite(Q).all(axis=(1, 2))], []
    for i in range(len(alpha)):
        here = model.replace(student_readout=readout[i]) if model.readout_learning_rate else model
        spectra.append(population_spectrum(here, trajectory.overlaps(i, run) if i else first, N, tolerance))
    names = ("index", "nullity", "lowest", "highest", "gradient_norm")
    return HessianPath(
        alpha=alpha, N=N, tolerance=tolerance, **{name: np.array([getattr(s, name) for s in spectra]) for name in names}
    )

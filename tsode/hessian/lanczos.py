r"""The spectral density of an operator that is known by its products only, through Lanczos quadrature.

For a random start vector b, m steps of Lanczos give a tridiagonal matrix whose eigenvalues and squared first
eigenvector components are nodes and weights of the Gauss quadrature for :math:`b^T f(H) b`; averaged over b this
is :math:`\mathrm{tr} f(H)` (Golub & Meurant, Matrices, Moments and Quadrature, 2010, chapters 6 and 11). Vectors are
not reorthogonalised: converged eigenvalues then occur several times among the nodes, but their weights add up
to the right one (Greenbaum, Linear Algebra Appl. 113, 7 (1989)), and memory stays that of three vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal

from .. import _checks
from .._display import Report
from .._random import generator
from .._types import Seed
from .spectrum import smooth

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

__all__ = ["SpectralDensity", "spectral_density"]


@dataclass(frozen=True, eq=False, repr=False)
class SpectralDensity(Report):
    """An estimated spectral density: point masses at quadrature nodes, one set a probe vector.

    Attributes
    ----------
    nodes, weights : ndarray, shape (probes, steps)
        Ritz values and their masses; each row of `weights` adds up to 1.
    dimension : int
        Number of eigenvalues of the operator.
    """

    nodes: np.ndarray
    weights: np.ndarray
    dimension: int

    def density(self, x: ArrayLike, width: float) -> np.ndarray:
        """Return the normalised density, every node broadened to a Gaussian.

        Parameters
        ----------
        x : array_like, shape (m,)
            Where to evaluate it.
        width : float
            Standard deviation of the Gaussians.

        Returns
        -------
        ndarray, shape (m,)
            Integrates to 1; in units of 1 / eigenvalue.

        Examples
        --------
        >>> import numpy as np
        >>> spectral_density(np.diag(np.linspace(-1, 1, 500)), steps=20).density([0.0, 5.0], 0.3).round(1)
        array([0.5, 0. ])
        """
        return smooth(x, width, self.nodes.ravel(), self.weights.ravel() / len(self.nodes))

    def mean(self, function: Callable[[np.ndarray], ArrayLike]) -> tuple[float, float]:
        """Return the estimated mean of a function over the eigenvalues, and its standard error over the probes.

        Parameters
        ----------
        function : callable
            Takes and returns an array.

        Returns
        -------
        mean, error : float
            `error` is nan for a single probe.

        Raises
        ------
        TypeError, ValueError
            If `function` cannot be called, or returns something else.

        Examples
        --------
        >>> import numpy as np
        >>> mean, error = spectral_density(np.diag(np.linspace(0, 1, 500)), steps=20).mean(np.sqrt)
        >>> bool(abs(mean - 2 / 3) < 5 * error)
        True
        """
        if not callable(function):
            raise TypeError(f"`function` must be callable, but is {type(function).__name__}")
        values = _checks.real_array("function", function(self.nodes))
        if values.shape != self.nodes.shape:
            raise ValueError(f"`function` must return shape {self.nodes.shape}, but returns shape {values.shape}")
        each = (self.weights * values).sum(axis=1)
        error = each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
        return float(each.mean()), float(error)

    def _rows(self):
        center, error = self.mean(lambda x: x)
        return [
            ("dimension", f"{self.dimension:,}"),
            ("probes x steps", f"{self.nodes.shape[0]} x {self.nodes.shape[1]}"),
            ("Ritz values", f"{self.nodes.min():.6g} to {self.nodes.max():.6g}"),
            ("mean eigenvalue", f"{center:.6g} +- {error:.2g}"),
        ]

    def _title(self):
        return "Spectral density by Lanczos quadrature"


def spectral_density(
    operator: LinearOperator | np.ndarray, steps: int = 80, probes: int = 4, rng: Seed = 0
) -> SpectralDensity:
    """Estimate the spectral density of a symmetric operator.

    Parameters
    ----------
    operator : scipy.sparse.linalg.LinearOperator or ndarray, shape (n, n)
        Real and symmetric.
    steps : int
        Lanczos steps a probe, each one product; features narrower than about (range / steps) are smeared.
    probes : int
        Number of random vectors. The relative error falls as 1 / sqrt(probes n).
    rng : numpy.random.Generator, int or None
        Source of the probes.

    Returns
    -------
    SpectralDensity

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or range; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> estimate = spectral_density(np.diag(np.linspace(-1, 1, 500)), steps=20)
    >>> bool(abs(estimate.mean(np.square)[0] - 1 / 3) < 0.05)
    True
    """
    operator, (n, _) = _checked(operator)
    steps = min(_checks.integer("steps", steps, minimum=1), n)
    probes = _checks.integer("probes", probes, minimum=1)
    rng = generator("rng", rng)
    _checks.memory("`steps` and `probes`", 2 * probes * steps)
    nodes, weights = np.zeros((2, probes, steps))
    for probe in range(probes):
        diagonal, off = _tridiagonal(operator, rng.standard_normal(n), steps)
        values, vectors = eigh_tridiagonal(diagonal, off)
        # After an exact breakdown the missing nodes keep weight 0, at a node that exists.
        nodes[probe] = np.pad(values, (0, steps - len(values)), mode="edge")
        weights[probe, : len(values)] = vectors[0] ** 2
    return SpectralDensity(nodes, weights, n)


def _checked(operator):
    """Return an operator with real products, and its shape, (n, n)."""
    shape = getattr(operator, "shape", None)
    if not hasattr(operator, "__matmul__") or not isinstance(shape, tuple) or len(shape) != 2:
        raise TypeError(f"`operator` must be a LinearOperator or a matrix, but is {type(operator).__name__}")
    if shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"`operator` must be square, but has shape {shape}")
    if isinstance(operator, np.ndarray):
        operator = _checks.symmetric("operator", _checks.square("operator", operator))
    elif np.dtype(getattr(operator, "dtype", None)).kind not in "iuf":
        raise TypeError(f"`operator` must have real products, but is of type {operator.dtype}")
    return operator, shape


def _tridiagonal(operator, vector, steps):
    """Return diagonal and off-diagonal of the Lanczos matrix; shorter if the Krylov space is exhausted."""
    q, before = vector / np.linalg.norm(vector), None
    diagonal, off = [], []
    for step in range(steps):
        z = operator @ q
        if off:
            z = z - off[-1] * before
        diagonal.append(z @ q)
        if not np.isfinite(diagonal[-1]):
            raise ValueError(f"`operator` must have finite products, but has {diagonal[-1]}")
        z = z - diagonal[-1] * q
        size = np.linalg.norm(z)
        if step + 1 == steps or size <= 1e-13 * np.abs(diagonal + off).max():
            break
        off.append(size)
        before, q = q, z / size
    return np.array(diagonal), np.array(off)

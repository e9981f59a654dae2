r"""How the Hessian on n samples approaches that of the population as n/N grows.

At fixed n/N the empirical Hessian keeps a continuous spectrum for large N: the zero modes of the population on the
plateau spread into a bulk whose width falls as :math:`\sqrt{N/n}`. On a solution without label noise all errors
:math:`D_i` vanish and the Hessian is a mean of squares of the first derivatives :math:`v_k \sigma'(\lambda_{ik}) x_i`.
For the square these see only the p* directions of the hidden units that the solution uses, so the zero modes of the
population are zero modes on any samples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Table
from .._parameters import describe
from .._random import run_sequence, seed_sequence
from .._types import Seed
from ..manifold import solution_weights
from ..model import TeacherStudent
from .compare import Comparison, compare
from .empirical import empirical_spectrum
from .samples import check_ratios, gaussian_samples
from .spectrum import Spectrum

__all__ = ["Convergence", "convergence"]

RATIOS = (2, 8, 32, 128)


@dataclass(frozen=True, eq=False, repr=False)
class Convergence(Table):
    """Empirical spectra on the plateau and on the solution manifold at several n/N, beside the population's.

    Attributes
    ----------
    population : Comparison
        The limits, at the same N.
    ratios : ndarray, shape (R,)
        Samples / N.
    plateau, manifold : tuple of Spectrum, length R
        All eigenvalues on nested samples: those of a smaller ratio are among those of a larger.
    """

    population: Comparison
    ratios: np.ndarray
    plateau: tuple[Spectrum, ...]
    manifold: tuple[Spectrum, ...]

    @property
    def distances(self) -> np.ndarray:
        """Mean distance of the ordered eigenvalues from the population's (Wasserstein-1), ndarray of shape (2, R).

        First row the plateau, second row the manifold; falls as the root of N/n.
        """
        pairs = ((self.plateau, self.population.plateau), (self.manifold, self.population.manifold))
        return np.array([[np.mean(np.abs(s.expanded - limit.expanded)) for s in found] for found, limit in pairs])

    def _table(self):
        header = ("n/N", "plateau: distance", "lowest", "index", "manifold: distance", "lowest", "nullity", "highest")
        rows = [
            (f"{ratio:g}", f"{near:.4f}", f"{a.lowest:.4f}", f"{a.index:,}", f"{far:.4f}",
             f"{0.0 if abs(b.lowest) <= b.zero else b.lowest:.4f}", f"{b.nullity:,}", f"{b.highest:.4f}")
            for ratio, near, far, a, b in zip(self.ratios, *self.distances, self.plateau, self.manifold)
        ]  # fmt: skip
        a, b = self.population.plateau, self.population.manifold
        limit = (
            "infinite",
            "0",
            f"{a.lowest:.4f}",
            f"{a.index:,}",
            "0",
            "0.0000",
            f"{b.nullity:,}",
            f"{b.highest:.4f}",
        )
        title = f"Empirical Hessians at {describe(self.population.model, 'widths', self.population.N)}"
        return title, header, [*rows, limit]


def convergence(model: TeacherStudent, N: int = 100, ratios: ArrayLike = RATIOS, seed: Seed = 0) -> Convergence:
    """Return the empirical spectra at the plateau and on the manifold as n/N grows, by dense diagonalisation.

    Parameters
    ----------
    model : TeacherStudent
        As for :func:`compare`; labels carry its noise.
    N : int
        Input dimension, at least p + p_star; time and memory grow as (p N)^3 and (p N)^2.
    ratios : array_like, shape (R,)
        Samples / N, strictly increasing.
    seed : int, SeedSequence, Generator or None
        Seed of weights, inputs and noise.

    Returns
    -------
    Convergence

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or range, or the model has no plateau or solution.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> result = tsode.hessian.convergence(model, N=20, ratios=[4, 64])
    >>> bool((result.distances[:, 1] < result.distances[:, 0]).all())
    True
    """
    population = compare(model, N)
    N, ratios = population.N, check_ratios(ratios, population.N)
    _checks.memory("`N`", (model.p * N) ** 2)
    rng = np.random.default_rng(run_sequence(seed_sequence(seed), 0))
    W, W_star = population.points[0].realise(N, rng)
    X, y = gaussian_samples(model, W_star, ratios[-1], rng)
    W_solution = solution_weights(model, W_star)
    found = [
        [empirical_spectrum(model, weights, X[:n], y[:n]) for n in np.rint(ratios * N).astype(int)]
        for weights in (W, W_solution)
    ]
    return Convergence(population, ratios, tuple(found[0]), tuple(found[1]))

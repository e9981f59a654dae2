r"""From how many samples on the directions of descent at the plateau can be told from the bulk of the spectrum.

At small n/N the bulk of the empirical spectrum reaches below the negative eigenvalues of the population. Past some
n/N these leave it, with eigenvectors that point along the true directions of descent. A gap alone proves nothing: one
sample with a large error bends the loss along its own input by about N/n times that error and makes an outlier of
its own. So both are asked for, gap and direction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._display import Table
from .._parameters import describe
from .._random import run_sequence, seed_sequence
from .._types import Seed
from ..model import TeacherStudent, check_model
from .compare import gradient_flow_plateau
from .empirical import empirical_operator
from .reduction import Reduction
from .samples import check_ratios, gaussian_samples
from .spectrum import TOLERANCE

__all__ = ["Separation", "separation"]

RATIOS = tuple(2 ** (i / 2) for i in range(13))


@dataclass(frozen=True, eq=False, repr=False)
class Separation(Table):
    """When the directions of descent at the plateau show in the empirical spectrum.

    Attributes
    ----------
    model : TeacherStudent
        The pair.
    N, index : int
        Input dimension, and number of negative eigenvalues of the population.
    ratios : ndarray, shape (R,)
        Samples / N.
    lowest : ndarray, shape (R, 2 index + 2)
        Lowest eigenvalues on the samples, ascending.
    alignment : ndarray, shape (R,)
        Of the `index` lowest eigenvectors the smallest squared projection on the population's directions of
        descent.
    """

    model: TeacherStudent
    N: int
    index: int
    ratios: np.ndarray
    lowest: np.ndarray
    alignment: np.ndarray

    @property
    def separated(self) -> np.ndarray:
        """Whether outliers and bulk are apart, ndarray of bool, shape (R,).

        The gap above the `index` lowest eigenvalues must be larger than the spread of as many (and one) next
        ones, and each of their eigenvectors lie by more than half in the directions of descent.
        """
        k = self.index
        gap = self.lowest[:, k] - self.lowest[:, k - 1]
        spread = self.lowest[:, 2 * k + 1] - self.lowest[:, k]
        return (gap > spread) & (self.alignment > 0.5)

    @property
    def threshold(self) -> float:
        """Smallest ratio from which on all are separated, float; inf if the last is not."""
        mixed = np.flatnonzero(~self.separated)
        first = mixed[-1] + 1 if mixed.size else 0
        return float(self.ratios[first]) if first < len(self.ratios) else np.inf

    def _table(self):
        k = self.index
        rows = [
            (f"{ratio:.4g}", f"{e[0]:.4f} to {e[k - 1]:.4f}", f"{e[k]:.4f}", f"{fit:.2f}", "yes" if apart else "no")
            for ratio, e, fit, apart in zip(self.ratios, self.lowest, self.alignment, self.separated)
        ]
        title = (
            f"Outliers at the plateau, {describe(self.model, 'widths', self.N)}: "
            f"separate from n/N = {self.threshold:.4g}"
        )
        return title, ("n/N", f"lowest {k}", "next", "alignment", "separate"), rows


def separation(model: TeacherStudent, N: int = 200, ratios: ArrayLike = RATIOS, seed: Seed = 0) -> Separation:
    """Measure from which n/N on the plateau's negative outliers are separate from the bulk of the spectrum.

    Parameters
    ----------
    model : TeacherStudent
        A model with a plateau; labels carry its noise.
    N : int
        Input dimension, large beside p_star.
    ratios : array_like, shape (R,)
        Samples / N, strictly increasing; memory is that of ``ratios[-1]`` N^2 numbers.
    seed : int, SeedSequence, Generator or None
        Seed of weights, inputs and noise.

    Returns
    -------
    Separation

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or range, or the plateau has no outliers.

    Notes
    -----
    Medians over seeds 0 to 9 of the quadratic network, without noise: n/N = 5.7 for (p, p*) = (2, 1) and 11.3 for
    (4, 2) at N = 200, 16 for (3, 3) at N = 100; for (4, 2) also 11.3 at N = 100, so that the threshold belongs to n/N
    and not to n.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.1)
    >>> bool(1 < tsode.hessian.separation(model, N=60, ratios=[1, 4, 16, 64]).threshold <= 64)
    True
    """
    from scipy.sparse.linalg import eigsh

    saddle, _ = gradient_flow_plateau(check_model(model))
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    _checks.memory("`N`", (model.p + model.p_star) * N)
    ratios = check_ratios(ratios, N)
    rng = np.random.default_rng(run_sequence(seed_sequence(seed), 0))
    W, W_star = saddle.realise(N, rng)
    descent = _descent(model, saddle, W, W_star)
    k = len(descent)
    if 2 * k + 2 >= model.p * N:
        raise ValueError(f"`N` must be well above {2 * k // model.p} for {k} outliers, but is {N}")
    X, y = gaussian_samples(model, W_star, ratios[-1], rng)
    start = rng.standard_normal(model.p * N)
    lowest, alignment = np.empty((len(ratios), 2 * k + 2)), np.empty(len(ratios))
    for i, n in enumerate(np.rint(ratios * N).astype(int)):
        values, vectors = eigsh(empirical_operator(model, W, X[:n], y[:n]), 2 * k + 2, which="SA", v0=start)
        order = np.argsort(values)
        lowest[i] = values[order]
        alignment[i] = np.square(descent @ vectors[:, order[:k]]).sum(axis=0).min()
    return Separation(model, N, k, ratios, lowest, alignment)


def _descent(model, overlaps, W, W_star):
    """Return the orthonormal directions of descent of the population, shape (index, p N)."""
    N = W.shape[1]
    reduction = Reduction.of(model, overlaps, N)
    zero = reduction.spectrum(TOLERANCE).zero
    values, vectors = np.linalg.eigh(reduction.inside)
    if np.linalg.eigvalsh(reduction.outside)[0] < -zero or values[0] >= -zero:
        raise ValueError("`model` must have a plateau with a number of directions of descent that does not grow with N")
    span = np.linalg.pinv(np.vstack([reduction.U, reduction.U_star])) @ np.vstack([W, W_star]) / np.sqrt(N)
    inside = (reduction.basis @ vectors[:, values < -zero]).T
    return (inside.reshape(len(inside), model.p, -1) @ span).reshape(len(inside), -1)

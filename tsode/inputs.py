r"""The covariance of the inputs: blocks of coordinates, each with a variance of its own.

Inputs are Gaussian with independent coordinates, those of block b of variance :math:`s_b^2`. Any covariance is of this
form in its eigenbasis. With the overlaps of each block, :math:`M^b = W^b W^{*bT} / N` and so on, the preactivations
have the covariance

.. math::
    M = \sum_b s_b^2 M^b , \qquad Q = \sum_b s_b^2 Q^b , \qquad P = \sum_b s_b^2 P^b .
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _checks
from ._blocks import Blocks

__all__ = ["Blocks", "Inputs", "inputs_of"]


class Inputs:
    r"""Gaussian inputs whose covariance has few different eigenvalues, each on a block of coordinates.

    Parameters
    ----------
    eigenvalues : array_like, shape (B,)
        Variances :math:`s_b^2 \ge 0` of the coordinates of each block.
    fractions : array_like, shape (B,)
        Fractions :math:`f_b` of the coordinates, of any sum: they are divided by it. 0 for a spike.
    counts : array_like of int, shape (B,), optional
        Numbers of coordinates of spikes, the same at every N, so that their fraction is 0 in the limit; 0 for all other
        blocks.

    Attributes
    ----------
    eigenvalues, fractions, counts : ndarray, shape (B,)
        The same, the fractions with the sum 1.

    Raises
    ------
    TypeError, ValueError
        If a shape is wrong or a number negative; if a block has neither a fraction nor a count, or both; or if no block
        with a fraction has a variance.

    Notes
    -----
    At dimension N the spikes come with their counts and the others share the coordinates that are left: block b has the
    whole part of its share, and those of the largest remainders have one more. Blocks stand one after the other in the
    order given.

    Examples
    --------
    >>> Inputs(eigenvalues=[4.0, 0.25], fractions=[1, 3]).sizes(1001)
    array([250, 751])
    """

    def __init__(self, eigenvalues: ArrayLike, fractions: ArrayLike, counts: ArrayLike | None = None) -> None:
        self.eigenvalues = _not_negative("eigenvalues", eigenvalues, None)
        count = len(self.eigenvalues)
        parts = _not_negative("fractions", fractions, count)
        numbers = _not_negative("counts", np.zeros(count) if counts is None else counts, count)
        if (numbers != np.rint(numbers)).any():
            raise ValueError(f"`counts` must be whole numbers, but are {numbers}")
        both = np.flatnonzero((parts > 0) == (numbers > 0))
        if both.size:
            raise ValueError(
                f"`fractions` or `counts` must be larger than 0, one of the two in every block, but in block {both[0]} "
                f"they are {parts[both[0]]:g} and {numbers[both[0]]:g}"
            )
        if not self.eigenvalues @ parts > 0:
            raise ValueError("`eigenvalues` must be larger than 0 in at least one block with a fraction, but are 0")
        self.fractions, self.counts = parts / parts.sum(), numbers.astype(np.int64)
        for array in (self.fractions, self.counts):
            array.setflags(write=False)

    @classmethod
    def power_law(cls, exponent: float, blocks: int) -> Inputs:
        r"""Return equal blocks with the eigenvalues :math:`s_b^2 \propto b^{-a}`, b = 1, 2, ..., of mean 1.

        Parameters
        ----------
        exponent : float
            The exponent a, at least 0.
        blocks : int
            How many.

        Returns
        -------
        Inputs

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or out of range.

        Examples
        --------
        >>> Inputs.power_law(1.0, blocks=2).eigenvalues.round(3)
        array([1.333, 0.667])
        """
        blocks = _checks.integer("blocks", blocks, minimum=1, maximum=10**6)
        exponent = _checks.number("exponent", exponent, minimum=0.0, maximum=50.0)
        values = np.arange(1.0, blocks + 1) ** -exponent
        return cls(values / values.mean(), np.ones(blocks))

    @classmethod
    def spiked(cls, spikes: ArrayLike, bulk: float = 1.0) -> Inputs:
        """Return inputs with single coordinates of a variance of their own, before all others.

        Parameters
        ----------
        spikes : array_like, shape (n,)
            Variances of n single coordinates, which are the first ones.
        bulk : float
            Variance of all others, larger than 0.

        Returns
        -------
        Inputs

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, shape or range.

        Examples
        --------
        >>> Inputs.spiked([9.0, 4.0]).sizes(100)
        array([ 1,  1, 98])
        """
        values = _not_negative("spikes", spikes, None)
        bulk = _checks.number("bulk", bulk, above=0.0)
        is_spike = np.arange(len(values) + 1) < len(values)
        return cls([*values, bulk], ~is_spike * 1.0, is_spike * 1)

    @classmethod
    def from_data(cls, X: ArrayLike, blocks: int) -> Inputs:
        """Return the spectrum of the covariance of given rows, cut into blocks from the largest eigenvalue down.

        Parameters
        ----------
        X : array_like, shape (n, N)
            Rows of data, at least two; their mean is taken off.
        blocks : int
            Number of blocks, at most N. Each has the mean of its eigenvalues, and their number is the same up to one.

        Returns
        -------
        Inputs
            Of the coordinates in the eigenbasis of the covariance.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, shape or range; if all rows are the same.

        Examples
        --------
        >>> X = np.random.default_rng(0).standard_normal((500, 20)) * np.repeat([2.0, 1.0], 10)
        >>> Inputs.from_data(X, blocks=2).eigenvalues.round()
        array([4., 1.])
        """
        X = _checks.float_array("X", X, (None, None), "(n, N)")
        if len(X) < 2 or X.shape[1] == 0:
            raise ValueError(f"`X` must have at least two rows and one column, but has shape {X.shape}")
        if len(X) == X.shape[1] and np.allclose(X, X.T):
            raise ValueError("`X` must be rows of data, but is symmetric; a covariance goes by its eigenvalues")
        blocks = _checks.integer("blocks", blocks, minimum=1, maximum=X.shape[1])
        values = np.zeros(X.shape[1])
        singular = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
        values[: len(singular)] = singular**2 / (len(X) - 1)
        if not values.any():
            raise ValueError("`X` must have rows that differ, but all are the same")
        parts = np.array_split(values, blocks)
        return cls([part.mean() for part in parts], [len(part) for part in parts])

    def matched(self, P_blocks: ArrayLike, stored: ArrayLike) -> Inputs:
        r"""Return inputs on the same blocks under which the units of a teacher have given variances.

        So noise is engineered for training without data: variances :math:`s_b^2 \ge 0` that minimise
        :math:`\sum_r (\sum_b s_b^2 P^b_{rr} - V_r)^2`, with :math:`V_r` as the teacher's units had on the data.

        Parameters
        ----------
        P_blocks : array_like, shape (B, p_star, p_star)
            Overlaps of the teacher in each block.
        stored : array_like, shape (p_star,)
            The variances :math:`V_r` of its preactivations.

        Returns
        -------
        Inputs

        Raises
        ------
        TypeError, ValueError
            If a shape is wrong or a variance negative; if the best variances are zero in all blocks with a fraction.

        Examples
        --------
        >>> import numpy as np
        >>> P_blocks = [np.diag([0.7, 0.1]), np.diag([0.1, 0.9])]
        >>> Inputs([1.0, 1.0], [1, 3]).matched(P_blocks, stored=[2.2, 1.2]).eigenvalues.round(12)
        array([3., 1.])
        """
        from scipy.optimize import nnls  # a third of the package's import time, if it stood above

        P = _checks.float_array("P_blocks", P_blocks, (len(self), None, None), "(B, p_star, p_star)")
        stored = _not_negative("stored", stored, P.shape[1], "(p_star,)")
        if P.shape[1] != P.shape[2]:
            raise ValueError(f"`P_blocks` must have shape (B, p_star, p_star), but has shape {P.shape}")
        return Inputs(nnls(np.diagonal(P, axis1=1, axis2=2).T, stored)[0], self.fractions, self.counts)

    def sizes(self, N: int) -> np.ndarray:
        """Return the number of coordinates of each block at dimension N.

        Parameters
        ----------
        N : int
            Input dimension.

        Returns
        -------
        ndarray of int, shape (B,)

        Raises
        ------
        TypeError, ValueError
            If N is no whole number, or too small for every block to have a coordinate.

        Examples
        --------
        >>> Inputs([1.0, 2.0, 3.0], [1, 1, 1]).sizes(11)
        array([4, 4, 3])
        """
        left = _checks.integer("N", N, minimum=1) - int(self.counts.sum())
        shares = max(left, 0) * self.fractions
        found = np.floor(shares).astype(np.int64)
        more = np.argsort(found - shares, kind="stable")[: max(left, 0) - int(found.sum())]
        found[more] += 1
        found += self.counts
        if (found == 0).any():
            raise ValueError(f"`N` must be so large that every block of the inputs has a coordinate, but is {N}")
        return found

    def scales(self, N: int) -> np.ndarray:
        """Return the standard deviation of each coordinate at dimension N.

        Parameters
        ----------
        N : int
            Input dimension.

        Returns
        -------
        ndarray, shape (N,)

        Raises
        ------
        TypeError, ValueError
            As in :meth:`sizes`.

        Examples
        --------
        >>> Inputs([4.0, 1.0], [1, 1]).scales(3)
        array([2., 2., 1.])
        """
        return np.repeat(np.sqrt(self.eigenvalues), self.sizes(N))

    @property
    def parameters(self) -> dict[str, list[float]]:
        """Keyword arguments that make it again."""
        found = {"eigenvalues": self.eigenvalues.tolist(), "fractions": self.fractions.tolist()}
        return {**found, "counts": self.counts.tolist()} if self.counts.any() else found

    def to_dict(self) -> dict[str, list[float]]:
        """Return the parameters, as JSON takes them.

        Examples
        --------
        >>> Inputs([4.0, 1.0], [1, 3]).to_dict()
        {'eigenvalues': [4.0, 1.0], 'fractions': [0.25, 0.75]}
        """
        return self.parameters

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self.eigenvalues)

    def __eq__(self, other: object) -> bool:
        return self.parameters == other.parameters if isinstance(other, Inputs) else NotImplemented

    def __hash__(self) -> int:
        return hash(repr(self.parameters))

    def __repr__(self) -> str:
        def numbers(array):
            return np.array2string(np.asarray(array), precision=4, separator=", ", threshold=8)

        return f"Inputs({', '.join(f'{name}={numbers(array)}' for name, array in self.parameters.items())})"


def inputs_of(value: Any) -> Inputs | None:
    """Return the Inputs that are meant: an object, a dict of its parameters, or None."""
    if value is None or isinstance(value, Inputs):
        return value
    names = set(value) if isinstance(value, dict) else set()
    if not {"eigenvalues", "fractions"} <= names <= {"eigenvalues", "fractions", "counts"}:
        hint = "; tsode.Inputs.from_data(rows, blocks) makes one of data" * isinstance(value, list | np.ndarray)
        raise TypeError(f"`inputs` must be a tsode.Inputs or None, but is {type(value).__name__}{hint}")
    return Inputs(**value)


def _not_negative(name: str, value: ArrayLike, length: int | None, meaning: str = "(B,)") -> np.ndarray:
    if not (array := _checks.float_array(name, value, (length,), meaning)).size or (array < 0).any():
        raise ValueError(f"`{name}` must be numbers of at least 0, at least one, but is {array}")
    return array

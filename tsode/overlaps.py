r"""The order parameters of a teacher-student pair, and the weights that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from . import _checks
from ._blocks import Blocks
from ._display import Report
from ._frames import block_frames, impose_overlaps, random_frames, random_rows, realised
from ._linear_algebra import joint_matrix, semidefinite_root
from ._random import generator
from ._types import Seed
from .inputs import Inputs
from .model import TeacherStudent, check_model

__all__ = ["LARGEST_WEIGHT", "Overlaps", "check_scale", "check_start"]

LARGEST_WEIGHT = 1e12  # far from overflow also in squares that are summed up


@dataclass(frozen=True, eq=False, repr=False)
class Overlaps(Report):
    r"""The overlaps M, Q and P of one student and its teacher; the start of every run.

    .. math::
        M = W W^{*T} / N, \qquad Q = W W^T / N, \qquad P = W^* W^{*T} / N .

    For inputs with a covariance of their own they are the covariance of the preactivations, the sums over the blocks of
    the inputs of the same in each block, times its variance: :meth:`from_weights`, :meth:`from_blocks` and
    :meth:`random` make those.

    Parameters
    ----------
    M : array_like, shape (p, p_star)
        Student-teacher overlap.
    Q : array_like, shape (p, p)
        Student-student overlap, symmetric.
    P : array_like, shape (p_star, p_star), optional
        Teacher-teacher overlap; the identity by default.

    Attributes
    ----------
    blocks : Blocks or None
        M, Q and P in each block of the inputs, shapes (B, p, p_star), (B, p, p) and (B, p_star, p_star); None where the
        inputs are isotropic.
    inputs : Inputs or None
        The covariance of the inputs that they are for, where it is not isotropic.

    Raises
    ------
    TypeError, ValueError
        If a shape is wrong, an entry not finite, Q or P not symmetric, or the joint matrix
        [[Q, M], [M^T, P]] not positive semidefinite: then no weights have these overlaps.

    Examples
    --------
    >>> start = Overlaps(M=[[0.1], [0.0]], Q=[[1.0, 0.2], [0.2, 1.0]])
    >>> start.p, start.p_star
    (2, 1)
    """

    M: np.ndarray
    Q: np.ndarray
    P: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    blocks: Blocks | None = field(default=None, init=False)
    inputs: Inputs | None = field(default=None, init=False)

    if TYPE_CHECKING:  # what is taken is more than what is held

        def __init__(self, M: ArrayLike, Q: ArrayLike, P: ArrayLike | None = None) -> None: ...

    def __post_init__(self) -> None:
        Q = _checks.square("Q", self.Q)
        M = _checks.float_array("M", self.M, (len(Q), None), "(p, p_star)")
        if M.size == 0:
            raise ValueError(f"`M` must have at least one row and one column, but has shape {M.shape}")
        p_star = M.shape[1]
        P = np.eye(p_star) if self.P is None else self.P
        P = _checks.float_array("P", P, (p_star, p_star), "(p_star, p_star)")
        Q, P = _checks.symmetric("Q", Q), _checks.symmetric("P", P)
        for name, value in (("M", M), ("Q", Q), ("P", P)):
            object.__setattr__(self, name, value)
        _checks.semidefinite("the joint overlap matrix [[`Q`, `M`], [`M`^T, `P`]]", self.joint)

    @property
    def p(self) -> int:
        """Width of the student."""
        return self.M.shape[0]

    @property
    def p_star(self) -> int:
        """Width of the teacher."""
        return self.M.shape[1]

    @property
    def joint(self) -> np.ndarray:
        """The covariance [[Q, M], [M^T, P]] of all preactivations, shape (p + p_star, p + p_star)."""
        return joint_matrix(self.M, self.Q, self.P)

    @classmethod
    def from_blocks(cls, inputs: Inputs, M: ArrayLike, Q: ArrayLike, P: ArrayLike) -> Overlaps:
        """Return the overlaps for inputs of some covariance, given those in each of its blocks.

        Parameters
        ----------
        inputs : Inputs
            The covariance.
        M, Q, P : array_like, shapes (B, p, p_star), (B, p, p), (B, p_star, p_star)
            W^b W*^bT / N and so on, W^b being the columns of W that belong to block b.

        Returns
        -------
        Overlaps

        Raises
        ------
        TypeError, ValueError
            If `inputs` is none; if the overlaps of a block are none, as in the class.

        Examples
        --------
        >>> from tsode import Inputs
        >>> halves = Inputs([1.5, 0.5], [1, 1])
        >>> start = Overlaps.from_blocks(halves, M=[[[0.2]], [[0.0]]], Q=[[[0.5]], [[0.5]]], P=[[[0.5]], [[0.5]]])
        >>> start.M, start.Q
        (array([[0.3]]), array([[1.]]))
        """
        _checks.instance("inputs", inputs, Inputs, "a tsode.Inputs")
        count = len(inputs)
        M = _checks.float_array("M", M, (count, None, None), "(B, p, p_star)")
        Q = _checks.float_array("Q", Q, (count, M.shape[1], M.shape[1]), "(B, p, p)")
        P = _checks.float_array("P", P, (count, M.shape[2], M.shape[2]), "(B, p_star, p_star)")
        each = [cls(*matrices) for matrices in zip(M, Q, P)]
        blocks = Blocks(*(np.array([getattr(one, name) for one in each]) for name in ("M", "Q", "P")))
        found = cls(*blocks.covariance(inputs))
        object.__setattr__(found, "blocks", blocks)
        object.__setattr__(found, "inputs", inputs)
        return found

    @classmethod
    def from_weights(cls, W: ArrayLike, W_star: ArrayLike, inputs: Inputs | None = None) -> Overlaps:
        """Return the overlaps of given weights.

        Parameters
        ----------
        W, W_star : array_like, shapes (p, N), (p_star, N)
            Weights of student and teacher.
        inputs : Inputs, optional
            Covariance of the inputs, whose blocks of columns follow each other; isotropic by default.

        Returns
        -------
        Overlaps

        Raises
        ------
        TypeError, ValueError
            If a shape is wrong or an entry not finite.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> start = Overlaps.from_weights(rng.standard_normal((4, 1000)), rng.standard_normal((2, 1000)))
        >>> start.M.shape, start.Q.shape, start.P.shape
        ((4, 2), (4, 4), (2, 2))
        """
        W = _checks.float_array("W", W, (None, None), "(p, N)", LARGEST_WEIGHT)
        N = W.shape[1]
        W_star = _checks.float_array("W_star", W_star, (None, N), "(p_star, N)", LARGEST_WEIGHT)
        for name, weights in (("W", W), ("W_star", W_star)):
            if weights.size == 0:
                raise ValueError(f"`{name}` must have at least one row and one column, but has shape {weights.shape}")
        if inputs is None:
            return cls(W @ W_star.T / N, W @ W.T / N, W_star @ W_star.T / N)
        _checks.instance("inputs", inputs, Inputs, "a tsode.Inputs or None")
        ends = np.cumsum(inputs.sizes(N))[:-1]
        pairs = list(zip(np.split(W, ends, axis=1), np.split(W_star, ends, axis=1)))
        products = [(w @ w_star.T / N, w @ w.T / N, w_star @ w_star.T / N) for w, w_star in pairs]
        return cls.from_blocks(inputs, *map(np.array, zip(*products)))

    @classmethod
    def random(cls, model: TeacherStudent, N: int, scale: float = 1.0, rng: Seed = None) -> Overlaps:
        r"""Draw the overlaps of random student weights :math:`W_{ij} \sim N(0, \mathrm{scale}^2)`.

        The draw has the exact law at dimension N and costs nothing in N: the part of W in the span of the
        teacher is Gaussian, the Gram matrix of the rest a Wishart matrix with N - p* degrees of freedom,
        drawn through its triangular factor (Bartlett 1933), in each block of the inputs. Under the
        spherical constraint the rows are rescaled to norm sqrt(N).

        Parameters
        ----------
        model : TeacherStudent
            Gives the widths, P and the constraint.
        N : int
            Input dimension, at least p + p_star.
        scale : float
            Standard deviation of the weights, larger than 0.
        rng : numpy.random.Generator, int or None
            Source of randomness.

        Returns
        -------
        Overlaps

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or out of range.

        Examples
        --------
        >>> from tsode import TeacherStudent
        >>> model = TeacherStudent(p=4, p_star=2, learning_rate=0.4)
        >>> start = Overlaps.random(model, N=10**9, rng=0)
        >>> bool(abs(start.M).max() < 1e-3)
        True
        """
        check_model(model)
        N = _checks.integer("N", N, minimum=model.p + model.p_star)
        scale = check_scale(scale)
        rng = generator("rng", rng)
        if model.inputs is not None:
            joints, p = np.array([rows @ rows.T for rows in random_frames(model, N, scale, rng)]), model.p
            return cls.from_blocks(model.inputs, joints[:, :p, p:], joints[:, :p, :p], joints[:, p:, p:])
        rows = random_rows(model, N, scale, rng)
        A, L = rows[:, : model.p_star], rows[:, model.p_star :]
        return cls(A @ semidefinite_root(model.teacher_overlap).T, A @ A.T + L @ L.T, model.teacher_overlap)

    def realise(self, N: int, rng: Seed = None) -> tuple[np.ndarray, np.ndarray]:
        """Return random weights at dimension N that have exactly these overlaps.

        Parameters
        ----------
        N : int
            Input dimension, at least p + p_star.
        rng : numpy.random.Generator, int or None
            Source of the random directions.

        Returns
        -------
        W, W_star : ndarray, shapes (p, N), (p_star, N)
            ``Overlaps.from_weights(W, W_star)`` gives back these overlaps up to rounding.

        Raises
        ------
        TypeError, ValueError
            If N is not a whole number or too small.

        Examples
        --------
        >>> start = Overlaps(M=[[0.3], [0.1]], Q=[[1.0, 0.0], [0.0, 1.0]])
        >>> W, W_star = start.realise(50, rng=0)
        >>> Overlaps.from_weights(W, W_star).M.round(12)
        array([[0.3],
               [0.1]])
        """
        width = self.p + self.p_star
        N = _checks.integer("N", N, minimum=width)
        _checks.memory("`N`", width * N)
        if self.inputs is not None:
            rng = generator("rng", rng)
            sized = zip(block_frames(self, N), self.inputs.sizes(N))
            weights = np.sqrt(N) * np.hstack([realised(rows, int(size), rng) for rows, size in sized])
            return weights[: self.p], weights[self.p :]
        weights = generator("rng", rng).standard_normal((width, N))
        impose_overlaps(weights[None], N, self.joint)
        return weights[: self.p], weights[self.p :]

    def _rows(self):
        def matrix(array):
            return np.array2string(array, precision=4, suppress_small=True, threshold=64)

        return [("M (student-teacher)", matrix(self.M)), ("Q (student-student)", matrix(self.Q)),
                ("P (teacher-teacher)", matrix(self.P))]  # fmt: skip

    def _title(self):
        return f"Overlaps, p = {self.p}, p* = {self.p_star}"


def check_scale(scale: float) -> float:
    """Return `scale`, a standard deviation of weights, as a float."""
    return _checks.number("scale", scale, above=0.0, maximum=LARGEST_WEIGHT)


def check_start(model: TeacherStudent, start: Overlaps, name: str = "start") -> Overlaps:
    """Return `start` if it is an Overlaps that fits `model`; `name` is the argument's name in messages."""
    if not isinstance(start, Overlaps):
        kind = type(start).__name__
        raise TypeError(f"`{name}` must be an Overlaps, but is {kind}; tsode.Overlaps.random(model, N) draws one")
    if start.M.shape != (model.p, model.p_star):
        raise ValueError(
            f"`{name}` must have widths (p, p_star) = ({model.p}, {model.p_star}), but has {start.M.shape}"
        )
    P = model.teacher_overlap
    # equal ones first, which takes a hundredth of the time
    if start.P.tobytes() != P.tobytes() and not np.allclose(start.P, P, rtol=1e-9, atol=1e-9):
        raise ValueError(f"`{name}` must have the model's `teacher_overlap` as its P, but has another")
    if start.inputs != model.inputs:
        raise ValueError(
            f"`{name}` must be overlaps for the model's `inputs`, as Overlaps.random(model, N), from_blocks(inputs, "
            f"...) and from_weights(W, W_star, inputs) make them, but is for {start.inputs or 'isotropic ones'}"
        )
    if not model.spherical:
        return start
    norms = np.diagonal(start.Q if start.blocks is None else start.blocks.Q.sum(axis=0))
    if not np.allclose(norms, 1.0, rtol=0, atol=1e-9):
        raise ValueError(
            f"`{name}` must have Q_kk = 1 under the spherical constraint, but has {norms[np.argmax(abs(norms - 1))]:g}"
        )
    return start

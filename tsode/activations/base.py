r"""What an activation is: one function of one variable, its slope, and the Gaussian averages of both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import NoClosedForm
from .._parameters import arguments
from . import (
    error_averages,
    kinked_averages,
    piecewise_averages,
    polynomial_averages,
    quadrature,
    squared_error,
    symmetry,
)

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Activation", "NoClosedForm"]

POINTS = np.linspace(0.05, 6.0, 64)  # where the values at both signs are compared
SAME = 1e-12  # a difference over the range of the values that counts as rounding


class Activation(ABC):
    """A function that every hidden unit applies to its preactivation.

    A new activation is a subclass in a file of its own: `name` and `function`, and the averages that it has in closed
    form. Everything else asks it.

    Attributes
    ----------
    name : str
        What it is called in files and on the command line.
    degree : float or None
        h, where it is homogeneous: s(c x) = c^h s(x) for c > 0.
    coefficients : tuple of float or None
        Where it is a polynomial: its coefficients, the lowest first. Averages of two polynomials are closed.
    sides : tuple of float or None
        Where it is linear on either side of zero, and zero there: its slopes on the left and on the right. Averages of
        two such functions are closed.
    learns : bool
        Whether students may have it: not where its slope is zero.
    """

    name: str = ""
    degree: float | None = None
    coefficients: tuple[float, ...] | None = None
    sides: tuple[float, float] | None = None
    learns: bool = True

    @property
    def parameters(self) -> dict[str, Any]:
        """Keyword arguments that make it again, dict of numbers.

        They are its attributes, but for those that begin with "_" and those that have the value of their default.
        """
        return arguments(self)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where the function or its slope jumps, and it is smooth between: zero where it has two `sides`."""
        return () if self.sides is None or self.sides[0] == self.sides[1] else (0.0,)

    @property
    @abstractmethod
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope) under :func:`tsode.activations.jitable`, for NumPy and the compiler."""

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return its values, shape of `x`."""
        return self.function(np.asarray(x, dtype=np.float64))[0]

    def slope(self, x: ArrayLike) -> np.ndarray:
        """Return its first derivative, shape of `x`."""
        return self.function(np.asarray(x, dtype=np.float64))[1]

    @property
    def parity(self) -> int | None:
        """1 where it is even, -1 where it is odd, None where it is neither, as its values at many points say."""
        ahead, behind = self(POINTS), self(-POINTS)
        found = [sign for sign in (1, -1) if np.allclose(behind, sign * ahead, rtol=0, atol=SAME * np.ptp(ahead))]
        return found[0] if found else None

    def curvature(self, x: ArrayLike) -> np.ndarray:
        """Return its second derivative, shape of `x`.

        Raises
        ------
        NoClosedForm
            If it has none, as at a kink, or none was written for it.
        """
        raise NoClosedForm(f"`activation` must have a second derivative, its method `curvature`, but {self!r} has none")

    def pair(self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike) -> np.ndarray:
        """Return E[s(x) g(z)] for centred Gaussian x and z; s is this activation and g is `second`.

        Parameters
        ----------
        second : Activation
            g.
        c_xx, c_xz, c_zz : array_like, shapes that broadcast
            Variances of x and z and their covariance.

        Returns
        -------
        ndarray, the broadcast shape
        """
        return self._way(second).pair(self, second, c_xx, c_xz, c_zz)

    def pair_slopes(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the derivatives of :meth:`pair` with respect to `c_xx`, `c_xz` and `c_zz`: three arrays.

        They are E[s'' g] / 2, E[s' g'] and E[s g''] / 2.
        """
        return self._way(second).pair_slopes(self, second, c_xx, c_xz, c_zz)

    def pair_curvatures(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, ...]:
        """Return the second derivatives of :meth:`pair`: (xx, xx), (xx, xz), (xx, zz), (xz, xz), (xz, zz), (zz, zz)."""
        return self._way(second).pair_curvatures(self, second, c_xx, c_xz, c_zz)

    def own_curvatures(self, Q: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return `pair_curvatures` of all pairs of units of one network with the overlaps Q, shape (p, p) each.

        On the diagonal the three covariances are one, and only the second derivative along it is asked for.
        """
        q = np.diagonal(Q)
        return self.pair_curvatures(self, q[:, None], Q, q)

    def error_squared(
        self,
        teacher: Activation,
        omega: np.ndarray,
        v: np.ndarray,
        v_star: np.ndarray,
        noise_variance: float,
        level: int = 1,
    ) -> np.ndarray:
        """Return E[D^2 s'_k s'_l]: see :mod:`tsode.activations.error_averages`.

        It is exact for two polynomials and for two piecewise linear functions, where `level` has no effect.
        """
        return self._way(teacher).error_squared(self, teacher, omega, v, v_star, noise_variance, level)

    def averages(self, teacher: Activation) -> error_averages.Averages:
        """Return the Averages that drive the ODEs of a student with this activation; by default through quadrature."""
        return self._way(teacher).averages(self, teacher)

    def constants(self, teacher: Activation, rtol: float = 1e-8) -> tuple[float, ...]:
        """Return numbers of both activations that the compiled loops of `averages` read after the readouts.

        With them quadrature has a relative error of at most `rtol` at a generic point, as far as it can.
        """
        return self._way(teacher).constants(self, teacher, rtol) if self.averages(teacher).constants else ()

    def accuracy(
        self,
        teacher: Activation,
        omega: np.ndarray,
        v: np.ndarray,
        v_star: np.ndarray,
        noise_variance: float = 0.0,
        rtol: float = 1e-8,
    ) -> float:
        """Return an estimate of the relative error of E[D^2 s'_k s'_l] as the ODEs take it at a tolerance.

        It is the difference from a finer quadrature over the largest entry; 0 where the average is closed.

        Parameters
        ----------
        teacher : Activation
            Of the teacher; this one is the student's.
        omega : ndarray, shape (p + p_star, p + p_star)
            Joint covariance of the preactivations, ``start.joint`` of a :class:`tsode.Overlaps`.
        v, v_star : ndarray, shapes (p,), (p_star,)
            Readouts.
        noise_variance : float
            Variance of the label noise.
        rtol : float
            As in :func:`tsode.integrate`.

        Returns
        -------
        float
        """
        return self._way(teacher).accuracy(self, teacher, omega, v, v_star, noise_variance, rtol)

    def _way(self, second):
        """Return the module that has the averages of a pair."""
        if self.coefficients is not None and second.coefficients is not None:
            return polynomial_averages
        if self.sides is not None and second.sides is not None:
            return piecewise_averages
        if self.sides is not None or second.sides is not None:
            return kinked_averages
        return quadrature

    def squared_error(
        self, teacher: Activation, v: np.ndarray, v_star: np.ndarray, M: np.ndarray, Q: np.ndarray, P: np.ndarray
    ) -> np.ndarray:
        """Return the mean of the squared error without noise, shape (...) of M and Q: a sum over pairs of units."""
        return squared_error.squared_error(self, teacher, v, v_star, M, Q, P)

    def input_rotations(self, readout: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rotations of the inputs that leave the output of units with this activation alone.

        Parameters
        ----------
        readout, rows : ndarray, shapes (p,), (p, r)
            Readout and weights of the units, the weights in any orthonormal coordinates of a space that holds them.

        Returns
        -------
        inside : ndarray, shape (m, r, r)
            Antisymmetric matrices X: the output is the same for the inputs exp(X) x.
        axes : ndarray, shape (m', r)
            Unit vectors that may also be turned towards directions outside of the space.
        """
        return symmetry.beside(readout, rows)

    def unit_rotations(self, readout: np.ndarray) -> np.ndarray:
        """Return Y, shape (m, p, p): units with weights exp(Y) W put out the same; none but for a x^2 + c.

        That depends on the weights through W^T V W alone, V the diagonal matrix of the readouts, which stays for
        Y^T V + V Y = 0.
        """
        if self.coefficients is not None and len(self.coefficients) == 3 and self.coefficients[1] == 0:
            return symmetry.preserving(readout)
        return np.empty((0, len(readout), len(readout)))

    def closed_forms(self, model: TeacherStudent) -> Any:
        """Return the theory of a plain model with this activation on both sides.

        Raises
        ------
        NoClosedForm
            If there is none.
        """
        raise NoClosedForm(
            f"`model` must have the quadratic activation for closed forms, but has {self.name!r}; tsode.fixed_point "
            "finds plateaus and end points of any"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return name and parameters as JSON takes them."""
        return {"name": self.name, **self.parameters}

    def __eq__(self, other: object) -> bool:
        if other is self:
            return True
        if not isinstance(other, Activation) or type(other) is not type(self):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(repr(self.to_dict()))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({arguments})"

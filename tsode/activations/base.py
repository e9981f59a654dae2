r"""What an activation is: one function of one variable, its slope, and the Gaussian averages of both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import NoClosedForm
from . import averages, error_averages, squared_error, symmetry

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Activation", "NoClosedForm"]


class Activation(ABC):
    """A function that every hidden unit applies to its preactivation.

    A new activation is a subclass in a file of its own: `name` and `function`, and the averages that it has in closed
    form. Everything else asks it.

    Attributes
    ----------
    name : str
        What it is called in files and on the command line.
    """

    name: str = ""
    degree: float | None = None  # h, where the activation is homogeneous: s(c x) = c^h s(x) for c > 0

    @property
    def parameters(self) -> dict[str, Any]:
        """Keyword arguments that make it again, dict of numbers: its attributes, but for those that begin with "_"."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    @property
    @abstractmethod
    def function(self) -> Callable[..., Any]:
        """Plain function x -> (value, slope) under :func:`tsode._compiled.jitable`, for NumPy and for the compiler."""

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return its values, shape of `x`."""
        return self.function(np.asarray(x, dtype=np.float64))[0]

    def slope(self, x: ArrayLike) -> np.ndarray:
        """Return its first derivative, shape of `x`."""
        return self.function(np.asarray(x, dtype=np.float64))[1]

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
        return averages.pair(self, second, c_xx, c_xz, c_zz)

    def pair_slopes(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the derivatives of :meth:`pair` with respect to `c_xx`, `c_xz` and `c_zz`: three arrays.

        They are E[s'' g] / 2, E[s' g'] and E[s g''] / 2.
        """
        return averages.pair_slopes(self, second, c_xx, c_xz, c_zz)

    def pair_curvatures(
        self, second: Activation, c_xx: ArrayLike, c_xz: ArrayLike, c_zz: ArrayLike
    ) -> tuple[np.ndarray, ...]:
        """Return the second derivatives of :meth:`pair`: (xx, xx), (xx, xz), (xx, zz), (xz, xz), (xz, zz), (zz, zz)."""
        return averages.pair_curvatures(self, second, c_xx, c_xz, c_zz)

    def error_squared(
        self,
        teacher: Activation,
        omega: np.ndarray,
        v: np.ndarray,
        v_star: np.ndarray,
        noise_variance: float,
        level: int = 1,
    ) -> np.ndarray:
        """Return E[D^2 s'_k s'_l]: see :func:`tsode.activations.error_averages.error_squared`, the default."""
        return error_averages.error_squared(self, teacher, omega, v, v_star, noise_variance, level)

    def averages(self, teacher: Activation) -> error_averages.Averages:
        """Return the Averages that drive the ODEs of a student with this activation; by default through quadrature."""
        return error_averages.by_quadrature(self, teacher)

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
        """Return antisymmetric Y, shape (m, p, p): units with weights exp(Y) W put out the same; none in general."""
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
        if not isinstance(other, Activation) or type(other) is not type(self):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(repr(self.to_dict()))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({arguments})"

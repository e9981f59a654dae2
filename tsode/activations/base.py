r"""What an activation is: one function of one variable, its slope, and the Gaussian averages of both."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from . import squared_error, symmetry

__all__ = ["Activation", "Averages", "NoClosedForm"]


class NoClosedForm(ValueError):
    """There is no closed form for what was asked; the message says what the model would have to be."""


@dataclass(frozen=True)
class Averages:
    r"""The averages of one step of gradient descent that the ODEs ask for, over Gaussian preactivations.

    With the joint covariance :math:`\Omega` of all preactivations, of size n = p + p*, and the step C of a sample,
    they are :math:`J = E[\partial C / \partial z]`, shape (p, n), and :math:`K = E[C C^T]`, shape (p, p), which may
    use :math:`F = J \Omega = E[C z^T]`. The parameters are learning rate, standard deviation of the noise, v, -v*.

    Attributes
    ----------
    drift, noise : callable or None
        Jitable loops ``drift(omega, parameters, J)`` and ``noise(omega, parameters, J, F, K)``, which write to their
        last argument; None where there are none.
    drift_arrays, noise_arrays : callable or None
        ``drift_arrays(omega, parameters, p)`` and ``noise_arrays(omega, parameters, J, F)``, which return J and K, for
        NumPy: for wide networks, or where there are no loops.
    """

    drift: object = None
    noise: object = None
    drift_arrays: object = None
    noise_arrays: object = None


class Activation(ABC):
    """A function that every hidden unit applies to its preactivation.

    A new activation is a subclass in a file of its own: `name` and `function`, and the averages that it has in closed
    form. Everything else asks it.

    Attributes
    ----------
    name : str
        What it is called in files and on the command line.
    """

    name = ""
    degree = None  # h, where the activation is homogeneous: s(c x) = c^h s(x) for c > 0

    @property
    def parameters(self):
        """Keyword arguments that make it again, dict of numbers."""
        return {}

    @property
    @abstractmethod
    def function(self):
        """Plain function x -> (value, slope) under :func:`tsode._compiled.jitable`, for NumPy and for the compiler."""

    def __call__(self, x):
        """Return its values, shape of `x`."""
        return self.function(np.asarray(x, dtype=np.float64))[0]

    def slope(self, x):
        """Return its first derivative, shape of `x`."""
        return self.function(np.asarray(x, dtype=np.float64))[1]

    def curvature(self, x):
        """Return its second derivative, shape of `x`.

        Raises
        ------
        NoClosedForm
            If it has none, as at a kink, or none was written for it.
        """
        raise NoClosedForm(f"`activation` must have a second derivative, its method `curvature`, but {self!r} has none")

    def averages(self, teacher):
        """Return the :class:`Averages` of a student with this activation and a teacher of any."""
        raise NoClosedForm(f"`activation` must have averages with {teacher!r}, but {self!r} has none")

    def squared_error(self, teacher, v, v_star, M, Q, P):
        """Return the mean of the squared error without noise, shape (...) of M and Q: a sum over pairs of units."""
        return squared_error.squared_error(self, teacher, v, v_star, M, Q, P)

    def input_rotations(self, readout, rows):
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

    def unit_rotations(self, readout):
        """Return antisymmetric Y, shape (m, p, p): units with weights exp(Y) W put out the same; none in general."""
        return np.empty((0, len(readout), len(readout)))

    def closed_forms(self, model):
        """Return the theory of a plain model with this activation on both sides.

        Raises
        ------
        NoClosedForm
            If there is none.
        """
        raise NoClosedForm(f"`model` must have the quadratic activation for closed forms, but has {self.name!r}")

    def to_dict(self):
        """Return name and parameters as JSON takes them."""
        return {"name": self.name, **self.parameters}

    def __eq__(self, other):
        return self.to_dict() == other.to_dict() if type(other) is type(self) else NotImplemented

    def __hash__(self):
        return hash(repr(self.to_dict()))

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({arguments})"

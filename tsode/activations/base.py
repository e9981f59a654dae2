r"""What an activation is: one function of one variable, its slope, and the Gaussian averages of both."""

from abc import ABC, abstractmethod

import numpy as np

__all__ = ["Activation", "NoClosedForm"]


class NoClosedForm(ValueError):
    """There is no closed form for what was asked; the message says what the model would have to be."""


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

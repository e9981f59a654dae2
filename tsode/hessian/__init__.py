"""Hessians of the loss: of the population, exact at any input dimension, and on samples.

All of them are with respect to W / sqrt(N), in which eigenvalues have a limit for large N: they are N times those
with respect to W, and one unit of learning rate x alpha is one unit of time of their gradient flow.
"""

from .along import HessianPath, along
from .compare import Comparison, compare, gradient_flow_plateau
from .convergence import Convergence, convergence
from .empirical import empirical_gradient, empirical_operator, empirical_spectrum
from .lanczos import SpectralDensity, spectral_density
from .nullspace import Family, NullSpace, null_space, rotations
from .population import population_gradient, population_operator, population_spectrum
from .separation import Separation, separation
from .spectrum import Spectrum

__all__ = [
    "Comparison",
    "Convergence",
    "Family",
    "HessianPath",
    "NullSpace",
    "Separation",
    "SpectralDensity",
    "Spectrum",
    "along",
    "compare",
    "convergence",
    "empirical_gradient",
    "empirical_operator",
    "empirical_spectrum",
    "gradient_flow_plateau",
    "null_space",
    "population_gradient",
    "population_operator",
    "population_spectrum",
    "rotations",
    "separation",
    "spectral_density",
]

"""Hessians of the loss: of the population, exact at any input dimension, and on samples."""

from .empirical import empirical_gradient, empirical_operator, empirical_spectrum
from .lanczos import SpectralDensity, spectral_density
from .population import population_gradient, population_operator, population_spectrum
from .spectrum import Spectrum

__all__ = [
    "SpectralDensity",
    "Spectrum",
    "empirical_gradient",
    "empirical_operator",
    "empirical_spectrum",
    "population_gradient",
    "population_operator",
    "population_spectrum",
    "spectral_density",
]

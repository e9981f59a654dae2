"""Hessians of the loss: of the population, exact at any input dimension, and on samples."""

from .population import population_gradient, population_operator, population_spectrum
from .spectrum import Spectrum

__all__ = ["Spectrum", "population_gradient", "population_operator", "population_spectrum"]

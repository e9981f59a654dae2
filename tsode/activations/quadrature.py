"""Averages by quadrature, of pairs and over the error: for activations that have none in closed form."""

from .averages import pair, pair_curvatures, pair_slopes
from .error_averages import error_squared
from .quadrature_loops import accuracy, averages, constants

__all__ = ["accuracy", "averages", "constants", "error_squared", "pair", "pair_curvatures", "pair_slopes"]

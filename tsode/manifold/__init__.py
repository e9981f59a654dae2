"""Where the dynamics ends: the set of solutions, what is conserved on the way, and how the end is approached."""

from .geometry import dimension, path, random_rotation, tangent_basis
from .minima import polar_factor
from .solutions import closest_rotation, closest_solution, distance, solution, solution_weights

__all__ = [
    "closest_rotation",
    "closest_solution",
    "dimension",
    "distance",
    "path",
    "polar_factor",
    "random_rotation",
    "solution",
    "solution_weights",
    "tangent_basis",
]

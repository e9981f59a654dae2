"""Where the dynamics ends: the set of solutions, what is conserved on the way, and how the end is approached."""

from .geometry import dimension, path, random_rotation, tangent_basis
from .invariants import Invariant, Invariants, invariants
from .late_times import loss_floor, power_law, relaxation_rate
from .solutions import (
    closest_rotation,
    closest_solution,
    distance,
    polar_factor,
    solution,
    solution_weights,
)

__all__ = [
    "Invariant",
    "Invariants",
    "closest_rotation",
    "closest_solution",
    "dimension",
    "distance",
    "invariants",
    "loss_floor",
    "path",
    "polar_factor",
    "power_law",
    "random_rotation",
    "relaxation_rate",
    "solution",
    "solution_weights",
    "tangent_basis",
]

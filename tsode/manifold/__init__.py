"""Where the dynamics ends: the set of solutions, what is conserved, how the end is approached; symmetries."""

from .geometry import dimension, path, random_rotation, tangent_basis
from .invariants import Invariant, Invariants, invariants
from .late_times import loss_floor, power_law, relaxation_rate
from .layer_balance import layer_balance
from .nullity import Nullity, nullity
from .solutions import (
    closest_rotation,
    closest_solution,
    distance,
    polar_factor,
    solution,
    solution_weights,
)
from .symmetry_classes import Equivalence, canonical, equivalent, symmetry_distance

__all__ = [
    "Equivalence",
    "Invariant",
    "Invariants",
    "Nullity",
    "canonical",
    "closest_rotation",
    "closest_solution",
    "dimension",
    "distance",
    "equivalent",
    "invariants",
    "layer_balance",
    "loss_floor",
    "nullity",
    "path",
    "polar_factor",
    "power_law",
    "random_rotation",
    "relaxation_rate",
    "solution",
    "solution_weights",
    "symmetry_distance",
    "tangent_basis",
]

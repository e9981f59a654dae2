"""Teacher-student learning in high dimension: one-pass SGD beside its ordinary differential equations.

Examples
--------
>>> import tsode
>>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4)
>>> start = tsode.Overlaps.random(model, N=1000, rng=0)
>>> ode = tsode.integrate(model, start, 40.0)
>>> sgd = tsode.simulate(model, start, 40.0, N=1000, runs=2, seed=0)
>>> ode.M.shape, sgd.M.shape
((201, 4, 2), (2, 201, 4, 2))
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version

from . import hessian, manifold, scans
from .escape import escape_law, escape_time
from .model import TeacherStudent
from .ode import integrate
from .ode_batch import integrate_many
from .overlaps import Overlaps
from .plateaus import plateau
from .scans import scan
from .sgd import InputsExhausted, simulate
from .studies import Study, study
from .trajectory import Trajectory

__all__ = [
    "InputsExhausted",
    "Overlaps",
    "Study",
    "TeacherStudent",
    "Trajectory",
    "escape_law",
    "escape_time",
    "hessian",
    "integrate",
    "integrate_many",
    "manifold",
    "plateau",
    "plot",
    "scan",
    "scans",
    "simulate",
    "study",
]
__version__ = _version("tsode")


def __getattr__(name):
    if name == "plot":  # matplotlib takes longer to import than all the rest
        return _import_module("tsode.plot")
    raise AttributeError(f"module 'tsode' has no attribute {name!r}")

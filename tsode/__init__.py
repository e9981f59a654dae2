"""Teacher-student learning in high dimension: one-pass SGD beside its ordinary differential equations.

===========================  ====================================================================
`TeacherStudent`             what is learned, by what, and how fast
`Scheme`                     any rule of named rows, in plain Python
`Overlaps`                   the order parameters M, Q, P: where a run starts
`integrate`                  the ODEs, N = infinity; `integrate_many` for many at once
`giant_steps`                the map that takes their place for batches proportional to N
`gradient`                   derivatives of their loss with respect to all parameters and the start
`schedules`                  learning rates that change in time; `optimal_schedule`: the best ones
`averaging`                  running averages of the weights, beside them
`fluctuations`               spread and mean of SGD about its ODE at any N; `stationary_fluctuations`: at rest
`simulate`                   one-pass SGD at dimension N, until a condition such as `escaped` holds; `simulate_many`
`activations`                functions of the hidden units, and how to write your own
`rules`                      what one sample changes: losses of the output, clipped steps, targets of your own
`Trajectory`                 what both return: save, load, to_xarray
`plateau`                    where students rest before they learn: escape rate, bounds of the learning rate
`fixed_point`                plateaus and end points of any model from a start, and along the learning rate
`escape_law`, `escape_time`  when the plateau is left: the law, and what a trajectory shows
`manifold`                   the solutions, the closest one, what is conserved, late times
`hessian`                    of the loss: on the plateau, on the solutions, on samples
`distillation`               students of students: lessons, soft labels, ensembles, chains of generations
`study`                      all of this for one model; also the command ``tsode study``
`scan`, `scans`              functions over grids of parameters, resumable
`explore`                    sliders in a notebook, theory and SGD beside them
`plot`                       figures of all results
===========================  ====================================================================

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

import typing as _typing
from importlib import import_module as _import_module
from importlib.metadata import version as _version

from ._checks import did_you_mean as _did_you_mean
from ._kernel_cache import prepare as _prepare_kernel_cache

_prepare_kernel_cache()  # Numba looks for a place when a kernel is defined, that is, in the imports below

from . import activations, averaging, distillation, hessian, manifold, rules, scans, schedules
from .closed_forms import NoClosedForm
from .conditions import escaped
from .explorer import explore
from .finite_size import fluctuations, stationary_fluctuations
from .inputs import Inputs
from .model import TeacherStudent
from .ode import giant_steps, gradient, integrate, integrate_many, optimal_schedule
from .overlaps import Overlaps
from .plateaus import escape_law, escape_time, fixed_point, plateau
from .scans import scan
from .scheme import Scheme
from .sgd import InputsExhausted, of_weights, simulate, simulate_many
from .studies import Study, study
from .trajectory import Trajectory

if _typing.TYPE_CHECKING:
    from . import plot

__all__ = [
    "Inputs",
    "InputsExhausted",
    "NoClosedForm",
    "Overlaps",
    "Scheme",
    "Study",
    "TeacherStudent",
    "Trajectory",
    "activations",
    "averaging",
    "distillation",
    "escape_law",
    "escape_time",
    "escaped",
    "explore",
    "fixed_point",
    "fluctuations",
    "giant_steps",
    "gradient",
    "hessian",
    "integrate",
    "integrate_many",
    "manifold",
    "of_weights",
    "optimal_schedule",
    "plateau",
    "plot",
    "rules",
    "scan",
    "scans",
    "schedules",
    "simulate",
    "simulate_many",
    "stationary_fluctuations",
    "study",
]
__version__ = _version("tsode")


def __getattr__(name: str) -> object:
    if name == "plot":  # matplotlib takes longer to import than all the rest
        return _import_module("tsode.plot")
    raise AttributeError(f"module 'tsode' has no attribute {name!r}{_did_you_mean(name, __all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""The numbers behind defaults that results depend on: a change of one changes what scripts find without a word."""

import inspect

import pytest

import tsode
from tsode import hessian, manifold, scans

ODE = {"method": "DOP853", "rtol": 1e-8, "atol": 1e-10, "gradient_flow": False}
SGD = {
    "runs": 1, "seed": 0, "engine": "chain", "inputs": "gaussian", "precision": "double", "until": None,
    "observables": None, "keep_weights": False, "step": None,
}  # fmt: skip
DEFAULTS = {
    tsode.Overlaps.random: {"scale": 1.0},
    tsode.integrate: ODE,
    tsode.integrate_many: ODE,
    tsode.fixed_point: {"relax": 0.0, "gradient_flow": False},
    tsode.gradient: {name: value for name, value in ODE.items() if name != "method"},
    tsode.optimal_schedule: {"weights": None, "bounds": None, "rtol": 1e-8, "atol": 1e-10},
    tsode.fluctuations: {"scale": 1.0, "rtol": 1e-8, "atol": 1e-10},
    tsode.simulate: SGD,
    tsode.simulate_many: SGD,
    tsode.escape_law: {"start": "plateau", "scale": 1.0},
    tsode.study: {"runs": 8, "seed": 0, "engine": "chain"},
    hessian.Spectrum: {"tolerance": 1e-9},
    hessian.along: {"tolerance": 1e-6},
    hessian.compare: {"tolerance": 1e-9},
    hessian.convergence: {"N": 100, "ratios": (2, 8, 32, 128), "seed": 0},
    hessian.empirical_spectrum: {"tolerance": 1e-9},
    hessian.null_space: {"tolerance": 1e-9, "rng": 0},
    hessian.population_spectrum: {"tolerance": 1e-9},
    hessian.separation: {"N": 200, "ratios": tuple(2 ** (i / 2) for i in range(13)), "seed": 0},
    hessian.spectral_density: {"steps": 80, "probes": 4, "rng": 0},
    manifold.equivalent: {"readouts": None, "tolerance": 1e-6},
    manifold.nullity: {"readout": None, "tolerance": 1e-9},
    scans.deviation: {"runs": 16, "seed": 0},
    scans.escape: {"runs": 32, "threshold": 0.05, "seed": 0},
}


@pytest.mark.parametrize("function", DEFAULTS, ids=lambda function: function.__qualname__)
def test_defaults(function):
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in DEFAULTS[function]} == DEFAULTS[function]

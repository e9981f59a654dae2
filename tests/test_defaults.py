"""The defaults that scripts rely on: a change of one changes their results without a word."""

import inspect

import pytest

import tsode
from tsode import hessian, manifold, scans

ODE = {"method": "DOP853", "rtol": 1e-8, "atol": 1e-10, "gradient_flow": False}
SCAN = {"path": None, "n_jobs": -1, "progress": True, "on_error": "raise"}
DEFAULTS = {
    tsode.TeacherStudent: {
        "noise_variance": 0.0, "student_readout": None, "teacher_readout": None, "teacher_overlap": None,
        "constraint": "free", "activation": "quadratic", "teacher_activation": None, "rule": "gradient",
    },
    tsode.Overlaps: {"P": None},
    tsode.Overlaps.random: {"scale": 1.0, "rng": None},
    tsode.Overlaps.realise: {"rng": None},
    tsode.integrate: ODE,
    tsode.integrate_many: ODE,
    tsode.simulate: {"runs": 1, "seed": 0, "engine": "chain", "inputs": "gaussian", "progress": False},
    tsode.Trajectory.overlaps: {"index": -1, "run": None},
    tsode.plateau: {"gradient_flow": False},
    tsode.escape_law: {"start": "plateau", "scale": 1.0},
    tsode.escape_time: {"threshold": None, "loss_fraction": None},
    tsode.study: {"runs": 8, "alpha_max": None, "seed": 0, "engine": "chain", "progress": False},
    tsode.scan: SCAN,
    manifold.solution: {"rotation": None},
    manifold.distance: {"rotation": None},
    manifold.random_rotation: {"rng": None},
    hessian.Spectrum: {"multiplicities": None, "gradient_norm": 0.0, "tolerance": 1e-9},
    hessian.along: {"N": None, "run": None, "tolerance": 1e-6},
    hessian.compare: {"rotation": None, "tolerance": 1e-9},
    hessian.convergence: {"N": 100, "ratios": (2, 8, 32, 128), "seed": 0},
    hessian.empirical_spectrum: {"tolerance": 1e-9},
    hessian.null_space: {"families": (), "tolerance": 1e-9, "rng": 0},
    hessian.population_spectrum: {"tolerance": 1e-9},
    hessian.separation: {"N": 200, "ratios": tuple(2 ** (i / 2) for i in range(13)), "seed": 0},
    hessian.spectral_density: {"steps": 80, "probes": 4, "rng": 0},
    scans.batched: {"size": 256},
    scans.deviation: {"runs": 16, "alpha_max": None, "seed": 0},
    scans.escape: {"runs": 32, "threshold": 0.05, "seed": 0},
}  # fmt: skip


@pytest.mark.parametrize("function", DEFAULTS, ids=lambda function: function.__qualname__)
def test_defaults(function):
    parameters = inspect.signature(function).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == DEFAULTS[function]

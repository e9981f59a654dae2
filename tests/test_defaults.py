"""The numbers behind defaults that results depend on: a change of one changes what scripts find without a word."""

import inspect
import sys

import pytest

import tsode
from tsode import cli, distillation, hessian, manifold, scans

ODE = {"method": "DOP853", "rtol": 1e-8, "atol": 1e-10, "gradient_flow": False}
SGD = {
    "runs": 1, "seed": 0, "engine": "chain", "inputs": "gaussian", "precision": "double", "until": None,
    "observables": None, "keep_weights": False, "step": None, "progress": False,
}  # fmt: skip
DEFAULTS = {
    tsode.Overlaps.random: {"scale": 1.0},
    tsode.Scheme: {"pull": None, "noises": 0, "inputs": None},
    tsode.Scheme.accuracy: {"rtol": 1e-8},
    tsode.Scheme.random: {"scale": 1.0, "P": None},
    tsode.integrate: ODE,
    tsode.integrate_many: ODE,
    tsode.fixed_point: {"relax": 0.0, "gradient_flow": False},
    tsode.gradient: {name: value for name, value in ODE.items() if name != "method"},
    tsode.optimal_schedule: {"weights": None, "bounds": None, "rtol": 1e-8, "atol": 1e-10},
    tsode.fluctuations: {"scale": 1.0, "rtol": 1e-8, "atol": 1e-10},
    tsode.simulate: SGD,
    tsode.simulate_many: SGD,
    tsode.escape_law: {"start": "plateau", "scale": 1.0},
    tsode.scan: {"path": None, "n_jobs": -1, "progress": True, "on_error": "raise"},
    tsode.study: {"runs": 8, "seed": 0, "engine": "chain", "progress": False},
    distillation.active_units: {"threshold": 0.05},
    distillation.example: {"N": 1000, "runs": 16, "seed": 0},
    distillation.features: {"gamma": 1.0, "projector": "trained", "factors": None, "matrix": None, "rng": 0},
    distillation.fixed_sample.learn: {"start": None, "layers": 1},
    distillation.lesson: {"teachers": (), "soft": 0.5, "run": None},
    distillation.logits: {"learning_rate": 1.0, "temperature": 1.0},
    distillation.moving_teacher: {"feedback": 0.0},
    distillation.soft_labels: {"norm": 1.0, "learning_rate": 1.0, "hard": 0.0, "temperature": 1.0, "smoothing": 0.0},
    distillation.spectral: {"amplitude": 1.0},
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
    scans.batched: {"size": 256},
    scans.deviation: {"runs": 16, "seed": 0},
    scans.escape: {"runs": 32, "threshold": 0.05, "seed": 0},
}


@pytest.mark.parametrize("function", DEFAULTS, ids=lambda function: function.__qualname__)
def test_defaults(function):
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in DEFAULTS[function]} == DEFAULTS[function]


@pytest.mark.parametrize(
    ("command", "function"),
    [
        ("study --out", tsode.study),
        ("hessian --ratios 2 8 32 128 --out", hessian.convergence),
        ("distil lesson --out", distillation.example),
        ("scan escape --path", scans.escape),
        ("scan deviation --path", scans.deviation),
    ],
)
def test_a_command_without_flags_takes_the_defaults_of_its_function(command, function, tmp_path, monkeypatch, capsys):
    signature, given = inspect.signature(function), {}

    def note(*arguments, **options):
        given.update(signature.bind(*arguments, **options).arguments)
        raise ValueError("noted")

    for name, module in list(sys.modules.items()):
        if name.startswith("tsode") and vars(module).get(function.__name__) is function:
            monkeypatch.setattr(module, function.__name__, note)
    assert cli.main([*command.split(), str(tmp_path)]) == 2
    assert capsys.readouterr().err == "tsode: noted\n"
    others = {"ratios", "progress"}
    wanted = {name: value for name, value in DEFAULTS[function].items() if name in given and name not in others}
    assert wanted
    if command.startswith("study"):
        assert given["model"] == tsode.TeacherStudent(4, 2, 0.4)
    assert given.get("progress", True)  # on the command line a person watches
    assert {name: given[name] for name in wanted} == wanted

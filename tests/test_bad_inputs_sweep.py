"""Every argument of the public face with values that are of no use: each is taken or refused by name, and quietly."""

import datetime
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest
from bad_inputs import things
from bad_inputs.things import MASKED, MODEL, OBJECTS, SPECTRUM, START, W_STAR, Odd, W, X, Y, law, ode, sgd, study, table
from test_bad_inputs import WITHOUT_REFUSALS, arguments
from test_docstrings import PUBLIC

import tsode
from tsode import distillation, hessian, manifold

pytest.importorskip("xarray")

JUNK = {
    "None": None,
    "nan": np.nan,
    "inf": np.inf,
    "a negative number": -1,
    "zero": 0,
    "a huge number": 1e30,
    "a number beyond floats": 10**400,
    "a denormal number": 1e-320,
    "half": 0.5,
    "True": True,
    "a complex number": 1j,
    "text": "x",
    "no text": "",
    "bytes": b"x",
    "an empty list": [],
    "a list of nan": [np.nan],
    "a ragged list": [[1.0, 2.0], [3.0]],
    "a list of text": ["a"],
    "a dict": {"a": 1},
    "an object": Odd(),
    "an array of objects": OBJECTS,
    "a masked array": MASKED,
    "an array of complex numbers": np.array([[1j]]),
    "a number in an array": np.array(3.0),
    "a stack of matrices": np.zeros((2, 2, 2)),
    "huge entries": [1e308, 1e308],
    "a time span": np.timedelta64(3, "s"),
    "a date": datetime.date(2026, 1, 1),
    "a table": pandas.DataFrame({"a": [1.0]}),
    "a class": int,
    "a model": MODEL,
}
SCHEME = tsode.Scheme({"a": 1}, lambda z, xi, a: {"a": -z["a"]})
TASK = distillation.features(MODEL)
# What is asked for, and would take as long as it says; or is the user's own function.
SLOW = {(name, "a huge number") for name in ("alpha", "run", "alpha_max", "relax")} | {("function", "a class")}


def calls():
    """Return name -> (function, right arguments) for every public callable with arguments."""
    scan = {"n_jobs": 1, "progress": False, "path": None, "on_error": "raise"}
    widths, rows = {"p": 2, "p_star": 1}, {"model": MODEL, "W": W, "X": X, "y": Y}
    trajectory = {name: getattr(ode(), name) for name in ("model", "alpha", "M", "Q", "status", "stopped_at", "engine")}
    solve = {"method": "DOP853", "rtol": 1e-6, "atol": 1e-8, "gradient_flow": False}
    trained = tsode.integrate(MODEL.replace(readout_learning_rate=0.1), START, 1.0)
    taught = tsode.integrate(distillation.lesson(MODEL).model, START, 1.0)
    system_run = tsode.integrate(TASK, TASK.random(20, 0), 1.0)
    steer = {"until": 0.1, "observables": {"a": lambda M, Q: M}, "keep_weights": False, "step": None}
    run = {"runs": 2, "seed": 0, "engine": "chain", "progress": False}
    right = {
        "tsode.Overlaps": {"M": START.M, "Q": START.Q, "P": START.P},
        "tsode.Inputs": {"eigenvalues": [1.0, 2.0], "fractions": [1.0, 0.0], "counts": [0, 1]},
        "tsode.Inputs.power_law": {"exponent": 1.0, "blocks": 3},
        "tsode.Inputs.spiked": {"spikes": [2.0], "bulk": 1.0},
        "tsode.Inputs.from_data": {"X": X, "blocks": 2},
        "tsode.Inputs.matched": {"P_blocks": [[[1.0]], [[0.5]]], "stored": [2.0]},
        "tsode.Inputs.sizes": {"N": 20},
        "tsode.Inputs.scales": {"N": 20},
        "tsode.Overlaps.from_blocks": {
            "inputs": tsode.Inputs([1.0], [1]), "M": [START.M], "Q": [START.Q], "P": [START.P]
        },
        "tsode.Overlaps.from_weights": {"W": W, "W_star": W_STAR, "inputs": None},
        "tsode.Overlaps.random": {"model": MODEL, "N": 20, "scale": 1.0, "rng": 0},
        "tsode.Overlaps.realise": {"N": 20, "rng": 0},
        "tsode.Scheme": {
            "rows": {"a": 1}, "rule": lambda z, xi, a: {"a": -z["a"]}, "outputs": {}, "scalars": {}, "pull": None,
            "noises": 0, "inputs": None,
        },
        "tsode.Scheme.accuracy": {"start": SCHEME.start([[1.0]]), "rtol": 1e-6},
        "tsode.Scheme.pair": {"start": SCHEME.start([[1.0]])},
        "tsode.Scheme.random": {"N": 20, "rng": 0, "scale": 1.0, "P": None},
        "tsode.Scheme.replace": {"noises": 1},
        "tsode.Scheme.start": {"Omega": [[1.0]]},
        "tsode.Study": {name: getattr(study(), name) for name in ("ode", "sgd", "escapes")},
        "tsode.Study.save": {"directory": "folder"},
        "tsode.Study.load": {"path": "folder"},
        "tsode.TeacherStudent": MODEL.to_dict(),
        "tsode.TeacherStudent.at": {"alpha": 1.0},
        "tsode.TeacherStudent.replace": {"p": 2},
        "tsode.Trajectory": {**trajectory, "N": None, "seed": None, "versions": {}, "observables": {}, "state": {}},
        "tsode.Trajectory.loss_under": {"inputs": tsode.Inputs([1.0], [1])},
        "tsode.Trajectory.overlap": {"first": "student", "second": "teacher"},
        "tsode.Trajectory.scalar": {"name": "readout"},
        "tsode.Trajectory.overlaps": {"index": 0, "run": None},
        "tsode.Trajectory.save": {"path": "run.npz"},
        "tsode.Trajectory.load": {"path": "run.npz"},
        "tsode.TeacherStudent.from_dict": {"parameters": MODEL.to_dict()},
        "tsode.Trajectory.from_arrays": {"arrays": ode().to_arrays()},
        "tsode.distillation.Lesson.as_teacher": {"run": taught},
        "tsode.distillation.Lesson.loss": {"run": taught},
        "tsode.distillation.SoftLabels.risk": {"run": [1.0, 2.0]},
        "tsode.distillation.System": {
            "rows": {"a": 1}, "rule": SCHEME.rule, "outputs": {}, "scalars": {}, "pull": None, "noises": 0,
            "inputs": None, "truth": MODEL,
        },
        "tsode.distillation.System.accuracy": {"start": TASK.random(20, 0), "rtol": 1e-6},
        "tsode.distillation.System.as_student": {"run": system_run},
        "tsode.distillation.System.pair": {"start": TASK.random(20, 0)},
        "tsode.distillation.System.random": {"N": 20, "rng": 0, "scale": 1.0, "P": None},
        "tsode.distillation.System.replace": {"noises": 1},
        "tsode.distillation.System.start": {"Omega": np.eye(MODEL.p + MODEL.p_star)},
        "tsode.distillation.active_units": {"run": ode(), "threshold": 0.05},
        "tsode.distillation.exit_price": {"truth": MODEL, "width": 1},
        "tsode.distillation.exits": {"truth": MODEL, "widths": (1, 2), "weights": [1, 1], "mimic": [0.5, 0]},
        "tsode.distillation.features": {
            "truth": MODEL, "gamma": 1.0, "projector": "trained", "factors": 1, "matrix": [[1.0, 1.0]], "rng": 0
        },
        "tsode.distillation.fixed_sample.bound": {"p": lambda angle: 0.5, "n": 3},
        "tsode.distillation.fixed_sample.learn": {
            "X": np.eye(2), "logits": [1.0, 1.0], "start": [1.0, 1.0], "layers": 2
        },
        "tsode.distillation.fixed_sample.margin": {"X": np.eye(2), "labels": [1.0, -1.0]},
        "tsode.distillation.fixed_sample.risk": {"alpha": 0.5, "d": 10},
        "tsode.distillation.lesson": {"truth": MODEL, "teachers": [ode()], "soft": 0.5, "run": 0},
        "tsode.distillation.logits": {"classes": 3, "learning_rate": 1.0, "temperature": 1.0},
        "tsode.distillation.matched_noise": {
            "noise": tsode.Inputs([1.0], [1]), "P_blocks": [np.eye(2)], "stored": [1.0, 2.0]
        },
        "tsode.distillation.moving_teacher": {"truth": MODEL, "teacher_learning_rate": 0.1, "feedback": 0.5},
        "tsode.distillation.pruning_curve": {"run": ode()},
        "tsode.distillation.pruning_law": {"p_star": 3},
        "tsode.distillation.soft_labels": {
            "norm": 1.0, "learning_rate": 1.0, "hard": 0.5, "temperature": 1.0, "smoothing": 0.1
        },
        "tsode.distillation.spectral": {"truth": MODEL, "amplitude": 1.0},
        "tsode.escape_law": {"model": MODEL, "N": 1000, "threshold": 0.05, "start": "random", "scale": 1.0},
        "tsode.escape_time": {"trajectory": ode(), "threshold": 0.05},
        "tsode.fluctuations": {"model": MODEL, "start": None, "alpha": 1.0, "scale": 1.0, "rtol": 1e-6, "atol": 1e-8},
        "tsode.stationary_fluctuations": {"model": MODEL.replace(noise_variance=0.1), "start": None},
        "tsode.plot.loss_band": {"fluctuations": things.fluctuations(), "sgd": sgd(), "N": [20], "ax": None},
        "tsode.integrate": {"model": MODEL, "start": START, "alpha": 1.0, **solve},
        "tsode.integrate_many": {"models": [MODEL], "starts": [START], "alpha": 1.0, **solve},
        "tsode.plateau": {"model": MODEL, "gradient_flow": False},
        "tsode.fixed_point": {"model": MODEL, "start": START, "relax": 0.0, "gradient_flow": False},
        "tsode.giant_steps": {"model": MODEL, "start": START, "steps": 2, "samples": 1.0},
        "tsode.explore": {"model": MODEL, "N": 30},
        "tsode.gradient": {
            "model": MODEL, "start": START, "alpha": [0.0, 1.0], "learning_rates": [0.1], "weights": [0.0, 1.0],
            "rtol": 1e-6, "atol": 1e-8, "gradient_flow": False,
        },
        "tsode.scan": {"function": lambda x: x, "grid": {"x": [1]}, **scan},
        "tsode.escaped": {"threshold": 0.1},
        "tsode.of_weights": {"function": len},
        "tsode.simulate": {
            "model": MODEL, "start": None, "alpha": 1.0, "N": 20, "path": "sgd.npz", "inputs": "gaussian",
            **run, **steer,
        },
        "tsode.simulate_many": {
            "models": [MODEL], "starts": None, "alpha": 1.0, "N": 20, "inputs": "gaussian", **run, **steer
        },
        "tsode.study": {"model": MODEL, "N": 30, "alpha_max": 1.0, **run},
        "tsode.hessian.Family": {"name": "a", "inside": (), "outside": ()},
        "tsode.hessian.SpectralDensity.density": {"x": [0.0], "width": 0.1},
        "tsode.hessian.SpectralDensity.mean": {"function": np.square},
        "tsode.hessian.Spectrum": {"values": [1.0], "multiplicities": [2], "gradient_norm": 0.0, "tolerance": 1e-9},
        "tsode.hessian.Spectrum.density": {"x": [0.0], "width": 0.1},
        "tsode.hessian.along": {"trajectory": ode(), "N": 20, "run": None, "tolerance": 1e-6},
        "tsode.hessian.compare": {"model": MODEL, "N": 20, "rotation": None, "tolerance": 1e-9},
        "tsode.hessian.convergence": {"model": MODEL, "N": 20, "ratios": [4.0], "seed": 0},
        "tsode.hessian.empirical_gradient": rows,
        "tsode.hessian.empirical_operator": rows,
        "tsode.hessian.empirical_spectrum": {**rows, "tolerance": 1e-9},
        "tsode.hessian.gradient_flow_plateau": {"model": MODEL},
        "tsode.hessian.null_space": {
            "model": MODEL, "overlaps": manifold.solution(MODEL), "N": 20, "families": (), "tolerance": 1e-9, "rng": 0
        },
        "tsode.hessian.population_gradient": {"model": MODEL, "W": W, "W_star": W_STAR},
        "tsode.hessian.population_operator": {"model": MODEL, "W": W, "W_star": W_STAR},
        "tsode.hessian.population_spectrum": {"model": MODEL, "overlaps": START, "N": 20, "tolerance": 1e-9},
        "tsode.hessian.rotations": {"model": MODEL, "overlaps": START},
        "tsode.hessian.separation": {"model": MODEL, "N": 60, "ratios": [1.0, 4.0], "seed": 0},
        "tsode.hessian.spectral_density": {"operator": np.eye(20), "steps": 5, "probes": 1, "rng": 0},
        "tsode.manifold.canonical": {"model": MODEL, "W": W, "readout": [1.0, 2.0]},
        "tsode.manifold.closest_rotation": {"model": MODEL, "start": START},
        "tsode.manifold.closest_solution": {"model": MODEL, "start": START},
        "tsode.manifold.dimension": {"model": MODEL},
        "tsode.manifold.distance": {"model": MODEL, "overlaps": START, "rotation": None},
        "tsode.manifold.equivalent": {"model": MODEL, "a": W, "b": W, "readouts": np.ones((2, 2)), "tolerance": 1e-6},
        "tsode.manifold.invariants": {"trajectory": ode()},
        "tsode.manifold.layer_balance": {"trajectory": trained},
        "tsode.manifold.loss_floor": {"model": MODEL},
        "tsode.manifold.nullity": {"model": MODEL, "W": W, "readout": [1.0, 2.0], "tolerance": 1e-9},
        "tsode.manifold.path": {"model": MODEL, "first": [[1], [0]], "second": [[0], [1]], "position": [0.5]},
        "tsode.manifold.polar_factor": {"matrix": np.eye(2)},
        "tsode.manifold.power_law": {"model": MODEL, "alpha": 10.0},
        "tsode.manifold.random_rotation": {"model": MODEL, "rng": 0},
        "tsode.manifold.relaxation_rate": {"model": MODEL},
        "tsode.manifold.solution": {"model": MODEL, "rotation": None},
        "tsode.manifold.solution_weights": {"model": MODEL, "W_star": W_STAR, "rotation": None},
        "tsode.manifold.symmetry_distance": {"model": MODEL, "a": W, "b": W, "readouts": np.ones((2, 2))},
        "tsode.manifold.tangent_basis": {"model": MODEL, "rotation": None},
        "tsode.plot.distillation_curves": {"example": distillation.example("fixed_sample", runs=2), "ax": None},
        "tsode.plot.deviation_curves": {"dataset": table("deviation"), "ax": None},
        "tsode.plot.escape_curves": {"dataset": table("escape"), "x": None, "ax": None},
        "tsode.plot.escape_histogram": {"times": [1.0, 2.0], "law": law(), "bins": "auto", "ax": None},
        "tsode.plot.escape_means": {
            "values": [1.0], "times": [[1.0, 2.0]], "laws": [law()], "label": None, "quantity": "q", "ax": None
        },
        "tsode.plot.hessian_convergence": {"result": things.samples(), "which": "plateau", "ax": None},
        "tsode.plot.hessian_panels": {"comparison": things.comparison(), "samples": None},
        "tsode.plot.hessian_path": {"path": things.path(), "ax": None},
        "tsode.plot.hessian_separation": {"result": hessian.separation(MODEL, 60, [1.0, 4.0]), "ax": None},
        "tsode.plot.hessian_spectra": {"comparison": things.comparison(), "empirical": None, "ax": None},
        "tsode.plot.loss_curve": {"ode": ode(), "sgd": sgd(), "plateau_loss": None, "ax": None},
        "tsode.plot.overlap_curves": {"ode": ode(), "sgd": sgd(), "which": "M", "ax": None},
        "tsode.plot.overlap_invariants": {"ode": ode(), "sgd": sgd(), "which": "M", "ax": None},
        "tsode.plot.overlap_matrix": {"overlaps": START, "title": None, "ax": None},
        "tsode.plot.paper": {"width": 3.4},
        "tsode.plot.save": {"figure": things.figure(), "path": "figure.png"},
        "tsode.plot.stability_map": {"dataset": table("stability"), "ax": None, "p_star": 1},
        "tsode.plot.study_panels": {
            "ode": ode(), "sgd": sgd(), "plateau_loss": None, "escapes": None, "law": None, "hessian": None,
            "threshold": None,
        },
        "tsode.scans.batched": {"function": len, "size": 2},
        "tsode.scans.deviation": {"grid": {**widths, "dimension": 50}, "runs": 2, "alpha_max": 1.0, "seed": 0, **scan},
        "tsode.scans.escape": {"grid": {**widths, "dimension": 99}, "runs": 2, "threshold": 0.05, "seed": 0, **scan},
        "tsode.scans.failures": {"dataset": table("escape")},
        "tsode.scans.point_seed": {"point": {"a": 1}},
        "tsode.scans.scan": {"function": lambda x: x, "grid": {"x": [1]}, **scan},
        "tsode.scans.stability": {"grid": widths, **scan},
    }  # fmt: skip
    owners = {
        "Inputs": tsode.Inputs([1.0, 2.0], [1, 1]),
        "Lesson": distillation.lesson(MODEL),
        "SoftLabels": distillation.soft_labels(),
        "System": TASK,
        "Overlaps": START,
        "Scheme": SCHEME,
        "Trajectory": ode(),
        "Study": study(),
        "TeacherStudent": MODEL,
    }
    owners |= {"Spectrum": SPECTRUM, "SpectralDensity": things.density()}
    return {name: (_bound(name, owners), given) for name, given in right.items()}


def _bound(name, owners):
    """Return the function of a name, of the owner where it is a method."""
    *_, owner, last = name.split(".")
    return getattr(owners[owner], last) if owner in owners else PUBLIC[name]


def outcome(function, given):
    """Return what is wrong with how a call ended, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            function(**given)
        except (OSError, tsode.InputsExhausted):
            return None
        except Exception as error:
            named = type(error) in (ValueError, TypeError) and "`" in str(error) and "must" in str(error)
            return None if named else repr(error)
    return None


@pytest.mark.slow
def test_no_argument_answers_with_a_raw_exception_or_a_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ode().save("run.npz")
    study().save("folder")
    wrong, tried = {}, 0
    for name, (function, right) in calls().items():
        assert outcome(function, right) is None, name
        for argument in right:
            for junk, value in JUNK.items():
                if (argument, junk) in SLOW:
                    continue
                tried += 1
                found = outcome(function, {**right, argument: value})
                plt.close("all")
                if found is not None:
                    wrong[f"{name}({argument}={junk})"] = found
    assert wrong == {}
    assert tried > 7000


NOT_SWEPT = {
    "tsode.optimal_schedule": "a call takes seconds",
    "tsode.plot.learning_rates": "it takes what such a call returns",
    "tsode.distillation.example": "a call takes seconds",
    **dict.fromkeys(
        (f"tsode.TeacherStudent.{name}" for name in ("excess_loss", "loss_slopes", "loss_curvature")),
        "asked for at every step of others: shapes alone are checked",
    ),
}


@pytest.mark.slow
def test_every_public_callable_with_arguments_is_swept():
    wanted = {name for name, one in PUBLIC.items() if arguments(one)}
    assert set(calls()) == wanted - set(WITHOUT_REFUSALS) - set(NOT_SWEPT)

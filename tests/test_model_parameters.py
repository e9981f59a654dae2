"""The list of the model's parameters: what stands in one place shows wherever a parameter is named."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tsode
from tsode._parameters import describe

LINE = """
    temperature: float = field(default=1.5, metadata=about(
        "temperature", "temperature of the labels", "T", lambda name, value, _: _checks.number(name, value, above=0.0),
        title="run", plural="temperatures"))
"""
# Neither a kernel nor a figure is made: the copy would compile and draw everything anew.
SCRIPT = """
import numpy as np, tsode
from tsode import plot
from tsode._parameters import describe
from tsode.cli import main
from tsode.plot.scans import LABELS
from tsode.scans.model_grids import model_grid

model = tsode.TeacherStudent(2, 1, 0.1, temperature=2.5)
assert "temperature T           2.5" in repr(model), repr(model)
assert describe(model) == "p = 2, p* = 1, η = 0.1, Δ = 0, free, T = 2.5"
assert describe(model, "loss") == "p = 2, p* = 1, free"
assert describe(model, words=True).endswith("temperature 2.5")
assert model.replace(p=3).temperature == 2.5
assert model != model.replace(temperature=2.0)
ode = tsode.Trajectory(model, [0.0], np.zeros((1, 2, 1)), np.eye(2)[None], "completed", 0.0)
assert "T = 2.5" in repr(ode)
assert tsode.Trajectory.from_arrays(ode.to_arrays()).model.temperature == 2.5
assert model_grid({"temperature": [1, 2]})["temperature"] == [1.0, 2.0]
assert tsode.scans.DEFAULTS["temperature"] == 1.5
assert LABELS["temperature"] == "temperature $T$"
for wrong in (lambda: model.replace(temperature=0), lambda: model_grid({"temperature": [1, -1]})):
    try:
        wrong()
    except ValueError as error:
        assert "`temperature` must be" in str(error)
    else:
        raise AssertionError
for command in (["study"], ["hessian"], ["scan", "escape"], ["scan", "stability"], ["scan", "deviation"]):
    try:
        main([*command, "--help"])
    except SystemExit:
        pass
"""


@pytest.mark.slow
def test_a_new_parameter_is_one_statement(tmp_path):
    """In a copy of the package with one more."""
    shutil.copytree(Path(tsode.__file__).parent, tmp_path / "tsode", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "tsode" / "model.py"
    before, mark, after = file.read_text(encoding="utf-8").partition("    # fmt: on\n")
    file.write_text(before + LINE[1:] + mark + after, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)},
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("temperature of the labels (default: 1.5)") == 2
    assert run.stdout.count("temperatures (1.5)") == 3


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({}, "p = 3, p* = 2, N = 1,000, η = 0.25, Δ = 0, free"),
        ({"activation": "erf"}, "p = 3, p* = 2, N = 1,000, η = 0.25, Δ = 0, free, σ = erf"),
        ({"teacher_activation": "erf"}, "p = 3, p* = 2, N = 1,000, η = 0.25, Δ = 0, free, σ* = erf"),
        (
            {"activation": "erf", "teacher_activation": "erf"},
            "p = 3, p* = 2, N = 1,000, η = 0.25, Δ = 0, free, σ = erf",
        ),
    ],
)
def test_titles_name_the_activation_only_where_it_is_not_the_square(parameters, line):
    assert describe(tsode.TeacherStudent(3, 2, 0.25, **parameters), N=1000) == line


@pytest.mark.parametrize("given", [{}, {"activation": "erf"}, {"activation": "erf", "teacher_activation": "quadratic"}])
def test_models_are_made_again_from_their_dict(given):
    model = tsode.TeacherStudent(3, 2, 0.25, student_readout=[1.0, 2.0, 3.0], **given)
    assert tsode.TeacherStudent(**model.to_dict()) == model
    assert ("activation" in model.to_dict()) == ("activation" in given)
    assert model.replace(p_star=4).teacher_readout.tolist() == [0.25] * 4
    assert model.replace(p_star=4).teacher_activation == model.teacher_activation

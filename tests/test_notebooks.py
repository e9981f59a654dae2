"""The notebooks: without outputs as committed, and run from top to bottom in small sizes."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# that compiles several activations, and takes as long as all others
LONG = "07"
QUICK = [pytest.param(path, marks=[pytest.mark.slow] * path.name.startswith(LONG)) for path in NOTEBOOKS]
# What each draws, so that a notebook that stops early or draws nothing is found out
PICTURES = {
    "01": {"sgd_and_ode", "deviation"},
    "02": {"plateaus", "prefactor", "escape_times"},
    "03": {"two_circles", "closest_solution", "noise", "late_times"},
    "04": {"spectra", "along", "samples", "separation"},
    "05": {"map", "escape", "own"},
    "06": {"dense", "sparse", "digits"},
    "07": {"specialisation", "relu", "information_exponent", "own"},
    "08": {"digits", "noise", "scaling"},
}

RUN = Path(__file__).with_name("notebook_run.py")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_all_eight_are_there():
    assert [path.name[:2] for path in NOTEBOOKS] == sorted(PICTURES)


def test_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}, "no version of Python: it changes with every user"


def test_one_cell_of_parameters_at_the_top(path):
    notebook = nbformat.read(path, as_version=4)
    first, *rest = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert 'small = os.environ.get("TSODE_SMALL") == "1"' in first
    assert not any("environ" in source for source in rest)


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_cells_run_from_top_to_bottom(path, tmp_path, monkeypatch, capsys):
    """In this process, which has the kernels; warnings are errors here, and what cells show is printed."""
    monkeypatch.setenv("TSODE_SMALL", "1")
    monkeypatch.setenv("TSODE_OUT", str(tmp_path))
    names = {"__name__": "__main__"}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(ast.Interactive(ast.parse(cell.source).body), path.name, "single"), names)
    pictures = {picture.stem for picture in tmp_path.glob("*.png")}
    assert pictures == {f"{path.name[:2]}_{name}" for name in PICTURES[path.name[:2]]}
    printed, warned = capsys.readouterr()
    assert not warned
    assert re.search(r"\d ± \d|agree at \d|digits +final loss", printed), "no number with its error"


@pytest.mark.parametrize("path", NOTEBOOKS[:1] + [pytest.param(path, marks=pytest.mark.slow) for path in NOTEBOOKS[1:]])
def test_runs_in_jupyter(path, tmp_path):
    executed = tmp_path / path.name
    inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    found = subprocess.run(
        [sys.executable, str(RUN), str(path), str(FOLDER), str(executed)],
        env=os.environ | inline | {"TSODE_SMALL": "1", "TSODE_OUT": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    cells = [cell for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code"]
    assert not [output.text for cell in cells for output in cell.outputs if output.get("name") == "stderr"]

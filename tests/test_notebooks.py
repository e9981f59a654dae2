"""The notebooks: with their figures as committed, and run from top to bottom in small sizes."""

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
QUICK = "01"  # the others take most of a minute
RUN_HERE = [pytest.param(path, marks=[pytest.mark.slow] * (not path.name.startswith(QUICK))) for path in NOTEBOOKS]
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
    "09": {
        "lesson",
        "soft_labels",
        "fixed_sample",
        "features",
        "spectral",
        "exits",
        "matched_noise",
        "moving_teacher",
        "logits",
    },
}

RUN = Path(__file__).with_name("notebook_run.py")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_all_nine_are_there():
    assert [path.name[:2] for path in NOTEBOOKS] == sorted(PICTURES)


def code(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def figures(path):
    """Return how many pictures a notebook shows."""
    return sum("image/png" in output.get("data", {}) for cell in code(path) for output in cell.outputs)


def test_committed_with_its_figures_and_without_traces_of_a_run(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert figures(path) == len(PICTURES[path.name[:2]])
    for cell in code(path):
        assert cell.execution_count is None
        assert not cell.metadata
        assert all(output.get("name") != "stderr" and "ipywidgets" not in str(output) for output in cell.outputs)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}, "no version of Python: it changes with every user"


def test_figures_are_small():
    sizes = [path.stat().st_size for path in NOTEBOOKS]
    assert max(sizes) < 300_000
    assert sum(sizes) < 2_000_000


def test_one_cell_of_parameters_at_the_top(path):
    notebook = nbformat.read(path, as_version=4)
    first, *rest = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert 'small = os.environ.get("TSODE_SMALL") == "1"' in first
    assert not any("environ" in source for source in rest)


@pytest.mark.parametrize("path", RUN_HERE, ids=lambda path: path.stem)
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


@pytest.mark.slow
def test_runs_in_jupyter(path, tmp_path):
    executed = tmp_path / path.name
    inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    found = subprocess.run(
        [sys.executable, str(RUN), str(path), str(FOLDER), str(executed)],
        env=os.environ | inline | {"TSODE_SMALL": "1", "TSODE_OUT": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    assert not [output.text for cell in code(executed) for output in cell.outputs if output.get("name") == "stderr"]
    assert figures(executed) == len(PICTURES[path.name[:2]])


@pytest.mark.parametrize("first", ["# a rule of one's own", "# a pull of one's own"])
def test_a_rule_of_ones_own_is_a_dozen_lines(first):
    """In notebook 09, where the cells after it run what it makes."""
    cells = nbformat.read(next(path for path in NOTEBOOKS if path.name.startswith("09")), as_version=4).cells
    (source,) = [cell.source for cell in cells if cell.source.startswith(first)]
    lines = [line for line in source.split("\n")[1:] if line.strip()]
    assert 5 < len(lines) <= 12
    assert "tsode.Scheme(" in lines[-1]


def test_what_is_kept_of_a_run(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from keep_outputs import kept

    new = nbformat.v4.new_output
    streams = ("stdout", "a"), ("stderr", "!"), ("stdout", "b")
    printed = [new("stream", name=name, text=text) for name, text in streams]
    bar = new("display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "a bar"})
    text, result = kept([*printed, bar, new("execute_result", {"text/plain": "1"}, execution_count=3)])
    assert text.text == "ab"
    assert (result.output_type, result.data) == ("display_data", {"text/plain": "1"})

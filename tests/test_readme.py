"""The examples of the README run, in their order, as a reader would paste them."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {"__name__": "__main__"}
    for block in blocks:
        if "Client(" not in block:  # needs a cluster
            exec(compile(block, README.name, "exec"), names)
    assert {path.name for path in tmp_path.iterdir()} >= {"escape.png", "specialisation.png", "losses.nc"}

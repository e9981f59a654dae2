"""Run notebooks and keep what they show in them: python notebooks/keep_outputs.py [NOTEBOOK ...].

They run in full size, those that take long in the sizes of the tests. Pictures have few colours; progress bars, counts
and times of execution go.
"""

import base64
import io
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent
LONG = ("02", "07", "08", "09")  # in full size many minutes each
COLOURS = 48
SHOWN = ("image/png", "text/plain")  # of what a cell displays, the first that there is


def small(picture: str) -> str:
    """Return a picture of few colours, in base64 as the one given."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    packed = io.BytesIO()
    # the octree keeps thin lines in their colours, which the median cut takes for grey
    image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def kept(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return what stays of the outputs of a cell: what is printed, in one piece, and what is displayed."""
    found = []
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stdout" and found and found[-1].output_type == "stream":
                found[-1].text += output.text
            elif output.name == "stdout":
                found.append(output)
            continue
        kind = next((kind for kind in SHOWN if kind in output.data), None)
        if kind is not None and "application/vnd.jupyter.widget-view+json" not in output.data:
            shown = small(output.data[kind]) if kind == "image/png" else output.data[kind]
            found.append(nbformat.v4.new_output("display_data", {kind: shown}))
    return found


def keep_outputs(path: Path) -> None:
    """Run a notebook, and write it with what it shows."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["TSODE_SMALL"] = "1" if path.name.startswith(LONG) else "0"
    metadata = {name: notebook.metadata[name] for name in ("kernelspec", "language_info")}
    NotebookClient(
        notebook, timeout=None, record_timing=False, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    notebook.metadata = metadata
    notebook.metadata["language_info"] = {"name": "python"}  # no version: it changes with every user
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = kept(cell.outputs)
            cell.execution_count = None
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        print(path.name, flush=True)
        keep_outputs(path)

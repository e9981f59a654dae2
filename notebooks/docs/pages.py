"""Pages of the documentation that are made from the package: the reference, and the gallery of figures."""

import doctest
import inspect
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import tsode

__all__ = ["write_gallery", "write_reference"]


def write_reference(folder: Path) -> None:
    """Write a page for each room, from its `__all__`: pages of the names are made from these."""
    folder.mkdir(exist_ok=True)
    members = [getattr(tsode, name) for name in tsode.__all__]
    rooms, seen = [tsode, *filter(inspect.ismodule, members)], set()
    rooms += [one for room in rooms[1:] for one in map(room.__dict__.get, room.__all__) if inspect.ismodule(one)]
    text = [*_title("Reference"), "Every public name: arguments, shapes, units, errors, source and an example.", ""]
    _write(folder / "index.rst", [*text, ".. toctree::", "", *(f"   {room.__name__}" for room in rooms)])
    for room in rooms:
        text = [*_title(room.__name__), f".. automodule:: {room.__name__}", "   :no-members:", ""]
        for title, template, kind in (
            ("Classes", "class.rst", inspect.isclass),
            ("Functions", "base.rst", inspect.isfunction),
        ):
            objects = {name: getattr(room, name) for name in room.__all__ if kind(getattr(room, name))}
            names = [name for name, it in objects.items() if it not in seen]
            seen.update(objects.values())  # some are found in two rooms
            if names:
                text += [f".. rubric:: {title}", "", f".. currentmodule:: {room.__name__}", "", ".. autosummary::"]
                text += ["   :toctree:", f"   :template: {template}", "", *(f"   {name}" for name in names), ""]
        _write(folder / f"{room.__name__}.rst", text)


def write_gallery(folder: Path) -> None:
    """Draw the example of every figure, and write a page of them."""
    folder.mkdir(exist_ok=True)
    text = [*_title("Gallery"), "What the example of each function of `tsode.plot` draws.", ""]
    for name in tsode.plot.__all__:
        function, names = getattr(tsode.plot, name), {}
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(function)):
            exec(compile(example.source, name, "exec"), names)
        if plt.get_fignums():
            plt.gcf().savefig(folder / f"{name}.png", dpi=80)
            summary = inspect.getdoc(function).split("\n")[0]
            text += [*_title(name, "-"), f"{summary} :func:`tsode.plot.{name}`", ""]
            text += [f".. image:: {name}.png", f"   :alt: {name}", ""]
        plt.close("all")
    _write(folder / "index.rst", text)


def _title(text, line="="):
    return [text, line * len(text), ""]


def _write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

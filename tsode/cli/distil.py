"""The command ``tsode distil``: one system of distillation at work, with its figure and its table."""

import argparse
from typing import Any

from .. import distillation
from .._checks import folder_path
from .._files import output_folder, write_json

__all__ = ["add_distil"]


def add_distil(commands: Any) -> None:
    """Add the command to the subparsers."""
    command = commands.add_parser(
        "distil",
        help="show a system of distillation at work: SGD beside theory",
        description="Run one system of tsode.distillation at one setting, SGD beside its ODE or formula; write "
        "NAME.json (all numbers) and NAME.png to a folder, and print the table.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    names = tuple(distillation.EXAMPLES)
    command.add_argument("name", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    command.add_argument("--dimension", "-N", type=float, default=1000, metavar="N", help="input dimension N of SGD")
    command.add_argument("--runs", type=int, default=16, help="number of SGD runs")
    command.add_argument("--seed", type=int, default=0, help="seed of the starts and of the runs")
    command.add_argument("--out", default="out", metavar="DIR", help="folder for the two files")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with output_folder(folder_path("out", options.out)) as folder:
        found = distillation.example(options.name, options.dimension, options.runs, options.seed)
        from .. import plot  # matplotlib takes longer to import than all the rest

        paths = [folder / f"{options.name}.{suffix}" for suffix in ("json", "png")]
        write_json(paths[0], found.to_dict())
        plot.save(plot.distillation_curves(found).figure, paths[1])
    print(found)
    print("written:", ", ".join(str(path) for path in paths))
    return 0

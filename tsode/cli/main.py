"""The command ``tsode``: arguments in, files and a table out."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__, hessian
from .._checks import folder_path, integer
from .._files import output_folder, write_json
from ..model import TeacherStudent, parameters
from ..sgd import ENGINES
from ..studies import study
from .distil import add_distil
from .scan import add_scan
from .settings import settings_of_file, with_flags
from .warm_up import add_warm_up

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one line instead of the usage and a line."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults are shown, and examples keep their lines."""

    def _fill_text(self, text, width, indent):
        return text if "\n" in text else super()._fill_text(text, width, indent)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (0, 2 for an error, 130 for an interrupt)."""
    try:
        parser = _parser()
        options = parser.parse_args(arguments)
        if getattr(options, "command", None) and options.config:  # what it says takes the place of the defaults
            known = [name for name in vars(options) if name not in ("command", "config", "run")]
            options.command.set_defaults(**settings_of_file(options.config, known))
            options = parser.parse_args(arguments)
        return options.run(options)
    except KeyboardInterrupt:
        print("tsode: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, MemoryError) as error:
        reason = with_flags(str(error) or type(error).__name__)
        print(f"tsode: {' '.join(reason.split())}", file=sys.stderr)
        return 2


def _parser():
    parser = _Parser(prog="tsode", description="Teacher-student learning in high dimension: SGD beside its ODE.")
    parser.add_argument("--version", action="version", version=f"tsode {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_study(commands)
    add_scan(commands)
    _add_hessian(commands)
    add_distil(commands)
    add_warm_up(commands)
    return parser


def _add_study(commands):
    command = commands.add_parser(
        "study",
        help="run SGD and its ODE from one start and compare them",
        description="Run one-pass SGD and its ODE from one random start, and SGD from random weights; write study.npz "
        "(all data), study.png (loss with the plateau, overlaps, escape times, Hessians), summary.json and "
        "study.html (table and figure in one page) to a folder, and print the table.",
        formatter_class=_Help,
        epilog="examples:\n"
        "  tsode study --p 4 --p-star 2 --learning-rate 0.4 --out out/square\n"
        "  tsode study --activation erf --p 3 --p-star 3 --dimension 1e4 --runs 16 --out out/erf\n"
        "  tsode study --config study.toml --noise-variance 0.1    # a file with lines such as p = 4, flags on top",
    )
    _add_model(command)
    command.add_argument("--dimension", "-N", type=float, default=4000, metavar="N", help="input dimension N")
    command.add_argument("--runs", type=int, default=8, help="number of SGD runs")
    command.add_argument("--alpha-max", type=float, help="last time, samples / N; None: until the ODE has learnt")
    command.add_argument("--seed", type=int, default=0, help="seed of the start and of the runs")
    command.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="how SGD is run")
    command.add_argument("--out", default="out", metavar="DIR", help="folder for the files")
    command.set_defaults(run=_run_study, command=command)


def _add_hessian(commands):
    command = commands.add_parser(
        "hessian",
        help="compare the Hessians on the plateau and on the solution manifold",
        description="Compare the population Hessian on the plateau with that on the solution manifold, exactly at any "
        "N; write hessian.json and hessian.png to a folder, and print the table. With --ratios, also the Hessians of "
        "samples at a small dimension.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_model(command)
    command.add_argument("--dimension", "-N", type=float, default=1e6, metavar="N", help="input dimension N")
    command.add_argument(
        "--ratios", type=float, nargs="+", metavar="R", help="samples / N at which to diagonalise empirical Hessians"
    )
    command.add_argument("--sample-dimension", type=float, default=100, metavar="N", help="their input dimension")
    command.add_argument("--seed", type=int, default=0, help="seed of the samples")
    command.add_argument("--out", default="out", metavar="DIR", help="folder for the files")
    command.set_defaults(run=_run_hessian, command=command)


def _add_model(command):
    command.add_argument("--config", metavar="FILE", help="TOML file of these settings, which flags override")
    group = command.add_argument_group("model")
    for name, about in parameters().items():
        options = {option: about[option] for option in ("default", "metavar", "choices") if option in about}
        kind = str if "choices" in about else about["kind"]
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, help=about["meaning"], **options)


def _model(options):
    return TeacherStudent(**{name: getattr(options, name) for name in parameters()})


def _run_study(options):
    with output_folder(folder_path("out", options.out)) as folder:
        result = study(
            _model(options),
            N=options.dimension,
            runs=options.runs,
            alpha_max=options.alpha_max,
            seed=options.seed,
            engine=options.engine,
            progress=True,
        )
        paths = result.save(folder)
    print(result)
    print("written:", ", ".join(str(path) for path in paths))
    if any("interrupted" in runs.status for runs in (result.sgd, result.escapes)):
        print("tsode: interrupted; the files have what was run until then", file=sys.stderr)
        return 130
    return 0


def _run_hessian(options):
    with output_folder(folder_path("out", options.out)) as folder:
        model = _model(options)
        comparison = hessian.compare(model, options.dimension)
        samples = None
        if options.ratios is not None:
            N = integer("sample_dimension", options.sample_dimension, minimum=model.p + model.p_star)
            samples = hessian.convergence(model, N, options.ratios, options.seed)
        from .. import plot  # matplotlib takes longer to import than all the rest

        paths = [folder / name for name in ("hessian.json", "hessian.png")]
        write_json(paths[0], comparison.to_dict())
        plot.save(plot.hessian_panels(comparison, samples), paths[1])
    print(comparison)
    if samples is not None:
        print(samples)
    print("written:", ", ".join(str(path) for path in paths))
    return 0

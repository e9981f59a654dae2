"""The command ``tsode scan``: the ready scans from flags or a file, resumable, with table and figure."""

import argparse
import contextlib
import io
import sys

import numpy as np

from .. import _checks, scans
from .._display import text_columns
from .._files import atomic_path, output_folder
from ..scans.model_grids import PARAMETERS
from .settings import settings_of_file, with_flags

__all__ = ["add_scan"]

# The settings of each scan that are no part of the grid: type, default and help.
SETTINGS = {
    "escape": {
        "runs": (int, 32, "SGD runs at each point"),
        "threshold": (float, 0.05, "escape is tr M M^T above this"),
        "seed": (int, 0, "seed of all points"),
    },
    "stability": {},
    "deviation": {
        "runs": (int, 16, "SGD runs at each point"),
        "alpha_max": (float, None, "last time, samples / N; None: three natural times"),
        "seed": (int, 0, "seed of the start and of all points"),
    },
}
COMMON = {
    "path": (str, "out", "folder of the results, from which the same command goes on"),
    "jobs": (int, -1, "number of processes; -1: one a core"),
    "scheduler": (str, None, "address of a Dask scheduler whose workers compute, such as tcp://host:8786"),
}
ABOUT = {
    "escape": "escape times of SGD beside their law",
    "stability": "learning rates at which the ODE escapes, is stuck or diverges, beside theory's thresholds",
    "deviation": "deviation of SGD from its ODE against the input dimension",
}
COLUMNS = {
    "escape": ("mean", "std_error", "law_mean", "escaped"),
    "stability": ("fate", "theory"),
    "deviation": ("mean", "std_error", "theory"),
}
FIGURES = {"escape": "escape_curves", "stability": "stability_map", "deviation": "deviation_curves"}
MOST_VALUES = 1_000_000  # of one parameter
ROWS = 40  # of the printed table; the file has all


def add_scan(commands: argparse._SubParsersAction) -> None:
    """Add ``scan`` to the subparsers of the command line."""
    command = commands.add_parser(
        "scan",
        help="scan parameters: escape times, stability, deviation of SGD from its ODE",
        description="Scan parameters. Each finished point is kept in the folder at once: the same command goes on "
        "after a crash. Writes KIND.nc (all data, netCDF) and KIND.png and prints a table.",
    )
    kinds = command.add_subparsers(title="kinds", required=True, metavar="KIND")
    for kind, about in ABOUT.items():
        _add_kind(kinds, kind, about)


def _add_kind(kinds, kind, about):
    parser = kinds.add_parser(
        kind,
        help=about,
        description=f"Scan of {about}. Parameters take several values: 2 4 8, first:last:count for an "
        "even grid with both ends, or first:last:count:log for a geometric one.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file of these settings, which flags override")
    grid = parser.add_argument_group("grid")
    for name in _grid_names(kind):
        about = PARAMETERS[name]
        values = {"choices": about["choices"]} if "choices" in about else {"metavar": "VALUE"}
        short = ["-N"] if name == "dimension" else []
        _add(grid, name, *short, nargs="+", help=f"{about['plural']} ({about['default']})", **values)
    for name, (kind_of, default, meaning) in {**SETTINGS[kind], **COMMON}.items():
        _add(parser, name, type=kind_of, metavar=name.upper(), help=f"{meaning} ({default})")
    parser.add_argument("--on-error", choices=("raise", "record"), help="at a failing point: end, or list it (raise)")
    parser.set_defaults(run=_run, kind=kind)


def _add(parser, name, *short, **options):
    parser.add_argument(f"--{name.replace('_', '-')}", *short, **options)


def _grid_names(kind):
    return [name for name in PARAMETERS if kind != "stability" or name != "dimension"]


def _run(options):
    given = vars(options).copy()
    given.pop("run")
    kind = given.pop("kind")
    settings = {name: default for name, (_, default, _) in {**SETTINGS[kind], **COMMON}.items()}
    settings |= {
        "on_error": "raise",
        **settings_of_file(given.pop("config", None), [*_grid_names(kind), *SETTINGS[kind], *COMMON, "on_error"]),
        **given,
    }
    names = [name for name in PARAMETERS if name in settings]
    grid = {name: _values(name, settings.pop(name)) for name in names}
    n_jobs, scheduler, path = (settings.pop(name) for name in ("jobs", "scheduler", "path"))
    folder = _checks.folder_path("path", path)
    try:
        with output_folder(folder), _cluster(scheduler):
            table = getattr(scans, kind)(grid, path=folder, n_jobs=n_jobs, **settings)
    except KeyboardInterrupt as interrupt:
        print(f"tsode: {with_flags(str(interrupt)) or 'interrupted'}", file=sys.stderr)
        return 130
    except Exception as error:  # also of a point, of a worker or of the cluster
        where = str(error.__cause__).partition("\n")[0] if isinstance(error.__cause__, scans.PointFailed) else ""
        kind_of = "" if isinstance(error, (ValueError, TypeError, OSError)) else f"{type(error).__name__}: "
        raise ValueError(f"{where}{': ' if where else ''}{kind_of}{error}") from error
    print(_table(kind, table))
    print("written:", ", ".join(str(written) for written in _save(kind, table, folder)))
    for failure in scans.failures(table):
        point = ", ".join(f"{name} = {value}" for name, value in failure["point"].items())
        print(f"tsode: failed at {point}: {' '.join(failure['error'].split())}", file=sys.stderr)
    return 0


def _values(name, tokens):
    """Return the values of a parameter: numbers, texts of numbers, or first:last:count[:log]."""
    values = []
    for token in tokens if isinstance(tokens, (list, tuple)) else [tokens]:
        if isinstance(token, str) and PARAMETERS[name]["kind"] in (int, float):
            values.extend(_numbers(name, token))
        else:
            values.append(token)
    return values


def _numbers(name, token):
    first, *rest = token.split(":")
    wanted = f"`{name}` must be a number or first:last:count[:log], but has {token!r}"
    try:
        if not rest:
            return [float(first) if not first.lstrip("-").isdigit() else int(first)]
        last, count, *spacing = rest
        if spacing not in ([], ["log"]) or not 1 <= int(count) <= MOST_VALUES:
            raise ValueError
        if not np.isfinite([float(first), float(last)]).all():
            raise ValueError
        if spacing and min(float(first), float(last)) <= 0:
            raise ValueError
        values = (np.geomspace if spacing else np.linspace)(float(first), float(last), int(count)).tolist()
    except ValueError:
        raise ValueError(wanted) from None
    # an even grid of whole numbers is one: widths, and N rounded where it is geometric
    return [round(value) for value in values] if PARAMETERS[name]["kind"] is int else values


@contextlib.contextmanager
def _cluster(address):
    if address is None:
        yield
        return
    _checks.instance("scheduler", address, str, "an address")
    import joblib
    from dask.distributed import Client

    # not as Dask's default, which a scheduler that does not answer would leave behind
    client = Client(address, timeout=20, set_as_default=False)
    with client, joblib.parallel_config(backend="dask", client=client):
        yield


def _table(kind, table):
    names = [name for name in table.dims if name in PARAMETERS]
    varying = [name for name in names if table.sizes[name] > 1]
    fixed = [f"{name} = {table[name].item()}" for name in names if table.sizes[name] == 1]
    columns = [name for name in COLUMNS[kind] if name in table]
    if not columns:
        return "no point has a result"
    if "reason" in table and (table["reason"] != "").any():
        columns.append("reason")
    flat = table[columns].stack(point=names, create_index=False).transpose("point", ...)
    rows = [
        [_cell(flat[name].values[i]) for name in (*varying, *columns)] for i in range(min(flat.sizes["point"], ROWS))
    ]
    text = text_columns(f"Scan, {ABOUT[kind]}: {', '.join(fixed)}".rstrip(": "), (*varying, *columns), rows)
    left = flat.sizes["point"] - len(rows)
    return f"{text}\n  ... and {left} more" if left else text


def _cell(value):
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def _save(kind, table, folder):
    from .. import plot

    data, figure = folder / f"{kind}.nc", folder / f"{kind}.png"
    _write_netcdf(data, table)
    if not set(COLUMNS[kind]) <= set(table):
        return [data]  # every point failed
    plot.save(getattr(plot, FIGURES[kind])(table).figure, figure)
    return [data, figure]


def _write_netcdf(path, table):
    """Write a dataset as netCDF, made in memory: HDF5 does not survive a disk that is full, Python does."""
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    content = io.BytesIO()
    with h5netcdf.File(content, "w") as file:  # to_netcdf does this from xarray 2025.9 on
        table.dump_to_store(H5NetCDFStore(file))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getvalue())

"""A trajectory as arrays, for files, and as a labelled dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks
from ._trajectory_checks import own_array
from .activations import Stored
from .inputs import Blocks
from .model import TeacherStudent
from .rules import Stored as StoredRule

if TYPE_CHECKING:
    import xarray


__all__ = [
    "LAYOUT", "arrays_of_averages", "ends_of", "fields_of", "header_of", "provenance_of", "to_arrays", "to_dataset",
    "variables",
]  # fmt: skip

FORMAT = 1
LAYOUT = {
    "M": ("alpha", "student", "teacher"),
    "Q": ("alpha", "student", "student_2"),
    "readout": ("alpha", "student"),
    "loss": ("alpha",),
    "excess_loss": ("alpha",),
    "status": (),
    "stopped_at": (),
}  # after the runs
AVERAGED = "averaged."
SHARED = ("header", "alpha", "status", "stopped_at", "blocks.P")  # by a trajectory and that of its averages


def to_arrays(trajectory: Any) -> dict[str, np.ndarray]:
    """Return all of it as a dict of arrays, the provenance as one JSON string."""
    header = {**header_of(trajectory), "gradient_flow": trajectory.gradient_flow}
    return {
        **({"scalars": trajectory.scalars} if trajectory.scalars.size else {}),
        **({} if from_file(trajectory.model) else known_loss(trajectory)),
        **{f"losses.{name}": array for name, array in named_losses(trajectory).items()},
        "header": np.array(json.dumps(header)),
        "alpha": trajectory.alpha,
        "M": trajectory.M,
        "Q": trajectory.Q,
        **ends_of(trajectory),
        **{f"observables.{name}": array for name, array in trajectory.observables.items()},
        **{f"state.{name}": array for name, array in (trajectory.state or {}).items()},
        **{
            f"blocks.{name}": array
            for name, array in (trajectory.blocks._asdict() if trajectory.blocks else {}).items()
        },
        **{
            f"{AVERAGED}{name}": array
            for name, array in (to_arrays(trajectory.averaged) if trajectory.averaged else {}).items()
            if name not in SHARED
        },
    }


def header_of(runs: Any) -> dict[str, Any]:
    """Return the provenance of runs, as JSON takes it."""
    about = {name: getattr(runs, name) for name in ("N", "seed", "engine", "versions")}
    return {"format": FORMAT, "model": runs.model.to_dict(), **about}


def ends_of(runs: Any) -> dict[str, np.ndarray]:
    """Return how runs ended as arrays."""
    return {"status": np.asarray(runs.status, dtype=np.str_), "stopped_at": np.asarray(runs.stopped_at, dtype=float)}


def arrays_of_averages(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what :func:`to_arrays` returned of the averages beside a trajectory, or nothing."""
    own = {name.removeprefix(AVERAGED): array for name, array in arrays.items() if name.startswith(AVERAGED)}
    return {name: arrays[name] for name in SHARED if name in arrays} | own if own else {}


def from_file(model: TeacherStudent) -> bool:
    """Return whether all of a model can be made from a file, so that its loss can be computed again."""
    again = TeacherStudent.from_dict(json.loads(json.dumps(model.to_dict())))
    parts = again.activation, again.teacher_activation, again.rule
    return not any(isinstance(part, (Stored, StoredRule)) for part in parts)


def known_loss(trajectory: Any) -> dict[str, np.ndarray]:
    """Return the excess loss by its name, or nothing where it is not known."""
    try:
        return {"excess_loss": trajectory.excess_loss}
    except _checks.NoClosedForm:  # an activation too rough for its averages, or known by name alone
        return {}


def named_losses(trajectory: Any) -> Mapping[str, np.ndarray]:
    """Return the losses that have names."""
    return {} if trajectory.model.rule.layout(trajectory.model).outputs is None else trajectory.loss


def fields_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the attributes of a trajectory from what :func:`to_arrays` returned."""
    missing = [name for name in ("header", "alpha", "M", "Q", "status", "stopped_at") if name not in arrays]
    if missing:
        raise ValueError(f"`arrays` must have all that `to_arrays` gives, but {missing[0]!r} is missing")
    header = read_header(arrays["header"])
    observables, state = (
        {name.removeprefix(first): np.asarray(array) for name, array in arrays.items() if name.startswith(first)}
        for first in ("observables.", "state.")
    )
    return dict(
        scalars=arrays.get("scalars"),
        alpha=arrays["alpha"],
        M=arrays["M"],
        Q=arrays["Q"],
        # files of tsode 0.1.0 say it in the engine's name alone
        gradient_flow=header.get("gradient_flow", "gradient flow" in header["engine"]),
        observables=observables,
        state=state or None,
        blocks=Blocks(*(own_array(name, arrays[f"blocks.{name}"]) for name in "MQP")) if "blocks.M" in arrays else None,
        **provenance_of(arrays),
    )


def provenance_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what was run, where it comes from and how it ended, the attributes that all runs have."""
    header = read_header(arrays["header"])
    status, stopped_at = np.asarray(arrays["status"]), np.asarray(arrays["stopped_at"])
    return dict(
        model=TeacherStudent.from_dict(header["model"]),
        status=status if status.ndim else str(status),
        stopped_at=stopped_at if stopped_at.ndim else stopped_at.item(),
        **{name: header[name] for name in ("N", "seed", "engine", "versions")},
    )


def to_dataset(trajectory: Any) -> xarray.Dataset:
    """Return an ``xarray.Dataset`` with dimensions (run,) alpha, student, student_2, teacher."""
    try:
        import xarray
    except ImportError:
        raise ImportError("to_xarray needs xarray: pip install tsode[scan]") from None
    attributes = {
        "model": json.dumps(trajectory.model.to_dict()),
        "N": "inf" if trajectory.N is None else trajectory.N,
        "seed": json.dumps(trajectory.seed),
        "engine": trajectory.engine,
        "versions": json.dumps(trajectory.versions),
    }
    coordinates = {"alpha": ("alpha", trajectory.alpha, {"long_name": "time, samples / N"})}
    return xarray.Dataset(variables(trajectory), coords=coordinates, attrs=attributes)


def read_header(text: object) -> dict[str, Any]:
    """Return the provenance of `to_arrays`."""
    header = json.loads(str(text))
    _checks.instance("header", header, dict, "a JSON object")
    missing = [name for name in ("format", "model", "N", "seed", "engine", "versions") if name not in header]
    if missing:
        raise ValueError(f"`header` must be of tsode, but {missing[0]!r} is missing")
    if _checks.integer("format", header["format"], minimum=1) > FORMAT:
        raise ValueError(f"its format is {header['format']}, newer than {FORMAT}, which this version reads")
    _checks.instance("model", header["model"], dict, "a JSON object")
    return header


def variables(trajectory):
    """Return what a trajectory holds beside its times and provenance as name -> (dimensions, array)."""
    lead = () if trajectory.runs is None else ("run",)
    hidden = set() if known_loss(trajectory) else {"loss", "excess_loss"}
    layout = trajectory.model.rule.layout(trajectory.model)
    hidden |= set() if layout.outputs is None and trajectory.scalars.size else {"readout"}
    known = {name: dims for name, dims in LAYOUT.items() if name not in hidden}
    found = {name: ((*lead, *dims), np.asarray(getattr(trajectory, name))) for name, dims in known.items()}
    if trajectory.blocks is not None:
        found["M_blocks"] = ((*lead, "alpha", "block", "student", "teacher"), trajectory.blocks.M)
        found["Q_blocks"] = ((*lead, "alpha", "block", "student", "student_2"), trajectory.blocks.Q)
    more = {f"loss {name}": array for name, array in named_losses(trajectory).items()}
    if layout.outputs is not None:
        more |= {name: trajectory.scalar(name) for name in layout.scalars}
    for name, array in [*more.items(), *trajectory.observables.items()]:
        own = (f"{name}_{i}" for i in range(array.ndim - len(lead) - 1))
        found[name] = ((*lead, "alpha", *own), array)
    if trajectory.averaged is not None:
        own = variables(trajectory.averaged)
        found |= {f"{name}_averaged": variable for name, variable in own.items() if name not in SHARED}
    return found

"""Runs on their way off a plateau, of whose overlaps tr M M^T alone is kept: wide students have many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _checks
from ._display import Report
from ._parameters import describe
from ._trajectory_checks import check_ends, check_seed
from ._trajectory_forms import ends_of, header_of, provenance_of
from .conditions import overlap_size
from .model import TeacherStudent, check_model
from .trajectory import Trajectory

__all__ = ["Escapes", "size_of"]


@dataclass(frozen=True, eq=False, repr=False)
class Escapes(Report):
    r"""SGD runs from random weights up to their escape, told by :math:`\mathrm{tr}\, M M^T`.

    Attributes
    ----------
    model : TeacherStudent
        What was run.
    alpha : ndarray, shape (T,)
        Times, samples / N.
    size : ndarray, shape (R, T)
        tr M M^T of each run; nan after its end.
    status, stopped_at : ndarray, shape (R,)
        As of :class:`tsode.Trajectory`: "reached" is a run that has escaped, at the first record that shows it.
    N, seed, engine, versions
        As of :class:`tsode.Trajectory`.

    Raises
    ------
    TypeError, ValueError
        If an attribute is of the wrong type, or its shape does not fit the others'.
    """

    model: TeacherStudent
    alpha: np.ndarray
    size: np.ndarray
    status: np.ndarray
    stopped_at: np.ndarray
    N: int
    seed: int | Sequence[int] | None = None
    engine: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_model(self.model)
        alpha, size = _checks.times(self.alpha), _checks.real_array("size", self.size)
        if size.ndim != 2 or size.shape[1] != len(alpha):
            raise ValueError(f"`size` must have shape (runs, {len(alpha)}), but has shape {size.shape}")
        check_ends(size.shape[:1], self.status, self.stopped_at)
        check_seed(self.seed)
        _checks.integer("N", self.N, minimum=1)
        _checks.instance("engine", self.engine, str, "a str")
        _checks.instance("versions", self.versions, dict, "a dict")
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "size", size)

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.size)

    @classmethod
    def of(cls, trajectory: Trajectory) -> Escapes:
        """Return what is to be kept of a trajectory."""
        names = ("model", "alpha", "status", "stopped_at", "N", "seed", "engine", "versions")
        return cls(size=size_of(trajectory), **{name: getattr(trajectory, name) for name in names})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as a dict of arrays, the provenance as one JSON string."""
        header = np.array(json.dumps(header_of(self)))
        return {"header": header, "alpha": self.alpha, "size": self.size, **ends_of(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Escapes:
        """Return what :meth:`to_arrays` gave, or what is to be kept of a whole trajectory, as files of before have."""
        if "M" in arrays:
            return cls.of(Trajectory.from_arrays(arrays))
        missing = [name for name in ("header", "alpha", "size", "status", "stopped_at") if name not in arrays]
        if missing:
            raise ValueError(f"`arrays` must have all that `to_arrays` gives, but {missing[0]!r} is missing")
        return cls(**provenance_of(arrays), alpha=arrays["alpha"], size=arrays["size"])

    def _rows(self) -> list[tuple[str, Any]]:
        statuses, counts = np.unique(self.status, return_counts=True)
        return [
            ("model", describe(self.model)),
            ("input dimension N", f"{self.N:,}"),
            ("runs", self.runs),
            ("time alpha", f"{self.alpha[0]:g} to {self.alpha[-1]:g}, {len(self.alpha)} points"),
            ("status", ", ".join(f"{status} ({count})" for status, count in zip(statuses, counts))),
            ("engine", self.engine),
            ("seed", self.seed),
        ]

    def _title(self) -> str:
        return "Escapes from random weights: tr M M^T of each run"


def size_of(runs: Trajectory | Escapes) -> np.ndarray:
    """Return tr M M^T over time, shape (..., T)."""
    return runs.size if isinstance(runs, Escapes) else overlap_size(runs.M)

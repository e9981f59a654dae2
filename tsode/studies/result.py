"""The result of a study: three trajectories, what is read off them beside theory, and how it is shown and kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import _checks
from .._display import Table
from .._files import atomic_path, read_npz, remove_stale, write_json, write_npz
from .._statistics import mean_and_error
from .._types import PathLike
from ..closed_forms import NoClosedForm, closed_forms
from ..escapes import Escapes
from ..finite_size import Fluctuations, quick_fluctuations
from ..hessian import Comparison, compare
from ..model import TeacherStudent
from ..plateaus import Plateau, escape_time, plateau
from ..trajectory import Trajectory, check_trajectory
from . import text
from .measurements import (
    chosen_solution,
    deviation,
    escape_setting,
    fitted_escape_rate,
    late_exponent,
    plateau_level,
    random_rotations,
)
from .report import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Study"]

PARTS: dict[str, Any] = {"ode": Trajectory, "sgd": Trajectory, "escapes": Escapes}


@dataclass(frozen=True, eq=False, repr=False)
class Study(Table):
    """SGD beside its ODE and theory.

    Attributes
    ----------
    ode : Trajectory
        The ODE's solution from one random start.
    sgd : Trajectory
        Runs of SGD from that start, at the same times.
    escapes : Escapes
        Runs of SGD from random weights of their own, until they have escaped: tr M M^T over time. A Trajectory of such
        runs is taken, too.

    Raises
    ------
    TypeError, ValueError
        If one is no Trajectory, or not of the ODE or SGD where it should be, or they are of different models.
    """

    ode: Trajectory
    sgd: Trajectory
    escapes: Escapes

    def __post_init__(self) -> None:
        for name, kind in PARTS.items():
            part = getattr(self, name)
            part = part if isinstance(part, kind) else check_trajectory(part, name)
            if (part.runs is None) != (name == "ode"):
                wanted = "a solution of the ODEs" if name == "ode" else "runs of SGD"
                raise ValueError(f"`{name}` must be {wanted}, but is of the engine {part.engine!r}")
            if part.model != self.ode.model:
                raise ValueError(f"`{name}` must be of the model of `ode`, but is of another")
        if isinstance(self.escapes, Trajectory):
            object.__setattr__(self, "escapes", Escapes.of(self.escapes))

    @property
    def model(self) -> TeacherStudent:
        """The pair that was studied."""
        return self.ode.model

    @functools.cached_property
    def plateau(self) -> Plateau | str:
        """Plateau of the model, or a str that says why it has no theory in closed form."""
        try:
            closed_forms(self.model)
            return plateau(self.model)
        except NoClosedForm as error:
            return str(error)

    @functools.cached_property
    def hessian(self) -> Comparison | str:
        """Comparison of the Hessians on plateau and solution manifold, or a str that says why there is none."""
        try:
            return compare(self.model, cast(int, self.sgd.N))  # runs have one
        except ValueError as error:
            return str(error)

    @functools.cached_property
    def escape(self) -> tuple[Any, float]:
        """Law of the escape time from random weights, None where it has no closed form; and its threshold."""
        return escape_setting(self.model, cast(int, self.sgd.N))

    @functools.cached_property
    def fluctuations(self) -> Fluctuations | None:
        """Fluctuations of SGD about its ODE, None where they are not known in closed form, or the student is wide."""
        return quick_fluctuations(self.ode)

    @functools.cached_property
    def results(self) -> dict[str, dict[str, float]]:
        """The compared quantities: name -> {"theory", "ode", "sgd", "sgd_error"}, absent where undefined.

        Errors are standard errors of the mean over runs; `tsode.studies.text` says what each row means. Where
        there is no plateau there are no rows about it and the escape from it.
        """
        ode, sgd = self.ode, self.sgd
        found: dict[str, dict[str, Any]] = {} if self.no_plateau else self._plateau_and_escape()
        found["final excess loss"] = self._both(np.nan, lambda run: run.excess_loss[..., -1], sgd)
        found.update(self._implicit_bias())
        for which in ("M", "Q"):
            largest, level, typical = deviation(getattr(ode, which), getattr(sgd, which))
            found[f"largest deviation of {which} (standard errors)"] = {"theory": level, "sgd": largest}
            found[f"rms deviation of {which}"] = {"sgd": typical}
        return {name: {column: float(value) for column, value in row.items()} for name, row in found.items()}

    @functools.cached_property
    def no_plateau(self) -> str | None:
        """Why SGD has no plateau, None where it has one or theory does not know."""
        return None if isinstance(self.plateau, str) else self.plateau.reasons.get("q")

    def _both(self, theory, measure, runs):
        mean, error = mean_and_error(measure(runs))
        return {"theory": theory, "ode": measure(self.ode), "sgd": mean, "sgd_error": error}

    def _plateau_and_escape(self):
        saddle, (law, threshold) = self.plateau, self.escape
        known = not isinstance(saddle, str)
        found = {"plateau excess loss": self._both(saddle.excess_loss if known else np.nan, plateau_level, self.sgd)}
        if known:  # else M need not grow exponentially
            rate = saddle.escape_rate
            found["escape rate"] = self._both(rate, lambda run: fitted_escape_rate(run, threshold), self.escapes)
        found["escape time from this start"] = self._both(np.nan, lambda run: escape_time(run, threshold), self.sgd)
        mean, error = mean_and_error(escape_time(self.escapes, threshold))
        theory = law.mean() if law is not None else np.nan
        found["escape time from random weights"] = {"theory": theory, "sgd": mean, "sgd_error": error}
        return found

    def _implicit_bias(self):
        """Where the end is, and how gradient flow gets there; nothing for models without solutions in closed form."""
        names = "distance of the end's solution to the start's", "distance of the end's solution to random ones"
        try:
            rotations = random_rotations(self.model)
            measured = [chosen_solution(run, rotations) for run in (self.ode, self.sgd)]
            late, found = late_exponent(self.model, self.ode.overlaps(0)), {}
        except ValueError:
            return {}
        for name, ode, sgd in zip(names, *measured):
            mean, error = mean_and_error(sgd)
            found[name] = {"ode": ode, "sgd": mean, "sgd_error": error}
        kind = "exponent in alpha" if self.model.p > self.model.p_star else "rate"
        found[f"late {kind}, gradient flow"] = {"theory": late[0], "ode": late[1]}
        return found

    def summary(self) -> dict[str, Any]:
        """Return everything that is worth a line, as plain numbers and strings (JSON takes it).

        Where SGD has no plateau, "no_plateau" says why, and there are neither rows nor a threshold of the escape.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
        >>> study = tsode.study(model, N=200, runs=2, alpha_max=5.0)
        >>> study.summary()["N"]
        200
        """
        sgd = self.sgd
        return {
            "model": self.model.to_dict(),
            "N": sgd.N,
            "runs": sgd.runs,
            "seed": sgd.seed,
            "alpha_max": float(self.ode.alpha[-1]),
            "engine": sgd.engine,
            "status": {name: np.asarray(getattr(self, name).status).tolist() for name in PARTS},
            "no_plateau": self.no_plateau,
            "escape_threshold": None if self.no_plateau else float(self.escape[1]),
            "results": {
                name: {column: value if np.isfinite(value) else None for column, value in row.items()}
                for name, row in self.results.items()
            },
            "hessian": self.hessian if isinstance(self.hessian, str) else self.hessian.to_dict(),
            "versions": sgd.versions,
        }

    def plot(self) -> Figure:
        """Draw the study: loss with the plateau, both overlaps, escape times, Hessians, final overlap matrix.

        Returns
        -------
        matplotlib.figure.Figure

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
        >>> study = tsode.study(model, N=200, runs=2, alpha_max=5.0)
        >>> len(study.plot().axes) >= 6
        True
        """
        from .. import plot  # matplotlib takes longer to import than all the rest
        from ..plot.bands import draw_band

        law, threshold = self.escape
        hessian = None if isinstance(self.hessian, str) else self.hessian
        times = escape_time(self.escapes, threshold)
        level = None if isinstance(self.plateau, str) else self.plateau.excess_loss
        figure = plot.study_panels(self.ode, self.sgd, level, times, law, hessian, threshold)
        if self.fluctuations is not None:
            draw_band(figure.axes[0], self.fluctuations, cast(int, self.sgd.N))
        return figure

    def save(self, directory: PathLike) -> list[Path]:
        """Write ``study.npz``, ``study.png``, ``summary.json`` and ``study.html``, each of them complete or absent.

        The last has table and figure in one page for a browser, which needs no other file.

        Parameters
        ----------
        directory : path-like
            Made if it does not exist.

        Returns
        -------
        list of pathlib.Path
            The files written.

        Raises
        ------
        TypeError, ValueError, OSError
            If `directory` is no path, or ends as a file does, or nothing can be written there.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
        >>> study = tsode.study(model, N=200, runs=2, alpha_max=5.0)
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in study.save(folder)]
        ['study.npz', 'study.png', 'summary.json', 'study.html']
        """
        from .. import plot

        directory = _checks.folder_path("directory", directory)
        directory.mkdir(parents=True, exist_ok=True)
        remove_stale(directory)
        paths = [directory / name for name in ("study.npz", "study.png", "summary.json", "study.html")]
        arrays = {f"{part}.{name}": array for part in PARTS for name, array in getattr(self, part).to_arrays().items()}
        write_npz(paths[0], arrays)
        plot.save(self.plot(), paths[1])
        write_json(paths[2], self.summary())
        with atomic_path(paths[3]) as temporary:
            temporary.write_text(page(self, paths[1].read_bytes()), encoding="utf-8")
        return paths

    @classmethod
    def load(cls, path: PathLike) -> Study:
        """Read a ``study.npz``.

        Parameters
        ----------
        path : path-like
            The file, or the folder that it is in.

        Returns
        -------
        Study

        Raises
        ------
        OSError
            If there is no such file (FileNotFoundError), or it cannot be read.
        TypeError, ValueError
            If `path` is no path, or the file is not a complete study.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
        >>> study = tsode.study(model, N=200, runs=2, alpha_max=5.0)
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = study.save(folder)
        ...     again = tsode.Study.load(folder)
        >>> bool((again.sgd.M == study.sgd.M).all())
        True
        """
        path = _checks.file_path("path", path)
        return read_npz(path / "study.npz" if path.is_dir() else path, cls._from_arrays)

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Study:
        split: dict[str, dict[str, np.ndarray]] = {part: {} for part in PARTS}
        for name, array in arrays.items():
            part, _, field = name.partition(".")
            if part not in split:
                raise ValueError(f"it has {name!r}, which is no part of a study")
            split[part][field] = array
        return cls(**{part: PARTS[part].from_arrays(fields) for part, fields in split.items()})

    def _table(self):
        return text.table(self)

    def _remarks(self):
        return text.remarks(self)

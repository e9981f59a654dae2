"""A trajectory in files, as arrays, and as a labelled dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _checks
from ._files import read_npz, remove_stale, write_npz
from ._trajectory_forms import arrays_of_averages, fields_of, to_arrays, to_dataset
from ._types import PathLike

if TYPE_CHECKING:
    import xarray

__all__ = ["Files"]

Self = TypeVar("Self", bound="Files")


class Files:
    """Base of a trajectory."""

    if TYPE_CHECKING:
        M: np.ndarray
        model: Any

    def save(self, path: PathLike) -> Path:
        """Write all of it to one ``.npz`` file, which appears only when it is complete.

        Parameters
        ----------
        path : path-like
            File to write; ".npz" is appended if it has no suffix.

        Returns
        -------
        pathlib.Path
            The file written.

        Raises
        ------
        TypeError, ValueError, OSError
            If `path` is no path or one of another suffix, or nothing can be written there; a file that was there
            before is then as it was.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> start = tsode.Overlaps.random(model, N=100, rng=0)
        >>> ode = tsode.integrate(model, start, 30.0)
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ode.save(f"{folder}/run").name
        'run.npz'
        """
        path = _checks.file_path("path", path, (".npz",), "; `to_xarray().to_netcdf(...)` writes netCDF")
        remove_stale(path.parent)
        write_npz(path, self.to_arrays())
        return path

    @classmethod
    def load(cls: type[Self], path: PathLike) -> Self:
        """Read what :meth:`save` wrote; nothing in the file is ever executed.

        Parameters
        ----------
        path : path-like
            File to read; ".npz" is appended if it has no suffix and is not there.

        Returns
        -------
        Trajectory

        Raises
        ------
        OSError
            If there is no such file (FileNotFoundError), or it cannot be read.
        TypeError, ValueError
            If `path` is no path; if the file is truncated, or no trajectory, or of a newer format.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> start = tsode.Overlaps.random(model, N=100, rng=0)
        >>> ode = tsode.integrate(model, start, 30.0)
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = tsode.Trajectory.load(ode.save(f"{folder}/run"))
        >>> bool((again.M == ode.M).all()), again.model == ode.model
        (True, True)
        """
        path = _checks.file_path("path", path)
        return read_npz(path if path.suffix or path.exists() else path.with_suffix(".npz"), cls.from_arrays)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as a dict of arrays, the provenance as one JSON string.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> start = tsode.Overlaps.random(model, N=100, rng=0)
        >>> ode = tsode.integrate(model, start, 30.0)
        >>> sorted(ode.to_arrays())
        ['M', 'Q', 'alpha', 'header', 'status', 'stopped_at']
        """
        return to_arrays(self)

    @classmethod
    def from_arrays(cls: type[Self], arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the trajectory of :meth:`to_arrays`.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `to_arrays` returned.

        Returns
        -------
        Trajectory

        Raises
        ------
        TypeError, ValueError
            If something is missing or does not fit, or the format is newer than this version knows.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> start = tsode.Overlaps.random(model, N=100, rng=0)
        >>> ode = tsode.integrate(model, start, 30.0)
        >>> tsode.Trajectory.from_arrays(ode.to_arrays()).engine == ode.engine
        True
        """
        arrays = dict(_checks.instance("arrays", arrays, Mapping, "a mapping of str to ndarray"))
        own = arrays_of_averages(arrays)
        trajectory = cls(**fields_of(arrays) | {"averaged": cls.from_arrays(own) if own else None})
        if "excess_loss" in arrays:  # of an activation that the file does not hold
            loss, shape = _checks.real_array("excess_loss", arrays["excess_loss"]), trajectory.M.shape[:-2]
            if loss.shape != shape:
                raise ValueError(f"`excess_loss` must have shape {shape}, but has {loss.shape}")
            trajectory.__dict__["excess_loss"] = loss
        names = trajectory.model.rule.layout(trajectory.model).outputs
        if names:  # of functions that the file does not hold
            kept = {name: _checks.real_array(name, arrays.get(f"losses.{name}", np.nan)) for name in names}
            for name, loss in kept.items():
                if loss.shape != trajectory.M.shape[:-2]:
                    raise ValueError(f"`losses.{name}` must have shape {trajectory.M.shape[:-2]}, but has {loss.shape}")
            trajectory.__dict__["loss"] = kept
        return trajectory

    def to_xarray(self) -> xarray.Dataset:
        """Return an ``xarray.Dataset`` with dimensions (run,) alpha, student, student_2, teacher.

        Raises
        ------
        ImportError
            If xarray (extra ``scan``) is not installed.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> start = tsode.Overlaps.random(model, N=100, rng=0)
        >>> ode = tsode.integrate(model, start, 30.0)
        >>> dict(ode.to_xarray().sizes)
        {'alpha': 201, 'student': 2, 'teacher': 1, 'student_2': 2}
        """
        return to_dataset(self)

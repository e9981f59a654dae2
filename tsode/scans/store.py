"""Finished points on disk: one file a point, named by what it depends on, complete or absent.

joblib.Memory keeps results too, but it unpickles what it finds, and forgets all of a function's results when the
function changes. Here a file is an ``.npz`` archive that is read without pickle, and a changed function merely has
other names.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._files import read_npz, remove_stale, write_npz
from .._types import PathLike
from .._versions import versions
from .grids import exact_text
from .identity import function_digest, function_name
from .values import Values

__all__ = ["Store"]

Points = Sequence[Mapping[str, Any]]

FORMAT = 1
HEADER = "header"


class Store:
    """The finished points of one function in a folder; several processes may use it at once.

    Parameters
    ----------
    path : path-like
        The folder, made if it does not exist; files go to ``points`` in it.
    function : callable
        Whose points they are.

    Raises
    ------
    OSError
        If the folder cannot be made.
    TypeError
        If the function binds something that cannot be hashed.
    """

    def __init__(self, path: PathLike, function: Callable[..., Any]) -> None:
        self.folder = Path(path).absolute() / "points"  # workers may stand elsewhere
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_stale(self.folder)
        self.name, self.digest = function_name(function), function_digest(function)
        self.version = versions()["tsode"]

    def file(self, points: Points) -> Path:
        """Return the path of the file of some points: one, or those of a batch."""
        return self.folder / f"{self._address(points)}.npz"

    def read(self, points: Points, warn: bool = True) -> list[Values] | None:
        """Return the values of each point, name -> (dimensions, array), or None where there is no good file.

        A file that is truncated, or something else, is named in a warning.
        """
        file = self.file(points)
        try:
            return read_npz(file, lambda arrays: self._unpack(arrays, points))
        except FileNotFoundError:
            return None
        except Exception as error:  # a foreign file can break the readers of NumPy and zlib in any way
            if warn:
                reason = " ".join(str(error).rpartition(" is not: ")[2].split())
                warnings.warn(f"{file} is no finished point ({reason}); it is computed again", stacklevel=3)
            return None

    def write(self, points: Points, values: Sequence[Values]) -> None:
        """Write the values of some points, all of them or nothing."""
        header = {
            "format": FORMAT,
            "address": self._address(points),
            "function": self.name,
            "version": self.version,
            "points": [json.loads(exact_text(point)) for point in points],
            "dimensions": [{name: dims for name, (dims, _) in named.items()} for named in values],
        }
        arrays = {f"{i}.{name}": array for i, named in enumerate(values) for name, (_, array) in named.items()}
        self.folder.mkdir(parents=True, exist_ok=True)  # a worker may have another machine's disk
        write_npz(self.file(points), {HEADER: np.array(json.dumps(header)), **arrays})

    def _address(self, points):
        """Return a hash of the function, the exact points and the package's version."""
        text = json.dumps([self.digest, [exact_text(point) for point in points], self.version])
        return hashlib.sha256(text.encode()).hexdigest()

    def _unpack(self, arrays, points):
        header = json.loads(str(arrays[HEADER]))
        if header["format"] > FORMAT:
            raise ValueError(f"its format is {header['format']}, newer than {FORMAT}, which this version reads")
        if header["address"] != self._address(points):
            raise ValueError("it holds something else")
        return [
            {name: (tuple(dims), arrays[f"{i}.{name}"]) for name, dims in named.items()}
            for i, named in enumerate(header["dimensions"])
        ]

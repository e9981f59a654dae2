"""Files that are either complete or absent, and reading that trusts nothing."""

import contextlib
import io
import json
import os
import secrets
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ._types import PathLike

__all__ = ["atomic_path", "output_folder", "read_npz", "remove_stale", "write_json", "write_npz"]

T = TypeVar("T")

NAME_BYTES = 8  # of a partial file's name, which is random
STALE = 3600  # seconds without a write after which a partial file has lost its writer


@contextlib.contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; rename it to `path` on success, remove it on failure."""
    path = Path(path)
    temporary = path.with_name(
        f".{secrets.token_hex(NAME_BYTES)}.part"
    )  # not made of the name, which may be as long as can be
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # mostly there is none: its folder is missing, or no folder
            temporary.unlink()
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            # the user knows the other name; a full disk tells none
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def remove_stale(folder: Path) -> None:
    """Remove the partial files that killed processes have left in a folder.

    What another process is writing at this moment is younger, and stays.
    """
    for file in folder.glob(f".{'?' * 2 * NAME_BYTES}.part"):
        with contextlib.suppress(OSError):  # gone already, or not ours
            if time.time() - file.stat().st_mtime > STALE:
                file.unlink()


@contextlib.contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Make a folder and try it: a run of hours must not end at a place that cannot be written.

    On failure the folders made here are taken away again if nothing is in them.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        try:
            tempfile.TemporaryFile(dir=path).close()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        remove_stale(path)
        yield path
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def write_npz(path: PathLike, arrays: Mapping[str, Any]) -> None:
    """Write named arrays to an ``.npz`` file that appears only when it is complete."""
    with (
        atomic_path(path) as temporary,
        io.BufferedWriter(_FailsOnce(os.fspath(temporary), "w")) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays.items():  # as `numpy.savez_compressed` does, which leaves its archive open on failure
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


class _FailsOnce(io.FileIO):
    """A file that tells of a full disk once: what closes the archive and its buffer later is not to fail again."""

    full = False

    def write(self, data: Any) -> int:
        if self.full:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError:
            self.full = True
            raise


def write_json(path: PathLike, content: object) -> None:
    """Write plain numbers, strings, lists and dicts as JSON; nan is refused, since JSON has none."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def read_npz(path: PathLike, build: Callable[[dict[str, np.ndarray]], T]) -> T:
    """Return ``build(arrays)`` of an ``.npz`` file, without pickle.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is truncated, foreign, or not what `build` expects.
    """
    with open(path, "rb") as stream:
        try:
            return build(_arrays(stream))
        except Exception as error:  # a foreign file can break the readers of NumPy, zlib and JSON in any way
            reason = (
                f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__
            )
            raise ValueError(
                f"`path` must be a complete file of tsode, but {os.fspath(path)} is not: {reason}"
            ) from None


def _arrays(stream):
    """Return name -> array of an open ``.npz`` file, every one read to its end, which checks its sum."""
    if stream.read(4) != b"PK\x03\x04":
        raise ValueError("it is no .npz archive")
    stream.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a foreign file there is nothing more to be said than the refusal
        with np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

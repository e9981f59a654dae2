"""Where Numba keeps the compiled kernels, and which of them have to go."""

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import FunctionType

import numba

__all__ = ["drop_stale_kernels", "prepare"]

PACKAGE = Path(__file__).parent


def prepare(package: Path = PACKAGE) -> None:
    """Find a place for the kernels, before anything that is compiled is imported, and drop the stale ones there."""
    if numba.config.DISABLE_JIT:
        return
    try:
        folders = _folders(package)
    except RuntimeError:  # neither the package nor the user's own folder can be written
        _take_temporary_folder()
        folders = _folders(package)
    drop_stale_kernels(package, folders)


def drop_stale_kernels(package: Path = PACKAGE, folders: Iterable[Path] = ()) -> None:
    """Remove cached kernels, in the package and in `folders`, that are older than any source of the package.

    Numba compiles a kernel anew where its own file has changed, but not where a kernel that it calls has: after an
    edit or a pull, half of the physics would be the old one.
    """
    newest = max(source.stat().st_mtime_ns for source in package.rglob("*.py"))
    for cached in [*package.rglob("*.nb[ic]"), *(file for folder in folders for file in folder.glob("*.nb[ic]"))]:
        try:
            if cached.stat().st_mtime_ns < newest:
                cached.unlink()
        except OSError:  # another process was quicker, or the folder is not ours to write
            continue


def _folders(package):
    """Return where Numba would keep the kernels of the package's modules; RuntimeError if it finds no place."""
    found = set()
    for source in {file.parent: file for file in package.rglob("*.py")}.values():
        code = (lambda: None).__code__.replace(co_filename=str(source))  # Numba goes by the file of a function
        found.add(Path(numba.njit(cache=True)(FunctionType(code, {})).stats.cache_path))
    return found


def _take_temporary_folder():
    """Have Numba use a folder that goes when this process ends; processes that it starts use the same."""
    try:
        folder = tempfile.mkdtemp(prefix="tsode-kernels-")
    except OSError:
        raise OSError("no folder can be written: set NUMBA_CACHE_DIR to one that can, for compiled kernels") from None
    owner = os.getpid()
    # a fork of this process ends earlier than it, and must leave the folder alone
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = folder
    warnings.warn(
        "set NUMBA_CACHE_DIR to a folder that can be written: there is no other for compiled kernels, so that every "
        "new process has to compile them again",
        RuntimeWarning,
        stacklevel=3,
    )

"""Compiled kernels on disk that have to go."""

from pathlib import Path

__all__ = ["drop_stale_kernels"]


def drop_stale_kernels(package=Path(__file__).parent):
    """Remove cached kernels that are older than any source of the package.

    Numba compiles a kernel anew where its own file has changed, but not where a kernel that it calls has: after an
    edit or a pull, half of the physics would be the old one.
    """
    newest = max(source.stat().st_mtime_ns for source in package.rglob("*.py"))
    for cached in package.rglob("*.nb[ic]"):
        try:
            if cached.stat().st_mtime_ns < newest:
                cached.unlink()
        except OSError:  # another process was quicker, or the folder is not ours to write
            continue

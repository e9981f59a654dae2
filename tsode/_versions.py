"""What computed a result."""

import functools
import platform
from importlib.metadata import version

__all__ = ["versions"]


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python, tsode and the packages that compute."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("tsode", "numpy", "scipy", "numba")},
    }

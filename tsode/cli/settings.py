"""Settings of a command out of a TOML file, which flags override."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .._types import PathLike

__all__ = ["settings_of_file"]


def settings_of_file(path: PathLike | None, known: Collection[str]) -> dict[str, Any]:
    """Return the settings of a TOML file, the names as in the flags; none without a file."""
    if path is None:
        return {}
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef]
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # also what is no text
        raise ValueError(f"{os.fspath(path)} must be a TOML file, but is not: {error}") from None
    found = {name.replace("-", "_"): value for name, value in found.items()}
    for name in found:
        if name not in known:
            raise ValueError(f"{os.fspath(path)} must have some of {', '.join(known)}, but has {name!r}")
    return found

"""Settings of a command out of a TOML file, which flags override."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .._types import PathLike
from ..model import parameters

__all__ = ["settings_of_file", "with_flags"]

# flags that are no parameters of the model, and those that bear other names than the arguments that they are
FLAGS = (
    "dimension", "runs", "alpha_max", "seed", "engine", "out", "ratios", "sample_dimension", "threshold", "path",
    "jobs", "scheduler", "on_error",
)  # fmt: skip
OTHER_NAMES = {"N": "dimension", "n_jobs": "jobs"}


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


def with_flags(message: str) -> str:
    """Return a message with the flags of the command line in place of the names of arguments."""
    return re.sub(r"`(\w+)`", lambda found: _flag(found[1]) or found[0], message)


def _flag(name):
    name = OTHER_NAMES.get(name, name)
    return f"`--{name.replace('_', '-')}`" if name in FLAGS or name in parameters() else None

"""Files that are either complete or absent, and reading that trusts nothing."""

import contextlib
import json
import os
import secrets
import zipfile
import zlib
from pathlib import Path

import numpy as np

__all__ = ["atomic_path", "read_npz", "write_json", "write_npz"]


@contextlib.contextmanager
def atomic_path(path):
    """Give a temporary name in the folder of `path`; rename it to `path` on success, remove it on failure."""
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")  # not made of the name, which may be as long as can be
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_npz(path, arrays):
    """Write named arrays to an ``.npz`` file that appears only when it is complete."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def write_json(path, content):
    """Write plain numbers, strings, lists and dicts as JSON; nan is refused, since JSON has none."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def read_npz(path, build):
    """Return ``build(arrays)`` of an ``.npz`` file, without pickle.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated, foreign, or not what `build` expects.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return build({name: file[name] for name in file.files})
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"`path` must be a complete file of tsode, but {os.fspath(path)} is not: {reason}") from None

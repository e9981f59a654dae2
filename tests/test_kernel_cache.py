"""No result comes from a kernel compiled before the source changed."""

import os
import subprocess
import sys

from tsode._kernel_cache import drop_stale_kernels


def test_only_kernels_older_than_a_source_go(tmp_path):
    files = {"a.py": 10, "room/b.py": 30, "room/__pycache__/b.nbi": 29, "room/__pycache__/b.1.nbc": 31, "a.nbc": 9}
    for name, time in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (time, time))
    drop_stale_kernels(tmp_path)
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {"a.py", "room/b.py", "room/__pycache__/b.1.nbc"}


def test_kernel_follows_a_change_of_what_it_calls(tmp_path):
    """A kernel in one module that calls one in another, run, changed and run again with the cache of the first run."""
    package = tmp_path / "pair"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pathlib import Path\nfrom tsode._kernel_cache import drop_stale_kernels\n"
        "drop_stale_kernels(Path(__file__).parent)\n"
    )
    (package / "outer.py").write_text(
        "from numba import njit\nfrom .inner import g\n@njit(cache=True)\ndef f(x):\n    return g(x)\n"
    )
    found = []
    for source in ("1", "2"):
        (package / "inner.py").write_text(
            f"from numba import njit\n@njit(cache=True)\ndef g(x):\n    return {source}\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", "from pair.outer import f; print(f(0))"],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(run.stdout.strip())
    assert found == ["1", "2"]
    assert any(package.rglob("*.nbi"))

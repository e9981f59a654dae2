"""No result comes from a kernel compiled before the source changed, and none needs a folder to keep kernels in."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tsode
from tsode._compiled import step_function
from tsode._kernel_cache import drop_stale_kernels
from tsode.ode import adjoint, rates


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


@pytest.mark.slow
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


@pytest.fixture
def closed(tmp_path):
    """Environment where package and home cannot be written, not even by root: files stand where folders should be."""
    package = tmp_path / "site" / "tsode"
    shutil.copytree(Path(tsode.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in {source.parent for source in package.rglob("*.py")}:
        (folder / "__pycache__").touch()
    (tmp_path / "home").touch()
    (tmp_path / "temporary").mkdir()
    home = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA"), str(tmp_path / "home"))
    kept = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    return {**kept, **home, "PYTHONPATH": str(package.parent), "TMPDIR": str(tmp_path / "temporary")}


def python(code, environment, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=environment["PYTHONPATH"], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_without_a_writable_folder_kernels_are_compiled_for_the_process_alone(closed, tmp_path):
    code = (
        "import subprocess, sys, tsode, numpy as np; print(tsode.__file__)\n"
        "from tsode.sgd.random_numbers import sign_lanes\n"
        "out = np.zeros(1); sign_lanes(np.ones((4, 1), dtype=np.uint64), out); print(out[0])\n"
        "subprocess.run([sys.executable, '-W', 'error', '-c', 'import tsode'], check=True)\n"
    )
    run = python(code, closed)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [str(tmp_path / "site" / "tsode" / "__init__.py"), "1.0"]
    assert run.stderr.count("Warning") == 1
    assert "RuntimeWarning: set NUMBA_CACHE_DIR to a folder that can be written" in run.stderr
    assert list((tmp_path / "temporary").iterdir()) == []
    nowhere = python("import tsode", {**closed, "NUMBA_CACHE_DIR": closed["HOME"]})  # a folder that is none
    assert (nowhere.returncode, nowhere.stderr.count("set NUMBA_CACHE_DIR")) == (0, 1)


@pytest.mark.slow
def test_kernels_in_the_folder_of_numba_cache_dir_are_kept_until_a_source_changes(closed, tmp_path):
    kernels = {**closed, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    code = "import tsode"
    assert python(code, kernels, "-W", "error").returncode == 0
    folder = next(folder for folder in (tmp_path / "kernels").iterdir() if folder.name.startswith("tsode_"))
    (folder / "ode.rhs_kernel.nbi").touch()
    assert python(code, kernels, "-W", "error").returncode == 0
    assert [file.name for file in folder.iterdir()] == ["ode.rhs_kernel.nbi"]
    changed = (folder / "ode.rhs_kernel.nbi").stat().st_mtime + 10
    os.utime(tmp_path / "site" / "tsode" / "sgd" / "chain.py", (changed, changed))
    assert python(code, kernels, "-W", "error").returncode == 0
    assert list(folder.iterdir()) == []


def test_kernels_of_two_activations_have_two_names():
    """Numba numbers what a process compiles: names made of that number alone would make the one out of the other."""
    square, erf = (tsode.TeacherStudent(2, 2, 0.3, activation=name) for name in ("quadratic", "erf"))
    for kernel in (
        lambda model: rates.rates_function(model.rule.averages(model), False).compiled,
        lambda model: adjoint.pullback_function(model.rule.averages(model)).compiled,
        lambda model: step_function(model.rule.step(model), True).compiled,
        lambda model: step_function(model.rule.step(model), False).compiled,
    ):
        assert kernel(square).__name__ != kernel(erf).__name__


@pytest.mark.slow
def test_two_activations_from_the_caches_of_two_processes(tmp_path):
    script = (
        "import sys, tsode\n"
        "for name in sys.argv[1:]:\n"
        "    model = tsode.TeacherStudent(2, 2, 0.3, activation=name)\n"
        "    start = tsode.Overlaps.random(model, 30, rng=0)\n"
        "    sgd = tsode.simulate(model, start, [0.0, 1.0], N=30)\n"
        "    print(tsode.integrate(model, start, [0.0, 1.0]).Q[-1, 0, 0], sgd.Q[0, -1, 0, 0])\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def lines(*names):
        run = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr
        return run.stdout.splitlines()

    quadratic, erf = lines("quadratic"), lines("erf")  # each compiled in a process of its own
    assert quadratic != erf
    assert lines("quadratic", "erf") == quadratic + erf
    assert lines("erf", "quadratic") == erf + quadratic


@pytest.mark.slow
def test_nothing_is_compiled_after_the_warm_up(tmp_path):
    """By the examples of all public functions and the engines for every activation, each in a process of its own."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "tsode", "warm-up"], env=environment, check=True)
    script = Path(__file__).with_name("first_calls.py")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment)
    found = {name: names for name, _, names in map(json.loads, run.stdout.splitlines())}
    assert len(found) > 140
    assert {name: names for name, names in found.items() if names} == {}

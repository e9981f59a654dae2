"""One mutant met by its tests, in a child of a process that has run them all: imports and kernels are there.

The child imports the mutant, what depends on it and the tests anew; what lies below it stays as it is. Kernels of what
is imported anew are compiled anew, if the mutant may be part of them.
"""

import functools
import importlib
import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
import time

import numba
import pytest
from covering import ADDOPTS, OPTIONS
from mutants import ROOT, Finder, is_of_kernels, module_name, mutated


def attempt(task):
    """Return the record of one mutant with its outcome: "survived", or what killed it."""
    mutant, tests, spent = task
    code, before, after = mutated(mutant)
    record = {**mutant, "before": before, "after": after, "tests": len(tests), "by": ""}
    try:
        compile(code, mutant["path"], "exec")
    except SyntaxError:  # ** of a call is no power
        return {**record, "outcome": "no program"}
    if not tests:
        return {**record, "outcome": "survived"}
    with tempfile.TemporaryDirectory() as kernels:
        apart = kernels if is_of_kernels(mutant["path"]) else None
        outcome, failed = in_child({mutant["path"]: code}, tests, spent, ["-x"], apart)
    return {**record, "outcome": outcome, "by": failed[0] if failed else ""}


def failing_by_themselves(tests, paths, spent):
    """Return those of the tests that fail with nothing broken, in a child that imports some modules anew."""
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}
    outcome, failed = in_child(sources, sorted(tests), spent, [])
    return tests if outcome == "killed, without end" else set(failed)


def in_child(codes, tests, spent, options, kernels=None):
    """Run tests in a child with the modules as in `codes`; return outcome and failures."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        if kernels:
            os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = kernels
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, 60 + 3 * spent)  # a clock that covering.py stops while the compiler works
        run_child(codes, [*tests, *OPTIONS, *ADDOPTS, *options], writer)
    os.close(writer)
    outcome = wait(child, time.monotonic() + 20 * (30 + 3 * spent))  # a test may wait, on a loaded machine for long
    with os.fdopen(reader, "rb") as pipe:
        return outcome, pipe.read().decode().splitlines()


def run_child(codes, arguments, writer):
    """Run tests on a mutant; never return."""
    os.setsid()
    multiprocessing.current_process()._config["daemon"] = False  # inherited from the pool; joblib would warn
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    status = 70
    try:
        names = forget(codes)
        sys.dont_write_bytecode = True
        sys.meta_path.insert(0, Finder(codes))
        import_anew(names - {"tsode.__main__"})
        status = int(pytest.main(arguments, plugins=[Killer(writer)]))
    finally:
        os._exit(status)


@functools.cache
def graph():
    """Return who imports whom in the package."""
    import grimp

    return grimp.build_graph("tsode", cache_dir=None, exclude_type_checking_imports=True)


def forget(paths):
    """Drop these modules, what depends on them, and the tests, from what is imported; return the names."""
    names = {"tsode", *map(module_name, paths)}
    names |= {above for name in names for above in graph().find_downstream_modules(name)}
    tests, mine = str(ROOT / "tests") + os.sep, str(pathlib.Path(__file__).parent)
    for name, module in list(sys.modules.items()):
        file = str(getattr(module, "__file__", None))
        of_tests = file.endswith("conftest.py") or (file.startswith(tests) and not file.startswith(mine))
        if name in names or of_tests:
            del sys.modules[name]
            package, _, leaf = name.rpartition(".")
            vars(sys.modules.get(package, sys)).pop(leaf, None)
    return names


def import_anew(names):
    """Import what was dropped; a package gets back those of its modules that stayed."""
    try:
        for name in sorted(names):
            importlib.import_module(name)
    except Exception:  # a mutant that cannot be imported: so will the tests say
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("tsode."):
            package, _, leaf = name.rpartition(".")
            vars(sys.modules[package]).setdefault(leaf, module)


class Killer:
    """Pytest plugin that writes the names of failures into a pipe."""

    def __init__(self, writer):
        self.writer = writer

    def pytest_runtest_logreport(self, report):
        if report.failed:
            os.write(self.writer, report.nodeid.encode() + b"\n")

    def pytest_collectreport(self, report):
        if report.failed:
            os.write(self.writer, b"import of " + report.nodeid.encode() + b"\n")


def wait(child, deadline):
    """Return the outcome of a child that may have to be stopped."""
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            if code == 5:
                return "not run"
            endless = code in (-signal.SIGPROF, -signal.SIGKILL)
            return "survived" if code == 0 else "killed, without end" if endless else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed, without end"

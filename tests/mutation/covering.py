"""Which tests run a statement: a table on disk of what each quick test runs, made with coverage, and marks in kernels.

A file of tests is run, as one of many in this process, when the table does not know it, or when it or a source that its
tests ran has changed since.
"""

import ast
import collections
import functools
import hashlib
import json
import pathlib
import re
import signal
import sys
import time

import coverage
import joblib
import numba.core.event
import numpy as np
import pytest
from marks import marked_modules, met
from mutants import ROOT, Finder, first_lines, is_of_kernels

OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--continue-on-collection-errors")
ADDOPTS = ("-o", "addopts=--doctest-modules -m 'not slow or quick'")  # the second: cases of which some are quick
LONGEST = 4.0  # seconds of processor time: a test that takes longer takes no part; its set-up may take three times that
QUICK = 0.03  # seconds: no test costs less
PATTERN = re.DOTALL | re.MULTILINE
OWN = 0.2  # a test of the mutant's own room comes before others that take this fraction of its time
OF_DEFAULTS = "tests/test_defaults.py::test_defaults["  # reads heads of functions, and runs none
LEFT_OUT = {
    # minutes each
    "test_notebooks.py", "test_claims.py", "test_bad_inputs_sweep.py",
    # in processes of their own, where no mutant is
    "test_scans_crash.py", "test_scans_dask.py", "test_kernel_cache.py", "test_faults.py",
    # of documents
    "test_docs.py", "test_docstrings.py", "test_requirements.py",
}  # fmt: skip
IN_PROCESSES = (
    "another_process", "in_processes", "of_joblib", "kernel_of_a_notebook", "module_form", "ctrl_c_on",
    "import_leaves", "cannot_travel", "depends_on_the_point_alone", "names_the_point[2]", "lists_the_points[2]",
)  # fmt: skip


class Table:
    """What each test runs: {file of tests: its tests, with seconds and statements}, kept in a file of one line each."""

    def __init__(self, kept):
        self.kept, self.entries = kept, {}
        lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
        for entry in map(json.loads, lines):
            if all(digest(path) == known for path, known in entry["sources"].items()):
                self.entries[entry["file"]] = entry

    def add(self, entry):
        """Keep what the tests of a file run."""
        self.entries[entry["file"]] = entry
        with open(self.kept, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def tests_of(self, path, statement, budget):
        """Return the tests that run a statement, within a budget of seconds, quick and own ones first.

        Each case of a test comes as late as if it took as long as all cases before it together.
        """
        wanted, timed = served(path)[statement], []
        for entry in self.entries.values():
            for test, (seconds, ran) in entry["tests"].items():
                reads = wanted != {statement} and test.startswith(OF_DEFAULTS)
                if reads or not wanted.isdisjoint(ran.get(path, ())):
                    own = any(word in test.split("::")[0] for word in words_of(path))
                    timed.append((seconds, test, 0.0 if reads else OWN if own else 1.0))
        cases, ranked = collections.Counter(), []
        for seconds, test, weight in sorted(timed):
            cases[test.split("[")[0]] += seconds
            ranked.append((weight * cases[test.split("[")[0]], seconds, test))
        chosen, spent = [], 0.0
        for _, seconds, test in sorted(ranked):
            if chosen and spent + seconds > budget:
                break
            chosen.append(test)
            spent += seconds
        return chosen, spent


def digest(path):
    """Return what tells one version of a file from another."""
    file = ROOT / path
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


@functools.cache
def served(path):
    """Return {statement: statements of which one is run wherever it counts} of a module.

    Most count where they are run. The head of a function is run at import, and counts in the function; all else that is
    run at import, such as a constant, or a function that makes one, counts in every function.
    """
    first = first_lines_of(path)
    bodies, heads, called, at_import = {}, {}, set(), collections.deque([ast.parse(text(path))])
    while at_import:
        for child in getattr(at_import.popleft(), "body", []):
            if isinstance(child, ast.FunctionDef):
                lines = {first[line] for line in range(child.body[0].lineno, child.end_lineno + 1)}
                bodies[child.name] = heads[child.lineno] = lines
            else:
                at_import.append(child)
                called |= {node.func.id for node in calls_of(child) if isinstance(node.func, ast.Name)}
    inside = set().union(*heads.values())
    alone = inside.difference(*(bodies[name] for name in called & bodies.keys()))
    return {line: heads.get(line) or ({line} if line in alone else inside) for line in set(first.values())}


def calls_of(statement):
    """Return the calls in a statement that is run at import, without those of what it defines."""
    if isinstance(statement, ast.ClassDef):
        return []
    return [node for node in ast.walk(statement) if isinstance(node, ast.Call)]


class Compiling(numba.core.event.Listener):
    """Stops the clock of a test while the compiler works: what it makes is kept for the next time."""

    def __init__(self):
        self.depth, self.seconds = 0, 0.0

    def on_start(self, event):
        if not self.depth:
            self.left, self.since = signal.setitimer(signal.ITIMER_PROF, 0), time.process_time()
        self.depth += 1

    def on_end(self, event):
        self.depth -= 1
        if not self.depth:
            self.seconds += time.process_time() - self.since
            signal.setitimer(signal.ITIMER_PROF, *self.left)


compiling = Compiling()
numba.core.event.register("numba:compiler_lock", compiling)


class Watch:
    """Pytest plugin: adds to the table what the tests of each file run, and in what processor time, for so long.

    Other work on the machine changes no processor time. A test that takes too long fails, and takes no part.
    """

    def __init__(self, table, places, seconds):
        self.table, self.places = table, places
        self.ends = self.clock() + seconds
        signal.signal(signal.SIGPROF, lambda *_: pytest.fail("takes too long to take part"))
        self.begin()

    def begin(self):
        """Begin a file."""
        self.seconds, self.fixtures = {}, {}  # processor time of tests that passed; fixtures that several share
        self.met = {}  # what each test ran in kernels
        self.coverage = coverage.Coverage(data_file=None, source=[str(ROOT / "tsode")], config_file=False)
        self.coverage.set_option("run:disable_warnings", ["no-data-collected", "already-imported"])

    def clock(self):
        """Return the seconds of processor time that this process took, without compiling."""
        return time.process_time() - compiling.seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        took_part = yield
        file = item.nodeid.split("::")[0]
        if nextitem is None or nextitem.nodeid.split("::")[0] != file:
            self.table.add(self.entry(file))
            self.begin()
            if self.clock() > self.ends:
                item.session.shouldstop = "the rest waits for the next call"
        return took_part

    def pytest_runtest_logstart(self):
        forget_results()
        self.start, self.failed = self.clock(), False
        met[:] = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        if any(word in item.name for word in IN_PROCESSES):
            pytest.skip("runs in other processes, where no mutant is")
        self.coverage.start()
        self.coverage.switch_context(item.nodeid)
        signal.setitimer(signal.ITIMER_PROF, 3 * LONGEST, LONGEST)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        asked_for, last = getattr(item, "_fixtureinfo", None), {}
        if asked_for:  # not a doctest
            last = {name: asked_for.name2fixturedefs.get(name, (None,))[-1] for name in asked_for.argnames}
        self.fixtures[item.nodeid] = {name for name, found in last.items() if found and found.scope != "function"}
        signal.setitimer(signal.ITIMER_PROF, LONGEST, LONGEST)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self):
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.coverage.stop()

    def pytest_runtest_logreport(self, report):
        self.failed |= report.outcome != "passed"
        self.met[report.nodeid] = [self.places[number] for number in np.flatnonzero(met)]
        if report.when == "teardown" and not self.failed:
            self.seconds[report.nodeid] = max(self.clock() - self.start, QUICK)

    def entry(self, file):
        """Return what the table keeps of a file; what one test runs is judged by all that share a fixture with it.

        For the fixture is made for the first of them, and may keep what it finds out later.
        """
        data, ran = self.coverage.get_data(), collections.defaultdict(lambda: collections.defaultdict(set))
        for full in data.measured_files():
            path = str(pathlib.Path(full).relative_to(ROOT))
            first = first_lines_of(path)
            for line, contexts in data.contexts_by_lineno(full).items():
                for context in contexts:
                    ran[context][path].add(first[line])
        for test, places in self.met.items():
            for path, line in places:
                ran[test][path].add(line)
        tests, sources = {}, {file}
        for test, seconds in self.seconds.items():
            mine = self.fixtures[test]
            parts = [ran[other] for other, theirs in self.fixtures.items() if other == test or mine & theirs]
            paths = sorted(set().union(*parts))
            tests[test] = seconds, {path: sorted(set().union(*(part[path] for part in parts))) for path in paths}
            sources.update(paths)
        return {"file": file, "sources": {path: digest(path) for path in sorted(sources)}, "tests": tests}


def forget_results():
    """Empty the caches of functions, so that the next test runs them; compiled ones stay."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tsode.") and not of_kernels(name):
            for value in list(vars(module).values()):
                if getattr(value, "__module__", "") == name and hasattr(value, "cache_clear"):
                    value.cache_clear()


@functools.cache
def of_kernels(name):
    path = name.replace(".", "/") + ".py"
    return not (ROOT / path).exists() or is_of_kernels(path)


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


@functools.cache
def first_lines_of(path):
    return first_lines(text(path))


def words_of(path):
    """Return what the tests of a module have in their file's name: tests of studies are in test_study.py."""
    parts = pathlib.Path(path).with_suffix("").parts[1:]
    return [part.strip("_").removesuffix("s").removesuffix("ie") for part in parts]


def files_of_tests(paths):
    """Return the files of tests, and modules with doctests, those first that speak of most of the given modules."""
    public = [set(re.findall(r'"(\w+)"', re.search(r"^__all__ = (.*?\])|$", text(path), PATTERN)[0])) for path in paths]
    files = [str(file.relative_to(ROOT)) for file in sorted((ROOT / "tests").glob("test_*.py"))]
    files = [file for file in files if pathlib.Path(file).name not in LEFT_OUT]
    files += [str(file.relative_to(ROOT)) for file in sorted((ROOT / "tsode").rglob("*.py")) if ">>>" in text(file)]

    def closeness(file):
        words = set(re.findall(r"\w+", text(file)))
        own = (any(word in pathlib.Path(file).name for word in words_of(path)) for path in paths)
        return sum(map(bool, own)) + sum(not words.isdisjoint(names) for names in public)

    return sorted(files, key=closeness, reverse=True)


def watch(table, paths, seconds):
    """Put marks in kernels, and add to the table what it does not know, for so many seconds.

    Files that are close to some modules come first.
    """
    trees, places = marked_modules()
    sys.meta_path.insert(0, Finder(trees))
    joblib.parallel_config(backend="threading")  # no mutant is in other processes
    files = [file for file in files_of_tests(paths) if file not in table.entries]
    if files:
        pytest.main([*files, *OPTIONS, *ADDOPTS], plugins=[Watch(table, places, seconds)])


def run(tests):
    """Run tests in this process: what they import and compile is there for its children."""
    if tests:
        pytest.main([*sorted(tests), *OPTIONS, *ADDOPTS])

"""Which tests run a statement: one run of pytest in this process, with marks in the modules that will be broken."""

import ast
import builtins
import collections
import pathlib
import re
import signal
import sys
import time

import joblib
import numba.core.event
import pytest
from mutants import ROOT, module_name

OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--continue-on-collection-errors")
ADDOPTS = ("-o", "addopts=--doctest-modules -m 'not slow'")
LONGEST = 3.0  # seconds of processor time: a test that takes longer takes no part; its set-up may take three times that
PATIENCE = 1.0, 8.0  # seconds that a test with many cases, and a file, may spend on what runs no mark
QUICK = 0.03  # seconds: no test costs less
OWN = 0.2  # a test of the mutant's own room comes before others that take this fraction of its time
LEFT_OUT = {
    # minutes each
    "test_notebooks.py", "test_claims.py", "test_bad_inputs_sweep.py",
    # in processes of their own, where no mutant is
    "test_scans_crash.py", "test_scans_dask.py", "test_kernel_cache.py", "test_faults.py",
    # of documents
    "test_docs.py", "test_docstrings.py", "test_requirements.py",
}  # fmt: skip
IN_PROCESSES = (
    "another_process", "in_processes", "of_joblib", "kernel_of_a_notebook", "module_form", "ctrl_c",
    "import_leaves", "cannot_travel", "depends_on_the_point_alone", "names_the_point[2]", "lists_the_points[2]",
)  # fmt: skip


class Marks(ast.NodeTransformer):
    """Put `__ran__(path, line)` in front of every wanted statement of a module.

    What runs at import only is marked where a function begins: its own one if it is the head of a function, all others
    of the module if it is a constant.
    """

    def __init__(self, path, lines):
        self.path, self.lines = path, lines
        self.inside = False

    def mark(self, line, place):
        """Return the statement that marks a line."""
        mark = ast.parse(f"__ran__(({self.path!r}, {line}))").body[0]
        return ast.fix_missing_locations(ast.copy_location(mark, place))

    def visit_Module(self, node):
        heads = {n.lineno for n in ast.walk(node) if isinstance(n, ast.FunctionDef)}
        at_import = collections.deque([node])
        self.constants = []
        while at_import:
            for child in getattr(at_import.popleft(), "body", []):
                if not isinstance(child, ast.FunctionDef):
                    self.constants += [child.lineno] if child.lineno in self.lines - heads else []
                    at_import.append(child)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node):
        outer, self.inside = self.inside, True
        self.generic_visit(node)
        self.inside = outer
        if not outer:
            wanted = self.constants + [node.lineno] * (node.lineno in self.lines)
            documented = ast.get_docstring(node) is not None
            node.body[documented:documented] = [self.mark(line, node.body[0]) for line in wanted]
        return node

    def generic_visit(self, node):
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if self.inside and isinstance(block, list):
                marked = [[self.mark(part.lineno, part)] * (part.lineno in self.lines) + [part] for part in block]
                setattr(node, name, [part for parts in marked for part in parts])
        return node


class Finder:
    """Import hook that compiles some modules from other source, or trees: {path: code}."""

    def __init__(self, codes):
        self.codes = {module_name(path): (path, code) for path, code in codes.items()}

    def find_spec(self, name, path=None, target=None):
        import importlib.util

        if name not in self.codes:
            return None
        return importlib.util.spec_from_file_location(name, ROOT / self.codes[name][0], loader=self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        path, code = self.codes[module.__name__]
        exec(compile(code, str(ROOT / path), "exec"), module.__dict__)

    def get_source(self, name):
        path, code = self.codes[name]
        return code if isinstance(code, str) else (ROOT / path).read_text(encoding="utf-8")


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


class Watch:
    """Pytest plugin: notes which tests run which marks, in what processor time, and stops when that will do.

    Other work on the machine changes no processor time. A test that takes too long fails; the other cases of a test, or
    of a file, are left when it has spent its patience on cases that run no mark that wants more tests.
    """

    def __init__(self, statements, enough, budget):
        self.compiling = Compiling()
        self.enough, self.ends = enough, self.clock() + budget
        self.wanted = dict.fromkeys(statements, 0.0)  # seconds of tests of each
        self.runs = collections.defaultdict(set)  # {test: statements}
        self.seconds = {}  # {test: processor time}, of those that passed
        self.shared = collections.defaultdict(set)  # {(file, fixture): statements}: made for one test, judged by others
        self.fixtures = {}  # {test: those that are shared}
        self.idle = collections.Counter()
        self.met = set()  # tests that were run
        self.close = None  # {file: modules} in a first round, in which a file is left that is close to none that waits
        self.now, self.failed = set(), False
        builtins.__ran__ = self.ran
        numba.core.event.register("numba:compiler_lock", self.compiling)
        signal.signal(signal.SIGPROF, lambda *_: pytest.fail("takes too long to take part"))

    def ran(self, statement):
        self.now.add(statement)

    def clock(self):
        """Return the seconds of processor time that this process took, without compiling."""
        return time.process_time() - self.compiling.seconds

    def pytest_runtest_protocol(self, item):
        """Leave a test, if that is best, as if it were not there."""
        name, file = item.nodeid.split("[")[0], item.nodeid.split("::")[0]
        done = not self.wanted or self.clock() > self.ends or item.nodeid in self.met
        if self.close is not None and not any(path in self.close.get(file, ()) for path, _ in self.wanted):
            return True
        elsewhere = any(word in item.name for word in IN_PROCESSES)
        if done or elsewhere or self.idle[name] > PATIENCE[0] or self.idle[file] > PATIENCE[1]:
            return True
        self.met.add(item.nodeid)
        return None

    def pytest_runtest_logstart(self):
        self.start, self.failed = self.clock(), False
        self.now.clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        signal.setitimer(signal.ITIMER_PROF, 3 * LONGEST, LONGEST)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        definitions = item._fixtureinfo.name2fixturedefs if hasattr(item, "_fixtureinfo") else {}
        file = item.nodeid.split("::")[0]
        mine = {(file, name) for name, found in definitions.items() if found[-1].scope != "function"}
        self.fixtures[item.nodeid] = mine
        for fixture in mine:
            self.shared[fixture] |= self.now
        signal.setitimer(signal.ITIMER_PROF, LONGEST, LONGEST)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self):
        signal.setitimer(signal.ITIMER_PROF, 0)

    def pytest_runtest_logreport(self, report):
        self.failed |= report.outcome != "passed"
        if report.when != "teardown":
            return
        seconds = self.clock() - self.start
        for name in (report.nodeid.split("[")[0], report.nodeid.split("::")[0]):
            self.idle[name] += 0 if not self.failed and self.now & self.wanted.keys() else seconds
        if self.failed:
            return
        self.seconds[report.nodeid] = max(seconds, QUICK)
        self.runs[report.nodeid] = set(self.now)
        for statement in self.now & self.wanted.keys():
            self.wanted[statement] += max(seconds, QUICK)
            if self.wanted[statement] > self.enough:
                del self.wanted[statement]

    def tests_of(self, path, line, budget):
        """Return the tests that run a statement, within a budget of seconds, quick and own ones first."""
        timed = []
        for test, seconds in self.seconds.items():
            statements = self.runs[test].union(*(self.shared[fixture] for fixture in self.fixtures.get(test, ())))
            if (path, line) in statements:
                own = any(word in test.split("::")[0] for word in words_of(path))
                timed.append((seconds * (OWN if own else 1.0), seconds, test))
        chosen, spent = [], 0.0
        for _, seconds, test in sorted(timed):
            if chosen and spent + seconds > budget:
                break
            chosen.append(test)
            spent += seconds
        return chosen, spent


def words_of(path):
    """Return what the tests of a module have in their file's name: tests of studies are in test_study.py."""
    parts = pathlib.Path(path).with_suffix("").parts[1:]
    return [part.strip("_").removesuffix("s").removesuffix("ie") for part in parts]


def close_files(statements):
    """Return {file: paths of modules}: files of tests by name or words, those close to most statements first."""
    close = collections.defaultdict(set)
    texts = {file: file.read_text(encoding="utf-8") for file in sorted((ROOT / "tests").glob("test_*.py"))}
    words = {file: set(re.findall(r"\w+", text)) for file, text in texts.items() if file.name not in LEFT_OUT}
    weights = collections.Counter(path for path, _ in statements)
    for path in sorted(weights):
        found = re.search(r"^__all__ = \[(.*?)\]", (ROOT / path).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        public = set(re.findall(r'"(\w+)"', found[1])) if found else set()
        for file in words:
            if public & words[file] or any(word in file.name for word in words_of(path)):
                close[str(file.relative_to(ROOT))].add(path)
        close[path].add(path)  # its doctests
    close |= {str(file.relative_to(ROOT)): set() for file in words if str(file.relative_to(ROOT)) not in close}
    return dict(sorted(close.items(), key=lambda item: -sum(weights[path] for path in item[1])))


def watch(statements, enough, budget):
    """Run the tests on marked modules; return the Watch."""
    lines = collections.defaultdict(set)
    for path, line in statements:
        lines[path].add(line)
    trees = {
        path: Marks(path, wanted).visit(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        for path, wanted in lines.items()
    }
    joblib.parallel_config(backend="threading")  # no mutant is in other processes
    finder, watching = Finder(trees), Watch(statements, enough, budget)
    sys.meta_path.insert(0, finder)
    files = close_files(statements)
    for watching.close in (files, None):
        if watching.wanted:
            pytest.main([*files, *OPTIONS, *ADDOPTS], plugins=[watching])
    sys.meta_path.remove(finder)
    return watching

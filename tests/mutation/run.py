r"""Mutation testing of the physics: change one operator or number at a time, and see whether a test notices.

    python tests/mutation/run.py cover     # once: which test runs which line, and for how long
    python tests/mutation/run.py break     # all mutants; what is known already in the output folder is kept
    python tests/mutation/run.py report    # score by module, and the survivors

The mutants are those of cosmic-ray, one replacement for each operator (`OPERATORS`) and both neighbours of every
number. The compiler is off, so that the kernels count and their lines can be told. A mutant meets the tests that
run its line, those of its room and the quickest first, until one fails or the next would exceed the budget. It is
compiled in a child of a process that has imported the libraries, and no file is changed. What fails to import or
to end is killed, too.
"""

import argparse
import ast
import collections
import json
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

ENVIRONMENT = {
    "NUMBA_DISABLE_JIT": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}  # fmt: skip
ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "mutation"
PHYSICS = (
    "model", "moments", "overlaps", "ode", "ode_batch", "sgd", "fixed_points", "plateaus", "escape",
    "_log_inverse_gamma", "manifold", "hessian",
)  # fmt: skip
# Left out: notebooks and claims (minutes each), and what runs in processes of its own, where no mutant is.
LEFT_OUT = ("tests/test_notebooks.py", "tests/test_claims.py", "tests/test_scans_crash.py", "tsode/__main__.py")
OPERATORS = """
    ReplaceBinaryOperator_Add_Sub ReplaceBinaryOperator_Sub_Add ReplaceBinaryOperator_Mul_Div
    ReplaceBinaryOperator_Div_Mul ReplaceBinaryOperator_Pow_Mul ReplaceBinaryOperator_FloorDiv_Mul
    ReplaceBinaryOperator_Mod_FloorDiv ReplaceBinaryOperator_BitAnd_BitOr ReplaceBinaryOperator_BitOr_BitAnd
    ReplaceBinaryOperator_BitXor_BitOr ReplaceBinaryOperator_RShift_LShift ReplaceBinaryOperator_LShift_RShift
    ReplaceComparisonOperator_Lt_LtE ReplaceComparisonOperator_LtE_Lt ReplaceComparisonOperator_Gt_GtE
    ReplaceComparisonOperator_GtE_Gt ReplaceComparisonOperator_Eq_NotEq ReplaceComparisonOperator_NotEq_Eq
    ReplaceComparisonOperator_Is_IsNot ReplaceComparisonOperator_IsNot_Is
    ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Invert ReplaceUnaryOperator_Delete_Not
    AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd
    ReplaceBreakWithContinue ReplaceContinueWithBreak NumberReplacer ZeroIterationForLoop
"""
OWN = 0.2  # a test of the mutant's own room comes before others that take this fraction of its time
SECONDS_A_TEST = 6  # what takes longer without the compiler takes no part


def main():
    parser = argparse.ArgumentParser(description="Mutation testing of the physics modules.")
    parser.add_argument("command", choices=["cover", "break", "report"])
    parser.add_argument("--modules", nargs="+", default=PHYSICS, help="modules or packages below tsode")
    parser.add_argument("--budget", type=float, default=15.0, help="seconds of tests that a mutant meets")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tests", nargs="+", default=[], help="cover: only these tests, beside what is known already")
    parser.add_argument("--again", action="store_true", help="only what survived so far, against the tests as they are")
    options = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    os.chdir(ROOT)
    OUT.mkdir(parents=True, exist_ok=True)
    if options.command == "cover":
        return cover(options.processes, options.tests)
    modules = [path for name in options.modules for path in module_files(name)]
    if options.command == "break":
        return break_all(modules, options)
    return report(modules)


def module_files(name):
    """Return the files of a module or a package."""
    path = ROOT / "tsode" / name
    files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [str(file.relative_to(ROOT)) for file in files if file.name != "__init__.py"]


# Which test runs which line ------------------------------------------------------------------------------------------


def cover(processes, tests):
    """Run all quick tests, or some, without the compiler; note lines and seconds of every test that passes."""
    ignored = " ".join(f"--ignore={path}" for path in LEFT_OUT)
    report = OUT / f"tests-{len(list(OUT.glob('tests-*.xml')))}.xml"
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_DISABLE_PLUGIN_AUTOLOAD"}
    subprocess.run(
        [
            sys.executable, "-m", "pytest", *tests, "-q", "-n", str(processes), f"--timeout={SECONDS_A_TEST}",
            "--cov=tsode", "--cov-context=test", "--cov-report=term", "--cov-append", "-p", "no:cacheprovider",
            f"--junitxml={report}", "-o", "junit_family=xunit1",
            "-o", f"addopts=--doctest-modules -m 'not slow' {ignored}",
        ],
        env={**environment, "COVERAGE_FILE": str(OUT / "coverage")},
    )  # fmt: skip


def seconds_of_tests():
    """Return {name of test as in the coverage data: seconds} of those that passed, read from pytest's report."""
    from xml.etree import ElementTree

    seconds = {}
    for file in OUT.glob("tests-*.xml"):
        for case in ElementTree.parse(file).iter("testcase"):
            if len(case) == 0:  # neither failed nor skipped
                seconds[case.get("file"), case.get("name")] = float(case.get("time"))
    return seconds


class Tests:
    """Which tests run a statement."""

    def __init__(self):
        import coverage

        self.data = coverage.CoverageData(str(OUT / "coverage"))
        self.data.read()
        self.seconds = seconds_of_tests()

    def of(self, path, first_line, budget):
        """Return the tests that run the statement at a line within a budget of seconds, quick and own ones first.

        What runs at import only (a constant, a default) is left to the tests that run anything of the module.
        """
        contexts = self.data.contexts_by_lineno(path)
        names = {c.split("|")[0] for c in contexts.get(first_line, []) if c}
        names = names or {c.split("|")[0] for line in contexts.values() for c in line if c}
        room = pathlib.Path(path).with_suffix("").parts[1:]
        timed = [
            (max(self.seconds[key], 0.03), any(part.strip("_").rstrip("s") in key[0] for part in room), name)
            for name in names
            if (key := key_of(name)) in self.seconds
        ]
        timed.sort(key=lambda test: test[0] * (OWN if test[1] else 1.0))
        chosen, spent = [], 0.0
        for seconds, _, name in timed:
            if chosen and spent + seconds > budget:
                break
            chosen.append(name)
            spent += seconds
        return chosen, spent


def key_of(name):
    """Return (file, test) of a test's name."""
    file, test = name.split("::", 1)
    return file, test


# The mutants ---------------------------------------------------------------------------------------------------------


def mutants_of(path):
    """Yield a record of every mutant of a module, as a dictionary."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.ast.ast_query import ASTQuery
    from cosmic_ray.plugins import get_operator

    source = (ROOT / path).read_text()
    statements, decorators = first_lines(source), decorator_lines(source)
    tree = get_ast(source)
    for name in OPERATORS.split():
        operator = get_operator("core/" + name)()
        positions = [(node, *span) for node in ast_nodes(tree) for span in operator.mutation_positions(node)]
        for occurrence, (node, start, _) in enumerate(positions):
            if start[0] in decorators:
                continue
            yield {
                "path": path,
                "operator": name,
                "occurrence": occurrence,
                "line": start[0],
                "statement": statements[start[0]],
                "definition": ASTQuery(node).get_definition_name(),
            }


def first_lines(source):
    """Return {line: first line of the innermost statement that it is part of}."""
    first = {}
    for node in ast.walk(ast.parse(source)):  # breadth first: inner statements overwrite outer ones
        if isinstance(node, ast.stmt):
            first.update(dict.fromkeys(range(node.lineno, node.end_lineno + 1), node.lineno))
    return collections.defaultdict(int, first)


def decorator_lines(source):
    """Return the lines of decorators: flags of the compiler, which is off, and of dataclasses."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        for decorator in getattr(node, "decorator_list", [])
        for line in range(decorator.lineno, decorator.end_lineno + 1)
    }


def mutated(mutant):
    """Return the source of a mutant and the changed line before and after."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = (ROOT / mutant["path"]).read_text()
    code = mutate_code(source, get_operator("core/" + mutant["operator"])(), mutant["occurrence"])
    pairs = zip(source.splitlines(), code.splitlines(), strict=False)
    before, after = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return code, before.strip(), after.strip()


# Breaking ------------------------------------------------------------------------------------------------------------


def break_all(modules, options):
    """Try every mutant that is not known yet and append what came of it to the file of results."""
    import tqdm

    known = read_results()
    tests = Tests()
    tasks = []
    for path in modules:
        for mutant in mutants_of(path):
            outcome = known.get(identity(mutant), {}).get("outcome")
            if outcome == ("survived" if options.again else None):
                tasks.append((mutant, *tests.of(path, mutant["statement"], options.budget)))
    random.Random(0).shuffle(tasks)  # so that the score so far is that of a random sample
    compile_tests()
    preload()
    with (
        multiprocessing.get_context("fork").Pool(options.processes) as pool,
        open(OUT / "mutants.jsonl", "a", encoding="utf-8") as file,
    ):
        for record in tqdm.tqdm(pool.imap_unordered(attempt, tasks), total=len(tasks), unit="mutant"):
            file.write(json.dumps(record) + "\n")
            file.flush()
    report(modules)


def compile_tests():
    """Let pytest write what it compiles the tests to, which would else be done for every mutant."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def preload():
    """Import once what all mutants share."""
    import hypothesis
    import joblib
    import matplotlib.pyplot
    import numba
    import pytest
    import scipy.integrate
    import scipy.optimize
    import scipy.stats
    import threadpoolctl
    import xarray

    return hypothesis, joblib, matplotlib.pyplot, numba, pytest, scipy, threadpoolctl, xarray


def attempt(task):
    """Return the record of one mutant with its outcome: "survived", or what killed it."""
    mutant, tests, spent = task
    code, before, after = mutated(mutant)
    record = {**mutant, "before": before, "after": after}
    try:
        compile(code, mutant["path"], "exec")
    except SyntaxError:  # ** of a call is no power
        return {**record, "outcome": "no program", "tests": 0}
    if not tests:
        return {**record, "outcome": "survived", "tests": 0}
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        run_child(mutant["path"], code, tests, writer)
    os.close(writer)
    outcome = wait(child, time.monotonic() + 10 + 2 * spent)
    with os.fdopen(reader, "rb") as pipe:
        killer = pipe.read().decode()
    return {**record, "outcome": outcome, "by": killer, "tests": len(tests)}


def run_child(path, code, tests, writer):
    """Run tests on a mutant; never return."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    status = 70
    try:
        sys.path.insert(0, str(ROOT))
        sys.dont_write_bytecode = True
        sys.meta_path.insert(0, MutantFinder(path, code))
        import pytest

        status = int(pytest.main([*tests, "-x", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler"],
                                 plugins=[Killer(writer)]))  # fmt: skip
    finally:
        os._exit(status)


class MutantFinder:
    """Import hook that compiles one module from other source."""

    def __init__(self, path, code):
        self.path, self.code = path, code
        self.name = path.removesuffix(".py").replace("/", ".")

    def find_spec(self, name, path=None, target=None):
        import importlib.util

        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, ROOT / self.path, loader=self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.code, str(ROOT / self.path), "exec"), module.__dict__)

    def get_source(self, name):
        return self.code


class Killer:
    """Pytest plugin that writes the name of the first failure into a pipe."""

    def __init__(self, writer):
        self.writer = writer

    def pytest_runtest_logreport(self, report):
        if report.failed:
            os.write(self.writer, report.nodeid.encode())

    def pytest_collectreport(self, report):
        if report.failed:
            os.write(self.writer, b"import of " + report.nodeid.encode())


def wait(child, deadline):
    """Return the outcome of a child that may have to be stopped."""
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            if code in (4, 5):
                return "not run"
            return "survived" if code == 0 else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed, without end"


# The report ----------------------------------------------------------------------------------------------------------


def identity(record):
    return record["path"], record["operator"], record["occurrence"], record["line"]


def read_results():
    """Return {identity: record}; the last word counts."""
    results = {}
    if (OUT / "mutants.jsonl").exists():
        for line in (OUT / "mutants.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            results[identity(record)] = record
    return results


def report(modules):
    """Print the score of every module and all survivors."""
    results = read_results()
    total, killed = 0, 0
    survivors = []
    print(f"{'module':40} {'mutants':>8} {'killed':>8} {'score':>7}")
    for path in modules:
        records = [results[key] for m in mutants_of(path) if (key := identity(m)) in results]
        records = [record for record in records if record["outcome"] != "no program"]
        dead = sum(record["outcome"].startswith("killed") for record in records)
        survivors += [record for record in records if not record["outcome"].startswith("killed")]
        total, killed = total + len(records), killed + dead
        if records:
            print(f"{path:40} {len(records):8} {dead:8} {dead / len(records):7.1%}")
    if total:
        print(f"{'all':40} {total:8} {killed:8} {killed / total:7.1%}\n")
    for r in sorted(survivors, key=lambda r: (r["path"], r["line"])):
        print(f"{r['path']}:{r['line']} {r['definition']} [{r['operator']}, {r['tests']} tests, {r['outcome']}]")
        print(f"    {r['before']}\n    {r['after']}")


if __name__ == "__main__":
    main()

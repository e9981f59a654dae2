"""The mutants of a module, those of cosmic-ray: which there are, their source, and one met by tests in a child."""

import ast
import collections
import multiprocessing
import os
import pathlib
import resource
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
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
    """Return the source of a mutant and the changed line before and after; without operator it is as it was."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = (ROOT / mutant["path"]).read_text()
    if mutant["operator"] is None:
        return source, "", ""
    code = mutate_code(source, get_operator("core/" + mutant["operator"])(), mutant["occurrence"])
    pairs = zip(source.splitlines(), code.splitlines(), strict=False)
    before, after = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return code, before.strip(), after.strip()


def identity(record):
    return record["path"], record["operator"], record["occurrence"], record["line"]


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
        resource.setrlimit(resource.RLIMIT_CPU, (int(30 + 3 * spent),) * 2)
        run_child(mutant["path"], code, tests, writer)
    os.close(writer)
    outcome = wait(child, time.monotonic() + 20 * (30 + 3 * spent))  # a test may wait, on a loaded machine for long
    with os.fdopen(reader, "rb") as pipe:
        killer = pipe.read().decode()
    return {**record, "outcome": outcome, "by": killer, "tests": len(tests)}


def run_child(path, code, tests, writer):
    """Run tests on a mutant; never return."""
    os.setsid()
    multiprocessing.current_process()._config["daemon"] = False  # inherited from the pool; joblib would warn
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
            endless = code in (-signal.SIGXCPU, -signal.SIGKILL)
            return "survived" if code == 0 else "killed, without end" if endless else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed, without end"

"""The mutants of a module, those of cosmic-ray: which there are, and their source."""

import ast
import collections
import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
OF_KERNELS = ("jitable", "njit", "intrinsic", "with_name_of", "@part")  # words of modules that are compiled
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

    source = (ROOT / path).read_text(encoding="utf-8")
    statements, silent = first_lines(source), silent_spans(source)
    tree = get_ast(source)
    for name in OPERATORS.split():
        operator = get_operator("core/" + name)()
        positions = [(node, *span) for node in ast_nodes(tree) for span in operator.mutation_positions(node)]
        for occurrence, (node, start, _) in enumerate(positions):
            if any(first <= start < last for first, last in silent):
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


def silent_spans(source):
    """Return from where to where, as (line, column), stands what no test runs: annotations, decorators.

    Decorators are flags of the compiler and of dataclasses; mypy sees annotations and what is imported for them.
    """
    silent = []
    for node in ast.walk(ast.parse(source)):
        silent += [getattr(node, "annotation", None), getattr(node, "returns", None)]
        silent += getattr(node, "decorator_list", [])
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            silent.append(node.test)
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in silent if n is not None]


def mutated(mutant):
    """Return the source of a mutant and the changed line before and after."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    source = (ROOT / mutant["path"]).read_text(encoding="utf-8")
    code = mutate_code(source, get_operator("core/" + mutant["operator"])(), mutant["occurrence"])
    pairs = zip(source.splitlines(), code.splitlines(), strict=False)
    before, after = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return code, before.strip(), after.strip()


def identity(record):
    """Return what tells a mutant from all others."""
    return record["path"], record["operator"], record["occurrence"], record["line"]


def module_name(path):
    """Return the dotted name of a file of the package."""
    return path.removesuffix(".py").replace("/", ".")


def is_of_kernels(path):
    """Return whether kernels are compiled from a module."""
    source = (ROOT / path).read_text(encoding="utf-8")
    return any(word in source for word in OF_KERNELS)


class Finder:
    """Import hook that compiles some modules from other source, or trees: {path: code}."""

    def __init__(self, codes):
        self.codes = {module_name(path): (path, code) for path, code in codes.items()}

    def find_spec(self, name, path=None, target=None):
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

"""Marks in kernels, which coverage does not see: in front of each statement, a call that notes that it is run."""

import ast
import builtins

import llvmlite.binding
import numpy as np
from llvmlite import ir
from mutants import ROOT, is_of_kernels
from numba import types
from numba.extending import intrinsic, overload

met = np.zeros(1 << 16, dtype=np.uint8)  # 1 for each mark that was met
ROOM = "marks_that_were_met"  # the name by which kernels, which are kept on disk, find it in any process
llvmlite.binding.add_symbol(ROOM, met.ctypes.data)


def mark(number):
    """Note that the statement behind this mark is run."""
    met[number] = 1


@intrinsic
def _mark(context, number):
    def generate(context, builder, signature, values):
        whole, byte = ir.IntType(64), ir.IntType(8)
        room = builder.module.globals.get(ROOM)
        room = room or ir.GlobalVariable(builder.module, ir.ArrayType(byte, met.size), ROOM)
        place = context.cast(builder, values[0], signature.args[0], types.intp)
        builder.store(byte(1), builder.gep(room, [whole(0), place]))
        return context.get_dummy_value()

    return types.void(number), generate


@overload(mark)
def _mark_compiled(number):
    return lambda number: _mark(number)


builtins.__mark__ = mark


class Marks(ast.NodeTransformer):
    """Put a mark in front of every statement of the functions of a module, and note where it is: (path, line)."""

    def __init__(self, path, places):
        self.path, self.places = path, places
        self.inside = False

    def visit_FunctionDef(self, node):
        outer, self.inside = self.inside, True
        self.generic_visit(node)
        self.inside = outer
        return node

    def generic_visit(self, node):
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if self.inside and isinstance(block, list):
                setattr(node, name, [part for statement in block for part in (*self.marks(statement), statement)])
        return node

    def marks(self, statement):
        """Return the mark of a statement, unless that is a text, which may be what a function begins with."""
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return []
        call = ast.parse(f"__mark__({len(self.places)})").body[0]
        self.places.append((self.path, statement.lineno))
        return [ast.fix_missing_locations(ast.copy_location(call, statement))]


def marked_modules():
    """Return the modules that kernels are compiled from, {path: tree}, and where their marks are, by number."""
    trees, places = {}, []
    for file in sorted((ROOT / "tsode").rglob("*.py")):
        path = str(file.relative_to(ROOT))
        if is_of_kernels(path):
            trees[path] = Marks(path, places).visit(ast.parse(file.read_text(encoding="utf-8")))
    return trees, places

"""What a stored result depends on besides its point: the code that computed it."""

import dis
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable
from numbers import Number
from typing import Any

import numpy as np

from ..model import TeacherStudent
from ..overlaps import Overlaps
from .batches import Batched

__all__ = ["function_digest", "function_name"]

# What cannot change while the function runs; a list that a function appends to is no part of what it computes.
CONSTANTS = (Number, str, bytes, type(None), np.ndarray, np.generic, TeacherStudent, Overlaps)


def function_name(function: Callable[..., Any]) -> str:
    """Return what a person calls the function."""
    while isinstance(function, (functools.partial, Batched)):
        function = function.func if isinstance(function, functools.partial) else function.function
    return getattr(function, "__qualname__", type(function).__qualname__)


def function_digest(function: Callable[..., Any]) -> str:
    """Return a hash of the code of a function.

    It covers the function's source and instructions, its defaults and what ``functools.partial`` binds, the constants
    (numbers, strings, arrays, models, tuples of them) among its closure and the globals that it reads, and in the same
    way the functions of its own module that it calls. Code of other packages counts by name. Lists, dicts and other
    objects that may change are no part of it unless they are bound by ``partial``.

    Parameters
    ----------
    function : callable
        Of any kind: plain, bound by ``partial``, batched, compiled, a class or an object.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        If ``partial`` binds something that cannot be hashed.
    """
    parts: list[str] = []
    _describe(function, parts, set())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _describe(function, parts, seen):
    if id(function) in seen:
        return
    seen.add(id(function))
    if isinstance(function, functools.partial):
        parts.append("partial")
        _describe(function.func, parts, seen)
        for name, value in [*enumerate(function.args), *sorted(function.keywords.items())]:
            _bound(name, value, parts, seen)
    elif isinstance(function, Batched):
        parts.append("batched")
        _describe(function.function, parts, seen)
    elif hasattr(function, "py_func"):  # compiled by Numba
        _describe(function.py_func, parts, seen)
    elif isinstance(function, types.FunctionType):
        _describe_function(function, parts, seen)
    elif isinstance(function, types.MethodType):
        _describe(function.__func__, parts, seen)
        _bound("self", function.__self__, parts, seen)
    elif hasattr(function, "__qualname__"):  # a builtin or a class
        parts.append(f"{function.__module__}.{function.__qualname__}")
        if inspect.isclass(function):
            parts.append(_source(function))
    else:  # an object with __call__, or a ufunc, whose name stands in its repr
        _bound("function", function, parts, seen)
        _describe(type(function), parts, seen)


def _describe_function(function, parts, seen):
    code = function.__code__
    # The source of a lambda is the whole statement around it, of which the grid may be a part. The instructions are
    # those that run, also where the file was edited after it was imported.
    source = "" if function.__name__ == "<lambda>" else _source(code)
    parts += [function.__qualname__, source, _code_text(code)]
    for name, value in [*enumerate(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]:
        _read(str(name), value, function, parts, seen)
    if f"{function.__module__}.".startswith("tsode."):
        return  # the version of tsode covers the rest
    cells = dict(zip(code.co_freevars, function.__closure__ or ()))
    reads, writes = _names(code)
    for name in sorted((reads | set(cells)) - writes):
        if name in cells:
            try:
                _read(name, cells[name].cell_contents, function, parts, seen)
            except ValueError:  # an empty cell: defined after the scan, if ever
                continue
        elif name in function.__globals__:
            _read(name, function.__globals__[name], function, parts, seen)


def _names(code):
    """Return the names that a code object and those inside it read, and the outer ones that they assign."""
    reads, writes = set(code.co_names), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_GLOBAL", "STORE_DEREF"):
            writes.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner_reads, inner_writes = _names(constant)
            reads, writes = reads | inner_reads, writes | inner_writes
    return reads, writes


def _read(name, value, function, parts, seen):
    """Note a value that the function reads, as far as it cannot change while it runs."""
    if isinstance(value, types.ModuleType):
        parts.append(f"{name} is module {value.__name__}")
    elif isinstance(value, CONSTANTS) or (isinstance(value, tuple) and all(isinstance(v, CONSTANTS) for v in value)):
        _bound(name, value, parts, seen)
    elif callable(value):
        own = getattr(value, "__module__", None) == function.__module__
        if own and not inspect.isclass(value):
            parts.append(name)
            _describe(value, parts, seen)
        else:
            parts.append(f"{name} is {getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}")
            parts.append(_source(value) if own else "")
    else:
        parts.append(f"{name} is a {type(value).__qualname__}")


def _bound(name, value, parts, seen):
    """Note a value of any kind by its content."""
    import joblib

    if isinstance(value, (types.FunctionType, functools.partial)):
        parts.append(str(name))
        _describe(value, parts, seen)
        return
    try:
        parts.append(f"{name} = {joblib.hash(value)}")
    except Exception as error:  # whatever the object's own pickling raises
        raise TypeError(
            f"`function` must bind values that can be hashed, but {name!r} is a {type(value).__name__}: {error}"
        ) from None


def _source(thing):
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):  # typed in where nothing keeps it
        return ""


def _code_text(code):
    """Return the instructions of a code object, without places in files."""
    names = (code.co_names, code.co_varnames, code.co_freevars)
    return f"{code.co_code.hex()} {names} {[_constant_text(constant) for constant in code.co_consts]}"


def _constant_text(constant):
    if isinstance(constant, types.CodeType):
        return _code_text(constant)
    if isinstance(constant, frozenset):  # its order differs from process to process
        return str(sorted(map(repr, constant)))
    return repr(constant)

"""The help texts of all that is public: what ruff (D417, ANN) and mypy cannot see.

ruff asks that a section on parameters is complete; that there is one, and what a class says, is asked here.
"""

import importlib
import inspect

import pytest

ROOMS = (
    "tsode", "tsode.distillation", "tsode.distillation.fixed_sample", "tsode.hessian", "tsode.manifold", "tsode.plot",
    "tsode.scans",
)  # fmt: skip


def public():
    """Return name -> object of every public function, class and method."""
    found = {}
    for room in map(importlib.import_module, ROOMS):
        for name in room.__all__:
            one = getattr(room, name)
            if inspect.isclass(one):
                found[f"{room.__name__}.{name}"] = one
                own = [vars(base) for base in reversed(one.__mro__) if base.__module__.startswith("tsode")]
                for method, value in dict(item for each in own for item in each.items()).items():
                    value = getattr(value, "__func__", value)
                    if inspect.isfunction(value) and not method.startswith("_"):
                        found[f"{room.__name__}.{name}.{method}"] = value
            elif callable(one):
                found[f"{room.__name__}.{name}"] = one
    return found


PUBLIC = public()
FUNCTIONS = {name: one for name, one in PUBLIC.items() if not inspect.isclass(one)}


def test_the_public_face_was_found():
    assert {"tsode.integrate", "tsode.Overlaps.random", "tsode.plot.loss_curve", "tsode.scans.escape"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_an_example(name):
    assert ">>> " in inspect.getdoc(FUNCTIONS[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_with_arguments_has_a_section_on_them(name):
    arguments = set(inspect.signature(FUNCTIONS[name]).parameters) - {"self", "cls"}
    assert not arguments or "Parameters\n----------" in inspect.getdoc(FUNCTIONS[name])


@pytest.mark.parametrize("name", [name for name, one in PUBLIC.items() if inspect.isclass(one)])
def test_every_class_explains_its_parts(name):
    if not issubclass(PUBLIC[name], Exception):
        text = inspect.getdoc(PUBLIC[name]).split("Examples\n")[0]
        assert all(part in text for part in inspect.signature(PUBLIC[name]).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_returns(name):
    text = inspect.getdoc(FUNCTIONS[name])
    assert text.startswith("Return ") or "Returns\n-------" in text or text.startswith("Write ")

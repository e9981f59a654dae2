"""The help texts of all that is public: complete, and with an example that the doctests run."""

import importlib
import inspect

import pytest

ROOMS = ("tsode", "tsode.hessian", "tsode.manifold", "tsode.plot", "tsode.scans")


def public():
    """Return name -> object of every public function, class and method."""
    found = {}
    for room in map(importlib.import_module, ROOMS):
        for name in room.__all__:
            one = getattr(room, name)
            if inspect.isclass(one):
                found[f"{room.__name__}.{name}"] = one
                for method, value in vars(one).items():
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


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_explained(name):
    one = PUBLIC[name]
    if inspect.isclass(one) and issubclass(one, Exception):
        return
    text = inspect.getdoc(one)
    for parameter in inspect.signature(one).parameters:
        if parameter not in ("self", "cls"):
            assert parameter in text.split("Examples\n")[0], parameter


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_returns(name):
    text = inspect.getdoc(FUNCTIONS[name])
    assert text.startswith("Return ") or "Returns\n-------" in text or text.startswith("Write ")

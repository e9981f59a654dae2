"""Every refusal names the argument, what was wanted and what came; and it is quiet, and leaves nothing behind."""

import importlib
import inspect
import os
import warnings

import matplotlib.pyplot as plt
import pytest
from bad_inputs.things import ode, study
from test_docstrings import PUBLIC

from tsode.closed_forms import NoClosedForm

pytest.importorskip("xarray")

ROOMS = ("core", "files", "analyses", "hessians", "scanning", "figures", "students")
TABLES = {room: importlib.import_module(f"bad_inputs.{room}").CASES for room in ROOMS}
CASES = {f"{room}: {name}": case for room, table in TABLES.items() for name, case in table.items()}

# What has arguments and refuses nothing, and why.
WITHOUT_REFUSALS = {
    "tsode.InputsExhausted": "an exception",
    **dict.fromkeys(
        (
            *(f"tsode.hessian.{name}" for name in ("Comparison", "Convergence", "HessianPath", "NullSpace")),
            *(f"tsode.hessian.{name}" for name in ("Separation", "SpectralDensity")),
            *(f"tsode.distillation.{name}" for name in ("Example", "Lesson", "SoftLabels")),
            *(f"tsode.manifold.{name}" for name in ("Equivalence", "Invariant", "Invariants", "Nullity")),
        ),
        "a result, made by the package alone and given by no user",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make an empty folder and, beside it, one with foreign files."""
    root = tmp_path_factory.mktemp("bad_inputs")
    given = root / "given"
    (given / "folder.npz").mkdir(parents=True)
    (given / "folder.png").mkdir()
    (given / "text.npz").write_text("alpha,M,Q\n")
    ode().save(given / "run.npz")
    study().save(given)
    (root / "here").mkdir()
    return root / "here"


@pytest.fixture(scope="module")
def outcomes(folder):
    """Make every call once; return name -> (exception, files left)."""
    found = {}
    given = sorted(os.listdir(folder.parent / "given"))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(folder)
        warnings.simplefilter("error")
        for name, (call, _, _) in CASES.items():
            try:
                call()
                error = None
            except Exception as caught:
                error = caught
            found[name] = error, os.listdir(".")
            plt.close("all")
    assert sorted(os.listdir(folder.parent / "given")) == given
    return found


@pytest.mark.parametrize("name", CASES)
def test_refusal(name, outcomes):
    _, kind, message = CASES[name]
    error, left = outcomes[name]
    assert error is not None, "nothing was refused"
    exact = kind is not OSError and not isinstance(error, NoClosedForm)  # a ValueError by another name
    assert type(error) is kind if exact else isinstance(error, kind), repr(error)
    assert message in str(error)
    assert left == []


def entered(error):
    """Return the code of the first function of the package that an exception went through."""
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if frame.tb_frame.f_globals.get("__name__", "").startswith("tsode"):
            return code
        frame = frame.tb_next
    return None


def code_of(one):
    """Return the code that a call of a public function or class enters first, or None."""
    return getattr(one.__init__ if inspect.isclass(one) else inspect.unwrap(one), "__code__", None)


def arguments(one):
    try:
        names = list(inspect.signature(one).parameters)
    except ValueError:  # an exception of builtins' making
        return []
    return [name for name in names if name not in ("self", "cls")]


def test_every_public_callable_with_arguments_refuses_something(outcomes):
    seen = {entered(error) for error, _ in outcomes.values()}
    missing = {name for name, one in PUBLIC.items() if arguments(one) and code_of(one) not in seen}
    assert missing == set(WITHOUT_REFUSALS)

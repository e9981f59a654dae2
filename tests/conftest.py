from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from models import MODELS, generic_start

import tsode

# The same inputs in every run, whatever the machine is busy with; `pytest --hypothesis-profile=many` tries more.
SAME = {"derandomize": True, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=15, **SAME)
settings.register_profile("many", max_examples=500, **SAME)
settings.load_profile("quick")


# Two processes that need a kernel at the same time both compile it. So what needs most kernels comes first, and beside
# it what needs least; what needs those that its neighbours in the alphabet would compile comes last.
FIRST = (
    "test_bad_inputs.py", "test_fixed_points", "test_hessian_p", "test_hessian_s", "test_kinked", "test_manifold",
    "test_plateaus", "test_symmetry_classes",
)  # fmt: skip
LAST = ("test_diffusion_engine", "test_divergence", "test_scheme.py")


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items):
    """Of the cases of a test leave as many quick as its mark `quick` says, and mark the others slow.

    The last one, which is the most general, stays, and others spread evenly.
    """
    items.sort(key=lambda item: item.path.name.startswith(LAST) - item.path.name.startswith(FIRST))
    families = defaultdict(list)
    for item in items:
        if item.get_closest_marker("quick") and not item.get_closest_marker("slow"):
            families[item.parent.nodeid, item.originalname].append(item)
    for cases in families.values():
        (number,) = cases[0].get_closest_marker("quick").args
        quick = {len(cases) * i // number - 1 for i in range(1, number + 1)}
        for i, item in enumerate(cases):
            if i not in quick:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(params=MODELS)
def model(request):
    return tsode.TeacherStudent(**MODELS[request.param])


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures become files of the right names: to draw one takes longer than most of what they show."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, file, **options: Path(file).touch())


@pytest.fixture
def start(model):
    """A start far from any special point: large overlaps, no symmetry."""
    return generic_start(model)

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from models import MODELS, generic_start

import tsode

# The same inputs in every run, whatever the machine is busy with; `pytest --hypothesis-profile=many` tries more.
SAME = {"derandomize": True, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=30, **SAME)
settings.register_profile("many", max_examples=500, **SAME)
settings.load_profile("quick")


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

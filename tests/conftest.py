import pytest
from models import MODELS, generic_start

import tsode


@pytest.fixture(params=MODELS)
def model(request):
    return tsode.TeacherStudent(**MODELS[request.param])


@pytest.fixture
def start(model):
    """A start far from any special point: large overlaps, no symmetry."""
    return generic_start(model)

"""The models and starts that many tests share."""

import numpy as np
import pytest

import tsode

PLAIN = {"p": 4, "p_star": 2, "learning_rate": 0.4}
# every parameter away from its default, signs mixed
GENERAL = {
    "p": 3,
    "p_star": 2,
    "learning_rate": 0.3,
    "noise_variance": 0.1,
    "student_readout": [0.5, 0.2, -0.3],
    "teacher_readout": [0.7, 0.2],
    "teacher_overlap": [[1.0, 0.3], [0.3, 0.8]],
}
MODELS = {
    "plain": PLAIN,
    "general": GENERAL,
    "spherical": {**PLAIN, "constraint": "spherical"},
    "general spherical": {**GENERAL, "constraint": "spherical"},
}


def all_of(models):
    """Run a test once per model, under its name."""
    return pytest.mark.parametrize("model", models.values(), ids=models)


def generic_start(model, seed=5):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((model.p, model.p + model.p_star)) / np.sqrt(model.p + model.p_star)
    if model.spherical:
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    T = np.linalg.cholesky(model.teacher_overlap)
    return tsode.Overlaps(rows[:, : model.p_star] @ T.T, rows @ rows.T, model.teacher_overlap)

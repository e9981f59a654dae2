"""A model: defaults and smallest sizes, what makes two of them equal, and what is replaced."""

import numpy as np
import pytest

import tsode

PLAIN = {"p": 3, "p_star": 2, "learning_rate": 0.4}


def test_smallest_model_and_defaults():
    model = tsode.TeacherStudent(1, 1, 1e-9)
    assert (model.p, model.p_star, model.learning_rate, model.noise_variance) == (1, 1, 1e-9, 0.0)
    assert model.constraint == "free"
    assert not model.spherical
    assert model.student_readout.tolist() == model.teacher_readout.tolist() == [1.0]
    assert model.teacher_overlap.tolist() == [[1.0]]


def test_default_readouts_average_over_units():
    model = tsode.TeacherStudent(5, 4, 0.4)
    assert model.student_readout.tolist() == [0.2] * 5
    assert model.teacher_readout.tolist() == [0.25] * 4
    assert np.array_equal(model.teacher_overlap, np.eye(4))


@pytest.mark.parametrize(
    ("changes", "uniform"),
    [
        ({}, True),
        ({"student_readout": [-2.0] * 3, "teacher_readout": [0.0, 0.0]}, True),
        ({"constraint": "spherical", "noise_variance": 1.0}, True),
        ({"student_readout": [0.0, 0.0, 1.0]}, False),
        ({"teacher_readout": [0.0, 1.0]}, False),
        ({"teacher_overlap": [[1.0, 0.1], [0.1, 1.0]]}, False),
        ({"teacher_overlap": 2 * np.eye(2)}, False),
        ({"student_readout": [0.0, 0.0, 1.0], "teacher_readout": [0.0, 1.0]}, False),
        ({"teacher_readout": [0.0, 0.3], "teacher_overlap": 2 * np.eye(2)}, False),
    ],
)
def test_uniform_means_equal_readouts_and_orthonormal_teacher(changes, uniform):
    assert tsode.TeacherStudent(**{**PLAIN, **changes}).is_uniform is uniform


@pytest.mark.parametrize(
    "change",
    [
        {"p": 4},
        {"p_star": 3},
        {"learning_rate": 0.5},
        {"noise_variance": 0.1},
        {"student_readout": [1.0, 1.0, 1.0]},
        {"teacher_readout": [0.5, 0.4]},
        {"teacher_overlap": 2 * np.eye(2)},
        {"constraint": "spherical"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_models_are_equal_when_all_parameters_are(change):
    model, other = tsode.TeacherStudent(**PLAIN), tsode.TeacherStudent(**{**PLAIN, **change})
    assert model == tsode.TeacherStudent(**PLAIN)
    assert hash(model) == hash(tsode.TeacherStudent(**PLAIN))
    assert model != other
    assert model.replace(**change) == other
    assert tsode.TeacherStudent(**other.to_dict()) == other


def test_a_model_equals_nothing_else():
    assert tsode.TeacherStudent(**PLAIN) != PLAIN
    assert (tsode.TeacherStudent(**PLAIN) == 3) is False


def test_replaced_widths_keep_what_was_set_by_hand():
    model = tsode.TeacherStudent(2, 2, 0.1, 0.3, [1.0, 2.0], None, [[1.0, 0.5], [0.5, 1.0]])
    with pytest.raises(ValueError, match="`student_readout` must have shape"):
        model.replace(p=3)
    assert model.replace(p=3, student_readout=None).student_readout.tolist() == [1 / 3] * 3
    with pytest.raises(ValueError, match="`teacher_overlap` must have shape"):
        model.replace(p_star=1)
    assert tsode.TeacherStudent(4, 2, 0.4).replace(p=8).student_readout.tolist() == [1 / 8] * 8
    narrow = model.replace(p_star=1, teacher_overlap=None)
    assert narrow.teacher_readout.tolist() == [1.0]
    assert narrow.student_readout.tolist() == [1.0, 2.0]
    assert narrow.noise_variance == 0.3


def test_parameters_are_plain_in_the_dictionary():
    parameters = tsode.TeacherStudent(2, 1, 0.5, 0.25, constraint="spherical").to_dict()
    assert parameters == {
        "p": 2,
        "p_star": 1,
        "learning_rate": 0.5,
        "noise_variance": 0.25,
        "student_readout": [0.5, 0.5],
        "teacher_readout": [1.0],
        "teacher_overlap": [[1.0]],
        "constraint": "spherical",
    }

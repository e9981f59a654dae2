"""The models that the tests of the escape and of its law share."""

import tsode

MODELS = {
    "noisy": tsode.TeacherStudent(4, 2, 0.4, 0.1),
    "equal widths": tsode.TeacherStudent(2, 2, 0.2),
    "wide": tsode.TeacherStudent(6, 3, 0.8),
    "spherical": tsode.TeacherStudent(4, 2, 0.4, 0.1, constraint="spherical"),
}

QUICK = MODELS["wide"]


def rescaled(model, scale):
    """The model that weights divided by `scale` follow; M is divided by it, too."""
    return model.replace(student_readout=model.student_readout * scale**2, learning_rate=model.learning_rate / scale**2)

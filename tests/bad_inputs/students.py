"""Distillation."""

import numpy as np

import tsode
from bad_inputs.things import MODEL, START, ode
from tsode import distillation
from tsode.distillation import fixed_sample

PAIR = tsode.TeacherStudent(2, 2, 0.1)
X = np.eye(3)[:2]
TASK = distillation.features(MODEL)
WHITE = tsode.Inputs([1.0], [1])


def lesson(*more, **options):
    return lambda: distillation.lesson(MODEL, *more, **options)


CASES = {
    "lesson of another rule": (
        lambda: distillation.lesson(MODEL.replace(rule="hinge")), ValueError, "`truth` must have one activation on both"
    ),
    "lesson of no truth": (lambda: distillation.lesson(1), TypeError, "`truth` must be a TeacherStudent, but is int"),
    "lesson of a teacher that is none": (lesson([START]), TypeError, "`teachers[0]` must be a Trajectory, but is"),
    "lesson of one teacher, not in a list": (
        lambda: distillation.lesson(MODEL, ode()), TypeError, "`teachers` must be a list of Trajectories"
    ),
    "lesson of another's teacher": (
        lambda: distillation.lesson(PAIR, [ode()]), ValueError, "`teachers[0]` must be a student of `truth`, but is one"
    ),
    "lesson softer than soft": (lesson(soft=1.5), ValueError, "`soft` must be at most 1, but is 1.5"),
    "lesson of too many weights": (
        lambda: distillation.lesson(MODEL, [ode()], [0.5, 0.5]), ValueError, "`soft` must have shape (n_teachers,) = ("
    ),
    "lesson of weights beyond 1": (
        lambda: distillation.lesson(MODEL, [ode()] * 2, [0.5, 0.6]), ValueError, "`soft` must be weights of at least 0"
    ),
    "teacher of another lesson": (
        lambda: distillation.lesson(MODEL, [ode()]).as_teacher(ode()), ValueError, "`run` must be one of the lesson's `"
    ),
    "loss of no run": (lambda: distillation.lesson(MODEL).loss(1), TypeError, "`run` must be a Trajectory, but is int"),
    "soft labels of no norm": (lambda: distillation.soft_labels(0.0), ValueError, "`norm` must be larger than 0, but "),
    "labels too hard": (lambda: distillation.soft_labels(hard=2), ValueError, "`hard` must be at most 1, but is 2"),
    "risk of another run": (
        lambda: distillation.soft_labels().risk(ode()), ValueError, "`run` must be one of this `model`, but is of anoth"
    ),
    "risk at times of no order": (
        lambda: distillation.soft_labels().risk([2.0, 1.0]), ValueError, "`alpha` must be strictly increasing"
    ),
    "risk below no samples": (lambda: fixed_sample.risk(-1.0), ValueError, "`alpha` must be at least 0, but is -1"),
    "risk of half a sample": (
        lambda: fixed_sample.risk(0.5, 3), ValueError, "`alpha` must be a whole number of samples over d = 3, but is 0."
    ),
    "bound of no law": (lambda: fixed_sample.bound(0.5, 3), TypeError, "`p` must be a function of an angle, but is fl"),
    "bound beyond 1": (lambda: fixed_sample.bound(lambda t: 2.0, 3), ValueError, "`p` must be at most 1, but is 2"),
    "logits of no teacher": (
        lambda: fixed_sample.learn([[1.0], [1.0]], [1.0, 2.0]), ValueError, "`logits` must be those of a linear teacher"
    ),
    "deep student that starts at zero": (
        lambda: fixed_sample.learn(X, [1.0, 1.0], layers=2), ValueError, "`start` must not be zero for a student of sev"
    ),
    "margin of no classes": (
        lambda: fixed_sample.margin([[1.0], [1.0]], [1, -1]), ValueError, "`labels` must be separated by some direction"
    ),
    "margin of a 0": (lambda: fixed_sample.margin(X, [1, 0]), ValueError, "`labels` must be positive or negative, but"),
    "spectral with momentum": (
        lambda: distillation.spectral(MODEL.replace(momentum=0.5)), ValueError, "`truth` must have the defaults of"
    ),
    "amplitude that is none": (lambda: distillation.spectral(MODEL, "a"), TypeError, "`amplitude` must be a number, b"),
    "student of another system": (
        lambda: TASK.as_student(ode()), ValueError, "`run` must be one of this system, but is of another model"
    ),
    "spectral student of another system": (
        lambda: distillation.spectral(MODEL).as_student(ode()), ValueError, "`run` must be one of this system, but is o"
    ),
    "system of no truth": (
        lambda: distillation.System({"student": 1}, lambda z, xi, a: {"student": z["student"]}, truth=1), TypeError,
        "`truth` must be a TeacherStudent, but is int",
    ),
    "system in too few dimensions": (lambda: TASK.random(2), ValueError, "`N` must be at least 3, but is 2"),
    "active units of no run": (
        lambda: distillation.active_units(START), TypeError, "`run` must be a Trajectory, but is Overlaps"
    ),
    "pruning of no run": (
        lambda: distillation.pruning_curve(START), TypeError, "`run` must be a Trajectory, but is Overlaps"
    ),
    "pruning of no units": (lambda: distillation.pruning_law(0), ValueError, "`p_star` must be at least 1, but is 0"),
    "features without a projector": (
        lambda: distillation.features(MODEL, projector="none"), ValueError, "`projector` must be 'trained' or 'fixed' f"
    ),
    "features of too many factors": (
        lambda: distillation.features(MODEL, factors=2), ValueError, "`factors` must be at most 1, but is 2"
    ),
    "projector of another shape": (
        lambda: distillation.features(MODEL, matrix=np.eye(2)), ValueError, "`matrix` must have shape (m, p) = (1, 2), "
    ),
    "exits that shrink": (
        lambda: distillation.exits(MODEL, (2, 1)), ValueError, "`widths` must not decrease, and end with the student's "
    ),
    "exit that mimics itself": (
        lambda: distillation.exits(MODEL, (1, 2), mimic=[0, 1]), ValueError, "`mimic` must be from 0 to 1, and 0 at the"
    ),
    "exit of negative weight": (
        lambda: distillation.exits(MODEL, (1, 2), [-1, 1]), ValueError, "`weights` must be at least 0, but has -1"
    ),
    "price of readouts of both signs": (
        lambda: distillation.exit_price(PAIR.replace(teacher_readout=[1, -1]), 1), ValueError, "`truth` must have reado"
    ),
    "teacher that unlearns": (
        lambda: distillation.moving_teacher(MODEL, -1.0), ValueError, "`teacher_learning_rate` must be at least 0, but "
    ),
    "one class": (lambda: distillation.logits(1), ValueError, "`classes` must be at least 2, but is 1"),
    "classes at no temperature": (
        lambda: distillation.logits(3, temperature=0.0), ValueError, "`temperature` must be larger than 0, but is 0"
    ),
    "classes in too few dimensions": (lambda: distillation.logits(2).random(3), ValueError, "`N` must be at least 4, "),
    "noise that is none": (
        lambda: distillation.matched_noise(1.0, [np.eye(1)], [1.0]), TypeError, "`noise` must be a tsode.Inputs, but is"
    ),
    "example of no name": (lambda: distillation.example("magic"), ValueError, "`name` must be one of 'lesson', 'soft_"),
    "example of one run": (lambda: distillation.example("exits", runs=1), ValueError, "`runs` must be at least 2, but"),
    "figure of no example": (
        lambda: tsode.plot.distillation_curves(1), TypeError, "`example` must be an Example of tsode.distillation, but "
    ),
}  # fmt: skip

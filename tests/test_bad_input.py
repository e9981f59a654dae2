"""Every refusal names the argument, what was wanted and what came."""

import numpy as np
import pytest

import tsode

MODEL = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
SPHERE = MODEL.replace(constraint="spherical")
START = tsode.Overlaps(np.zeros((2, 1)), np.eye(2))
ROWS = np.ones((5, 20))
nan = float("nan")


def make(**changes):
    return lambda: tsode.TeacherStudent(**{"p": 2, "p_star": 1, "learning_rate": 0.2, **changes})


def overlaps(M=((0.0,), (0.0,)), Q=((1.0, 0.0), (0.0, 1.0)), P=None):
    return lambda: tsode.Overlaps(M, Q, P)


def ode(model=MODEL, start=START, alpha=1.0, **options):
    return lambda: tsode.integrate(model, start, alpha, **options)


def sgd(model=MODEL, start=None, alpha=1.0, N=20, **options):
    return lambda: tsode.simulate(model, start, alpha, N=N, **{"engine": "weights", **options})


CASES = {
    "width is text": (make(p="4"), TypeError, "`p` must be a whole number, but is '4' of type str"),
    "width is a bool": (make(p=True), TypeError, "`p` must be a whole number, but is True"),
    "width is broken": (make(p=2.5), ValueError, "`p` must be a whole number, but is 2.5"),
    "width is nan": (make(p=nan), ValueError, "`p` must be a whole number, but is nan"),
    "width is zero": (make(p=0), ValueError, "`p` must be at least 1, but is 0"),
    "teacher width negative": (make(p_star=-1), ValueError, "`p_star` must be at least 1, but is -1"),
    "rate is zero": (make(learning_rate=0), ValueError, "`learning_rate` must be larger than 0, but is 0"),
    "rate is nan": (make(learning_rate=nan), ValueError, "`learning_rate` must be finite, but is nan"),
    "rate is None": (make(learning_rate=None), TypeError, "`learning_rate` must be a number, but is NoneType"),
    "rate is complex": (make(learning_rate=1j), TypeError, "`learning_rate` must be a number, but is complex"),
    "noise is negative": (make(noise_variance=-0.1), ValueError, "`noise_variance` must be at least 0, but is -0.1"),
    "noise is infinite": (make(noise_variance=np.inf), ValueError, "`noise_variance` must be finite, but is inf"),
    "readout has a wrong length": (
        make(student_readout=[1, 2, 3]), ValueError, "`student_readout` must have shape (p,) = (2,), but has shape (3,)"
    ),
    "readout is text": (make(student_readout=["a", "b"]), TypeError, "`student_readout` must be an array of real"),
    "readout has nan": (make(teacher_readout=[nan]), ValueError, "`teacher_readout` must be finite, but has nan at"),
    "readout is complex": (make(teacher_readout=[1j]), TypeError, "`teacher_readout` must be an array of real numbers"),
    "P has a wrong shape": (
        make(teacher_overlap=np.eye(2)), ValueError,
        "`teacher_overlap` must have shape (p_star, p_star) = (1, 1), but has shape (2, 2)",
    ),
    "P is skew": (
        make(p_star=2, teacher_overlap=[[1, 0.5], [0, 1]]), ValueError, "`teacher_overlap` must be symmetric, but"
    ),
    "P is indefinite": (
        make(teacher_overlap=[[-1.0]]), ValueError,
        "`teacher_overlap` must be positive semidefinite, but has the eigenvalue -1",
    ),
    "constraint is unknown": (
        make(constraint="cubic"), ValueError, "`constraint` must be one of 'free', 'spherical', but is 'cubic'"
    ),
    "constraint is a number": (make(constraint=1), TypeError, "`constraint` must be one of 'free', 'spherical', but"),
    "replace to nonsense": (lambda: MODEL.replace(p=0), ValueError, "`p` must be at least 1, but is 0"),
    "M is flat": (overlaps(M=[0.0, 0.0]), ValueError, "`M` must have shape (p, p_star) = (2, any), but has shape (2,)"),
    "M has a wrong height": (
        overlaps(M=[[0.0]]), ValueError, "`M` must have shape (p, p_star) = (2, any), but has shape (1, 1)"
    ),
    "M has nan": (overlaps(M=[[0.0], [nan]]), ValueError, "`M` must be finite, but has nan at index (1, 0)"),
    "Q is not square": (overlaps(Q=[[1.0, 0.0]]), ValueError, "`Q` must be square, but has shape (1, 2)"),
    "Q is skew": (overlaps(Q=[[1, 0.5], [0.1, 1]]), ValueError, "`Q` must be symmetric, but differs from its"),
    "Q is ragged": (overlaps(Q=[[1, 0.5], [0.1]]), TypeError, "`Q` must be an array of real numbers, but is list"),
    "P has a wrong width": (
        overlaps(P=np.eye(2)), ValueError, "`P` must have shape (p_star, p_star) = (1, 1), but has shape (2, 2)"
    ),
    "no weights have these": (
        overlaps(M=[[2.0], [0.0]]), ValueError,
        "the joint overlap matrix [[`Q`, `M`], [`M`^T, `P`]] must be positive semidefinite, but has the eigenvalue -1",
    ),
    "weights are flat": (
        lambda: tsode.Overlaps.from_weights(np.ones(4), np.ones((1, 4))), ValueError, "`W` must have shape (p, N)"
    ),
    "weights of two dimensions": (
        lambda: tsode.Overlaps.from_weights(np.ones((2, 4)), np.ones((1, 5))), ValueError,
        "`W_star` must have shape (p_star, N) = (any, 4), but has shape (1, 5)",
    ),
    "random in too few dimensions": (
        lambda: tsode.Overlaps.random(MODEL, 2), ValueError, "`N` must be at least 3, but is 2"
    ),
    "random of no scale": (
        lambda: tsode.Overlaps.random(MODEL, 20, scale=0), ValueError, "`scale` must be larger than 0, but is 0"
    ),
    "random from text": (
        lambda: tsode.Overlaps.random(MODEL, 20, rng="a"), TypeError, "`rng` must be a whole number, a numpy Generator"
    ),
    "realise in too few dimensions": (lambda: START.realise(2), ValueError, "`N` must be at least 3, but is 2"),
    "realise at a broken dimension": (lambda: START.realise(3.5), ValueError, "`N` must be a whole number, but is 3.5"),
    "ode of no model": (ode(model="x"), TypeError, "`model` must be a TeacherStudent, but is str"),
    "ode from no start": (ode(start=None), TypeError, "`start` must be an Overlaps, but is NoneType"),
    "ode from another width": (
        ode(start=tsode.Overlaps(np.zeros((3, 1)), np.eye(3))), ValueError,
        "`start` must have widths (p, p_star) = (2, 1), but has (3, 1)",
    ),
    "ode from another teacher": (
        ode(start=tsode.Overlaps(np.zeros((2, 1)), np.eye(2), [[2.0]])), ValueError,
        "`start` must have the model's `teacher_overlap` as its P, but has another",
    ),
    "ode off the sphere": (
        ode(model=SPHERE, start=tsode.Overlaps(np.zeros((2, 1)), 2 * np.eye(2))), ValueError,
        "`start` must have Q_kk = 1 under the spherical constraint, but has 2",
    ),
    "times unsorted": (ode(alpha=[0, 2, 1]), ValueError, "`alpha` must be strictly increasing, but goes from 2 to 1"),
    "times repeated": (ode(alpha=[0, 1, 1]), ValueError, "`alpha` must be strictly increasing, but goes from 1 to 1"),
    "times negative": (ode(alpha=[-1, 1]), ValueError, "`alpha` must not be negative, but starts at -1"),
    "times empty": (ode(alpha=[]), ValueError, "`alpha` must hold at least one time, but is empty"),
    "times nan": (ode(alpha=[0, nan]), ValueError, "`alpha` must be finite, but has nan at index (1,)"),
    "times text": (ode(alpha="later"), TypeError, "`alpha` must be an array of real numbers, but is 'later'"),
    "time zero": (ode(alpha=0), ValueError, "`alpha` must be larger than 0, but is 0"),
    "times in a matrix": (ode(alpha=[[0, 1]]), ValueError, "`alpha` must have shape (T,) = (any,), but"),
    "method unknown": (ode(method="Euler"), ValueError, "`method` must be one of 'RK45', 'RK23', 'DOP853', 'Radau'"),
    "method None": (ode(method=None), TypeError, "`method` must be one of 'RK45', 'RK23'"),
    "rtol zero": (ode(rtol=0), ValueError, "`rtol` must be larger than 0, but is 0"),
    "atol negative": (ode(atol=-1), ValueError, "`atol` must be at least 0, but is -1"),
    "gradient_flow a number": (ode(gradient_flow=1), TypeError, "`gradient_flow` must be True or False, but is int"),
    "sgd of no model": (sgd(model=None), TypeError, "`model` must be a TeacherStudent, but is NoneType"),
    "sgd in too few dimensions": (sgd(N=2), ValueError, "`N` must be at least 3, but is 2"),
    "sgd at infinite N": (sgd(N=np.inf), ValueError, "`N` must be a whole number, but is inf"),
    "sgd from a matrix": (sgd(start=np.eye(2)), TypeError, "`start` must be an Overlaps, a tuple (W, W_star) or None"),
    "sgd from wrong weights": (
        sgd(start=(np.ones((2, 20)), np.ones((2, 20)))), ValueError,
        "`start[1]` must have shape (p_star, N) = (1, 20), but has shape (2, 20)",
    ),
    "sgd from another teacher": (
        sgd(start=(np.ones((2, 20)), 3 * np.ones((1, 20)))), ValueError,
        "`start` must have the model's `teacher_overlap` as its P, but has another",
    ),
    "no runs": (sgd(runs=0), ValueError, "`runs` must be at least 1, but is 0"),
    "seed negative": (sgd(seed=-1), ValueError, "`seed` must not be negative, but is -1"),
    "seed broken": (sgd(seed=1.5), TypeError, "`seed` must be a whole number, a numpy Generator"),
    "engine unknown": (sgd(engine="steam"), ValueError, "`engine` must be one of "),
    "engine None": (sgd(engine=None), TypeError, "`engine` must be one of "),
    "inputs unknown": (
        sgd(inputs="cauchy"), ValueError, "`inputs` must be one of 'gaussian', 'rademacher', 'uniform', but is 'cauchy'"
    ),
    "inputs a number": (sgd(inputs=3), TypeError, "`inputs` must be the name of a law or rows of numbers, but is int"),
    "inputs of a wrong width": (
        sgd(inputs=ROWS[:, :7]), ValueError, "`inputs` must have shape (n, N) = (any, 20), but has shape (5, 7)"
    ),
    "inputs with nan": (sgd(inputs=ROWS * nan), ValueError, "`inputs` must be finite, but has nan at index (0, 0)"),
    "row of a wrong width": (
        sgd(inputs=iter([np.ones(3)])), ValueError,
        "`inputs` must have shape (N,) in each row = (20,), but has shape (3,)",
    ),
    "rows for many runs": (sgd(inputs=ROWS, runs=2), ValueError, "`runs` must be 1 with rows as `inputs`"),
    "progress a number": (sgd(progress=1), TypeError, "`progress` must be True or False, but is int"),
    "study of no model": (lambda: tsode.study(4, N=50), TypeError, "`model` must be a TeacherStudent, but is int"),
    "study of one run": (lambda: tsode.study(MODEL, N=50, runs=1), ValueError, "`runs` must be at least 2, but is 1"),
    "study of no time": (
        lambda: tsode.study(MODEL, N=50, alpha_max=0), ValueError, "`alpha_max` must be larger than 0, but is 0"
    ),
    "plot of nothing": (
        lambda: tsode.plot.loss_curve(), ValueError, "`ode` or `sgd` must be a Trajectory, but both are None"
    ),
    "plot of text": (
        lambda: tsode.plot.loss_curve("a"),
        TypeError,
        "`ode` must be a Trajectory, but is str",
    ),
    "plot of two swapped": (
        lambda: tsode.plot.loss_curve(sgd=tsode.integrate(MODEL, START, 1.0)),
        ValueError,
        "`sgd` must be what `simulate` returns, but is of the engine 'ode, DOP853",
    ),
    "plot of no overlap": (
        lambda: tsode.plot.overlap_curves(tsode.integrate(MODEL, START, 1.0), which="R"), ValueError,
        "`which` must be one of 'M', 'Q', but is 'R'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refusal(case):
    call, kind, message = CASES[case]
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert message in str(caught.value)

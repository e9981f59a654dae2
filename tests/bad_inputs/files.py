"""Trajectories and studies, as objects and as files; `given` is beside the empty folder that the calls run in."""

import numpy as np

import tsode
from bad_inputs.things import MODEL, START, Odd, ode, sgd, study

LOAD, LOAD_STUDY = tsode.Trajectory.load, tsode.Study.load


def trajectory(**changes):
    def call():
        parts = {name: getattr(ode(), name) for name in ("model", "alpha", "M", "Q", "status", "stopped_at")}
        return tsode.Trajectory(**{**parts, **changes})

    return call


def from_arrays(**changes):
    return lambda: tsode.Trajectory.from_arrays({**ode().to_arrays(), **changes})


def other_study(**changes):
    return lambda: tsode.Study(**{**{name: getattr(study(), name) for name in ("ode", "sgd", "escapes")}, **changes})


CASES = {
    "trajectory of no model": (trajectory(model=3), TypeError, "`model` must be a TeacherStudent, but is int"),
    "trajectory of no times": (trajectory(alpha=[]), ValueError, "`M` must have shape (T, p, p_star) = (0, 2, 1) afte"),
    "trajectory of times in a matrix": (trajectory(alpha=[[0.0]]), ValueError, "`alpha` must have shape (T,) = (any,)"),
    "trajectory backwards": (
        lambda: trajectory(alpha=ode().alpha[::-1])(), ValueError, "`alpha` must be strictly increasing, but goes from "
    ),
    "trajectory of too few M": (
        lambda: trajectory(M=ode().M[1:])(), ValueError, "`M` must have shape (T, p, p_star) = (201, 2, 1) after the ru"
    ),
    "trajectory of too many runs axes": (
        lambda: trajectory(M=ode().M[None, None])(), ValueError, "after the runs, but has shape (1, 1, 201, 2, 1)"
    ),
    "trajectory of text": (trajectory(M="M"), TypeError, "`M` must be an array of real numbers, but is 'M' of type st"),
    "trajectory of objects": (trajectory(Q=[Odd()]), TypeError, "`Q` must be an array of real numbers, but is list of"),
    "trajectory of another Q": (
        lambda: trajectory(Q=ode().Q[:, :1])(), ValueError, "`Q` must have shape (201, 2, 2), but has shape (201, 1, 2)"
    ),
    "trajectory of an unknown status": (
        trajectory(status="well"), ValueError, "`status` must be of completed, reached, diverged, exhausted, interr"
    ),
    "trajectory of no status": (trajectory(status=None), TypeError, "`status` must be a str or an array of str, but i"),
    "trajectory of two ends": (
        trajectory(stopped_at=[1.0, 1.0]), ValueError, "`stopped_at` must have shape (), one for each run, but has shap"
    ),
    "trajectory of no end": (trajectory(stopped_at=np.nan), ValueError, "`stopped_at` must be finite, but is nan"),
    "trajectory at no N": (trajectory(N=0), ValueError, "`N` must be at least 1, but is 0"),
    "trajectory of a broken seed": (trajectory(seed=1.5), ValueError, "`seed` must be a whole number, but is 1.5"),
    "trajectory of a seed of text": (trajectory(seed=["a"]), TypeError, "`seed` must be a whole number, but is 'a' of"),
    "trajectory by no engine": (trajectory(engine=None), TypeError, "`engine` must be a str, but is NoneType"),
    "trajectory of no versions": (trajectory(versions=[]), TypeError, "`versions` must be a dict, but is list"),
    "overlaps after the end": (lambda: ode().overlaps(201), ValueError, "`index` must be one of 201 times, but is 201"),
    "overlaps before the start": (lambda: ode().overlaps(-202), ValueError, "`index` must be one of 201 times, but is"),
    "overlaps at a slice": (lambda: ode().overlaps(slice(2)), TypeError, "`index` must be a whole number, but is slic"),
    "overlaps of no run": (lambda: sgd().overlaps(0), ValueError, "`run` must be one of 3 runs, but is None"),
    "overlaps of a run too many": (lambda: sgd().overlaps(0, 3), ValueError, "`run` must be one of 3 runs, but is 3"),
    "overlaps of a run of one": (lambda: ode().overlaps(0, 0), ValueError, "`run` must be left out: there is no run a"),
    "overlaps of an ended run": (
        lambda: tsode.simulate(MODEL.replace(learning_rate=0.5), START, 9.0, N=20, runs=16).overlaps(-1, 3),
        ValueError, "`index` must be a time before the end of run 3, but is ",
    ),
    "arrays in a list": (
        lambda: tsode.Trajectory.from_arrays([]), TypeError, "`arrays` must be a mapping of str to ndarray, but is list"
    ),
    "arrays of nothing": (
        lambda: tsode.Trajectory.from_arrays({}), ValueError, "`arrays` must have all that `to_arrays` gives, but 'head"
    ),
    "arrays of another header": (from_arrays(header="{}"), ValueError, "`header` must be of tsode, but 'format' is mi"),
    "arrays with a list for a header": (from_arrays(header="[]"), TypeError, "`header` must be a JSON object, but is "),
    "save to a number": (lambda: ode().save(3), TypeError, "`path` must be a path, but is int"),
    "save to bytes": (lambda: ode().save(b"run"), TypeError, "`path` must be a path, but is bytes"),
    "save to nothing": (lambda: ode().save(""), ValueError, "`path` must be a path, but is ''"),
    "save to a zero byte": (lambda: ode().save("a\0b"), ValueError, "`path` must be a path, but is 'a\\x00b'"),
    "save to a missing folder": (lambda: ode().save("none/run"), FileNotFoundError, "directory: 'none/run.npz'"),
    "save below a file": (lambda: ode().save("../given/text.npz/run"), NotADirectoryError, "'../given/text.npz/run.np"),
    "save over a folder": (lambda: ode().save("../given/folder.npz"), IsADirectoryError, "'../given/folder.npz'"),
    "save as netCDF": (
        lambda: ode().save("run.nc"), ValueError,
        "`path` must end in .npz, or have no suffix, but ends in '.nc'; `to_xarray().to_netcdf(...)` writes netCDF",
    ),
    "save as the rest of a number": (
        lambda: ode().save("eta0.4"), ValueError, "`path` must end in .npz, or have no suffix, but ends in '.4'"
    ),
    "save over here": (lambda: ode().save("."), ValueError, "`path` must be the path of a file, but is '.'"),
    "save over there": (lambda: ode().save("none/.."), ValueError, "`path` must be the path of a file, but is 'none/"),
    "load a number": (lambda: LOAD(0), TypeError, "`path` must be a path, but is int"),
    "load nothing": (lambda: LOAD(None), TypeError, "`path` must be a path, but is NoneType"),
    "load an open file": (lambda: LOAD(Odd()), TypeError, "`path` must be a path, but is Odd"),
    "load what is not there": (lambda: LOAD("none.npz"), FileNotFoundError, "No such file or directory: 'none.npz'"),
    "load a folder": (lambda: LOAD("../given/folder.npz"), IsADirectoryError, "'../given/folder.npz'"),
    "load text": (
        lambda: LOAD("../given/text.npz"), ValueError,
        "`path` must be a complete file of tsode, but ../given/text.npz is not: it is no .npz archive",
    ),
    "load a study as a trajectory": (
        lambda: LOAD("../given/study.npz"), ValueError, "../given/study.npz is not: `arrays` must have all that"
    ),
    "load a trajectory as a study": (
        lambda: LOAD_STUDY("../given/run.npz"), ValueError, "run.npz is not: it has 'header', which is no part of a stu"
    ),
    "load a study of text": (lambda: LOAD_STUDY("../given/text.npz"), ValueError, "`path` must be a complete file of "),
    "load a study of no path": (lambda: LOAD_STUDY(1.5), TypeError, "`path` must be a path, but is float"),
    "load a study from an empty folder": (lambda: LOAD_STUDY("."), FileNotFoundError, "study.npz"),
    "save a study to a number": (lambda: study().save(1), TypeError, "`directory` must be a path, but is int"),
    "save a study as a picture": (
        lambda: study().save("study.png"), ValueError, "`directory` must be a folder, to which several files are wri"
    ),
    "save a study into a file": (lambda: study().save("../given/text.npz"), FileExistsError, "'../given/text.npz'"),
    "study of text": (other_study(ode="ode"), TypeError, "`ode` must be a Trajectory, but is str"),
    "study swapped": (
        lambda: other_study(ode=study().sgd)(), ValueError, "`ode` must be a solution of the ODEs, but is of the engine"
    ),
    "study without runs": (lambda: other_study(sgd=study().ode)(), ValueError, "`sgd` must be runs of SGD, but is of "),
    "study of two models": (
        lambda: other_study(sgd=tsode.simulate(MODEL.replace(p=3), None, 1.0, N=20))(), ValueError,
        "`sgd` must be of the model of `ode`, but is of another",
    ),
}  # fmt: skip

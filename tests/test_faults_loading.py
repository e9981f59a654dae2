"""Files that are truncated, flipped, foreign, malicious or of another version: refused by name, and nothing is run.

Truncated at 80 lengths a file, flipped at 250 bits a file, and 15 foreign contents, for trajectories and for studies;
the points of a scan have theirs in test_scans_crash.py, and 40 + 80 + 15 here.
"""

import io
import json
import os
import pickle
import re
import warnings
import zipfile

import numpy as np
import pytest

import tsode
from tsode._files import read_npz

MODEL = tsode.TeacherStudent(2, 1, 0.2)


class Bomb:
    """Makes a folder where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Run in an empty folder, and see that nothing was run from a file."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list(tmp_path.rglob("exploded"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the bytes of a trajectory and of a study."""
    folder = tmp_path_factory.mktemp("whole")
    sgd = tsode.simulate(MODEL, None, [0.0, 1.0, 2.0], N=30, runs=2)
    tsode.study(MODEL, N=30, runs=2, alpha_max=0.2).save(folder)
    return {"trajectory": sgd.save(folder / "run.npz").read_bytes(), "study": (folder / "study.npz").read_bytes()}


LOADERS = {"trajectory": tsode.Trajectory.load, "study": tsode.Study.load}
KINDS = pytest.mark.parametrize("kind", LOADERS)


def numbers(loaded):
    """Return all that was loaded in a form that compares."""
    parts = [loaded.ode, loaded.sgd, loaded.escapes] if isinstance(loaded, tsode.Study) else [loaded]
    return [{name: (array.dtype, array.tobytes()) for name, array in part.to_arrays().items()} for part in parts]


def refused(kind, content, name="file.npz"):
    """Load a content; return True if it was refused, which has to be by name, and else what it holds."""
    with open(name, "wb") as file:
        file.write(content)
    error = None
    try:
        loaded = LOADERS[kind](name)
    except ValueError as caught:
        error = caught
    if error is None:
        return numbers(loaded)
    assert type(error) is ValueError
    assert re.fullmatch(f"`path` must be a complete file of tsode, but {name} is not: .+", str(error), re.DOTALL)
    return True


def archive(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def pickled_array():
    stream = io.BytesIO()
    np.save(stream, np.array([Bomb()], dtype=object), allow_pickle=True)
    return stream.getvalue()


def members(**contents):
    """Return a zip archive of raw contents."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in contents.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def huge():
    """Return an array whose header promises more than any memory holds."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    return stream.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"alpha,M,Q\n0,1,2\n",
    "JSON": json.dumps({"format": 1}).encode(),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "zeros": bytes(4096),
    "pickle": pickle.dumps(Bomb()),
    "pickle by protocol 0": pickle.dumps(Bomb(), protocol=0),
    "array": pickled_array(),
    "empty archive": members(),
    "archive of a pickle": members(header=pickle.dumps(Bomb())),
    "archive of a pickled array": members(header=pickled_array(), alpha=pickled_array()),
    "archive of text": members(header=b"text", alpha=b"text"),
    "archive of other arrays": archive(x=np.zeros(3)),
    "archive of a huge array": members(header=huge()),
    "start of an archive": b"PK\x03\x04" + bytes(100),
}


@KINDS
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_refused(kind, name):
    assert refused(kind, FOREIGN[name]) is True


@KINDS
def test_truncated_files_are_refused(kind, whole):
    content = whole[kind]
    lengths = np.unique(np.linspace(0, len(content) - 1, 20).astype(int))
    assert len(lengths) == 20
    for length in lengths:
        assert refused(kind, content[:length]) is True, length


@KINDS
def test_flipped_bits_are_refused_or_without_effect(kind, whole):
    rng = np.random.default_rng(0)
    content = whole[kind]
    right = refused(kind, content)
    found = 0
    for place, bit in zip(rng.choice(len(content), 100, replace=False), rng.integers(8, size=100)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        outcome = refused(kind, bytes(flipped))
        assert outcome is True or outcome == right, place  # dates and the like of the archive have no meaning
        found += outcome is True
    assert found > 60


def changed(**changes):
    """Return a trajectory's archive with some arrays, or parts of its header, replaced or (None) taken away."""
    arrays = tsode.integrate(MODEL, tsode.Overlaps.random(MODEL, 50, rng=0), 1.0).to_arrays()
    header = json.loads(str(arrays["header"]))
    for name, value in changes.items():
        part = arrays if name in arrays else header
        if value is None:
            del part[name]
        else:
            part[name] = value
    if "header" in arrays and "header" not in changes:
        arrays["header"] = np.array(json.dumps(header))
    return archive(**arrays)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 99}, "its format is 99, newer than 1, which this version reads"),
        ({"format": 0}, "`format` must be at least 1, but is 0"),
        ({"format": "new"}, "`format` must be a whole number, but is 'new'"),
        ({"engine": None}, "`header` must be of tsode, but 'engine' is missing"),
        ({"model": {}}, "`parameters` must be those of a model"),
        ({"model": {"p": 2, "p_star": 1, "learning_rate": -1}}, "`learning_rate` must be larger than 0, but is -1"),
        ({"model": [1]}, "`model` must be a JSON object, but is list"),
        ({"seed": "x"}, "`seed` must be a whole number, but is 'x'"),
        ({"versions": 3}, "`versions` must be a dict, but is int"),
        ({"header": np.array("not JSON")}, "Expecting value"),
        ({"header": np.array("[" * 100_000)}, "recursion depth"),
        ({"header": np.zeros(3)}, "Expecting"),
        ({"M": None}, "'M' is missing"),
        ({"M": np.zeros((2, 2))}, "`M` must have shape (T, p, p_star) = (201, 2, 1) after the runs"),
        ({"Q": np.array("Q")}, "`Q` must be an array of real numbers"),
        ({"alpha": np.zeros(201)}, "`alpha` must be strictly increasing"),
        ({"status": np.array("fine")}, "`status` must be of completed, reached, diverged"),
        ({"stopped_at": np.array("never")}, "`stopped_at` must be an array of real numbers"),
    ],
)
def test_what_does_not_fit_is_refused(changes, reason):
    with open("file.npz", "wb") as file:
        file.write(changed(**changes))
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        tsode.Trajectory.load("file.npz")
    assert str(caught.value).startswith("`path` must be a complete file of tsode, but file.npz is not: ")


def test_what_was_changed_by_nothing_is_read():
    with open("file.npz", "wb") as file:
        file.write(changed())
    assert tsode.Trajectory.load("file.npz").status == "completed"


def test_a_reason_without_words_is_named(here):
    """Readers of NumPy and zipfile end a cut stream with an empty EOFError."""
    (here / "file.npz").write_bytes(archive(a=np.zeros(2)))

    def build(arrays):
        raise EOFError

    with pytest.raises(ValueError, match="is not: EOFError"):
        read_npz("file.npz", build)


def test_points_of_a_scan_that_are_damaged_are_computed_again(here):
    pytest.importorskip("xarray")
    rng = np.random.default_rng(1)

    def point(x):
        return {"square": x * x, "rows": [x, x + 1]}

    def scan():
        return tsode.scan(point, {"x": [3]}, path=here / "store", n_jobs=1, progress=False)

    right = scan()
    (file,) = (here / "store" / "points").iterdir()
    content = file.read_bytes()
    damaged = [content[:length] for length in np.linspace(0, len(content) - 1, 40).astype(int)]
    for place, bit in zip(rng.choice(len(content), 80, replace=False), rng.integers(8, size=80)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        damaged.append(bytes(flipped))
    warned = 0
    for wrong in [*damaged, *FOREIGN.values()]:
        file.write_bytes(wrong)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert scan().identical(right)
        assert all(str(warning.message).startswith(f"{file} is no finished point (") for warning in caught)
        warned += len(caught)
    assert warned > 40 + 40 + len(FOREIGN)

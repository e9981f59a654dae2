"""Kills, interrupts and full disks in the middle of commands and of saving.

Faults of a quick run, by kills + interrupts + full disks: 3 + 3 + 2 in `tsode scan escape`, 15 + 6 + 8 in
`Trajectory.save`. The slow ones have 2 + 1 + 1 in `tsode study` and in `tsode hessian`, and go through every place
where a command touches a file, 12 sizes of the disk and 12 moments, each from a fresh folder, with a run that goes on
after each: 224.
"""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import tsode
from tsode._files import STALE

if sys.platform == "win32":
    pytest.skip("forks and limits of files are those of Unix", allow_module_level=True)
xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")

SERVER = Path(__file__).with_name("fault_server.py")
MODEL = ["--p-star", "1", "--learning-rate", "0.2"]
COMMANDS = {
    "study": ["study", "--p", "2", *MODEL, "-N", "50", "--runs", "2", "--alpha-max", "2", "--out"],
    "scan": ["scan", "escape", "--p", "1", "2", "3", *MODEL, "-N", "100", "--runs", "2", "--jobs", "1", "--path"],
    "hessian": ["hessian", "--p", "2", *MODEL, "--out"],
}
KILL, INTERRUPT = int(signal.SIGKILL), int(signal.SIGINT)


@pytest.fixture(scope="module")
def ask():
    """Return the function that hands a request to the server and returns its answer."""
    with subprocess.Popen([sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "ready\n"

        def one(folder, fault=None, **request):
            server.stdin.write(json.dumps({"folder": str(folder), "fault": fault, **request}) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield one
        server.stdin.close()


@pytest.fixture(scope="module")
def undisturbed(ask, tmp_path_factory):
    """Return the function that tells what a command writes undisturbed, and how often it touches a file."""

    @functools.cache
    def one(name):
        folder = tmp_path_factory.mktemp(name) / "out"
        answer = ask(folder, arguments=[*COMMANDS[name], str(folder)])
        assert (answer["status"], answer["err"]) == (0, "")
        return contents(folder), answer["events"]

    return one


def contents(folder):
    """Return name -> content of all files with their final names, each of which has to be whole."""
    found = {}
    for file in sorted(folder.rglob("*")) if folder.exists() else []:
        if file.is_dir() or file.name.endswith(".part"):
            continue
        if file.suffix == ".npz":
            with np.load(file) as arrays:
                content = {name: arrays[name].tolist() for name in arrays.files}
        elif file.suffix == ".json":
            content = json.loads(file.read_text())
        elif file.suffix == ".nc":
            with xarray.open_dataset(file, engine="h5netcdf") as table:
                content = table.load().to_dict()
        elif file.suffix == ".html":
            content = file.read_text(encoding="utf-8").endswith("</html>\n")
        else:
            content = matplotlib.image.imread(file).shape
        found[str(file.relative_to(folder))] = repr(content)
    return found


def parts(folder):
    """Return the names of the partial files that kills have left."""
    return [file.name for file in folder.rglob(".*.part")]


def check(answer, fault, folder, before):
    """Check how a disturbed command ended; return whether it did not get to its end, and its whole files."""
    killed = "kill" in fault[0] or fault[-1] == KILL
    files = contents(folder)
    assert answer["status"] in (0, -KILL, -int(signal.SIGXFSZ) if killed else 130 if fault[-1] == INTERRUPT else 2)
    if not killed:
        assert set(parts(folder)) <= before
    if answer["status"] == 0 or killed:
        return answer["status"] != 0, files
    if fault[0] == "time" and "Exception ignored in" in answer["err"]:
        return True, files  # Python could not raise the interrupt where it came, and says so
    assert answer["err"].startswith("tsode: ")
    assert answer["err"].count("\n") == 1
    assert ("interrupted" if fault[-1] == INTERRUPT else "File too large") in answer["err"]
    return True, files


def disturb(ask, name, faults, folder, undisturbed):
    """Run a command with one fault after the other in one folder, then without; return the number of faults met."""
    wanted, _ = undisturbed(name)
    met, arguments = 0, [*COMMANDS[name], str(folder)]
    for fault in faults:
        before = set(parts(folder))
        came, files = check(ask(folder, fault, arguments=arguments), fault, folder, before)
        met += came
        if "time" not in fault:  # what was interrupted in the middle of SGD has less in its files
            assert files.items() <= wanted.items()
    answer = ask(folder, arguments=arguments)
    assert (answer["status"], answer["err"]) == (0, "")
    assert contents(folder) == wanted
    return met


QUICK = {
    "study": [
        ["event", 5, KILL],
        ["event", 6, INTERRUPT],
        ["size", 3000],
        ["kill at size", 3000],
    ],
    "scan": [
        *(["event", n, KILL] for n in (5, 8)),
        *(["event", n, INTERRUPT] for n in (4, 6, 9)),
        *(["size", n] for n in (300, 9000)),
        ["kill at size", 5000],
    ],
    "hessian": [
        ["event", 4, KILL],
        ["event", 5, INTERRUPT],
        ["size", 0],
        ["kill at size", 3000],
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_command_survives_accident_after_accident(name, ask, undisturbed, tmp_path):
    assert disturb(ask, name, QUICK[name], tmp_path / "out", undisturbed) == len(QUICK[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["kill", "interrupt", "full", "kill at size", "kill at time", "interrupt at time"])
def test_command_survives_an_accident_anywhere(kind, name, ask, undisturbed, tmp_path):
    sizes, times = (0, 1, 50, 200, 700, 1500, 3000, 5000, 8000, 9000, 12_000, 20_000), np.geomspace(0.003, 0.6, 12)
    events = range(1, undisturbed(name)[1] + 1)
    faults = {
        "kill": [["event", n, KILL] for n in events],
        "interrupt": [["event", n, INTERRUPT] for n in events],
        "full": [["size", n] for n in sizes],
        "kill at size": [["kill at size", n] for n in sizes],
        "kill at time": [["time", float(t), KILL] for t in times],
        "interrupt at time": [["time", float(t), INTERRUPT] for t in times],
    }[kind]
    for i, fault in enumerate(faults):
        met = disturb(ask, name, [fault], tmp_path / str(i), undisturbed)
        assert met or kind.endswith("time"), fault


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory):
    """Files of two trajectories: one that is there before, and one to be saved in its place."""
    folder = tmp_path_factory.mktemp("trajectories")
    model = tsode.TeacherStudent(2, 1, 0.2)
    runs = [tsode.simulate(model, None, 4.0, N=50, runs=4, seed=seed) for seed in range(2)]
    return [run.save(folder / f"{seed}.npz") for seed, run in enumerate(runs)]


@pytest.mark.slow
def test_save_leaves_the_old_file_or_the_new_one(ask, trajectories, tmp_path):
    old, new = trajectories
    size = new.stat().st_size
    assert size > 10_000
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "run.npz"
    limits = np.linspace(0, size - 1, 8).astype(int).tolist()
    faults = [
        *(["size", n] for n in limits),
        *(["kill at size", n] for n in limits),
        *(["event", n, number] for n in (1, 2) for number in (KILL, INTERRUPT)),
        *(["time", t, number] for t in np.linspace(2e-4, 8e-3, 4).tolist() for number in (KILL, INTERRUPT)),
        ["time", 3600.0, KILL],  # after the end, also where everything takes long
    ]
    assert len(faults) == 29
    olds = news = 0
    for fault in faults:
        shutil.copyfile(old, target)
        answer = ask(folder, fault, save=[str(new), str(target)])
        whole = target.read_bytes()
        assert whole == (new if answer["status"] == 0 else old).read_bytes() or (fault[0] != "size" and whole in (
            old.read_bytes(), new.read_bytes()
        ))  # fmt: skip
        tsode.Trajectory.load(target)
        olds, news = olds + (whole == old.read_bytes()), news + (whole == new.read_bytes())
        if fault[-1] != KILL and fault[0] != "kill at size":
            assert len(parts(folder)) == 0, fault
        if answer["status"] == 1:
            assert ("KeyboardInterrupt" if fault[-1] == INTERRUPT else "File too large: ") in answer["err"]
        for name in parts(folder):
            (folder / name).unlink()
    assert olds >= 20
    assert news >= 1


@pytest.mark.slow
def test_leftovers_of_killed_runs_go_when_nobody_can_be_writing_them(ask, undisturbed, tmp_path):
    folder = tmp_path / "out"
    arguments = [*COMMANDS["scan"], str(folder)]
    for fault in (["kill at size", 0], ["kill at size", 5000]):
        assert ask(folder, fault, arguments=arguments)["status"] == -int(signal.SIGXFSZ)
    left = list(folder.rglob(".*.part"))
    assert [file.parent.name for file in left] == ["out", "points"]
    assert ask(folder, arguments=arguments)["status"] == 0
    assert set(folder.rglob(".*.part")) == set(left)  # they could be another process's
    for file in left:
        os.utime(file, (time.time() - STALE - 10,) * 2)
    (folder / ".mine.part").write_text("")
    assert ask(folder, arguments=arguments)["status"] == 0
    assert parts(folder) == [".mine.part"]
    assert contents(folder) == undisturbed("scan")[0]


def test_figure_on_a_full_disk(tmp_path, monkeypatch):
    figure = tsode.plot.overlap_matrix(tsode.Overlaps([[0.0]], [[1.0]])).figure
    path = tmp_path / "figure.png"
    tsode.plot.save(figure, path)
    before = path.read_bytes()

    def full(temporary, **options):
        Path(temporary).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*figure\.png'"):
        tsode.plot.save(figure, path)
    assert os.listdir(tmp_path) == ["figure.png"]
    assert path.read_bytes() == before

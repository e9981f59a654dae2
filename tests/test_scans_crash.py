"""Scans that are killed, interrupted, damaged and run twice, as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import scan_script

import tsode

xarray = pytest.importorskip("xarray")

SCRIPT = Path(__file__).with_name("scan_script.py")
POINTS = 24


def run(folder, wait=True, hold=None, **settings):
    """Start the script; return its result and the log of its calls, or the process."""
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    environment = {**os.environ, "SCAN_LOG": str(log), **({} if hold is None else {"SCAN_HOLD": str(hold)})}
    settings = {"out": str(folder / "whole.nc"), **settings}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(settings)], env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # whatever the tests run in may ignore Ctrl-C, and processes inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    if not wait:
        return process, log
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return load(folder / "whole.nc"), calls(log)


def savez(file, **arrays):
    with open(file, "wb") as stream:
        np.savez(stream, **arrays)


def load(path):
    with xarray.open_dataset(path, engine="h5netcdf") as table:
        return table.load()


def calls(log):
    return log.read_text().splitlines() if log.exists() else []


def finished(store):
    return {file.name for file in (store / "points").glob("*.npz")}


def wait_for(store, number, process):
    end = time.monotonic() + 120
    while len(finished(store)) < number:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)


def here(folder, store):
    """Run or resume the scan in this process; return its result and the log of its calls."""
    log = folder / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCAN_LOG", str(log))
        return tsode.scan(scan_script.point, scan_script.grid(), path=store, n_jobs=1), calls(log)


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    table, called = here(folder, folder / "store")
    assert len(called) == len(set(called)) == POINTS
    return table, folder / "store"


@pytest.mark.slow
def test_killed_scan_resumes_without_repeating_or_losing(serial, tmp_path):
    store = tmp_path / "store"
    process, log = run(tmp_path, wait=False, hold=8, n_jobs=2, path=str(store))
    wait_for(store, 8, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = finished(store)
    before = calls(log)
    assert len(kept) == 8
    log.unlink()
    table, again = here(tmp_path, store)
    # counted from outside: what was called in both lives had not been finished in the first
    assert len(again) == len(set(again)) == POINTS - len(kept)
    assert len(set(before) & set(again)) == len(before) - len(kept) <= 2
    assert set(before) | set(again) == set(calls(serial[1].parent / "log"))
    assert kept < finished(store)
    assert table.identical(serial[0])


def test_processes_give_the_bits_of_the_serial_scan(serial):
    assert tsode.scan(scan_script.point, scan_script.grid(), n_jobs=2).identical(serial[0])


def test_finished_scan_calls_nothing(serial, tmp_path):
    table, called = here(tmp_path, serial[1])
    assert called == []
    assert table.identical(serial[0])


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_leaves_a_resumable_state_and_one_line(n_jobs, serial, tmp_path):
    store = tmp_path / "store"
    process, log = run(tmp_path, wait=False, hold=5, n_jobs=n_jobs, path=str(store))
    wait_for(store, 5, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the scan
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert len(finished(store)) == 5
    last = output.splitlines()[-1]
    assert last.startswith("KeyboardInterrupt: interrupted after ")
    assert last.endswith(f" of {POINTS} points; the same call goes on from {store}")
    assert output.count("Traceback") == 1
    log.unlink()
    table, again = here(tmp_path, store)
    assert len(again) == POINTS - 5
    assert table.identical(serial[0])


@pytest.mark.slow
def test_two_processes_on_one_path(serial, tmp_path):
    """Another one and this one, which comes in after the other's first points."""
    store = tmp_path / "store"
    process, _ = run(tmp_path / "other", wait=False, n_jobs=1, path=str(store))
    wait_for(store, 2, process)
    assert here(tmp_path, store)[0].identical(serial[0])
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert load(tmp_path / "other" / "whole.nc").identical(serial[0])
    assert len(list((store / "points").iterdir())) == POINTS  # and no temporary file is left


def damaged_store(tmp_path, damage):
    def squares(x, y):
        return {"square": x * x, "rows": [x, y]}

    path = tmp_path / "store"
    right = tsode.scan(squares, {"x": range(6), "y": [0.5, 1.5]}, path=path, n_jobs=1)
    files = sorted((path / "points").iterdir())
    for file in files:
        damage(file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = tsode.scan(squares, {"x": range(6), "y": [0.5, 1.5]}, path=path, n_jobs=1)
    assert again.identical(right)
    named = sorted(str(warning.message).split(" is no finished point")[0] for warning in caught)
    assert named == [str(file) for file in files]
    assert all(warning.filename == __file__ for warning in caught)
    assert tsode.scan(squares, {"x": range(6), "y": [0.5, 1.5]}, path=path, n_jobs=1).identical(right)


def test_truncated_store_gives_the_right_answer_and_a_warning_a_file(tmp_path):
    rng = np.random.default_rng(0)
    damaged_store(tmp_path, lambda file: os.truncate(file, int(rng.integers(file.stat().st_size))))


def test_foreign_and_flipped_files_are_noticed(tmp_path):
    rng = np.random.default_rng(1)
    damages = iter([
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"something else"),
        lambda file: savez(file, x=np.arange(3)),
        lambda file: savez(file, header=np.array("{}")),
        lambda file: savez(file, header=np.array([{}], dtype=object)),
        lambda file: np.save(file.with_suffix(".npy"), np.arange(3)) or file.with_suffix(".npy").replace(file),
        lambda file: file.write_bytes(next(other for other in file.parent.iterdir() if other != file).read_bytes()),
    ])  # fmt: skip

    def flip(file):
        """Other bytes in the middle of the header's data, whose checksum the archive has."""
        content = bytearray(file.read_bytes())
        place = content.index(b"header.npy") + 60 + int(rng.integers(20))
        content[place] ^= 0xFF
        file.write_bytes(content)

    damaged_store(tmp_path, lambda file: next(damages, flip)(file))

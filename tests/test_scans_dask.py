"""Scans on Dask: a cluster in one call, and one of separate processes as on a real cluster."""

import json
import subprocess
import sys
import time

import pytest
from test_scans_crash import POINTS, calls, run

import tsode
from tsode import cli

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return run(tmp_path_factory.mktemp("serial"), n_jobs=1)[0]


@pytest.fixture
def address(tmp_path):
    """Return the address of a scheduler with two workers, all of them processes started from the command line."""
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    started = [
        subprocess.Popen(
            [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file],
            **common,
        )
    ]
    try:
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().strip().endswith("}")):
            assert time.monotonic() < end
            time.sleep(0.05)
        worker = [*dask, "worker", "--nthreads", "1", "--no-dashboard", "--scheduler-file", file]
        started += [subprocess.Popen(worker, **common) for _ in range(2)]
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(started):
            process.terminate()
        for process in reversed(started):
            process.wait(30)


@pytest.mark.slow
def test_local_cluster_gives_the_bits_of_the_serial_scan(serial, tmp_path):
    store = tmp_path / "store"
    table, called = run(tmp_path, n_jobs=-1, backend="dask", path=str(store))
    assert len(called) == POINTS
    assert table.identical(serial)
    table, called = run(tmp_path, n_jobs=1, path=str(store))
    assert len(called) == POINTS  # the log goes on, and has no new line
    assert table.identical(serial)


@pytest.mark.slow
def test_scheduler_and_workers_as_processes(serial, address, tmp_path, monkeypatch):
    # the workers were started without the log's name: the function is sent it
    code = "import json, os, sys, scan_script, tsode, joblib, functools\n"
    assert code
    table, called = run(tmp_path, n_jobs=-1, backend="dask", address=address, path=str(tmp_path / "store"))
    assert table.identical(serial)
    assert calls(tmp_path / "log") == called

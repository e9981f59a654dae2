"""Scans on Dask: a cluster in one call, and one of separate processes as on a real cluster."""

import json
import os
import subprocess
import sys
import time

import pytest
import scan_script
from test_scans_crash import POINTS, run

import tsode
from tsode import cli

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCAN_LOG", str(tmp_path_factory.mktemp("serial") / "log"))
        return tsode.scan(scan_script.point, scan_script.grid(), n_jobs=1)


@pytest.fixture
def address(tmp_path):
    """Return the address of a scheduler with two workers, all of them processes started from the command line."""
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    environment = {**os.environ, "SCAN_LOG": str(tmp_path / "log")}
    common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path, "env": environment}
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
def test_scheduler_and_workers_as_processes(serial, address, tmp_path):
    """The function is found by value: the workers have never seen the script."""
    store = tmp_path / "store"
    table, called = run(tmp_path, n_jobs=-1, backend="dask", address=address, path=str(store))
    assert len(called) == len(set(called)) == POINTS
    assert table.identical(serial)
    assert len(list((store / "points").iterdir())) == POINTS


@pytest.mark.slow
def test_command_on_a_scheduler(address, tmp_path, capsys):
    arguments = [
        "scan",
        "escape",
        "--p",
        "2",
        "--p-star",
        "1",
        "--learning-rate",
        "0.1:0.2:2",
        "--runs",
        "2",
        "-N",
        "200",
    ]
    assert cli.main([*arguments, "--path", str(tmp_path / "cluster"), "--scheduler", address]) == 0
    on_cluster = capsys.readouterr().out.splitlines()[:-1]
    assert cli.main([*arguments, "--path", str(tmp_path / "here"), "--jobs", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == on_cluster
    assert len(on_cluster) == 4

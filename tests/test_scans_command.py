"""The command line of the scans."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tsode
from tsode import cli
from tsode.cli.scan import _numbers

xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")

QUICK = ["--p-star", "1", "--jobs", "1"]


@pytest.mark.slow
def test_command_escape_writes_prints_and_resumes(tmp_path, capsys):
    arguments = ["scan", "escape", "--p", "1", "2", "--learning-rate", "0.1:0.2:3", "-N", "1e2", "--runs", "2", *QUICK]
    assert cli.main([*arguments, "--path", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[1].split() == ["p", "learning_rate", "mean", "std_error", "law_mean", "escaped", "reason"]
    assert len(lines) == 9
    assert sorted(os.listdir(tmp_path)) == ["escape.nc", "escape.png", "points"]
    grid = {"p": [1, 2], "p_star": 1, "learning_rate": np.linspace(0.1, 0.2, 3), "dimension": 100}
    wanted = tsode.scans.escape(grid, runs=2, n_jobs=1)
    with xarray.open_dataset(tmp_path / "escape.nc", engine="h5netcdf") as table:
        assert table.load().identical(wanted)
    kept = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "points").iterdir()}
    assert len(kept) == 6
    assert cli.main([*arguments, "--path", str(tmp_path)]) == 0
    assert capsys.readouterr().out == out
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "points").iterdir()} == kept


@pytest.mark.parametrize("kind", ["stability", "deviation"])
def test_other_commands_write_their_files(kind, tmp_path, capsys):
    more = ["-N", "100", "300", "--runs", "2", "--alpha-max", "1"] if kind == "deviation" else []
    assert cli.main(["scan", kind, "--p", "1:2:2", "--path", str(tmp_path), *more, *QUICK]) == 0
    assert sorted(os.listdir(tmp_path)) == sorted([f"{kind}.nc", f"{kind}.png", "points"])
    assert "p_star = 1" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_toml_file_stands_for_flags_and_flags_override_it(tmp_path, capsys):
    config = tmp_path / "scan.toml"
    config.write_text('p = [1, 2]\np-star = 1\nlearning_rate = "0.1:0.2:2"\ndimension = 1e2\nruns = 2\njobs = 1\n'
                      f"path = {json.dumps(str(tmp_path / 'a'))}\n")  # fmt: skip
    assert cli.main(["scan", "escape", "--config", str(config)]) == 0
    from_file = capsys.readouterr().out
    flags = ["--p", "1", "2", "--learning-rate", "0.1:0.2:2", "-N", "100", "--runs", "2", "--path", str(tmp_path / "b")]
    assert cli.main(["scan", "escape", *flags, *QUICK]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == from_file.splitlines()[:-1]
    assert cli.main(["scan", "escape", "--config", str(config), "--p", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


FLAGS = {
    "escape": (
        ["--noise-variance", "0.1", "--constraint", "spherical", "-N", "100", "--runs", "3", "--threshold", "0.04"],
        {"noise_variance": 0.1, "constraint": "spherical", "dimension": 100}, {"runs": 3, "threshold": 0.04, "seed": 5},
    ),
    "deviation": (
        ["--noise-variance", "0.1", "--constraint", "spherical", "-N", "100", "--runs", "3", "--alpha-max", "1.5"],
        {"noise_variance": 0.1, "constraint": "spherical", "dimension": 100}, {"runs": 3, "alpha_max": 1.5, "seed": 5},
    ),
    "stability": (["--noise-variance", "0.1", "--constraint", "spherical"],
                  {"noise_variance": 0.1, "constraint": "spherical"}, {}),
}  # fmt: skip


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("kind", FLAGS)
def test_flags_are_the_arguments_of_the_scan(kind, tmp_path, capsys):
    flags, grid, options = FLAGS[kind]
    seed = ["--seed", "5"] if "seed" in options else []
    common = ["--p", "2", "3", "--learning-rate", "0.15", "--path", str(tmp_path), *QUICK]
    assert cli.main(["scan", kind, *flags, *seed, *common]) == 0
    grid = {"p": [2, 3], "p_star": 1, "learning_rate": 0.15, **grid}
    wanted = getattr(tsode.scans, kind)(grid, n_jobs=1, **options)
    with xarray.open_dataset(tmp_path / f"{kind}.nc", engine="h5netcdf") as table:
        assert table.load().identical(wanted)
    lines = capsys.readouterr().out.splitlines()
    assert "p_star = 1, learning_rate = 0.15, noise_variance = 0.1, constraint = spherical" in lines[0]
    header = lines[1].split()
    assert header[0] == "p"
    for line, p in zip(lines[2:4], (2, 3)):  # each column has what its name says
        row = dict(zip(header, line.split(), strict=True))
        for name, text in row.items():
            value = wanted.squeeze().sel(p=p)[name].item()
            assert text == value if isinstance(value, str) else float(text) == pytest.approx(value, rel=1e-5)


@pytest.mark.usefixtures("undrawn")
def test_points_without_a_law_say_why(tmp_path, capsys):
    arguments = ["scan", "escape", "--p", "2", "--p-star", "8", "--runs", "2", "-N", "1000", "--jobs", "1"]
    assert cli.main([*arguments, "--learning-rate", "0.3", "0.7", "--path", str(tmp_path)]) == 0
    header, escapes, diverges = capsys.readouterr().out.splitlines()[1:4]
    assert header.split()[-1] == "reason"
    assert escapes.split()[-1] == "2"
    assert diverges.endswith("no attracting fixed point above the learning rate 0.640754")


def fail_at(monkeypatch, width):
    """Let the law of the escape time break at one width."""
    real = tsode.escape_law

    def broken(model, *arguments, **options):
        if model.p == width:
            raise FloatingPointError("broken")
        return real(model, *arguments, **options)

    monkeypatch.setattr("tsode.scans.escape_scans.escape_law", broken)


@pytest.mark.usefixtures("undrawn")
def test_command_with_a_failing_point(tmp_path, monkeypatch, capsys):
    fail_at(monkeypatch, 2)
    arguments = ["scan", "escape", "--p", "1", "2", "-N", "100", "--runs", "2", "--learning-rate", "0.1", *QUICK]
    arguments += ["--path", str(tmp_path)]
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("tsode: at p = 2, p_star = 1, learning_rate = 0.1")
    assert err.endswith("FloatingPointError: broken\n")
    assert cli.main([*arguments, "--on-error", "record"]) == 0
    out, err = capsys.readouterr()
    assert "nan" in out
    assert "reason" not in out
    assert err.count("\n") == 1
    assert "failed at p = 2, " in err


@pytest.mark.usefixtures("undrawn")
def test_command_where_all_points_fail(tmp_path, monkeypatch, capsys):
    fail_at(monkeypatch, 2)
    assert cli.main(["scan", "escape", "--p", "2", "--on-error", "record", "--path", str(tmp_path), *QUICK]) == 0
    assert "failed at p = 2" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["escape.nc", "points"]


@pytest.mark.slow
def test_ctrl_c_on_the_command_is_one_line(tmp_path):
    arguments = ["scan", "escape", "--p", "1", "--p-star", "1", "--learning-rate", "0.05:0.1:20", "--runs", "2",
                 "--dimension", "1e4", "--path", str(tmp_path), "--jobs", "1"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "tsode", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    end = time.monotonic() + 60
    try:
        while not list(tmp_path.glob("points/*.npz")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert err.startswith("tsode: interrupted after ")
    assert err.endswith(f"of 20 points; the same call goes on from {tmp_path}\n")
    assert err.count("\n") == 1


def test_numbers_of_the_command_line():
    assert _numbers("p", "1:8:8") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert _numbers("learning_rate", "0.1:1.0:10") == np.linspace(0.1, 1.0, 10).tolist()
    assert _numbers("dimension", "1e2:1e4:3:log") == [100, 1000, 10_000]
    assert _numbers("p", "4") == [4]


def test_a_grid_of_one_value_is_its_first():
    assert _numbers("p", "3:8:1") == [3]
    assert _numbers("learning_rate", "0.5:2:1:log") == [0.5]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("count", [40, 43])
def test_table_shows_forty_points_and_counts_the_others(count, tmp_path, capsys):
    arguments = ["--p", "1", "--learning-rate", f"0.1:0.2:{count}", "--path", str(tmp_path)]
    assert cli.main(["scan", "stability", *arguments, *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    rates = [float(line.split()[0]) for line in lines[2:42]]
    np.testing.assert_allclose(rates, np.linspace(0.1, 0.2, count)[:40], rtol=1e-5)
    assert len(lines) == (43 if count == 40 else 44)
    assert ("... and 3 more" in lines[42]) == (count == 43)


@pytest.mark.parametrize(
    ("command", "function"),
    [("scan stability --path", "tsode.scans.stability"), ("hessian --out", "tsode.hessian.compare")],
)
def test_interrupted_commands_end_with_130_and_one_line(command, function, tmp_path, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(function, interrupted)
    assert cli.main([*command.split(), str(tmp_path)]) == 130
    assert capsys.readouterr() == ("", "tsode: interrupted\n")

"""What the command line refuses: in one line, with exit status 2, with nothing printed and nothing left behind."""

import os
import shlex
import warnings

import pytest

from tsode import cli
from tsode.cli.main import _parser

pytest.importorskip("xarray")

FILES = {
    "bad.toml": b"p = = 3",
    "binary.toml": b"\xff\xfe\0",
    "nested.toml": b"[escape]\np = 3",
    "other.toml": b"weight = 3",
    "p.toml": b"p = true",
    "runs.toml": b"runs = 'x'",
    "path.toml": b"path = 3",
    "jobs.toml": b"jobs = 'a'",
    "scheduler.toml": b"scheduler = 5",
    "on_error.toml": b"on_error = 'ignore'",
    "constraint.toml": b"constraint = 3",
    "table.toml": b"p = {a = 1}",
    "file": b"",
}
CASES = {
    "": "required: COMMAND",
    "fly": "invalid choice: 'fly'",
    "--nope": "required: COMMAND",
    "study extra": "unrecognized arguments: extra",
    "study --nope 3": "unrecognized arguments: --nope 3",
    # --- the model
    "study --p two": "argument --p: invalid int value: 'two'",
    "study --p 1e3": "argument --p: invalid int value: '1e3'",
    "study --p ''": "argument --p: invalid int value: ''",
    "study --p": "argument --p: expected one argument",
    "study --p 0": "`--p` must be at least 1, but is 0",
    "study --p -1": "`--p` must be at least 1, but is -1",
    "study --p 99999999999999999999999": "`--p` must be at most 9007199254740992, but is about 1e23",
    "study --p 10000000": "`--p` and `--p-star` must be small enough for this machine's memory",
    "study --p-star 0": "`--p-star` must be at least 1, but is 0",
    "study --p-star 1.5": "argument --p-star: invalid int value: '1.5'",
    "study --learning-rate fast": "argument --learning-rate: invalid float value: 'fast'",
    "study --learning-rate nan": "`--learning-rate` must be finite, but is nan",
    "study --learning-rate inf": "`--learning-rate` must be finite, but is inf",
    "study --learning-rate 0": "`--learning-rate` must be larger than 0, but is 0",
    "study --learning-rate -1": "`--learning-rate` must be larger than 0, but is -1",
    "study --learning-rate 1e-40": "`--learning-rate` must be at least 1e-30, but is 1e-40",
    "study --learning-rate 1e31": "`--learning-rate` must be at most 1e+30, but is 1e+31",
    "study --noise-variance -1": "`--noise-variance` must be at least 0, but is -1",
    "study --noise-variance nan": "`--noise-variance` must be finite, but is nan",
    "study --readout-learning-rate -1": "`--readout-learning-rate` must be at least 0, but is -1",
    "study --weight-decay -1": "`--weight-decay` must be at least 0, but is -1",
    "study --readout-decay -1": "`--readout-decay` must be at least 0, but is -1",
    "study --batch-size 0": "`--batch-size` must be at least 1, but is 0",
    "study --momentum 1": "`--momentum` must be at most 0.999999, but is 1",
    "study --constraint": "argument --constraint: expected one argument",
    "study --constraint cubic": "invalid choice: 'cubic'",
    "study --activation cube": "invalid choice: 'cube'",
    "study --teacher-activation 3": "invalid choice: '3'",
    "study --rule magic": "invalid choice: 'magic'",
    # --- a study
    "study --dimension 3": "`--dimension` must be at least 6, but is 3",
    "study --dimension 1.5": "`--dimension` must be a whole number, but is 1.5",
    "study --dimension nan": "`--dimension` must be a whole number, but is nan",
    "study --dimension inf": "`--dimension` must be a whole number, but is inf",
    "study --dimension 1e300": "`--dimension` must be at most 9007199254740992, but is about 1e300",
    "study --dimension 1e14 --engine weights --alpha-max 1": "`--dimension` must be small enough for this machine's",
    "study -N x": "argument --dimension/-N: invalid float value: 'x'",
    "study --runs 1": "`--runs` must be at least 2, but is 1",
    "study --runs 2.5": "argument --runs: invalid int value: '2.5'",
    "study --runs 1000000000000 --alpha-max 1": "`--runs`, `alpha` and the model must be small enough for this machine",
    "study --alpha-max nan": "`--alpha-max` must be finite, but is nan",
    "study --alpha-max 0": "`--alpha-max` must be larger than 0, but is 0",
    "study --alpha-max -2": "`--alpha-max` must be larger than 0, but is -2",
    "study --alpha-max 1e20": "`--alpha-max` must be at most 2.25e+12 at N = 4000, but is 1e+20",
    "study --alpha-max soon": "argument --alpha-max: invalid float value: 'soon'",
    "study --seed -3": "`--seed` must not be negative, but is -3",
    "study --seed 1.5": "argument --seed: invalid int value: '1.5'",
    "study --engine steam": "invalid choice: 'steam'",
    "study --engine diffusion --dimension 100": "`step` must be at least 50 samples, 0.5 at N = 100, but is 0.25; for",
    "study --engine diffusion --dimension 1e15 --alpha-max 5000": "`--alpha-max` must be at most 4.61e+03 at N = 1000",
    "study --engine diffusion --momentum 0.5": "`model` must have isotropic inputs, a fixed readout, batches of 1, no",
    "study --out ''": "`--out` must be a path, but is ''",
    "study --out study.html": "`--out` must be a folder, to which several files are written, but ends in '.html'",
    "study --out file": "File exists: 'file'",
    "study --out file/below": "Not a directory: 'file/below'",
    "study --out new/and/deep --p 0": "`--p` must be at least 1, but is 0",
    # --- Hessians
    "hessian --p 0": "`--p` must be at least 1, but is 0",
    "hessian --p-star x": "argument --p-star: invalid int value: 'x'",
    "hessian --learning-rate 0": "`--learning-rate` must be larger than 0, but is 0",
    "hessian --noise-variance -1": "`--noise-variance` must be at least 0, but is -1",
    "hessian --dimension 2": "`--dimension` must be at least 6, but is 2",
    "hessian --dimension nan": "`--dimension` must be a whole number, but is nan",
    "hessian --dimension 1e18": "`--dimension` must be at most 9007199254740992, but is 1000000000000000000",
    "hessian --constraint spherical": "`model` must be free, or have p = p_star",
    "hessian --ratios": "argument --ratios: expected at least one argument",
    "hessian --ratios x": "argument --ratios: invalid float value: 'x'",
    "hessian --ratios 3 2": "`--ratios` must be positive and strictly increasing",
    "hessian --ratios -1": "`--ratios` must be positive and strictly increasing",
    "hessian --ratios nan": "`--ratios` must be finite, but has nan",
    "hessian --ratios 1e20": "`--ratios` must be small enough for this machine's memory",
    "hessian --ratios 2 --sample-dimension 1": "`--sample-dimension` must be at least 6, but is 1",
    "hessian --ratios 2 --sample-dimension 2.5": "`--sample-dimension` must be a whole number, but is 2.5",
    "hessian --ratios 2 --sample-dimension 1e9": "`--ratios` must be small enough for this machine's memory",
    "hessian --sample-dimension x": "argument --sample-dimension: invalid float value: 'x'",
    "hessian --seed x": "argument --seed: invalid int value: 'x'",
    "hessian --seed -1 --ratios 2": "`--seed` must not be negative, but is -1",
    "hessian --out file": "File exists: 'file'",
    # --- distillation
    "distil": "required: NAME",
    "distil magic": "invalid choice: 'magic'",
    "distil logits --dimension 3": "`--dimension` must be at least 20, but is 3",
    "distil logits --dimension x": "argument --dimension/-N: invalid float value: 'x'",
    "distil logits -N 1e14": "`alpha` must be at most 90.1 at N = 100000000000000",
    "distil exits --runs 1": "`--runs` must be at least 2, but is 1",
    "distil exits --runs x": "argument --runs: invalid int value: 'x'",
    "distil exits --runs 1000000000000": "`--runs` must be small enough for this machine's memory",
    "distil logits --seed -1": "`--seed` must be at least 0, but is -1",
    "distil logits --seed x": "argument --seed: invalid int value: 'x'",
    "distil logits --out file": "File exists: 'file'",
    # --- scans: the grid
    "scan": "required: KIND",
    "scan fly": "invalid choice: 'fly'",
    "scan escape --p": "argument --p: expected at least one argument",
    "scan escape --p two": "`--p` must be a number or first:last:count[:log], but has 'two'",
    "scan escape --p :": "`--p` must be a number or first:last:count[:log], but has ':'",
    "scan escape --p 1:2": "`--p` must be a number or first:last:count[:log], but has '1:2'",
    "scan escape --p 1:2:x": "`--p` must be a number or first:last:count[:log], but has '1:2:x'",
    "scan escape --p 1:2:3:lin": "`--p` must be a number or first:last:count[:log], but has '1:2:3:lin'",
    "scan escape --p 1:2:3:log:4": "`--p` must be a number or first:last:count[:log], but has '1:2:3:log:4'",
    "scan escape --p 1:9:1000001": "`--p` must be a number or first:last:count[:log], but has '1:9:1000001'",
    "scan escape --p 2.5": "`--p` must be a whole number, but is 2.5",
    "scan escape --p nan": "`--p` must be a whole number, but is nan",
    "scan escape --p 0": "`--p` must be at least 1, but is 0",
    "scan escape --p 10000000": "`--p` and `--p-star` must be small enough for this machine's memory",
    "scan escape --p-star -2": "`--p-star` must be at least 1, but is -2",
    "scan escape --learning-rate 0": "`--learning-rate` must be larger than 0, but is 0",
    "scan escape --learning-rate 0.1 0.1": "`grid` must hold every point once",
    "scan escape --learning-rate 0:1:5:log": "but has '0:1:5:log'",
    "scan escape --learning-rate nan:1:3": "but has 'nan:1:3'",
    "scan escape --learning-rate 1:2:0": "but has '1:2:0'",
    "scan escape --noise-variance -1": "`--noise-variance` must be at least 0, but is -1",
    "scan escape --constraint cubic": "invalid choice: 'cubic'",
    "scan escape --dimension 2": "`--dimension` must be at least 6, but is 2",
    "scan escape --dimension 1e20": "`--dimension` must be at most 9007199254740992, but is about 1e20",
    "scan escape --dimension nan": "`--dimension` must be a whole number, but is nan",
    # --- scans: the settings
    "scan escape --runs 1": "`--runs` must be at least 2, but is 1",
    "scan escape --runs x": "argument --runs: invalid int value: 'x'",
    "scan escape --runs 1000000000000": "`--runs` must be small enough for this machine's memory",
    "scan escape --threshold 0": "`--threshold` must be larger than 0, but is 0",
    "scan escape --threshold nan": "`--threshold` must be finite, but is nan",
    "scan escape --threshold x": "argument --threshold: invalid float value: 'x'",
    "scan escape --seed -1": "`--seed` must be at least 0, but is -1",
    "scan escape --seed x": "argument --seed: invalid int value: 'x'",
    "scan escape --jobs 0": "`--jobs` must be a number of processes",
    "scan escape --jobs -7": "`--jobs` must be a number of processes",
    "scan escape --jobs 1000000000": "`--jobs` must be at most 100000, but is 1000000000",
    "scan escape --jobs x": "argument --jobs: invalid int value: 'x'",
    "scan escape --path ''": "`--path` must be a path, but is ''",
    "scan escape --path runs.nc": "`--path` must be a folder, to which several files are written, but ends in '.nc'",
    "scan escape --path file": "File exists: 'file'",
    "scan escape --path file/below": "Not a directory: 'file/below'",
    "scan escape --path new/and/deep --p 0": "`--p` must be at least 1, but is 0",
    "scan escape --on-error ignore": "invalid choice: 'ignore'",
    "scan escape --scheduler ''": "missing port number in address ''",
    "scan escape --scheduler nonsense": "missing port number in address 'nonsense'",
    "scan escape --scheduler foo://bar": "unknown address scheme 'foo'",
    "scan escape --alpha-max 3": "unrecognized arguments: --alpha-max 3",
    "scan stability --threshold 1": "unrecognized arguments: --threshold 1",
    "scan stability --dimension 3": "unrecognized arguments: --dimension 3",
    "scan stability --noise-variance nan": "`--noise-variance` must be finite, but is nan",
    "scan deviation --alpha-max 0": "`--alpha-max` must be larger than 0, but is 0",
    "scan deviation --alpha-max 1e20": "`--alpha-max` must be at most 9.01e+11 at N = 10000, but is 1e+20",
    "scan deviation --runs 1": "`--runs` must be at least 2, but is 1",
    "scan deviation --seed -1": "`--seed` must be at least 0, but is -1",
    "scan deviation -N 3": "`--dimension` must be at least 6, but is 3",
    # --- scans: the file
    "study --config other.toml": "other.toml must have some of p, p_star, ",
    "study --config p.toml": "`--p` must be a whole number, but is ",
    "hessian --config none.toml": "No such file or directory: 'none.toml'",
    "scan escape --config none.toml": "No such file or directory: 'none.toml'",
    "scan escape --config folder": "Is a directory: 'folder'",
    "scan escape --config bad.toml": "bad.toml must be a TOML file, but is not:",
    "scan escape --config binary.toml": "binary.toml must be a TOML file, but is not:",
    "scan escape --config other.toml": "other.toml must have some of p, p_star, ",
    "scan escape --config nested.toml": "nested.toml must have some of p, p_star, ",
    "scan escape --config p.toml": "`--p` must be a whole number, but is True of type bool",
    "scan escape --config runs.toml": "`--runs` must be a whole number, but is 'x' of type str",
    "scan escape --config path.toml": "`--path` must be a path, but is int",
    "scan escape --config jobs.toml": "`--jobs` must be a whole number, but is 'a' of type str",
    "scan escape --config scheduler.toml": "`--scheduler` must be an address, but is int",
    "scan escape --config on_error.toml": "`--on-error` must be one of 'raise', 'record', but is 'ignore'",
    "scan escape --config constraint.toml": "`--constraint` must be one of 'free', 'spherical', but is int",
    "scan escape --config table.toml": "`--p` must be a whole number, but is dict",
    "scan stability --config runs.toml": "runs.toml must have some of p, p_star, ",
}


@pytest.mark.parametrize("line", CASES)
def test_command_refuses_in_one_line(line, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            status = cli.main(shlex.split(line))
        except SystemExit as stop:
            status = stop.code
    out, err = capfd.readouterr()
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("tsode")
    assert CASES[line] in err
    assert sorted(os.listdir()) == sorted([*FILES, "folder"])
    assert all((tmp_path / name).read_bytes() == content for name, content in FILES.items())
    assert os.listdir("folder") == []


def options():
    """Return the (command, option) pairs that take a value."""
    pending, found = [("", _parser())], set()
    while pending:
        name, parser = pending.pop()
        for action in parser._actions:
            if hasattr(action, "add_parser"):
                pending += [(f"{name} {part}".strip(), one) for part, one in action.choices.items()]
            elif action.option_strings and action.nargs != 0:
                found.add((name, action.option_strings[0]))
    return found


def test_every_option_of_some_command_refuses_something():
    refused = {option for line in CASES for option in shlex.split(line) if option.startswith("-")}
    assert {option for _, option in options()} - {"-N", "--dimension"} <= refused
    assert {"-N", "--dimension"} <= refused
    assert {name for name, _ in options()} == {
        name for name, _ in options() if any(line.startswith(name) for line in CASES)
    }

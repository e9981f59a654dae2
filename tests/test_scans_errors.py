"""Points that fail, and folders that cannot be written."""

import contextlib
import signal

import numpy as np
import pytest

import tsode
from tsode.scans import failures

pytest.importorskip("xarray")


def product(x, y):
    return x * y


def scan(function, grid, **options):
    return tsode.scan(function, grid, **{"n_jobs": 1, **options})


def some_fail(x):
    if x == 2:
        raise ZeroDivisionError("two")
    return {"value": x, "word": "yes"}


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_raise_keeps_the_exception_and_names_the_point(n_jobs, tmp_path):
    with pytest.raises(ZeroDivisionError, match="two") as caught:
        scan(some_fail, {"x": range(6)}, n_jobs=n_jobs, path=tmp_path)
    assert str(caught.value.__cause__).startswith("at x = 2\nTraceback")
    assert "some_fail" in str(caught.value.__cause__)
    table = scan(some_fail, {"x": [0, 1]}, path=tmp_path)  # and what was finished before is right
    np.testing.assert_array_equal(table["value"], [0, 1])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_record_leaves_nan_and_lists_the_points(n_jobs):
    table = scan(some_fail, {"x": range(4)}, n_jobs=n_jobs, on_error="record")
    np.testing.assert_array_equal(table["value"], [0, 1, np.nan, 3])
    assert list(table["word"].values) == ["yes", "yes", "", "yes"]
    assert failures(table) == [{"point": {"x": 2}, "error": "ZeroDivisionError: two"}]
    assert failures(scan(some_fail, {"x": [1]})) == []


def test_failed_points_are_listed_whatever_their_values():
    """Numbers, strings and None as they are, models and sequences as text: JSON keeps them."""
    model = tsode.TeacherStudent(2, 1, 0.1)

    def fail(**point):
        raise ValueError("no")

    plain = {"none": None, "flag": True, "rate": 0.5, "word": "a", "count": 3}
    table = scan(
        fail, {**{name: [x] for name, x in plain.items()}, "model": model, "ends": [(0, 1)]}, on_error="record"
    )
    (failure,) = failures(table)
    assert failure["point"] == {**plain, "model": str(model), "ends": "(0, 1)"}


def test_record_where_all_fail_and_where_one_cannot_travel():
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} {two}")

    def fail(x):
        raise Odd(x, x)

    table = scan(fail, {"x": [1, 2]}, on_error="record")
    assert list(table["x"].values) == [1, 2]
    assert [failure["point"] for failure in failures(table)] == [{"x": 1}, {"x": 2}]
    assert failures(table)[0]["error"] == "Odd: 1 1"
    with pytest.raises(RuntimeError, match=r"Odd: ([12]) \1"):  # the one or the other worker fails first
        scan(fail, {"x": [1, 2]}, n_jobs=2)


def test_failed_points_are_tried_again_and_finished_ones_are_not(tmp_path):
    calls = []

    def fail_once(x):
        calls.append(x)
        if x == 1 and calls.count(1) == 1:
            raise OSError("busy")
        return x

    first = scan(fail_once, {"x": range(3)}, path=tmp_path, on_error="record")
    assert len(failures(first)) == 1
    second = scan(fail_once, {"x": range(3)}, path=tmp_path, on_error="record")
    assert calls == [0, 1, 2, 1]
    np.testing.assert_array_equal(second["value"], [0, 1, 2])


def test_store_that_cannot_be_written_is_no_failed_point(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tsode.scans.store.write_npz", full)
    with pytest.raises(OSError, match="No space left"):
        scan(product, {"x": [1], "y": [1]}, path=tmp_path, on_error="record")


def test_point_that_its_worker_cannot_write_is_written_by_the_scan(tmp_path, monkeypatch):
    """As where a worker of a cluster does not see the folder."""
    real, tries = tsode.scans.store.write_npz, []

    def fail_first(*arguments):
        tries.append(arguments)
        if len(tries) % 2:
            raise OSError(30, "Read-only file system")
        real(*arguments)

    monkeypatch.setattr("tsode.scans.store.write_npz", fail_first)
    scan(product, {"x": [1, 2], "y": [1]}, path=tmp_path)
    assert len(tries) == 4
    assert len(list((tmp_path / "points").iterdir())) == 2


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["taken", "ignored"])
def test_what_a_ctrl_c_cut_short_is_no_result(handler, tmp_path):
    """A function may catch it and return what it has; who started the process may have it ignored."""

    def catching(x):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return x

    usual = signal.signal(signal.SIGINT, handler)
    try:
        if handler is signal.SIG_IGN:
            assert scan(catching, {"x": [1, 2]}, path=tmp_path)["value"].values.tolist() == [1, 2]
        else:
            with pytest.raises(KeyboardInterrupt, match="interrupted after 0 of 2 points; the same call goes on from"):
                scan(catching, {"x": [1, 2]}, path=tmp_path)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, usual)
    assert len(list(tmp_path.rglob("*.npz"))) == (2 if handler is signal.SIG_IGN else 0)

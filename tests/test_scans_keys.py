"""What the points of a scan depend on: their random numbers, and their files."""

import functools
import json
import os
import shutil
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tsode
from tsode.scans import batched, point_seed
from tsode.scans.identity import function_digest

pytest.importorskip("xarray")

FACTOR = 2.0


def product(x, y):
    return x * y


def helped(x):
    return helper(x) * FACTOR


def helper(x):
    return x + 1 if x not in {"a", "b", "c", "d"} else 0


def seeded(x, seed, y=0):
    return np.random.default_rng(seed).standard_normal(3)


def scan(function, grid, **options):
    return tsode.scan(function, grid, **{"n_jobs": 1, **options})


# --- seeds


def test_seed_depends_on_the_point_alone():
    table = scan(seeded, {"x": [1, 2, 3], "y": [0, 1]})
    other = scan(seeded, {"y": [1], "x": [7, 3, 2]}, n_jobs=2)
    np.testing.assert_array_equal(table["value"].sel(x=3, y=1), other["value"].sel(x=3, y=1))
    listed = scan(seeded, [{"y": 1, "x": 3}])
    np.testing.assert_array_equal(table["value"].sel(x=3, y=1), listed["value"][0])
    assert len(np.unique(table["value"])) == table["value"].size
    expected = np.random.default_rng(point_seed({"x": 3, "y": 1})).standard_normal(3)
    np.testing.assert_array_equal(table["value"].sel(x=3, y=1), expected)


def test_seed_of_the_grid_or_with_a_default_is_left_alone():
    np.testing.assert_array_equal(scan(lambda x, seed: seed, {"x": [1], "seed": [4, 5]})["value"], [[4, 5]])
    assert scan(lambda x, seed=9: seed, {"x": [1]})["value"].item() == 9
    assert scan(functools.partial(lambda x, seed: seed, seed=8), {"x": [1]})["value"].item() == 8


@given(st.floats(allow_nan=False), st.integers(0, 2**70))
def test_seed_of_the_last_digit(x, n):
    assert 0 <= point_seed({"x": x, "n": n}) < 2**128
    assert point_seed({"x": x, "n": n}) == point_seed({"n": n, "x": float(repr(x))})
    assert point_seed({"x": x, "n": n}) != point_seed({"x": np.nextafter(x, 0.0 if x else 1.0), "n": n})
    assert point_seed({"x": x, "n": n}) != point_seed({"x": x, "n": n + 1})


def test_seeds_fill_128_bits():
    """Each bit is 1 in half of 256 points: within 5 standard deviations."""
    ones = np.array([[point_seed({"x": x}) >> bit & 1 for bit in range(129)] for x in range(256)]).sum(axis=0)
    assert np.abs(ones[:128] - 128).max() < 5 * 8
    assert ones[128] == 0


# --- what a kept point depends on


def called(function, grid, path):
    """Return how many points are computed, counted by the files that appear."""
    folder = path / "points"
    before = set(folder.iterdir()) if folder.exists() else set()
    scan(function, grid, path=path)
    return len(set(folder.iterdir()) - before)


def test_points_are_kept_by_their_last_digit_and_found_from_other_grids(tmp_path):
    assert called(product, {"x": [0.1, 0.2], "y": [1, 2]}, tmp_path) == 4
    assert called(product, {"y": [2, 1, 3], "x": np.array([0.2, 0.1])}, tmp_path) == 2
    assert called(product, [{"x": 0.1, "y": 3}], tmp_path) == 0
    assert called(product, {"x": [np.nextafter(0.1, 1)], "y": [1]}, tmp_path) == 1


def test_digest_follows_source_helpers_constants_and_bound_values(monkeypatch):
    first = function_digest(helped)
    assert function_digest(helped) == first
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert function_digest(helped) != first
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    assert function_digest(helped) == first
    monkeypatch.setitem(globals(), "helper", lambda x: x + 2)
    assert function_digest(helped) != first

    def closed(value):
        return lambda x: x + value

    assert function_digest(closed(1)) == function_digest(closed(1))
    assert function_digest(closed(1)) != function_digest(closed(2))
    assert function_digest(closed(np.arange(3))) != function_digest(closed(np.arange(4)))
    assert function_digest(lambda x: x + 1) != function_digest(lambda x: x + 2)
    assert function_digest(functools.partial(product, y=1)) != function_digest(functools.partial(product, y=2))
    assert function_digest(functools.partial(product, y=[1])) != function_digest(functools.partial(product, y=[2]))
    assert function_digest(batched(product)) != function_digest(product)
    assert function_digest(batched(product, 3)) == function_digest(batched(product, 4))
    compiled = numba.njit(helper)
    assert function_digest(compiled) != function_digest(numba.njit(product))


COUNT, PRIVATE = 0, 1.0


def counting():
    """Count calls in a global, in a variable around the function, and in one that an inner function assigns."""
    outer = inner = 0

    def count(x):
        global COUNT
        nonlocal outer
        COUNT, outer = COUNT + 1, outer + 1

        def note():
            nonlocal inner
            inner += 1

        note()
        return x

    return count


def test_digest_does_not_follow_what_the_function_itself_assigns():
    count = counting()
    before = function_digest(count)
    assert [count(1), count(2)] == [1, 2]
    assert function_digest(count) == before


def within(x):
    def inner():
        return PRIVATE * x

    return inner()


def test_digest_follows_what_an_inner_function_reads(monkeypatch):
    first = function_digest(within)
    monkeypatch.setitem(globals(), "PRIVATE", 2.0)
    assert function_digest(within) != first


def reading(x):
    return x + len(TUPLE) + np.sign(x)


TUPLE = ()


@pytest.mark.parametrize(("one", "other", "same"), [
    ((1, 2), (1, 3), False), (("a", None), ("a", 0), False), (([1],), ([2],), True), ([1], [2], True),
    ({"a": 1}, {"a": 2}, True), (len, max, False), (np, functools, False), (tsode.Overlaps, tsode.Trajectory, False),
])  # fmt: skip
def test_digest_follows_globals_that_cannot_change(one, other, same, monkeypatch):
    """Numbers, strings and tuples of them by value, functions and modules elsewhere by name; lists may grow."""
    monkeypatch.setitem(globals(), "TUPLE", one)
    first = function_digest(reading)
    monkeypatch.setitem(globals(), "TUPLE", other)
    assert (function_digest(reading) == first) == same


def test_functions_of_packages_are_read_as_those_of_scripts(monkeypatch):
    """Only those of tsode itself are left to its version: not all that stand in a package."""
    monkeypatch.setattr(within, "__module__", "a_package.a_module")
    first = function_digest(within)
    monkeypatch.setitem(globals(), "PRIVATE", 2.0)
    assert function_digest(within) != first


def test_what_cannot_be_hashed_is_named():
    with pytest.raises(TypeError, match="`function` must bind values that can be hashed, but 'y' is a generator: "):
        function_digest(functools.partial(product, y=(i for i in range(3))))
    with pytest.raises(TypeError, match="but 0 is a generator: "):
        function_digest(functools.partial(product, (i for i in range(3))))


def with_default(value):
    def function(x, y=value):
        return x * y

    return function


def with_keyword(value):
    def function(x, *, y=value):
        return x * y

    return function


def with_helper(value):
    inner = with_default(value)
    return lambda x: inner(x)


class Times:
    def __init__(self, value):
        self.value = value

    def of(self, x):
        return x * self.value

    def __call__(self, x):
        return x * self.value


FUNCTIONS = {
    "default": with_default,
    "default of a keyword": with_keyword,
    "default of a helper": with_helper,
    "bound by position": lambda value: functools.partial(lambda y, x: x * y, value),
    "bound by name": lambda value: functools.partial(lambda x, y: x * y, y=value),
    "default under partial": lambda value: functools.partial(with_default(value)),
    "default in a batch": lambda value: batched(lambda points, y=value: [point["x"] * y for point in points]),
    "array": lambda value: with_default(np.array(value)),
    "tuple": lambda value: lambda x, y=(0, value): x * y[1],
    "method": lambda value: Times(value).of,
    "object": Times,
}


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_changed_default_or_bound_value_computes_again(make, tmp_path):
    """The code is the same, and the results are not: none may be taken for the other's."""
    assert called(make(2), {"x": [1, 3]}, tmp_path) == (1 if isinstance(make(2), type(batched(product))) else 2)
    assert called(make(2), {"x": [1, 3]}, tmp_path) == 0
    assert scan(make(5), {"x": [1, 3]}, path=tmp_path)["value"].values.tolist() == [5, 15]
    assert scan(make(2), {"x": [1, 3]}, path=tmp_path)["value"].values.tolist() == [2, 6]
    assert called(make(5), {"x": [1, 3]}, tmp_path) == 0


def test_a_batch_is_kept_by_all_of_its_points_in_their_order(tmp_path):
    calls = []

    def tens(points):
        calls.append([point["x"] for point in points])
        return [10 * point["x"] for point in points]

    for values in ([0, 1, 2], [0, 1, 3], [2, 1, 0], [0, 1, 2]):
        table = scan(batched(tens, size=3), {"x": values}, path=tmp_path)
        assert table["value"].values.tolist() == [10 * x for x in values]
    assert calls == [[0, 1, 2], [0, 1, 3], [2, 1, 0]]
    assert scan(batched(tens, size=2), {"x": [0, 1, 2]}, path=tmp_path)["value"].values.tolist() == [0, 10, 20]
    assert calls[3:] == [[0, 1], [2]]


def test_values_that_print_alike_are_different_points(tmp_path):
    """1, 1.0, True and "1"; a name's value and another name's."""
    values = [1, 1.0, True, "1"]
    assert len({point_seed({"x": value}) for value in values}) == 4
    assert len({point_seed({"x": 1, "y": 2}), point_seed({"x": 2, "y": 1}), point_seed({"x": 1, "z": 2})}) == 3
    kinds = [scan(lambda x: type(x).__name__, {"x": [v]}, path=tmp_path)["value"].item() for v in (*values, *values)]
    assert kinds == ["int", "float", "bool", "str"] * 2
    models = [tsode.TeacherStudent(2, 1, rate) for rate in (0.1, 0.2)]
    starts = [tsode.Overlaps([[M]], [[Q]], [[P]]) for M, Q, P in ((0, 1, 1), (0.1, 1, 1), (0, 1.1, 1), (0, 1, 1.1))]
    assert len({point_seed({"x": thing}) for thing in (*models, *starts, models[0].to_dict())}) == 7
    assert point_seed({"x": np.float64(0.1)}) == point_seed({"x": 0.1}) != point_seed({"x": np.float32(0.1)})
    assert point_seed({"x": np.array([1, 2])}) == point_seed({"x": (1, 2)}) != point_seed({"x": [2, 1]})


def one_point(path, value, **header):
    """Write a point with another value, and other fields of its header, under the name that it has."""
    (file,) = (path / "points").iterdir()
    with np.load(file) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    content["0.value"] = np.array(value)
    content["header"] = np.array(json.dumps({**json.loads(str(content["header"])), **header}))
    with open(file, "wb") as stream:
        np.savez(stream, **content)


def test_a_file_is_trusted_if_it_says_that_it_is_the_point(tmp_path):
    def scanned():
        return scan(lambda x: 2 * x, {"x": [3]}, path=tmp_path)["value"].item()

    assert scanned() == 6
    one_point(tmp_path, 7)
    assert scanned() == 7  # by its address and format it is the point
    for header, reason in (({"format": 2}, "its format is 2, newer than 1"), ({"address": "0" * 40}, "something else")):
        one_point(tmp_path, 8, **header)
        with pytest.warns(UserWarning, match=f"is no finished point .*{reason}.*; it is computed again") as caught:
            assert scanned() == 6
        assert [warning.filename for warning in caught] == [__file__]  # where the scan was called
        assert scanned() == 6


def test_a_file_says_what_it_holds(tmp_path):
    scan(product, {"x": [0.1], "y": [2]}, path=tmp_path)
    (file,) = (tmp_path / "points").iterdir()
    with np.load(file) as arrays:
        header = json.loads(str(arrays["header"]))
    assert header["points"] == [{"x": 0.1, "y": 2}]
    assert (header["function"], header["version"]) == ("product", tsode.__version__)
    assert header["address"] == file.stem


def test_points_that_another_process_finishes_meanwhile_are_not_computed_again(tmp_path):
    calls = []

    def nested(x):
        calls.append(x)
        if calls == [0]:
            scan(nested, {"x": [2]}, path=tmp_path)
        return 10 * x

    table = scan(nested, {"x": [0, 1, 2]}, path=tmp_path)
    assert table["value"].values.tolist() == [0, 10, 20]
    assert calls == [0, 2, 1]


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    def sweep(x):
        shutil.rmtree(tmp_path / "new", ignore_errors=x > 1)
        return x

    for _ in range(2):  # the second time it is there
        scan(sweep, {"x": [1, 2]}, path=tmp_path / "new")
        assert len(list((tmp_path / "new" / "points").iterdir())) == 1


@pytest.mark.slow
def test_digest_is_the_same_in_another_process():
    code = "import test_scans_keys as keys; print(keys.function_digest(keys.helped))"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__), "PYTHONHASHSEED": "77"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == function_digest(helped)


def test_new_version_computes_again(tmp_path, monkeypatch):
    assert called(product, {"x": [1], "y": [1]}, tmp_path) == 1
    monkeypatch.setattr("tsode.scans.store.versions", lambda: {"tsode": "99.0"})
    assert called(product, {"x": [1], "y": [1]}, tmp_path) == 1


def test_nothing_in_a_store_is_executed(tmp_path):
    """Every array of every file can be read without pickle."""
    scan(lambda x: {"word": "a", "rows": [1.0, x]}, {"x": [1, 2]}, path=tmp_path)
    for file in (tmp_path / "points").iterdir():
        with np.load(file, allow_pickle=False) as arrays:
            assert {name: arrays[name].dtype.kind for name in arrays.files} == {
                "header": "U", "0.word": "U", "0.rows": "f",
            }  # fmt: skip

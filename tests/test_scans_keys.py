"""What the points of a scan depend on: their random numbers, and their files."""

import functools
import os
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

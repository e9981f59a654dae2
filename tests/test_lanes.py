"""Numbers of runs in lockstep: every operation on a vector of runs, on one number, and uncompiled."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from scipy import special

import tsode
from tsode._lanes import WIDTH, aligned, every, fma, inverse_root, load, power_of_two, store
from tsode.activations import SHIPPED

FOLDER = Path(__file__).parent

DENSE = np.concatenate([np.linspace(-9, 9, 90_001), np.linspace(-1e-3, 1e-3, 2001), np.linspace(-800, 800, 40_001)])
# what is compiled, what it is to be, and the largest error that is allowed: relative, then absolute
FUNCTIONS = {
    "exp": (lambda x: np.exp(x), np.exp, 4e-16, 0),
    "erf": (lambda x: special.erf(x), special.erf, 0, 4e-16),
    "tanh": (lambda x: np.tanh(x), np.tanh, 0, 4e-16),
    "sqrt": (lambda x: np.sqrt(np.abs(x)), lambda x: np.sqrt(np.abs(x)), 0, 0),
    "sign": (lambda x: np.sign(x), np.sign, 0, 0),
    "square": (lambda x: np.square(x), np.square, 0, 0),
    "maximum": (lambda x: np.maximum(x, 0.0), lambda x: np.maximum(x, 0.0), 0, 0),
    "minimum": (lambda x: np.minimum(1, x), lambda x: np.minimum(1, x), 0, 0),
    "powers": (lambda x: x**3 + x**0 - x**1, lambda x: x**3 + 1 - x, 1e-15, 1e-13),
    "inverse power": (lambda x: (x + 1000.5) ** -2, lambda x: (x + 1000.5) ** -2, 1e-15, 0),
    "log": (lambda x: np.log(x * x + 1e-3), lambda x: np.log(x * x + 1e-3), 1e-15, 1e-15),
    "sin": (lambda x: np.sin(x), np.sin, 0, 4e-16),
    "cos": (lambda x: np.cos(x), np.cos, 0, 4e-16),
    "root of a power": (lambda x: np.abs(x) ** 1.5, lambda x: np.abs(x) ** 1.5, 1e-15, 0),
    "choices": (
        lambda x: np.where((x > 0.5) & ~(x >= 2) | (x < -1) & (x != -3) | (x == 7), x, 2 * x),
        lambda x: np.where((x > 0.5) & ~(x >= 2) | (x < -1) & (x != -3) | (x == 7), x, 2 * x), 0, 0,
    ),
    "arithmetic": (lambda x: (1 - x) * 3 / (4 + x * x) - -x, lambda x: (1 - x) * 3 / (4 + x * x) - -x, 0, 0),
    "fma": (lambda x: fma(x, x, -1.0), lambda x: x * x - 1, 1e-15, 1e-15),
    "inverse root": (lambda x: inverse_root(x * x + 1e-3), lambda x: 1 / np.sqrt(x * x + 1e-3), 4e-16, 0),
}  # fmt: skip


@functools.cache
def loop_of(function):
    compiled = njit(function, inline="always")  # one kernel, not two

    @njit
    def loop(array, out):
        for i in range(array.shape[0]):
            store(out, i, compiled(load(array, i)))

    return loop


def applied(function, x):
    """Return the function of the numbers x, compiled for vectors and for single numbers."""
    loop = loop_of(function)
    rows = aligned((-(-x.size // WIDTH), WIDTH))
    rows.reshape(-1)[: x.size] = x
    found, single = aligned(rows.shape), np.empty(x.size)
    loop(rows, found)
    loop(x, single)
    return found.reshape(-1)[: x.size], single


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_on_a_dense_grid(name):
    """Against NumPy and SciPy; vectors and single numbers agree to the bit."""
    function, wanted, relative, absolute = FUNCTIONS[name]
    found, single = applied(function, DENSE)
    np.testing.assert_array_equal(found, single)
    with np.errstate(over="ignore", under="ignore"):
        expected = wanted(DENSE)
        uncompiled = function(DENSE)
    if name == "exp":
        expected = np.where(DENSE < -708, 0, expected)
    np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute)
    np.testing.assert_allclose(uncompiled, wanted(DENSE) if name != "exp" else uncompiled, rtol=1e-15, atol=1e-13)


def test_ends_of_the_functions():
    """At infinity, at nan, and where doubles end."""
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 709.78, 709.79, -708.0, -709.0])
    with np.errstate(over="ignore", invalid="ignore"):
        for name in ("erf", "tanh", "maximum", "sign"):
            function, wanted, _, _ = FUNCTIONS[name]
            np.testing.assert_array_equal(applied(function, x)[0], wanted(x))
        exponential = applied(FUNCTIONS["exp"][0], x)[0]
        np.testing.assert_allclose(exponential[:-1], np.exp(x)[:-1], rtol=4e-16)
    assert exponential[-1] == 0
    assert np.signbit(applied(FUNCTIONS["erf"][0], x)[0]).tolist() == np.signbit(x).tolist()


def test_inverse_root_and_powers_of_two_over_the_range_of_doubles():
    x = np.exp(np.linspace(-300, 300, 20_001)) * 2.0 ** np.arange(-266, 266)[:, None].repeat(20_001, 1)[::100][0]

    def root(x):
        return inverse_root(x)

    for found in applied(root, x):
        np.testing.assert_allclose(found, 1 / np.sqrt(x), rtol=4e-16)
    for found in (*applied(lambda x: power_of_two(x), x), power_of_two(x)):
        assert (np.frexp(found)[0] == 0.5).all()
        assert (x * found**2).min() >= 0.25
        assert (x * found**2).max() <= 1
    assert applied(root, np.zeros(1))[0] > 1e150
    assert inverse_root(np.zeros(2)).min() > 1e150


def test_condition_in_all_lanes():
    @njit
    def all_below(array, limit):
        return every(load(array, 0) < limit)

    rows = aligned((1, WIDTH))
    rows[0] = np.arange(WIDTH)
    assert all_below(rows, WIDTH)
    assert not all_below(rows, WIDTH - 1)
    assert all_below(np.zeros(1), 1.0)
    assert not all_below(np.ones(1), 1.0)
    rows[0, 3] = np.nan
    assert not all_below(rows, 1e9)
    assert every(np.array([True, True]))
    assert not every(np.array([True, False]))


def test_numbers_and_lanes_meet_in_a_variable():
    """A sum that starts with a plain 0, as anybody would write it."""

    @njit
    def total(array, out):
        found = 0.0
        for i in range(array.shape[0]):
            found += load(array, i)
        store(out, 0, found)

    rows, out = aligned((3, WIDTH)), aligned((1, WIDTH))
    rows[:] = np.arange(3 * WIDTH).reshape(3, WIDTH)
    total(rows, out)
    np.testing.assert_array_equal(out[0], rows.sum(axis=0))
    total.py_func(rows, out)
    np.testing.assert_array_equal(out[0], rows.sum(axis=0))


def test_arrays_start_where_vectors_do():
    for shape in ((1,), (3, 5), (2, WIDTH)):
        array = aligned(shape)
        assert array.ctypes.data % 64 == 0
        assert array.shape == shape
        assert not array.any()
    assert aligned((2, 3), np.uint64).dtype == np.uint64


def overlaps_of_runs(steps=60):
    """Overlaps of a group and of a run alone with both activations."""
    found = {}
    for activation in SHIPPED:
        model = tsode.TeacherStudent(3, 2, 0.1, 0.1, activation=activation)
        sgd = tsode.simulate(model, None, [0.0, steps / 50], N=50, runs=WIDTH + 1, seed=1)
        found[activation] = [sgd.M[:, -1].tolist(), sgd.Q[:, -1].tolist()]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("setting", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_DISABLE_JIT": "1"}])
def test_machines_without_wide_vectors_agree(setting):
    """In the oldest instructions of the architecture, without fused products, and in plain Python: to rounding."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import json, test_lanes as t; print(json.dumps(t.overlaps_of_runs()))"],
        cwd=FOLDER, env=os.environ | setting, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for activation, overlaps in overlaps_of_runs().items():
        for here, there in zip(overlaps, json.loads(found.stdout)[activation]):
            np.testing.assert_allclose(there, here, rtol=0, atol=1e-12)

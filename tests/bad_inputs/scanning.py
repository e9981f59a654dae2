"""Scans."""

import numpy as np

import tsode
from bad_inputs.things import Odd, table
from tsode import scans


def product(x, y):
    return x * y


def scan(function=product, grid=None, **options):
    grid = {"x": [1], "y": [1]} if grid is None else grid
    return lambda: tsode.scan(function, grid, **{"n_jobs": 1, "progress": False, **options})


def ready(kind, grid=None, **options):
    return lambda: getattr(scans, kind)(
        {"p": 2, "p_star": 1} if grid is None else grid, **{"n_jobs": 1, "progress": False, **options}
    )


CASES = {
    "scan of a number": (scan(3), TypeError, "`function` must be callable, but is int"),
    "scan over other names": (scan(grid={"x": [1]}), TypeError, "`grid` must fit the parameters of `function`, produc"),
    "scan over nothing": (scan(grid={}), ValueError, "`grid` must hold at least one name and one point, but is empty"),
    "scan over no value": (scan(grid={"x": [], "y": 1}), ValueError, "`grid` must give at least one value of `x`, but"),
    "scan over None": (lambda: tsode.scan(product, None), TypeError, "`grid` must be a dict of values or a list of di"),
    "scan over a number in an array": (scan(grid=np.array(3)), TypeError, "`grid` must be a dict of values or a list "),
    "scan over a point twice": (scan(grid={"x": [2, 2], "y": 1}), ValueError, "`grid` must hold every point once, but"),
    "scan over objects": (scan(grid={"x": [Odd()], "y": 1}), TypeError, "`grid` must have numbers, strings, sequences"),
    "scan over complex numbers": (scan(grid={"x": [1j], "y": 1}), TypeError, "`x` has a complex"),
    "scan over a number of a thousand digits": (
        scan(grid={"x": 10**1000, "y": 1}), ValueError, "`grid` must have whole numbers below 1e400, but `x` has about "
    ),
    "scan over names that are none": (scan(grid={"a b": 1}), TypeError, "`grid` must have names of parameters as keys"),
    "scan in no process": (scan(n_jobs=0), ValueError, "`n_jobs` must be a number of processes, or -1 for one a core,"),
    "scan in minus three processes": (scan(n_jobs=-3), ValueError, "`n_jobs` must be a number of processes, or -1 for"),
    "scan in too many processes": (scan(n_jobs=10**9), ValueError, "`n_jobs` must be at most 100000, but is 100000000"),
    "scan in a processes": (scan(n_jobs="a"), TypeError, "`n_jobs` must be a whole number, but is 'a' of type str"),
    "scan that ignores": (scan(on_error="ignore"), ValueError, "`on_error` must be one of 'raise', 'record', but is '"),
    "scan with a bar of one": (scan(progress=1), TypeError, "`progress` must be True or False, but is int"),
    "scan into a number": (scan(path=3), TypeError, "`path` must be a path, but is int"),
    "scan into nothing": (scan(path=""), ValueError, "`path` must be a path, but is ''"),
    "scan into a file": (scan(path="../given/text.npz"), OSError, "given/text.npz"),
    "scan of None": (scan(lambda x: None, {"x": 1}), TypeError, "`function` must return a number, array, dict of thos"),
    "scan of objects": (scan(lambda x: {"a": Odd()}, {"x": 1}), TypeError, "but returned Odd as 'a'"),
    "scan of nameless values": (scan(lambda x: {1: 2}, {"x": 1}), TypeError, "`function` must return a dict with stri"),
    "batches of a number": (lambda: scans.batched(3), TypeError, "`function` must be callable, but is int"),
    "batches of none": (lambda: scans.batched(product, 0), ValueError, "`size` must be at least 1, but is 0"),
    "batches of halves": (lambda: scans.batched(product, 0.5), ValueError, "`size` must be a whole number, but is 0.5"),
    "seed of no point": (lambda: scans.point_seed(3), TypeError, "`point` must be a mapping of str to value, but is i"),
    "seed of a nameless point": (lambda: scans.point_seed({1: 2}), TypeError, "`grid` must have names of parameters a"),
    "failures of nothing": (lambda: scans.failures({}), TypeError, "`dataset` must be an xarray.Dataset, but is dict"),
    "failures of one variable": (
        lambda: scans.failures(table("escape")["mean"]), TypeError, "`dataset` must be an xarray.Dataset, but is DataAr"
    ),
    "escape over a list": (ready("escape", [1]), TypeError, "`grid` must be a dict of values, but is list"),
    "escape over another name": (ready("escape", {"width": 2}), ValueError, "`grid` must name some of p, p_star, lear"),
    "escape over no width": (ready("escape", {"p": None}), TypeError, "`p` must be a whole number, but is NoneType"),
    "escape over no units": (ready("escape", {"p": [2, 0]}), ValueError, "`p` must be at least 1, but is 0"),
    "escape over half a width": (ready("escape", {"p": [1, 1.5]}), ValueError, "`p` must be a whole number, but is 1."),
    "escape over a wrong constraint": (ready("escape", {"constraint": "cubic"}), ValueError, "`constraint` must be on"),
    "escape in too few dimensions": (ready("escape", {"dimension": 3}), ValueError, "`dimension` must be at least 6, "),
    "escape of one run": (ready("escape", runs=1), ValueError, "`runs` must be at least 2, but is 1"),
    "escape of too many runs": (ready("escape", runs=10**12), ValueError, "`runs` must be small enough for this machi"),
    "escape below nothing": (ready("escape", threshold=0), ValueError, "`threshold` must be larger than 0, but is 0"),
    "escape of a negative seed": (ready("escape", seed=-1), ValueError, "`seed` must be at least 0, but is -1"),
    "escape into a folder without name": (ready("escape", path="\0"), ValueError, "`path` must be a path, but is '\\x"),
    "stability over dimensions": (ready("stability", {"dimension": 9}), ValueError, "`grid` must name some of p, p_st"),
    "stability over no rate": (ready("stability", {"learning_rate": []}), ValueError, "`grid` must give at least one"),
    "stability over nan": (ready("stability", {"learning_rate": [np.nan]}), ValueError, "`learning_rate` must be fini"),
    "stability in a jobs": (ready("stability", n_jobs=None), TypeError, "`n_jobs` must be a whole number, but is None"),
    "deviation of no time": (ready("deviation", alpha_max=0), ValueError, "`alpha_max` must be larger than 0, but is "),
    "deviation of too much time": (ready("deviation", alpha_max=1e20), ValueError, "`alpha_max` must be at most 9.01e"),
    "deviation of one run": (ready("deviation", runs=1), ValueError, "`runs` must be at least 2, but is 1"),
    "deviation over negative noise": (
        ready("deviation", {"noise_variance": -1}), ValueError, "`noise_variance` must be at least 0, but is -1"
    ),
}  # fmt: skip

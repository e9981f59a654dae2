"""What is right in the calls of the tables, made once and only where it is asked for."""

import functools

import matplotlib.pyplot as plt
import numpy as np

import tsode
from tsode import hessian, scans

MODEL = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
SPHERE = MODEL.replace(constraint="spherical")
SIGNS = MODEL.replace(student_readout=[0.5, -0.5])
START = tsode.Overlaps(np.zeros((2, 1)), np.eye(2))
W, W_STAR = START.realise(20, rng=0)
X = np.random.default_rng(0).standard_normal((50, 20))
Y = np.ones(50)
SPECTRUM = hessian.Spectrum([-1.0, 0.0, 1.0], [1, 2, 3])


@functools.cache
def ode():
    return tsode.integrate(MODEL, START, 1.0)


@functools.cache
def sgd():
    return tsode.simulate(MODEL, START, 1.0, N=20, runs=3)


@functools.cache
def fluctuations():
    return tsode.fluctuations(MODEL, None, 1.0)


@functools.cache
def study():
    return tsode.study(MODEL, N=30, runs=2, alpha_max=1.0)


@functools.cache
def comparison():
    return hessian.compare(MODEL, 20)


@functools.cache
def samples():
    return hessian.convergence(MODEL, N=20, ratios=[4, 16])


@functools.cache
def path():
    return hessian.along(ode(), N=20)


@functools.cache
def density():
    return hessian.spectral_density(np.eye(10), steps=5)


@functools.cache
def law():
    return tsode.escape_law(MODEL, 1000, 0.05)


@functools.cache
def table(kind):
    grid = {"p": [1, 2], "p_star": 1, "learning_rate": [0.2, 0.3]}
    options = {"n_jobs": 1, "progress": False}
    if kind == "stability":
        return scans.stability(grid, **options)
    if kind == "escape":
        return scans.escape({**grid, "dimension": 100}, runs=2, **options)
    return scans.deviation({**grid, "dimension": 100}, runs=2, alpha_max=1.0, **options)


def figure():
    return plt.figure()


class Odd:
    """Nothing that anything takes."""


def ragged():
    return [[1.0, 2.0], [3.0]]


MASKED = np.ma.masked_array([1.0, 2.0], mask=[True, False])
OBJECTS = np.array([Odd()], dtype=object)

"""Rules as C functions: compiled once, found on disk by every process, called for many runs or one."""

import functools
import inspect
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit
from terminal import Terminal

import tsode
from tsode import cli, finite_size, hessian, ode, plateaus, sgd
from tsode._compiled import call_step, step_function
from tsode._lanes import WIDTH, aligned
from tsode.activations import SHIPPED
from tsode.sgd.wide_chain import in_blocks

COUNTS = """
import json, numba, numpy as np, tsode
from tsode import _compiled
from tsode.sgd import chain, weights
hits, misses = 0, 0
from tsode.activations import Custom, Hermite
swish = Custom(lambda x: x / (1 + np.exp(-x)))
for student, teacher in (("quadratic", None), ("erf", "quadratic"), (Hermite(3), "relu"), (swish, None)):
    model = tsode.TeacherStudent(2, 1, 0.1, 0.1, activation=student, teacher_activation=teacher)
    for runs, engine in ((17, "chain"), (1, "weights")):
        tsode.simulate(model, None, [0.0, 0.1], N=20, runs=runs, engine=engine)
    for lanes in (True, False):
        compiled = _compiled.step_function(model.rule.step(model), lanes).compiled
        hits, misses = hits + compiled.cache_hits, misses + (compiled.cache_hits == 0)
for kernel in (chain.chain_kernel, weights.advance_kernel):
    hits += sum(kernel.stats.cache_hits.values())
    misses += sum(kernel.stats.cache_misses.values())
print(json.dumps([hits, misses]))
"""


@pytest.mark.slow
def test_a_fresh_process_compiles_nothing():
    """Shipped activations, alone and one for each side, whatever order Python's hashes have; the first may compile."""
    found = []
    for seed in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", COUNTS], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )  # fmt: skip
        found.append(json.loads(run.stdout))
    assert sum(found[0]) == 11
    assert found[1] == [11, 0]


def rule_by_hand(model, lam, mu, noise):
    """C of gradient descent and the step of its readout with explicit sums."""
    student, teacher = model.activation, model.teacher_activation
    D = sum(v * student(y) for v, y in zip(model.student_readout, lam))
    D = D - sum(v * teacher(y) for v, y in zip(model.teacher_readout, mu))
    D = D - np.sqrt(model.noise_variance) * (noise[0] if len(noise) else 0.0)
    C = np.array([-model.learning_rate * v * D * student.slope(y) for v, y in zip(model.student_readout, lam)])
    return C, -model.readout_learning_rate * D * student(lam)


@njit
def called(pointer, lam, mu, noise, *others):
    call_step(pointer, lam, mu, noise, 2, noise.shape[0] - 2, *others)


@pytest.mark.quick(6)
@pytest.mark.parametrize(("noise_variance", "rate"), [(0.0, 0.0), (0.3, 0.7)])
@pytest.mark.parametrize(("student", "teacher"), [*zip(SHIPPED, SHIPPED), ("erf", "quadratic"), ("relu", "tanh")])
def test_steps_of_gradient_descent(student, teacher, noise_variance, rate):
    """Called for WIDTH runs, for one, and in plain Python."""
    model = tsode.TeacherStudent(
        3, 2, 0.4, noise_variance, [0.5, -0.2, 0.9], [0.7, 0.1], activation=student, teacher_activation=teacher,
        readout_learning_rate=rate,
    )  # fmt: skip
    rng, rule = np.random.default_rng(0), model.rule
    n = rule.noises(model)
    assert n == (noise_variance > 0)

    for tail in ((WIDTH,), ()):
        lam, mu, noise = (rng.standard_normal((count, *tail)) for count in (3, 2, n + 2))
        parameters, scalars = (
            np.ascontiguousarray(np.broadcast_to(np.reshape(values, (-1, *(1 for _ in tail))), (len(values), *tail)))
            for values in (rule.parameters(model), rule.scalars(model))
        )
        compiled = step_function(rule.step(model), bool(tail))
        for function, first in ((functools.partial(called, compiled.pointer), 0), (rule.step(model), 2)):
            change, moved = aligned(lam.shape), aligned(scalars.shape)
            function(lam, mu, noise[first:], np.ones((1, *tail)), scalars, parameters, change, moved)
            C, d = rule_by_hand(model, lam, mu, noise[2:])
            np.testing.assert_allclose(change, C, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(moved, d[: len(moved)], rtol=1e-13, atol=1e-14)


def test_step_is_compiled_once_a_process():
    """For models that differ in numbers alone."""
    one, two = tsode.TeacherStudent(2, 1, 0.1), tsode.TeacherStudent(7, 3, 0.3)
    assert step_function(one.rule.step(one), True) is step_function(two.rule.step(two), True)
    noisy = two.replace(noise_variance=0.1)
    assert step_function(noisy.rule.step(noisy), True) is not step_function(two.rule.step(two), True)


def test_warm_up_calls_every_engine_in_every_way(monkeypatch, capsys):
    """One run and a group in lockstep, with noise and without, both precisions; the ODEs' methods and derivatives."""
    called, ways = set(), set()

    def noted(room, name):
        function = getattr(room, name)
        signature = inspect.signature(function)

        def spy(*arguments, **options):
            given = signature.bind(*arguments, **options)
            given.apply_defaults()
            called.add(name)
            if name in ("integrate", "empirical_operator"):
                return function(*arguments, **options)
            if name == "simulate":
                model, runs, engine = (given.arguments[name] for name in ("model", "runs", "engine"))
                size = "wide" if in_blocks(model, runs) else "lockstep" if runs == WIDTH else "alone"
                more = [word for word in ("readout_learning_rate", "inputs") if getattr(model, word)]
                assert model.inputs is None or len(model.inputs.eigenvalues) > 1
                ways.add((engine, size, model.noise_variance > 0, given.arguments["precision"], *more))
            elif name == "integrate_many":
                assert len(given.arguments["models"]) > 1
            return None  # to compile all of it takes minutes, in test_kernel_cache.py

        monkeypatch.setattr(room, name, spy)

    for room, name in (
        (ode, "integrate"), (ode, "integrate_many"), (ode, "gradient"), (sgd, "simulate"), (plateaus, "fixed_point"),
        (finite_size, "fluctuations"), (finite_size, "stationary_fluctuations"), (hessian, "empirical_operator"),
    ):  # fmt: skip
        noted(room, name)
    monkeypatch.setattr("tsode.cli.warm_up.SHIPPED", ["quadratic"])
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert cli.main(["warm-up"]) == 0
    assert "compiling quadratic: ODE" in sys.stderr.getvalue()
    assert float(capsys.readouterr().out.split()[2]) < 600
    assert called == {
        "integrate", "integrate_many", "gradient", "simulate", "fixed_point", "fluctuations", "stationary_fluctuations",
        "empirical_operator",
    }  # fmt: skip
    noise = [True, False]
    assert ways == {
        *(("chain", size, noisy, "double") for size in ("alone", "lockstep") for noisy in noise),
        *(("diffusion", "alone", noisy, "double") for noisy in noise),
        *(("weights", "alone", True, precision) for precision in sgd.PRECISIONS),
        ("chain", "wide", True, "double"),
        *(("chain", "alone", True, "double", more) for more in ("readout_learning_rate", "inputs")),
    }

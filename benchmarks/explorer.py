"""Processor time of an update of `tsode.explore()`, over 50 moves: python benchmarks/explorer.py [ACTIVATION ...]

Every kind of model is shown once before, so that nothing is compiled. Theory is computed anew in each move, for models
that were not there before; a curve that takes longer than a moment shows its beginning, as in a notebook, and of one
that takes longer for a single step it says so.
"""

import asyncio
import sys
import time

import numpy as np

import tsode

MOVES = 50
ACTIVATIONS = ("quadratic", "erf", "relu", "tanh")


def moves(controls, activations, rng):
    """Yield names of controls and values that they do not have."""
    ranges = {
        "p": range(1, 13),
        "p_star": range(1, 7),
        "learning_rate": 10 ** np.arange(-2, 0.3, 0.02),
        "noise_variance": np.arange(0, 1, 0.05),
        "activation": activations,
        "trained": (False, True),
        "N": controls["N"].options,
    }
    weights = np.array([1, 1, 3, 1, 1, 1, 1]) / 9  # learning rates are what is moved most
    while True:
        name = str(rng.choice(list(ranges), p=weights))
        value = ranges[name][int(rng.integers(len(ranges[name])))]
        if value != controls[name].value:
            yield name, value


async def main(activations):
    """Move the controls in an event loop, as a notebook has one."""
    explorer = tsode.explore(tsode.TeacherStudent(4, 2, 0.4), N=1000)
    controls, times = explorer.controls, []
    for activation in activations:
        for trained in (True, False):
            controls["activation"].value, controls["trained"].value = activation, trained
    for _, (name, value) in zip(range(MOVES), moves(controls, activations, np.random.default_rng(0))):
        began = time.process_time()
        controls[name].value = value
        times.append((time.process_time() - began, explorer.model))
    for seconds, model in sorted(times, key=lambda each: -each[0])[:5]:
        rate = "trained" if model.readout_learning_rate else "fixed"
        print(f"{1e3 * seconds:6.0f} ms  {model.activation!r}, p = {model.p}, p* = {model.p_star}, readout {rate}")
    seconds = [each for each, _ in times]
    print(f"{MOVES} moves: median {1e3 * np.median(seconds):.0f} ms, worst {1e3 * max(seconds):.0f} ms")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ACTIVATIONS))

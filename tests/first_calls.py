"""The first call of every public function in a new process: what its example compiles, and its processor time.

    tsode warm-up && python tests/first_calls.py [NAME ...]

Each example runs in a fork of a process that has imported tsode, and has compiled or loaded nothing else; each gives a
line of JSON: name, seconds, names of what was compiled.
"""

import contextlib
import doctest
import inspect
import io
import json
import os
import sys
import tempfile
import time

import numba.core.event
from test_docstrings import FUNCTIONS

import tsode

ENGINES = """
import numpy as np, tsode
model = tsode.TeacherStudent(4, 2, 0.1, activation={!r})
start = tsode.Overlaps.random(model, N=100, rng=0)
tsode.integrate(model, start, 1.0)
tsode.integrate_many(model, [start] * 3, np.linspace(0, 1, 5), gradient_flow=True)
for engine in ("chain", "weights"):
    for runs in (1, 20):
        tsode.simulate(model, start, 0.1, N=100, runs=runs, engine=engine)
tsode.simulate(model, start, 1.0, N=1000, engine="diffusion")
"""


class Compiled(numba.core.event.Listener):
    """Names of what the compiler works on: nothing that comes from the cache is among them."""

    def __init__(self):
        self.names = set()
        numba.core.event.register("numba:run_pass", self)

    def on_start(self, event):
        if event.data["module"].startswith("tsode"):
            self.names.add(f"{event.data['module']}.{event.data['qualname']}")

    def on_end(self, event):
        """Do nothing: a pass of the compiler is noted when it begins."""


def examples():
    """Return name -> statements, of every public function and of the engines for every activation."""
    parser = doctest.DocTestParser()
    found = {
        name: "".join(example.source for example in parser.get_examples(inspect.getdoc(function)))
        for name, function in FUNCTIONS.items()
    }
    return found | {activation: ENGINES.format(activation) for activation in tsode.activations.SHIPPED}


def first_call(statements):
    """Return processor time and names of what is compiled, in a fork."""
    with tempfile.TemporaryFile("w+") as answer:
        if child := os.fork():
            os.waitpid(child, 0)
            answer.seek(0)
            return json.load(answer)
        compiled, began = Compiled(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):  # some examples raise
            exec(statements, {"__name__": "example"})
        json.dump([time.process_time() - began, sorted(compiled.names)], answer)
        answer.flush()
        os._exit(0)


if __name__ == "__main__":
    for name, statements in examples().items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            print(json.dumps([name, *first_call(statements)]), flush=True)

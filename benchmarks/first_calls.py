"""The first call of every public function in a new process: processor time of its example, and what it compiles.

    tsode warm-up && python benchmarks/first_calls.py [NAME ...]

Each example runs in a fork of a process that has imported tsode and compiled or loaded nothing else.
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
from pathlib import Path

import numba.core.event


sys.path.append(str(Path(__file__).parents[1] / "tests"))
LIMIT = 0.5  # seconds


class Compiled(numba.core.event.Listener):
    """Names of what goes through a pass of the compiler: nothing that comes from the cache does."""

    def __init__(self):
        self.names = set()
        numba.core.event.register("numba:run_pass", self)

    def on_start(self, event):
        if event.data["module"].startswith("tsode") or event.data["module"] in ("__main__", ""):
            self.names.add(f"{event.data['module']}.{event.data['qualname']}")

    def on_end(self, event):
        """Nothing: a pass is noted when it begins."""


def first_call(function):
    """Return processor time and names of what is compiled in the example of a function, run in a fork."""
    with tempfile.TemporaryFile("w+") as answer:
        if child := os.fork():
            os.waitpid(child, 0)
            answer.seek(0)
            return json.load(answer)
        compiled, began = Compiled(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            names = {}
            for example in doctest.DocTestParser().get_examples(inspect.getdoc(function)):
                exec(compile(example.source, "example", "single"), names)
        json.dump([time.process_time() - began, sorted(compiled.names)], answer)
        answer.flush()
        os._exit(0)


if __name__ == "__main__":
    from test_docstrings import FUNCTIONS  # the public face

    chosen = {name: one for name, one in FUNCTIONS.items() if not sys.argv[1:] or name in sys.argv[1:]}
    found = {name: first_call(function) for name, function in chosen.items()}
    for name, (seconds, compiled) in sorted(found.items(), key=lambda item: -item[1][0]):
        if seconds > LIMIT or compiled:
            print(f"{name:<50} {seconds:6.2f} s  {' '.join(compiled)}")
    times = [seconds for seconds, _ in found.values()]
    print(f"{len(times)} functions, {sum(one > LIMIT for one in times)} above {LIMIT} s, longest {max(times):.2f} s")

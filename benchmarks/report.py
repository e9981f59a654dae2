"""What all benchmarks share: timing with the warm-up set apart, and one table out of many scripts.

A script makes one `Report`, adds rows, and calls `finish`; `python benchmarks/run.py` runs all scripts and
writes results.md and results.json.
"""

import json
import os
import sys
import time

# One thread unless a script says otherwise; set before NumPy and Numba are imported.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
for variable in THREADS:
    os.environ.setdefault(variable, "1")

HEADER = ("case", "first call", "time", "unit", "error", "what it means")


def timed(function, repeat=5):
    """Return the time of the first call, the median time of `repeat` more, in seconds, and the last result."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return times[0], sorted(times[1:])[repeat // 2], result


def paired(functions, repeat=5):
    """Return the median times of several functions called in turn, so that a drift of the machine hits all alike."""
    return [sorted(found)[repeat // 2] for found in _in_turn(functions, repeat, time.perf_counter)]


def quickest(functions, repeat=5, clock=time.perf_counter):
    """Return the shortest times of several functions called in turn: what other work on the machine disturbs least."""
    return [min(found) for found in _in_turn(functions, repeat, clock)]


def _in_turn(functions, repeat, clock):
    for function in functions:
        function()
    times = [[] for _ in functions]
    for _ in range(repeat):
        for function, found in zip(functions, times):
            start = clock()
            function()
            found.append(clock() - start)
    return times


class Report:
    """Rows of one script's table, printed as they come."""

    def __init__(self, question):
        self.question, self.rows = question, []
        print(question)
        print("  " + self._line(HEADER))

    def add(self, case, value, unit, error="", note="", first=None):
        """Add a row: a median time or a plain number, its unit, the error beside it, what both mean."""
        row = {"case": case, "first": first, "value": float(value), "unit": unit, "error": str(error), "note": note}
        self.rows.append(row)
        shown = "" if first is None else f"{first:.3g} s"
        print("  " + self._line((case, shown, f"{value:.4g}", unit, row["error"], note)), flush=True)

    @staticmethod
    def _line(cells):
        return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, (46, 10, 10, 12, 10, 0))).rstrip()

    def finish(self):
        """Write the rows as JSON to the file named by ``--json FILE``, if it was given."""
        if "--json" in sys.argv:
            with open(sys.argv[sys.argv.index("--json") + 1], "w") as file:
                json.dump({"question": self.question, "rows": self.rows}, file)

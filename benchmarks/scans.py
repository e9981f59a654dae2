"""What does a scan cost beside the work in it, and how much of two processes arrives?"""

import tempfile
import time

from report import Report

import numpy as np

import tsode

MANY = {"p": range(1, 9), "learning_rate": np.linspace(0.02, 0.2, 1250)}
ALPHA = np.linspace(0.0, 100.0, 101)


def nothing(x, y):
    return x * y


def losses(points):
    """The final losses of a batch of ODE solutions."""
    models = [tsode.TeacherStudent(p_star=2, **point) for point in points]
    starts = [tsode.Overlaps.random(model, N=1000, rng=0) for model in models]
    return [
        ode.loss[-1] if ode.status == "completed" else np.nan for ode in tsode.integrate_many(models, starts, ALPHA)
    ]


def chain(p, repeat, seed):
    """SGD runs for about half a second on one core, and how long they took."""
    wall, cpu = time.perf_counter(), time.process_time()
    model = tsode.TeacherStudent(p=p, p_star=2, learning_rate=0.1)
    loss = tsode.simulate(model, None, 40.0, N=10_000, runs=8, seed=seed).loss[:, -1]
    return {"loss": loss, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def spent(function, grid, **options):
    start = time.perf_counter()
    table = tsode.scan(function, grid, progress=False, **options)
    return time.perf_counter() - start, table


if __name__ == "__main__":
    table = Report("Scans on two processes, worker start apart (first call) and included in the ODE scan")
    points = {"x": range(100), "y": range(20)}
    first, _ = spent(nothing, points, n_jobs=2)
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as path:
            bare = spent(nothing, points, n_jobs=jobs)[0] / 2000
            kept = spent(nothing, points, n_jobs=jobs, path=path)[0] / 2000
            read = spent(nothing, points, n_jobs=jobs, path=path)[0] / 2000
        where = f"{jobs} process{'es' if jobs > 1 else ''}"
        table.add(f"overhead a point, {where}, in memory", 1e3 * bare, "ms", "", "2000 points", first)
        table.add(f"overhead a point, {where}, kept on disk", 1e3 * kept, "ms", "", "to compute and to keep")
        table.add(f"a finished point, {where}", 1e3 * read, "ms", "", "found again")

    grid = {"p": [4], "repeat": range(24)}
    chain(4, 0, 0)
    spent(chain, {"p": [4], "repeat": [-1, -2]}, n_jobs=2)  # the workers load their kernels
    efficiency, busy, times = [], [], []
    for _ in range(5):  # in turn, so that a drift of the machine hits both
        one, serial = spent(chain, grid, n_jobs=1)
        two, parallel = spent(chain, grid, n_jobs=2)
        efficiency.append(one / two / 2)
        # what other work on the machine leaves alone: how much of the time both work, at what price in cycles
        busy.append(float(parallel["wall"].sum() / two / 2 * serial["cpu"].sum() / parallel["cpu"].sum()))
        times.append(two)
    same = "0" if parallel["loss"].identical(serial["loss"]) else "differ"
    note = f"parallel efficiency {np.median(efficiency):.2f} on an idle machine"
    table.add("chain scan, 24 points, 2 processes", np.median(times), "s", same, note)
    table.add("  busy time x CPU time, serial / parallel", np.median(busy), "", "", "efficiency net of other work")

    seconds, found = spent(tsode.scans.batched(losses, 500), MANY, n_jobs=2)
    check = {"p": 8, "learning_rate": found["learning_rate"].values[-1]}
    model = tsode.TeacherStudent(p_star=2, **check)
    exact = tsode.integrate(model, tsode.Overlaps.random(model, N=1000, rng=0), ALPHA, rtol=1e-12, atol=1e-14)
    error = abs(found["value"].sel(check).item() - exact.loss[-1])
    table.add("10 000 ODE trajectories, p <= 8", seconds, "s", f"{error:.0e}", "rtol 1e-8, 101 times, 2 processes")

    rates = np.geomspace(0.05, 6.0, 100)
    begin = time.perf_counter()
    found = tsode.scans.stability({"p": [1, 2, 3, 4, 6, 8], "p_star": 8, "learning_rate": rates}, progress=False)
    seconds = time.perf_counter() - begin
    near = sum(abs(found["learning_rate"] / found[name] - 1) < 0.02
               for name in ("max_learning_rate", "escape_learning_rate")) > 0  # fmt: skip
    wrong = float(((found["fate"] != found["theory"]) & ~near).sum() / (~near).sum())
    table.add("stability map, 600 points", seconds, "s", f"{wrong:.1%}", "on the wrong side, 2 % from the thresholds")
    table.finish()

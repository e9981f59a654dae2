"""A scan to be run, killed and resumed as a process of its own: python scan_script.py SETTINGS (as JSON).

Each call of the function appends its point to a log, which counts calls from outside of the scan. With SCAN_HOLD = n
in the environment all calls but the first n never return, however slow the machine is.
"""

import contextlib
import json
import os
import sys
import time

import joblib
import numpy as np

import tsode

POINTS = 24


def point(p, learning_rate, seed):
    log = os.open(os.environ.get("SCAN_LOG", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{p} {learning_rate!r}\n".encode())
    os.close(log)
    if "SCAN_HOLD" in os.environ and place_in_log(p, learning_rate) >= int(os.environ["SCAN_HOLD"]):
        time.sleep(3600)
    model = tsode.TeacherStudent(p=p, p_star=2, learning_rate=learning_rate)
    sgd = tsode.simulate(model, None, 4.0, N=200, runs=2, seed=seed)
    noise = np.random.default_rng(seed).standard_normal((60, 60))  # BLAS and its threads play a part
    return {
        "loss": ("run", sgd.loss[:, -1]),
        "norm": np.linalg.norm(noise @ noise @ noise, 2),
        "states": sgd.M[0].sum(axis=1),
    }


def place_in_log(p, learning_rate):
    with open(os.environ["SCAN_LOG"], encoding="utf-8") as log:
        return log.read().splitlines().index(f"{p} {learning_rate!r}")


def grid():
    return {"p": [1, 2, 3, 4], "learning_rate": np.linspace(0.05, 0.1, POINTS // 4)}


@contextlib.contextmanager
def backend(settings):
    if settings.get("backend") != "dask":
        yield
        return
    from dask.distributed import Client, LocalCluster

    with contextlib.ExitStack() as stack:
        address = settings.get("address")
        if address is None:
            address = stack.enter_context(
                LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
            )
        stack.enter_context(Client(address))
        stack.enter_context(joblib.parallel_config(backend="dask"))
        yield


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    with backend(settings):
        table = tsode.scan(point, grid(), path=settings.get("path"), n_jobs=settings.get("n_jobs", 2))
    table.to_netcdf(settings["out"], engine="h5netcdf")

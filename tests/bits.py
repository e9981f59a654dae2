"""Digests of results that are to be the same everywhere: ``python bits.py`` prints them as JSON.

The module is imported by worker processes and by a notebook's kernel as well, so that all compute the same.
"""

import hashlib
import json

import numpy as np
from models import MODELS, generic_start

import tsode
from tsode.escapes import Escapes

NOISY = {name: tsode.TeacherStudent(**MODELS[name]) for name in ("general", "general spherical")}


def simulated(name, engine, seed=7, start=None):
    # 17 runs of the chain go in groups of 16 on one thread and of 8 on two. At small N it often draws again; N = 1100
    # makes two tiles of the weights.
    N, last = {"chain": (30, 5.0), "weights": (1100, 0.1), "diffusion": (400, 5.0)}[engine]
    return tsode.simulate(NOISY[name], start, [0.0, last / 5, last], N=N, runs=17, seed=seed, engine=engine)


def digest(*trajectories):
    joined = hashlib.sha256()
    for trajectory in trajectories:
        for name in ("size",) if isinstance(trajectory, Escapes) else ("M", "Q"):
            joined.update(np.ascontiguousarray(getattr(trajectory, name)).tobytes())
    return joined.hexdigest()


def wide_ode():
    """Wide enough for matrix products by BLAS instead of the compiled loops."""
    model = tsode.TeacherStudent(p=64, p_star=4, learning_rate=2.0)
    return tsode.integrate(model, tsode.Overlaps.random(model, 10**4, rng=0), [0.0, 0.5])


def wide_chain():
    """Wide enough for blocks of samples; the second record cuts the third block."""
    model = tsode.TeacherStudent(p=40, p_star=8, learning_rate=0.1)
    return tsode.simulate(model, None, [0.0, 0.1, 1.5], N=100, runs=3, seed=7)


def digests():
    found = {"wide ODE": digest(wide_ode()), "wide chain": digest(wide_chain())}
    for name, model in NOISY.items():
        found[f"ODE, {name}"] = digest(tsode.integrate(model, generic_start(model), 2.0))
        for engine in ("chain", "weights", "diffusion"):
            for start in (None, generic_start(model)):
                found[f"{engine}, {name}, {'no' if start is None else 'a'} start"] = digest(
                    simulated(name, engine, start=start)
                )
            study = tsode.study(model, N=200, runs=2, alpha_max=1.0, seed=3, engine=engine)
            found[f"study, {engine}, {name}"] = digest(study.ode, study.sgd, study.escapes)
    return found


def point(constraint, engine, seed):
    """A point of a scan."""
    sgd = simulated(f"general{constraint}", engine, seed)
    return {"M": sgd.M, "Q": sgd.Q}


GRID = {"constraint": ["", " spherical"], "engine": ["chain", "weights"]}


if __name__ == "__main__":
    print(json.dumps(digests()))

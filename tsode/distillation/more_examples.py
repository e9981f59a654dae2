"""Examples of what is tested otherwise than it was trained: pruned students, and noise in place of data."""

from __future__ import annotations

import numpy as np

from .._statistics import standard_error
from ..inputs import Inputs
from ..model import TeacherStudent
from ..ode import integrate
from ..overlaps import Overlaps
from ..sgd import simulate
from .example_type import Example
from .matched_noise import matched_noise
from .pruning import active_units, pruning_curve, pruning_law
from .spectral import spectral

__all__ = ["matched_noise_example", "pruning_example"]


def pruning_example(N: int, runs: int, seed: int) -> Example:
    """Return students of 4 units pruned to n of them, with the spectral form and without."""
    p, p_star, alpha = 4, 2, [0.0, 1500.0]
    truth = TeacherStudent(p, p_star, 0.2, 0.02, [0.5] * p, weight_decay=0.02)
    task = spectral(truth)
    ends = {
        "spectral": task.as_student(simulate(task, task.random(N, seed), alpha, N=N, runs=runs, seed=seed)),
        "plain": simulate(truth, None, alpha, N=N, runs=runs, seed=seed),
    }
    rows, points, n = [], {}, np.arange(p + 1)
    for name, wanted in (("spectral", p_star), ("plain", p)):
        curve, units = pruning_curve(ends[name]), active_units(ends[name])
        points[name] = (n, curve.mean(axis=0), standard_error(curve))
        rows.append((f"active units, {name}", wanted, units.mean(), standard_error(units)))
    kept = points["spectral"]
    rows.append(("loss with p* units, spectral, beside all", kept[1][-1], kept[1][p_star], kept[2][p_star]))
    law = np.append(pruning_law(p_star), np.zeros(p - p_star))
    title, curves = "Students of 4 units pruned, teacher of 2, with weight decay", {"law (m/p*)²/2 + m/p*²": (n, law)}
    return Example("spectral", title, "units kept n", "excess loss", "", curves, points, tuple(rows))


def matched_noise_example(N: int, runs: int, seed: int) -> Example:
    """Return a narrow student taught by white noise, by matched noise and by data, tested on data."""
    P = np.array([np.diag([0.7, 0.7, 0.05, 0.05]), np.diag([0.1, 0.1, 1.15, 1.15])])
    data, white = Inputs([3.4, 0.2], [1, 3]), Inputs([1.0, 1.0], [1, 3])
    noise = matched_noise(white, P, np.einsum("b,brr->r", data.eigenvalues, P))
    M = 0.05 * np.random.default_rng(seed).standard_normal((2, 2, 4)) @ np.sqrt(P)
    Q = data.fractions[:, None, None] * np.eye(2)
    alpha, curves, points, rows = np.linspace(0, 800, 33), {}, {}, []
    for name, inputs in (("white noise", white), ("matched noise", noise), ("data", data)):
        start = Overlaps.from_blocks(inputs, M, Q, P)
        model = TeacherStudent(2, 4, 0.05, inputs=inputs, teacher_overlap=start.P)
        theory = integrate(model, start, alpha).loss_under(data)
        losses = simulate(model, start, alpha, N=N, runs=runs, seed=seed).loss_under(data)
        curves[name], points[name] = (alpha, theory), (alpha, losses.mean(axis=0), standard_error(losses))
        rows.append((f"loss on data, after {name}", theory[-1], losses[:, -1].mean(), standard_error(losses[:, -1])))
    (_, *white_end), (_, *end) = rows[0], rows[1]
    ratio = white_end[1] / end[1]
    rows.append(("gain", white_end[0] / end[0], ratio, ratio * np.hypot(white_end[2] / white_end[1], end[2] / end[1])))
    title, x = "Noise in place of data, p = 2, p* = 4", "time α = samples / N"
    return Example("matched_noise", title, x, "excess loss on data", "y", curves, points, tuple(rows))

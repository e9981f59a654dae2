r"""Claims about inputs with a spectrum: scaling laws of many directions, and noise in place of data.

A student of quadratic units with as many positive readouts as negative ones has no part in the mean of the output, and
in gradient flow it learns each direction of a teacher by itself: its part a of the way is logistic, and with the
variance s_r² of the inputs there

    da_r/dα = g_r a_r (1 - a_r) ,    g_r = 8 η v v*_r s_r⁴ ,    excess loss = sum_r (v*_r s_r²)² (1 - a_r)² .

If strengths v*_r s_r² fall as r^-b and rates g_r as r^-c, the sum over many directions is an integral over x = α r^-c,
and falls as α^-(2b - 1)/c.
"""

import numpy as np
from claim_rows import SMALL, Claim, extrapolated, mean_and_error, shifted
from scipy.linalg import block_diag
from scipy.stats import ortho_group

import tsode

TIMES = 16.0 * 2.0 ** np.arange(4)  # in units of the first direction's


def scaling_laws(base=0):
    """Many directions of falling strength are learned one after the other, and the loss is a power of time."""
    rng = np.random.default_rng(shifted(8, base))
    n = 24 if SMALL else 128
    strengths = np.arange(1.0, n + 1) ** -1.5
    readouts = {"student_readout": signed(np.ones(n)), "teacher_readout": signed(strengths)}
    model = tsode.TeacherStudent(2 * n, 2 * n, learning_rate=1 / 8, **readouts)
    M = turned(np.sqrt(0.1 * strengths), rng)
    found = exponent(model, tsode.Overlaps(M, M @ M.T), TIMES)
    name = f"Scaling law: exponent of the loss in α, teacher's readouts r^(-3/2), p = p* = {2 * n}"
    yield Claim(name, -4 / 3, *found, "fit", "08")

    n = 16 if SMALL else 32
    inputs = tsode.Inputs.power_law(1.0, n)
    readouts = {"student_readout": signed(np.ones(n)), "teacher_readout": signed(np.ones(n))}
    P = np.array([np.diag(np.tile(row, 2)) for row in np.eye(n)])  # two units of the teacher read each block
    M = turned(np.sqrt(0.1) * np.ones(n), rng) @ P
    start = tsode.Overlaps.from_blocks(inputs, M, M @ np.swapaxes(M, 1, 2), P)
    model = tsode.TeacherStudent(2 * n, 2 * n, 1 / 8, inputs=inputs, teacher_overlap=start.P, **readouts)
    found = exponent(model, start, TIMES / inputs.eigenvalues[0] ** 2)
    name = f"Scaling law: exponent of the loss in α, variances of the inputs b^(-1) in {n} blocks, p = p* = {2 * n}"
    yield Claim(name, -1 / 2, *found, "fit", "08")


def signed(values):
    """Return values and their negatives."""
    return np.concatenate([values, -values])


def turned(sizes, rng):
    """Return M of students along the teacher's units, those of each sign mixed by a rotation, shape (2 n, 2 n)."""
    return block_diag(*ortho_group.rvs(len(sizes), size=2, random_state=rng)) * np.tile(sizes, 2)


def exponent(model, start, alpha):
    """Return the exponent of the loss in time, and what it changes by from one doubling to the next.

    Directions beyond the last would add a constant to the loss, which is not in its differences.
    """
    loss = tsode.integrate(model, start, np.append(0.0, alpha), gradient_flow=True).excess_loss[1:]
    (before, last) = np.diff(np.log2(loss[:-1] - loss[1:]))
    return last, abs(last - before)


def noise_in_place_of_data(base=0):
    """Noise whose variances are matched to those of the teacher's units teaches a narrow student what data would."""
    P = np.array([np.diag([0.7, 0.7, 0.05, 0.05]), np.diag([0.1, 0.1, 1.15, 1.15])])
    data, white = tsode.Inputs([3.4, 0.2], [1, 3]), tsode.Inputs([1.0, 1.0], [1, 3])
    N, runs = (400, 16) if SMALL else (4000, 64)
    rng = np.random.default_rng(shifted(8, base))
    M = 0.05 * rng.standard_normal((2, 2, 4)) @ np.sqrt(P)
    Q = data.fractions[:, None, None] * np.eye(2)
    ratios, theory = {N: 1.0, N // 4: 1.0}, 1.0
    errors = dict.fromkeys(ratios, 0.0)
    for inputs, power in ((white, 1), (white.matched(P, np.einsum("b,brr->r", data.eigenvalues, P)), -1)):
        start = tsode.Overlaps.from_blocks(inputs, M, Q, P)
        model = tsode.TeacherStudent(2, 4, 0.05, inputs=inputs, teacher_overlap=start.P)
        theory *= tsode.integrate(model, start, [0.0, 800.0]).loss_under(data)[-1] ** power
        for dimension in ratios:
            sgd = tsode.simulate(model, start, [0.0, 800.0], N=dimension, runs=runs, seed=shifted(dimension, base))
            loss, error = mean_and_error(sgd.loss_under(data)[:, -1])
            ratios[dimension] *= loss**power
            errors[dimension] = np.hypot(errors[dimension], error / loss)
    found = extrapolated(*((ratio, ratio * errors[dimension]) for dimension, ratio in ratios.items()))
    name = f"Noise in place of data, p = 2 < p* = 4: loss after white over loss after matched noise, N = {N:,}"
    yield Claim(name, theory, *found, "runs", "08")

"""Spectra of data: rows as inputs, noise in their place, and the losses of many directions."""

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.stats import ortho_group

import tsode
from tsode import rules

N = 30
PAIR = tsode.TeacherStudent(2, 1, 0.1, 0.3)


def gaussian(n, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal((n, N))


def run(model, rows, alpha, **options):
    W, W_star = np.random.default_rng(1).standard_normal((2, 2, N))
    model = model.replace(teacher_overlap=tsode.Overlaps.from_weights(W, W_star[:1], model.inputs).P)
    return tsode.simulate(model, (W, W_star[:1]), alpha, N, engine="weights", inputs=rows, **options)


@pytest.mark.parametrize("changes", [{}, {"batch_size": 5, "readout_learning_rate": 0.1, "activation": "erf"}])
def test_loss_on_rows_is_that_on_the_next_ones(changes):
    """Of 60 rows 20, 20 and 20 are learned; of 1030, the mean goes over the first 1000 at the start."""
    model, rows, alpha = PAIR.replace(**changes), gaussian(60), [0.0, 20 / N, 40 / N, 2.0]
    sgd = run(model, rows, alpha, keep_weights=True)
    assert np.isnan(sgd.observables["row_loss"][0, -1])
    for i in (1, 2):
        there = run(model, rows[: 20 * i], alpha[: i + 1], keep_weights=True)
        lam, mu = (rows[20 * i :] @ weights[0].T / np.sqrt(N) for weights in there.weights)
        D = model.activation(lam) @ there.readout[0, -1] - model.activation(mu) @ model.teacher_readout
        assert sgd.observables["row_loss"][0, i] == pytest.approx(np.mean(D**2) / 2, rel=1e-12)
        more = tsode.simulate(sgd.model, there, alpha, inputs=rows[20 * i :])
        pair = (each.observables["row_loss"][0, i:] for each in (more, sgd))
        np.testing.assert_allclose(*pair, rtol=1e-12)
    long = gaussian(1030)
    np.testing.assert_array_equal(
        *(run(model, each, [0.0], keep_weights=True).observables["row_loss"] for each in (long, long[:1000]))
    )


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    "rule",
    [
        rules.Gradient(), rules.Huber(0.7), rules.Hinge(), rules.Logistic(temperature=0.5),
        rules.Clipped(rules.Huber(0.7), norm=0.5),
    ],
)  # fmt: skip
def test_losses_of_samples_have_the_mean_of_the_population(rule):
    """100 000 samples, within 5 standard errors; the noise of labels counts in the same way."""
    model = tsode.TeacherStudent(2, 2, 0.1, 0.4, activation="erf", rule=rule, student_readout=[1.0, -0.5])
    start = tsode.Overlaps.random(model, 20, rng=0)
    z = np.random.default_rng(0).multivariate_normal(np.zeros(4), start.joint, 100_000).T
    losses = rule.sample_losses(model, z[:2], z[2:], model.student_readout)
    error = losses.std() / np.sqrt(losses.size)
    assert losses.mean() == pytest.approx(model.excess_loss(start.M, start.Q), abs=5 * error)


class Silent(rules.Gradient):
    """A rule that does not know the loss of a sample."""

    sample_losses = rules.Rule.sample_losses


def test_a_rule_without_losses_of_samples_has_none_on_rows():
    assert run(PAIR.replace(rule=Silent()), gaussian(30), [0.0]).observables == {}


BLOCKS = tsode.Inputs([3.0, 0.5, 0.0], [1, 1, 1])


@pytest.mark.parametrize(
    ("rows", "inputs", "found"),
    [
        (gaussian(400), None, None),
        (gaussian(3) + 0.5, None, None),  # may be chance
        (gaussian(400) + 0.3, None, r"means of 0\.3[01]* standard deviations \("),
        (gaussian(400, scale=1.2), None, r"variances that are off by 4[0-9] % \("),
        (gaussian(400, scale=1.2) + 0.3, None, "means of .* and variances that"),
        (gaussian(400, scale=BLOCKS.scales(N)), None, "variances"),
        (gaussian(400, scale=BLOCKS.scales(N)), BLOCKS, None),
        (gaussian(400, scale=BLOCKS.scales(N)) + 0.3, BLOCKS, "means"),
        (gaussian(400), BLOCKS, "variances"),
    ],
)
def test_rows_unlike_those_of_the_theory_are_told(rows, inputs, found):
    if found is None:
        run(PAIR.replace(inputs=inputs), rows, [0.0])
        return
    with pytest.warns(RuntimeWarning, match=f"standardise `inputs`.*they have .*{found}"):
        run(PAIR.replace(inputs=inputs), rows, [0.0])


@pytest.mark.slow
def test_gaussian_loss_of_the_spectrum_is_that_on_rows():
    """In their principal components: at the end of 32 runs within 5 standard errors; not so with one block."""
    rng, far = np.random.default_rng(0), []
    X = rng.standard_normal((4000, 100)) * np.linspace(0.1, 1.9, 100) ** 1.5
    X -= X.mean(axis=0)
    X = X @ np.linalg.svd(X, full_matrices=False)[2].T
    W_star = rng.standard_normal((1, 100))
    W = 0.5 * W_star + rng.standard_normal((2, 100))
    for blocks in (1, 20):
        inputs = tsode.Inputs.from_data(X, blocks)
        P = tsode.Overlaps.from_weights(W, W_star, inputs).P
        model, differences = tsode.TeacherStudent(2, 1, 0.05, inputs=inputs, teacher_overlap=P), []
        for seed in range(32):
            rows = X[np.random.default_rng(seed).permutation(len(X))]
            sgd = tsode.simulate(model, (W, W_star), [0.0, 10.0], 100, engine="weights", inputs=rows)
            differences.append(sgd.observables["row_loss"][0, -1] - sgd.excess_loss[0, -1])
        far.append(abs(np.mean(differences)) / (np.std(differences) / np.sqrt(32)))
    assert far[1] < 5 < far[0]


# hidden variances of 2.4, 2.4, 0.4, 0.4 on the data and of 0.8, 0.8, 1.2, 1.2 on white noise
TEACHER = [np.diag([0.7, 0.7, 0.05, 0.05]), np.diag([0.1, 0.1, 1.15, 1.15])]
DATA, WHITE = tsode.Inputs([3.4, 0.2], [1, 3]), tsode.Inputs([1, 1], [1, 3])
D = 400


def distilled(p, inputs, learning_rate, alpha):
    """Return the losses on the data of the ODE and of 8 runs of a student that learns from noise."""
    parts = [np.sqrt(D) * np.eye(4, size) * np.sqrt(np.diag(P))[:, None] for P, size in zip(TEACHER, inputs.sizes(D))]
    W, W_star = np.random.default_rng(0).standard_normal((p, D)), np.hstack(parts)
    start = tsode.Overlaps.from_weights(W, W_star, inputs)
    model = tsode.TeacherStudent(p, 4, learning_rate, inputs=inputs, teacher_overlap=start.P)
    ode = tsode.integrate(model, start, [0.0, alpha], rtol=1e-6, atol=1e-8)
    sgd = tsode.simulate(model, (W, W_star), ode.alpha, D, runs=8)
    return ode.loss_under(DATA)[-1], sgd.loss_under(DATA)[:, -1]


@pytest.mark.slow
def test_matched_noise_takes_the_place_of_data_for_a_narrow_student():
    """At p = 2 < p* = 4 white noise teaches the wrong units, in whatever unit; matched noise gains a factor of 40."""
    matched = WHITE.matched(TEACHER, [2.4, 2.4, 0.4, 0.4])
    np.testing.assert_allclose(matched.eigenvalues, DATA.eigenvalues, rtol=1e-12)
    (white, white_runs), (found, found_runs) = (distilled(2, noise, 0.05, 800.0) for noise in (WHITE, matched))
    assert white == pytest.approx(1.36, abs=0.01)
    assert found == pytest.approx(0.0322, abs=2e-4)
    assert white_runs.mean() == pytest.approx(white, rel=0.05)
    assert found_runs.mean() == pytest.approx(found, rel=0.02)


def test_noise_is_benign_for_a_wide_student_unless_it_leaves_directions_out():
    """At p = p* = 4 white noise ends on the solution; without variance in the first block all there stays as it was."""
    white, runs = distilled(4, WHITE, 0.4, 200.0)
    assert white < 1e-5
    assert runs.max() < 1e-3
    singular, runs = distilled(4, tsode.Inputs([0, 1], [1, 3]), 0.4, 200.0)
    assert singular > 1
    assert runs.mean() == pytest.approx(singular, rel=0.05)


def test_variances_that_no_noise_has_are_met_as_well_as_can_be():
    """Least squares in variances that are not negative, beside a search."""
    rng = np.random.default_rng(0)
    P = [x @ x.T for x in rng.standard_normal((3, 4, 6))]
    noise = tsode.Inputs([1, 1, 1], [1, 2, 1])
    stored = np.array([1.0, 9.0, 0.1, 3.0])
    found, diagonals = noise.matched(P, stored), np.diagonal(P, axis1=1, axis2=2)
    assert found.fractions.tolist() == noise.fractions.tolist()
    error = np.sum((found.eigenvalues @ diagonals - stored) ** 2)
    others = np.maximum(found.eigenvalues + 0.1 * rng.standard_normal((2000, 3)), 0)
    assert (np.sum((others @ diagonals - stored) ** 2, axis=1) >= error).all()
    assert found.eigenvalues.min() == 0


def test_many_directions_are_learned_each_by_itself():
    """Readouts and variances fall; units of both signs mixed by rotations: the loss is the sum over directions."""
    n, rng = 4, np.random.default_rng(0)
    inputs, readouts = tsode.Inputs.power_law(1.0, n), np.arange(1.0, n + 1) ** -0.5
    P = np.array([np.diag(np.tile(row, 2)) for row in np.eye(n)])
    M = block_diag(*ortho_group.rvs(n, size=2, random_state=rng)) * np.sqrt(0.1 * np.tile(readouts, 2)) @ P
    start = tsode.Overlaps.from_blocks(inputs, M, M @ np.swapaxes(M, 1, 2), P)
    model = tsode.TeacherStudent(
        2 * n, 2 * n, 0.2, inputs=inputs, teacher_overlap=start.P,
        student_readout=np.repeat([1.0, -1.0], n), teacher_readout=np.outer([1, -1], readouts).ravel(),
    )  # fmt: skip
    ode = tsode.integrate(model, start, np.linspace(0, 10, 11), gradient_flow=True)
    strengths = readouts * inputs.eigenvalues
    left = 1 / (1 + np.exp(np.outer(ode.alpha, 8 * 0.2 * strengths * inputs.eigenvalues)) / 9)
    np.testing.assert_allclose(ode.excess_loss, 2 * np.sum(np.square(strengths * left), axis=1), rtol=1e-6)

"""Inputs with a covariance of their own: the law of plain SGD, the ODEs in the limit, and isotropic ones as a case."""

import json
import pickle

import numpy as np
import pytest
import reference
from models import GENERAL, generic_start
from scipy import stats

import tsode
from tsode import rules
from tsode._blocks import teacher_blocks

# coordinates of their own up to p + p* = 4 of them, then one that is left over, and the rest
SMALL = tsode.Inputs([2.0, 1.5, 1.0, 0.5, 0.7], [0, 0, 0, 0, 1], [1, 2, 4, 5, 0])
BULK = tsode.Inputs([3.0, 1.0, 0.2, 5.0], [1, 1, 2, 0], [0, 0, 0, 1])
TWO = {"p": 2, "p_star": 2, "learning_rate": 0.1, "noise_variance": 0.1, "student_readout": [0.5, -0.3]}
CASES = {
    "square": (20, {}),
    "sphere": (20, {"constraint": "spherical"}),
    "erf": (20, {"activation": "erf", "learning_rate": 0.5}),
    "batches": (20, {"batch_size": 3, "readout_learning_rate": 0.2, "weight_decay": 0.3}),
    "momentum": (24, {"batch_size": 2, "momentum": 0.5, "activation": "relu"}),
}


def weights(model, N, seed=3):
    """Return a model with the P of random weights, and these."""
    rng = np.random.default_rng(seed)
    W, W_star = rng.standard_normal((model.p, N)), rng.standard_normal((model.p_star, N))
    if model.spherical:
        W *= np.sqrt(N) / np.linalg.norm(W, axis=1, keepdims=True)
    return model.replace(teacher_overlap=tsode.Overlaps.from_weights(W, W_star, model.inputs).P), W, W_star


def flat(sgd, i):
    """Return the overlaps of all blocks at one time, shape (runs, n)."""
    return np.hstack([each[:, i].reshape(sgd.runs, -1) for each in sgd.blocks[:2]])


def smallest_p_value(a, b):
    return min(stats.ks_2samp(x, y).pvalue for x, y in zip(a.T, b.T))


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", CASES)
def test_both_engines_have_the_law_of_plain_sgd(name):
    """Every overlap of blocks of 1, 2, 4, 5 and more coordinates: 40 Kolmogorov-Smirnov tests, none below 1e-4."""
    N, changes = CASES[name]
    model, W, W_star = weights(tsode.TeacherStudent(**{**TWO, **changes}, inputs=SMALL), N)
    rng, runs, samples, plain = np.random.default_rng(1), 120, 24, []
    for _ in range(runs):
        rows = rng.standard_normal((samples, N)) * SMALL.scales(N)
        last = reference.train(model, W, W_star, rows, np.sqrt(0.1) * rng.standard_normal(samples))[-1][0]
        blocks = tsode.Overlaps.from_weights(last, W_star, SMALL).blocks
        plain.append(np.hstack([blocks.M.ravel(), blocks.Q.ravel()]))
    for seed, engine in enumerate(("chain", "weights")):
        sgd = tsode.simulate(model, (W, W_star), [0.0, samples / N], N=N, runs=300, seed=seed, engine=engine)
        assert (sgd.status == "completed").all()
        start = tsode.Overlaps.from_weights(W, W_star, SMALL).blocks
        np.testing.assert_allclose(sgd.blocks.Q[0, 0], start.Q, atol=1e-12)
        np.testing.assert_array_equal(sgd.blocks.P, start.P)
        assert smallest_p_value(flat(sgd, 1), np.array(plain)) > 1e-4


def test_length_of_an_input_is_that_of_all_its_blocks():
    """Steps over |x|^2 in 4 + 4 coordinates: 12 Kolmogorov-Smirnov tests, none below 1e-4."""
    rule, inputs = rules.Normalised(rules.Gradient()), tsode.Inputs([2.0, 0.5], [1, 1])
    model = tsode.TeacherStudent(2, 1, 1.0, 0.1, rule=rule, inputs=inputs, activation="erf")
    a, b = (
        tsode.simulate(model, None, [0.0, 1.0, 3.0], N=8, runs=300, seed=seed, engine=engine)
        for seed, engine in enumerate(("chain", "weights"))
    )
    assert set(a.status) | set(b.status) == {"completed"}
    assert min(smallest_p_value(flat(a, i), flat(b, i)) for i in (1, 2)) > 1e-4


WHITE = {
    "general": {},
    "sphere": {"constraint": "spherical"},
    "erf": {"activation": "erf"},
    "trained": {"weight_decay": 0.1, "readout_learning_rate": 0.2, "readout_decay": 0.1},
    "table": {"learning_rate": [(0, 0.3), (2, 0.1)]},
    "wide": {"p": 53, "student_readout": None},
}


@pytest.mark.parametrize("gradient_flow", [False, True])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in ("erf", "trained"))) for name in WHITE]
)
def test_white_blocks_have_the_ode_of_isotropic_inputs(name, gradient_flow):
    model = tsode.TeacherStudent(**{**GENERAL, **WHITE[name]})
    white = model.replace(inputs=tsode.Inputs([1, 1, 1], [1, 2, 3]))
    start = tsode.Overlaps.random(white, 1000, rng=0)
    options = {"rtol": 1e-12, "atol": 1e-14, "gradient_flow": gradient_flow}
    alpha = [0.0, 1.0, 4.0]
    found = tsode.integrate(white, start, alpha, **options)
    wanted = tsode.integrate(model, tsode.Overlaps(start.M, start.Q, start.P), alpha, **options)
    np.testing.assert_allclose(found.M, wanted.M, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.Q, wanted.Q, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.scalars, wanted.scalars, rtol=0, atol=1e-12)


def test_white_blocks_have_the_law_of_isotropic_inputs():
    """12 Kolmogorov-Smirnov tests, none below 1e-4."""
    model = tsode.TeacherStudent(**{**GENERAL, "p": 2, "student_readout": [0.5, 0.2]})
    white = model.replace(inputs=tsode.Inputs([1, 1], [1, 3]))
    a, b = (
        tsode.simulate(each, None, [0, 1.0, 3.0], N=100, runs=1000, seed=i) for i, each in enumerate((model, white))
    )
    for i in (1, 2):
        both = [np.hstack([sgd.M[:, i].reshape(1000, -1), sgd.Q[:, i].reshape(1000, -1)]) for sgd in (a, b)]
        assert smallest_p_value(*both) > 1e-4


def spiked_start(model):
    """Return overlaps of any dimension: of rank 1 in the spike."""
    parts = [generic_start(tsode.TeacherStudent(model.p, model.p_star, 0.1), seed).joint / 4 for seed in (1, 2, 3)]
    joint = np.array([*parts, 0.1 * np.ones_like(parts[0])])
    p = model.p
    start = tsode.Overlaps.from_blocks(model.inputs, joint[:, :p, p:], joint[:, :p, :p], joint[:, p:, p:])
    return model.replace(teacher_overlap=start.P), start


def test_deviation_from_the_ode_falls_as_one_over_root_N():
    """Three blocks and a spike, N from 1e3 to 3e4 at 32 runs: the slope is known to 0.03."""
    model, start = spiked_start(tsode.TeacherStudent(3, 2, 0.1, 0.1, inputs=BULK))
    ode, dimensions, sizes = tsode.integrate(model, start, [0, 1.0, 2.0]), [1000, 5500, 30_000], []
    for N in dimensions:
        sgd = tsode.simulate(model, start, ode.alpha, N=N, runs=32, seed=N)
        sizes.append(np.sqrt(sum(np.mean((a - b) ** 2) for a, b in zip(sgd.blocks[:2], ode.blocks[:2]))))
    assert np.polyfit(np.log(dimensions), np.log(sizes), 1)[0] == pytest.approx(-0.5, abs=0.1)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "changes",
    [
        {"rule": rules.Normalised(rules.Gradient()), "activation": "erf"},
        {"rule": rules.Clipped(rules.Gradient(), norm=0.5), "noise_variance": 0.0},
        {"activation": "erf", "readout_learning_rate": 0.2, "weight_decay": 0.2},
        {"activation": "erf", "constraint": "spherical"},
    ],
)
def test_ode_of_any_rule_is_the_mean_of_sgd(changes):
    """Means of 64 runs at N = 20 000 within 5 standard errors, some 60 of them, or 1e-3, the order of 1/N."""
    white = tsode.TeacherStudent(**{"p": 3, "p_star": 2, "learning_rate": 0.2, "noise_variance": 0.1, **changes})
    model, start = spiked_start(white.replace(inputs=BULK))
    if model.spherical:
        start = tsode.Overlaps.random(model := white.replace(inputs=tsode.Inputs([2, 0.5], [1, 2])), 500, rng=0)
    ode = tsode.integrate(model, start, [0, 1.0], rtol=1e-5, atol=1e-6)
    sgd = tsode.simulate(model, start, [0, 1.0], N=20_000, runs=64)
    for found, wanted in zip(sgd.blocks[:2], ode.blocks[:2]):
        error = found[:, 1].std(axis=0) / 8
        assert (np.abs(found[:, 1].mean(axis=0) - wanted[1]) < 5 * error + 1e-3 * np.abs(wanted[1]).max()).all()


@pytest.mark.slow
def test_random_starts_have_the_law_of_random_weights():
    """Blocks of 2, 3 and 7 coordinates, drawn as overlaps, by the chain and as weights: 32 tests, none below 1e-4."""
    inputs = tsode.Inputs([2.0, 1.0, 0.5], [0, 0, 1], [2, 3, 0])
    model = tsode.TeacherStudent(**{**TWO, "student_readout": None}, inputs=inputs)
    blocks = [tsode.Overlaps.random(model, 12, rng=seed).blocks for seed in range(500)]
    drawn = np.array([np.hstack([each.M.ravel(), each.Q.ravel()]) for each in blocks])
    sgd = [tsode.simulate(model, None, [0.0], N=12, runs=500, engine=engine) for engine in ("chain", "weights")]
    kept = np.abs(flat(sgd[0], 0)).max(axis=0) > 1e-9  # the teacher has nothing in spikes
    assert kept.sum() == 16
    assert min(smallest_p_value(drawn[:, kept], flat(each, 0)[:, kept]) for each in sgd) > 1e-4
    np.testing.assert_allclose(sgd[1].blocks.P, teacher_blocks(inputs, np.eye(2)))


@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_runs_go_on_alone_and_in_company(engine):
    """Given P in each block is kept too, by a continued run and by its file."""
    model, W, W_star = weights(tsode.TeacherStudent(**TWO, inputs=SMALL, batch_size=2), 20)
    options = {"N": 20, "engine": engine, "keep_weights": engine == "weights", "seed": 5}
    whole = tsode.simulate(model, (W, W_star), [0.0, 1.0, 2.0], runs=20, **options)
    half = tsode.simulate(model, (W, W_star), [0.0, 1.0], runs=20, **options)
    more = tsode.simulate(model, tsode.Trajectory.from_arrays(half.to_arrays()), [2.0])
    alone = tsode.simulate(model, (W, W_star), [0.0, 1.0, 2.0], runs=1, **options)
    for a, b, c in zip(whole.blocks[:2], more.blocks[:2], alone.blocks[:2]):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[:1], c)
    np.testing.assert_array_equal(more.blocks.P, whole.blocks.P)


def test_loss_under_other_inputs_is_that_of_the_weights_there():
    model, W, W_star = weights(tsode.TeacherStudent(**TWO, inputs=SMALL, readout_learning_rate=0.1), 20)
    other = tsode.Inputs([0.0, 1.0, 2.0, 3.0, 1.0], [0, 0, 0, 0, 1], [1, 2, 4, 5, 0])
    sgd = tsode.simulate(model, (W, W_star), [0.0, 1.0], N=20, runs=3, engine="weights", keep_weights=True)
    found = sgd.loss_under(other)
    for run, (student, teacher) in enumerate(zip(*sgd.weights)):
        there = tsode.Overlaps.from_weights(student, teacher, other)
        tested = model.replace(inputs=None, teacher_overlap=there.P)
        wanted = tested.excess_loss(there.M, there.Q, sgd.readout[run, 1])
        assert found[run, 1] == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(sgd.loss_under(SMALL), sgd.excess_loss, rtol=1e-12)


@pytest.mark.parametrize("N", [13, 20, 101])
def test_realised_weights_have_the_overlaps(N):
    model, W, W_star = weights(tsode.TeacherStudent(**TWO, inputs=SMALL), N)
    start = tsode.Overlaps.from_weights(W, W_star, SMALL)
    again = tsode.Overlaps.from_weights(*start.realise(N, rng=1), SMALL)
    for a, b in zip(start.blocks, again.blocks):
        np.testing.assert_allclose(a, b, atol=1e-12)
    scaled = W * SMALL.scales(N)
    np.testing.assert_allclose(start.Q, scaled @ scaled.T / N, atol=1e-12)
    np.testing.assert_allclose(start.P, model.teacher_overlap)


def test_a_block_without_variance_is_frozen():
    model = tsode.TeacherStudent(2, 1, 0.2, inputs=tsode.Inputs([1.0, 0.0], [1, 1]))
    start = tsode.Overlaps.random(model, 100, rng=0)
    for found in (tsode.integrate(model, start, 2.0), tsode.simulate(model, start, 2.0, N=100)):
        Q = found.blocks.Q[..., 1, :, :]
        np.testing.assert_allclose(Q, np.broadcast_to(start.blocks.Q[1], Q.shape), atol=1e-12)
        assert np.abs(found.Q[..., -1, :, :] - start.Q).max() > 0.01


def test_sizes_are_whole_and_as_close_as_can_be():
    inputs = tsode.Inputs([1, 2, 3, 4], [0.5, 0.2, 0.3, 0], [0, 0, 0, 3])
    for N in (13, 50, 1234, 10**9 + 7):
        sizes = inputs.sizes(N)
        assert sizes.sum() == N
        assert sizes[3] == 3
        assert np.abs(sizes[:3] - (N - 3) * np.array([0.5, 0.2, 0.3])).max() < 1
    assert tsode.Inputs([1, 1, 1], [1, 1, 1]).sizes(5).tolist() == [2, 2, 1]


def test_spectra():
    law = tsode.Inputs.power_law(1.5, 4)
    np.testing.assert_allclose(law.eigenvalues / law.eigenvalues[0], np.arange(1.0, 5) ** -1.5)
    assert law.fractions @ law.eigenvalues == pytest.approx(1.0)
    X = np.random.default_rng(0).standard_normal((30, 50)) + 7.0
    data = tsode.Inputs.from_data(X, 3)
    values = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    np.testing.assert_allclose(data.eigenvalues, [part.mean() for part in np.split(values, [17, 34])], atol=1e-12)
    assert data.sizes(50).tolist() == [17, 17, 16]


def test_models_keep_their_inputs(tmp_path):
    model = tsode.TeacherStudent(2, 1, 0.1, inputs=BULK)
    same = (pickle.loads(pickle.dumps(model)), tsode.TeacherStudent.from_dict(json.loads(json.dumps(model.to_dict()))))
    for again in same:
        assert again == model
        assert hash(again) == hash(model)
    assert model != model.replace(inputs=None) == tsode.TeacherStudent(2, 1, 0.1)
    assert "inputs" not in tsode.TeacherStudent(2, 1, 0.1).to_dict()
    assert repr(BULK) in repr(model)
    ode = tsode.integrate(*spiked_start(model), 1.0)
    loaded = tsode.Trajectory.load(ode.save(tmp_path / "run"))
    for a, b in zip(ode.blocks, loaded.blocks):
        np.testing.assert_array_equal(a, b)
    assert loaded.overlaps(3).inputs == BULK
    assert ode.to_xarray()["M_blocks"].dims == ("alpha", "block", "student", "teacher")


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"constraint": "spherical"},
        {"activation": "erf", "readout_learning_rate": 0.2, "weight_decay": 0.2, "learning_rate": [(0, 0.5), (1, 0.2)]},
        {"learning_rate": 3.0},  # diverges
    ],
)
def test_compiled_ode_beside_that_of_arrays(changes):
    """One solution, many in lockstep from starts and at rates of their own, and SciPy's method agree to 1e-7."""
    model = tsode.TeacherStudent(**{"p": 3, "p_star": 2, "learning_rate": 0.2, "noise_variance": 0.1, **changes})
    models = [model.replace(inputs=BULK), model.replace(inputs=BULK, noise_variance=0.3)]
    models.append(model.replace(inputs=tsode.Inputs([2, 0.5], [1, 2])))
    starts = [tsode.Overlaps.random(each, 500, rng=i) for i, each in enumerate(models)]
    alpha, options = [0.0, 0.3, 1.0, 2.0], {"rtol": 1e-10, "atol": 1e-12}
    for each, start, found in zip(models, starts, tsode.integrate_many(models, starts, alpha, **options)):
        alone = tsode.integrate(each, start, alpha, **options)
        other = tsode.integrate(each, start, alpha, "LSODA", **options)
        assert found.status == alone.status == other.status == ("diverged" if model.largest_rate == 3 else "completed")
        for a, b, c in zip((found, alone), (alone, other), (1e-9, 1e-7)):
            np.testing.assert_allclose(a.stopped_at, b.stopped_at, rtol=1e-6)
            for x, y in zip((a.scalars, *a.blocks), (b.scalars, *b.blocks)):
                np.testing.assert_allclose(x, y, atol=c)

"""Rules that the user writes, beside shipped ones, their losses, and weights moved sample by sample."""

import itertools
import math

import numpy as np
import pytest
from scheme_models import ETA, ETA_V, GRAM, PULLED, SCHEMES, squares
from scipy.special import erf, expit
from scipy.stats import ks_2samp

import tsode
from tsode.activations import Polynomial
from tsode.rules import cubature

PAIR = tsode.TeacherStudent(
    2, 2, ETA, 0.25, student_readout=[0.6, 0.3], readout_learning_rate=ETA_V, teacher_overlap=[[1.0, 0.3], [0.3, 0.8]]
)
START = tsode.Overlaps.random(PAIR, N=100, rng=0)
HALVES = tsode.Inputs([1.5, 0.5], [1, 1])
SQUARES = SCHEMES["squares"][0]


def stays_python(rule):
    """The same rule by way of an array of numbers, which no stand-in can be written into."""

    def slow(z, xi, a):
        found = rule(z, xi, a)
        return {
            name: np.add(np.zeros(np.shape(value)), value, out=np.zeros(np.shape(value)))
            for name, value in found.items()
        }

    return slow


@pytest.mark.parametrize("n", range(7))
def test_cubature_is_exact_to_degree_seven(n):
    x, weights = cubature.nodes(n)
    for exponents in itertools.product(range(8), repeat=n):
        if sum(exponents) <= cubature.DEGREE:
            moments = [0 if e % 2 else math.prod(range(1, e, 2)) for e in exponents]
            found = weights @ np.prod(x ** np.array(exponents, dtype=float)[:, None], axis=0)
            assert found == pytest.approx(math.prod(moments), abs=1e-12)


class TestPair:
    """The square with label noise and a trained readout, once shipped and once as five lines."""

    def test_ode(self):
        wanted, found = (tsode.integrate(model, START, 20.0) for model in (PAIR, SQUARES))
        np.testing.assert_allclose(found.Q, wanted.Q, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.scalar("v"), wanted.readout, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.loss["loss"], wanted.loss, rtol=0, atol=1e-8)
        np.testing.assert_array_equal(found.overlap("teacher", "student"), np.swapaxes(found.M, 1, 2))

    @pytest.mark.parametrize("engine", ["chain", "weights"])
    @pytest.mark.parametrize("inputs", [None, HALVES], ids=["isotropic", "blocks"])
    @pytest.mark.parametrize("python", [False, True], ids=["compiled", "python"])
    def test_engines(self, engine, inputs, python):
        scheme = SQUARES.replace(inputs=inputs, rule=stays_python(squares) if python else squares)
        start = scheme.random(60, rng=1, P=PAIR.teacher_overlap)
        models = PAIR.replace(inputs=inputs), scheme
        wanted, found = (tsode.simulate(each, start, [0.0, 2.0], N=60, runs=4, engine=engine) for each in models)
        np.testing.assert_allclose(found.Q, wanted.Q, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.scalars, wanted.scalars, rtol=0, atol=1e-12)
        assert ("not compiled" in found.engine) == python

    @pytest.mark.slow
    def test_ode_in_blocks(self):
        scheme, pair = SQUARES.replace(inputs=HALVES), PAIR.replace(inputs=HALVES)
        start = scheme.random(60, rng=1, P=PAIR.teacher_overlap)
        wanted, found = (tsode.integrate(each, start, 5.0) for each in (pair, scheme))
        np.testing.assert_allclose(found.blocks.Q, wanted.blocks.Q, rtol=0, atol=1e-8)
        other = tsode.Inputs([0.5, 1.5], [1, 1])
        np.testing.assert_allclose(found.loss_under(other)["loss"], wanted.loss_under(other) + 0.125, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", SCHEMES)
class TestRules:
    def test_is_descent_on_its_loss(self, name):
        scheme, rates = SCHEMES[name]
        rng, loss, h = np.random.default_rng(3), scheme.outputs["loss"], 1e-6
        z = {row: rng.standard_normal((1, count)) for row, count in scheme.rows.items()}
        a = {scalar: rng.standard_normal((1, *value.shape)) for scalar, value in scheme.scalars.items()}
        xi = rng.standard_normal((1, scheme.noises))
        found = scheme.rule(z, xi, a)
        for key, rate in rates.items():
            given = z if key in z else a
            for i in range(given[key].size):
                sides = [given[key].copy(), given[key].copy()]
                sides[0].flat[i] += h
                sides[1].flat[i] -= h
                up, down = (
                    loss(*({**each, key: side} if each is given else each for each in (z, xi, a)))[0] for side in sides
                )
                assert np.ravel(found[key])[i] == pytest.approx(-rate * (up - down) / (2 * h), abs=1e-7)

    def test_is_compiled_and_its_averages_follow_the_tolerance(self, name):
        scheme = SCHEMES[name][0]
        start = scheme.random(20, rng=0)
        assert "compiled" in repr(scheme)
        assert "not compiled" not in repr(scheme)
        assert scheme.accuracy(start) < (1e-12 if name in ("squares", "features") else 2e-6)

    def test_averages_are_those_of_fresh_samples(self, name):
        scheme = SCHEMES[name][0]
        start = scheme.random(20, rng=0)
        pair, p = scheme.pair(start), len(start.Q)
        averages, parameters = pair.rule.averages(pair), pair.rule.average_parameters(pair)
        F, K = averages.moments(start.joint, parameters, p, True)
        rng, count = np.random.default_rng(1), 200_000
        z = rng.multivariate_normal(np.zeros(len(start.joint)), start.joint, count)
        rows = {"student": z[:, :p], "teacher": z[:, p:]}
        a = {key: value[None] for key, value in scheme.scalars.items()}
        xi = rng.standard_normal((count, scheme.noises))
        C = scheme.rule(rows, xi, a)["student"]
        loss = scheme.outputs["loss"](rows, xi, a)
        ode = tsode.integrate(scheme, start, [0.0])
        values = np.einsum("nk,nj->njk", C, np.hstack([z, C])).reshape(count, -1)
        wanted = np.vstack([F.T, K]).ravel()
        for sample, mean in [*zip(values.T, wanted), (loss, ode.loss["loss"][0])]:
            assert abs(sample.mean() - mean) < 5 * sample.std() / np.sqrt(count)


def by_hand(scheme, Omega, N, runs, samples, inputs=None):
    """All rows of many runs, moved sample by sample as the definition says."""
    rng, count = np.random.default_rng(5), len(Omega)
    W = (
        np.linalg.cholesky(Omega)
        @ np.swapaxes(np.linalg.qr(rng.standard_normal((runs, N, count)))[0], 1, 2)
        * np.sqrt(N)
    )
    place = dict(zip(scheme.rows, np.split(np.arange(count), np.cumsum(list(scheme.rows.values()))[:-1])))
    moving = np.concatenate([place[name] for name in scheme.moving])
    a = {name: np.repeat(value[None], runs, axis=0) for name, value in scheme.scalars.items()}
    for _ in range(samples):
        x = rng.standard_normal((runs, N))
        z = np.einsum("rin,rn->ri", W, x) / np.sqrt(N)
        change = scheme.rule(
            {name: z[:, at] for name, at in place.items()}, rng.standard_normal((runs, scheme.noises)), a
        )
        gram = W @ np.swapaxes(W, 1, 2) / N
        B = np.array([scheme.pull(gram[r], {name: value[r] for name, value in a.items()}) for r in range(runs)])
        C = np.hstack([change[name] for name in scheme.moving])
        W[:, moving] += B @ W[:, moving] / N + C[:, :, None] * x[:, None] / np.sqrt(N)
        a = {name: value + change.get(name, 0.0) / N for name, value in a.items()}
    return W @ np.swapaxes(W, 1, 2) / N, a


class TestPull:
    """Rows in any order, a pull and a scalar: PULLED."""

    @pytest.mark.slow
    def test_engines_have_the_law_of_the_definition(self):
        # N = 12, where a term of order 1/N would show; of 18 tests one fails at this level in 550 seeds
        gram, a = by_hand(PULLED, GRAM, 12, 400, 24)
        start, found = PULLED.start(GRAM), []
        for engine in ("chain", "weights"):
            sgd = tsode.simulate(PULLED, start, [0.0, 2.0], N=12, runs=400, seed=2, engine=engine)
            parts = (
                sgd.overlap("moves", "moves")[:, -1],
                sgd.overlap("moves", "truth")[:, -1],
                sgd.overlap("moves", "rest")[:, -1],
            )
            found.append([*np.concatenate(parts, axis=2).reshape(400, 8).T, sgd.scalar("gain")[:, -1]])
        wanted = [*gram[:, 1:3][:, :, [1, 2, 0, 3]].reshape(400, 8).T, a["gain"]]
        for one, two, three in zip(wanted, *found):
            assert min(ks_2samp(one, two).pvalue, ks_2samp(two, three).pvalue) > 1e-4

    def test_that_stays_python_does_the_same(self):
        slow = PULLED.replace(pull=lambda Omega, a: np.add(PULLED.pull(Omega, a), 0.0, out=np.zeros((2, 2))))
        for engine in ("chain", "weights"):
            runs = [
                tsode.simulate(each, PULLED.start(GRAM), [0.0, 2.0], N=12, runs=2, engine=engine)
                for each in (PULLED, slow)
            ]
            np.testing.assert_allclose(runs[0].Q, runs[1].Q, rtol=0, atol=1e-12)
        assert "not compiled" in runs[1].engine

    def test_ode_is_the_limit(self):
        dimensions, ode = [100, 400, 1600], tsode.integrate(PULLED, PULLED.start(GRAM), [0.0, 4.0])
        errors = []
        for N in dimensions:
            sgd = tsode.simulate(PULLED, PULLED.start(GRAM), [0.0, 4.0], N=N, runs=64, seed=3)
            errors.append(np.sqrt(np.mean((sgd.Q[:, -1] - ode.Q[-1]) ** 2) + np.mean((sgd.M[:, -1] - ode.M[-1]) ** 2)))
        assert np.polyfit(np.log(dimensions), np.log(errors), 1)[0] == pytest.approx(-0.5, abs=0.12)

    def test_in_blocks(self):
        scheme = PULLED.replace(inputs=HALVES)
        start = scheme.start([GRAM / 2, GRAM[::-1, ::-1] / 2])
        ode = tsode.integrate(scheme, start, [0.0, 2.0])
        for engine in ("chain", "weights"):
            sgd = tsode.simulate(scheme, start, [0.0, 2.0], N=400, runs=24, seed=1, engine=engine)
            off = (
                (sgd.blocks.Q[:, -1].mean(axis=0) - ode.blocks.Q[-1])
                / sgd.blocks.Q[:, -1].std(axis=0, ddof=1)
                * np.sqrt(24)
            )
            assert np.abs(off).max() < 4.5

    def test_rows_that_stand_still_keep_every_bit(self):
        W, W_star = (np.random.default_rng(seed).standard_normal((2, 40)) for seed in (0, 1))
        sgd = tsode.simulate(PULLED, (W, W_star), [0.0, 1.0, 2.0], N=40, engine="weights", keep_weights=True)
        np.testing.assert_array_equal(sgd.weights[1][0], W_star)
        assert np.ptp(sgd.overlap("truth", "rest"), axis=1).max() == 0
        assert np.ptp(tsode.integrate(PULLED, PULLED.start(GRAM), 2.0).overlap("rest", "rest"), axis=0).max() == 0


TRACED = {
    "products of matrices": lambda u, v: (
        np.array([[1.0, -2.0], [0.5, 0.0]]) @ u[0] + (u @ v.T).sum() + v @ np.ones((2, 2))
    ),
    "largest": lambda u, v: u - u.max(axis=1, keepdims=True) + np.max(v) - np.minimum(u, v).min(),
    "pieces put together": lambda u, v: np.stack([u[:, 1], np.concatenate([u, v], axis=1)[:, 2]], axis=-1),
    "written into": lambda u, v: written_into(np.zeros_like(u), u, v),
    "choices": lambda u, v: np.where((u > 0) & ~(v > u) | (u == 0), np.clip(u, -0.5, v), np.sign(v) * np.abs(u)),
    "functions": lambda u, v: (
        np.tanh(u) + np.exp(-(v**2)) + np.log(1 + u**2) + expit(v) + erf(u) + np.sqrt(np.square(v))
    ),
    "powers": lambda u, v: u**3 / (1 + v**2) ** 0.5 + 2.0 * np.mean(u) - np.cumsum(v, axis=1),
    "numbers": lambda u, v: np.broadcast_to(np.arange(2.0), (len(u), 2)),
}


def written_into(c, u, v):
    c[:, 0] = u[:, 1] * 2
    c += v
    return c


@pytest.mark.parametrize("names", [[name] for name in TRACED] + [list(TRACED)], ids=[*TRACED, "all, compiled"])
def test_what_is_noted_is_what_the_function_does(names):
    def rule(z, xi, a):
        rows = [(z["u"][i : i + 1], z["v"][i : i + 1]) for i in range(len(z["u"]))]
        return {"u": np.concatenate([sum(TRACED[name](*each) for name in names) for each in rows])}

    scheme = tsode.Scheme({"u": 2, "v": 2}, rule)
    assert "not compiled" not in repr(scheme)
    pair, z, found = (
        scheme.pair(scheme.start(np.eye(4))),
        np.random.default_rng(0).standard_normal((4, 50)),
        np.empty((2, 50)),
    )
    pair.rule.step(pair)(z[:2], z[2:], *[np.empty((0, 50))] * 4, found, np.empty((0, 50)))
    np.testing.assert_allclose(found.T, rule({"u": z[:2].T, "v": z[2:].T}, None, None)["u"], rtol=1e-12, atol=1e-13)
    if len(names) > 1:
        slow = scheme.replace(rule=stays_python(rule))
        runs = [
            tsode.simulate(each, scheme.start(np.eye(4) / 10), [0.0, 1.0], N=6, runs=2).Q for each in (slow, scheme)
        ]
        np.testing.assert_allclose(*runs, rtol=1e-10, atol=1e-11)


def test_many_schemes_go_together():
    schemes = [PULLED, PULLED.replace(pull=lambda Omega, a: -np.eye(2))]
    starts = [PULLED.start(GRAM), PULLED.start(GRAM)]
    for one, each, start in zip(tsode.integrate_many(schemes, starts, 1.0), schemes, starts):
        np.testing.assert_array_equal(one.Q, tsode.integrate(each, start, 1.0).Q)
    for one, each, start in zip(tsode.simulate_many(schemes, starts, 1.0, N=9), schemes, starts):
        again = tsode.simulate(each, start, 1.0, N=9, seed=np.random.SeedSequence(one.seed))
        np.testing.assert_array_equal(one.Q, again.Q)


def test_all_rows_may_move_and_a_run_goes_on():
    scheme = tsode.Scheme({"one": 2}, lambda z, xi, a: {"one": -0.1 * z["one"] ** 3})
    ode = tsode.integrate(scheme, scheme.start(np.eye(2)), [0.0, 1.0])
    assert ode.overlap("one", "one")[-1, 0, 0] == pytest.approx(ode.Q[-1, 1, 1])
    first = tsode.simulate(scheme, None, [0.0, 1.0], N=50, runs=2)
    whole = tsode.simulate(scheme, None, [0.0, 1.0, 2.0], N=50, runs=2)
    np.testing.assert_array_equal(tsode.simulate(scheme, first, [2.0]).Q, whole.Q)


def test_half_range_axes_at_two_jumps():
    """A perceptron of two linear outputs: the error of the shipped rule's points is 1e-3."""
    linear, v = Polynomial([0.0, 1.0]), np.array([1.0, 0.5])
    pair = tsode.TeacherStudent(
        2, 2, 0.5, activation=linear, teacher_activation=linear, rule="perceptron", student_readout=v
    )
    start = tsode.Overlaps.random(pair, 20, rng=3)

    def rule(z, xi, a):
        label, output = np.sign(z["teacher"].mean(axis=1)), z["student"] @ v
        return {"student": 0.5 * np.where(label * output < 0, label, 0.0)[:, None] * v}

    scheme = tsode.Scheme({"student": 2, "teacher": 2}, rule)
    assert scheme.accuracy(start) < 1e-10
    found, wanted = (tsode.integrate(each, start, 3.0, rtol=1e-5).Q[-1] for each in (scheme, pair))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-3)


def test_where_a_rule_jumps_and_bends():
    """Averages of what is cut, stepped and multiplied, of sums of rows and of noise, beside many fresh samples."""

    def rule(z, xi, a):
        u, v = z["u"] @ np.array([0.5, -2.0]) + 0.3, z["v"][:, 0] - z["v"][:, 1] + xi[:, 0]
        cut = np.clip(u, -1.0, 0.5) * np.sign(v)
        return {"u": np.where(cut < 0, cut, np.maximum(v, a["b"]))[:, None] * np.ones(2)}

    scheme = tsode.Scheme({"u": 2, "v": 2}, rule, noises=1, scalars={"b": 0.25})
    start = scheme.random(20, 0, 0.7)
    assert scheme.accuracy(start) < 1e-10
    pair, rng, count = scheme.pair(start), np.random.default_rng(0), 1_000_000
    F, K = pair.rule.averages(pair).moments(start.joint, pair.rule.average_parameters(pair), 2, True)
    z = rng.multivariate_normal(np.zeros(4), start.joint, count)
    c = rule({"u": z[:, :2], "v": z[:, 2:]}, rng.standard_normal((count, 1)), {"b": np.array([0.25])})["u"][:, 0]
    for mean, sample in zip([*F[0], K[0, 0]], [*(c[:, None] * z).T, c * c]):
        assert abs(sample.mean() - mean) < 5 * sample.std() / np.sqrt(count)


def test_files_keep_names_losses_and_no_function(tmp_path):
    for made in (tsode.integrate(SQUARES, START, 1.0), tsode.simulate(SQUARES, START, 1.0, N=20, runs=2)):
        read = tsode.Trajectory.load(made.save(tmp_path / "run"))
        again = tsode.Trajectory.load(read.save(tmp_path / "again"))
        for one in (read, again):
            np.testing.assert_array_equal(one.loss["loss"], made.loss["loss"])
            np.testing.assert_array_equal(one.overlap("teacher", "student"), made.overlap("teacher", "student"))
            np.testing.assert_array_equal(one.scalar("v"), made.scalar("v"))
        assert read.model == made.model
        with pytest.raises(ValueError, match=r"^`rule` must be given again"):
            read.model.rule.step(read.model)
        for part in ("rows", "moving", "scalars", "outputs"):
            with pytest.raises(TypeError, match=f"`{part}` must be a"):
                tsode.rules.stored_rule({**made.model.rule.to_dict(), part: 3})


def test_labelled_data():
    pytest.importorskip("xarray")
    data = tsode.simulate(SCHEMES["features"][0], None, [0.0, 1.0], N=20, runs=2).to_xarray()
    assert data["K"].shape == (2, 2, 2, 3)
    assert data["loss loss"].dims == ("run", "alpha")


def test_an_error_of_a_rule_that_stays_python_comes_through():
    def rule(z, xi, a):
        if np.abs(np.array(z["one"])).max() > 2.5:  # further out than what it is tried on
            raise RuntimeError("mine")
        return {"one": 0.0 * z["one"]}

    scheme = tsode.Scheme({"one": 1}, rule)
    for engine in ("chain", "weights"):
        with pytest.raises(RuntimeError, match="mine"):
            tsode.simulate(scheme, None, 100.0, N=10, runs=2, engine=engine)

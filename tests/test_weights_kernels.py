"""The weights engine replayed sample by sample: streams, tiles, given rows with noise, the limit."""

import numpy as np
import pytest
from models import GENERAL, PLAIN, generic_start
from reference import sgd as plain_sgd
from streams import Generator
from twins import python_twin

import tsode
from tsode.sgd import weights, weights_kernels
from tsode.sgd.random_numbers import LAWS

NARROW = 32  # a width of tiles that makes many of them at a small N


def sequence_of(*children, seed=7):
    return np.random.SeedSequence(seed, spawn_key=(0, *children))


def run_of(model, N, inputs="gaussian", start="generic", limit=1e8):
    start = generic_start(model) if isinstance(start, str) else start
    return weights.WeightsRun(model, start, N, sequence_of(), inputs, limit)


def stream(child, rounds):
    """Return the normals of a child of the run's sequence, pair after pair of its 128 generators."""
    words = sequence_of(child).generate_state(512, np.uint64).reshape(4, 128)
    generators = [Generator(column) for column in words.T]
    return np.ravel([np.transpose([g.pair("gaussian") for g in generators]) for _ in range(rounds)])


def weights_of(run):
    """Return the weights, shape (p + p_star, N), and what the tiles hold past N."""
    whole = np.concatenate(list(run.W), axis=1)
    return whole[:, : run.N].copy(), whole[:, run.N :]


# --- samples, from the very inputs and noise that were drawn


@pytest.mark.parametrize("N", [40, 64, 70])
def test_inputs_and_noise_are_the_streams(N, monkeypatch):
    """Block by block and tile by tile: sample n is row n mod 8; what falls past N is zero; noise n is number n."""
    monkeypatch.setattr(weights, "TILE", NARROW)
    model = tsode.TeacherStudent(**GENERAL)
    run, tiles = run_of(model, N), -(-N // NARROW)
    assert run.tile == NARROW
    W, _ = weights_of(run)
    numbers = stream(0, tiles * 3).reshape(3, tiles, 8, NARROW)
    X = np.concatenate(list(np.moveaxis(numbers, 1, 0)), axis=2)[:, :, :N].reshape(24, N)
    noise = stream(1, 1)
    for before, stop in ((0, 3), (3, 11), (11, 16), (16, 21)):
        assert run.advance(stop)
        assert run.step == stop
        wanted = plain_sgd(model, W[:3], W[3:], X[before:stop], np.sqrt(0.1) * noise[before:stop])[-1]
        W, past = weights_of(run)
        np.testing.assert_allclose(W[:3], wanted, rtol=1e-10, atol=1e-12)
        assert not past.any()
    np.testing.assert_allclose(run.noise[:, 0], noise, rtol=1e-12, atol=1e-14)  # 256 numbers serve 256 samples


def test_no_noise_is_drawn_where_there_is_none():
    model = tsode.TeacherStudent(**PLAIN)
    for inputs in ("gaussian", iter(np.ones((9, 20)))):
        run = run_of(model, 20, inputs)
        run.advance(9)
        np.testing.assert_array_equal(run.noise_state.ravel(), sequence_of(1).generate_state(512, np.uint64))


@pytest.mark.parametrize("law", LAWS)
def test_engine_is_sgd_on_its_own_numbers(model, law):
    """Beyond the 256 numbers of noise that are drawn at a time, in pieces of any length."""
    model = model.replace(learning_rate=0.1, noise_variance=0.1)
    N, p = 20, model.p
    run = weights.WeightsRun(model, generic_start(model), N, np.random.SeedSequence(1), law, 1e8)
    W = weights_of(run)[0]
    W, W_star, seen = W[:p].copy(), W[p:].copy(), []
    for stop in (*range(1, 20), 23, 24, 31, *range(250, 266)):
        while run.step < stop:
            assert run.advance(min(stop, run.step + run.block - run.step % run.block))
            done = run.step
            first = (done - 1) // run.block * run.block  # the block that was worked on
            start = max(first, len(seen))
            rows = [np.concatenate(list(run.X[:, n % run.block]))[:N] for n in range(start, done)]
            noise = [np.sqrt(0.1) * run.noise[n % len(run.noise), 0] for n in range(start, done)]
            W = plain_sgd(model, W, W_star, rows, noise)[-1]
            seen += rows
        np.testing.assert_allclose(weights_of(run)[0][:p], W, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(weights_of(run)[0][p:], W_star)
    seen = np.array(seen)
    assert len(np.unique(seen[:, 0])) == (2 if law == "rademacher" else len(seen))
    assert abs(seen.mean()) < 4.5 / np.sqrt(seen.size)
    assert abs(np.square(seen).mean() - 1) < 4.5 * np.sqrt(2 / seen.size)
    assert not np.concatenate(list(run.X.swapaxes(0, 1)), axis=0)[..., N:].any()


@pytest.mark.parametrize("cache", [0, 10**9], ids=["blocks of 32", "blocks of 8"])
@pytest.mark.parametrize("constraint", ["free", "spherical"])
@pytest.mark.parametrize(("p", "p_star", "N"), [(1, 1, 2), (3, 1, 67), (5, 4, 10), (17, 3, 131), (33, 20, 54)])
def test_any_width_learns_rows_with_noise(p, p_star, N, constraint, cache, monkeypatch):
    """N from just above p + p_star, through panels that are not full."""
    monkeypatch.setattr(weights, "PANEL", 64)
    monkeypatch.setattr(weights, "CACHE", cache)
    model = tsode.TeacherStudent(p, p_star, 0.05, noise_variance=0.1, constraint=constraint)
    rows, noise = np.random.default_rng(p).standard_normal((45, N)), np.sqrt(0.1) * stream(1, 1)
    run = run_of(model, N, iter(rows))
    assert run.block == (8 if cache else 32)
    W, _ = weights_of(run)
    wanted = plain_sgd(model, W[:p], W[p:], rows, noise)
    for stop in (1, 7, 40, 45):
        while run.step < stop:
            assert run.advance(stop)
        np.testing.assert_allclose(weights_of(run)[0][:p], wanted[stop], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("law", LAWS)
def test_blocks_and_panels_do_not_change_the_numbers(law, monkeypatch):
    """Weights of one seed agree to rounding; the inputs do bit by bit."""
    model, N, found = tsode.TeacherStudent(**GENERAL), 1100, []
    for cache, panel in ((10**9, 256), (0, 128)):
        monkeypatch.setattr(weights, "CACHE", cache)
        monkeypatch.setattr(weights, "PANEL", panel)
        run = run_of(model, N, law)
        assert run.advance(77)
        found.append((weights_of(run)[0], np.concatenate(list(run.X), axis=1)[:, :N]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(found[0][1], found[1][1][8:16])  # samples 72 to 79


@pytest.mark.slow
@pytest.mark.parametrize("cache", [0, 10**9], ids=["blocks of 32", "blocks of 8"])
def test_single_precision_rounds_the_same_run(model, cache, monkeypatch):
    """The inputs are those of double precision, rounded; weights differ by some roundings of 6e-8 a block."""
    monkeypatch.setattr(weights, "CACHE", cache)
    N, runs = 300, []
    for precision in ("double", "single"):
        run = weights.WeightsRun(model, generic_start(model), N, sequence_of(), "gaussian", 1e8, precision)
        assert run.advance(200)
        assert run.overlaps()[1].dtype == np.float64
        runs.append(run)
    double, single = runs
    np.testing.assert_array_equal(single.X, double.X.astype(np.float32))
    assert single.W.dtype == np.float32
    np.testing.assert_allclose(single.W, double.W, rtol=0, atol=1e-5)
    assert not np.array_equal(single.W, double.W)


def test_kernels_agree_with_their_python_twins(model, monkeypatch):
    """Samples of three blocks, compiled, and in Python all the way down to the rule."""
    results = []
    for python in (False, True):
        run = weights.WeightsRun(model, generic_start(model), 90, np.random.SeedSequence(1), "gaussian", 1e8)
        if python:
            for name in ("draw", "add_products", "learn", "sample_kernel", "block_kernel", "advance_kernel"):
                monkeypatch.setattr(weights_kernels, name, python_twin(getattr(weights_kernels, name)))
            monkeypatch.setattr(weights, "advance_kernel", weights_kernels.advance_kernel)
            monkeypatch.setattr(run.rule, "pointer", run.rule.plain)
        assert run.advance(21)
        results.append(run.W)
    np.testing.assert_allclose(*results, rtol=1e-10, atol=1e-12)


# --- tiles and starts


@pytest.mark.parametrize(
    ("N", "tile", "panels", "width"),
    [(32, 32, 1, 64), (33, 64, 1, 64), (257, 288, 2, 192), (1024, 1024, 4, 256), (1025, 544, 5, 256),
     (2049, 704, 9, 256), (10**4, 1024, 40, 256)],
)  # fmt: skip
def test_tiles_and_panels_are_as_equal_as_32_and_64_columns_allow(N, tile, panels, width):
    """Tiles of 32 are what is drawn at a time, panels of 64 what weights and inputs are kept in."""
    run = run_of(tsode.TeacherStudent(2, 1, 0.1), N)
    assert run.tile == tile
    assert run.W.shape == (panels, 3, width)
    assert run.X.shape == (panels, 8, width)


@pytest.mark.parametrize("N", [20, 1100, 5000])
def test_tiles_hold_the_start(model, N):
    start = generic_start(model)
    run = run_of(model, N)
    M, Q = run.overlaps()
    np.testing.assert_allclose(M[0], start.M, atol=1e-12)
    np.testing.assert_allclose(Q[0], start.Q, atol=1e-12)
    assert not weights_of(run)[1].any()


@pytest.mark.parametrize("constraint", ["free", "spherical"])
def test_start_none_is_normal_weights_and_the_model_s_teacher(constraint, monkeypatch):
    """Student rows are the normals of child 2, tile by tile, on the sphere scaled; the teacher's Gram matrix is P."""
    monkeypatch.setattr(weights, "TILE", NARROW)
    model = tsode.TeacherStudent(**GENERAL, constraint=constraint)
    N, rng = 70, np.random.default_rng(sequence_of(2))
    drawn = np.concatenate([rng.standard_normal((5, columns)) for columns in (32, 32, 6)], axis=1)[:3]
    if constraint == "spherical":
        drawn *= np.sqrt(N) / np.linalg.norm(drawn, axis=1, keepdims=True)
    W, past = weights_of(run_of(model, N, start=None))
    np.testing.assert_allclose(W[:3], drawn, rtol=1e-14, atol=0)
    np.testing.assert_allclose(W[3:] @ W[3:].T / N, model.teacher_overlap, rtol=0, atol=1e-14)
    assert not past.any()


def test_given_weights_are_copied_into_the_tiles(monkeypatch):
    monkeypatch.setattr(weights, "TILE", NARROW)
    model, N = tsode.TeacherStudent(**PLAIN), 70
    given = generic_start(model).realise(N, 0)
    kept = [array.copy() for array in given]
    run = run_of(model, N, start=given)
    W, past = weights_of(run)
    np.testing.assert_array_equal(W, np.vstack(given))
    assert not past.any()
    run.advance(9)
    for array, before in zip(given, kept):
        np.testing.assert_array_equal(array, before)
    M, Q = run.overlaps()
    W = weights_of(run)[0]
    np.testing.assert_allclose(M, [W[:4] @ W[4:].T / N], rtol=0, atol=1e-14)
    np.testing.assert_allclose(Q, [W[:4] @ W[:4].T / N], rtol=0, atol=1e-14)
    np.testing.assert_array_equal(Q, Q.swapaxes(1, 2))


# --- given rows


@pytest.mark.parametrize("stops", [[21], [3, 4, 9, 21], [8, 16, 21]])
def test_rows_meet_their_own_noise_wherever_a_record_cuts(stops, monkeypatch):
    """Row n has number n of the noise, beyond the 256 that are drawn at a time, through tiles and ragged blocks."""
    monkeypatch.setattr(weights, "TILE", NARROW)
    model = tsode.TeacherStudent(**GENERAL).replace(learning_rate=0.05)
    N, rng = 40, np.random.default_rng(3)
    rows = rng.standard_normal((280, N))
    noise = np.sqrt(0.1) * stream(1, 2)
    given, used = iter(rows), 0
    run = run_of(model, N, given)
    W, _ = weights_of(run)
    for stop in [*stops, 250, 259, 270]:
        while run.step < stop:
            assert run.advance(stop)
        wanted = plain_sgd(model, W[:3], W[3:], rows[used:stop], noise[used:stop])[-1]
        W, used = weights_of(run)[0], stop
        np.testing.assert_allclose(W[:3], wanted, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(next(given), rows[270])  # nothing is read ahead


@pytest.mark.parametrize("rows", [0, 3, 8, 11])
def test_rows_that_run_out_are_all_learned(rows):
    """Also a last block that is not full; the run says that it is exhausted, and where."""
    model, N = tsode.TeacherStudent(**PLAIN), 20
    given = np.random.default_rng(1).standard_normal((rows, N))
    run = run_of(model, N, iter(given))
    W, _ = weights_of(run)
    assert not run.exhausted
    assert not run.advance(30)
    assert run.exhausted
    assert (run.step, run.ended.tolist()) == (rows, [rows])
    np.testing.assert_allclose(weights_of(run)[0][:4], plain_sgd(model, W[:4], W[4:], given)[-1], atol=1e-12)


# --- the limit, and how long a call takes


@pytest.mark.parametrize("worst", [0, 5, 8, 13])
def test_row_beyond_the_limit_ends_the_run(worst):
    """The row that passes the limit is not learned; the run has diverged, and is not exhausted."""
    model, N = tsode.TeacherStudent(**PLAIN).replace(learning_rate=0.01), 20
    rows = np.random.default_rng(1).standard_normal((16, N))
    rows[worst] *= 1e4
    run = run_of(model, N, iter(rows), limit=1e4)
    W, _ = weights_of(run)
    assert not run.advance(16)
    assert not run.exhausted
    assert (run.step, run.ended.tolist()) == (worst, [worst])
    np.testing.assert_allclose(weights_of(run)[0][:4], plain_sgd(model, W[:4], W[4:], rows[:worst])[-1], atol=1e-12)


def test_limit_belongs_to_what_diverged():
    """|lambda|^2 = 16 at a limit of 16 ends the run, and at the next number it does not; nan ends it."""
    model = tsode.TeacherStudent(1, 1, 0.01)
    for scale, limit, going in ((1, 16.0, False), (1, np.nextafter(16.0, 17.0), True), (np.nan, 16.0, False)):
        run = run_of(model, 4, iter(np.full((1, 4), 1.0)), (np.full((1, 4), 2.0 * scale), np.ones((1, 4))), limit)
        assert run.advance(1) == going
        assert run.ended.tolist() == [-1 if going else 0]


@pytest.mark.parametrize("rows", [False, True])
def test_one_call_is_bounded(rows, monkeypatch):
    """Components of the inputs are bounded in a call, so that somebody looks at the stop flag; a block at least."""
    model = tsode.TeacherStudent(2, 1, 0.1)
    for bound, wanted in ((250, 12), (100, 8)):
        monkeypatch.setattr(weights, "SAMPLES_A_CALL", bound)
        run = run_of(model, 20, iter(np.ones((30, 20))) if rows else "gaussian")
        for calls in (1, 2):
            assert run.advance(10**9)
            assert run.step == calls * wanted
        assert run.advance(run.step + 3)
        assert run.step == 2 * wanted + 3


def test_run_stops_at_the_sample_beyond_the_limit(model):
    """The sample that would pass the limit on |lambda|^2 is not learned from; what went before stays."""
    N, p = 20, model.p
    free = weights.WeightsRun(model, generic_start(model), N, np.random.SeedSequence(1), "gaussian", 1e99)
    sizes, states = [], []
    for n in range(24):
        W = weights_of(free)[0][:p].copy()
        states.append(W)
        free.advance(n + 1)
        x = np.concatenate(list(free.X[:, n % free.block]))[:N]
        sizes.append(np.square(W @ x / np.sqrt(N)).sum())
    worst = int(np.argmax(sizes))
    limit = (sorted(sizes)[-2] + sizes[worst]) / 2
    run = weights.WeightsRun(model, generic_start(model), N, np.random.SeedSequence(1), "gaussian", limit)
    assert not run.advance(24)
    assert run.step == worst
    assert run.ended[0] == worst
    np.testing.assert_allclose(weights_of(run)[0][:p], states[worst], rtol=1e-12, atol=1e-13)


def test_interrupt_returns_what_was_recorded(monkeypatch):
    model, seen = tsode.TeacherStudent(2, 1, 0.2), []
    whole = tsode.simulate(model, None, np.linspace(0, 5, 6), N=100, seed=1, engine="weights")
    advance = weights.WeightsRun.advance

    def interrupted(run, stop):
        seen.append(stop)
        if stop > 300:
            raise KeyboardInterrupt
        return advance(run, stop)

    monkeypatch.setattr(weights.WeightsRun, "advance", interrupted)
    sgd = tsode.simulate(model, None, np.linspace(0, 5, 6), N=100, seed=1, engine="weights")
    assert sgd.status.tolist() == ["interrupted"]
    np.testing.assert_array_equal(sgd.Q, whole.Q[:, :4])

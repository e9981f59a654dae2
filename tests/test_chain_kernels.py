"""The overlap chain replayed sample by sample with explicit weights, at any rank and up to the limit."""

import itertools
import math

import numpy as np
import pytest
from models import GENERAL, MODELS, PLAIN, generic_start
from streams import chain_of, sequence_of
from twins import python_twin

import tsode
from tsode._lanes import WIDTH
from tsode.activations import SHIPPED
from tsode.sgd import chain, chain_draws, chain_kernel, chain_sweeps, random_numbers

# --- many samples, from the very numbers that were drawn


def learn_plainly(model, N, A, L, T, numbers, rest):
    """Learn one sample (u, g, rho) with one more column, then turn L back to its lower triangular form."""
    p, p_star = A.shape
    x = np.concatenate([numbers[: p_star + p], [np.sqrt(rest)]])
    W = np.hstack([A, L, np.zeros((p, 1))])
    lam, mu = W @ x, T @ x[:p_star]
    noise = np.sqrt(model.noise_variance) * numbers[-1] if model.noise_variance > 0 else 0.0
    D = model.student_readout @ lam**2 - model.teacher_readout @ mu**2 - noise
    W = W - np.outer(2 * model.learning_rate / N * D * model.student_readout * lam, x)
    if model.spherical:
        W = W / np.linalg.norm(W, axis=1, keepdims=True)
    return W[:, :p_star], np.linalg.cholesky(W[:, p_star:] @ W[:, p_star:].T)


def test_chain_is_sgd_on_its_own_numbers(model):
    """More samples than are drawn at a time, in pieces of any length. L is unique: its diagonal is positive."""
    N, stops = 40, [1, 2, 3, 31, 32, 33, 40]
    runs = chain_of(model, N)
    states = [(runs.A[..., i].T.copy(), runs.L[..., i].T.copy()) for i in range(2)]
    for before, stop in zip([0, *stops], stops):
        assert runs.advance(stop)
        assert runs.step == stop
        for i in range(2):
            for n in range(before, stop):
                row = n % chain.BATCH
                states[i] = learn_plainly(model, N, *states[i], runs.T, runs.normals[row, :, i], runs.rest[row, i])
            np.testing.assert_allclose(runs.A[..., i].T, states[i][0], rtol=0, atol=1e-11)
            np.testing.assert_allclose(runs.L[..., i].T, states[i][1], rtol=0, atol=1e-11)
    assert not runs.A[..., 2:].any()  # lanes without a run
    assert (runs.ended == -1).all()


@pytest.mark.parametrize("activation", SHIPPED)
def test_a_run_alone_makes_the_roundings_of_a_run_in_company(activation):
    """To the bit, for every model, down to N = p + p*, where a length is zero and draws are made again and again."""
    for parameters in MODELS.values():
        model = tsode.TeacherStudent(**parameters, activation=activation).replace(learning_rate=0.05)
        for N in (model.p + model.p_star, model.p + model.p_star + 2, 100):
            together = chain_of(model, N, runs=WIDTH)
            together.advance(500)
            for run in (0, 7, 15):
                alone = chain.ChainRuns([model], [generic_start(model)], N, [sequence_of(run)], 1e8)
                alone.advance(500)
                np.testing.assert_array_equal(alone.A[..., 0], together.A[..., run])
                np.testing.assert_array_equal(alone.L[..., 0], together.L[..., run])


@pytest.mark.parametrize("together", [1, 2])
def test_kernels_agree_with_their_python_twins(model, together, monkeypatch):
    """The whole chain compiled against the whole chain in Python, down to the generator."""
    results = []
    for python in (False, True):
        if python:
            for module, names in (
                (random_numbers, ("xoshiro", "minus_two_log", "normal_pair", "normal_lanes", "uniform_lanes")),
                (chain_draws, ("xoshiro", "normal_pair", "normal_lanes", "uniform_lanes", "decide_kernel",
                               "draw_kernel")),
                (chain_kernel, ("draw_kernel", "project", "collect", "finish", "add", "absorb", "normalise", "retire")),
                (chain, ("chain_kernel",)),
            ):  # fmt: skip
                for name in names:
                    monkeypatch.setattr(module, name, python_twin(getattr(module, name)))
        runs = chain_of(model, N=9, start=None, runs=together, seed=4)
        if python:
            monkeypatch.setattr(runs.rule, "pointer", runs.rule.plain)
        with np.errstate(over="ignore"):
            runs.advance(70)
        results.append(runs.overlaps())
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


# --- one sample


def learn(runs, Z, rest):
    """One sample on these numbers, which stand in the place of a second sample; returns lambda."""
    runs.step, runs.normals[1], runs.rest[1] = 1, Z, rest
    runs.advance(2)
    return runs.work[: runs.model.p]


@pytest.mark.parametrize("kind", ["full rank", "columns of zeros", "zero"])
def test_one_sample_at_any_length_of_the_rest_and_any_rank(kind):
    """rho^2 = 0 (all there is at N = p + p*), below, at and far above 1; L of any rank: M, Q of explicit weights."""
    model = tsode.TeacherStudent(**GENERAL).replace(noise_variance=0.0)
    p, p_star = model.p, model.p_star
    runs, rng = chain_of(model, p + p_star, runs=WIDTH), np.random.default_rng(0)
    if kind == "columns of zeros":
        runs.L[0] = 0.0
        runs.L[2, 2] = 0.0
    if kind == "zero":
        runs.L[:] = 0.0
    A, L = runs.A.copy(), runs.L.copy()
    Z = rng.standard_normal((p + p_star + 1, WIDTH))
    rest = np.tile([0.0, 0.0, 1e-12, 0.3, 1.0, 1.7, 50.0, 1e6], 2)
    lam = learn(runs, Z, rest)
    assert (runs.ended == -1).all()
    M, Q = runs.overlaps()
    for i in range(WIDTH):
        W = np.hstack([A[..., i].T, L[..., i].T, np.zeros((p, 1))])
        x = np.append(Z[: p + p_star, i], math.sqrt(rest[i]))
        wanted = W @ x
        D = model.student_readout @ wanted**2 - model.teacher_readout @ (runs.T @ x[:p_star]) ** 2
        W = W - np.outer(2 * model.learning_rate / runs.N * D * model.student_readout * wanted, x)
        np.testing.assert_allclose(lam[:, i], wanted, rtol=0, atol=1e-13)
        np.testing.assert_allclose(M[i], W[:, :p_star] @ runs.T.T, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(Q[i], W @ W.T, rtol=1e-12, atol=1e-13)
        assert not np.tril(runs.L[..., i], -1).any()


def test_absorbed_column_adds_its_square():
    """L L^T grows by column column^T, also past zeros on the diagonal, with or without the column's entry there."""
    rng = np.random.default_rng(1)
    L, column = np.tril(rng.uniform(0.1, 0.9, (WIDTH, 4, 4))), rng.uniform(0.1, 0.9, (WIDTH, 4))
    L[1, 0, 0] = L[2, 1, 1] = L[3, 0, 0] = L[3, 2, 2] = 0.0
    column[2, :2] = column[3, 0] = 0.0  # nothing to rotate with
    column[4] = 0.0
    L[5] = 0.0
    L[6], column[6] = 0.0, 0.0
    wanted = L @ np.swapaxes(L, 1, 2) + column[:, :, None] * column[:, None, :]
    turned = np.ascontiguousarray(L.T)  # columns, as the kernel has them
    chain_sweeps.absorb(turned.reshape(-1, WIDTH), np.ascontiguousarray(column.T))
    turned = turned.T
    np.testing.assert_allclose(turned @ np.swapaxes(turned, 1, 2), wanted, rtol=0, atol=1e-14)
    assert not np.triu(turned, 1).any()
    assert (np.diagonal(turned, axis1=1, axis2=2) >= 0).all()
    np.testing.assert_allclose(turned[[2, 4, 6], 0], L[[2, 4, 6], 0], rtol=1e-15, atol=0)


def test_rows_of_any_length_become_unit_rows_and_zero_stays():
    """Directions are kept, the row of zeros of a lane without a run as well."""
    rng = np.random.default_rng(2)
    A, L = rng.standard_normal((3, 2, WIDTH)), rng.standard_normal((3, 3, WIDTH)) * np.tri(3)[..., None]
    A *= np.logspace(-3, 3, WIDTH)
    L *= np.logspace(-3, 3, WIDTH)
    A[..., 5], L[..., 5] = 0.0, 0.0
    A[..., 6] = 0.0  # orthogonal to the teacher
    L[..., 7] = 0.0  # in the teacher's span
    before = np.concatenate([A, L], axis=1)
    columns = [np.ascontiguousarray(rows.swapaxes(0, 1)) for rows in (A, L)]
    chain_sweeps.normalise(*(rows.reshape(-1, WIDTH) for rows in columns), 3, 2)
    A, L = (rows.swapaxes(0, 1) for rows in columns)
    lengths = np.linalg.norm(before, axis=1, keepdims=True)
    wanted = np.divide(before, lengths, out=np.zeros_like(before), where=lengths > 0)
    np.testing.assert_allclose(np.concatenate([A, L], axis=1), wanted, rtol=1e-14, atol=0)


def test_smallest_dimension_leaves_no_rest():
    """N = p + p*: no degree of freedom is left; N = p + p* + 1: one, which is a squared normal."""
    model = tsode.TeacherStudent(**PLAIN)
    for N in (6, 7):
        runs = chain_of(model, N)
        assert runs.advance(3)
        squares = runs.normals[:, 6] ** 2
        np.testing.assert_array_equal(runs.rest, squares if N == 7 else 0.0)
        assert np.isfinite(runs.overlaps()[1]).all()


# --- ends and groups


def test_limit_belongs_to_what_diverged():
    """|lambda|^2 at the limit counts, just below it does not, and nan counts."""
    model = tsode.TeacherStudent(1, 1, 0.1)
    runs = chain_of(model, 10, runs=4, start=tsode.Overlaps([[0.0]], [[0.0]]), limit=4.0)
    runs.A[0, 0, :4] = 2.0, np.nextafter(2.0, 1.0), np.nan, 3.0
    runs.L[0, 0, :4] = 1.0
    runs.ended[3] = 0
    Z = np.zeros((3, WIDTH))
    Z[0] = 1.0
    A = runs.A.copy()
    np.testing.assert_array_equal(learn(runs, Z, np.ones(WIDTH))[0], A[0, 0])
    assert runs.ended[:4].tolist() == [2, -1, 2, 0]  # a run that has ended before keeps its end
    assert (runs.A[0, 0, :4] != 0).tolist() == [False, True, False, False]
    assert (runs.L[0, 0, :4] != 0).tolist() == [False, True, False, False]


def test_a_run_beyond_the_limit_is_retired_and_others_go_on():
    """The sample at which |lambda|^2 first passes the limit is noted; the run is set to zero and stays there."""
    model = tsode.TeacherStudent(2, 1, 0.2)
    free = chain_of(model, 40, runs=4, limit=1e99)
    sizes = np.zeros((30, 4))
    for n in range(30):
        A, L = free.A.copy(), free.L.copy()
        free.advance(n + 1)
        Z = free.normals[n]
        lam = np.einsum("rkl,rl->kl", A, Z[:1]) + np.einsum("jkl,jl->kl", L, Z[1:3])
        sizes[n] = np.square(lam).sum(axis=0)[:4]
    limit = np.sort(sizes.max(axis=0))[1:3].mean()  # two runs pass it
    runs = chain_of(model, 40, runs=4, limit=limit)
    assert runs.advance(30)
    for i in range(4):
        beyond = np.flatnonzero(sizes[:, i] >= limit)
        assert runs.ended[i] == (beyond[0] + 1 if beyond.size else -1)
        if beyond.size:
            assert not runs.A[..., i].any()
            assert not runs.L[..., i].any()
        else:
            np.testing.assert_array_equal(runs.L[..., i], free.L[..., i])
    assert (runs.ended > 0).sum() == 2
    ended = chain_of(model, 40, runs=2, limit=1e-6)
    assert not ended.advance(30)
    assert (ended.ended[:2] == 1).all()


def test_one_call_is_bounded(monkeypatch):
    """Samples times runs times widths are bounded, so that somebody looks at the stop flag; whole batches at least."""
    model = tsode.TeacherStudent(2, 1, 0.1)  # A has two numbers a lane
    for bound, wanted in ((2000, 62), (1040, 32), (100, 32)):
        monkeypatch.setattr(chain, "STEPS_A_CALL", bound)
        runs = chain_of(model, 20)
        for calls in (1, 2):
            runs.advance(10**9)
            assert runs.step == calls * wanted
        runs.advance(runs.step + 3)
        assert runs.step == 2 * wanted + 3


def test_loose_ends_of_a_run_that_ended():
    """The last run that goes on keeps the group going; afterwards the group says that it is over."""
    model = tsode.TeacherStudent(1, 1, 0.1)
    runs = chain_of(model, 20, runs=2, limit=1e3)
    runs.A[0, 0, 0] = 1e4
    assert runs.advance(1)
    assert runs.ended[:2].tolist() == [1, -1]
    runs.A[0, 0, 1] = 1e4
    assert not runs.advance(2)
    assert runs.ended[:2].tolist() == [1, 2]
    assert not runs.exhausted


def test_runs_go_together_but_for_a_few_that_are_left_over():
    """Every run once and in order, never more than fit; up to three a thread that are left go alone."""
    for threads, runs in itertools.product((1, 2, 8), range(1, 70)):
        found = chain.groups(runs, threads)
        assert [run for group in found for run in group] == list(range(runs))
        full, left = divmod(runs, WIDTH) if runs > 3 * threads else (0, runs)
        assert [len(group) for group in found] == [WIDTH] * full + ([1] * left if left <= 3 * threads else [left])

import numpy as np
import pytest
from models import GENERAL, generic_start
from scipy import stats

import tsode
from tsode._divergence import divergence_limit


def test_realised_weights_have_exactly_these_overlaps(model, start):
    for N in (model.p + model.p_star, 40, 3000):
        W, W_star = start.realise(N, rng=N)
        assert W.shape == (model.p, N)
        assert W_star.shape == (model.p_star, N)
        np.testing.assert_allclose(tsode.Overlaps.from_weights(W, W_star).joint, start.joint, atol=1e-12)


@pytest.mark.parametrize("angle", [1e-2, 1e-4, 1e-6, 1e-7])
def test_overlaps_are_exact_from_nearly_parallel_rows_too(angle):
    """Rows drawn at this angle have a Gram matrix of condition number 1 / angle^2, up to 1e14."""

    class NearlyParallel(np.random.Generator):
        def standard_normal(self, shape):
            rows = super().standard_normal(shape)
            return rows[0] + angle * rows

    model = tsode.TeacherStudent(**GENERAL)
    W, W_star = generic_start(model).realise(20, NearlyParallel(np.random.PCG64(0)))
    np.testing.assert_allclose(tsode.Overlaps.from_weights(W, W_star).joint, generic_start(model).joint, atol=1e-12)


def test_rank_deficient_overlaps_are_realised():
    M = np.array([[1.0, 0.0], [1.0, 0.0]])
    start = tsode.Overlaps(M, M @ M.T)
    W, W_star = start.realise(50, rng=0)
    np.testing.assert_allclose(W[0], W_star[0], atol=1e-7)
    np.testing.assert_allclose(tsode.Overlaps.from_weights(W, W_star).joint, start.joint, atol=1e-12)


@pytest.mark.parametrize("constraint", ["free", "spherical"])
@pytest.mark.parametrize("N", [6, 60])
def test_random_overlaps_have_the_law_of_random_weights(N, constraint):
    """Kolmogorov-Smirnov on 6 functions of 3000 draws: p above 1e-4 each, a false alarm in 1 of 400 seeds."""
    model = tsode.TeacherStudent(**{**GENERAL, "constraint": constraint})
    rng, draws, scale = np.random.default_rng(N), 3000, 1.7
    _, W_star = tsode.Overlaps(np.zeros((3, 2)), np.eye(3), model.teacher_overlap).realise(max(N, 5), rng)
    drawn, direct = [], []
    for _ in range(draws):
        drawn.append(tsode.Overlaps.random(model, N, scale=scale, rng=rng).joint)
        W = scale * rng.standard_normal((3, N))
        if model.spherical:
            W *= np.sqrt(N) / np.linalg.norm(W, axis=1, keepdims=True)
        direct.append(tsode.Overlaps.from_weights(W, W_star).joint)
    drawn, direct = np.array(drawn), np.array(direct)
    functions = (
        lambda omega: omega[:, 0, 0] + (omega[:, 0, 3] if model.spherical else 0),
        lambda omega: omega[:, 0, 1],
        lambda omega: omega[:, 1, 4],
        lambda omega: np.linalg.det(omega[:, :3, :3]),
        lambda omega: np.square(omega[:, :3, 3:]).sum(axis=(1, 2)),
        lambda omega: np.linalg.eigvalsh(omega)[:, 0],
    )
    for function in functions:
        assert stats.ks_2samp(function(drawn), function(direct)).pvalue > 1e-4


def test_random_overlaps_are_small_at_large_dimension():
    model = tsode.TeacherStudent(4, 2, 0.1)
    start = tsode.Overlaps.random(model, 10**15, scale=2.0, rng=1)
    assert np.abs(start.M).max() < 1e-6
    np.testing.assert_allclose(start.Q, 4 * np.eye(4), atol=1e-5)


def test_overlaps_are_read_only_and_keep_a_copy():
    M = np.zeros((2, 1))
    start = tsode.Overlaps(M, np.eye(2))
    M[0, 0] = 9
    assert start.M[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        start.Q[0, 0] = 2


def test_divergence_limit_grows_with_the_start_and_the_solution(model, start):
    assert divergence_limit(model, start.Q) >= 1e6
    assert divergence_limit(model, 100 * start.Q) >= 1e8 * np.trace(start.Q) * (1 - 1e-12)


def test_silent_student_has_a_divergence_limit_too():
    model = tsode.TeacherStudent(2, 1, 0.1, student_readout=[0.0, 0.0])
    assert np.isfinite(divergence_limit(model, np.eye(2)))


def test_repr_shows_the_matrices(model):
    start = generic_start(model)
    assert f"p = {model.p}" in repr(start)
    assert "<table>" in start._repr_html_()
    assert "student readout v" in repr(model)
    assert "&lt;" not in model._repr_html_()

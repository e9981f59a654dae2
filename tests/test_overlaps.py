"""Overlaps by hand and of weights, random ones by their law, sizes at their limits."""

import numpy as np
import pytest
from models import GENERAL, generic_start
from scipy import stats

import tsode
from tsode._divergence import divergence_limit, norm_scale
from tsode._frames import impose_overlaps, random_rows
from tsode._linear_algebra import semidefinite_root
from tsode.overlaps import check_start

MODEL = tsode.TeacherStudent(2, 3, 0.1)


# --- overlaps and weights


def test_overlaps_of_weights_by_hand():
    start = tsode.Overlaps.from_weights([[1, 2, 3, 4], [0, 0, 2, 0]], [[1, 0, 1, 0], [0, 2, 0, 0], [4, 0, 0, 0]])
    assert start.M.tolist() == [[1.0, 1.0, 1.0], [0.5, 0.0, 0.0]]
    assert start.Q.tolist() == [[7.5, 1.5], [1.5, 1.0]]
    assert start.P.tolist() == [[0.5, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 4.0]]
    assert (start.p, start.p_star) == (2, 3)
    assert start.joint.tolist() == np.block([[start.Q, start.M], [start.M.T, start.P]]).tolist()


def test_teacher_is_orthonormal_by_default():
    assert tsode.Overlaps([[0.1, 0.2, 0.3]], [[1.0]]).P.tolist() == np.eye(3).tolist()
    assert tsode.Overlaps([[0.1, 0.2]], [[1.0]], 2 * np.eye(2)).P.tolist() == [[2.0, 0.0], [0.0, 2.0]]


def test_overlaps_are_read_only_exactly_symmetric_and_keep_a_copy():
    M, Q = np.zeros((2, 1)), np.array([[1.0, 0.2], [0.2 + 1e-13, 1.0]])
    start = tsode.Overlaps(M, Q)
    M[0, 0] = 9
    assert start.M[0, 0] == 0
    assert start.Q[0, 1] == start.Q[1, 0]
    for matrix in (start.M, start.Q, start.P):
        assert not matrix.flags.writeable


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


def test_table_shows_the_matrices():
    start = tsode.Overlaps([[0.123456, 0.0]], [[1.0]])
    for text in (repr(start), start._repr_html_()):
        assert "p = 1, p* = 2" in text
        assert "0.1235" in text


# --- random weights


@pytest.mark.quick(1)
@pytest.mark.parametrize("constraint", ["free", "spherical"])
@pytest.mark.parametrize("N", [6, 60])
def test_random_overlaps_have_the_law_of_random_weights(N, constraint):
    """Kolmogorov-Smirnov on 6 functions of 1500 draws: p above 1e-4 each, a false alarm in 1 of 400 seeds."""
    model = tsode.TeacherStudent(**{**GENERAL, "constraint": constraint})
    rng, draws, scale = np.random.default_rng(N), 1500, 1.7
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
    start = tsode.Overlaps.random(tsode.TeacherStudent(4, 2, 0.1), 10**15, scale=2.0, rng=1)
    assert 1e-9 < np.abs(start.M).max() < 1e-6
    np.testing.assert_allclose(start.Q, 4 * np.eye(4), atol=1e-5)


def test_fewest_dimensions():
    """p + p* dimensions are enough, one fewer is not: for a draw and for weights."""
    start = tsode.Overlaps.random(MODEL, 5, rng=0)
    W, W_star = start.realise(5, rng=0)
    assert (W.shape, W_star.shape) == ((2, 5), (3, 5))
    np.testing.assert_allclose(tsode.Overlaps.from_weights(W, W_star).joint, start.joint, atol=1e-12)
    for call in (lambda: tsode.Overlaps.random(MODEL, 4), lambda: start.realise(4)):
        with pytest.raises(ValueError, match="`N` must be at least 5, but is 4"):
            call()


def test_scale_multiplies_every_weight():
    """One seed: W -> c W turns M into c M and Q into c^2 Q; the default is 1, and any scale above 0 is taken."""
    plain = tsode.Overlaps.random(MODEL, 50, rng=3)
    for c in (1.0, 0.01, 7.0):
        start = tsode.Overlaps.random(MODEL, 50, scale=c, rng=3)
        np.testing.assert_allclose(start.M, c * plain.M, rtol=1e-12)
        np.testing.assert_allclose(start.Q, c**2 * plain.Q, rtol=1e-12)
    with pytest.raises(ValueError, match="`scale` must be larger than 0"):
        tsode.Overlaps.random(MODEL, 50, scale=-0.5)


# --- kernels

SPHERE = MODEL.replace(constraint="spherical")


def start_of_norms(norms, p_star=3):
    return tsode.Overlaps(np.zeros((len(norms), p_star)), np.diag(norms))


@pytest.mark.parametrize(
    "matrix", [np.diag([4.0, 0.0, 1.0]), np.ones((3, 3)), np.zeros((2, 2)), [[2.0, 1.0], [1.0, 2]]]
)
def test_root_of_a_matrix_of_any_rank(matrix):
    F = semidefinite_root(matrix)
    np.testing.assert_allclose(F @ F.T, matrix, rtol=0, atol=1e-14)


def test_root_takes_what_rounding_puts_below_zero_for_zero():
    F = semidefinite_root(np.diag([1.0, -1e-12]))
    np.testing.assert_allclose(F @ F.T, np.diag([1.0, 0.0]), rtol=0, atol=1e-15)


def test_random_rows_are_triangular_beyond_the_teacher():
    rows = random_rows(tsode.TeacherStudent(4, 2, 0.1), 100, 1.0, np.random.default_rng(0))
    L = rows[:, 2:]
    assert np.array_equal(L, np.tril(L))
    assert (np.diagonal(L) > 0).all()
    assert L[np.tril_indices(4)].all()
    on_sphere = random_rows(tsode.TeacherStudent(4, 2, 0.1, constraint="spherical"), 100, 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(on_sphere, axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(on_sphere, rows / np.sqrt(np.square(rows).sum(axis=1))[:, None], rtol=1e-13)


def test_overlaps_are_imposed_on_tiles_padded_with_zeros():
    N, joint = 10, np.array([[1.0, 0.5, 0.2], [0.5, 2.0, 0.0], [0.2, 0.0, 1.0]])
    tiles = np.random.default_rng(0).standard_normal((3, 3, 4))
    tiles[2, :, 2:] = 0.0
    impose_overlaps(tiles, N, joint)
    weights = np.concatenate(tiles, axis=1)
    np.testing.assert_allclose(weights @ weights.T / N, joint, rtol=0, atol=1e-14)
    assert not weights[:, N:].any()


@pytest.mark.parametrize(("norms", "worst"), [([1.2, 0.5], "0.5"), ([1.0, 1.5], "1.5"), ([1.0, 0.0], "0")])
def test_start_off_the_sphere_is_told_by_its_worst_norm(norms, worst):
    with pytest.raises(ValueError, match=f"`here` must have Q_kk = 1 under the spherical constraint, but has {worst}$"):
        check_start(SPHERE, start_of_norms(norms), "here")
    assert check_start(MODEL, start_of_norms(norms)).Q[0, 0] == norms[0]


def test_start_may_be_off_by_rounding_only():
    exact = start_of_norms([1.0, 1.0])
    assert check_start(SPHERE, exact) is exact
    assert check_start(SPHERE, start_of_norms([1.0, 1.0 + 1e-10]))
    with pytest.raises(ValueError, match="Q_kk = 1"):
        check_start(SPHERE, start_of_norms([1.0, 1.0 + 1e-8]))
    assert check_start(MODEL, tsode.Overlaps(np.zeros((2, 3)), np.eye(2), (1 + 1e-10) * np.eye(3)))
    with pytest.raises(ValueError, match="`start` must have the model's `teacher_overlap`"):
        check_start(MODEL, tsode.Overlaps(np.zeros((2, 3)), np.eye(2), (1 + 1e-8) * np.eye(3)))


def test_start_of_other_widths():
    for start in (start_of_norms([1.0], 3), start_of_norms([1.0, 1.0], 2), start_of_norms([1.0, 1.0, 1.0], 2)):
        with pytest.raises(ValueError, match=r"widths \(p, p_star\) = \(2, 3\), but has"):
            check_start(MODEL, start)
    with pytest.raises(TypeError, match="`start` must be an Overlaps, but is list"):
        check_start(MODEL, [1.0])


@pytest.mark.parametrize(
    ("v", "v_star", "P", "Q", "scale"),
    [
        ([0.5, -0.5], [0.5, 0.1], np.eye(2), np.diag([0.1, 0.2]), 2.0),  # a solution: tr P at equal readouts
        ([0.5, -0.5], [0.5, 0.1], 3 * np.eye(2), np.diag([0.1, 0.2]), 6.0),
        ([0.25, -0.1], [0.1, -0.5], np.eye(2), np.diag([0.1, 0.2]), 4.0),
        ([4.0, 1.0], [0.1, -0.5], np.eye(2), np.diag([3.0, 4.0]), 7.0),  # the start
        ([4.0, 1.0], [0.1, -0.5], np.eye(2), np.diag([0.1, 0.2]), 1.0),  # neither: 1
    ],
)
def test_scale_of_the_norms(v, v_star, P, Q, scale):
    model = tsode.TeacherStudent(2, 2, 0.1, 0.0, v, v_star, P)
    assert norm_scale(model, Q) == pytest.approx(scale, rel=1e-14)
    assert divergence_limit(model, Q) == pytest.approx(1e6 * scale, rel=1e-14)


def test_silent_student_has_a_divergence_limit_too():
    model = tsode.TeacherStudent(2, 1, 0.1, student_readout=[0.0, 0.0])
    assert np.isfinite(divergence_limit(model, np.eye(2)))

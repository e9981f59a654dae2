"""Convergence of spectra on samples to those of the population, separation of outliers, and figures of Hessians."""

import types

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hessian_points import dense_population, dense_samples
from tables import rows

import tsode
from tsode import hessian, plot
from tsode.hessian import Separation, Spectrum


@pytest.fixture
def model():
    return tsode.TeacherStudent(4, 2, 0.1)


# ---- convergence


@pytest.fixture(scope="module")
def approach():
    return hessian.convergence(tsode.TeacherStudent(4, 2, 0.1), N=60, seed=3)


def test_empirical_spectra_approach_the_population(approach):
    # Over seeds 0 to 7 the slopes are -0.456(30) and -0.467(22), a bit above -1/2 as n/N = 2 is far from the limit.
    slopes = np.polyfit(np.log(approach.ratios), np.log(approach.distances.T), 1)[0]
    assert np.all(np.abs(slopes + 0.46) < 0.1)
    assert approach.plateau[-1].lowest == pytest.approx(-0.5, abs=0.15)
    assert all(spectrum.verdict == "not a critical point" for spectrum in approach.plateau)


def test_empirical_spectra_approach_those_of_a_teacher_with_correlated_units():
    """P = [[1, 0.6], [0.6, 0.7]]: distances at n/N = 1024 below 0.03, those to the spectra with P = 1 above 0.05."""
    model = tsode.TeacherStudent(3, 2, 0.1, teacher_overlap=[[1.0, 0.6], [0.6, 0.7]])
    result = hessian.convergence(model, N=16, ratios=[8, 1024], seed=0)
    assert np.all(result.distances[:, 1] < 0.03)
    other = hessian.compare(model.replace(teacher_overlap=None), 16)
    for found, limit in ((result.plateau, other.plateau), (result.manifold, other.manifold)):
        assert np.mean(np.abs(found[1].expanded - limit.expanded)) > 0.05
    outliers = hessian.separation(model, N=16, ratios=[1024], seed=0)
    np.testing.assert_allclose(outliers.lowest[0, :3], result.population.plateau.lowest, rtol=0.05)


def test_surplus_directions_are_flat_on_any_samples_without_noise(approach):
    assert all(s.nullity == approach.population.manifold.nullity for s in approach.manifold)
    assert all(s.verdict == "marginal minimum" for s in approach.manifold)
    noisy = hessian.convergence(tsode.TeacherStudent(4, 2, 0.1, noise_variance=0.3), N=60, ratios=[8], seed=3)
    assert noisy.manifold[0].nullity < 10
    assert noisy.manifold[0].index > 0


def test_samples_are_nested(approach):
    again = hessian.convergence(tsode.TeacherStudent(4, 2, 0.1), N=60, ratios=[8, 128], seed=3)
    np.testing.assert_allclose(again.plateau[0].expanded, approach.plateau[1].expanded, atol=1e-12)


def replay(model, N, ratios, seed):
    """Weights at the plateau, inputs and labels, from the stream of run 0 of the seed."""
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    q = model.p / (model.p + 2)  # the plateau of default readouts
    W, W_star = tsode.Overlaps(np.zeros((model.p, model.p_star)), q * np.eye(model.p)).realise(N, rng)
    X = rng.standard_normal((round(ratios[-1] * N), N))
    noise = np.sqrt(model.noise_variance) * rng.standard_normal(len(X))
    y = np.mean(np.square(X @ W_star.T / np.sqrt(N)), axis=1) + noise
    return W, W_star, X, y


def test_convergence_against_dense_hessians_of_the_same_samples():
    model, N, ratios = tsode.TeacherStudent(3, 2, 0.1, noise_variance=0.1), 5, [0.5, 2.0, 3.0]
    found = hessian.convergence(model, N, ratios, seed=7)
    W, W_star, X, y = replay(model, N, ratios, 7)
    solution = tsode.manifold.solution_weights(model, W_star)
    for side, weights in ((found.plateau, W), (found.manifold, solution)):
        for spectrum, n in zip(side, (2, 10, 15), strict=True):
            values = np.linalg.eigvalsh(dense_samples(model, weights, X[:n], y[:n]))
            np.testing.assert_allclose(spectrum.expanded, values, atol=1e-9)
    limit = np.linalg.eigvalsh(dense_population(model, W, W_star))
    assert found.distances.shape == (2, 3)
    assert found.distances[0, 2] == pytest.approx(np.mean(np.abs(found.plateau[2].expanded - limit)), rel=1e-9)


def test_default_sizes_of_convergence():
    found = hessian.convergence(tsode.TeacherStudent(1, 1, 0.1))
    assert found.ratios.tolist() == [2, 8, 32, 128]
    assert found.population.N == 100
    model = tsode.TeacherStudent(2, 1, 0.1)
    first, second = (hessian.convergence(model, 10, [2], **seed) for seed in ({}, {"seed": 0}))
    np.testing.assert_array_equal(first.plateau[0].values, second.plateau[0].values)


@pytest.mark.slow
def test_distances_fall_as_the_root_of_samples():
    # 8 seeds at large n/N: the standard error of the mean slope is 0.01.
    model = tsode.TeacherStudent(4, 2, 0.1)
    slopes = []
    for seed in range(8):
        result = hessian.convergence(model, N=60, ratios=[32, 128, 512], seed=seed)
        slopes.append(np.polyfit(np.log(result.ratios), np.log(result.distances.T), 1)[0])
    np.testing.assert_allclose(np.mean(slopes, axis=0), -0.5, atol=0.04)


# ---- separation


@pytest.mark.slow
def test_outliers_separate_from_the_bulk():
    result = hessian.separation(tsode.TeacherStudent(4, 2, 0.1), N=100, seed=1)
    assert result.index == 8
    assert 5 < result.threshold < 23  # over seeds 0 to 9: 8 twice, 11.3 five times, 16 three times
    k = result.index
    assert np.all(np.diff(result.lowest, axis=1) >= 0)
    assert result.separated[-1]
    assert not result.separated[0]
    assert result.alignment[-1] > 0.85
    assert result.lowest[-1, k - 1] < -0.45
    assert result.lowest[-1, k] > -0.25


@pytest.mark.slow
@pytest.mark.parametrize("N", [100, 200])
def test_the_threshold_belongs_to_n_over_N(N):
    # Medians of 10 seeds on a grid of steps root 2; 11.3 was measured at both N.
    model = tsode.TeacherStudent(4, 2, 0.1)
    grid = 2.0 ** (np.arange(4, 11) / 2)
    found = [hessian.separation(model, N=N, ratios=grid, seed=seed).threshold for seed in range(10)]
    assert np.median(found) == pytest.approx(8 * 2**0.5)


def test_a_gap_of_single_samples_is_no_separation():
    result = hessian.separation(tsode.TeacherStudent(2, 1, 0.1), N=200, ratios=[1.0, 1.5], seed=0)
    assert not result.separated.any()
    assert result.threshold == np.inf


def test_separation_against_dense_hessians_of_the_same_samples():
    model, N, ratios = tsode.TeacherStudent(2, 1, 0.1, noise_variance=0.1), 6, [1.5, 4.0, 8.0]
    found = hessian.separation(model, N, ratios, seed=7)
    W, W_star, X, y = replay(model, N, ratios, 7)
    descent = np.linalg.eigh(dense_population(model, W, W_star))[1][:, :2]
    assert (found.index, found.N, found.lowest.shape) == (2, N, (3, 6))
    for lowest, alignment, n in zip(found.lowest, found.alignment, (9, 24, 48)):
        values, vectors = np.linalg.eigh(dense_samples(model, W, X[:n], y[:n]))
        np.testing.assert_allclose(lowest, values[:6], atol=1e-9)
        projections = [np.sum((descent.T @ vectors[:, i]) ** 2) for i in range(2)]
        assert alignment == pytest.approx(min(projections), rel=1e-6)


def test_separation_needs_as_many_directions_again():
    one, two = tsode.TeacherStudent(1, 1, 0.1), tsode.TeacherStudent(2, 1, 0.1)
    for model, N, index in ((one, 5, 1), (two, 4, 2)):
        assert hessian.separation(model, N, [4], seed=1).lowest.shape == (1, 2 * index + 2)
    for model, N, index in ((one, 4, 1), (two, 3, 2)):
        with pytest.raises(ValueError, match=f"`N` must be well above 2 for {index} outliers, but is {N}"):
            hessian.separation(model, N, [4])


def made(lowest, alignment):
    """Two outliers, at ratios 1, 2, 4, ..."""
    lowest = np.array(lowest, dtype=float)
    ratios = 2.0 ** np.arange(len(lowest))
    return Separation(tsode.TeacherStudent(2, 1, 0.1), 1000, 2, ratios, lowest, np.array(alignment))


def test_separate_is_a_gap_larger_than_the_spread_with_the_direction():
    apart, wide = [-4.0, -3.5, -1.0, -0.5, -0.25, 1.0], [-4.0, -3.0, -1.0, -0.5, -0.25, 1.0]
    cases = made([apart, wide, apart, [-4.0, -3.0, -1.5, -0.5, -0.25, 1.0]], [0.75, 0.75, 0.5, 0.75])
    assert cases.separated.tolist() == [True, False, False, False]
    assert cases.threshold == np.inf
    for pattern, threshold in (("11", 1), ("011", 2), ("1011", 4), ("10101", 16), ("00101", 16), ("0110", np.inf)):
        assert made([apart] * len(pattern), [int(i) for i in pattern]).threshold == threshold


def test_tables_of_separation_and_spectra_in_numbers():
    table = made([[-4.0, -3.5, -1.0, -0.5, -0.25, 1.0]] * 2, [0.25, 0.75])
    assert "separate from n/N = 2" in repr(table)
    assert rows(table)["2"] == ["-4.0000 to -3.5000", "-1.0000", "0.75", "yes"]
    assert rows(table)["1"][-1] == "no"
    assert "alignment" in table._repr_html_()
    population = types.SimpleNamespace(
        plateau=Spectrum([-1.0, 2.0]), manifold=Spectrum([0.0, 4.0]), model=tsode.TeacherStudent(2, 1, 0.1), N=1000
    )
    sides = (Spectrum([-3.0, 4.0]),), (Spectrum([-0.25, 1.0], tolerance=0.25),)
    both = hessian.Convergence(population, np.array([2.0]), *sides)
    np.testing.assert_allclose(both.distances, [[2.0], [1.625]])
    assert rows(both)["2"] == ["2.0000", "-3.0000", "1", "1.6250", "0.0000", "1", "1.0000"]
    assert rows(both)["infinite"] == ["0", "-1.0000", "1", "0", "0.0000", "1", "4.0000"]
    assert "n/N" in both._repr_html_()
    steep = hessian.Convergence(population, np.array([2.0]), sides[0], (Spectrum([-0.5, 1.0]),))
    assert rows(steep)["2"][4] == "-0.5000"


def test_bad_samples(model):
    for function in (hessian.convergence, hessian.separation):
        with pytest.raises(ValueError, match="`ratios`"):
            function(model, N=20, ratios=[4, 2])
        with pytest.raises(ValueError, match="`ratios`"):
            function(model, N=20, ratios=[])
        with pytest.raises(ValueError, match="`N`"):
            function(model, N=3)
        with pytest.raises(TypeError, match="`seed`"):
            function(model, N=20, ratios=[2], seed="x")
    with pytest.raises(ValueError, match="directions of descent"):
        hessian.separation(tsode.TeacherStudent(3, 2, 0.1, teacher_readout=[-0.5, -0.5]), N=30)


# ---- figures


@pytest.fixture
def close():
    yield
    plt.close("all")


@pytest.mark.usefixtures("close")
def test_figure_of_two_spectra(model, approach):
    ax = plot.hessian_spectra(hessian.compare(model, 10**6))
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["plateau: saddle", "solution manifold: marginal minimum"]
    texts = {text.get_text() for text in ax.texts}
    assert {"8", "3,999,982", "9", "1", "2,000,001", "1,999,996", "2"} <= texts
    assert ax.get_yscale() == "log"
    mine = plt.figure().subplots()
    assert plot.hessian_spectra(approach.population, (approach.plateau[-1], approach.manifold[-1]), ax=mine) is mine
    assert len(mine.get_legend().get_texts()) == 4


@pytest.mark.usefixtures("close")
def test_figure_of_the_approach(approach):
    for which in ("plateau", "manifold"):
        ax = plot.hessian_convergence(approach, which)
        legend = [text.get_text() for text in ax.get_legend().get_texts()]
        assert legend[:4] == ["n/N = 2", "n/N = 8", "n/N = 32", "n/N = 128"]
        assert "eigenvalue" in ax.get_xlabel()
    with pytest.raises(ValueError, match="`which`"):
        plot.hessian_convergence(approach, "both")


@pytest.mark.usefixtures("close")
def test_figures_of_separation_and_path(model):
    result = hessian.separation(tsode.TeacherStudent(2, 1, 0.1), N=60, ratios=[4, 64])
    ax = plot.hessian_separation(result)
    assert ax.get_xscale() == "log"
    assert f"separate from {result.threshold:.3g}" in [text.get_text() for text in ax.get_legend().get_texts()]
    ode = tsode.integrate(model, tsode.Overlaps.random(model, 100, rng=0), 20.0)
    path = hessian.along(ode, N=100)
    ax = plot.hessian_path(path)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), path.lowest)
    assert "alpha" in ax.get_xlabel()

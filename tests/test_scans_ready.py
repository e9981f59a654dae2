"""The ready scans and their figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

import tsode
from tsode import plot

xarray = pytest.importorskip("xarray")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def wrong_side(table, shift=1.0):
    """Return the fractions of wrong fates away from the thresholds by 2 %, the latter shifted by a factor."""
    rates = table["learning_rate"]
    largest, escape = shift * table["max_learning_rate"], shift * table["escape_learning_rate"]
    theory = xarray.where(rates > largest, "diverges", xarray.where(rates > escape, "stuck", "escapes"))
    away = (abs(rates / largest - 1) > 0.02) & ~(abs(rates / escape - 1) <= 0.02)
    return float(((table["fate"] != theory) & away).sum() / away.sum())


def check_stability(widths, p_stars, count):
    for p_star in p_stars:
        limits = [tsode.plateau(tsode.TeacherStudent(p, p_star, 0.1)).max_learning_rate for p in widths]
        rates = np.geomspace(0.3 * min(limits), 1.3 * max(limits), count)
        table = tsode.scans.stability({"p": widths, "p_star": p_star, "learning_rate": rates}, n_jobs=1)
        assert wrong_side(table) <= 0.01
        assert wrong_side(table, 1.2) > 0.01  # the check can fail
        assert table["theory"].identical(table["theory"].copy(data=theory_of(table)))
        yield {str(fate) for fate in np.unique(table["fate"])}


def theory_of(table):
    def one(p, p_star, eta):
        saddle = tsode.plateau(tsode.TeacherStudent(int(p), int(p_star), float(eta)))
        if np.isnan(saddle.q):
            return "diverges"
        return "escapes" if saddle.escape_rate > 0 else "stuck"

    whole = np.vectorize(one)(*np.meshgrid(table["p"], table["p_star"], table["learning_rate"], indexing="ij"))
    return whole.reshape(table["theory"].shape)


def test_stability_map_is_on_theorys_side():
    found = set().union(*check_stability([1, 3, 8], [1, 8], 16))
    assert found == {"escapes", "stuck", "diverges"}


@pytest.mark.slow
def test_fine_stability_map_is_on_theorys_side():
    found = set().union(*check_stability([1, 2, 3, 4, 6, 8], [1, 2, 4, 8], 100))
    assert found == {"escapes", "stuck", "diverges"}


def test_stability_of_the_constraint():
    """Under the spherical constraint nothing can diverge."""
    grid = {"p": 3, "p_star": 3, "learning_rate": np.geomspace(0.05, 8, 12), "constraint": "spherical"}
    table = tsode.scans.stability(grid, n_jobs=1)
    assert "diverges" not in table["fate"]
    escape = table["escape_learning_rate"].values.ravel()[0]
    np.testing.assert_array_equal(table["fate"].values.ravel() == "escapes", table["learning_rate"] < escape)


def test_escape_times_follow_the_law():
    """Means of 64 runs within 4 standard errors and 5 % (the nonlinearity at the threshold) of the law's."""
    grid = {"p": [2, 3], "p_star": 2, "learning_rate": [0.2, 0.3], "dimension": 1000}
    table = tsode.scans.escape(grid, runs=64, threshold=0.02, n_jobs=1).squeeze()
    assert (table["escaped"] == 64).all()
    assert (abs(table["mean"] - table["law_mean"]) < 4 * table["std_error"] + 0.05 * table["law_mean"]).all()
    np.testing.assert_allclose(table["escape_time"].mean("run"), table["mean"])
    np.testing.assert_allclose(table["escape_time"].std("run", ddof=1) / 8, table["std_error"])
    assert len(np.unique(table["escape_time"])) == 256


def test_escape_of_a_point_depends_on_it_and_the_seed_alone():
    options = {"runs": 2, "n_jobs": 1}
    pair = tsode.scans.escape({"p": [2, 1], "p_star": 1, "learning_rate": 0.2, "dimension": [300, 200]}, **options)
    one = tsode.scans.escape({"p": 2, "p_star": 1, "learning_rate": 0.2, "dimension": 200.0}, **options)
    np.testing.assert_array_equal(
        pair["escape_time"].sel(p=2, dimension=200), one["escape_time"].sel(p=2, dimension=200)
    )
    other = tsode.scans.escape({"p": 2, "p_star": 1, "learning_rate": 0.2, "dimension": 200}, seed=1, **options)
    assert not np.any(other["escape_time"].values == one["escape_time"].values)


def test_no_escape_is_nan_with_a_reason():
    table = tsode.scans.escape({"p": 2, "p_star": 8, "learning_rate": [0.5, 2.0], "dimension": 500}, runs=2, n_jobs=1)
    assert np.isnan(table["mean"]).all()
    assert (table["escaped"] == 0).all()
    first, second = table["reason"].values.ravel()
    assert "the escape rate is -" in first
    assert "no attracting fixed point" in second


def test_deviation_falls_with_the_root_of_N():
    N = np.array([300, 3000, 30_000])
    grid = {"p": 4, "p_star": 2, "learning_rate": 0.3, "dimension": N}
    table = tsode.scans.deviation(grid, runs=16, alpha_max=10.0, n_jobs=1)
    slope = np.polyfit(np.log(N), np.log(table["mean"].values.ravel()), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
    assert (table["std_error"] < 0.3 * table["mean"]).all()


def test_a_student_that_escapes_and_then_diverges_has_escaped():
    """Above the learning rate of the solutions and below that of the plateau, after 20 to 40 of alpha."""
    limits = {p: tsode.plateau(tsode.TeacherStudent(p, 1, 0.1)).max_learning_rate for p in (8, 20)}
    for p, limit in limits.items():
        rates = np.array([0.9, 0.97, 1.05, 1.5]) * limit
        table = tsode.scans.stability({"p": p, "p_star": 1, "learning_rate": rates}, n_jobs=1).squeeze()
        assert table["fate"].values.tolist() == ["escapes", "escapes", "diverges", "diverges"]
        model = tsode.TeacherStudent(p, 1, rates[0])
        ode = tsode.integrate(model, tsode.Overlaps.random(model, 10**12, scale=0.5, rng=0), 100.0, rtol=1e-6)
        assert ode.status == "diverged"


def test_fate_of_a_point_does_not_depend_on_the_others():
    """Those of one batch are integrated together, and leave it one after the other."""
    grid = {"p": [1, 2], "p_star": [1, 8], "learning_rate": [0.1, 0.2, 0.3, 0.5, 0.7], "noise_variance": [0.0, 0.5]}
    table = tsode.scans.stability(grid, n_jobs=1)
    assert set(np.unique(table["fate"])) == {"escapes", "stuck", "diverges"}
    for p, p_star, rate, noise in [(1, 8, 0.2, 0.0), (1, 8, 0.7, 0.5), (2, 8, 0.5, 0.5), (2, 1, 0.3, 0.0)]:
        point = {"p": p, "p_star": p_star, "learning_rate": rate, "noise_variance": noise}
        one = tsode.scans.stability(point, n_jobs=1).squeeze()
        there = table.sel(point).squeeze()
        saddle = tsode.plateau(tsode.TeacherStudent(**point))
        for name in ("fate", "theory"):
            assert one[name].item() == there[name].item()
        for name in ("max_learning_rate", "escape_learning_rate"):
            np.testing.assert_array_equal(there[name], getattr(saddle, name))


@pytest.mark.slow
def test_law_of_the_escape_is_that_from_random_weights():
    """Of each point's own model, dimension and threshold; from the plateau the mean is another."""
    grid = {"p": [1, 2], "p_star": 1, "learning_rate": 0.1, "noise_variance": [0.0, 0.2], "dimension": [200, 400]}
    table = tsode.scans.escape(grid, runs=2, threshold=0.06, n_jobs=1)
    for point in [(1, 0.0, 200), (2, 0.0, 200), (1, 0.2, 200), (1, 0.0, 400)]:
        here = table.sel(dict(zip(("p", "noise_variance", "dimension"), point))).squeeze()
        model = tsode.TeacherStudent(point[0], 1, 0.1, point[1])
        law = tsode.escape_law(model, point[2], threshold=0.06, start="random")
        assert here["law_mean"].item() == pytest.approx(law.mean(), rel=1e-9)
        assert here["law_std"].item() == pytest.approx(law.std(), rel=1e-9)
        other = tsode.escape_law(model, point[2], threshold=0.06, start="plateau")
        assert abs(other.mean() / law.mean() - 1) > 1e-3
    assert len(np.unique(table["law_mean"])) == 8


@pytest.mark.slow
@pytest.mark.parametrize(("scan", "name"), [("escape", "escape_time"), ("deviation", "deviation")])
def test_points_and_seeds_have_streams_of_their_own(scan, name):
    """3 points that differ in the 9th digit, 2 seeds: no rank correlation above 5 standard errors among 96 runs."""
    grid = {"p": 2, "p_star": 1, "learning_rate": 0.15 * (1 + 1e-9 * np.arange(3)), "dimension": 50}
    tables = [getattr(tsode.scans, scan)(grid, runs=96, n_jobs=1, seed=seed)[name] for seed in (0, 1)]
    series = np.concatenate([table.values.reshape(3, 96) for table in tables])
    assert np.isfinite(series).all()
    correlations = stats.spearmanr(series, axis=1).statistic[np.triu_indices(6, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(96)


def test_one_run_that_lasts_has_a_mean_and_no_error():
    limit = tsode.plateau(tsode.TeacherStudent(4, 1, 0.1)).max_learning_rate
    grid = {"p": 4, "p_star": 1, "learning_rate": 0.9 * limit, "dimension": 10}
    found = []
    for seed in range(12):
        table = tsode.scans.deviation(grid, runs=2, seed=seed, n_jobs=1).squeeze()
        lasting = np.isfinite(table["deviation"].values)
        if lasting.sum() == 1:
            assert table["mean"].item() == table["deviation"].values[lasting].item()
        assert np.isnan(table["std_error"]) == (lasting.sum() < 2)
        found.append(lasting.sum())
    assert 1 in found


def test_very_fast_learning_diverges():
    """In a time far below 1, from which the records have to start at 0."""
    table = tsode.scans.stability({"p": 1, "p_star": [1, 3], "learning_rate": [30.0, 300.0]}, n_jobs=1)
    assert (table["fate"] == "diverges").all()


def test_runs_that_never_escape_are_no_part_of_the_mean():
    """At N = 10 and 0.95 of the largest learning rate some runs diverge on the way."""
    limit = tsode.plateau(tsode.TeacherStudent(4, 1, 0.1)).max_learning_rate
    grid = {"p": 4, "p_star": 1, "learning_rate": 0.95 * limit, "dimension": 10}
    table = tsode.scans.escape(grid, runs=40, threshold=2.0, n_jobs=1).squeeze()
    times = table["escape_time"].values
    found = times[np.isfinite(times)]
    assert 2 <= len(found) < 40
    assert table["escaped"] == len(found)
    assert table["mean"].item() == pytest.approx(found.mean())
    assert table["std_error"].item() == pytest.approx(stats.sem(found))
    table = tsode.scans.deviation({**grid, "learning_rate": 0.8 * limit}, runs=40, n_jobs=1).squeeze()
    found = table["deviation"].values[np.isfinite(table["deviation"])]
    assert 2 <= len(found) < 40
    assert table["mean"].item() == pytest.approx(found.mean())
    assert table["std_error"].item() == pytest.approx(stats.sem(found))


@pytest.mark.slow
@pytest.mark.parametrize(("p", "p_star", "constraint"), [(1, 3, "free"), (3, 1, "spherical")])
def test_deviation_is_the_root_mean_square_of_all_elements_and_times(p, p_star, constraint):
    """Against runs of SGD from the same start with other seeds: two means of 200 within 4.5 standard errors."""
    model, N = tsode.TeacherStudent(p, p_star, 0.03, 0.1, constraint=constraint), 200
    point = {"p": p, "p_star": p_star, "learning_rate": 0.03, "noise_variance": 0.1, "constraint": constraint}
    table = tsode.scans.deviation({**point, "dimension": N}, runs=200, alpha_max=2.0, seed=3, n_jobs=1).squeeze()
    start = tsode.Overlaps.random(model, 4 * (p + p_star), rng=3)
    alpha = np.linspace(0.0, 2.0, 101)
    ode, sgd = tsode.integrate(model, start, alpha), tsode.simulate(model, start, alpha, N=N, runs=200, seed=99)
    off = np.concatenate([(sgd.M - ode.M).reshape(200, -1), (sgd.Q - ode.Q).reshape(200, -1)], axis=1)
    wanted = np.sqrt(np.mean(off**2, axis=1))
    error = np.hypot(stats.sem(wanted), table["std_error"].item())
    assert error < 0.05 * wanted.mean()
    assert abs(table["mean"].item() - wanted.mean()) < 4.5 * error
    assert stats.ks_2samp(wanted, table["deviation"]).pvalue > 1e-5  # run by run


@pytest.mark.slow
def test_all_dimensions_have_one_start_and_each_seed_its_own():
    """Early on the deviation is sqrt(1 / N) times a number of the start: chi^2 at 1e-4 says equal or not."""
    grid = {"p": 1, "p_star": 1, "learning_rate": 0.1, "dimension": [1000, 1500, 2000, 3000]}

    def scaled(seed):
        table = tsode.scans.deviation(grid, runs=200, alpha_max=0.2, seed=seed, n_jobs=1).squeeze()
        root = np.sqrt(table["dimension"].values)
        return root * table["mean"].values, root * table["std_error"].values

    def chi2(means, errors):
        return np.sum(((means - np.average(means, weights=errors**-2)) / errors) ** 2)

    first, second = scaled(0), scaled(1)
    for means, errors in (first, second):
        assert chi2(means, errors) < stats.chi2.isf(1e-4, 3)
    assert chi2(*np.concatenate([first, second], axis=1)) > 2 * stats.chi2.isf(1e-4, 7)


def test_theory_of_a_deviation_is_that_of_the_fluctuations_about_its_start():
    """A start of random weights at dimension 4 (p + p*), without a spread; nan where fluctuations outgrow the ODE."""
    grid = {"p": 2, "p_star": 1, "learning_rate": 0.2, "dimension": [20, 20_000]}
    theory = tsode.scans.deviation(grid, runs=2, alpha_max=10.0, seed=5, n_jobs=1)["theory"].values.ravel()
    model = tsode.TeacherStudent(2, 1, 0.2)
    found = tsode.fluctuations(model, tsode.Overlaps.random(model, 12, rng=5), np.linspace(0, 10, 101), scale=1e-9)
    for N, value in zip(grid["dimension"], theory):
        elements = np.concatenate([found.M_std(N).reshape(101, -1), found.Q_std(N).reshape(101, -1)], axis=1)
        wanted = np.sqrt(np.mean(elements**2)) if found.valid_until(N) >= 10 else np.nan
        assert value == pytest.approx(wanted, rel=1e-4, nan_ok=True)
    assert np.isnan(theory).tolist() == [True, False]


def test_default_duration_of_a_deviation_is_three_natural_times():
    """1 / (eta v v*) = 10 / 3 here: the same runs as with alpha_max = 10, and others than with 9."""
    grid = {"p": 1, "p_star": 1, "learning_rate": 0.3, "dimension": 100}
    default, same, other = (
        tsode.scans.deviation(grid, runs=2, n_jobs=1, alpha_max=last)["deviation"].values for last in (None, 10.0, 9.0)
    )
    np.testing.assert_allclose(default, same, rtol=1e-6)
    assert np.abs(default / other - 1).max() > 1e-4


def test_runs_without_a_law_end_after_ten_natural_times():
    """1 / (eta v v*) = 5: some of 64 would come to this threshold a little later."""
    grid = {"p": 1, "p_star": 1, "learning_rate": 0.2, "activation": "erf", "dimension": 1000}
    table = tsode.scans.escape(grid, runs=64, threshold=0.815, n_jobs=1)
    assert 10 < table["escaped"].item() < 60
    assert 48 < table["escape_time"].max().item() <= 50


# --- figures


@pytest.fixture(scope="module")
def escapes():
    return tsode.scans.escape({"p": [2, 1], "p_star": 1, "learning_rate": [0.25, 0.1, 0.15], "dimension": 300}, runs=4,
                              n_jobs=1)  # fmt: skip


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_escape_curves_show_law_and_means(escapes):
    ax = plot.escape_curves(escapes)
    assert {"$p$ = 2", "$p$ = 1", "law of the escape time, mean", "SGD, mean and its error"} == set(texts(ax))
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0.1, 0.15, 0.25])
    wanted = escapes.sortby("learning_rate").sel(p=2).squeeze()
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), wanted["law_mean"])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), wanted["mean"])
    assert "learning rate" in ax.get_xlabel()
    assert "width" in plot.escape_curves(escapes, x="p").get_xlabel()
    with pytest.raises(ValueError, match="`x` must be a parameter of the scan with numbers"):
        plot.escape_curves(escapes, x="constraint")


def test_scans_without_valid_points_say_so_in_place_of_axes(escapes):
    none = escapes.assign(mean=escapes["mean"] * np.nan, law_mean=escapes["law_mean"] * np.nan)
    why = none.assign(reason=(none["mean"].dims, np.full(none["mean"].shape, "it is stuck")))
    deviations = escapes.assign(mean=escapes["mean"] * np.nan)
    fates = tsode.scans.stability({"p": 2, "p_star": 1, "learning_rate": [0.2, 0.3]}, n_jobs=1)
    fates = fates.assign(fate=(fates["fate"].dims, np.full(fates["fate"].shape, "")))
    for ax, words in (
        (plot.escape_curves(none), "no run escaped at any point"),
        (plot.escape_curves(why), "no run escaped at any point:\nit is stuck"),
        (plot.deviation_curves(deviations), "no run came to the last time at any point"),
        (plot.stability_map(fates), "no point has a result"),
    ):
        assert not ax.axison
        assert ax.texts[0].get_text().startswith(words)


def test_stability_map_shows_fates_and_thresholds():
    table = tsode.scans.stability({"p": [2, 1], "p_star": 8, "learning_rate": np.linspace(0.1, 0.9, 9)}, n_jobs=1)
    _, given = plt.subplots()
    ax = plot.stability_map(table, ax=given)
    assert ax is given
    assert texts(ax) == ["ODE escapes", "ODE stuck", "ODE diverges", "no plateau above (theory)",
                         "no escape above (theory)"]  # fmt: skip
    shown = table.squeeze().sortby("p")
    patches = ax.patches
    assert len(patches) == 18
    colours = dict(zip(("escapes", "stuck", "diverges"), ax.get_legend().get_patches()))
    for patch, fate in zip(patches, shown["fate"].transpose("p", "learning_rate").values.ravel()):
        assert patch.get_facecolor() == colours[fate].get_facecolor()
    heights = [segment[0, 1] for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(heights, shown["max_learning_rate"].isel(learning_rate=0))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2"]


def test_deviation_curves_show_means_and_the_slope():
    table = tsode.scans.deviation({"p": 2, "p_star": 1, "learning_rate": 0.2, "dimension": [1000, 100]}, alpha_max=2.0,
                                  n_jobs=1)  # fmt: skip
    ax = plot.deviation_curves(table)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [100, 1000])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), table["mean"].values.ravel()[::-1])
    line = next(line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 2)
    np.testing.assert_allclose(line.get_ydata(), table["theory"].values.ravel()[::-1])
    assert (np.abs(table["mean"] / table["theory"] - 1) < 0.3).all()
    assert np.divide(*line.get_ydata()) == pytest.approx(np.sqrt(10))
    assert ax.get_yscale() == "log"

"""The ready scans and their figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

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
    found = set().union(*check_stability([1, 3, 8], [1, 8], 25))
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
    grid = {"p": [2, 4], "p_star": 2, "learning_rate": [0.2, 0.3], "dimension": 4000}
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


@pytest.mark.parametrize(
    ("scan", "arguments", "options", "message"),
    [
        ("escape", {"width": 3}, {}, "`grid` must name some of p, p_star, .*, but names 'width'"),
        ("escape", {"p": [2, 0]}, {}, "`p` must be at least 1, but is 0"),
        ("escape", {"dimension": 4}, {}, "`dimension` must be at least 6, but is 4"),
        ("escape", {"p": None}, {}, "`p` must be a value or a sequence of values, but is NoneType"),
        ("escape", [], {}, "`grid` must be a dict of values, but is list"),
        ("escape", {"p": 2.5}, {}, "`p` must be a whole number, but is 2.5"),
        ("escape", {"noise_variance": -1}, {}, "`noise_variance` must be at least 0, but is -1"),
        ("escape", {"constraint": "cubic"}, {}, "`constraint` must be one of"),
        ("escape", {}, {"runs": 1}, "`runs` must be at least 2, but is 1"),
        ("escape", {}, {"threshold": 0}, "`threshold` must be larger than 0, but is 0"),
        ("deviation", {}, {"seed": -1}, "`seed` must be at least 0, but is -1"),
        ("deviation", {}, {"alpha_max": 0}, "`alpha_max` must be larger than 0, but is 0"),
        ("stability", {"dimension": 100}, {}, "`grid` must name some of .*, but names 'dimension'"),
        ("stability", {"learning_rate": []}, {}, "`grid` must give at least one value of `learning_rate`"),
    ],
)
def test_bad_input_is_named(scan, arguments, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(tsode.scans, scan)(arguments, **options)


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
    line = next(line for line in ax.lines if "proportional" in str(line.get_label()))
    assert np.divide(*line.get_ydata()) == pytest.approx(np.sqrt(10))
    assert ax.get_yscale() == "log"

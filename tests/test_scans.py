"""The scan itself: grids, results, errors, batches and threads."""

import functools
import subprocess
import sys

import numba
import numpy as np
import pytest
import threadpoolctl
from terminal import Terminal

import tsode
from tsode.scans import batched, failures

xarray = pytest.importorskip("xarray")
joblib = pytest.importorskip("joblib")


def product(x, y):
    return x * y


def scan(function, grid, **options):
    return tsode.scan(function, grid, **{"n_jobs": 1, **options})


# --- grids and results


def test_product_has_the_names_as_dimensions():
    table = scan(product, {"x": [1, 2, 3], "y": np.array([0.5, 2.0])})
    assert table["value"].dims == ("x", "y")
    np.testing.assert_array_equal(table["value"], np.outer([1, 2, 3], [0.5, 2.0]))
    np.testing.assert_array_equal(table["x"], [1, 2, 3])
    assert table["value"].sel(x=2, y=0.5).item() == 1.0


def test_list_of_points_is_one_dimension_with_coordinates():
    table = scan(product, [{"x": 1, "y": 4}, {"y": 5, "x": 2}])
    assert table["value"].dims == ("point",)
    np.testing.assert_array_equal(table["value"], [4, 10])
    np.testing.assert_array_equal(table["y"], [4, 5])
    assert table["y"].dims == ("point",)


def test_scalars_stand_for_one_value_and_numpy_scalars_become_pythons():
    seen = []
    scan(lambda x, y, z: seen.append((x, y, z)) or 0, {"x": np.float32([0.5]), "y": np.int64(3), "z": "name"})
    assert seen == [(0.5, 3, "name")]
    assert [type(value) for value in seen[0]] == [float, int, str]
    assert scan(lambda x: x, {"x": np.array(3)})["x"].values.tolist() == [3]


def test_models_and_sequences_are_values_too():
    models = [tsode.TeacherStudent(2, 1, 0.1), tsode.TeacherStudent(2, 1, 0.2)]
    table = scan(lambda model, ends: model.learning_rate * ends[1], {"model": models, "ends": [(0, 1), (0, 2)]})
    np.testing.assert_allclose(table["value"], [[0.1, 0.2], [0.2, 0.4]])
    assert '"learning_rate": 0.2' in table["model"].values[1]
    assert list(table["ends"].values) == ["[0, 1]", "[0, 2]"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2**63 - 1], "i"), ([-1, 1 - 2**63], "i"), ([1, 2**63], "U"), ([-(2**63), 0.5], "U"), ([1, 0.5], "f"),
     ([0.5, np.nan], "f"), ([True, False], "b"), ([True, 2], "U"), ([1, "a"], "U"), ([None, 1], "U")],
)  # fmt: skip
def test_coordinates_are_numbers_where_nothing_is_lost(values, kind):
    """Else their text: beyond 64 bits, where kinds are mixed, and where they are no numbers."""
    table = scan(lambda x: 0, {"x": values})
    assert table["x"].dtype.kind == kind
    texts = {True: "true", False: "false", None: "null"}
    wanted = [texts.get(x, str(x)) if isinstance(x, (bool, type(None))) else str(x) for x in values]
    np.testing.assert_array_equal(table["x"], wanted if kind == "U" else values)


def test_whole_numbers_of_400_digits_are_points_too():
    digits = scan(lambda x: len(str(x)), {"x": [10**400 - 1, 1 - 10**400]})
    np.testing.assert_array_equal(digits["value"], [400, 401])
    for x in (10**400, -(10**400)):
        with pytest.raises(ValueError, match="`grid` must have whole numbers below 1e400, but `x` has about "):
            scan(lambda x: 0, {"x": x})


def test_results_without_entries_stay_empty():
    table = scan(lambda x: {"none": [], "some": np.zeros((2, 0))}, {"x": [1, 2]})
    assert table["none"].shape == (2, 0)
    assert table["some"].shape == (2, 2, 0)


def test_a_whole_names_its_function_and_version():
    for function in (product, functools.partial(product), functools.partial(functools.partial(product))):
        assert scan(function, {"x": [1], "y": [1]}).attrs == {"function": "product", "tsode": tsode.__version__}
    assert scan(batched(product_of_points), {"x": [1]}).attrs["function"] == "product_of_points"
    assert scan(Called(), {"x": [1]}).attrs["function"] == "Called"


def product_of_points(points):
    return [0 for point in points]


class Called:
    def __call__(self, x):
        return x


def test_pairs_name_dimensions_only_by_strings():
    table = scan(lambda x: {"pair": (x, x), "named": (("t",), [x, x])}, {"x": [1, 2]})
    assert table["pair"].dims == ("x", "pair_axis0")
    assert table["named"].dims == ("x", "t")
    np.testing.assert_array_equal(table["pair"], [[1, 1], [2, 2]])


def test_dicts_arrays_strings_and_named_dimensions():
    def several(x):
        return {"number": x, "word": "a" * x, "flag": x > 1, "rows": np.full((2, x), x), "named": ("run", [x, x])}

    with pytest.warns(RuntimeWarning, match="'rows' with 1 to 3 entries along 'rows_axis1': shorter ones ar") as caught:
        table = tsode.scan(several, {"x": [1, 3]}, n_jobs=1)
    assert caught[0].filename == __file__  # where the scan was called
    assert table["number"].dtype == np.int64
    assert list(table["word"].values) == ["a", "aaa"]
    assert table["flag"].dtype == bool
    assert table["rows"].dims == ("x", "rows_axis0", "rows_axis1")
    np.testing.assert_array_equal(table["rows"][0], [[1, np.nan, np.nan]] * 2)
    assert table["named"].dims == ("x", "run")


def test_a_result_may_bear_a_name_of_the_grid():
    table = scan(lambda x: {"x": x + 1, "y": ("x", [x])}, {"x": [1, 2]})
    np.testing.assert_array_equal(table["x_"], [2, 3])
    assert table["y"].dims == ("x", "x_")


def test_trajectories_are_labelled_as_their_own_dataset():
    def solve(p, learning_rate):
        model = tsode.TeacherStudent(p, 1, learning_rate)
        return tsode.integrate(model, tsode.Overlaps.random(model, 100, rng=0), np.linspace(0, 20, 11))

    with pytest.warns(RuntimeWarning, match="with 1 to 2 entries along '(student|student_2)'"):
        table = scan(solve, {"p": [1, 2], "learning_rate": [0.1, 5.0]})
    one = solve(2, 0.1)
    same = one.to_xarray()
    part = table.sel(p=2, learning_rate=0.1)
    for name in ("M", "Q", "loss", "excess_loss", "status", "stopped_at"):
        assert part[name].dims == same[name].dims
        np.testing.assert_array_equal(part[name], same[name])
    np.testing.assert_array_equal(table["alpha"], one.alpha)
    assert list(table["status"].values.ravel()) == ["completed", "diverged"] * 2
    assert np.isnan(table["loss"].sel(learning_rate=5.0)[:, -1]).all()
    assert np.isnan(table["M"].sel(p=1, learning_rate=0.1)[:, 1]).all()  # there is no second row
    assert '"noise_variance": 0.0' in part["header"].item()


def test_runs_and_times_of_their_own():
    def run(x, seed):
        return tsode.simulate(tsode.TeacherStudent(2, 1, 0.2), None, [0.0, 0.1 * x], N=100, runs=2, seed=seed)

    table = scan(run, {"x": [1, 2]})
    assert table["loss"].dims == ("x", "run", "alpha")
    np.testing.assert_allclose(table["time"], [[0, 0.1], [0, 0.2]])


# zarr remarks on its format's future at every string
@pytest.mark.filterwarnings("ignore:.*Zarr V3 specification", "ignore:Consolidated metadata")
@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_whole_goes_to_a_file_and_back(suffix, tmp_path):
    def fate(p, constraint, slope):
        if p == 1:
            raise ValueError("no")
        return {"loss": p * slope, "status": "completed", "flag": True, "M": np.ones((2, p))}

    grid = {"p": [1, 2, 3], "constraint": ["free", "spherical"], "slope": [0.1 + 0.2]}
    with pytest.warns(RuntimeWarning, match="'M' with 2 to 3 entries"):
        table = scan(fate, grid, on_error="record")
    path = tmp_path / f"whole.{suffix}"
    if suffix == "nc":
        table.to_netcdf(path, engine="h5netcdf")
        with xarray.open_dataset(path, engine="h5netcdf") as file:
            back = file.load()
    else:
        pytest.importorskip("zarr")
        table.to_zarr(path)
        back = xarray.open_zarr(path).load()
    assert back.equals(table)
    assert back.attrs == table.attrs
    assert failures(back) == failures(table)


# --- bad input


@pytest.mark.parametrize(  # what is not in bad_inputs
    ("function", "grid", "options", "error", "message"),
    [
        (product, {"x": [1], "y": [1], "z": [1]}, {}, TypeError, "but names x, y, z: got an unexpected keyword"),
        (product, [], {}, ValueError, "`grid` must hold at least one name and one point, but is empty"),
        (product, {1: [1]}, {}, TypeError, "`grid` must have names of parameters as keys, but has 1"),
        (product, "xy", {}, TypeError, "`grid` must be a dict of values or a list of dicts, but is str"),
        (product, [{"x": 1}, {"y": 1}], {}, ValueError, "`grid` must have points of equal names"),
        (product, [1], {}, TypeError, "`grid` must be a dict of values or a list of dicts, but holds a int"),
        (product, [{"point": 1}], {}, ValueError, "`grid` must not use the name 'point'"),
        (product, {"x": [1], "y": [1]}, {"n_jobs": 1.5}, ValueError, "`n_jobs` must be a whole number, but is 1.5"),
        (lambda x: {}, {"x": [1]}, {}, TypeError, "`function` must return .*, but returned no value"),
        (lambda x: [[1], [1, 2]], {"x": [1]}, {}, TypeError, "but returned list as 'value'"),
        (lambda x: {"a": ("t", [[1]])}, {"x": [1]}, {}, ValueError, "must return 'a' with 2 different names of dim"),
        (lambda x: {"a": (("t", "t"), [[1]])}, {"x": [1]}, {}, ValueError, "must return 'a' with 2 different names"),
        (lambda x: {"a": ("a", [1])}, {"x": [1]}, {}, ValueError, "must return 'a' with 1 different .* none its own"),
        (lambda x: [1] if x else 1, {"x": [0, 1]}, {}, ValueError, "'value' with the same dimensions at every point"),
    ],
)  # fmt: skip
def test_bad_input_is_named(function, grid, options, error, message):
    with pytest.raises(error, match=message):
        scan(function, grid, **options)


def test_what_comes_after_the_grid_is_named(tmp_path):
    with pytest.raises(TypeError, match="positional argument"):
        tsode.scan(product, {"x": [1], "y": [1]}, tmp_path)


def test_path_that_is_a_file_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    calls = []
    with pytest.raises(OSError, match="file"):
        scan(lambda x: calls.append(x) or x, {"x": [1]}, path=tmp_path / "file")
    assert calls == []


# --- batches, threads, progress


def test_batches_are_consecutive_kept_and_resumed_together(tmp_path):
    batches = []

    def squares(points):
        batches.append([point["x"] for point in points])
        return [point["x"] ** 2 for point in points]

    table = scan(batched(squares, size=4), {"x": range(10)}, path=tmp_path)
    np.testing.assert_array_equal(table["value"], np.arange(10) ** 2)
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(list((tmp_path / "points").iterdir())) == 3
    next((tmp_path / "points").iterdir()).unlink()
    again = scan(batched(squares, size=4), {"x": range(10)}, path=tmp_path)
    assert again.identical(table)
    assert len(batches) == 4


def test_failing_points_of_a_batch_are_found():
    def picky(points):
        if any(point["x"] == 3 for point in points):
            raise ValueError("three")
        return [point["x"] for point in points]

    table = scan(batched(picky, size=4), {"x": range(6)}, on_error="record")
    np.testing.assert_array_equal(table["value"], [0, 1, 2, np.nan, 4, 5])
    assert failures(table) == [{"point": {"x": 3}, "error": "ValueError: three"}]

    def all_fail(points):
        raise ValueError(*(point["x"] for point in points))

    with pytest.raises(ValueError, match=r"^4$") as caught:  # of several the first is named
        scan(batched(all_fail, size=3), {"x": [4, 5, 6]})
    assert str(caught.value.__cause__).startswith("at x = 4\n")
    with pytest.raises(ValueError, match="must return one result for each of 1 points, but returned 2"):
        scan(batched(lambda points: [1, 2], size=1), {"x": [1]})
    for wrong, error in (((3,), TypeError), ((product, 0), ValueError)):
        with pytest.raises(error):
            batched(*wrong)


def threads(x):
    blas = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {"blas": max(blas), "numba": numba.get_num_threads()}


@pytest.mark.parametrize("options", [{"n_jobs": 1}, {"n_jobs": 2}, {"n_jobs": 2, "backend": "threading"}])
def test_points_have_one_thread_and_what_was_set_is_restored(options):
    backend = options.pop("backend", None)
    with threadpoolctl.threadpool_limits(2), joblib.parallel_config(**({"backend": backend} if backend else {})):
        before = threads(0)
        table = scan(threads, {"x": range(20)}, **options)
        assert (table["blas"] == 1).all()
        assert (table["numba"] == 1).all()
        assert threads(0) == before


def test_minus_one_stands_for_all_cores_and_minus_two_for_nothing():
    with joblib.parallel_config(backend="threading"):
        assert scan(product, {"x": [1, 2], "y": [3]}, n_jobs=-1)["value"].values.tolist() == [[3], [6]]
    with pytest.raises(ValueError, match="`n_jobs` must be a number of processes, or -1 for one a core, but is -2"):
        scan(product, {"x": [1, 2], "y": [3]}, n_jobs=-2)


def test_no_progress_bar_in_a_pipe(capsys):
    scan(product, {"x": [1, 2], "y": [1]}, progress=True)
    assert capsys.readouterr() == ("", "")


def test_progress_bar_starts_where_the_folder_ends(tmp_path, monkeypatch):
    """By points, also where batches hold several; nothing is drawn where all are there, or nobody wants it."""
    ten = batched(lambda points: [10 * point["x"] for point in points], size=2)
    shown = []
    for count, progress in ((4, True), (6, True), (10, False), (10, True)):
        monkeypatch.setattr(sys, "stderr", Terminal())
        scan(ten, {"x": range(count)}, path=tmp_path, progress=progress)
        shown.append([line.strip() for line in sys.stderr.getvalue().replace("\n", "\r").split("\r") if line.strip()])
    first, second, unwanted, nothing = shown
    assert "| 0/4 [" in first[0]
    assert "| 4/4 [" in first[-1]
    assert "| 4/6 [" in second[0]
    assert "| 6/6 [" in second[-1]
    assert unwanted == nothing == []


@pytest.mark.parametrize("keep", [True, False])
def test_interrupted_scan_says_how_far_it_came(keep, tmp_path):
    def interrupted(x):
        if x == 3:
            raise KeyboardInterrupt
        return x

    path = tmp_path if keep else None
    with pytest.raises(KeyboardInterrupt) as caught:
        scan(interrupted, {"x": range(5)}, path=path)
    why = f"the same call goes on from {tmp_path}" if keep else "nothing is kept without `path`"
    assert str(caught.value) == f"interrupted after 3 of 5 points; {why}"
    assert len(list(tmp_path.glob("points/*.npz"))) == (3 if keep else 0)


@pytest.mark.slow
def test_import_leaves_the_extra_alone():
    late = {"joblib", "xarray", "dask", "matplotlib", "pandas", "scipy.stats", "scipy.optimize"}
    code = f"import sys, tsode; print({late} & set(sys.modules)); tsode.plot"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"scan needs xarray: pip install tsode\[scan\]"):
        scan(product, {"x": [1], "y": [1]})


def test_data_arrays_keep_names_dimensions_and_coordinates():
    """Of axes that differ from point to point each point keeps its own; one that goes on is joined."""
    xarray = pytest.importorskip("xarray")

    def density(x):
        at = {"bin": [0.5, 1.5, 4.0], "side": ("bin", ["l", "l", "r"])}
        return xarray.DataArray(x * np.ones(3), dims="bin", coords=at, name="density")

    table = scan(density, {"x": [1, 2]})
    assert (list(table), table["density"].dims) == (["density", "side"], ("x", "bin"))
    np.testing.assert_array_equal(table["density"].sel(bin=4.0), [1, 2])
    np.testing.assert_array_equal(table["side"][1], ["l", "l", "r"])
    table = scan(lambda x: {"a": density(x), "b": 2 * density(x)}, {"x": [1, 2]})  # on the same axis
    np.testing.assert_array_equal(table["b"], 2 * table["a"])
    table = scan(
        lambda x: {"a": density(x), "b": xarray.DataArray([x] * x, dims="n", coords={"n": range(x)})}, {"x": [1, 3]}
    )
    np.testing.assert_array_equal(table["b"].sel(x=1), [1, np.nan, np.nan])
    np.testing.assert_array_equal(table["n"], range(3))
    table = scan(lambda x: xarray.Dataset({"f": ("k", [x, x])}, coords={"k": [x, 2 * x]}), {"x": [1, 3]})
    np.testing.assert_array_equal(table["k_of_point"], [[1, 2], [3, 6]])

    def torn(x):
        return {"a": density(x), "b": xarray.DataArray([1, 2, 3], dims="bin", coords={"bin": [0, 1, 2]})}

    with pytest.raises(ValueError, match="`function` must return one array of the name 'bin', but returned two"):
        scan(torn, {"x": [1]})

"""Results are functions of the seed alone, wherever they are computed; different runs and points share no numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bits
import joblib
import nbformat
import numba
import numpy as np
import pytest
import threadpoolctl
from scipy import stats

import tsode

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def here():
    return bits.digests()


# --- the same bits everywhere


def run(*command, **environment):
    found = subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


def test_digests_tell_results_apart(here):
    assert len(set(here.values())) == len(here)
    model = bits.NOISY["general"]
    first, second = (tsode.simulate(model, None, [0.0, 0.1], N=50, seed=seed) for seed in (0, 1))
    assert bits.digest(first) != bits.digest(second)


@pytest.mark.slow
def test_another_process_on_another_number_of_threads(here):
    found = {numba.get_num_threads(), *(pool["num_threads"] for pool in threadpoolctl.threadpool_info())}
    threads = "1" if 1 not in found else "2" if 2 not in found else "3"
    names = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
    assert json.loads(run(FOLDER / "bits.py", **dict.fromkeys(names, threads))) == here


def test_worker_of_joblib(here):
    assert joblib.Parallel(n_jobs=2)([joblib.delayed(bits.digests)()]) == [here]


@pytest.mark.slow
def test_kernel_of_a_notebook(here, tmp_path):
    cell = nbformat.v4.new_code_cell("import json\nimport bits\nprint(json.dumps(bits.digests()))")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "tiny.ipynb")
    run(FOLDER / "notebook_run.py", tmp_path / "tiny.ipynb", FOLDER, tmp_path / "executed.ipynb")
    (output,) = nbformat.read(tmp_path / "executed.ipynb", as_version=4).cells[0].outputs
    assert json.loads(output.text) == here


def test_scan_of_both_engines_serial_and_in_processes():
    serial = tsode.scan(bits.point, bits.GRID, n_jobs=1)
    assert serial.identical(tsode.scan(bits.point, bits.GRID, n_jobs=2))
    assert len(np.unique(serial["Q"][..., -1, 0, 1])) == 4 * 17


@pytest.mark.parametrize("N", [6, 8, 30])
def test_run_of_the_chain_does_not_depend_on_its_neighbours(N):
    """At small N a run of a group often draws its chi-squared number again, and the others do not."""
    model = bits.NOISY["general"].replace(learning_rate=0.02)
    many = tsode.simulate(model, None, [0.0, 20.0], N=N, runs=40, seed=1)
    few = tsode.simulate(model, None, [0.0, 20.0], N=N, runs=3, seed=1)
    np.testing.assert_array_equal(many.Q[:3], few.Q)
    np.testing.assert_array_equal(many.M[:3], few.M)


# --- streams without correlations

SAMPLES = 192
MODEL = tsode.TeacherStudent(3, 2, learning_rate=1e-3, noise_variance=0.1)  # so slow that the steps are equally likely
N = 20


def steps(engine, seed=0, runs=1, learning_rate=1e-3):
    """The change of tr Q by each of the first samples, in ranks: shape (runs, SAMPLES), mean 0 and variance 1.

    All runs have the same weights at the start, so that the same inputs would give the same steps.
    """
    model = MODEL.replace(learning_rate=learning_rate)
    weights = tsode.Overlaps.random(model, N, rng=0).realise(N, rng=0)
    sgd = tsode.simulate(model, weights, np.arange(SAMPLES + 1) / N, N=N, runs=runs, seed=seed, engine=engine)
    ranks = stats.rankdata(np.diff(np.trace(sgd.Q, axis1=2, axis2=3), axis=1), axis=1)
    return (ranks - ranks.mean()) / ranks.std()


def first_steps(learning_rate, engine, seed):
    return {"steps": steps(engine, seed, learning_rate=learning_rate)[0]}


def correlations(series):
    """Correlations of all pairs of series at all lags that leave half of them, in standard errors: (pairs, lags)."""
    samples = series.shape[1]
    spectra = np.fft.rfft(series, 2 * samples)
    i, j = np.triu_indices(len(series), 1)
    lags = np.arange(-(samples // 2), samples // 2 + 1)
    return np.fft.irfft(spectra[i].conj() * spectra[j])[:, lags] / np.sqrt(samples - np.abs(lags))


def assert_uncorrelated(series):
    """Two tests, with a false alarm in 1 of 5000 seeds each.

    No correlation is above the Bonferroni bound of all pairs and lags: a stream that another one repeats, even shifted
    by half of the samples, would stand at 11 standard errors. And the mean square of those at lag 0 is 1, which weak
    correlations of many streams would raise.
    """
    found = correlations(series)
    assert np.abs(found).max() < stats.norm.isf(1e-4 / found.size)
    together = found[:, series.shape[1] // 2]
    assert abs(np.mean(together**2) - 1) < 3.7 * np.sqrt(2 / len(together))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_runs_of_near_seeds_are_uncorrelated(engine):
    """32 streams: 8 runs of each of 4 seeds, which a generator seeded with seed + run would mix up."""
    assert_uncorrelated(np.concatenate([steps(engine, seed, runs=8) for seed in range(4)]))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_near_points_of_a_scan_are_uncorrelated(engine):
    grid = {"learning_rate": 1e-3 * (1 + 1e-9 * np.arange(32)), "engine": [engine]}
    assert_uncorrelated(tsode.scan(first_steps, grid, n_jobs=1)["steps"].values.reshape(-1, SAMPLES))


@pytest.mark.quick(1)
@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_parts_of_a_study_are_uncorrelated(engine):
    """The runs from the one start and those from random weights, for two seeds; every sample is a record."""
    series = []
    for seed in (0, 1):
        study = tsode.study(MODEL, N, runs=4, alpha_max=240 / N, seed=seed, engine=engine)
        for size in (np.sum(np.square(study.sgd.M), axis=(2, 3)), study.escapes.size[:8]):
            assert size.shape[1] == 241
            change = np.diff(size, axis=1)
            ranks = stats.rankdata(change, axis=1)
            series.append((ranks - ranks.mean()) / ranks.std())
    assert_uncorrelated(np.concatenate(series))


def test_copied_and_weakly_correlated_streams_are_found():
    rng = np.random.default_rng(0)
    series = rng.standard_normal((48, 2 * SAMPLES))
    assert_uncorrelated(series[:, :SAMPLES])
    shifted = np.vstack([series[:, :SAMPLES], series[:1, SAMPLES // 2 : -SAMPLES // 2]])
    mixed = series[:, :SAMPLES] + 0.4 * rng.standard_normal(SAMPLES)
    for wrong in (shifted, mixed):
        with pytest.raises(AssertionError):
            assert_uncorrelated(wrong)

"""What is kept of runs up to their escape: tr M M^T alone, to the bit that of whole trajectories."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import tsode
from tsode.escapes import Escapes
from tsode.sgd import escape_runs

MODEL = tsode.TeacherStudent(p=3, p_star=2, learning_rate=0.4, noise_variance=0.1)
ALPHA = np.linspace(0.0, 15.0, 61)


@pytest.mark.parametrize(("engine", "N", "runs"), [("chain", 100, 19), ("weights", 40, 3), ("diffusion", 400, 4)])
def test_sizes_are_those_of_whole_runs_up_to_the_escape(engine, N, runs):
    whole = tsode.simulate(MODEL, None, ALPHA, N=N, runs=runs, seed=5, engine=engine)
    found = escape_runs(MODEL, N, ALPHA, 0.3, runs, 5, engine)
    sizes = np.sum(np.square(whole.M), axis=(2, 3))
    for run in range(runs):
        first = np.argmax(sizes[run] > 0.3) if (sizes[run] > 0.3).any() else len(ALPHA) - 1
        np.testing.assert_array_equal(found.size[run, : first + 1], sizes[run, : first + 1])
        assert np.isnan(found.size[run, first + 1 :]).all()
        assert found.stopped_at[run] == ALPHA[first]
    assert set(found.status) <= {"reached", "completed"}
    np.testing.assert_array_equal(tsode.escape_time(found, 0.3), tsode.escape_time(whole, 0.3))
    assert (found.N, found.seed, found.engine, found.runs) == (N, 5, whole.engine, runs)


def test_memory_of_wide_runs_is_far_below_that_of_their_overlaps():
    """Whole trajectories would take 160 MB."""
    wide = tsode.TeacherStudent(p=100, p_star=2, learning_rate=1.0)
    tracemalloc.start()
    escape_runs(wide, 200, np.linspace(0.0, 1.0, 201), 10.0, runs=10, seed=0)
    assert tracemalloc.get_traced_memory()[1] < 16e6
    tracemalloc.stop()


def test_a_study_takes_whole_runs_and_reads_files_that_have_them(tmp_path):
    """As files of before do."""
    study = tsode.study(MODEL, N=100, runs=2, alpha_max=10.0)
    whole = tsode.simulate(
        MODEL, None, study.escapes.alpha, N=100, runs=16, seed=np.random.SeedSequence(study.escapes.seed)
    )
    parts = {"ode": study.ode, "sgd": study.sgd, "escapes": whole}
    arrays = {f"{part}.{name}": array for part, one in parts.items() for name, array in one.to_arrays().items()}
    np.savez(tmp_path / "study.npz", **arrays)
    given, loaded = tsode.Study(**parts), tsode.Study.load(tmp_path)
    for again in (given, loaded):
        np.testing.assert_array_equal(again.escapes.size, np.sum(np.square(whole.M), axis=(2, 3)))
        assert again.escapes.status.tolist() == ["completed"] * 16
        assert again.results == given.results
    name = "escape time from random weights"
    assert given.results[name] == tsode.Study(study.ode, study.sgd, Escapes.of(whole)).results[name]


def test_escapes_that_do_not_fit_are_refused():
    found = escape_runs(MODEL, 50, ALPHA[:3], 0.3, 2, 0)
    arrays = found.to_arrays()
    again = Escapes.from_arrays(arrays)
    np.testing.assert_array_equal(again.size, found.size)
    assert repr(again) == repr(found)
    for changes, refusal in (
        ({"size": found.size[0]}, r"`size` must have shape \(runs, 3\), but has shape \(3,\)"),
        ({"status": np.array("reached")}, "`status` must"),
        ({"stopped_at": np.array([np.nan, 1.0])}, "`stopped_at` must be finite"),
        ({"alpha": found.alpha[::-1]}, "`alpha` must be strictly increasing"),
    ):
        with pytest.raises((TypeError, ValueError), match=refusal):
            Escapes.from_arrays({**arrays, **changes})
    with pytest.raises(ValueError, match="'size' is missing"):
        Escapes.from_arrays({name: array for name, array in arrays.items() if name != "size"})
    with pytest.raises(TypeError, match="`trajectory` must be a Trajectory, but is Escapes"):
        tsode.escape_time(found, loss_fraction=0.5)


WIDE = """
import resource, sys, tsode
model = tsode.TeacherStudent(p=200, p_star=2, learning_rate=20.0)
study = tsode.study(model, N=400, runs=8)
print(study)
study.save(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_loss_part_by_part_is_that_of_the_whole(monkeypatch):
    """Of runs with a readout each, and of one solution; parts end within runs."""
    rng = np.random.default_rng(0)
    M, Q, readout = (rng.standard_normal((3, 5, 3, *last)) for last in ((2,), (3,), ()))
    whole = [MODEL.excess_loss(M, Q, readout), MODEL.excess_loss(M[0], Q[0]), MODEL.excess_loss(M[0, 0], Q[0, 0])]
    for module in ("tsode._loss", "tsode._parts"):
        monkeypatch.setattr(f"{module}.LARGEST", 8)
    parts = [MODEL.excess_loss(M, Q, readout), MODEL.excess_loss(M[0], Q[0]), MODEL.excess_loss(M[0, 0], Q[0, 0])]
    for wanted, found in zip(whole, parts):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the peak is in other units")
def test_a_study_of_200_units_takes_less_than_2_GB(tmp_path):
    """N = 400: its memory does not depend on N."""
    run = subprocess.run([sys.executable, "-c", WIDE, tmp_path], capture_output=True, text=True, check=True)
    assert int(run.stdout.splitlines()[-1]) < 2e9

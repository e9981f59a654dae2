import json
import os
import pickle

import numpy as np
import pytest
from models import generic_start

import tsode


@pytest.fixture(params=["ode", "sgd"])
def trajectory(request, model, start):
    if request.param == "ode":
        return tsode.integrate(model, start, 2.0)
    return tsode.simulate(model, start, 2.0, N=64, runs=3, seed=8, engine="weights")


def test_save_and_load_give_back_everything(trajectory, tmp_path):
    path = trajectory.save(tmp_path / "run")
    assert path.name == "run.npz"
    loaded = tsode.Trajectory.load(path)
    for name in ("alpha", "M", "Q", "loss", "stopped_at", "status"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(trajectory, name))
    for name in ("model", "N", "seed", "engine", "versions", "runs"):
        assert getattr(loaded, name) == getattr(trajectory, name)
    assert isinstance(loaded.status, str) == (trajectory.runs is None)
    assert os.listdir(tmp_path) == ["run.npz"]


def test_save_takes_no_other_suffix(trajectory, tmp_path):
    assert trajectory.save(tmp_path / "RUN.NPZ") == tmp_path / "RUN.NPZ"
    assert tsode.Trajectory.load(tmp_path / "RUN.NPZ").model == trajectory.model
    with pytest.raises(ValueError, match=r"end in \.npz.*'\.nc'; `to_xarray\(\)\.to_netcdf"):
        trajectory.save(tmp_path / "run.nc")
    assert os.listdir(tmp_path) == ["RUN.NPZ"]


def test_failed_save_leaves_nothing_behind(tmp_path, monkeypatch):
    model = tsode.TeacherStudent(2, 1, 0.1)
    trajectory = tsode.integrate(model, generic_start(model), 1.0)
    path = trajectory.save(tmp_path / "run.npz")
    before = path.read_bytes()

    def full_disk(file, array, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full_disk)
    with pytest.raises(OSError, match="No space left"):
        trajectory.save(path)
    assert os.listdir(tmp_path) == ["run.npz"]
    assert path.read_bytes() == before


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_load_refuses_what_it_did_not_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tsode.TeacherStudent(2, 1, 0.1)
    trajectory = tsode.integrate(model, generic_start(model), 1.0)
    whole = trajectory.save("whole.npz").read_bytes()
    arrays = trajectory.to_arrays()
    newer = {**json.loads(str(arrays["header"])), "format": 99}
    cases = {
        "empty.npz": b"",
        "half.npz": whole[: len(whole) // 2],
        "text.npz": b"alpha,M,Q\n",
        "pickle.npz": pickle.dumps(Bomb()),
    }
    for name, content in cases.items():
        with open(name, "wb") as file:
            file.write(content)
    np.savez("foreign.npz", x=np.zeros(3))
    np.savez("object.npz", **{**arrays, "alpha": np.array([Bomb()], dtype=object)})
    np.savez("newer.npz", **{**arrays, "header": np.array(json.dumps(newer))})
    for name in (*cases, "foreign.npz", "object.npz", "newer.npz"):
        with pytest.raises(ValueError, match=f"`path` must be a complete file of tsode, but {name} is not"):
            tsode.Trajectory.load(name)
    assert not os.path.exists("exploded")
    with pytest.raises(FileNotFoundError):
        tsode.Trajectory.load("absent.npz")


def test_to_xarray_names_everything(trajectory):
    data = trajectory.to_xarray()
    lead = () if trajectory.runs is None else ("run",)
    assert data.M.dims == (*lead, "alpha", "student", "teacher")
    np.testing.assert_array_equal(data.excess_loss, trajectory.excess_loss)
    np.testing.assert_array_equal(data.alpha, trajectory.alpha)
    assert tsode.TeacherStudent(**json.loads(data.attrs["model"])) == trajectory.model


def test_overlaps_of_one_time(trajectory):
    run = None if trajectory.runs is None else 1
    end = trajectory.overlaps(-1, run=run)
    np.testing.assert_array_equal(end.M, trajectory.M[-1] if run is None else trajectory.M[1, -1])
    with pytest.raises(ValueError, match="`run` must"):
        trajectory.overlaps(-1, run=None if run else 0)


def test_loss_includes_half_the_noise(trajectory):
    np.testing.assert_allclose(trajectory.loss - trajectory.excess_loss, trajectory.model.noise_variance / 2)


def test_repr_is_for_people(trajectory):
    text, html = repr(trajectory), trajectory._repr_html_()
    assert "completed" in text
    assert "final excess loss" in text
    assert html.startswith("<table>")
    assert "completed" in html


def test_recorded_seed_gives_the_same_run_again():
    model = tsode.TeacherStudent(2, 1, 0.1)
    parent = np.random.SeedSequence(3)
    for seed in (5, parent, parent.spawn(2)[1], np.random.default_rng(1), None):
        sgd = tsode.simulate(model, None, [0.0, 1.0], N=50, runs=2, seed=seed)
        again = tsode.simulate(model, None, [0.0, 1.0], N=50, runs=2, seed=np.random.SeedSequence(sgd.seed))
        np.testing.assert_array_equal(again.Q, sgd.Q)

import base64
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from models import all_of

import tsode
from tsode import cli
from tsode.sgd import chain

FILES = ["study.html", "study.npz", "study.png", "summary.json"]


@pytest.fixture(scope="module")
def result():
    model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4, noise_variance=0.05)
    return tsode.study(model, N=1500, runs=6, seed=2)


def test_study_agrees_with_theory(result):
    """The plateau's loss within 6 % on ODE and SGD: at N = 1500 the escape begins before the norms have settled."""
    found = result.results["plateau excess loss"]
    assert found["ode"] == pytest.approx(found["theory"], rel=0.06)
    assert found["sgd"] == pytest.approx(found["theory"], rel=0.06)
    final = result.results["final excess loss"]
    assert final["ode"] < 0.05 * found["theory"]
    assert abs(final["sgd"] - final["ode"]) < 5 * final["sgd_error"] + 0.2 * final["ode"]
    assert np.array_equal(result.ode.alpha, result.sgd.alpha)
    assert np.abs(result.sgd.Q[:, 0] - result.ode.Q[0]).max() < 1e-12


def test_deviations_are_those_of_the_definition(result):
    ode, sgd = result.ode, result.sgd
    error = sgd.M.std(axis=0, ddof=1)[1:] / np.sqrt(6)
    largest = np.max(np.abs(sgd.M.mean(axis=0) - ode.M)[1:] / error)
    assert result.results["largest deviation of M (standard errors)"]["sgd"] == pytest.approx(largest)


def test_seed_makes_start_runs_and_escapes():
    """Another seed, another start; the start is that of the ODE and of all runs, those from random weights differ."""
    model = tsode.TeacherStudent(3, 2, 0.2)
    first, second = (tsode.study(model, N=40, runs=3, alpha_max=2.0, seed=seed) for seed in (0, 1))
    for study in (first, second):
        np.testing.assert_array_equal(study.sgd.Q[:, 0], np.broadcast_to(study.sgd.Q[0, 0], (3, 3, 3)))
        np.testing.assert_allclose(study.sgd.M[0, 0], study.ode.M[0], atol=1e-12)
        sizes = study.escapes.size[:, 0]
        assert len(np.unique(sizes)) == study.escapes.runs
        assert not np.isclose(sizes, np.square(study.ode.M[0]).sum(), rtol=1e-9).any()
    assert not np.isin(first.escapes.size, second.escapes.size).any()
    for part in ("ode", "sgd"):
        assert not np.any(getattr(first, part).Q[..., 0, 0, 0] == getattr(second, part).Q[..., 0, 0, 0])


@pytest.mark.parametrize(("engine", "many"), [("chain", 24), ("weights", 3), ("diffusion", 24)])
def test_engine_dimension_and_runs_are_those_asked_for(engine, many):
    result = tsode.study(tsode.TeacherStudent(2, 1, 0.3), N=200, runs=3, alpha_max=2.0, engine=engine)
    assert (result.sgd.runs, result.escapes.runs) == (3, many)
    for part in (result.sgd, result.escapes):
        assert part.engine.startswith(f"sgd, {engine}")
        assert part.N == 200
        np.testing.assert_allclose(part.alpha * 200, np.rint(part.alpha * 200), atol=1e-9)  # whole samples
    assert result.ode.alpha[[0, -1]].tolist() == result.escapes.alpha[[0, -1]].tolist() == [0.0, 2.0]
    np.testing.assert_array_equal(result.ode.alpha, result.sgd.alpha)


def test_default_times_show_the_whole_story(result):
    """The ODE's loss has settled, 1 in 10 000 runs is still on the plateau, and nothing is run for much longer."""
    law, threshold = result.escape
    times = tsode.escape_time(result.escapes, threshold)
    assert np.isfinite(times).all()
    assert law.sf(result.escapes.alpha[-1]) == pytest.approx(1e-4, rel=0.05)
    assert result.summary()["alpha_max"] == result.sgd.alpha[-1] > result.escapes.alpha[-1]
    assert len(result.ode.alpha) == 241
    longer = tsode.integrate(result.model, result.ode.overlaps(0), [0.0, 10 * result.ode.alpha[-1]]).excess_loss
    lost = result.ode.excess_loss[0] - result.ode.excess_loss
    assert lost[-1] > 0.98 * (longer[0] - longer[-1])
    settled = result.ode.alpha[np.argmax(lost > 0.98 * lost[-1])]
    assert 1.2 * settled < result.ode.alpha[-1] <= max(1.5 * settled, law.ppf(0.9999) + 1)


def test_default_times_without_an_escape():
    """A stuck student is shown for 8 natural times, and a diverging one up to where it diverges."""
    stuck, diverging = (tsode.TeacherStudent(2, 8, rate) for rate in (0.5, 0.8))
    result = tsode.study(stuck, N=50, runs=2)
    assert result.ode.status == "completed"
    assert result.ode.alpha[-1] == pytest.approx(8 * 16 / 0.5, abs=0.01)  # in units of 1 / (eta v v*)
    result = tsode.study(diverging, N=5000, runs=2)
    assert result.ode.status == "diverged"
    assert 120 < len(result.ode.alpha) < 241
    assert f"The ODE diverged at alpha = {result.ode.stopped_at:.4g}." in repr(result)


@pytest.mark.parametrize("readouts", [[0.6, 0.4], [0.5, 0.3, 0.2]])
def test_default_times_without_a_law_end_soon_after_the_loss_has_fallen(readouts):
    """At 1.3 times the time at which the ODE has lost 98 % of what it loses in 100 times as long."""
    model = tsode.TeacherStudent(len(readouts), 1, 0.2, student_readout=readouts)
    result = tsode.study(model, N=200, runs=2)
    assert result.escape[0] is None
    end = result.ode.alpha[-1]
    loss = tsode.integrate(model, result.ode.overlaps(0), [0, end / 1.3, 100 * end]).excess_loss
    assert (loss[0] - loss[1]) / (loss[0] - loss[2]) == pytest.approx(0.98, abs=0.004)


def test_default_times_wait_for_the_last_escape():
    """One unit escapes late where it begins by chance across the teacher: long after the ODE from this start."""
    result = tsode.study(tsode.TeacherStudent(1, 1, 0.05), N=200, runs=2)
    law, threshold = result.escape
    last = result.escapes.alpha[-1]
    assert law.sf(last) == pytest.approx(1e-4, rel=0.05)
    assert last > 2 * tsode.escape_time(result.ode, threshold)


@pytest.mark.slow
def test_save_and_load(result, tmp_path, monkeypatch):
    figures, real = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **options: figures.append(self) or real(self, *a, **options)
    )
    paths = result.save(tmp_path / "deep" / "folder")
    loss, *others = ([band.get_label() for band in ax.collections] for ax in figures[0].axes)
    assert "one standard deviation, N = 1,500" in loss
    assert not any("deviation" in label for labels in others for label in labels)
    assert sorted(path.name for path in paths) == FILES
    assert sorted(os.listdir(tmp_path / "deep" / "folder")) == FILES
    whole = (tmp_path / "deep" / "folder" / "study.html").read_text(encoding="utf-8")
    assert result._repr_html_() in whole
    assert f"<title>{repr(result).splitlines()[0]}</title>" in whole
    assert any("plateau" in line.get_label() for line in figures[0].axes[0].lines)
    picture = whole.split("base64,")[1].split('"')[0]
    assert base64.b64decode(picture) == (tmp_path / "deep" / "folder" / "study.png").read_bytes()
    loaded = tsode.Study.load(tmp_path / "deep" / "folder")
    np.testing.assert_array_equal(loaded.sgd.M, result.sgd.M)
    assert loaded.results == result.results
    assert json.loads(paths[2].read_text())["results"] == result.summary()["results"]


@pytest.mark.slow
@all_of(
    {
        "stuck": tsode.TeacherStudent(2, 2, 1.2),
        "spherical": tsode.TeacherStudent(3, 1, 0.3, constraint="spherical"),
        "one unit": tsode.TeacherStudent(1, 2, 0.1),
        "fewer units than the teacher": tsode.TeacherStudent(2, 4, 0.2),
        "diverging": tsode.TeacherStudent(2, 1, 8.0),
    }
)
def test_unusual_models_are_studied_too(model, tmp_path):
    result = tsode.study(model, N=50, runs=2, alpha_max=None if model.p_star == 1 else 10.0)
    assert "theory" in repr(result)
    assert ("diverged at alpha" in repr(result)) == (result.ode.status == "diverged")
    json.dumps(result.summary(), allow_nan=False)
    assert result.save(tmp_path) if model.learning_rate > 1 else result.plot()


@pytest.mark.usefixtures("undrawn")
def test_hessian_command_takes_fewer_units_than_the_teacher(tmp_path):
    assert cli.main(["hessian", "--p", "2", "--p-star", "4", "--out", str(tmp_path)]) == 0


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_plateau_and_escape_are_shown_up_to_the_largest_learning_rate(factor, tmp_path, capsys):
    largest = tsode.plateau(tsode.TeacherStudent(2, 1, 0.1)).max_learning_rate
    arguments = ["study", "--p", "2", "--p-star", "1", "--learning-rate", str(factor * largest), "--dimension", "100"]
    assert cli.main([*arguments, "--runs", "2", "--alpha-max", "1", "--out", str(tmp_path)]) == 0
    printed, summary = capsys.readouterr().out, json.loads((tmp_path / "summary.json").read_text())
    result = tsode.Study.load(tmp_path)
    assert printed.startswith(repr(result))
    rows = {"plateau excess loss", "escape rate", "escape time from this start", "escape time from random weights"}
    why = f"no attracting fixed point above the learning rate {largest:.6g}"
    there = set() if factor > 1 else rows
    assert rows & set(summary["results"]) == rows & set(result.results) == there
    assert {row for row in rows if row in printed} == {row for row in rows if row in result._repr_html_()} == there
    assert summary["no_plateau"] == (why if factor > 1 else None)
    assert (summary["escape_threshold"] is None) == (factor > 1)
    assert (why in printed.splitlines()[1]) == (why in result._repr_html_()) == (factor > 1)
    assert ("Escape: " in printed) == (factor < 1)


def test_escape_agrees_with_the_law(result):
    """The law's mean within 4 standard errors of 48 runs plus 5 %: at N = 1500 the growth is barely exponential."""
    law, threshold = result.escape
    found = result.results["escape time from random weights"]
    assert found["theory"] == pytest.approx(law.mean())
    assert abs(found["sgd"] - found["theory"]) < 4 * law.std() / np.sqrt(48) + 0.05 * found["theory"]
    times = tsode.escape_time(result.escapes, threshold)
    assert found["sgd"] == pytest.approx(times.mean())
    rate = result.results["escape rate"]
    assert rate["theory"] == pytest.approx(tsode.plateau(result.model).escape_rate)
    assert rate["ode"] == pytest.approx(rate["theory"], rel=0.05)


@pytest.mark.slow
def test_end_is_the_solution_closest_to_the_start():
    """At N = 1e4 the ODE picks one 20 times closer to it than random ones are; the rest falls as 1/sqrt(N)."""
    for p in (2, 4):
        model = tsode.TeacherStudent(p=p, p_star=2, learning_rate=0.05 * p)
        results = tsode.study(model, N=10_000, runs=2).results
        chosen, random = (
            results[f"distance of the end's solution to {name}"]["ode"] for name in ("the start's", "random ones")
        )
        assert chosen < 0.05 * random
        late = results["late exponent in alpha, gradient flow" if p == 4 else "late rate, gradient flow"]
        assert late["ode"] == pytest.approx(late["theory"], rel=0.02)


def test_hessians_are_in_the_summary(result):
    hessian = result.summary()["hessian"]
    assert hessian["plateau"]["index"] == 8
    assert hessian["manifold"]["nullity"] == 2 * 1500 + 1
    assert "marginal minimum" in repr(result)
    uneven = tsode.TeacherStudent(2, 1, 0.1, student_readout=[0.5, -0.5])
    assert isinstance(tsode.study(uneven, N=30, runs=2, alpha_max=1.0).summary()["hessian"], str)


@pytest.mark.usefixtures("undrawn")
def test_hessian_command(tmp_path, capsys):
    arguments = ["hessian", "--p", "3", "--p-star", "1", "--out", str(tmp_path)]
    assert cli.main([*arguments, "--ratios", "4", "16", "--sample-dimension", "20"]) == 0
    out, _ = capsys.readouterr()
    assert "saddle" in out
    assert "Empirical Hessians" in out
    assert sorted(os.listdir(tmp_path)) == ["hessian.json", "hessian.png"]
    found = json.loads((tmp_path / "hessian.json").read_text())
    assert found["plateau"]["index"] == 3
    assert found["N"] == 10**6


def test_repr_shows_the_table(result):
    lines = repr(result).splitlines()
    assert lines[1].split() == ["theory", "ODE", "SGD"]
    assert any(line.strip().startswith("plateau excess loss") and "±" in line for line in lines)
    assert "<th>theory</th>" in result._repr_html_()


FLAGS = ["--p", "3", "--p-star", "1", "--learning-rate", "0.2", "--noise-variance", "0.1", "--constraint", "spherical"]
FLAGGED = tsode.TeacherStudent(3, 1, 0.2, 0.1, constraint="spherical")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("engine", ["chain", "weights"])
def test_flags_of_the_study_are_its_arguments(engine, tmp_path, capsys):
    more = ["-N", "60", "--runs", "3", "--alpha-max", "1.5", "--seed", "4", "--engine", engine, "--out", str(tmp_path)]
    assert cli.main(["study", *FLAGS, *more]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found, wanted = tsode.Study.load(tmp_path), tsode.study(FLAGGED, 60, 3, 1.5, seed=4, engine=engine)
    assert found.model == FLAGGED
    for part, array in (("ode", "Q"), ("sgd", "Q"), ("escapes", "size")):
        np.testing.assert_array_equal(*(getattr(getattr(one, part), array) for one in (found, wanted)))
        assert getattr(found, part).engine == getattr(wanted, part).engine
    assert out.startswith(repr(wanted).rstrip())
    assert out.splitlines()[-1] == "written: " + ", ".join(
        str(tmp_path / name) for name in ("study.npz", "study.png", "summary.json", "study.html")
    )


@pytest.mark.usefixtures("undrawn")
def test_flags_of_the_hessian_are_its_arguments(tmp_path, capsys):
    model = tsode.TeacherStudent(3, 3, 0.2, 0.1, constraint="spherical")
    flags = ["--p", "3", "--p-star", "3", "--learning-rate", "0.2", "--noise-variance", "0.1", "--constraint",
             "spherical", "-N", "50", "--ratios", "3", "9", "--sample-dimension", "12", "--seed", "4"]  # fmt: skip
    assert cli.main(["hessian", *flags, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    wanted = tsode.hessian.compare(model, 50)
    assert json.loads((tmp_path / "hessian.json").read_text()) == wanted.to_dict()
    assert repr(wanted) in out
    assert repr(tsode.hessian.convergence(model, 12, [3, 9], seed=4)) in out


def test_a_file_takes_the_place_of_defaults_and_flags_of_the_file(tmp_path, undrawn):
    settings = tmp_path / "settings.toml"
    settings.write_text('p = 3\np-star = 2\ndimension = 50\nconstraint = "spherical"\n')
    assert cli.main(["hessian", "--config", str(settings), "--p", "2", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "hessian.json").read_text())
    wanted = tsode.TeacherStudent(2, 2, 0.4, constraint="spherical")
    assert (found["model"], found["N"]) == (wanted.to_dict(), 50)


@pytest.mark.slow
def test_help_and_module_form(tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main(["study", "--help"])
    printed = capsys.readouterr().out
    for word in ("--dimension", "--learning-rate", "--noise-variance", "--constraint", "--alpha-max", "--seed"):
        assert word in printed
    refused = subprocess.run([sys.executable, "-m", "tsode", "study", "--runs", "1"], capture_output=True, text=True,
                             cwd=tmp_path, check=False)  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr == "tsode: `--runs` must be at least 2, but is 1\n"


@pytest.mark.usefixtures("undrawn")
def test_interrupted_study_keeps_what_it_has(tmp_path, monkeypatch, capsys):
    advance = chain.ChainRuns.advance

    def interrupted(runs, stop):
        if runs.step > 200:
            raise KeyboardInterrupt
        return advance(runs, stop)

    monkeypatch.setattr(chain.ChainRuns, "advance", interrupted)
    arguments = ["study", "--p", "2", "--p-star", "1", "-N", "100", "--runs", "2", "--alpha-max", "5"]
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "tsode: interrupted; the files have what was run until then\n"
    result = tsode.Study.load(tmp_path)
    assert result.escapes.alpha.tolist() == [0.0]
    assert result.sgd.status.tolist() == ["interrupted", "interrupted"]
    assert "2 of 2 SGD runs did not finish" in repr(result)
    json.dumps(result.summary(), allow_nan=False)

"""What a person at a terminal or in a notebook meets: names, hints, bars, Ctrl-C."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tsode
from tsode._linear_algebra import interruptible

MODEL = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.4)


def test_names_of_the_package_are_the_public_ones():
    assert dir(tsode) == sorted(tsode.__all__)
    assert "plot" in dir(tsode)  # imported when it is asked for


@pytest.mark.parametrize(
    ("call", "kind", "hint"),
    [
        (lambda: tsode.teacherstudent, AttributeError, "did you mean 'TeacherStudent'?"),
        (lambda: tsode.TeacherStudent(2, 1, lr=0.1), TypeError, "no parameter 'lr'; did you mean 'learning_rate'?"),
        (lambda: MODEL.replace(noise=1.0), TypeError, "but names 'noise'; did you mean 'noise_variance'?"),
        (lambda: MODEL.replace(activation="ReLU"), ValueError, "but is 'ReLU'; did you mean 'relu'?"),
        (lambda: MODEL.replace(activation=np.tanh), TypeError, "such as tsode.activations.Custom(function)"),
        (lambda: MODEL.replace(inputs=np.ones((3, 2))), TypeError, "tsode.Inputs.from_data(rows, blocks) makes one"),
        (lambda: tsode.Inputs.from_data(np.eye(3), 2), ValueError, "`X` must be rows of data, but is symmetric; a"),
        (lambda: tsode.integrate(MODEL, None, 1.0), TypeError, "tsode.Overlaps.random(model, N) draws one"),
        (lambda: tsode.scans.escape({"N": 100}), ValueError, "but names 'N'; did you mean 'dimension'?"),
        (
            lambda: tsode.Scheme({"a": 1}, lambda z, xi, a: {"a": z["a"] * xi[:, 0, None]}), ValueError,
            "xi has as many columns as `noises` says",
        ),
    ],
)  # fmt: skip
def test_wrong_guesses_are_answered_with_a_hint(call, kind, hint):
    with pytest.raises(kind) as caught:
        call()
    assert hint in str(caught.value)


def test_a_law_says_what_it_is():
    law = tsode.escape_law(MODEL, 10_000, 0.05)
    assert repr(law) == f"Law of the escape time: mean {law.mean():.4g}, standard deviation {law.std():.4g}"
    assert pickle.loads(pickle.dumps(law)).mean() == law.mean()


def test_files_and_figures_go_by_the_names_they_were_given(tmp_path):
    ode = tsode.integrate(MODEL, tsode.Overlaps.random(MODEL, 100, rng=0), [0.0, 1.0])
    ode.save(tmp_path / "run")
    assert tsode.Trajectory.load(tmp_path / "run").alpha.tolist() == [0.0, 1.0]
    assert tsode.plot.save(tsode.plot.loss_curve(ode), tmp_path / "loss.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(ValueError, match="`path` must be a folder, to which several files are written"):
        tsode.scan(lambda x: x, {"x": [1]}, path=tmp_path / "table.nc")
    assert sorted(os.listdir(tmp_path)) == ["loss.svg", "run.npz"]


NOTEBOOK = """
import sys, types, warnings
warnings.simplefilter("error")
sys.modules["ipywidgets"] = None
shell = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
from tsode._progress import progress_bar
for show in (False, True):
    with progress_bar(show, total=3) as bar:
        bar.update(3)
"""


@pytest.mark.slow
def test_a_notebook_without_widgets_shows_progress_as_text():
    run = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=True)
    assert run.stderr.count("| 3/3 [") == 1


def test_ctrl_c_does_not_wait_for_lapack():
    assert interruptible(np.linalg.eigvalsh, np.eye(2)).tolist() == [1.0, 1.0]
    with pytest.raises(np.linalg.LinAlgError):
        interruptible(np.linalg.eigvalsh, np.ones((2, 3)))
    usual, ended = signal.signal(signal.SIGINT, signal.default_int_handler), threading.Event()
    press = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    press.start()
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: (time.sleep(5), ended.set()))
    signal.signal(signal.SIGINT, usual)
    assert not ended.is_set()

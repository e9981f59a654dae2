"""The explorer, by its controls: what a hand would move, code sets."""

import asyncio
import subprocess
import sys
import time

import browser
import nbformat
import numpy as np
import pytest

import tsode

pytest.importorskip("ipywidgets")


@pytest.fixture(scope="module")
def explorer():
    return tsode.explore(tsode.TeacherStudent(3, 2, 0.3, student_readout=[0.5, 0.3, 0.2]), N=300)


def shown(explorer):
    picture, table = explorer.box.children[1].children
    assert bytes(picture.value[:4]) == b"\x89PNG"
    return bytes(picture.value), table.value


def test_a_control_changes_model_figure_and_table(explorer):
    before = shown(explorer)
    explorer.controls["learning_rate"].value = 0.2
    assert explorer.model == tsode.TeacherStudent(3, 2, 0.2, student_readout=[0.5, 0.3, 0.2])
    assert all(one != other for one, other in zip(before, shown(explorer)))
    explorer.controls["p"].value = 2
    assert explorer.model == tsode.TeacherStudent(2, 2, 0.2)
    text = shown(explorer)[1]
    rest = tsode.plateau(explorer.model)
    assert f"{rest.excess_loss:.4g}, {rest.escape_rate:.4g}" in text
    assert "plateau: saddle; solutions: marginal minimum" in text
    start = tsode.Overlaps.random(explorer.model, 300, rng=0)
    np.testing.assert_array_equal(explorer.ode.M[0], start.M)


def test_the_button_draws_runs_and_the_next_move_takes_them_off(explorer):
    alone = shown(explorer)[0]
    explorer.box.children[0].children[-1].click()
    assert shown(explorer)[0] != alone
    explorer.update()
    assert shown(explorer)[0] == alone


def test_what_has_no_plateau_and_what_has_no_closed_form_say_so(explorer):
    explorer.controls["p"].value = 2  # equal readouts
    explorer.controls["learning_rate"].value = 10.0
    assert "diverged" in shown(explorer)[1]
    explorer.controls["learning_rate"].value = 0.2
    explorer.controls["trained"].value = True
    assert explorer.model.readout_learning_rate == 0.2
    assert "not known: `model` must have a fixed readout" in shown(explorer)[1]
    explorer.controls["trained"].value = False


@pytest.mark.parametrize(("seconds", "said"), [(0.04, "its beginning"), (0.0, "follows when the controls rest")])
def test_a_curve_that_takes_long_follows_when_the_controls_rest(seconds, said, explorer, monkeypatch):
    """One whose steps are slow is begun; where there is no time for one step there is no curve."""

    def slow(*arguments, **options):
        began = time.thread_time()
        while time.thread_time() < began + 0.01:
            pass
        return tsode.integrate(*arguments, **options)

    explorer.update()
    tsode.integrate(explorer.model, explorer.ode.overlaps(0), 1.0, method="RK45")  # compiles what is timed
    monkeypatch.setattr("tsode.explorer.REST", 0.0)
    monkeypatch.setattr("tsode.explorer.integrate", slow)
    explorer.update(seconds)
    assert said in shown(explorer)[1]

    async def move_and_rest():
        explorer.update(seconds)
        start = explorer.ode
        await asyncio.sleep(0.05)
        return start

    start = asyncio.run(move_and_rest())
    assert said not in shown(explorer)[1]
    assert start is None if seconds == 0.0 else explorer.ode.alpha[-1] > 100 * start.alpha[-1]


def test_a_moment_is_enough_to_say_that_there_is_no_curve(explorer):
    explorer.controls["teacher_activation"].value, explorer.controls["activation"].value = "sign", "tanh"

    async def move():
        explorer.update()

    asyncio.run(move())
    assert "no curve</td><td>`activation` must be smooth" in shown(explorer)[1]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Address of a notebook with an explorer, in a JupyterLab of its own."""
    pytest.importorskip("jupyterlab", reason="the extra notebooks")
    serverapp = pytest.importorskip("jupyter_server.serverapp")
    code = "import tsode\ntsode.explore(tsode.TeacherStudent(3, 2, 0.3), N=300)"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata=kernel)
    nbformat.write(notebook, tmp_path / "explore.ipynb")
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    open_to_all = ("--ServerApp.port=0", "--IdentityProvider.token=", "--allow-root", "--no-browser")
    command = [sys.executable, "-m", "jupyterlab", *open_to_all, f"--ServerApp.root_dir={tmp_path}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        (found,) = browser.wait_for("server", lambda: list(serverapp.list_running_servers(str(tmp_path / "RUNTIME"))))
        yield f"{found['url']}doc/tree/explore.ipynb"
        server.terminate()


@pytest.mark.slow
@pytest.mark.skipif(browser.BROWSER is None, reason="no browser")
def test_a_slider_and_the_button_in_a_real_browser(lab, tmp_path):
    ready = "document.body.innerText.includes('| Idle')"
    picture = "document.querySelector('.widget-image')?.src"
    with browser.page_of(lab, tmp_path) as page:

        def after(shown):
            """Return the figure that follows one, once the kernel rests."""
            return browser.wait_for("figure", lambda: page.ask(f"{ready} && {picture} !== {shown!r} && {picture}"))

        browser.wait_for("kernel", lambda: page.ask(ready))
        page.focus(".jp-CodeCell .cm-content")
        page.press("Enter", browser.SHIFT)
        alone = after("")
        page.focus(".jp-OutputArea .noUi-handle")
        page.press("ArrowRight")
        moved = after(alone)
        assert page.ask("document.querySelector('.widget-readout').textContent") == "4"
        assert page.ask("document.querySelectorAll('.widget-dropdown select')[3].value") == "the student's"
        page.ask("document.querySelector('.jupyter-button').click()")
        after(moved)
        page.screenshot(tmp_path / "runs.png")

"""The explorer, by its controls: what a hand would move, code sets."""

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
    explorer.controls["learning_rate"].value = 10.0
    assert "diverged" in shown(explorer)[1]
    explorer.controls["learning_rate"].value = 0.2
    explorer.controls["trained"].value = True
    assert explorer.model.readout_learning_rate == 0.2
    assert "not known: `model` must have a fixed readout" in shown(explorer)[1]
    explorer.controls["trained"].value = False

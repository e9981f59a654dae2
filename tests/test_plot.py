import matplotlib.pyplot as plt
import numpy as np
import pytest
from models import generic_start

import tsode
from tsode import plot
from tsode.plot._style import style


@pytest.fixture
def pair():
    model = tsode.TeacherStudent(3, 2, 0.4)
    start = generic_start(model)
    yield tsode.integrate(model, start, 40.0), tsode.simulate(model, start, 40.0, N=100, runs=4, engine="weights")
    plt.close("all")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_loss_curve_draws_theory_runs_and_plateau(pair):
    ode, sgd = pair
    ax = plot.loss_curve(ode, sgd, plateau_loss=0.5)
    assert labels(ax) == ["SGD, N = 100, mean of 4 runs", "theory (ODE)", "plateau, theory: 0.5"]
    line = next(line for line in ax.lines if line.get_label() == "theory (ODE)")
    np.testing.assert_array_equal(line.get_ydata(), ode.excess_loss)
    assert sum(len(line.get_xdata()) == len(sgd.alpha) for line in ax.lines) == 4 + 2
    assert "alpha" in ax.get_xlabel()
    assert "excess loss" in ax.get_ylabel()


def test_loss_axis_is_logarithmic_where_right(pair):
    ode, _ = pair
    assert plot.loss_curve(ode).get_yscale() == "log"
    assert plot.loss_curve(tsode.integrate(ode.model, ode.overlaps(0), 0.01)).get_yscale() == "linear"


@pytest.mark.parametrize("which", ["M", "Q"])
def test_overlap_curves_draw_the_entries_that_move_most(pair, which):
    ode, sgd = pair
    ax = plot.overlap_curves(ode, sgd, which)
    drawn = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == len(ode.alpha)]
    assert len(drawn) == 6
    values = getattr(ode, which)
    k, l = np.unravel_index(np.argmax(np.abs(values[-1] - values[0])), values.shape[1:])
    np.testing.assert_array_equal(drawn[0], values[:, k, l])
    shown = labels(ax)
    assert shown[0] in (f"${which}_{{{k + 1},{l + 1}}}$", f"${which}_{{{l + 1},{k + 1}}}$")
    assert len(shown) == 8
    assert shown[-2].startswith("theory (ODE)")
    assert shown[-1] == "SGD, mean and spread of runs"


def test_overlap_curves_draw_a_readout():
    model = tsode.TeacherStudent(2, 1, 0.2, readout_learning_rate=0.3)
    ode = tsode.integrate(model, generic_start(model), 5.0)
    ax = plot.overlap_curves(ode, which="readout")
    first = np.argmax(abs(ode.readout[-1] - ode.readout[0]))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), ode.readout[:, first])
    assert labels(ax)[0] == f"$v_{{{first + 1}}}$"


def test_overlap_curves_say_how_many_are_left_out():
    model = tsode.TeacherStudent(4, 3, 0.4)
    ode = tsode.integrate(model, generic_start(model), 5.0)
    assert plot.overlap_curves(ode).get_ylabel().endswith("6 of 12")
    assert sum(len(line.get_xdata()) == len(ode.alpha) for line in plot.overlap_curves(ode, which="Q").lines) == 6


def test_overlap_matrix_shows_the_joint_matrix(pair):
    end = pair[0].overlaps(-1)
    ax = plot.overlap_matrix(end, "end")
    np.testing.assert_array_equal(ax.images[0].get_array(), end.joint)
    assert ax.get_title() == "end"
    assert len(ax.texts) == 25


def test_diverged_runs_can_be_drawn():
    model = tsode.TeacherStudent(2, 1, 8.0)
    sgd = tsode.simulate(model, None, 4.0, N=100, runs=3, engine="weights")
    ax = plot.loss_curve(sgd=sgd)
    plot.overlap_curves(sgd=sgd, which="Q")
    ax.figure.canvas.draw()
    plt.close("all")


def test_given_axes_are_used_and_settings_left_alone(pair):
    before = dict(plt.rcParams)
    _, ax = plt.subplots()
    assert plot.loss_curve(*pair, ax=ax) is ax
    assert plot.overlap_curves(*pair, ax=ax) is ax
    assert dict(plt.rcParams) == before


def test_what_the_first_figure_turns_on_stays_on():
    """In a notebook that is the showing of figures: the backend is loaded with the first of them."""
    with style():
        plt.ion()
    try:
        assert plt.isinteractive()
    finally:
        plt.ioff()


@pytest.mark.parametrize("which", ["M", "Q"])
def test_invariants_do_not_depend_on_the_solution(pair, which):
    ode, sgd = pair
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((ode.model.p, ode.model.p)))
    turned = tsode.integrate(ode.model, tsode.Overlaps(turn @ ode.M[0], turn @ ode.Q[0] @ turn.T), ode.alpha)
    lines = [plot.overlap_invariants(each, sgd, which).lines for each in (ode, turned)]
    assert len(lines[0]) == len(lines[1])
    for one, other in zip(*lines):
        np.testing.assert_allclose(one.get_ydata(), other.get_ydata(), atol=1e-6)


def test_theory_shows_on_dark_backgrounds(pair):
    with plt.style.context("dark_background"):
        lines = plot.loss_curve(*pair).lines
    assert lines[-1].get_color() == "#FFFFFF"


def test_figures_for_print_are_as_wide_as_a_column(pair):
    with plot.paper(3.0):
        figure = plot.loss_curve(*pair).figure
        assert plt.rcParams["pdf.fonttype"] == 42
    assert figure.get_size_inches()[0] == pytest.approx(3.0)
    assert plot.loss_curve(*pair).figure.get_size_inches()[0] == pytest.approx(5.0)

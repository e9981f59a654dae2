"""What the figures of several panels show."""

import numpy as np
import pytest

import tsode
from tsode import plot


@pytest.fixture(scope="module")
def model():
    return tsode.TeacherStudent(p=3, p_star=2, learning_rate=0.4)


def test_study_panels_name_their_axes_and_draw_what_they_are_given(model):
    start = tsode.Overlaps.random(model, N=100, rng=0)
    ode = tsode.integrate(model, start, 20.0)
    sgd = tsode.simulate(model, start, 20.0, N=100, runs=3)
    times, comparison = np.array([3.0, 4.0, 5.0]), tsode.hessian.compare(model, 100)
    loss, M, Q, escapes, spectra, matrix = plot.study_panels(ode, sgd, 0.5, times, None, comparison, 0.05).axes[:6]
    assert any(np.array_equal(line.get_ydata(), ode.excess_loss) for line in loss.lines)
    power = [
        np.sum([line.get_ydata() for line in ax.lines[-n:]], axis=0)
        for ax, n in ((M, min(model.p, model.p_star)), (Q, model.p))
    ]
    np.testing.assert_allclose(power[0], np.linalg.norm(ode.M, "nuc", axis=(1, 2)))
    np.testing.assert_allclose(power[1], np.trace(ode.Q, axis1=1, axis2=2))
    np.testing.assert_allclose(sum(bar.get_height() * bar.get_width() for bar in escapes.patches), 1.0)
    np.testing.assert_array_equal(matrix.images[0].get_array(), ode.overlaps(-1).joint)
    for axes, words in (
        (loss, "excess loss"),
        (M, "singular values of $M$"),
        (Q, "eigenvalues of $Q$"),
        (spectra, "number of eigenvalues"),
    ):
        assert words in axes.get_ylabel()
    assert "first time with tr $M M^T > 0.05$" in escapes.get_xlabel()
    assert [ax.get_title(loc="left") for ax in (loss, M, Q, escapes, spectra, matrix)] == list("abcdef")
    assert "N = 100" in loss.figure.get_suptitle()


def test_study_panels_say_what_is_missing(model):
    ode = tsode.integrate(model, tsode.Overlaps.random(model, N=100, rng=0), 1.0)
    sgd = tsode.simulate(model, None, 1.0, N=100, runs=2)
    texts = [text.get_text() for axes in plot.study_panels(ode, sgd).axes for text in axes.texts]
    assert "no run escaped" in texts
    assert any("no Hessians to compare" in text for text in texts)


def test_study_panels_show_no_escape_where_there_is_no_plateau(model):
    fast = model.replace(learning_rate=1.1 * tsode.plateau(model).max_learning_rate)
    ode = tsode.integrate(fast, tsode.Overlaps.random(fast, N=100, rng=0), 0.1)
    sgd = tsode.simulate(fast, None, 0.1, N=100, runs=2)
    panel = plot.study_panels(ode, sgd, escapes=np.array([3.0, 4.0])).axes[3]
    assert not panel.patches
    limit = tsode.plateau(model).max_learning_rate
    assert f"no attracting fixed point above the learning rate {limit:.6g}" in panel.texts[0].get_text()


@pytest.mark.parametrize(("name", "written", "first"), [
    ("f", "f.png", b"\x89PNG"), ("f.png", "f.png", b"\x89PNG"), ("f.pdf", "f.pdf", b"%PDF"),
    ("f.SVG", "f.SVG", b"<?xml"),
])  # fmt: skip
def test_save_writes_the_format_of_the_suffix(name, written, first, tmp_path):
    figure = plot.overlap_matrix(tsode.Overlaps([[0.0]], [[1.0]])).figure
    assert plot.save(figure, tmp_path / name) == tmp_path / written
    content = (tmp_path / written).read_bytes()
    assert content.startswith(first)
    assert (b"<svg" in content) == (first == b"<?xml")
    assert [file.name for file in tmp_path.iterdir()] == [written]


def test_hessian_panels_have_one_panel_or_three(model):
    comparison = tsode.hessian.compare(model, 12)
    assert len(plot.hessian_panels(comparison).axes) == 1
    samples = tsode.hessian.convergence(model, N=12, ratios=[4, 16])
    both, plateau, manifold = plot.hessian_panels(comparison, samples).axes
    assert "plateau: saddle" in [text.get_text() for text in both.get_legend().get_texts()]
    for axes, name in ((plateau, "plateau"), (manifold, "solution manifold")):
        assert axes.get_title().startswith(name)
        assert {"n/N = 4", "n/N = 16"} <= {text.get_text() for text in axes.get_legend().get_texts()}

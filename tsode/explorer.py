"""Sliders for a model, and what theory says of it while they move; SGD on top at the press of a button."""

from __future__ import annotations

import asyncio
import html
import io
import threading
import time
from dataclasses import fields
from typing import Any

import numpy as np

from . import _checks
from ._parameters import plain
from ._states import start_state
from .closed_forms import NoClosedForm, has_closed_forms
from .hessian import compare
from .model import TeacherStudent, check_constant, check_model
from .ode import integrate
from .ode.result import Options
from .ode.single import function_from
from .overlaps import Overlaps
from .plateaus import plateau
from .sgd import simulate
from .studies.measurements import MOST_DOUBLINGS, escape_setting, first_look, worth_a_look

__all__ = ["Explorer", "explore"]

WIDEST = 12
POINTS = 81
RTOL = 1e-6  # a curve on a screen
TAIL = 1e-4  # of the law of the escape that is not shown
HORIZONS = (*2.0 ** np.arange(-9, 0, 3), *2.0 ** np.arange(MOST_DOUBLINGS))  # natural times, one after the other
LEAST = 32  # evaluations of the right-hand side in a curve of one step
AT_ONCE, AT_REST = 0.04, 5.0  # seconds that the curve may take while a control moves, and once all have come to rest
REST = 0.4  # seconds without a move
LISTS = ("constraint", "activation", "rule")
SIZES = ("100", "300", "1000", "3000", "10000", "100000")
TRAINED = "trained"
OWN = "the student's"  # activation of the teacher: a list shows nothing where None is chosen


class Explorer:
    """What :func:`explore` shows: controls, a figure and a table.

    Attributes
    ----------
    controls : dict of str to ipywidgets widget
        Sliders and lists by the names of the model's fields, "trained" and "N"; setting a `value` updates the rest.
    model : TeacherStudent
        As the controls say.
    ode : Trajectory or None
        The curve; None where there is none.
    box : ipywidgets.VBox
        All of it, to be displayed.
    """

    def __init__(self, model: TeacherStudent, N: int) -> None:
        import ipywidgets as widgets
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._fixed, self.ode, self._law, self._times = model, None, None, None
        self._waiting: asyncio.TimerHandle | None = None
        self.controls = _controls(widgets, model, N)
        figure = Figure(figsize=(9, 3.1), dpi=80)
        self._canvas = FigureCanvasAgg(figure)
        # fixed margins: a layout that adapts draws everything twice
        self._axes = figure.subplots(1, 2, gridspec_kw={"left": 0.08, "right": 0.98, "bottom": 0.16, "wspace": 0.22})
        for ax in self._axes:  # few ticks, and labels that do not move with them: most of the time goes there
            ax.locator_params(nbins=5)
            ax.xaxis.set_label_coords(0.5, -0.12)
        self._axes[0].yaxis.set_label_coords(-0.13, 0.5)
        self._axes[1].set(yticks=[])
        self._picture, self._text, self._button = widgets.Image(format="png"), widgets.HTML(), widgets.Button()
        self._button.description, self._button.tooltip = "Run SGD", "four runs from the start of the curve"
        self._button.on_click(lambda _: self.run())
        for control in self.controls.values():
            control.observe(lambda _: self.update(), names="value")
        self.box = widgets.HBox(
            [widgets.VBox([*self.controls.values(), self._button]), widgets.VBox([self._picture, self._text])]
        )
        self.update()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)

    @property
    def model(self) -> TeacherStudent:
        """What the controls say."""
        chosen = {name: control.value for name, control in self.controls.items() if name not in (TRAINED, "N")}
        if chosen.get("teacher_activation") == OWN:
            chosen["teacher_activation"] = None
        chosen["readout_learning_rate"] = chosen["learning_rate"] if self.controls[TRAINED].value else 0.0
        if chosen["p"] != self._fixed.p:  # what was given for other widths does not hold
            chosen["student_readout"] = None
        if chosen["p_star"] != self._fixed.p_star:
            chosen["teacher_readout"] = chosen["teacher_overlap"] = None
        return self._fixed.replace(**chosen)

    def update(self, seconds: float | None = None) -> None:
        """Compute theory for what the controls say, and show it.

        Parameters
        ----------
        seconds : float, optional
            What the curve may take; of one that needs more the beginning is shown. By default as long as it needs, but
            a moment in a notebook: the rest and the plateau then follow when no control has moved for a while.
        """
        if self._waiting is not None:
            self._waiting.cancel()
        self.ode = self._law = self._waiting = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no notebook: nothing would follow
            loop = None
        if seconds is None:
            seconds = np.inf if loop is None else AT_ONCE
        try:
            self._rows, whole = self._solve(self.model, seconds)
            if not whole and loop is not None and seconds < AT_REST:
                self._waiting = loop.call_later(REST, self.update, AT_REST)
        except ValueError as error:  # no such model, or it has no averages: said where the numbers would stand
            self._rows = [("no curve", str(error))]
        self._show()

    def run(self, runs: int = 4, seed: int = 0) -> None:
        """Run SGD from the start of the curve, and draw it on top.

        Parameters
        ----------
        runs, seed : int
            As in :func:`tsode.simulate`.
        """
        if self.ode is not None:
            ode, N = self.ode, int(self.controls["N"].value)
            self._show(simulate(ode.model, ode.overlaps(0), ode.alpha, N=N, runs=runs, seed=seed))

    def _solve(self, model, seconds):
        """Compute curve and law; return what is said of them, and whether the curve is whole."""
        N = int(self.controls["N"].value)
        start = Overlaps.random(model, N, rng=0)
        self._law, threshold = escape_setting(model, N)
        self._times = None if self._law is None else self._law.ppf([TAIL, 1 - TAIL])
        least = 0.0 if self._law is None else self._times[1]
        self.ode, whole = _curve(model, start, threshold, least, seconds)
        if self.ode is None:
            wait = "it follows when the controls rest" if seconds < AT_REST else "tsode.integrate solves it"
            return [("the curve", f"takes longer than {seconds:g} s: {wait}")], False
        rows = [("excess loss at the end", f"{self.ode.excess_loss[-1]:.4g}")]
        if self.ode.status != "completed":
            rows.append(("the ODE", f"{self.ode.status} at α = {self.ode.stopped_at:.4g}"))
        if not whole:
            rows.append(("the curve", f"its beginning, as far as {seconds:g} s take"))
            if seconds < AT_REST or not has_closed_forms(model):  # a search for the plateau takes longer still
                return rows, whole
        try:
            rest = plateau(model)
            rows.append(("plateau: excess loss, escape rate", f"{rest.excess_loss:.4g}, {rest.escape_rate:.4g}"))
            rows.append(("largest learning rate", f"{rest.max_learning_rate:.4g}"))
            if self._law is not None:
                mean, variance = self._law.stats()
                rows.append((f"escape: tr M Mᵀ > {threshold:.3g}", f"{mean:.4g} ± {np.sqrt(variance):.3g} (law)"))
            both = compare(model, N)
            rows.append(("Hessians", f"plateau: {both.plateau.verdict}; solutions: {both.manifold.verdict}"))
        except NoClosedForm as error:
            rows.append(("in closed form", f"not known: {error}"))
        except ValueError as error:
            rows.append(("plateau and solutions", str(error)))
        return rows, whole

    def _show(self, sgd=None):
        """Draw curve, law and runs, and write the rows."""
        from .plot import loss_curve

        left, right = self._axes
        for ax in self._axes:  # what is drawn goes, the ticks stay: to make them again takes as long as all the rest
            for artist in (*ax.lines, *ax.collections, *ax.texts):
                artist.remove()
            ax.relim()
        if self.ode is not None:
            loss_curve(self.ode, sgd, ax=left).minorticks_off()
        if self._law is not None:
            alpha = np.linspace(*self._times, POINTS)
            right.plot(alpha, self._law.pdf(alpha), color="black")
            right.set(xlabel="escape time, from random weights", ylabel="probability density, theory")
        left.set_visible(self.ode is not None)
        right.set_visible(self._law is not None)
        picture = io.BytesIO()
        self._canvas.print_png(picture, pil_kwargs={"compress_level": 1})
        self._picture.value = picture.getvalue()
        cells = (f"<tr><td>{html.escape(name)}</td><td>{html.escape(said)}</td></tr>" for name, said in self._rows)
        self._text.value = f"<table>{''.join(cells)}</table>"


def _curve(model, start, threshold, least, seconds):
    """Return the ODE until the student has learnt, at least to the time `least`, and whether that took few seconds.

    The time of an explicit method grows as the horizon does. None where a moment is too short for a single step.
    """
    if seconds < np.inf and _seconds_of_rates(model, start, seconds / LEAST) > seconds / LEAST:
        return None, False
    rate, left, first = 0.0, seconds, 2.0 ** first_look(model)
    for horizon in HORIZONS:
        if rate * horizon > left:
            break
        began = time.thread_time()
        ode = integrate(model, start, np.linspace(0, horizon * model.natural_time, POINTS), rtol=RTOL)
        took = time.thread_time() - began
        rate, left = took / horizon, left - took
        end = worth_a_look(ode, threshold) if horizon >= first or ode.status == "diverged" else None
        if end is not None or horizon == HORIZONS[-1]:
            end = max(end or 8 * model.natural_time, least)
            return integrate(model, start, np.linspace(0, end, POINTS), rtol=RTOL), True
    return ode, False


def _seconds_of_rates(model, start, most):
    """Return what the right-hand side takes at the start, infinite if more than this: nobody waits for the rest.

    Zero where there is none: `integrate` says why.
    """
    took: list[float] = []

    def evaluate():
        try:
            function = function_from(model, start, Options("DOP853", RTOL, RTOL, False))
            state = start_state(model, start)
            while len(took) < 2 and sum(took) < 8 * most:  # the first call finds cold caches
                began = time.thread_time()
                function(0.0, state)
                took.append(time.thread_time() - began)
        except ValueError:
            took.append(0.0)

    thread = threading.Thread(target=evaluate, daemon=True)
    thread.start()
    thread.join(max(AT_ONCE, most))
    return min(took, default=np.inf)


def explore(model: TeacherStudent | None = None, N: int = 1000) -> Explorer:
    """Show sliders for a model, with its loss curve, plateau, law of the escape and Hessians, in a notebook.

    Parameters
    ----------
    model : TeacherStudent, optional
        Where the sliders start; readouts and the teacher's overlap hold as long as the widths are not changed.
    N : int
        Input dimension of the start, of the law, and of the runs that the button starts.

    Returns
    -------
    Explorer
        Shown by Jupyter where a cell ends with it.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    ImportError
        If ipywidgets is not installed: it comes with the extra "notebooks".

    Examples
    --------
    >>> import tsode
    >>> explorer = tsode.explore(tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4))
    >>> explorer.controls["p"].value = 3
    >>> explorer.model.p
    3
    """
    model = TeacherStudent(4, 2, 0.4) if model is None else check_constant(check_model(model))
    N = _checks.integer("N", N, minimum=2 * WIDEST)
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        raise ImportError('install ipywidgets to explore: pip install "tsode[notebooks]"') from None
    return Explorer(model, N)


def _controls(widgets: Any, model: TeacherStudent, N: int) -> dict[str, Any]:
    """Return a control for each field that has one, at what the model says."""
    about = {field.name: field.metadata for field in fields(model)}
    style = {"description_width": "12em"}

    def widget(kind, name, **options):
        return kind(value=plain(getattr(model, name)), description=about[name]["label"], style=style, **options)

    found: dict[str, Any] = {name: widget(widgets.IntSlider, name, min=1, max=WIDEST) for name in ("p", "p_star")}
    found["learning_rate"] = widget(widgets.FloatLogSlider, "learning_rate", min=-2, max=1, step=0.02)
    found["noise_variance"] = widget(widgets.FloatSlider, "noise_variance", min=0, max=1, step=0.01)
    for name in LISTS:  # unless the model has one that has no name
        if plain(getattr(model, name)) in about[name]["choices"]:
            found[name] = widget(widgets.Dropdown, name, options=about[name]["choices"])
    if "activation" in found:
        own = model.teacher_activation == model.activation
        teachers = [OWN, *about["teacher_activation"]["choices"]]
        value = OWN if own else plain(model.teacher_activation)
        if value in teachers:
            label = about["teacher_activation"]["label"]
            found["teacher_activation"] = widgets.Dropdown(
                value=value, options=teachers, description=label, style=style
            )
    trained = {"value": model.readout_learning_rate > 0, "description": "readout trained", "style": style}
    size = {"value": str(N), "options": [*SIZES, *({str(N)} - set(SIZES))], "description": "N", "style": style}
    return {**found, TRAINED: widgets.Checkbox(**trained), "N": widgets.Dropdown(**size)}

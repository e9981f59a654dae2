"""A rule that the user writes, as a plain function of named rows."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._callback import Interpreted
from .._compiled import fingerprint, jitable, with_name_of
from .._lanes import load, store
from .._linear_algebra import joint_matrix
from ..activations import NoClosedForm
from ..activations.expressions import Tape
from .base import Rule
from .cubature import DEGREE
from .layout import Layout
from .losses import Losses, means
from .points import Points, exact_points, points
from .tracing import Trace, stand_in
from .trial import tried, tried_pull

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Named"]


class Named(Rule):
    """A rule given by a function of named rows, made by :class:`tsode.Scheme`.

    Parameters
    ----------
    rows, rule, scalars, outputs, noises, pull
        As of :class:`tsode.Scheme`, checked.
    """

    name = "scheme"

    def __init__(
        self,
        rows: Mapping[str, int],
        rule: Callable[..., Any],
        scalars: Mapping[str, np.ndarray],
        outputs: Mapping[str, Callable[..., Any]],
        noises: int,
        pull: Callable[..., Any] | None,
    ) -> None:
        self._function, self._start, self._outputs, self._noises = rule, scalars, outputs, noises
        self._layout, self._pull = tried(rows, rule, scalars, outputs, noises), pull
        if pull is not None:
            tried_pull(pull, self._layout, scalars)
        self._traces = {name: self._noted(function) for name, function in outputs.items()}
        self._trace = self._noted(rule, self._shapes())

    @property
    def arguments(self) -> dict[str, Any]:
        """What tells it from others: its names and numbers, and its steps or, if it is not compiled, a digest."""
        return {
            "rows": dict(self._layout.rows),
            "moving": list(self._layout.moving),
            "scalars": {name: value.tolist() for name, value in self._start.items()},
            "outputs": list(self._outputs),
            "noises": self._noises,
            "steps": fingerprint(self._function) if self._trace is None else _source(self._trace, self._layout),
        }

    @property
    def interpreted(self) -> bool:  # type: ignore[override]
        """Whether the function does what cannot be noted, so that Python runs it."""
        return self._trace is None

    @property
    def pulls(self) -> bool:  # type: ignore[override]
        """Whether there is a pull."""
        return self._pull is not None

    def layout(self, model: TeacherStudent) -> Layout:
        """Return the names."""
        return self._layout

    def noises(self, model: TeacherStudent) -> int:
        """Return how many normal numbers the function takes."""
        return self._noises

    def scalars(self, model: TeacherStudent) -> np.ndarray:
        """Return the starting values of the scalars, one name after the other."""
        return np.concatenate([np.empty(0), *(value.ravel() for value in self._start.values())])

    def parameters(self, model: TeacherStudent) -> np.ndarray:
        """Return the learning rate, 1 as the function has its own, and, as averages read them, 0 and the scalars."""
        return np.concatenate([[model.learning_rate, 0.0], self.scalars(model)])

    def step(self, model: TeacherStudent) -> Any:
        """Return the step for the compiler, or one that stays Python."""
        return self._interpreted if self._trace is None else _compiled(_source(self._trace, self._layout))

    @functools.cached_property
    def _interpreted(self):
        def step(lam, mu, noise, size, scalars, parameters, change, scalar_change):
            arrays = (lam, mu, noise, scalars, change, scalar_change)
            self._apply(*(array.reshape(len(array), math.prod(array.shape[1:])) for array in arrays))

        return Interpreted(step)

    def _apply(self, lam, mu, noise, scalars, change, scalar_change):
        """Write what samples change, arrays of shapes (..., m)."""
        layout = self._layout
        found = self._function(
            layout.named_rows(np.concatenate([lam, mu])), noise.T, layout.named_scalars(scalars)
        )  # fmt: skip
        for name in layout.moving:
            change[layout.place(name)] = np.asarray(found[name]).T
        for name in layout.scalars:
            place = layout.scalar_place(name)
            if name in found:
                each = np.asarray(found[name], dtype=np.float64)
                scalar_change[place] = np.broadcast_to(each, (lam.shape[1], *layout.scalars[name])).reshape(-1, place.stop - place.start).T
            else:
                scalar_change[place] = 0.0

    def outcomes(
        self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, noise: np.ndarray, scalars: np.ndarray
    ) -> list[tuple[Any, np.ndarray, np.ndarray]]:
        """Return what the function says."""
        change, scalar_change = np.empty_like(lam), np.empty((len(scalars), lam.shape[1]))
        self._apply(lam, mu, noise, scalars, change, scalar_change)
        return [(1.0, change, scalar_change)]

    def points(
        self, model: TeacherStudent, omega: np.ndarray, scalars: np.ndarray, rtol: float, **more: Any
    ) -> Points:
        """Return nodes that are exact for polynomials of the rule's degree, or others."""
        if self._trace is not None:
            p, degrees = self._layout.p, self._trace.degrees
            if 2 * max(degrees[:p]) <= DEGREE and max(degrees) <= DEGREE:
                return exact_points(omega, self._noises)
        return _points(self._trace, omega, self._noises, rtol, **more)

    def losses(
        self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray
    ) -> Mapping[str, np.ndarray]:
        """Return the means of the outputs, each found when it is asked for."""
        joint = joint_matrix(M, Q, model.teacher_overlap)

        def mean(name):
            def at(omega):
                trace = self._traces[name]
                if trace is not None and max(trace.degrees) <= DEGREE:
                    return exact_points(omega, self._noises)
                return _points(trace, omega, self._noises, LOSS_ERROR)

            return means(self._outputs[name], self._layout, joint, scalars, at)

        return Losses(tuple(self._outputs), mean)

    def pull(self, model: TeacherStudent, omega: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        """Return what the user's function says."""
        assert self._pull is not None
        order, a = self._layout.order, self._layout.named_scalars(scalars)
        return np.asarray(self._pull(omega[order[:, None], order], {name: each[0] for name, each in a.items()}))

    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Refuse: losses have names."""
        raise NoClosedForm("`model` must have one loss here; those of a Scheme have names, trajectory.loss[name]")

    def floor(self, model: TeacherStudent) -> float:
        """Return 0: losses are what the outputs say."""
        return 0.0

    def _shapes(self):
        """Return the shapes of what the rule returns for one sample, by name, in the order of the engines."""
        return {name: (1, self._layout.rows[name]) for name in self._layout.moving} | {
            name: (1, *shape) for name, shape in self._layout.scalars.items()
        }

    def _noted(self, function, shapes=None):
        """Return the trace of a function of (z, xi, a), or None where it does what cannot be noted."""
        tape, layout = Tape(), self._layout
        z = {name: stand_in(tape, "z", (1, count), layout.place(name).start) for name, count in layout.rows.items()}
        a = {name: stand_in(tape, "a", (1, *shape), layout.scalar_place(name).start) for name, shape in layout.scalars.items()}
        try:
            found = function(z, stand_in(tape, "n", (1, self._noises)), a)
            if shapes is None:
                return Trace(tape, [(found, (1,))])
            return Trace(tape, [(found.get(name, 0.0), shape) for name, shape in shapes.items()])
        except Exception:  # whatever stand-ins cannot do, the arrays of the trial could
            return None


LOSS_ERROR = 1e-8  # of losses that are no polynomials, as far as it can be had


def _points(trace, omega, noises, rtol, **more):
    jumps = None if trace is None else trace.jumps(len(omega))
    return points(omega, jumps, noises, rtol, **more)


def _source(trace: Trace, layout: Layout) -> str:
    """Return the body of a step as plain Python."""
    p = layout.p
    ends = [f"store({'change' if i < p else 'scalar_change'}, {i if i < p else i - p}, {value})" for i, value in enumerate(trace.values)]
    body = [*trace.statements, *ends]
    used = sorted(set(re.findall(r"\b[zna]\d+\b", "\n".join(body))), key=lambda each: (each[0], int(each[1:])))
    return "\n".join([*(f"{each} = {_loaded(each, p)}" for each in used), *body])


def _loaded(variable, p):
    kind, i = variable[0], int(variable[1:])
    if kind == "z":
        return f"load(lam, {i})" if i < p else f"load(mu, {i - p})"
    return f"load({'noise' if kind == 'n' else 'scalars'}, {i})"


@functools.lru_cache(maxsize=256)
def _compiled(body: str) -> Callable[..., None]:
    """Return the jitable step of a source."""
    from scipy.special import erf

    names = {"np": np, "erf": erf, "load": load, "store": store, "__name__": __name__}
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    exec(f"def own(lam, mu, noise, size, scalars, parameters, change, scalar_change):\n{lines}", names)
    return jitable(with_name_of(body)(names["own"]))

"""A rule that the user writes, as a plain function of named rows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._callback import Interpreted
from .._compiled import fingerprint
from .._linear_algebra import joint_matrix
from ..activations import NoClosedForm
from .base import Rule
from .cubature import DEGREE
from .forms import form_points, forms_of
from .layout import Layout
from .losses import Losses, means
from .moments import Moments
from .points import Points, exact_points, points
from .tracing import answers, noted
from .trial import tried, tried_pull
from .written import compiled, pull_source, step_source

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Named"]

LOSS_ERROR = 1e-8  # of losses that are no polynomials, as far as it can be had


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
        self._function, self._start, self._outputs = rule, scalars, outputs
        self._noises, self._pull = noises, pull
        self._moments: Moments | None = None
        self._layout = tried(rows, rule, scalars, outputs, noises)
        self._said = answers(self._stepped)
        self._trace, pulled = noted(self._stepped), None
        if pull is not None:
            tried_pull(pull, self._layout, scalars)
            pulled = noted(self._pulled)
        self._traces = {name: noted(functools.partial(self._put_out, each)) for name, each in outputs.items()}
        self._step = None if self._trace is None else step_source(self._trace, self._layout.p)
        self._pull_steps = None if pulled is None else pull_source(pulled)

    @property
    def arguments(self) -> dict[str, Any]:
        """What tells it from others: its names and numbers, and its steps or, where Python runs it, a digest."""
        return {
            "rows": dict(self._layout.rows),
            "moving": list(self._layout.moving),
            "scalars": {name: value.tolist() for name, value in self._start.items()},
            "outputs": list(self._outputs),
            "noises": self._noises,
            "step": self._step or fingerprint(self._function),
            "pull": self._pull and (self._pull_steps or fingerprint(self._pull)),
        }

    def __repr__(self) -> str:
        return f"Scheme of {self._layout}"

    @property
    def interpreted(self) -> bool:  # type: ignore[override]
        """Whether rule or pull does what cannot be noted."""
        return self._step is None or (self._pull is not None and self._pull_steps is None)

    def check(self) -> None:
        """Refuse a function that does not do any more what was compiled."""
        if not np.array_equal(answers(self._stepped), self._said, equal_nan=True):
            raise ValueError(
                "`rule` must stay what it was when the scheme was made, but does something else now: numbers that it "
                "reads must not change; make them arguments, as in `lambda z, xi, a, rate=rate: ...`"
            )

    def layout(self, model: TeacherStudent | None = None) -> Layout:
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
        if (model.p, model.p_star) != (self._layout.p, self._layout.p_star):
            raise ValueError(
                f"`model` must have the rows of its rule, p = {self._layout.p} and p_star = {self._layout.p_star}, but "
                f"has {model.p} and {model.p_star}"
            )
        return np.concatenate([[model.learning_rate, 0.0], self.scalars(model)])

    def step(self, model: TeacherStudent) -> Any:
        """Return the step for the compiler, or one that stays Python."""
        return self._python_step if self._step is None else compiled(self._step)

    def pull(self, model: TeacherStudent) -> Any:
        """Return the same of the pull, if there is one."""
        if self._pull is None:
            return None
        return self._python_pull if self._pull_steps is None else compiled(self._pull_steps)

    @functools.cached_property
    def _python_step(self):
        def step(lam, mu, noise, size, scalars, parameters, change, scalar_change):
            self._apply(*map(_with_runs, (lam, mu, noise, scalars, change, scalar_change)))

        return Interpreted(step)

    @functools.cached_property
    def _python_pull(self):
        order, n = self._layout.order, self._layout.p + self._layout.p_star

        def pull(omega, scalars, B):
            omega, scalars, B = map(_with_runs, (omega, scalars, B))
            for run in range(omega.shape[1]):
                whole, a = omega[:, run].reshape(n, n), self._layout.named_scalars(scalars[:, run])
                B[:, run] = np.ravel(
                    self._pull(whole[order[:, None], order], {name: each[0] for name, each in a.items()})
                )

        return Interpreted(pull)

    def _apply(self, lam, mu, noise, scalars, change, scalar_change):
        """Write what m samples change, arrays of shapes (..., m)."""
        layout = self._layout
        found = self._function(layout.named_rows(np.concatenate([lam, mu])), noise.T, layout.named_scalars(scalars))
        for name in layout.moving:
            change[layout.place(name)] = np.transpose(found[name])
        for name, shape in layout.scalars.items():
            whole = np.broadcast_to(found.get(name, 0.0), (lam.shape[1], *shape))
            scalar_change[layout.scalar_place(name)] = whole.reshape(lam.shape[1], math.prod(shape)).T

    def outcomes(
        self, model: TeacherStudent, lam: np.ndarray, mu: np.ndarray, noise: np.ndarray, scalars: np.ndarray
    ) -> list[tuple[Any, np.ndarray, np.ndarray]]:
        """Return what the function says."""
        change, scalar_change = np.empty_like(lam), np.empty((len(scalars), lam.shape[1]))
        self._apply(lam, mu, noise, scalars, change, scalar_change)
        return [(1.0, change, scalar_change)]

    def averages(self, model: TeacherStudent) -> Moments:
        """Return those by quadrature, the same for the same model."""
        if self._moments is None or self._moments.model is not model:
            self._moments = Moments(model=model)
        return self._moments

    def scalar_drift(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        """Return E[d], shape (n_scalars,)."""
        return self.averages(model).scalar_drift(M, Q, scalars)

    def points(self, model: TeacherStudent, omega: np.ndarray, scalars: np.ndarray, rtol: float, **more: Any) -> Points:
        """Return nodes that are exact where C C^T and the change of scalars are of degree 7 at most, or others."""
        degrees = [math.inf] if self._trace is None else self._trace.degrees
        largest = max(2 * max(degrees[: self._layout.p]), *degrees)
        return self._points(self._trace, largest, omega, scalars, rtol, **more)

    def _points(self, trace, degree, omega, scalars, rtol, **more):
        if degree <= DEGREE:
            return exact_points(omega, self._noises)
        if trace is None:
            return points(omega, None, self._noises, rtol, **more)
        return form_points(forms_of(trace, scalars, len(omega), self._noises), omega, self._noises, rtol, **more)

    def losses(
        self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray
    ) -> Mapping[str, np.ndarray]:
        """Return the means of the outputs, each found when it is asked for."""
        joint = joint_matrix(M, Q, model.teacher_overlap)

        def mean(name):
            trace = self._traces[name]
            degree = math.inf if trace is None else max(trace.degrees)
            at = functools.partial(self._points, trace, degree, rtol=LOSS_ERROR)
            return means(self._outputs[name], self._layout, joint, scalars, at)

        return Losses(tuple(self._outputs), mean)

    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> np.ndarray:
        """Refuse: losses have names."""
        raise NoClosedForm("`model` must have one loss here, but those of a Scheme have names: trajectory.loss[name]")

    def floor(self, model: TeacherStudent) -> float:
        """Return 0: losses are what the outputs say."""
        return 0.0

    def _stepped(self, given):
        found, layout = self._function(*self._variables(given)), self._layout
        rows = [(found[name], (1, layout.rows[name])) for name in layout.moving]
        return rows + [(found.get(name, 0.0), (1, *shape)) for name, shape in layout.scalars.items()]

    def _pulled(self, given):
        n, order = self._layout.p + self._layout.p_star, self._layout.order
        i, j = np.minimum(order[:, None], order), np.maximum(order[:, None], order)
        a = {name: each[0] for name, each in self._variables(given)[2].items()}
        return [(self._pull(given("o", (n * n,))[i * n + j], a), (self._layout.p, self._layout.p))]

    def _put_out(self, function, given):
        return [(function(*self._variables(given)), (1,))]

    def _variables(self, given):
        """Return z, xi and a of one sample."""
        layout = self._layout
        z = {name: given("z", (1, count), layout.place(name).start) for name, count in layout.rows.items()}
        a = {name: given("a", (1, *shape), layout.scalar_place(name).start) for name, shape in layout.scalars.items()}
        return z, given("n", (1, self._noises)), a


def _with_runs(array):
    """Return an array with the axis of the runs, of length 1 where there is none."""
    return array.reshape(len(array), math.prod(array.shape[1:]))

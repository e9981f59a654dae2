r"""The engine for dimensions at which alpha N samples are out of reach: coarse steps, each of very many samples.

The state is that of `tsode.sgd.chain`, rows F = [A | L] with a preactivation :math:`\lambda = F y` of a standard normal
y of d = p + p* numbers, :math:`M = A T^T` and :math:`Q = F F^T`. A step of h N samples, h in units of alpha, is a flow
over h / 2, a kick and again a flow over h / 2. With the averages :math:`J = E[\partial C / \partial z]` and
:math:`K = E[C C^T]` of the rule the flow is

.. math::
    F' = J_\lambda F + J_\mu [T | 0] , \qquad S' = J_\lambda S + S J_\lambda^T + K , \qquad
    L L^T \leftarrow L L^T + S ,

the overlap ODEs for rows: S is what the inputs bring in beside the span. It is followed by the classical method of
Runge and Kutta. On the sphere half the growth rate of a row's squared norm comes off the diagonal of
:math:`J_\lambda`. The kick adds what the h N samples do beside their mean,

.. math::
    F \leftarrow F + \sqrt{h / N}\; \delta (C y^T) , \qquad S \leftarrow \sqrt{h / N}\; \delta (C C^T) ,

where the :math:`\delta` are drawn together, with mean zero and the covariance of one sample: Gaussian where the
averages have such a `kick`, otherwise made of a few samples with alternating signs. So Q - M P^+ M^T is a square,
positive semidefinite at any step. Only the kick of S may leave L L^T + S with a negative eigenvalue, of relative size
1 / sqrt(h N) beside what the flow over h adds; the triangular root takes it for zero.

In the middle of the flow, the kick makes an error of order :math:`h^2` in the covariance of the overlaps; at an end of
it, it would be of order h. The means follow the ODEs to order :math:`h^4`. What is left out is of order 1 / N in the
means, 1 / N of itself in the covariance, and the third moments of the sum of h N samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _checks
from .._linear_algebra import semidefinite_root
from .._parameters import describe
from .._random import run_sequence
from ..activations import NoClosedForm
from ..model import TeacherStudent
from ..overlaps import Overlaps
from .chain import SUBSTREAMS, start_rows
from .diffusion_kernel import SAMPLES, diffusion_kernel, kick_by_samples, kick_of, means_of
from .random_numbers import stream_state

__all__ = ["MOST_SAMPLES", "DiffusionRuns", "check_diffusion", "check_step"]

STEP = 0.25  # in units of alpha
FEWEST = 50  # samples of a step: with fewer the chain is as quick
MOST_SAMPLES = 2**62  # as int64
RTOL = 1e-6  # of averages by quadrature
STEPS_A_CALL = 1 << 17  # steps times widths between two looks at the stop flag, the same for any number of runs
PLACES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])  # of a step at which the learning rate is asked for


def check_step(step: float | None, N: int) -> float:
    """Return the length of a step, many samples each, in units of alpha."""
    step = STEP if step is None else _checks.number("step", step, above=0.0)
    if step * N < FEWEST:
        raise ValueError(
            f"`step` must be at least {FEWEST} samples, {FEWEST / N:g} at N = {N}, but is {step:g}; for smaller N take "
            "engine='chain', which is exact"
        )
    return step


def check_diffusion(model: TeacherStudent) -> TeacherStudent:
    """Return a model that the engine can run."""
    weights_alone = model.is_sample_by_sample and not len(model.rule.scalars(model)) and model.averaging is None
    if model.inputs is not None or not weights_alone:
        raise NoClosedForm(
            "`model` must have isotropic inputs, a fixed readout, batches of 1, no momentum and no running average for "
            f"the engine 'diffusion', but is {describe(model)}; take engine='chain'"
        )
    if model.rule.averages(model).drift is None:
        raise NoClosedForm(
            "`model` must have a rule and activations whose averages are compiled loops for the engine 'diffusion', "
            f"but is {describe(model)}; take engine='chain'"
        )
    return model


class DiffusionRuns:
    """A few runs, one after the other, with the interface of `tsode.sgd.chain.ChainRuns`.

    Parameters
    ----------
    models, starts, N, sequences, limit
        As there.
    step : float
        Length of a coarse step, in units of alpha. One that ends at a record, or where the learning rate jumps, may be
        shorter, and its neighbours with it.

    Attributes
    ----------
    HELD : tuple of str
        The arrays, the first axis being the run, that a run needs to go on.
    states : ndarray, shape (runs, p (p + p_star) + p p)
        [A | L], and S, which is zero between steps.
    streams : ndarray, shape (runs, 4, SUBSTREAMS)
        The random state.
    ended : ndarray, shape (runs,)
        Sample at which a run diverged, or -1.
    """

    HELD = ("states", "streams")
    exhausted = False

    def __init__(
        self,
        models: Sequence[TeacherStudent],
        starts: Sequence[Overlaps | None],
        N: int,
        sequences: Sequence[np.random.SeedSequence],
        limit: float | np.ndarray,
        step: float = STEP,
    ) -> None:
        model = self.model = models[0]
        self.N, self.samples, self.runs, self.step = N, step * N, len(sequences), 0
        p, d = model.p, model.p + model.p_star
        self.T = semidefinite_root(model.teacher_overlap)
        self.states, self.streams = np.zeros((self.runs, p * (d + p))), np.empty((self.runs, 4, SUBSTREAMS), np.uint64)
        for run, (each, start, sequence) in enumerate(zip(models, starts, sequences)):
            numbers, _, start_sequence = (run_sequence(sequence, i) for i in range(3))  # as of the chain
            self.streams[run] = stream_state(numbers, SUBSTREAMS)
            self.states[run, : p * d] = start_rows(each, start, N, self.T, start_sequence).ravel()
        self.ended, self.limit = np.full(self.runs, -1.0), np.broadcast_to(limit, self.runs).astype(np.float64)
        averages, rule = model.rule.averages(model), model.rule
        self.means = means_of(averages)
        self.parameters = np.array([rule.average_parameters(each.fastest, RTOL) for each in models])
        if averages.kick is not None:
            self.kick, self.count = kick_of(averages.kick), d * (d + 1)
            self.kick_parameters = self.parameters.copy()
        else:
            noises = rule.noises(model)
            self.kick, self.count = kick_of(kick_by_samples(rule.step(model), noises)), SAMPLES * (d + noises)
            self.kick_parameters = np.array([rule.parameters(each.fastest) for each in models])

    def advance(self, stop: int) -> bool:
        """Run up to `stop` samples in all, or a bounded part of the way; return False where no run is left."""
        ends = self._ends(stop)
        diffusion_kernel(
            self.means.pointer, self.kick.pointer, self.parameters, self.kick_parameters, self.count,
            self._rates(ends), self.model.p, self.step, ends, self.N, self.T, float(self.model.weight_decay),
            self.model.spherical, self.states, self.streams, self.ended, self.limit,
        )  # fmt: skip
        self.step = int(ends[-1])
        return bool((self.ended < 0).any())

    def _ends(self, stop):
        """Return the samples at which the next steps end, equal ones up to `stop` or where the rate jumps."""
        schedule = self.model.schedule
        jumps = () if schedule is None else (round(time * self.N) for time in schedule.breakpoints)
        left = min([stop, *(jump for jump in jumps if jump > self.step)]) - self.step
        steps = int(np.ceil(left / self.samples))
        many = min(steps, max(1, STEPS_A_CALL // self.states.shape[1]))
        return np.array([self.step + left * (i + 1) // steps for i in range(many)])

    def _rates(self, ends):
        """Return the learning rates at five places of each step, just inside of it, shape (steps, 5), or none."""
        if self.model.schedule is None:
            return np.empty((0, len(PLACES)))
        begins = np.concatenate([[self.step], ends[:-1]])
        lengths = (ends - begins)[:, None]
        inside = np.maximum(1.0 / lengths, 1e-9)
        return self.model.schedule((begins[:, None] + lengths * np.clip(PLACES, inside, 1.0 - inside)) / self.N)

    def held(self, run: int) -> dict[str, np.ndarray]:
        """Return views of what one run needs to go on, by name."""
        return {name: getattr(self, name)[run] for name in self.HELD}

    def trained(self) -> np.ndarray:
        """Return the trained scalars of the runs: none, shape (runs, 0)."""
        return np.empty((self.runs, 0))

    def overlaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Return M, Q of the runs, shapes (runs, p, p_star) and (runs, p, p)."""
        p, p_star = self.model.p, self.model.p_star
        rows = self.states[:, : p * (p + p_star)].reshape(self.runs, p, p + p_star)
        return rows[:, :, :p_star] @ self.T.T, rows @ np.swapaxes(rows, 1, 2)

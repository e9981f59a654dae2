"""The one result type: overlaps over time, from the ODEs or from SGD, with where they came from."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _checks
from ._blocks import Blocks, check_blocks
from ._display import Report
from ._parameters import describe
from ._states import unfold
from ._trajectory_checks import check_ends, check_observed, check_seed, check_state, own_array, position
from ._trajectory_files import Files
from ._trajectory_names import Named
from .inputs import Inputs
from .model import TeacherStudent, check_model
from .overlaps import Overlaps

__all__ = ["Trajectory", "check_trajectory"]


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Files, Named, Report):
    r"""Overlaps at the recorded times of one ODE solution or of several SGD runs.

    The run axis "..." is one axis of length R in what ``simulate`` returns, and absent from ``integrate``.

    Attributes
    ----------
    model : TeacherStudent
        What was run.
    alpha : ndarray, shape (T,)
        Times, samples / N. A simulation records after round(alpha N) samples.
    M, Q : ndarray, shapes (..., T, p, p_star), (..., T, p, p)
        Overlaps; nan from the moment a run ended early.
    status : str or ndarray of str, shape (...)
        "completed", "reached" (what it was to run until), "diverged" (the norms ran away), "exhausted" (user's inputs
        ran out) or "interrupted".
    stopped_at : float or ndarray, shape (...)
        Time at which each run ended, ``alpha[-1]`` for a completed one; of one that reached its condition the time of
        the record at which it held.
    N : int or None
        Input dimension; None for the ODEs, where it is infinite.
    seed : int, list of int or None
        Entropy of the random streams: ``SeedSequence(seed)`` is to be given as `seed` again; None for the ODEs.
    engine : str
        How it was computed.
    versions : dict
        Versions of Python and of the packages that computed it.
    scalars : ndarray, shape (..., T, n_scalars)
        What was trained beside W: a trained readout, or nothing.
    gradient_flow : bool
        Whether the term of second order in the learning rate was left out.
    observables : dict of str to ndarray, shape (..., T, ...)
        What else was recorded, by name.
    state : dict of str to ndarray, or None
        What :func:`tsode.simulate` needs to continue the runs: weights, generators and numbers drawn in advance.
    blocks : Blocks or None
        Overlaps in each block of the model's inputs, shapes (..., T, B, p, p_star), (..., T, B, p, p) and, of the
        teacher, (B, p_star, p_star): M and Q are their sums times the variances, the covariance of the preactivations.
        None where the inputs are isotropic.
    averaged : Trajectory or None
        The same of the running average of the weights, for a model with an `averaging_rate`: its M and Q, trained
        readout and loss. On the sphere it is the average as it is, which is shorter than sqrt(N).

    Raises
    ------
    TypeError, ValueError
        If an attribute is of the wrong type, or its shape does not fit the others'.
    """

    model: TeacherStudent
    alpha: np.ndarray
    M: np.ndarray
    Q: np.ndarray
    status: str | np.ndarray
    stopped_at: float | np.ndarray
    N: int | None = None
    seed: int | list[int] | None = None
    engine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    gradient_flow: bool = False
    scalars: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    observables: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] | None = None
    blocks: Blocks | None = None
    averaged: Trajectory | None = None

    def __post_init__(self) -> None:
        model = check_model(self.model)
        alpha = _checks.float_array("alpha", self.alpha, (None,), "(T,)")
        shape = (len(alpha), model.p, model.p_star)
        M, Q = (own_array(name, getattr(self, name)) for name in ("M", "Q"))
        lead = M.shape[:-3]
        if len(lead) > 1 or M.shape != (*lead, *shape):
            raise ValueError(f"`M` must have shape (T, p, p_star) = {shape} after the runs, but has shape {M.shape}")
        if Q.shape != (*lead, len(alpha), model.p, model.p):
            raise ValueError(f"`Q` must have shape {(*lead, len(alpha), model.p, model.p)}, but has shape {Q.shape}")
        trained = (*lead, len(alpha), len(model.rule.scalars(model)))
        scalars = np.empty(trained) if self.scalars is None else own_array("scalars", self.scalars)
        if scalars.shape != trained or (self.scalars is None and scalars.size):
            raise ValueError(f"`scalars` must have shape {trained}, but has shape {np.shape(self.scalars)}")
        check_ends(lead, self.status, self.stopped_at)
        check_seed(self.seed)
        if self.N is not None:
            _checks.integer("N", self.N, minimum=1)
        _checks.instance("engine", self.engine, str, "a str")
        _checks.instance("versions", self.versions, dict, "a dict")
        _checks.flag("gradient_flow", self.gradient_flow)
        check_observed((*lead, len(alpha)), self.observables)
        check_state(self.state)
        check_blocks(self.blocks, model.inputs, M, Q, model.teacher_overlap)
        if self.averaged is not None:
            shape = _checks.instance("averaged", self.averaged, Trajectory, "a Trajectory").M.shape
            if shape != M.shape:
                raise ValueError(f"`averaged` must have overlaps of shape {M.shape}, but they have {shape}")
        for name, array in (("alpha", _checks.times(alpha)), ("M", M), ("Q", Q), ("scalars", scalars)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @functools.cached_property
    def excess_loss(self) -> np.ndarray:
        """Population loss for Gaussian inputs less its floor, as of `TeacherStudent`, shape (..., T).

        For the square that is the loss without the label noise, and zero on the solutions.
        """
        return self.model.excess_loss(self.M, self.Q, self.readout)

    @functools.cached_property
    def loss(self) -> Any:
        """Population loss for Gaussian inputs, its floor included: half the label noise's variance for the square.

        Of a :class:`tsode.Scheme` it is a mapping of the names of the losses to arrays, each computed when it is asked
        for; else an array, shape (..., T).
        """
        named = self.model.rule.losses(self.model, self.M, self.Q, self.scalars)
        return self.excess_loss + self.model.rule.floor(self.model) if named is None else named

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Final W and W* of the runs, shapes (R, p, N) and (R, p_star, N); ValueError where they were not kept.

        Zeros for a run that diverged, or did not begin.
        """
        if self.state is None or "W" not in self.state or self.N is None:
            raise ValueError(
                "`weights` must be kept to be had, by simulate(..., engine='weights', keep_weights=True); this has "
                f"none, and is of the engine {self.engine!r}"
            )
        rows = unfold(self.state["W"], self.N)
        return rows[:, : self.model.p], rows[:, self.model.p :]

    @property
    def readout(self) -> np.ndarray:
        """Readout of the student, trained or fixed, shape (..., T, p)."""
        if "readout" in self.model.rule.layout(self.model).scalars:
            return self.scalar("readout")
        return np.broadcast_to(self.model.student_readout, (*self.M.shape[:-2], self.model.p))

    @property
    def runs(self) -> int | None:
        """Number of runs, or None for an ODE solution."""
        return self.M.shape[0] if self.M.ndim == 4 else None

    def overlaps(self, index: int = -1, run: int | None = None) -> Overlaps:
        """Return the Overlaps at one recorded time.

        Parameters
        ----------
        index : int
            Position in `alpha`.
        run : int, optional
            Which run; needed where there is a run axis.

        Returns
        -------
        Overlaps

        Raises
        ------
        TypeError, ValueError
            If `index` or `run` is none of those there are; if `run` is missing, or given where there is no run axis;
            or if the run had ended before.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> start = tsode.Overlaps.random(model, N=100, rng=0)
        >>> ode = tsode.integrate(model, start, 30.0)
        >>> ode.overlaps(-1).M.shape
        (2, 1)
        """
        if (run is None) != (self.runs is None):
            wanted = "be left out: there is no run axis" if self.runs is None else f"be one of {self.runs} runs"
            raise ValueError(f"`run` must {wanted}, but is {run}")
        index = position("index", index, len(self.alpha), "times")
        at = index if run is None else (position("run", run, self.M.shape[0], "runs"), index)
        if np.isnan(self.Q[at]).any():
            raise ValueError(f"`index` must be a time before the end of run {run}, but is {index}")
        if self.blocks is not None and self.model.inputs is not None:
            return Overlaps.from_blocks(self.model.inputs, self.blocks.M[at], self.blocks.Q[at], self.blocks.P)
        return Overlaps(self.M[at], self.Q[at], self.model.teacher_overlap)

    def loss_under(self, inputs: Inputs) -> Any:
        r"""Return the excess loss on test inputs of another covariance, on the same blocks of coordinates.

        It is the loss at the overlaps :math:`\sum_b s_b'^2 M^b` and so on, the variances being those of `inputs`.

        Parameters
        ----------
        inputs : Inputs
            The covariance of the test inputs, with as many blocks as the model's. Only its eigenvalues matter: which
            coordinates a block has is what the model says.

        Returns
        -------
        ndarray, shape (..., T)
            Of a :class:`tsode.Scheme` a mapping of the names of its losses to such arrays.

        Raises
        ------
        TypeError, ValueError
            If `inputs` is none, or of another number of blocks; if the model's inputs have none.

        Examples
        --------
        >>> import tsode
        >>> halves = tsode.Inputs([1.0, 1.0], [1, 1])
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2, inputs=halves)
        >>> ode = tsode.integrate(model, tsode.Overlaps.random(model, N=100, rng=0), 10.0)
        >>> tested = ode.loss_under(tsode.Inputs([1.9, 0.1], [1, 1]))
        >>> tested.shape, bool(abs(tested[0] / ode.excess_loss[0] - 1) > 0.01)
        ((201,), True)
        """
        _checks.instance("inputs", inputs, Inputs, "a tsode.Inputs")
        if self.blocks is None:
            raise ValueError(
                "`model` must have inputs with blocks for a loss under others, as Inputs([1, 1], [1, 1]) for isotropic"
                " ones in two, but has none"
            )
        if len(inputs) != self.blocks.M.shape[-3]:
            raise ValueError(
                f"`inputs` must have {self.blocks.M.shape[-3]} blocks as those of the model, but has {len(inputs)}"
            )
        M, Q, P = self.blocks.covariance(inputs)
        model = self.model.replace(teacher_overlap=P, inputs=None)
        named = model.rule.losses(model, M, Q, self.scalars)
        return model.excess_loss(M, Q, self.readout) if named is None else named

    def _rows(self):
        try:
            final = np.atleast_1d(self.excess_loss[..., -1])
        except _checks.NoClosedForm:  # an activation too rough for its averages
            final = np.array([])
        final, outputs = final[np.isfinite(final)], self.model.rule.layout(self.model).outputs
        whole = bool(np.all(np.asarray(self.status) == "completed"))
        excess = "final excess loss" if whole else "last excess loss before the end"
        statuses, counts = np.unique(self.status, return_counts=True)
        return [
            ("model", describe(self.model) if outputs is None else self.model.rule),
            ("input dimension N", "infinite (ODE)" if self.N is None else f"{self.N:,}"),
            ("runs", "one solution" if self.runs is None else self.runs),
            ("time alpha", f"{self.alpha[0]:g} to {self.alpha[-1]:g}, {len(self.alpha)} points"),
            ("status", ", ".join(f"{s} ({n})" if self.runs else s for s, n in zip(statuses, counts))),
            *([] if whole else [("first run ended at alpha", f"{np.min(self.stopped_at):.4g}")]),
            (excess, f"{final.mean():.4g}" if final.size else "none finite")
            if outputs is None else ("losses", ", ".join(outputs) or "none"),
            ("engine", self.engine),
            ("seed", self.seed),
        ]  # fmt: skip

    def _title(self):
        return "Trajectory of the overlaps M and Q"


def check_trajectory(trajectory: Trajectory, name: str = "trajectory") -> Trajectory:
    """Return `trajectory` if it is a Trajectory; `name` is the argument's name in messages."""
    return _checks.instance(name, trajectory, Trajectory, "a Trajectory")

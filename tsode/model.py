"""The teacher-student pair: what is learned, by what, and how fast."""

import copy
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import _checks
from ._display import Report
from ._loss import Loss
from ._parameters import about, describe, is_default, overlap, plain, readout, short, width
from .activations import SHIPPED, TEACHERS, Activation, NoClosedForm, activation_of, stored_activation
from .rules import SHIPPED as RULES
from .rules import Rule, rule_of, stored_rule
from .schedules import Later, Schedule, rate_of, stored_rate

__all__ = ["CONSTRAINTS", "TeacherStudent", "check_constant", "check_model", "later", "parameters", "with_rate"]

CONSTRAINTS = ("free", "spherical")


def _activation(name, value, known):
    found = activation_of(value, name)
    if not found.learns:
        raise ValueError(f"`{name}` must have a slope that is not zero, but is {found!r}, which is for teachers alone")
    return found


def _teacher_activation(name, value, known):
    return known["activation"] if value is None else activation_of(value, name, TEACHERS)


@dataclass(frozen=True, eq=False, repr=False)
class TeacherStudent(Report, Loss):
    r"""A student of width p that learns from a teacher of width p*, both with one hidden layer.

    With preactivations :math:`\lambda = W x / \sqrt N` and :math:`\mu = W^* x / \sqrt N` of one Gaussian
    input x, student and teacher put out

    .. math::
        \hat y = \sum_k v_k\, \sigma(\lambda_k), \qquad
        y = \sum_r v^*_r\, \sigma^*(\mu_r) + \sqrt{\Delta}\, \xi ,

    with :math:`\sigma(x) = x^2` by default; the loss of the sample is :math:`(\hat y - y)^2 / 2`, and one-pass SGD
    moves :math:`w_k \leftarrow w_k - \eta\, \partial \ell / \partial w_k`, each sample used once. The input
    dimension N is not part of the model: it belongs to a start or to a simulation.

    Parameters
    ----------
    p, p_star : int
        Widths p of the student and p* of the teacher, at least 1.
    learning_rate : float, Schedule, array_like of shape (n, 2), or callable
        Learning rate :math:`\eta > 0`; or one that changes in time: one of :mod:`tsode.schedules`, pairs (alpha, value)
        with the value from this time on, or a plain function of alpha. That of a trained readout stays what it is.
    noise_variance : float
        Variance :math:`\Delta \ge 0` of the label noise.
    student_readout : array_like, shape (p,), optional
        Fixed second-layer weights v of the student; 1/p each by default. Any sign.
    teacher_readout : array_like, shape (p_star,), optional
        Second-layer weights v* of the teacher; 1/p* each by default.
    teacher_overlap : array_like, shape (p_star, p_star), optional
        :math:`P = W^* W^{*T} / N`, positive semidefinite; the identity by default.
    constraint : {"free", "spherical"}
        "spherical" rescales every student row to :math:`|w_k|^2 = N` after each step.
    activation : str or Activation
        Of the hidden units: "quadratic", "erf", "relu" or "tanh", or an object of :mod:`tsode.activations`.
    teacher_activation : str or Activation, optional
        Of the teacher's units; that of the student by default. Also "sign", for classes.
    rule : str or Rule
        What one sample changes: "gradient", which is descent on half the squared error, "logistic", "hinge",
        "perceptron" or "huber", or an object of :mod:`tsode.rules`.
    readout_learning_rate : float
        Learning rate :math:`\eta_v \ge 0` of the student's readout, which then starts at `student_readout`; 0: it is
        fixed. A sample moves :math:`v_k \leftarrow v_k - (\eta_v / N)\, \partial \ell / \partial v_k`.
    weight_decay, readout_decay : float
        Rates :math:`\kappa, \kappa_v \ge 0`: before each step W is multiplied by :math:`1 - \kappa / N`, and a trained
        readout by :math:`1 - \kappa_v / N`.
    batch_size : int
        Number of samples B whose steps, all at the same weights, are averaged into one.
    momentum : float
        :math:`0 \le \beta < 1`: a step is that of the batch and :math:`\beta` times the step before, also of a trained
        readout; decays are no part of it.

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type, shape or range; the message names it.

    Notes
    -----
    The quadratic setting is that of arXiv:2604.03068, the one with the error function, the soft committee machine, that
    of Saad & Solla, Phys. Rev. E 52, 4225 (1995). Models compare equal when all their parameters do.

    Examples
    --------
    >>> model = TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    >>> model.student_readout
    array([0.25, 0.25, 0.25, 0.25])
    """

    # where types are ignored, the default is what may be given; __post_init__ makes of it what is held
    # fmt: off
    p: int = field(metadata=about(
        "student width", "width of the student", "p", width, title="widths", default=4,
        plural="widths of the student"))
    p_star: int = field(metadata=about(
        "teacher width", "width of the teacher", "p*", width, title="widths", default=2, metavar="P",
        plural="widths of the teacher"))
    learning_rate: float = field(metadata=about(
        "learning rate", "learning rate", "η", lambda name, value, _: rate_of(name, value), load=stored_rate,
        title="run", default=0.4, metavar="ETA", plural="learning rates"))
    noise_variance: float = field(default=0.0, metadata=about(
        "label noise variance", "variance of the label noise", "Δ",
        lambda name, value, _: _checks.number(name, value, minimum=0.0),
        title="run", short="noise variance", metavar="VAR", plural="variances of the label noise"))
    student_readout: np.ndarray = field(default=None, metadata=about(  # type: ignore[arg-type]
        "student readout", "second layer of the student", "v", readout("p")))
    teacher_readout: np.ndarray = field(default=None, metadata=about(  # type: ignore[arg-type]
        "teacher readout", "second layer of the teacher", "v*", readout("p_star")))
    teacher_overlap: np.ndarray = field(default=None, metadata=about(  # type: ignore[arg-type]
        "teacher overlap", "overlap of the teacher's rows", "P", overlap))
    constraint: str = field(default="free", metadata=about(
        "constraint", "constraint on the student's rows", "",
        lambda name, value, _: _checks.choice(name, value, CONSTRAINTS),
        title="loss", choices=CONSTRAINTS, plural="constraints on the student's rows"))
    _: KW_ONLY
    activation: Activation = field(default="quadratic", metadata=about(  # type: ignore[assignment]
        "activation", "activation of the hidden units", "σ", _activation,
        load=stored_activation, title="widths", rare=True, choices=tuple(SHIPPED),
        plural="activations of the hidden units"))
    teacher_activation: Activation = field(default=None, metadata=about(  # type: ignore[assignment]
        "teacher activation", "activation of the teacher's units; None: the student's", "σ*", _teacher_activation,
        load=stored_activation, title="widths", rare=True, choices=tuple(TEACHERS),
        plural="activations of the teacher's units; None: the student's"))
    rule: Rule = field(default="gradient", metadata=about(  # type: ignore[assignment]
        "learning rule", "what one sample changes", "", lambda name, value, _: rule_of(value, name),
        load=stored_rule, title="run", rare=True, choices=tuple(RULES), plural="learning rules"))
    readout_learning_rate: float = field(default=0.0, metadata=about(
        "readout learning rate", "learning rate of the student's second layer; 0: it is fixed", "ηv",
        lambda name, value, _: _checks.number(name, value, minimum=0.0),
        title="run", rare=True, metavar="ETA", plural="learning rates of the student's second layer"))
    weight_decay: float = field(default=0.0, metadata=about(
        "weight decay", "rate at which the student's weights decay", "κ",
        lambda name, value, _: _checks.number(name, value, minimum=0.0),
        title="run", rare=True, metavar="RATE", plural="rates of weight decay"))
    readout_decay: float = field(default=0.0, metadata=about(
        "readout decay", "rate at which a trained second layer decays", "κv",
        lambda name, value, _: _checks.number(name, value, minimum=0.0),
        title="run", rare=True, metavar="RATE", plural="rates of decay of a trained second layer"))
    batch_size: int = field(default=1, metadata=about(
        "batch size", "samples whose steps are averaged into one", "B",
        lambda name, value, _: _checks.integer(name, value, minimum=1),
        title="run", rare=True, metavar="B", plural="batch sizes"))
    momentum: float = field(default=0.0, metadata=about(
        "momentum", "what is kept of the last step", "β",
        lambda name, value, _: _checks.number(name, value, minimum=0.0, maximum=0.999999),
        title="run", rare=True, metavar="BETA", plural="values of the momentum"))

    if TYPE_CHECKING:  # what is taken is more than what is held

        def __init__(
            self, p: int, p_star: int, learning_rate: float | Schedule | ArrayLike | Callable[..., Any],
            noise_variance: float = 0.0,
            student_readout: ArrayLike | None = None, teacher_readout: ArrayLike | None = None,
            teacher_overlap: ArrayLike | None = None, constraint: str = "free", *,
            activation: str | dict[str, Any] | Activation = "quadratic",
            teacher_activation: str | dict[str, Any] | Activation | None = None,
            rule: str | dict[str, Any] | Rule = "gradient",
            readout_learning_rate: float = 0.0, weight_decay: float = 0.0, readout_decay: float = 0.0,
            batch_size: int = 1, momentum: float = 0.0,
        ) -> None: ...
    # fmt: on

    def __post_init__(self) -> None:
        known: dict[str, Any] = {}
        for one in dataclasses.fields(self):
            known[one.name] = one.metadata["check"](one.name, getattr(self, one.name), known)
        for name, value in known.items():
            object.__setattr__(self, name, value)

    @property
    def spherical(self) -> bool:
        """Whether the student's rows are kept at norm sqrt(N)."""
        return self.constraint == "spherical"

    @property
    def schedule(self) -> Schedule | None:
        """The learning rate where it changes in time; None where it is a number."""
        return self.learning_rate if isinstance(self.learning_rate, Schedule) else None

    @property
    def largest_rate(self) -> float:
        """The learning rate, the largest one where it changes in time."""
        return self.learning_rate if self.schedule is None else self.schedule.largest

    @property
    def fastest(self) -> "TeacherStudent":
        """The model with its largest learning rate at all times."""
        return self if self.schedule is None else with_rate(self, self.largest_rate)

    def at(self, alpha: float) -> "TeacherStudent":
        """Return the model with the constant learning rate that holds at one time.

        Parameters
        ----------
        alpha : float
            Time, samples / N.

        Returns
        -------
        TeacherStudent

        Raises
        ------
        TypeError, ValueError
            If `alpha` is no number; if the learning rate is zero there.

        Examples
        --------
        >>> TeacherStudent(p=4, p_star=2, learning_rate=[(0, 0.4), (20, 0.1)]).at(30.0).learning_rate
        0.1
        """
        alpha = _checks.number("alpha", alpha)
        return self if self.schedule is None else with_rate(self, float(self.schedule(alpha)))

    @property
    def is_uniform(self) -> bool:
        """Whether all v are one number, all v* another, and P is the identity: the case of the closed forms."""
        return bool(
            np.ptp(self.student_readout) == 0
            and np.ptp(self.teacher_readout) == 0
            and np.array_equal(self.teacher_overlap, np.eye(self.p_star))
        )

    def replace(self, **changes: Any) -> "TeacherStudent":
        """Return a model with some parameters changed; readouts and P left at their default follow the widths.

        Parameters
        ----------
        **changes
            Parameters of the class, by name.

        Returns
        -------
        TeacherStudent

        Raises
        ------
        TypeError, ValueError
            If a name is none of the class, or as in the class.

        Examples
        --------
        >>> TeacherStudent(p=4, p_star=2, learning_rate=0.4).replace(p=2).student_readout
        array([0.5, 0.5])
        """
        kept = {
            one.name: one.default if is_default(self, one) else getattr(self, one.name)
            for one in dataclasses.fields(self)
        }
        for name in changes:
            if name not in kept:
                raise TypeError(f"`changes` must name some of {', '.join(kept)}, but names {name!r}")
        return TeacherStudent(**{**kept, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain numbers, strings and lists, as JSON takes them.

        Activations and rule are left out where they are the default.

        Examples
        --------
        >>> TeacherStudent(p=2, p_star=1, learning_rate=0.4).to_dict()["student_readout"]
        [0.5, 0.5]
        """
        return {
            one.name: plain(getattr(self, one.name))
            for one in dataclasses.fields(self)
            if not (one.metadata.get("rare") and is_default(self, one))
        }

    @classmethod
    def from_dict(cls, parameters: dict[str, Any]) -> "TeacherStudent":
        """Return the model of :meth:`to_dict`, also where it has an activation of the user's own.

        Parameters
        ----------
        parameters : dict
            What `to_dict` returned. Of other activations and rules than shipped ones it has no function:
            :class:`tsode.activations.Stored` and :class:`tsode.rules.Stored` stand for them.

        Returns
        -------
        TeacherStudent

        Raises
        ------
        TypeError, ValueError
            If they are none of a model.

        Examples
        --------
        >>> model = TeacherStudent(p=2, p_star=1, learning_rate=0.4, activation="relu")
        >>> TeacherStudent.from_dict(model.to_dict()) == model
        True
        """
        _checks.instance("parameters", parameters, dict, "a dict of a model's parameters")
        known = {one.name for one in dataclasses.fields(cls)}
        if not {"p", "p_star", "learning_rate"} <= set(parameters) <= known:
            raise ValueError(f"`parameters` must be those of a model, but names {', '.join(map(str, parameters))}")
        load = {one.name: one.metadata["load"] for one in dataclasses.fields(cls) if "load" in one.metadata}
        return cls(**{name: load[name](value) if name in load else value for name, value in parameters.items()})

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, TeacherStudent) else NotImplemented

    def __hash__(self) -> int:
        return hash(repr(self.to_dict()))

    @property
    def is_plain(self) -> bool:
        """Whether one activation serves both sides and W alone is trained, sample by sample, by gradient descent.

        That is what closed forms ask for, at a constant learning rate.
        """
        return (
            self.teacher_activation == self.activation
            and self.rule == rule_of("gradient")
            and self.is_sample_by_sample
            and not (self.schedule or self.readout_learning_rate or self.weight_decay)
        )

    @functools.cached_property
    def theory(self) -> Any:
        """What is known in closed form: see :func:`tsode.closed_forms.closed_forms`."""
        check_constant(self)
        if not self.is_plain:
            raise NoClosedForm(
                "`model` must have one activation on both sides, the rule 'gradient', a fixed readout, no decay, "
                f"batches of 1 and no momentum for closed forms, but is {describe(self)}; tsode.fixed_point finds "
                "plateaus and end points of any with a fixed readout"
            )
        return self.activation.closed_forms(self)

    @property
    def is_sample_by_sample(self) -> bool:
        """Whether each sample makes a step of its own, which depends on no other: no batches and no momentum."""
        return self.batch_size == 1 and not self.momentum

    @property
    def effective_learning_rate(self) -> float:
        r"""Rate :math:`\eta / (B (1 - \beta))` of steps of one sample without momentum with the same ODE, float."""
        return self.largest_rate / (self.batch_size * (1 - self.momentum))

    @property
    def natural_time(self) -> float:
        r"""Unit of time in which the model learns, :math:`1 / (\eta \max|v| \max|v^*|)` at the largest rate, float."""
        v, v_star = np.abs(self.student_readout).max(), np.abs(self.teacher_readout).max()
        if self.readout_learning_rate:  # it will be of the size of the other
            v = max(v, v_star)
        return 1 / (self.effective_learning_rate * v * v_star)

    @property
    def solution_ratio(self) -> float:
        """Squared norm of a student's row over a teacher's at which both put out the same, for the largest readouts.

        1 for an activation that is not homogeneous, or a trained readout; huge but finite where the student puts out
        nothing.
        """
        if self.activation.degree is None or self.readout_learning_rate:
            return 1.0
        largest = np.abs(self.student_readout).max()
        ratio = np.abs(self.teacher_readout).max() / max(largest, 1e-100)
        return float(min(ratio ** (2 / self.activation.degree), 1e200))

    @property
    def solution_size(self) -> float:
        """The tr M M^T of a student that has learned as many directions of the teacher as it can, P = 1, float."""
        return min(self.p, self.p_star) * self.solution_ratio

    def __getstate__(self) -> dict[str, Any]:
        # the parameters alone: what is cached beside them is neither to be pickled nor to be hashed
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def _rows(self):
        return [
            (f"{one.metadata['label']} {one.metadata['symbol']}".strip(), short(getattr(self, one.name)))
            for one in dataclasses.fields(self)
            if not (one.metadata.get("rare") and is_default(self, one))
        ]

    def _title(self):
        return f"TeacherStudent, {short(self.activation)} activation"


def parameters() -> dict[str, dict[str, Any]]:
    """Return what is said of each parameter that the command line and grids take, dict of str to dict.

    To what stands in the class are added its `kind`, a type, and its `default`.
    """
    return {
        one.name: {"kind": one.type, "default": one.default, **one.metadata}
        for one in dataclasses.fields(TeacherStudent)
        if "plural" in one.metadata
    }


def check_model(model: TeacherStudent, name: str = "model") -> TeacherStudent:
    """Return `model` if it is a TeacherStudent; `name` is the argument's name in messages."""
    return _checks.instance(name, model, TeacherStudent, "a TeacherStudent")


def check_constant(model: TeacherStudent) -> TeacherStudent:
    """Return `model` if its learning rate is constant."""
    if model.schedule is None:
        return model
    raise NoClosedForm(
        "`model` must have a constant learning rate here; take `model.at(alpha)`, which has that of one time: "
        f"it is {model.schedule!r}"
    )


def with_rate(model: TeacherStudent, learning_rate: float) -> TeacherStudent:
    """Return what `model.replace` returns with another learning rate, a number, in a hundredth of the time."""
    return _copy(model, _checks.number("learning_rate", learning_rate, above=0.0))


def later(model: TeacherStudent, alpha: float) -> TeacherStudent:
    """Return the model whose learning rate depends on the time since `alpha`."""
    return model if model.schedule is None or not alpha else _copy(model, Later(model.schedule, alpha))


def _copy(model, learning_rate):
    changed = copy.copy(model)
    object.__setattr__(changed, "learning_rate", learning_rate)
    return changed

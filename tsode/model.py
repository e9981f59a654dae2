"""The teacher-student pair: what is learned, by what, and how fast."""

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
from ._model_forms import Forms
from ._parameters import about, describe, is_default, overlap, readout, short, width
from ._scales import Scales, check_constant, check_isotropic, later, unchecked, with_rate
from .activations import SHIPPED, TEACHERS, Activation, NoClosedForm, activation_of, stored_activation
from .averaging import UniformAverage, averaging_of, stored_averaging
from .inputs import Inputs, inputs_of
from .rules import SHIPPED as RULES
from .rules import Rule, rule_of, stored_rule
from .schedules import Schedule, rate_of, stored_rate

__all__ = [
    "CONSTRAINTS",
    "TeacherStudent",
    "check_constant",
    "check_isotropic",
    "check_model",
    "later",
    "parameters",
    "unchecked",
    "with_rate",
]

CONSTRAINTS = ("free", "spherical")


def _activation(name, value, known):
    found = activation_of(value, name)
    if not found.learns:
        raise ValueError(f"`{name}` must have a slope that is not zero, but is {found!r}, which is for teachers alone")
    return found


def _teacher_activation(name, value, known):
    return known["activation"] if value is None else activation_of(value, name, TEACHERS)


@dataclass(frozen=True, eq=False, repr=False)
class TeacherStudent(Forms, Loss, Scales, Report):
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
    averaging_rate : float or UniformAverage
        Rate :math:`\tau \ge 0`, per unit of alpha, of a running average of W and of a trained readout, which
        trajectories have as `averaged`: see :mod:`tsode.averaging`. It moves nothing. 0: there is none.
    inputs : Inputs, optional
        Covariance of the inputs; the identity by default. `teacher_overlap` is the covariance of the teacher's
        preactivations in any case.

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
    averaging_rate: float | UniformAverage = field(default=0.0, metadata=about(
        "averaging rate", "rate of a running average of the student's weights", "τ",
        lambda name, value, _: averaging_of(name, value), load=stored_averaging, title="run", rare=True))
    inputs: Inputs | None = field(default=None, metadata=about(
        "inputs", "covariance of the inputs", "", lambda name, value, _: inputs_of(value), load=inputs_of,
        title="run", rare=True))

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
            batch_size: int = 1, momentum: float = 0.0, averaging_rate: float | UniformAverage = 0.0,
            inputs: Inputs | None = None,
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
    def is_uniform(self) -> bool:
        """Whether all v are one number, all v* another, and P is the identity: the case of the closed forms."""
        return bool(
            np.ptp(self.student_readout) == 0
            and np.ptp(self.teacher_readout) == 0
            and np.array_equal(self.teacher_overlap, np.eye(self.p_star))
        )

    @property
    def is_plain(self) -> bool:
        """Whether one activation serves both sides and W alone is trained, sample by sample, by gradient descent.

        That is what closed forms ask for, at a constant learning rate.
        """
        return (
            self.teacher_activation == self.activation
            and self.rule == rule_of("gradient")
            and self.is_sample_by_sample
            and not (self.schedule or self.readout_learning_rate or self.weight_decay or self.inputs)
        )

    @functools.cached_property
    def theory(self) -> Any:
        """What is known in closed form: see `tsode.closed_forms`."""
        check_isotropic(check_constant(self))
        if not self.is_plain:
            raise NoClosedForm(
                "`model` must have one activation on both sides, the rule 'gradient', a fixed readout, no decay, "
                f"batches of 1 and no momentum for closed forms, but is {describe(self)}; tsode.fixed_point finds "
                "plateaus and end points of any with a fixed readout"
            )
        return self.activation.closed_forms(self)

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

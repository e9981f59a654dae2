"""The teacher-student pair: what is learned, by what, and how fast."""

import dataclasses
import functools
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from . import _checks
from ._display import Report
from .activations import Activation, NoClosedForm, activation_of
from .rules import Rule, rule_of

__all__ = ["CONSTRAINTS", "TeacherStudent", "check_model"]

CONSTRAINTS = ("free", "spherical")


def _about(label, meaning, symbol=""):
    """Return what reprs, figures and the command line say of a parameter: listed here and nowhere else."""
    return {"label": label, "meaning": meaning, "symbol": symbol}


@dataclass(frozen=True, eq=False, repr=False)
class TeacherStudent(Report):
    r"""A student of width p that learns from a teacher of width p*, both with one hidden layer.

    With preactivations :math:`\lambda = W x / \sqrt N` and :math:`\mu = W^* x / \sqrt N` of one Gaussian
    input x, student and teacher put out

    .. math::
        \hat y = \sum_k v_k \sigma(\lambda_k), \qquad
        y = \sum_r v^*_r \sigma^*(\mu_r) + \sqrt{\Delta}\, \xi ,

    the loss of the sample is :math:`(\hat y - y)^2 / 2`, and one-pass SGD moves
    :math:`w_k \leftarrow w_k - \eta\, \partial \ell / \partial w_k`, each sample used once. The input
    dimension N is not part of the model: it belongs to a start or to a simulation.

    Parameters
    ----------
    p, p_star : int
        Widths p of the student and p* of the teacher, at least 1.
    learning_rate : float
        Learning rate :math:`\eta > 0`.
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
    activation : {"quadratic", "erf"} or Activation
        :math:`\sigma`: the square, or the error function :math:`\mathrm{erf}(x/\sqrt 2)`.
    teacher_activation : {"quadratic", "erf"} or Activation, optional
        :math:`\sigma^*`; by default that of the student.
    rule : {"gradient"} or Rule
        What one sample changes.

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

    p: int = field(metadata=_about("student width", "width of the student", "p"))
    p_star: int = field(metadata=_about("teacher width", "width of the teacher", "p*"))
    learning_rate: float = field(metadata=_about("learning rate", "learning rate", "η"))
    noise_variance: float = field(
        default=0.0, metadata=_about("label noise variance", "variance of the label noise", "Δ")
    )
    student_readout: np.ndarray = field(
        default=None, metadata=_about("student readout", "second layer of the student", "v")
    )
    teacher_readout: np.ndarray = field(
        default=None, metadata=_about("teacher readout", "second layer of the teacher", "v*")
    )
    teacher_overlap: np.ndarray = field(
        default=None, metadata=_about("teacher overlap", "overlap of the teacher's rows", "P")
    )
    constraint: str = field(default="free", metadata=_about("constraint", "constraint on the student's rows"))
    _: KW_ONLY
    activation: Activation = field(
        default="quadratic", metadata=_about("activation", "activation of the hidden units", "σ")
    )
    teacher_activation: Activation = field(
        default=None, metadata=_about("teacher activation", "activation of the teacher's units", "σ*")
    )
    rule: Rule = field(default="gradient", metadata=_about("learning rule", "what one sample changes"))

    def __post_init__(self):
        p = _checks.integer("p", self.p, minimum=1)
        p_star = _checks.integer("p_star", self.p_star, minimum=1)
        _checks.memory("`p` and `p_star`", p * (p + p_star) + p_star**2)
        v, v_star, P = self.student_readout, self.teacher_readout, self.teacher_overlap
        v = np.full(p, 1 / p) if v is None else v
        v_star = np.full(p_star, 1 / p_star) if v_star is None else v_star
        P = np.eye(p_star) if P is None else P
        P = _checks.float_array("teacher_overlap", P, (p_star, p_star), "(p_star, p_star)")
        P = _checks.symmetric("teacher_overlap", P)
        checked = {
            "p": p,
            "p_star": p_star,
            "learning_rate": _checks.number("learning_rate", self.learning_rate, above=0.0),
            "noise_variance": _checks.number("noise_variance", self.noise_variance, minimum=0.0),
            "student_readout": _checks.float_array("student_readout", v, (p,), "(p,)"),
            "teacher_readout": _checks.float_array("teacher_readout", v_star, (p_star,), "(p_star,)"),
            "teacher_overlap": _checks.semidefinite("`teacher_overlap`", P),
            "constraint": _checks.choice("constraint", self.constraint, CONSTRAINTS),
            "activation": activation_of(self.activation),
            "rule": rule_of(self.rule),
        }
        teacher = self.teacher_activation
        checked["teacher_activation"] = (
            checked["activation"] if teacher is None else activation_of(teacher, "teacher_activation")
        )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def spherical(self):
        """Whether the student's rows are kept at norm sqrt(N)."""
        return self.constraint == "spherical"

    @property
    def is_uniform(self):
        """Whether all v are one number, all v* another, and P is the identity: the case of the closed forms."""
        return bool(
            np.ptp(self.student_readout) == 0
            and np.ptp(self.teacher_readout) == 0
            and np.array_equal(self.teacher_overlap, np.eye(self.p_star))
        )

    def replace(self, **changes):
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
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.teacher_activation == self.activation:
            kept["teacher_activation"] = None
        for name in changes:
            if name not in kept:
                raise TypeError(f"`changes` must name some of {', '.join(kept)}, but names {name!r}")
        defaults = TeacherStudent(self.p, self.p_star, self.learning_rate)
        for name in ("student_readout", "teacher_readout", "teacher_overlap"):
            if np.array_equal(kept[name], getattr(defaults, name)):
                kept[name] = None
        return TeacherStudent(**{**kept, **changes})

    def to_dict(self):
        """Return the parameters as plain numbers, strings and lists, as JSON takes them.

        Activations and rule are left out where they are the default.

        Examples
        --------
        >>> TeacherStudent(p=2, p_star=1, learning_rate=0.4).to_dict()["student_readout"]
        [0.5, 0.5]
        """
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.teacher_activation == self.activation:
            del found["teacher_activation"]
        if self.activation == activation_of("quadratic"):
            del found["activation"]
        if self.rule == rule_of("gradient"):
            del found["rule"]
        return {name: _plain(value) for name, value in found.items()}

    def __eq__(self, other):
        return self.to_dict() == other.to_dict() if isinstance(other, TeacherStudent) else NotImplemented

    def __hash__(self):
        return hash(repr(self.to_dict()))

    @property
    def is_plain(self):
        """Whether one activation serves both sides and the rule is gradient descent: what closed forms ask for."""
        return self.teacher_activation == self.activation and self.rule == rule_of("gradient")

    @functools.cached_property
    def theory(self):
        """What is known in closed form: see :func:`tsode.closed_forms.closed_forms`."""
        if not self.is_plain:
            raise NoClosedForm(
                "`model` must have one activation on both sides and the rule 'gradient' for closed forms, but has "
                f"{self.activation!r}, {self.teacher_activation!r} and {self.rule!r}"
            )
        return self.activation.closed_forms(self)

    @property
    def natural_time(self):
        r"""Unit of time in which the model learns, :math:`1 / (\eta \max|v| \max|v^*|)`, float."""
        v, v_star = np.abs(self.student_readout).max(), np.abs(self.teacher_readout).max()
        return 1 / (self.learning_rate * v * v_star)

    @property
    def solution_ratio(self):
        """Squared norm of a student's row over a teacher's at which both put out the same, for the largest readouts.

        1 for an activation that is not homogeneous; huge but finite where the student puts out nothing.
        """
        if self.activation.degree is None:
            return 1.0
        largest = np.abs(self.student_readout).max()
        ratio = np.abs(self.teacher_readout).max() / max(largest, 1e-100)
        return float(min(ratio ** (2 / self.activation.degree), 1e200))

    @property
    def solution_size(self):
        """The tr M M^T of a student that has learned as many directions of the teacher as it can, P = 1, float."""
        return min(self.p, self.p_star) * self.solution_ratio

    def excess_loss(self, M, Q):
        """Return the population loss for Gaussian inputs without the label noise.

        Parameters
        ----------
        M, Q : ndarray, shapes (..., p, p_star), (..., p, p)
            Overlaps.

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            If an array has another shape.

        Examples
        --------
        >>> import numpy as np
        >>> float(TeacherStudent(p=1, p_star=1, learning_rate=0.4).excess_loss(np.zeros((1, 1)), np.eye(1)))
        2.0
        """
        self._check_overlaps(M, Q)
        return self.rule.excess_loss(self, M, Q)

    def loss_slopes(self, M, Q, P=None):
        """Return the derivatives L_M and L_Q of the loss at overlaps M, Q and P, by default the model's.

        Shapes are (..., p, p_star), (..., p, p) and (p_star, p_star), and those of M and Q for the derivatives. Q_kl
        and Q_lk count as independent entries: dL is the sum of L_M dM and L_Q dQ over all.

        Examples
        --------
        >>> TeacherStudent(p=1, p_star=1, learning_rate=0.4).loss_slopes(np.zeros((1, 1)), np.eye(1))[1]
        array([[2.]])
        """
        self._check_overlaps(M, Q)
        return self.rule.loss_slopes(self, M, Q, self.teacher_overlap if P is None else P)

    def loss_curvature(self, M, Q, P=None):
        """Return the second derivative of the loss at M, Q and P, arguments as in :meth:`loss_slopes`, one point only.

        It is a function that takes changes dM and dQ, shapes (..., p, p_star) and (..., p, p) with dQ symmetric, to
        those of L_M and L_Q: a :class:`tsode.activations.squared_error.LossCurvature`.

        Examples
        --------
        >>> change = TeacherStudent(p=1, p_star=1, learning_rate=0.4).loss_curvature(np.zeros((1, 1)), np.eye(1))
        >>> change(dM=np.zeros((1, 1)), dQ=np.eye(1))[1]
        array([[3.]])
        """
        self._check_overlaps(M, Q)
        return self.rule.loss_curvature(self, M, Q, self.teacher_overlap if P is None else P)

    def _check_overlaps(self, M, Q):
        for name, array, shape in (("M", M, (self.p, self.p_star)), ("Q", Q, (self.p, self.p))):
            if np.shape(array)[-2:] != shape:
                raise ValueError(f"`{name}` must have shape (..., {shape[0]}, {shape[1]}), but has {np.shape(array)}")

    def __getstate__(self):
        # the parameters alone: what is cached beside them is neither to be pickled nor to be hashed
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def _rows(self):
        shown = self.to_dict().keys() - {"activation"}  # which stands in the title
        return [
            (f"{field.metadata['label']} {field.metadata['symbol']}".strip(), _short(getattr(self, field.name)))
            for field in dataclasses.fields(self)
            if field.name in shown
        ]

    def _title(self):
        return f"TeacherStudent, {self.activation.name} activation"


def _plain(value):
    """Return a parameter as JSON takes it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Activation):
        return value.to_dict() if value.parameters else value.name
    return value.name if isinstance(value, Rule) else value


def _short(value):
    """Return a parameter in a few words."""
    if isinstance(value, np.ndarray):
        if value.ndim == 2 and np.array_equal(value, np.eye(len(value))):
            return "identity"
        if value.ndim == 1 and np.ptp(value) == 0:
            return f"{value[0]:g} each"
        return np.array2string(value, precision=4, separator=", ", threshold=8)
    return f"{value:g}" if isinstance(value, float) else value


def check_model(model, name="model"):
    """Return `model` if it is a TeacherStudent; `name` is the argument's name in messages."""
    return _checks.instance(name, model, TeacherStudent, "a TeacherStudent")

"""The teacher-student pair: what is learned, by what, and how fast."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from . import _checks
from ._display import html_table, text_table

__all__ = ["CONSTRAINTS", "TeacherStudent", "check_model"]

CONSTRAINTS = ("free", "spherical")


@dataclass(frozen=True, eq=False, repr=False)
class TeacherStudent:
    r"""A quadratic student of width p that learns from a quadratic teacher of width p*.

    With preactivations :math:`\lambda = W x / \sqrt N` and :math:`\mu = W^* x / \sqrt N` of one Gaussian
    input x, student and teacher put out

    .. math::
        \hat y = \sum_k v_k \lambda_k^2, \qquad
        y = \sum_r v^*_r \mu_r^2 + \sqrt{\Delta}\, \xi ,

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

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type, shape or range; the message names it.

    Notes
    -----
    The setting is that of arXiv:2604.03068. Models compare equal when all their parameters do.

    Examples
    --------
    >>> model = TeacherStudent(p=4, p_star=2, learning_rate=0.4)
    >>> model.student_readout
    array([0.25, 0.25, 0.25, 0.25])
    """

    p: int
    p_star: int
    learning_rate: float
    noise_variance: float = 0.0
    student_readout: np.ndarray = None
    teacher_readout: np.ndarray = None
    teacher_overlap: np.ndarray = None
    constraint: str = "free"

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
        }
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

        Examples
        --------
        >>> TeacherStudent(p=2, p_star=1, learning_rate=0.4).to_dict()["student_readout"]
        [0.5, 0.5]
        """
        parameters = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in parameters.items()}

    def __eq__(self, other):
        return self.to_dict() == other.to_dict() if isinstance(other, TeacherStudent) else NotImplemented

    def __hash__(self):
        return hash(repr(self.to_dict()))

    def _rows(self):
        def short(array, default):
            return default if array is None else np.array2string(array, precision=4, separator=", ", threshold=8)

        v, v_star = self.student_readout, self.teacher_readout
        identity = np.array_equal(self.teacher_overlap, np.eye(self.p_star))
        return [
            ("student width p", self.p),
            ("teacher width p*", self.p_star),
            ("learning rate η", f"{self.learning_rate:g}"),
            ("label noise variance Δ", f"{self.noise_variance:g}"),
            ("student readout v", short(None if np.ptp(v) == 0 else v, f"{v[0]:g} each")),
            ("teacher readout v*", short(None if np.ptp(v_star) == 0 else v_star, f"{v_star[0]:g} each")),
            ("teacher overlap P", short(None if identity else self.teacher_overlap, "identity")),
            ("constraint", self.constraint),
        ]

    def __repr__(self):
        return text_table("TeacherStudent, quadratic activation", self._rows())

    def _repr_html_(self):
        return html_table("TeacherStudent, quadratic activation", self._rows())


def check_model(model, name="model"):
    """Return `model` if it is a TeacherStudent; `name` is the argument's name in messages."""
    return _checks.instance(name, model, TeacherStudent, "a TeacherStudent")

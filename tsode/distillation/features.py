r"""Feature distillation: a student that sees the hidden preactivations of its teacher, through a projector or not.

To the loss of the label a term for the features is added,

.. math::
    \frac12 D^2 + \frac\gamma2 |K \lambda - U^T \mu|^2 , \qquad
    c = -\eta\, v D \sigma'(\lambda) - \eta \gamma K^T (K \lambda - U^T \mu) , \qquad
    h = -\eta \gamma (K \lambda - U^T \mu) \lambda^T ,

K being the identity ("none"), trained, or fixed at random. U are the first m principal factors of P, which a
paraphraser of the teacher's features would find (factor transfer); without one U is the identity.

What it brings: at M = 0 labels alone say nothing of the teacher's directions, so that the time to learn grows as ln N;
features add :math:`\eta \gamma K^T U^T P`, the plateau is gone, and the time does not depend on N. Of the solutions
labels pick the one closest to the start. Features without a projector always pick W* itself, and with a trained
one the polar factor of :math:`K_0^T`: the projector, not the start, says which. Where the student's readouts differ
from the teacher's, features without a projector and labels contradict each other, and a loss remains; a trained
projector takes it away, a fixed random one does not. Paraphrased to more factors than the student has units, features
lose their use: as many factors as units are best.

The claims are those of "Improved feature distillation via projector ensemble" (arXiv:2210.15274) and of
"Paraphrasing complex network: network compression via factor transfer" (arXiv:1802.04977).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._random import generator
from .._types import Seed
from ..model import TeacherStudent
from .system import System, label_of, loss_of, output, taken

__all__ = ["PROJECTORS", "features"]

PROJECTORS = ("none", "trained", "fixed")


def features(
    truth: TeacherStudent,
    gamma: float = 1.0,
    projector: str = "trained",
    factors: int | None = None,
    matrix: ArrayLike | None = None,
    rng: Seed = 0,
) -> System:
    r"""Return the system of a student of labels and of its teacher's features.

    Parameters
    ----------
    truth : TeacherStudent
        The pair, learning rate and noise of its labels.
    gamma : float
        Weight :math:`\gamma \ge 0` of the features; 0: labels alone.
    projector : {"none", "trained", "fixed"}
        What is between the student and the features.
    factors : int, optional
        Number m of principal factors of the teacher's features, from 1 to p_star; its features themselves by default.
    matrix : array_like, shape (m, p), optional
        K at the start; independent normal entries of variance 1/p by default.
    rng : numpy.random.Generator, int or None
        Source of the random K.

    Returns
    -------
    System
        With the rows "student" and "truth", the scalars "projector" where it is trained, and the losses "loss", that of
        the output, and "features", half the squared distance of the projected features.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, shape or range; if there is no projector, but another number of features
        than units; if `truth` has parameters that it does not take.

    Notes
    -----
    Formulas and sources are in :mod:`tsode.distillation.features`.

    Examples
    --------
    >>> import tsode
    >>> task = features(tsode.TeacherStudent(2, 2, 0.1), projector="none")
    >>> run = tsode.integrate(task, task.random(N=10**6, rng=0), 200.0)
    >>> bool(abs(run.overlap("student", "truth")[-1] - [[1, 0], [0, 1]]).max() < 1e-3)  # W* itself
    True
    """
    taken(truth)
    gamma = _checks.number("gamma", gamma, minimum=0.0)
    projector = _checks.choice("projector", projector, PROJECTORS)
    given = factors is not None
    m = _checks.integer("factors", factors, minimum=1, maximum=truth.p_star) if given else truth.p_star
    U = np.linalg.eigh(truth.teacher_overlap)[1][:, ::-1][:, :m] if given else np.eye(m)
    K = _matrix(truth, m, projector, matrix, rng)
    v, rate, label, function = truth.student_readout, truth.learning_rate, label_of(truth), truth.activation.function
    trained = projector == "trained"

    def projected(z, a):
        """Return K, and the error of the features, shape (n, m)."""
        at = a["projector"] if trained else K[None]
        return at, np.sum(at * z["student"][:, None, :], axis=2) - z["truth"] @ U

    def rule(z, xi, a):
        values, slopes = function(z["student"])
        D = np.sum(v * values, axis=1) - label(z["truth"], xi)
        at, error = projected(z, a)
        pulled = np.sum(at * error[:, :, None], axis=1)
        found = {"student": -rate * (v * D[:, None] * slopes + gamma * pulled)}
        if trained:
            found["projector"] = -rate * gamma * error[:, :, None] * z["student"][:, None, :]
        return found

    said = output(v, truth.activation)

    def squares(z, xi, a):
        return np.sum(projected(z, a)[1] ** 2, axis=1) / 2

    return System(
        {"student": truth.p, "truth": truth.p_star}, rule, scalars={"projector": K} if trained else {},
        outputs={"loss": loss_of(truth, lambda z, a: said(z["student"])), "features": squares},
        noises=int(truth.noise_variance > 0), inputs=truth.inputs, truth=truth,
    )  # fmt: skip


def _matrix(truth: TeacherStudent, m: int, projector: str, matrix: ArrayLike | None, rng: Seed) -> np.ndarray:
    """Return K at the start."""
    if projector == "none":
        if m != truth.p:
            raise ValueError(
                f"`projector` must be 'trained' or 'fixed' for {m} features and a student of {truth.p} units, but is "
                "'none'"
            )
        return np.eye(m)
    if matrix is not None:
        return _checks.float_array("matrix", matrix, (m, truth.p), "(m, p)")
    return generator("rng", rng).standard_normal((m, truth.p)) / np.sqrt(truth.p)

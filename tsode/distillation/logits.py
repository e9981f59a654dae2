r"""Distillation with a temperature, and the matching of logits that it tends to.

Student and teacher have K logits each, :math:`\lambda` and :math:`\mu`. A sample's loss is :math:`T^2` times the
divergence of the student's classes from the teacher's at temperature T,

.. math::
    c = -\eta\, T\, [S(\lambda / T) - S(\mu / T)] , \qquad S_k(x) = e^{x_k} / \sum_l e^{x_l} ,

and :math:`c = -(\eta / K)\,(D - \bar D)`, :math:`D = \lambda - \mu`, the matching of logits but for their mean, at
infinite T. What is of order 1/T is quadratic, and so odd, in Gaussian fields, and averages to zero: the overlaps
differ by order :math:`1/T^2` from those of the matching; single runs do so by :math:`1 / (T \sqrt N)`, too.

The :math:`c_k` add up to 0: the mean row of the student is conserved sample by sample. So matching logits and
distillation at infinite temperature are the same where the means agree at the start ("Comparing Kullback-Leibler
divergence and mean squared error loss in knowledge distillation", arXiv:2105.08919; "How to select one among all",
arXiv:2109.06458).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._types import Seed
from ..overlaps import Overlaps
from ..scheme import Scheme

__all__ = ["Logits", "logits"]


@dataclass(frozen=True, eq=False, repr=False)
class Logits(Scheme):
    """A scheme of the rows "student" and "teacher", one for each class. It is made by :func:`logits`."""

    def random(self, N: int, rng: Seed = None, scale: float = 1.0, P: ArrayLike | None = None) -> Overlaps:
        """Draw the overlaps of random rows whose mean is taken off, as it is of the teacher's.

        It would be conserved, and matters to no class; averages over two numbers less are more accurate.

        Parameters
        ----------
        N : int
            Input dimension.
        rng : numpy.random.Generator, int or None
            Source of randomness.
        scale : float
            Standard deviation of the weights.
        P : array_like, shape (K, K), optional
            Overlaps of the teacher's rows, mean included; the identity by default.

        Returns
        -------
        Overlaps

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, shape or range.

        Examples
        --------
        >>> bool(abs(logits(3).random(N=100, rng=0).Q.sum(axis=0)).max() < 1e-12)
        True
        """
        start = super().random(N, rng, scale, P)
        off = np.eye(len(start.Q)) - 1 / len(start.Q)
        return Overlaps(*(off @ each @ off for each in (start.M, start.Q, start.P)))


def logits(classes: int, learning_rate: float = 1.0, temperature: float = 1.0) -> Logits:
    r"""Return the system of a linear student of a linear teacher's logits.

    Parameters
    ----------
    classes : int
        Number K of classes, at least 2.
    learning_rate : float
        :math:`\eta > 0`.
    temperature : float
        T > 0; infinite: the matching of logits.

    Returns
    -------
    Logits
        With the losses "loss", that of the rule, and "logits", half the mean squared error of the logits, their means
        taken off.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    Formulas and sources are in :mod:`tsode.distillation.logits`.

    Examples
    --------
    >>> import tsode
    >>> task = logits(3, temperature=np.inf)
    >>> run = tsode.integrate(task, task.random(N=10**6, rng=0), [0.0, 1.8, 3.6])
    >>> (run.loss["logits"] / run.loss["logits"][0]).round(4)  # exp(-2 eta/K + (eta/K)^2) in a unit of time
    array([1.    , 0.3679, 0.1353])
    """
    classes = _checks.integer("classes", classes, minimum=2)
    rate = _checks.number("learning_rate", learning_rate, above=0.0)
    matching = _checks.is_number(temperature) and temperature == np.inf
    T = 1.0 if matching else _checks.number("temperature", temperature, above=0.0)

    def centred(z):
        D = z["student"] - z["teacher"]
        return D - np.sum(D, axis=1, keepdims=True) / classes

    def odds(rows):
        weights = np.exp(rows / T)
        total = np.sum(weights, axis=1, keepdims=True)
        return weights / total, np.log(total[:, 0])

    def rule(z, xi, a):
        if matching:
            return {"student": -rate / classes * centred(z)}
        return {"student": -rate * T * (odds(z["student"])[0] - odds(z["teacher"])[0])}

    def squares(z, xi, a):
        return np.sum(centred(z) ** 2, axis=1) / (2 * classes)

    def divergence(z, xi, a):
        (_, total), (taught, teacher_total) = odds(z["student"]), odds(z["teacher"])
        return T**2 * (np.sum(taught * (z["teacher"] - z["student"]), axis=1) / T - teacher_total + total)

    outputs = {"loss": squares if matching else divergence, "logits": squares}
    return Logits({"student": classes, "teacher": classes}, rule, outputs=outputs)

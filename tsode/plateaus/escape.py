r"""The escape from the plateau: when it happens at finite input dimension, and when it was seen to happen.

At dimension N the student starts with overlaps M of order :math:`1/\sqrt N`, and every step of SGD adds some more.
While M is small each of its p p* elements is a Gaussian variable of its own, of variance
:math:`\sigma^2(\alpha)/N`: :mod:`tsode.activations.quadratic.escape` has it for the square. Then tr M M^T is
:math:`\sigma^2(\alpha) X / N`, X a :math:`\chi^2` variable with p p* degrees, and the first time T at which it exceeds
:math:`\epsilon` has the law

.. math::
    P(T \le \alpha) = P \left[ X > N \epsilon / \max_{\alpha' \le \alpha} \sigma^2(\alpha') \right] .

The maximum matters only while norms that start too large make :math:`\gamma` negative. (With it this is the largest of
the probabilities to be above :math:`\epsilon` at one time. That of a passage at some time is larger by what noise
carries across and back, of order :math:`d / (g N \epsilon)`.) A start above :math:`\epsilon` counts as T = 0.

What is neglected
-----------------
M stays small: as tr M M^T grows, its growth slows down. At the part x of the solutions', the passage is later by
1.6 x to 2.5 x in units of 1/(2 g) (seven models, free and spherical, x up to .1).

M is Gaussian and Q sharp: corrections of order 1/N, which grow with the learning rate and with the time that the norms
take. Measured on 2000 runs each (p = 3 and 4, p* = 2, eta v = 0.1): errors of mean and standard deviation, and distance
of Kolmogorov and Smirnov,

========  ======  ============  =======  =======  ====
N         x       scales        mean     std      KS
========  ======  ============  =======  =======  ====
10 000    .005    .01 to .2     < 0.5 %  < 4 %    .02
1000      .01     .01 to 1.5    < 1.5 %  < 8.5 %  .05
1000      .1      .01 to 1.5    < 5.5 %  < 11 %   .20
========  ======  ============  =======  =======  ====

with the largest errors of the standard deviation, and the smallest of the mean, at scale .01. At p = 32, eta v = 0.1
and N = 4000 the mean is 3 % off.
"""

from typing import Any, cast

import numpy as np

from .. import _checks
from ..closed_forms import closed_forms
from ..escapes import Escapes, size_of
from ..model import TeacherStudent, check_model
from ..overlaps import check_scale
from ..trajectory import Trajectory, check_trajectory
from .plateau import plateau

__all__ = ["escape_law", "escape_time"]

STARTS = ("plateau", "random")


def escape_law(model: TeacherStudent, N: int, threshold: float, start: str = "plateau", scale: float = 1.0) -> Any:
    r"""Return the law of the escape time: the first time with :math:`\mathrm{tr}\, M M^T > \epsilon`.

    Parameters
    ----------
    model : TeacherStudent
        Equal readouts on each side, P = 1; free or spherical.
    N : int
        Input dimension, at least p + p_star.
    threshold : float
        :math:`\epsilon`, larger than the q p p*/N of the start. For the law to be accurate: several times larger,
        and at most 1 % of the solutions' min(p, p*) v*/v, as it neglects saturation (mean early by some
        2 x / (2 g) at the part x of that).
    start : {"plateau", "random"}
        Where :math:`\alpha = 0` is: weights of the plateau's norm, or Gaussian weights of standard deviation
        `scale`, that first learn their norm.
    scale : float
        Standard deviation of random weights; ignored under the spherical constraint, where all norms are 1.

    Returns
    -------
    scipy.stats frozen distribution
        Of :math:`\alpha`: with ``mean()``, ``std()``, ``pdf(t)``, ``cdf(t)``, ``ppf(q)``, ``rvs(...)`` and the rest.
        Starts above the threshold count as 0, with a probability of their own that the density leaves out.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or the model has other readouts or no escape.

    Notes
    -----
    Derivation and measured errors are in the module's docstring; the setting is that of arXiv:2604.03068. At
    N = 10 000 and 0.5 % of the solutions' tr M M^T the mean is right to 0.5 %, the standard deviation to 4 %; at
    N = 1000 and 1 % to 1.5 % and 8.5 %.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4, noise_variance=0.1)
    >>> law = tsode.escape_law(model, N=10_000, threshold=0.05)
    >>> f"{law.mean():.2f} +- {law.std():.2f}"
    '12.47 +- 1.57'
    """
    from .._passage_law import FirstPassage  # scipy.stats takes longer to import than all of tsode

    saddle = _left_plateau(model)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    threshold = _checks.number("threshold", threshold, above=0.0)
    _checks.choice("start", start, STARTS)
    scale = check_scale(scale)
    log_q = np.log(saddle.q) if start == "plateau" or model.spherical else 2 * np.log(scale)
    _check_threshold(model, N, threshold, np.exp(log_q))
    variance = closed_forms(model).escape_variance(log_q)
    return FirstPassage(variance, model.p * model.p_star / 2, N * threshold / 2)()  # X = 2 G


def escape_time(
    trajectory: Trajectory | Escapes, threshold: float | None = None, loss_fraction: float | None = None
) -> float | np.ndarray:
    r"""Return when each run left the plateau.

    Parameters
    ----------
    trajectory : Trajectory or Escapes
        An ODE solution or SGD runs; or the `escapes` of a study, of which it takes the threshold.
    threshold : float, optional
        Escape is the first time with :math:`\mathrm{tr}\, M M^T` above it.
    loss_fraction : float, optional
        Instead: the first time with the excess loss below this fraction, between 0 and 1, of the plateau's.

    Returns
    -------
    float or ndarray, shape (...)
        Time :math:`\alpha`, one for each run; between two records the logarithm is taken as linear, as in
        exponential growth. nan where it never happened.

    Raises
    ------
    TypeError, ValueError
        If not exactly one of `threshold` and `loss_fraction` is given, or one is out of range, or the model has no
        plateau to compare the loss with.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
    >>> ode = tsode.integrate(model, tsode.Overlaps.random(model, N=10**6, rng=0), 100.0)
    >>> bool(tsode.escape_time(ode, 0.01) < tsode.escape_time(ode, loss_fraction=0.5))
    True
    """
    if not isinstance(trajectory, Escapes):
        check_trajectory(trajectory)
    if (threshold is None) == (loss_fraction is None):
        given = "both are" if threshold is not None else "none is"
        raise ValueError(f"one of `threshold` and `loss_fraction` must be given, but {given}")
    if threshold is not None:
        threshold = _checks.number("threshold", threshold, above=0.0)
        return _first_passage(trajectory.alpha, size_of(trajectory), threshold)
    trajectory = check_trajectory(cast(Trajectory, trajectory))
    fraction = _checks.number("loss_fraction", loss_fraction, above=0.0)
    if fraction >= 1:
        raise ValueError(f"`loss_fraction` must be below 1, but is {fraction:g}")
    saddle = plateau(trajectory.model)
    if np.isnan(saddle.excess_loss):
        raise ValueError(f"`trajectory` must be of a model with a plateau, but it has none: {saddle.reasons['loss']}")
    with np.errstate(divide="ignore"):
        gain = 1 / trajectory.excess_loss
    return _first_passage(trajectory.alpha, gain, 1 / (fraction * saddle.excess_loss))


def _first_passage(alpha, values, level):
    """Return the first time at which `values`, shape (..., T), exceed `level`; the logarithm is interpolated."""
    above = values > level
    i = np.argmax(above, axis=-1)[..., None]
    low, high = (np.take_along_axis(values, np.maximum(j, 0), axis=-1) for j in (i - 1, i))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.log(level / low) / np.log(high / low)
    # from 0, or up to infinity, there is no logarithm: the passage is then at the record above
    part = np.where((i > 0) & (low > 0) & np.isfinite(high), part, 1.0)
    time = np.where(i == 0, alpha[0], alpha[i - 1] + part * (alpha[i] - alpha[i - 1]))
    return np.where(above.any(axis=-1), time[..., 0], np.nan)[()]


def _left_plateau(model):
    """Return the plateau of a model, if it is left, and left by all elements of M alike."""
    closed_forms(check_model(model))
    if not model.is_uniform:
        raise ValueError("`model` must have equal readouts on each side and P = 1 for its escape time to have this law")
    saddle = plateau(model)
    if not saddle.escape_rate > 0:
        why = saddle.reasons.get("escape_rate", f"the escape rate is {saddle.escape_rate:.4g}")
        raise ValueError(f"`model` must have a plateau that it leaves, but has not: {why}")
    return saddle


def _check_threshold(model, N, threshold, q):
    lowest = model.p * model.p_star * q / N
    highest = model.solution_size
    if not lowest < threshold < highest:
        raise ValueError(
            f"`threshold` must lie between the tr M M^T of the start, {lowest:.3g}, and that of the solutions, "
            f"{highest:.3g}, but is {threshold:g}"
        )

r"""The escape from the plateau: when it happens at finite input dimension, and when it was seen to happen.

At dimension N the student starts with overlaps M of order :math:`1/\sqrt N`, and every step of SGD adds some more.
Let all readouts v be equal, all v* too, P = 1 and Q = q(alpha) 1. While M is small each of its p p* elements is a
Gaussian variable of its own, of variance :math:`\sigma^2(\alpha)/N`,

.. math::
    \frac{d\sigma^2}{d\alpha} = 2 \gamma \sigma^2 + d, \qquad
    \gamma = 2 \eta v [2 v^* - (t + 2 y)] \quad \text{(less } 2 \eta v f \text{ under the constraint)},

with y, t and f as in :mod:`tsode.activations.quadratic.fixed_points`. The update of :math:`M_{kr}` in one sample is
:math:`-2 \eta v D \lambda_k \mu_r / N`, so that :math:`d = 4 \eta^2 v^2 E[D^2 \lambda_k^2 \mu_r^2]`. Weighted with
:math:`\lambda_k^2 / q`, the mean of :math:`\sum_l v \lambda_l^2` is (p+2) y and its variance 2 (p+2) y^2
(:math:`\lambda_k` then has fourth moment 15 q^2 instead of 3 q^2), and likewise for the teacher:

.. math::
    d = 4 \eta^2 v^2 q \left\{ [(p+2) y - (p^*+2) v^*]^2 + 2 (p+2) y^2 + 2 (p^*+2) v^{*2} + \Delta \right\} .

On the plateau :math:`\gamma` is the escape rate g, and
:math:`\sigma^2 = S e^{2 g \alpha} - d/(2g)` with :math:`S = q + d / (2 g)` for a start on it: the first term is the
luck of the start, the second that of SGD. From random weights of variance :math:`s^2` the norms have to be learned
first; then :math:`S = e^{2 \Gamma} [s^2 + \int d\, e^{-2 \int \gamma}]` with :math:`\Gamma = \int (\gamma - g)` along
the solution of the ODE for q at M = 0. The threshold :math:`\epsilon` is crossed by
:math:`\mathrm{tr}\, M M^T = \sigma^2 X / N` at

.. math::
    T = \frac{1}{2 g} \ln \frac{N \epsilon / X + d / (2 g)}{S}, \qquad X \sim \chi^2_{p p^*} .

At large :math:`N \epsilon` its mean is :math:`[\ln(N \epsilon / 2 S) - \psi(p p^* / 2)] / (2 g)`: ln N / (2 g) to
leading order, while the widths enter through the second term and S only. :math:`\epsilon` has to be large against
the start's q p p*/N, and small against the :math:`\mathrm{tr}\, M M^T` of the solutions, before which the growth
ceases to be exponential. M being Gaussian, Q being sharp: both hold up to corrections of order 1/N (at p = 32,
eta v = 0.1 and N = 4000 they are 3 % of the mean).
"""

import numpy as np

from .. import _checks
from ..closed_forms import closed_forms
from ..model import check_model
from ..overlaps import check_scale
from ..trajectory import check_trajectory
from .plateau import plateau

__all__ = ["escape_law", "escape_time"]

STARTS = ("plateau", "random")
DIVERGED = 1e3  # times the larger of q at the start and on the plateau
RELAXATIONS = 40  # e-foldings after which q counts as having reached the plateau: exp(-40) is below rounding


def escape_law(model, N, threshold, start="plateau", scale=1.0):
    r"""Return the law of the escape time: the first time with :math:`\mathrm{tr}\, M M^T > \epsilon`.

    Parameters
    ----------
    model : TeacherStudent
        Equal readouts on each side, P = 1; free or spherical.
    N : int
        Input dimension, at least p + p_star.
    threshold : float
        :math:`\epsilon`, larger than the q p p*/N of the start, and well below the solution's p* v*/v for the
        law to be accurate: M is taken to grow exponentially.
    start : {"plateau", "random"}
        Where :math:`\alpha = 0` is: weights of the plateau's norm, or Gaussian weights of standard deviation
        `scale`, that first learn their norm.
    scale : float
        Standard deviation of random weights; ignored under the spherical constraint, where all norms are 1.

    Returns
    -------
    scipy.stats frozen distribution
        Of :math:`\alpha`: with ``mean()``, ``std()``, ``pdf(t)``, ``cdf(t)``, ``ppf(q)``, ``rvs(...)`` and the rest.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or the model has other readouts or no escape.

    Notes
    -----
    Derivation in the module's docstring; the setting is that of arXiv:2604.03068.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4, noise_variance=0.1)
    >>> law = tsode.escape_law(model, N=10_000, threshold=0.05)
    >>> f"{law.mean():.2f} +- {law.std():.2f}"
    '12.47 +- 1.57'
    """
    from .._log_inverse_gamma import log_inverse_gamma  # scipy.stats takes longer to import than all of tsode

    branch = _escaping_branch(model)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    threshold = _checks.number("threshold", threshold, above=0.0)
    _checks.choice("start", start, STARTS)
    scale = check_scale(scale)
    y = branch.point(model.learning_rate)[0]
    q = y / branch.v[0]
    start_q = q if start == "plateau" or model.spherical else scale**2
    _check_threshold(model, N, threshold, start_q)
    g, d = _growth(branch, model, q)
    seed = start_q + d / (2 * g) if start_q == q else _seed_after_transient(branch, model, start_q, q)
    shape, crossing = model.p * model.p_star / 2, N * threshold / 2  # X = 2 G, G of the Gamma law of this shape
    return log_inverse_gamma(shape, d / (2 * g * crossing), loc=np.log(crossing / seed) / (2 * g), scale=1 / (2 * g))


def escape_time(trajectory, threshold=None, loss_fraction=None):
    r"""Return when each run left the plateau.

    Parameters
    ----------
    trajectory : Trajectory
        An ODE solution or SGD runs.
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
    check_trajectory(trajectory)
    if (threshold is None) == (loss_fraction is None):
        given = "both are" if threshold is not None else "none is"
        raise ValueError(f"one of `threshold` and `loss_fraction` must be given, but {given}")
    if threshold is not None:
        threshold = _checks.number("threshold", threshold, above=0.0)
        return _first_passage(trajectory.alpha, np.sum(np.square(trajectory.M), axis=(-1, -2)), threshold)
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


def _escaping_branch(model):
    """Return the branch of a model whose plateau is left, and left by all elements of M alike."""
    branch = closed_forms(check_model(model)).branch
    if not model.is_uniform:
        raise ValueError("`model` must have equal readouts on each side and P = 1 for its escape time to have this law")
    saddle = plateau(model)
    if not saddle.escape_rate > 0:
        why = saddle.reasons.get("escape_rate", f"the escape rate is {saddle.escape_rate:.4g}")
        raise ValueError(f"`model` must have a plateau that it leaves, but has not: {why}")
    return branch


def _check_threshold(model, N, threshold, q):
    lowest = model.p * model.p_star * q / N
    highest = min(model.p, model.p_star) * model.teacher_readout[0] / model.student_readout[0]
    if not lowest < threshold < highest:
        raise ValueError(
            f"`threshold` must lie between the tr M M^T of the start, {lowest:.3g}, and that of the solutions, "
            f"{highest:.3g}, but is {threshold:g}"
        )


def _growth(branch, model, q):
    """Return gamma and d at Q = q 1."""
    eta, v, v_star = model.learning_rate, model.student_readout[0], model.teacher_readout[0]
    p, p_star, y = model.p + 2, model.p_star + 2, v * q
    weighted = (p * y - p_star * v_star) ** 2 + 2 * p * y**2 + 2 * p_star * v_star**2 + model.noise_variance
    return branch.escape_rate(eta, np.full(model.p, y)), 4 * (eta * v) ** 2 * q * weighted


def _seed_after_transient(branch, model, start_q, q):
    """Return S for a start with Q = start_q 1, along the ODE for q at M = 0."""
    from scipy.integrate import solve_ivp  # imported late, as in tsode.ode

    eta, v = model.learning_rate, model.student_readout[0]
    g, d = _growth(branch, model, q)

    def norm_rate(q):
        """Return dln q/dalpha."""
        return 4 * eta * v * branch.growth(eta, np.full(model.p, v * q))[0]

    def right_hand_side(alpha, state):  # norms and noise in units of the start, which may be small
        gamma, d = _growth(branch, model, start_q * state[0])
        noise = d / start_q * np.exp(-2 * (state[1] + g * alpha))
        return [norm_rate(start_q * state[0]) * state[0], gamma - g, noise]

    def too_large(_, state):
        return start_q * state[0] - DIVERGED * max(q, start_q)

    too_large.terminal = True
    step = 1e-4 * q
    relaxation = (norm_rate(q - step) - norm_rate(q + step)) / (2 * step) * q
    end = RELAXATIONS / relaxation + max(np.log(q / start_q), 0.0) / norm_rate(0.0)  # from far below, q first grows
    solution = solve_ivp(
        right_hand_side, (0.0, end), [1.0, 0.0, 0.0], method="DOP853", rtol=1e-10, atol=1e-12, events=too_large
    )
    growth, log_growth, noise = solution.y[:, -1]
    if solution.status != 0 or not abs(start_q * growth - q) < 1e-6 * q:
        raise ValueError(f"`scale` must be smaller: from {np.sqrt(start_q):g} the norms do not settle on the plateau")
    return np.exp(2 * log_growth) * start_q * (1 + noise) + d / (2 * g) * np.exp(-2 * g * end)

r"""The variance of M while it is small, from random weights to the exponential growth of the escape.

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

From random weights of variance :math:`s^2` it starts at :math:`s^2`, with q, which at M = 0 follows
:math:`dq/d\alpha = 4 \eta v q f` (none under the constraint).

On the plateau :math:`\gamma` is the escape rate g, and :math:`\sigma^2 = S e^{2 g \alpha} - d/(2g)`: the first term is
the luck of the start, the second that of SGD. There :math:`S = q + d / (2 g)` for a start on it,
:math:`S = e^{2 \Gamma} [s^2 + \int d\, e^{-2 \int \gamma}]` with :math:`\Gamma = \int (\gamma - g)` after a transient,
and

.. math::
    T = \frac{1}{2 g} \ln \frac{N \epsilon / X + d / (2 g)}{S} .

At large :math:`N \epsilon` its mean is :math:`[\ln(N \epsilon / 2 S) - \psi(p p^* / 2)] / (2 g)`: ln N / (2 g) to
leading order, while the widths enter through the second term and S only. Norms that start far from the plateau can take
longer than that: then the escape begins on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..base import NoClosedForm

if TYPE_CHECKING:
    from ..._passage_law import Variance
    from ...model import TeacherStudent
    from .theory import Theory

__all__ = ["escape_variance"]

DIVERGED = 1e3  # times the larger of q at the start and on the plateau
RELAXATIONS = 40  # e-foldings in which q reaches the plateau or leaves what repels it: exp(-40) is below rounding
SETTLED = 1e-6  # in ln q


def _rates(model, q):
    """Return dln q/dalpha, gamma and d/q at Q = q 1, M = 0; q of any shape."""
    p, p_star, v_star, noise_variance = model.p, model.p_star, model.teacher_readout[0], model.noise_variance
    eta_v, y = model.learning_rate * model.student_readout[0], model.student_readout[0] * q
    t = p * y - p_star * v_star
    E = t**2 + 2 * (p * y**2 + p_star * v_star**2) + noise_variance
    f = eta_v * (E + 4 * t * y + 8 * y**2) - (t + 2 * y)
    gamma = 2 * eta_v * (2 * v_star - (t + 2 * y))
    weighted = (t + 2 * y - 2 * v_star) ** 2 + 2 * (p + 2) * y**2 + 2 * (p_star + 2) * v_star**2 + noise_variance
    d = 4 * eta_v**2 * weighted
    return (0 * f, gamma - 2 * eta_v * f, d) if model.spherical else (4 * eta_v * f, gamma, d)


def escape_variance(theory: Theory, log_q: float) -> Variance:
    """Return sigma^2(alpha) from Q = q 1, along the ODE for q at M = 0 up to where q is that of the plateau."""
    from ..._passage_law import Variance  # scipy.stats takes longer to import than all of tsode

    model, eta = theory.model, theory.model.learning_rate
    y = theory.branch.point(eta)
    if y is None:
        raise NoClosedForm("`model` must have a plateau for the variance of M on its way through it, but has none")
    g, q = theory.branch.escape_rate(eta, y), theory.branch.norms(y)[0]
    d = q * _rates(model, q)[2]
    if log_q == np.log(q):
        return Variance(g, d, log_q)
    transient = Transient(model, log_q, q)
    return Variance(g, d, transient.log_end, transient.nodes, transient)


class Transient:
    """ln sigma^2 and its derivative, as functions of alpha, while q goes from that of the start to the plateau's.

    Attributes
    ----------
    nodes : ndarray, shape (n,)
        Times from 0 to the end; ln sigma^2 is monotone between two of them.
    log_end : float
        ln sigma^2 at the end.
    """

    def __init__(self, model: TeacherStudent, log_q: float, plateau_q: float) -> None:
        self.model, self.log_q = model, log_q
        step = 1e-4
        below, above = (_rates(model, plateau_q * factor)[0] for factor in (1 - step, 1 + step))
        growing = max(np.log(plateau_q) - log_q, 0.0) / _rates(model, 0.0)[0]  # from far below, q first grows
        self._solve(growing + 2 * RELAXATIONS / (below - above) * 2 * step, np.log(plateau_q))

    def _solve(self, end, log_plateau):
        from scipy.integrate import solve_ivp  # imported late: half of the package's import time

        def too_large(_, state):
            return self.log_q + state[1] - self.log_largest

        def turning(_, state):
            return self.rates(state)[0]

        too_large.terminal = True
        self.log_largest = max(log_plateau, self.log_q) + np.log(DIVERGED)
        found = solve_ivp(lambda _, state: self.rates(state), (0.0, end), [0.0, 0.0], method="DOP853", rtol=1e-11,
                          atol=1e-12, events=(too_large, turning), dense_output=True)  # fmt: skip
        log_sigma, log_norm = found.y[:, -1]
        if found.status != 0 or not abs(self.log_q + log_norm - log_plateau) < SETTLED:
            scale = np.exp(self.log_q / 2)
            raise NoClosedForm(f"`scale` must be smaller: from {scale:g} the norms do not settle on the plateau")
        self.log_end, self.solution = self.log_q + log_sigma, found.sol
        self.nodes = np.unique(np.concatenate([found.t, found.t_events[1]]))

    def rates(self, state: np.ndarray) -> np.ndarray:
        """Return the derivatives of ln sigma^2 and ln q, both in units of q at the start, which may be tiny."""
        log_sigma, log_norm = state
        # the solver tries long steps while norms are tiny, and rejects those that end where the bounds are
        norm_rate, gamma, d = _rates(self.model, np.exp(np.minimum(self.log_q + log_norm, self.log_largest + 1)))
        return np.array([2 * gamma + d * np.exp(np.minimum(log_norm - log_sigma, 100.0)), norm_rate])

    def __call__(self, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        state = self.solution(alpha)
        return self.log_q + state[0], self.rates(state)[0]

r"""The fixed points of the overlap ODEs at M = 0, followed along the learning rate.

At M = 0 the ODEs keep Q diagonal. With :math:`y_k = v_k Q_{kk}`, the eigenvalues :math:`\mu_r` of
:math:`V^* P`, their power sums :math:`T_1 = \sum_r \mu_r` and :math:`T_2 = \sum_r \mu_r^2`, and

.. math::
    t = \sum_k y_k - T_1, \qquad E = t^2 + 2 \Bigl(\sum_k y_k^2 + T_2\Bigr) + \Delta ,

the moments of :mod:`tsode.activations.quadratic.averages` give :math:`dQ_{kk}/d\alpha = 4 \eta v_k Q_{kk} f_k` with

.. math::
    f_k = -(t + 2 y_k) + \eta v_k (E + 4 t y_k + 8 y_k^2) .

At a fixed point :math:`f_k = 0`, or :math:`Q_{kk} = 0` for a row that nothing keeps alive (a readout of the
wrong sign). To first order in M, Q stays as it is and the rows of M move on their own: in an eigenvector of
:math:`V^* P`,

.. math::
    \frac{dM_k}{d\alpha} = 2 \eta v_k \left[ 2 \mu_r - (t + 2 y_k) \right] M_k .

The largest of these rates is the escape rate g. Under the spherical constraint Q = I, and each rate loses
:math:`2 \eta v_k f_k`, half the growth rate of the row's squared norm.

Equal readouts v
----------------
Let v > 0 (else change the sign of both outputs) and :math:`T_1 \ge 0`. With
:math:`x = t + 2 y = (p+2) y - T_1`, f = 0 reads

.. math::
    \eta v = \frac{x}{a x^2 + b x + c}, \qquad a = \frac{p+4}{p+2}, \quad b = \frac{4 T_1}{p+2}, \quad
    c = \frac{2 T_1^2}{p+2} + 2 T_2 + \Delta, \qquad g = 2 \eta v (2 \mu_{\max} - x) ,

and x rises from 0 with the learning rate. The fraction is largest at :math:`x = \sqrt{c/a}`, where two fixed
points meet: above :math:`\eta v = 1 / (2 \sqrt{a c} + b)` there is none and the norms diverge. g vanishes at
:math:`x = 2 \mu_{\max}` and is largest where
:math:`(2 \mu_{\max} a + b) x^2 + 2 c x - 2 \mu_{\max} c = 0`.

Stability
---------
An element :math:`Q_{kl}` off the diagonal grows on its own, at the rate

.. math::
    -2 \eta (v_k + v_l) (t + 2 y_k + 2 y_l)
    + 4 \eta^2 v_k v_l \left[ E + 4 t (y_k + y_l) + 8 (y_k^2 + y_k y_l + y_l^2) \right]

(under the constraint less the mean growth rate of the two squared norms, which leaves
:math:`-8 \eta v_k v_l + O(\eta^2)`), and the diagonal moves with the Jacobian of f. For equal readouts all of
these rates vanish together where the two fixed points meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .branch import ALIGNING, ALWAYS_ESCAPE, NO_ESCAPE, Branch
from .followed_branch import FollowedBranch

if TYPE_CHECKING:
    from ...model import TeacherStudent

__all__ = ["Branch", "EqualBranch", "FollowedBranch", "SphericalBranch", "branch_of"]


def branch_of(model: TeacherStudent) -> Branch:
    """Return the branch of attracting fixed points of a model, as the subclass of Branch that fits."""
    v = model.student_readout
    branch = Branch(model)
    if not branch.scale > 0:
        return branch
    if model.spherical:
        return SphericalBranch(model)
    return EqualBranch(model) if np.ptp(v) == 0 and v[0] * branch.T1 >= 0 else FollowedBranch(model)


class EqualBranch(Branch):
    """Equal readouts of the student, T_1 of their sign: the closed form, in x."""

    def __init__(self, model: TeacherStudent) -> None:
        super().__init__(model)
        p, v = model.p, abs(self.v[0])
        T1, mu = abs(self.T1), (self.mu * np.sign(self.v[0])).max()
        a, b = (p + 4) / (p + 2), 4 * T1 / (p + 2)
        c = 2 * T1**2 / (p + 2) + 2 * self.T2 + self.noise_variance
        self.p, self.abc, self.end_v = p, (a, b, c), 1 / (2 * np.sqrt(a * c) + b)

        def eta(x):
            return x / (a * x * x + b * x + c) / v

        x = 2 * mu * c / (c + np.sqrt(c * c + 2 * mu * c * (2 * mu * a + b)))
        self._set_limits(
            end=self.end_v / v,
            escape=eta(2 * mu) if 2 * mu < np.sqrt(c / a) else ALWAYS_ESCAPE,
            fastest=eta(x),
        )

    def point(self, eta: float) -> np.ndarray | None:
        a, b, c = self.abc
        eta_v = eta * abs(self.v[0])
        if eta_v > self.end_v:
            return None
        # the smaller root of eta v a x^2 - (1 - eta v b) x + eta v c = 0, in the form that does not cancel
        linear = 1 - eta_v * b
        x = 2 * eta_v * c / (linear + np.sqrt(max(linear**2 - 4 * eta_v**2 * a * c, 0.0)))
        return np.full(self.p, np.sign(self.v[0]) * (x + abs(self.T1)) / (self.p + 2))


class SphericalBranch(Branch):
    """Q = I at every learning rate; the rates are parabolas in it."""

    def __init__(self, model: TeacherStudent) -> None:
        super().__init__(model)
        v = self.v
        t, E = self._moments(v)
        k, l = np.triu_indices(model.p, 1)
        linear = 8 * v[k] * v[l]
        mean = v * v * (E + 4 * t * v + 8 * v * v)
        curvature = 4 * v[k] * v[l] * (E + 4 * t * (v[k] + v[l]) + 8 * (v[k] ** 2 + v[k] * v[l] + v[l] ** 2))
        curvature -= 2 * (mean[k] + mean[l])
        unstable = curvature > 0
        if np.any(linear < 0):
            self._set_limits(end=ALIGNING, escape=ALIGNING, fastest=ALIGNING)
            return
        self.end = np.min(linear[unstable] / curvature[unstable], initial=np.inf)

        # rate of row k in its best direction: slope_k eta - 2 mean_k eta^2
        slope = 4 * np.max(v[:, None] * self.mu, axis=1)
        grows = slope > 0
        if not np.any(grows):
            self._set_limits(end=self.end, escape=NO_ESCAPE, fastest=NO_ESCAPE)
            return
        slope, mean = slope[grows], mean[grows]
        escape = np.max(slope / (2 * mean))
        peaks = np.minimum(slope / (4 * mean), self.end)
        self._set_limits(
            end=self.end,
            escape=escape if escape < self.end else ALWAYS_ESCAPE,
            fastest=peaks[np.argmax(slope * peaks - 2 * mean * peaks**2)],
        )

    def point(self, eta: float) -> np.ndarray | None:
        return self.v.copy() if eta <= self.end else None

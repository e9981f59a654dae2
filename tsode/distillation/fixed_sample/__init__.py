r"""Linear distillation on a fixed sample: what n soft labels teach, exactly.

A linear teacher :math:`w^*` labels n inputs x of dimension d with its own logits :math:`w^* \cdot x`. Gradient flow on
the logistic loss moves a linear student within the span of the inputs until it agrees on them all. From zero it ends at
the projection of :math:`w^*` on that span; the risk is the probability that two signs differ, for isotropic inputs the
angle over :math:`\pi`. For Gaussian inputs, with :math:`\alpha = n / d < 1`,

.. math::
    E[\mathrm{risk}] = \frac1\pi E\big[\arccos \sqrt B\big], \quad B \sim \mathrm{Beta}\big(\tfrac n2, \tfrac{d-n}2\big)
    \qquad \to \qquad \frac{\arccos \sqrt\alpha}{\pi} \quad (d \to \infty) ,

and 0 for n >= d. More samples never hurt: the projection on a larger span is closer. For any law of inputs, with
:math:`p(\theta)` the probability that an input has at least the angle :math:`\theta` with the line of :math:`w^*`,

.. math::
    E[\mathrm{risk}] \le \min_{0 \le \beta \le \pi/2} p(\beta) + p(\pi/2 - \beta)^n .

A product :math:`w = W_1 \cdots W_L` of balanced layers moves along
:math:`-|w|^{2 - 2/L} (1 + (L - 1)\, \hat w \hat w^T) \nabla`, which conserves :math:`|w_\perp| / |w|^{1 - 1/L}`,
:math:`w_\perp` being the part orthogonal to all inputs: deeper students keep more of their start. Hard labels leave the
logistic loss no minimum; the direction tends to that of the largest margin, and risk falls as a power of n alone.

The setting, the bound and the monotonicity are those of Phuong & Lampert, "Towards understanding knowledge
distillation" (arXiv:2105.13093).
"""

from .flow import learn, margin
from .risk import bound, risk

__all__ = ["bound", "learn", "margin", "risk"]

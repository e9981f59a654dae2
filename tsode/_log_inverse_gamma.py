r"""The law of :math:`Y = \ln(1/G + a)`, G a Gamma variable of shape c and scale 1, a >= 0.

For a = 0 it is the mirror image of ``scipy.stats.loggamma``. A module of its own, because scipy.stats takes long to
import; the class stands at module level so that its frozen distributions can be pickled.
"""

import numpy as np
from scipy.special import gammaincc, gammainccinv, gammaincinv, gammaln
from scipy.stats import rv_continuous

__all__ = ["log_inverse_gamma"]

NODES = 1001
TAIL = 1e-17


class LogInverseGamma(rv_continuous):
    """Y = ln(1/G + a); shapes c > 0 and a >= 0."""

    def _argcheck(self, c, a):
        return (c > 0) & (a >= 0)

    def _get_support(self, c, a):
        with np.errstate(divide="ignore", invalid="ignore"):  # also asked for shapes that are then refused
            return np.log(a), np.full(np.shape(a), np.inf)

    def _logpdf(self, y, c, a):
        inverse = np.exp(y) - a
        return y - (c + 1) * np.log(inverse) - 1 / inverse - gammaln(c)

    def _pdf(self, y, c, a):
        return np.exp(self._logpdf(y, c, a))

    def _cdf(self, y, c, a):
        return gammaincc(c, 1 / (np.exp(y) - a))

    def _ppf(self, q, c, a):
        return np.log(1 / gammainccinv(c, q) + a)

    def _rvs(self, c, a, size=None, random_state=None):
        return np.log(1 / random_state.standard_gamma(c, size=size) + a)

    def _stats(self, c, a):
        mean, variance = np.vectorize(_mean_and_variance, otypes=[float, float])(c, a)
        return mean, variance, None, None


def _mean_and_variance(c, a):
    """Integrate over w = ln G, whose density is smooth and falls off fast: the trapezoidal rule converges quickly."""
    w = np.linspace(np.log(gammaincinv(c, TAIL)), np.log(gammainccinv(c, TAIL)), NODES)
    density = np.exp(c * w - np.exp(w) - gammaln(c))
    density /= density.sum()
    y = np.log(np.exp(-w) + a)
    mean = density @ y
    return mean, density @ (y - mean) ** 2


log_inverse_gamma = LogInverseGamma(name="log_inverse_gamma")

"""The law of -ln(G), G a Gamma variable: scipy.stats has the mirror image only.

A module of its own, because scipy.stats takes long to import, and at module level, because frozen distributions
are to be pickled.
"""

import numpy as np
from scipy.special import digamma, polygamma
from scipy.stats import loggamma, rv_continuous

__all__ = ["minus_log_gamma"]


class MinusLogGamma(rv_continuous):
    """X = -ln G with G of the Gamma law of shape c and scale 1; -2 ln of a chi-square of 2c is its like."""

    def _pdf(self, x, c):
        return loggamma.pdf(-x, c)

    def _logpdf(self, x, c):
        return loggamma.logpdf(-x, c)

    def _cdf(self, x, c):
        return loggamma.sf(-x, c)

    def _sf(self, x, c):
        return loggamma.cdf(-x, c)

    def _ppf(self, q, c):
        return -loggamma.isf(q, c)

    def _isf(self, q, c):
        return -loggamma.ppf(q, c)

    def _rvs(self, c, size=None, random_state=None):
        return -loggamma.rvs(c, size=size, random_state=random_state)

    def _stats(self, c):
        variance = polygamma(1, c)
        return -digamma(c), variance, -polygamma(2, c) / variance**1.5, polygamma(3, c) / np.square(variance)

    def _entropy(self, c):
        return loggamma.entropy(c)


minus_log_gamma = MinusLogGamma(name="minus_log_gamma")

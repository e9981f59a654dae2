r"""The perceptron of Rosenblatt: a step only where the student's class is wrong.

It is descent on :math:`\ell = \max(0, -t \hat y)`, the hinge loss without a margin:
:math:`C_k = \eta\, t\, 1(t \hat y < 0)\, v_k \sigma'(\lambda_k)`.
"""

from .hinge import Hinge

__all__ = ["Perceptron"]


class Perceptron(Hinge):
    """The perceptron.

    Examples
    --------
    >>> import numpy as np
    >>> float(Perceptron().function(np.array([0.25]), np.array([1.0]))[1][0])  # the class is right
    0.0
    """

    name = "perceptron"
    margin = 0.0

    def __init__(self) -> None: ...

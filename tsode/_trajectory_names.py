"""Rows and trained numbers of a trajectory by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._linear_algebra import joint_matrix

__all__ = ["Named"]


class Named:
    """Base of a trajectory."""

    if TYPE_CHECKING:
        model: Any
        M: np.ndarray
        Q: np.ndarray
        scalars: np.ndarray

    def overlap(self, first: str, second: str) -> np.ndarray:
        r"""Return the overlaps of rows by name, :math:`W_a W_b^T / N`, over time.

        Parameters
        ----------
        first, second : str
            Names of a :class:`tsode.Scheme`; of a pair "student" and "teacher".

        Returns
        -------
        ndarray, shape (..., T, rows of first, rows of second)
            Where the inputs have a covariance, the covariance of the preactivations.

        Raises
        ------
        TypeError, ValueError
            If there are no rows of such a name.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2)
        >>> ode = tsode.integrate(model, tsode.Overlaps.random(model, N=100, rng=0), 30.0)
        >>> bool((ode.overlap("student", "teacher") == ode.M).all())
        True
        """
        joint = joint_matrix(self.M, self.Q, self.model.teacher_overlap)
        return self.model.rule.layout(self.model).overlap(joint, first, second)

    def scalar(self, name: str) -> np.ndarray:
        """Return what is trained beside the rows, by name, over time.

        Parameters
        ----------
        name : str
            A name of a :class:`tsode.Scheme`; of a pair with a trained readout "readout".

        Returns
        -------
        ndarray, shape (..., T, ...)
            The last axes are those that it has at the start.

        Raises
        ------
        TypeError, ValueError
            If nothing of such a name is trained.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.2, readout_learning_rate=0.1)
        >>> ode = tsode.integrate(model, tsode.Overlaps.random(model, N=100, rng=0), 30.0)
        >>> ode.scalar("readout").shape
        (201, 2)
        """
        return self.model.rule.layout(self.model).scalar(self.scalars, name)

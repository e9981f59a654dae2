"""What is asked of the loss of a pair: its value and derivatives as functions of the overlaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._parts import LARGEST, in_parts

if TYPE_CHECKING:
    from .activations.squared_error import LossCurvature

__all__ = ["Loss"]


class Loss:
    """Base of a pair that has widths, P and a rule; it asks the rule."""

    if TYPE_CHECKING:
        p: int
        p_star: int
        student_readout: np.ndarray
        teacher_overlap: np.ndarray
        rule: Any

    def excess_loss(self, M: np.ndarray, Q: np.ndarray, readout: np.ndarray | None = None) -> np.ndarray:
        """Return the population loss for Gaussian inputs less its floor: that of the square without the label noise.

        The floor is the smallest loss that any function of the teacher's preactivations has, given that labels are
        noisy: half the noise variance of the square, the mean entropy of the class of the logistic loss.

        Parameters
        ----------
        M, Q : ndarray, shapes (..., p, p_star), (..., p, p)
            Overlaps.
        readout : ndarray, shape (..., p), optional
            Readout of the student; the model's by default.

        Returns
        -------
        ndarray, shape (...)

        Raises
        ------
        ValueError
            If an array has another shape.

        Examples
        --------
        >>> import numpy as np, tsode
        >>> float(tsode.TeacherStudent(p=1, p_star=1, learning_rate=0.4).excess_loss(np.zeros((1, 1)), np.eye(1)))
        2.0
        """
        self._check_overlaps(M, Q)
        readout = self.student_readout if readout is None else readout
        if np.size(Q) <= LARGEST:
            return self.rule.excess_loss(self, M, Q, readout)
        lead, flat = np.shape(Q)[:-2], (-1, self.p)
        M, Q, v = M.reshape(*flat, self.p_star), Q.reshape(*flat, self.p), np.broadcast_to(readout, (*lead, self.p))
        loss, v = np.empty(len(Q)), v.reshape(flat)
        for part in in_parts(len(loss), Q[0].size):
            loss[part] = self.rule.excess_loss(self, M[part], Q[part], v[part])
        return loss.reshape(lead)[()]

    def loss_slopes(self, M: np.ndarray, Q: np.ndarray, P: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives L_M and L_Q of the loss.

        Parameters
        ----------
        M, Q : ndarray, shapes (..., p, p_star), (..., p, p)
            Overlaps.
        P : ndarray, shape (p_star, p_star), optional
            Teacher overlap; the model's by default.

        Returns
        -------
        L_M, L_Q : ndarray, shapes of M and Q
            Q_kl and Q_lk count as independent entries: dL is the sum of L_M dM and L_Q dQ over all.

        Raises
        ------
        ValueError
            If an array has another shape.

        Examples
        --------
        >>> import numpy as np, tsode
        >>> tsode.TeacherStudent(p=1, p_star=1, learning_rate=0.4).loss_slopes(np.zeros((1, 1)), np.eye(1))[1]
        array([[2.]])
        """
        self._check_overlaps(M, Q)
        return self.rule.loss_slopes(self, M, Q, self.teacher_overlap if P is None else P)

    def loss_curvature(self, M: np.ndarray, Q: np.ndarray, P: np.ndarray | None = None) -> LossCurvature:
        """Return the second derivative of the loss at one point, as a function.

        Parameters
        ----------
        M, Q : ndarray, shapes (p, p_star), (p, p)
            Overlaps.
        P : ndarray, shape (p_star, p_star), optional
            Teacher overlap; the model's by default.

        Returns
        -------
        LossCurvature
            Takes changes dM and dQ, shapes (..., p, p_star) and (..., p, p) with dQ symmetric, to those of L_M and L_Q.

        Raises
        ------
        ValueError
            If an array has another shape.

        Examples
        --------
        >>> import numpy as np, tsode
        >>> change = tsode.TeacherStudent(p=1, p_star=1, learning_rate=0.4).loss_curvature(np.zeros((1, 1)), np.eye(1))
        >>> change(dM=np.zeros((1, 1)), dQ=np.eye(1))[1]
        array([[3.]])
        """
        self._check_overlaps(M, Q)
        return self.rule.loss_curvature(self, M, Q, self.teacher_overlap if P is None else P)

    def _check_overlaps(self, M, Q):
        for name, array, shape in (("M", M, (self.p, self.p_star)), ("Q", Q, (self.p, self.p))):
            if np.shape(array)[-2:] != shape:
                raise ValueError(f"`{name}` must have shape (..., {shape[0]}, {shape[1]}), but has {np.shape(array)}")

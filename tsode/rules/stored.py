"""What a file says of a learning rule that is not shipped: its name and arguments, and no code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .._checks import NoClosedForm
from .base import Rule

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Stored"]


class Stored(Rule):
    """A rule of the user's own, as a file keeps it: it can be told from others, and moves no weights.

    A trajectory that is loaded has its overlaps and its excess loss. For anything else give it the rule again:
    ``trajectory.model.replace(rule=...)``.

    Parameters
    ----------
    name : str
        What it was called.
    **arguments
        Its arguments.
    """

    def __init__(self, name: str, **arguments: Any) -> None:
        self.name = str(name)
        self._given = arguments

    @property
    def arguments(self) -> dict[str, Any]:
        """Its arguments, dict of what JSON takes."""
        return dict(self._given)

    def __repr__(self) -> str:
        return f"Stored({self.name!r})"

    def scalars(self, model: TeacherStudent) -> np.ndarray:
        """Return v where it is trained, as every shipped rule does."""
        return model.student_readout[: model.p if model.readout_learning_rate else 0]

    def noises(self, model: TeacherStudent) -> NoReturn:
        """Refuse: see the class, here and below."""
        self._refuse()

    def step(self, model: TeacherStudent) -> Callable[..., None]:
        """Refuse."""
        self._refuse()

    def parameters(self, model: TeacherStudent) -> NoReturn:
        """Refuse."""
        self._refuse()

    def excess_loss(self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, readout: np.ndarray) -> NoReturn:
        """Refuse."""
        self._refuse()

    def floor(self, model: TeacherStudent) -> NoReturn:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NoClosedForm(
            f"`rule` must be given again by model.replace(rule=...): a file keeps only the name {self.name!r}"
        )

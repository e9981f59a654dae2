"""What a file says of a learning rule that is not shipped: its name and arguments, and no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .. import _checks
from .._checks import NoClosedForm
from .base import Rule
from .layout import Layout

if TYPE_CHECKING:
    from ..model import TeacherStudent

__all__ = ["Stored", "StoredNamed"]


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


class StoredNamed(Stored):
    """The rule of a :class:`tsode.Scheme`, as a file keeps it: its names, and no function.

    Parameters
    ----------
    name : str
        What its kind is called.
    rows, moving, scalars, outputs
        Names and numbers, as :attr:`tsode.rules.Rule.arguments` of it.
    **more
        What it did, as text that is never executed.
    """

    def __init__(
        self, name: str, rows: Any = None, moving: Any = None, scalars: Any = None, outputs: Any = None, **more: Any
    ) -> None:
        super().__init__(name, rows=rows, moving=moving, scalars=scalars, outputs=outputs, **more)
        for what, value, kind in (("rows", rows, dict), ("moving", moving, list), ("scalars", scalars, dict),
                                  ("outputs", outputs, list)):  # fmt: skip
            _checks.instance(what, value, kind, f"a {kind.__name__} as files of a Scheme have it")
        counts = {key: _checks.integer(f"rows[{key!r}]", value, minimum=1) for key, value in rows.items()}
        for key in moving:
            _checks.choice("moving", key, tuple(counts))
        for key in outputs:
            _checks.instance("outputs", key, str, "names")
        self._start = {key: _checks.real_array(f"scalars[{key!r}]", value) for key, value in scalars.items()}
        shapes = {key: value.shape for key, value in self._start.items()}
        self._layout = Layout(counts, tuple(moving), shapes, tuple(outputs))

    def __repr__(self) -> str:
        return f"Scheme of {self._layout}, from a file"

    def scalars(self, model: TeacherStudent) -> np.ndarray:
        """Return their starting values, one name after the other."""
        return np.concatenate([np.empty(0), *(value.ravel() for value in self._start.values())])

    def layout(self, model: TeacherStudent) -> Layout:
        """Return the names."""
        return self._layout

    def losses(
        self, model: TeacherStudent, M: np.ndarray, Q: np.ndarray, scalars: np.ndarray
    ) -> Mapping[str, np.ndarray]:
        """Return nothing where there is nothing, else refuse: files keep them with the trajectory."""
        return self._refuse() if self._layout.outputs else {}

"""What a file says of an activation that is not shipped: its name and parameters, and no code."""

from collections.abc import Callable
from typing import Any, NoReturn

from .._checks import NoClosedForm
from .base import Activation

__all__ = ["Stored"]


class Stored(Activation):
    """An activation of the user's own, as a file keeps it: it can be told from others, and not be called.

    A trajectory that is loaded has its overlaps and its loss. For anything else give it the function again:
    ``trajectory.model.replace(activation=...)``.

    Parameters
    ----------
    name : str
        What it was called.
    **parameters
        Its parameters.
    """

    def __init__(self, name: str, **parameters: Any) -> None:
        self.name = str(name)
        self._given = parameters

    @property
    def parameters(self) -> dict[str, Any]:
        """Its parameters, dict of what JSON takes."""
        return dict(self._given)

    def __repr__(self) -> str:
        return f"Stored({self.name!r})"

    @property
    def function(self) -> Callable[..., Any]:
        """Nothing: see the class."""
        self._refuse()

    def _way(self, second: Activation) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NoClosedForm(
            "`activation` must be given again by model.replace(activation=...): "
            f"a file keeps only the name {self.name!r}"
        )

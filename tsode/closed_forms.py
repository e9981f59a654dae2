"""The one place that decides whether a model has a theory in closed form."""

from typing import Any

from .activations import NoClosedForm
from .model import TeacherStudent

__all__ = ["NoClosedForm", "closed_forms", "has_closed_forms"]


def closed_forms(model: TeacherStudent) -> Any:
    """Return the theory of a model, computed once for each model.

    Parameters
    ----------
    model : TeacherStudent
        Gradient descent, with one activation on both sides.

    Returns
    -------
    object
        What the activation knows: ``branch`` of plateaus, ``minima``, law of the escape, late times, invariants.

    Raises
    ------
    NoClosedForm
        If there is none; the message says what the model would have to be.
    """
    return model.theory


def has_closed_forms(model: TeacherStudent) -> bool:
    """Return whether a model has a theory in closed form at all; what there is may still ask for more."""
    try:
        closed_forms(model)
    except NoClosedForm:
        return False
    return True

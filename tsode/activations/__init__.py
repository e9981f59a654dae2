"""Activations of the hidden units, one file each."""

from .. import _checks
from .base import Activation, NoClosedForm
from .erf import Erf
from .quadratic import Quadratic

__all__ = ["SHIPPED", "Activation", "Erf", "NoClosedForm", "Quadratic", "activation_of"]

SHIPPED = {kind.name: kind for kind in (Quadratic, Erf)}


def activation_of(value: Activation | str | dict, name: str = "activation") -> Activation:
    """Return the Activation that is meant: an object, a name, or a dict of name and parameters as in files."""
    if isinstance(value, Activation):
        return value
    if isinstance(value, dict):
        parameters = dict(value)
        return SHIPPED[_checks.choice(name, parameters.pop("name", None), tuple(SHIPPED))](**parameters)
    return SHIPPED[_checks.choice(name, value, tuple(SHIPPED))]()

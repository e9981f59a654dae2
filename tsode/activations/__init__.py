"""Activations of the hidden units, one file each."""

from typing import Any

import numpy as np

from .. import _checks
from .._compiled import jitable
from .base import Activation, NoClosedForm
from .custom import Custom
from .erf import Erf
from .hermite import Hermite
from .polynomial import Polynomial
from .quadratic import Quadratic
from .relu import ReLU
from .sign import Sign
from .stored import Stored
from .tanh import Tanh

__all__ = [
    "SHIPPED", "TEACHERS", "Activation", "Custom", "Erf", "Hermite", "NoClosedForm", "Polynomial", "Quadratic", "ReLU",
    "Sign", "Stored", "Tanh", "activation_of", "jitable", "stored_activation",
]  # fmt: skip

SHIPPED = {kind.name: kind for kind in (Quadratic, Erf, ReLU, Tanh)}  # by their names alone
TEACHERS = SHIPPED | {Sign.name: Sign}  # those that teachers may have, too
# what files name, with parameters
KINDS: dict[str, Any] = TEACHERS | {kind.name: kind for kind in (Hermite, Polynomial)}


def activation_of(
    value: Activation | str | dict, name: str = "activation", shipped: dict[str, Any] = SHIPPED
) -> Activation:
    """Return the Activation that is meant: an object, a name of a shipped one, or a dict of name and parameters."""
    if isinstance(value, Activation):
        return _checked(value, name)
    if isinstance(value, dict):
        parameters = dict(value)
        return KINDS[_checks.choice(name, parameters.pop("name", None), tuple(KINDS))](**parameters)
    if callable(value):
        raise TypeError(
            f"`{name}` must be a name or an Activation, such as tsode.activations.Custom(function), but is a function"
        )
    return shipped[_checks.choice(name, value, tuple(shipped))]()


def stored_activation(value: str | dict) -> Activation:
    """Return the Activation that a file names; of another than a shipped one only what is said of it."""
    given = {"name": value} if isinstance(value, str) else value
    if isinstance(given, dict) and isinstance(given.get("name"), str) and given["name"] not in KINDS:
        return Stored(**given)
    return activation_of(value, shipped=KINDS)


def _checked(activation: Activation, name: str) -> Activation:
    """Return an activation of the user's own if it can be told from others, made again, and called."""
    if isinstance(activation, (Custom, Stored)):
        return activation
    own = KINDS.get(activation.name)
    if not activation.name or (own is not None and own is not type(activation)):
        raise ValueError(f"`{name}` must have a `name` of its own, but has {activation.name!r}")
    try:
        again = type(activation)(**activation.parameters) == activation
    except TypeError:
        again = False
    if not again:
        raise ValueError(f"`{name}` must be made again by its `parameters`, but {activation!r} is not")
    found = activation.function(np.zeros(3))
    if not (isinstance(found, tuple) and len(found) == 2 and all(np.shape(part) == (3,) for part in found)):
        raise ValueError(f"`{name}` must have a `function` that returns value and slope, but {activation!r} has not")
    return activation

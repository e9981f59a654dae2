"""Learning rules, one file each."""

from typing import Any

from .. import _checks
from .base import Rule
from .clipped import Clipped
from .gradient import Gradient
from .hinge import Hinge
from .huber import Huber
from .link import Link
from .logistic import Logistic
from .normalised import Normalised
from .output_loss import OutputLoss
from .perceptron import Perceptron
from .stored import Stored

__all__ = [
    "SHIPPED", "Clipped", "Gradient", "Hinge", "Huber", "Link", "Logistic", "Normalised", "OutputLoss", "Perceptron",
    "Rule", "Stored", "rule_of", "stored_rule",
]  # fmt: skip

SHIPPED = {kind.name: kind for kind in (Gradient, Logistic, Hinge, Perceptron, Huber)}  # by their names alone
KINDS: dict[str, Any] = SHIPPED | {kind.name: kind for kind in (Clipped, Normalised)}  # what files name, with arguments


def rule_of(value: str | dict | Rule, name: str = "rule") -> Rule:
    """Return the Rule that is meant: an object, a name, or a dict of name and arguments as in files."""
    if isinstance(value, Rule):
        return value
    if isinstance(value, dict):
        given = {key: rule_of(each) if key == "rule" else each for key, each in value.items()}
        return KINDS[_checks.choice(name, given.pop("name", None), tuple(KINDS))](**given)
    return SHIPPED[_checks.choice(name, value, tuple(SHIPPED))]()


def stored_rule(value: str | dict) -> Rule:
    """Return the Rule that a file names; of another than a shipped one only what is said of it."""
    given = {"name": value} if isinstance(value, str) else value
    if isinstance(given, dict) and isinstance(given.get("name"), str) and given["name"] not in KINDS:
        return Stored(**given)
    return rule_of(given)

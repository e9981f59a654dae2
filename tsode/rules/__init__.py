"""Learning rules, one file each."""

from .. import _checks
from .base import Rule
from .gradient import Gradient

__all__ = ["SHIPPED", "Gradient", "Rule", "rule_of"]

SHIPPED = {kind.name: kind for kind in (Gradient,)}


def rule_of(value: str | Rule) -> Rule:
    """Return the Rule that is meant: an object or a name."""
    return value if isinstance(value, Rule) else SHIPPED[_checks.choice("rule", value, tuple(SHIPPED))]()

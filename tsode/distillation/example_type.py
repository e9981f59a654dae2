"""What :func:`tsode.distillation.example` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._display import Table

__all__ = ["Example"]


@dataclass(frozen=True, eq=False, repr=False)
class Example(Table):
    """One system of distillation at work: numbers measured beside theory, and what a figure of it needs.

    Attributes
    ----------
    name, title : str
        Of the system.
    x, y : str
        What the axes are.
    log : str
        Which of them are logarithmic: "", "x", "y" or "xy".
    curves : dict of str to tuple of ndarray
        (x, y) of theory: the ODEs, or a formula.
    points : dict of str to tuple of ndarray
        (x, mean, standard error) of what was measured; of a name among `curves` where both are of one thing.
    rows : tuple of tuple
        (what, theory, measured, error): the error is a standard error, or that of a fit.
    """

    name: str
    title: str
    x: str
    y: str
    log: str
    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    points: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    rows: tuple[tuple[str, float, float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as lists, as JSON takes them.

        Examples
        --------
        >>> import tsode
        >>> len(tsode.distillation.example("fixed_sample", runs=2).to_dict()["rows"])
        3
        """
        return {
            "name": self.name,
            "title": self.title,
            "curves": {key: {"x": x.tolist(), self.y: y.tolist()} for key, (x, y) in self.curves.items()},
            "points": {
                key: {"x": x.tolist(), "mean": mean.tolist(), "error": error.tolist()}
                for key, (x, mean, error) in self.points.items()
            },
            "rows": [dict(zip(("quantity", "theory", "measured", "error"), row)) for row in self.rows],
        }

    def _table(self):
        rows = [(what, f"{theory:.5g}", f"{found:.5g}", f"{error:.2g}") for what, theory, found, error in self.rows]
        return self.title, ("quantity", "theory", "measured", "error"), rows

"""Names of what evolves: rows that move and rows that stand still, what is trained beside them, and losses.

The rows that move are the engines' student, in the order in which they are named, and those that stand still are the
engines' teacher.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _checks

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """Where named rows stand among the preactivations, and named scalars among the trained numbers.

    Attributes
    ----------
    rows : dict of str to int
        Names and how many rows each has, in the order of the user.
    moving : tuple of str
        Those that move.
    scalars : dict of str to tuple of int
        Names and shapes of what is trained beside the rows.
    outputs : tuple of str or None
        Names of the losses; None where there is one, without a name.
    """

    rows: Mapping[str, int]
    moving: tuple[str, ...]
    scalars: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: tuple[str, ...] | None = None

    def __str__(self) -> str:
        parts = (f"{count} {name}{'' if name in self.moving else ' (fixed)'}" for name, count in self.rows.items())
        return ", ".join(parts)

    @property
    def p(self) -> int:
        """How many rows move."""
        return sum(self.rows[name] for name in self.moving)

    @property
    def p_star(self) -> int:
        """How many stand still; where all move, a row of zeros stands in for them."""
        return max(1, sum(self.rows.values()) - self.p)

    @property
    def order(self) -> np.ndarray:
        """Places of the user's rows among the preactivations, ndarray of int, shape (rows,)."""
        return np.concatenate([np.arange(place.start, place.stop) for place in map(self.place, self.rows)])

    def place(self, name: str) -> slice:
        """Return where rows of this name stand among the preactivations, those that move first."""
        moves = name in self.moving
        first = 0 if moves else self.p
        for other, count in self.rows.items():
            if other == name:
                break
            first += count if (other in self.moving) == moves else 0
        return slice(first, first + self.rows[name])

    def scalar_place(self, name: str) -> slice:
        """Return where scalars of this name stand."""
        sizes = {each: math.prod(shape) for each, shape in self.scalars.items()}
        first = sum(list(sizes.values())[: list(sizes).index(name)])
        return slice(first, first + sizes[name])

    def named_rows(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Return preactivations, shape (p + p_star, m), by name, each of shape (m, rows), not to be written to."""
        return {name: locked(z[self.place(name)].T) for name in self.rows}

    def named_scalars(self, scalars: np.ndarray) -> dict[str, np.ndarray]:
        """Return trained numbers, shape (n_scalars,) or (n_scalars, m), by name, each of shape (1 or m, its shape)."""
        scalars = scalars.reshape(len(scalars), scalars.size // max(1, len(scalars)))
        return {
            name: locked(scalars[self.scalar_place(name)].T.reshape(-1, *shape)) for name, shape in self.scalars.items()
        }

    def overlap(self, joint: np.ndarray, first: str, second: str) -> np.ndarray:
        """Return the overlaps of two names, shape (..., rows, rows), of those of all preactivations."""
        for name, value in (("first", first), ("second", second)):
            _checks.choice(name, value, tuple(self.rows))
        return joint[..., self.place(first), self.place(second)]

    def scalar(self, scalars: np.ndarray, name: str) -> np.ndarray:
        """Return the trained numbers of a name, shape (..., its shape), of all, shape (..., n_scalars)."""
        if not self.scalars:
            raise ValueError(f"`name` must be that of a trained scalar, but is {name!r} and nothing is trained")
        _checks.choice("name", name, tuple(self.scalars))
        return scalars[..., self.scalar_place(name)].reshape(*scalars.shape[:-1], *self.scalars[name])


def locked(array: Any) -> Any:
    """Return a view that cannot be written to: what a user's function is given belongs to an engine."""
    array = array.view()
    array.setflags(write=False)
    return array

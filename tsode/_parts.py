"""Large arrays part by part, so that what is made of them on the way takes little memory."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["LARGEST", "in_parts"]

LARGEST = 1 << 22  # numbers in a part: 32 MB


def in_parts(count: int, size: int) -> Iterator[slice]:
    """Yield slices that cover `count` entries of `size` numbers each; all at once where these are few."""
    step = max(1, LARGEST // max(size, 1))
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))

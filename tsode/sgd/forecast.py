"""How long a call will take, from what its first seconds take."""

from __future__ import annotations

import logging
import time
from typing import Any

__all__ = ["Forecast"]

LOGGER = logging.getLogger("tsode")
MEASURED = 2.0  # seconds that are looked at
LONG = 60.0  # seconds from which on it is worth a word


class Forecast:
    """Counts samples as they are done, and says once how long all of them will take, where that is long.

    Parameters
    ----------
    total : int
        Samples to be done.
    bar : tqdm
        The progress bar that says it; the logger "tsode" says it, too.
    """

    def __init__(self, total: int, bar: Any) -> None:
        self.total, self.bar = total, bar
        self.began: float | None = None
        self.done = 0

    def add(self, samples: int) -> None:
        """Count samples; the first ones, for which kernels may have been compiled, only start the clock."""
        if self.bar is None:
            return
        now = time.monotonic()
        if self.began is None:
            self.began = now
            return
        self.done += samples
        if now - self.began > MEASURED and self.done:
            seconds = self.total * (now - self.began) / self.done
            if seconds > LONG:
                LOGGER.info("SGD: %s samples will take about %s", f"{self.total:,}", in_words(seconds))
                self.bar.set_description(f"SGD, about {in_words(seconds)}")
            self.bar = None


def in_words(seconds: float) -> str:
    """Return a time as a person says it."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.95 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 9.95 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"

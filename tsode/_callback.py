"""Steps of learning rules that stay Python: compiled kernels call them by an address, as they call compiled ones."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Callback", "Interpreted"]

MOST = 4096  # views that are kept
SAMPLES = 2048  # between two looks at the clock and at the stop flag


class Interpreted:
    """A function of arrays, for one run or with a last axis of the runs, that no compiler takes.

    Parameters
    ----------
    function : callable
        It takes as many arrays as the C function, and writes into some of them.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function

    def __call__(self, *arrays: np.ndarray) -> None:
        """Do it."""
        self.function(*arrays)


class Callback:
    """A C function that lets Python do the work, with the interface of :class:`tsode._compiled.CFunction`.

    Parameters
    ----------
    step : Interpreted
        What it does.
    lengths : callable
        (the integers of a call) -> how many rows each array has.
    written : sequence of int
        The positions of the arrays it writes to.
    arrays, numbers : int
        How many arrays and integers there are.
    width : int
        Runs, or 0 for one without an axis.

    Attributes
    ----------
    at_once : int
        How many samples at most an engine is to run in one call.
    """

    def __init__(
        self, step: Interpreted, lengths: Callable[..., Any], written: tuple[int, ...], arrays: int, numbers: int,
        width: int,
    ) -> None:  # fmt: skip
        kinds = [ctypes.c_void_p] * arrays + [ctypes.c_ssize_t] * numbers
        self._step, self._lengths, self._written, self._arrays, self._width = step, lengths, written, arrays, width
        self._function = ctypes.CFUNCTYPE(None, *kinds)(self._called)
        self._views: dict[Any, np.ndarray] = {}
        self._error: BaseException | None = None
        self.pointer = ctypes.cast(self._function, ctypes.c_void_p).value
        self.plain, self.at_once = step.function, SAMPLES

    def check(self) -> None:
        """Raise what a call has raised: nothing gets through compiled code."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _called(self, *given):
        arrays = [self._view(*each) for each in zip(given, self._lengths(*given[self._arrays :]))]
        try:
            if self._error is not None:
                raise self._error
            with np.errstate(all="ignore"):
                self._step.function(*arrays)
        except BaseException as error:
            self._error = error
            for i in self._written:
                arrays[i][:] = np.nan

    def _view(self, address, length):
        """Return the array at an address; views are kept, as the arrays are the same from call to call."""
        found = self._views.get((address, length))
        if found is None:
            shape = (length, self._width) if self._width else (length,)
            size = length * max(1, self._width)
            room = (ctypes.c_double * size).from_address(address) if size else np.empty(0)
            found = np.frombuffer(room, count=size).reshape(shape) if size else room.reshape(shape)
            if len(self._views) > MOST:
                self._views.clear()
            self._views[address, length] = found
        return found

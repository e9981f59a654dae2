"""What runs where the points are computed: in this process, in another one, or on another machine."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numba
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from .batches import Batched
from .store import Store
from .values import Values, labelled

__all__ = ["Failure", "PointFailed", "Work", "one_thread"]


class PointFailed(Exception):
    """Says at which point of a scan the function raised; the cause of the exception that ``scan`` raises."""


@dataclass(frozen=True)
class Failure:
    """An exception at one point.

    Attributes
    ----------
    error : Exception
        What was raised, or a RuntimeError with its text if it cannot travel between processes.
    text : str
        Its type and message.
    trace : str
        Its traceback.
    """

    error: Exception
    text: str
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure of an exception that was just caught."""
        text = ": ".join(filter(None, (type(error).__name__, str(error))))
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            pickle.loads(pickle.dumps(error))  # exceptions with arguments of their own often fail only here
        except Exception:
            error = RuntimeError(text)
        return cls(error.with_traceback(None), text, trace)


@dataclass(frozen=True)
class Work:
    """Computes tasks: lists of points, of one unless the function is batched.

    Attributes
    ----------
    function : callable
    store : Store or None
        Where finished points go.
    owner : int
        Process that a Ctrl-C is meant for.
    """

    function: Callable[..., Any]
    store: Store | None
    owner: int

    def __call__(
        self, number: int, points: list[dict[str, Any]], seeds: list[dict[str, Any]]
    ) -> tuple[int, Sequence[Values | Failure]]:
        """Return `number` and, for each point, its values or a Failure.

        Parameters
        ----------
        number : int
            Which task of the scan it is.
        points, seeds : list of dict
            The points, and what else the function is called with at each.
        """
        # Another process may have finished it since the scan began.
        found = None if self.store is None else self.store.read(points, warn=False)
        if found is not None:
            return number, found
        with one_thread(), _ctrl_c(self.owner):
            outcomes = self._compute(points, seeds)
        if self.store is not None and not any(isinstance(outcome, Failure) for outcome in outcomes):
            with contextlib.suppress(OSError):  # the scan's own process tries again, and says why it cannot
                self.store.write(points, outcomes)
        return number, outcomes

    def _compute(self, points, seeds):
        calls = [{**point, **seed} for point, seed in zip(points, seeds)]
        try:
            batch = isinstance(self.function, Batched)
            results = self.function(calls) if batch else [self.function(**call) for call in calls]
            return [labelled(result) for result in results]
        except Exception as error:
            if len(points) == 1:
                return [Failure.of(error)]
        # Which points of the batch it was, and what the others are.
        return [outcome for point, seed in zip(points, seeds) for outcome in self._compute([point], [seed])]


@functools.cache
def _controller():
    return ThreadpoolController()  # looks through the loaded libraries, which takes longer than a small point


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS and Numba at one thread: the processes are the parallelism, and sums keep their order."""
    threads = numba.get_num_threads()  # of this thread alone; BLAS is limited for the whole process
    numba.set_num_threads(1)
    try:
        with _controller().limit(limits=1):
            yield
    finally:
        numba.set_num_threads(threads)


@contextlib.contextmanager
def _ctrl_c(owner):
    """Take care that what a Ctrl-C cut short is not taken for a result.

    A function may catch the KeyboardInterrupt and return what it has, as ``simulate`` does. In the scan's own
    process it is raised again after the function; other processes leave it to that one, which ends them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go elsewhere
        return
    if os.getpid() != owner:
        # tqdm's usual lock is a semaphore of the system, which Python reports as leaked when the process is ended
        tqdm.set_lock(threading.RLock())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        yield
        return
    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual):
        yield
        return
    came = []

    def note(number, frame):
        came.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        raise KeyboardInterrupt

"""The threads that let engines run, with progress, interrupts and files of what is done so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from threadpoolctl import threadpool_limits

from .._progress import progress_bar, saying_what_compiles
from .engines import Group, put_together, together
from .forecast import Forecast
from .records import Records
from .setting import Setting

__all__ = ["run_all"]

EVERY = 60.0  # seconds between two files
SHARE = 20  # a file is written in at most one part in so many of the time


def run_all(
    every: Sequence[Records], setting: Setting, threads: int, progress: bool, save: Callable[[], object] | None = None
) -> None:
    """Let all runs run that have not ended, in so many threads; call `save` before, and once a minute."""
    works = [(records, lists) for records in every for lists in together(records, setting, threads)]
    total = sum(int(each.steps[-1] - each.first(run)) for each, lists in works for rows in lists for run in rows)
    bar = progress_bar(progress, total=total, desc="SGD", unit=" samples", unit_scale=True)
    crew = _Crew(setting, bar, Forecast(total, bar))
    if save and works:
        save()
    pool = ThreadPoolExecutor(max(1, min(threads, len(works))))
    with bar, saying_what_compiles(bar), threadpool_limits(1, user_api="blas"), pool:
        try:
            futures = [pool.submit(crew.run, records, lists) for records, lists in works]
            crew.wait_for(futures, save)
        except KeyboardInterrupt:
            crew.stop.set()
        except BaseException:
            crew.stop.set()
            pool.shutdown(cancel_futures=True)
            raise


class _Crew:
    """What the threads share."""

    def __init__(self, setting: Setting, bar: Any, forecast: Forecast) -> None:
        self.setting, self.bar, self.forecast = setting, bar, forecast
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.asked = 0  # how often states have been asked for, to be written to a file

    def wait_for(self, futures, save):
        """Wait until all is done or one failed; save what there is meanwhile."""
        pause, running = EVERY if save else None, set(futures)
        while running:
            done, running = wait(running, pause, FIRST_EXCEPTION)
            for future in done:
                future.result()
            if running:
                began = time.monotonic()
                save()
                self.asked += 1
                pause = max(EVERY, SHARE * (time.monotonic() - began))

    def run(self, records: Records, lists: Sequence[Sequence[int]]) -> None:
        """Let groups of runs go from record to record, side by side; what is left of them is put together."""
        if self.stop.is_set():
            return
        groups, steps = [Group(records, rows, self.setting) for rows in lists], records.steps
        for i in range(int(steps.searchsorted(groups[0].engine.step)), len(steps)):
            for group in groups:
                if not self._advance(group, int(steps[i])):
                    for each in groups:
                        each.keep()
                    return
                group.record(i)
            groups = put_together([group for group in groups if len(group.rows)], self.setting)
            if not groups:
                return
        for group in groups:
            group.complete()

    def _advance(self, group, step):
        """Let a group come to a sample, if its runs do not end before; return False where it is stopped."""
        engine = group.engine
        while engine.step < step and len(group.rows):
            if self.stop.is_set():
                return False
            if group.answered < self.asked:
                group.answered = self.asked
                group.keep()
            before = engine.step
            engine.advance(min(step, before + engine.rule.at_once))
            engine.rule.check()
            samples = (engine.step - before) * engine.runs
            with self.lock:
                self.bar.update(samples)
                self.forecast.add(samples)
            group.look()
        return True

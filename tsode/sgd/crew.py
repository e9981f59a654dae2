"""The threads that let engines run, with progress, interrupts and files of what is done so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from threadpoolctl import threadpool_limits

from .._progress import progress_bar
from .engines import Group, begin, together
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
    groups = [(records, rows) for records in every for rows in together(records, setting, threads)]
    total = sum(int(records.steps[-1] - records.first(run)) for records, rows in groups for run in rows)
    bar = progress_bar(progress, total=total, desc="SGD", unit=" samples", unit_scale=True)
    crew = _Crew(setting, bar, Forecast(total, bar))
    if save and groups:
        save()
    with bar, threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(max(1, min(threads, len(groups)))) as pool:
        try:
            futures = [pool.submit(crew.run, records, rows) for records, rows in groups]
            if save:
                crew.save_meanwhile(futures, save)
            for future in futures:
                future.result()
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

    def save_meanwhile(self, futures, save):
        """Save what there is until all is done or one failed."""
        pause, running = EVERY, set(futures)
        while running:
            done, running = wait(running, pause)
            for future in done:
                future.result()
            if running:
                began = time.monotonic()
                save()
                self.asked += 1
                pause = max(EVERY, SHARE * (time.monotonic() - began))

    def run(self, records: Records, rows: Sequence[int]) -> None:
        """Let runs that go together go from record to record."""
        if self.stop.is_set():
            return
        engine, group, steps = begin(records, rows, self.setting), Group(records, rows), records.steps
        for i in range(int(steps.searchsorted(engine.step)), len(steps)):
            if not self._advance(engine, group, int(steps[i])):
                return
            group.record(i, engine)
            if not len(group.rows):
                return
            if len(group.rows) == 1 < engine.runs:  # the last one of a group is quicker alone
                group.keep(engine)
                self.run(records, group.rows.tolist())
                return
        group.complete(engine)

    def _advance(self, engine, group, step):
        """Let an engine come to a sample; return False where it is stopped before, or no run is left."""
        while engine.step < step:
            stopped, asked = self.stop.is_set(), self.asked
            if stopped or group.answered < asked:
                group.keep(engine)
                group.answered = asked
            if stopped:
                return False
            before = engine.step
            engine.advance(step)
            samples = (engine.step - before) * engine.runs
            with self.lock:
                self.bar.update(samples)
                self.forecast.add(samples)
            group.look(engine)
            if not len(group.rows):
                return False
        return True

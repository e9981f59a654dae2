"""The threads that let engines run, with progress, interrupts and files of what is done so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from threadpoolctl import threadpool_limits

from .._progress import progress_bar
from .engines import Member, begin, parts_of, together
from .records import Records
from .setting import Setting

__all__ = ["run_all"]

FEW = 2  # so many runs are quicker one by one than in lockstep
EVERY = 60.0  # seconds between two files
SHARE = 20  # a file is written in at most one part in so many of the time


def run_all(
    every: Sequence[Records], setting: Setting, threads: int, progress: bool, save: Callable[[], object] | None = None
) -> None:
    """Let all runs run that have not ended, in so many threads; call `save` before, and once a minute."""
    groups = together(every, setting, threads)
    total = sum(int(records.steps[-1] - records.first(run)) for group in groups for records, run in group)
    bar = progress_bar(progress, total=total, desc="SGD", unit=" samples", unit_scale=True)
    crew = _Crew(setting, bar)
    if save and groups:
        save()
    with bar, threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(max(1, min(threads, len(groups)))) as pool:
        try:
            futures = [pool.submit(crew.run, group) for group in groups]
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

    def __init__(self, setting: Setting, bar) -> None:
        self.setting, self.bar = setting, bar
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

    def run(self, members: Sequence[Member]) -> None:
        """Let runs that go together go from record to record."""
        if self.stop.is_set():
            return
        engine, parts, steps = begin(members, self.setting), parts_of(members), members[0][0].steps
        for i in range(int(steps.searchsorted(engine.step)), len(steps)):
            if not self._advance(engine, parts, int(steps[i])):
                return
            M, Q = engine.overlaps()
            for part in parts:
                part.record(i, engine, M, Q)
            left = [(part.records, row) for part in parts for row in part.rows.tolist()]
            if not left:
                return
            if len(left) <= FEW < engine.runs:
                for part in parts:
                    part.keep(engine)
                for member in left:
                    self.run([member])
                return
        for part in parts:
            part.complete(engine)

    def _advance(self, engine, parts, step):
        """Let an engine come to a sample; return False where it is stopped before, or no run is left."""
        while engine.step < step:
            stopped, asked = self.stop.is_set(), self.asked
            for part in parts:
                if stopped or part.answered < asked:
                    part.keep(engine)
                    part.answered = asked
            if stopped:
                return False
            before = engine.step
            engine.advance(step)
            with self.lock:
                self.bar.update((engine.step - before) * engine.runs)
            for part in parts:
                part.look(engine)
            if not any(len(part.rows) for part in parts):
                return False
        return True

"""Pytest plugin: what a test takes, and may take, is processor time, which other work on the machine does not change.

A test may take SECONDS_A_TEST of the environment, its set-up ten times that: fixtures of a module serve many tests.
"""

import os
import signal
import time

import pytest

LIMIT = float(os.environ.get("SECONDS_A_TEST", 0))  # 0 is none
PHASE = {}


def pytest_configure():
    signal.signal(signal.SIGPROF, lambda *_: pytest.fail("takes too long to take part"))


def pytest_runtest_logstart():
    PHASE["start"] = time.process_time()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    signal.setitimer(signal.ITIMER_PROF, 10 * LIMIT, LIMIT)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call():
    signal.setitimer(signal.ITIMER_PROF, LIMIT, LIMIT)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown():
    signal.setitimer(signal.ITIMER_PROF, 0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """Time set-up, call and end of a test each by itself."""
    outcome = yield
    now = time.process_time()
    outcome.get_result().duration, PHASE["start"] = now - PHASE["start"], now

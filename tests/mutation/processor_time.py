"""Pytest plugin: how long a test takes is its processor time, which other work on the machine does not change."""

import time

import pytest

PHASE = {}


def pytest_runtest_logstart():
    PHASE["start"] = time.process_time()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """Time set-up, call and end of a test each by itself."""
    outcome = yield
    now = time.process_time()
    outcome.get_result().duration, PHASE["start"] = now - PHASE["start"], now

"""For tests and doctests alike: figures are drawn without a screen, and closed after each test."""

import gc

import matplotlib
import numba
import pytest

matplotlib.use("Agg")


def pytest_configure(config):
    if numba.config.DISABLE_JIT:  # 64-bit integers wrap around in the generators: plain NumPy warns of it
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered in scalar:RuntimeWarning")
        from tsode.sgd import chain, weights

        chain.STEPS_A_CALL = weights.SAMPLES_A_CALL = 1 << 10  # a kernel that can be interrupted now and then


def pytest_collection_finish():
    """Thousands of tests, and what the compiler makes, stay to the end: to look for garbage among them takes time."""
    gc.freeze()
    gc.set_threshold(100_000)


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")

"""For tests and doctests alike: figures are drawn without a screen, and closed after each test."""

import matplotlib
import numba
import pytest

matplotlib.use("Agg")


def pytest_configure(config):
    if numba.config.DISABLE_JIT:  # 64-bit integers wrap around in the generators: plain NumPy warns of it
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered in scalar:RuntimeWarning")
        from tsode.sgd import chain, weights

        chain.STEPS_A_CALL = weights.SAMPLES_A_CALL = 1 << 10  # a kernel that can be interrupted now and then


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")

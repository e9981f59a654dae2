"""What progress bars say."""

import io
import sys
from types import SimpleNamespace

import numba
from terminal import Terminal

from tsode._progress import progress_bar, saying_what_compiles


def test_a_bar_says_that_it_compiles_and_then_what_it_said_before():
    screen = Terminal()

    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x)

    with progress_bar(True, total=2, desc="SGD", file=screen) as bar, saying_what_compiles(bar):
        outer(1)
        shown = screen.getvalue()
        outer(1)
        assert screen.getvalue() == shown
    if not numba.config.DISABLE_JIT:
        assert shown.count("compiling for the first run, SGD") == 1
    assert bar.desc == "SGD"


def test_a_bar_that_nobody_sees_is_left_alone():
    with progress_bar(False) as bar, saying_what_compiles(bar) as listener:
        assert listener is None


def test_a_notebook_has_a_bar_although_it_is_no_terminal(monkeypatch):
    assert progress_bar(True, total=1, file=io.StringIO()).disable
    kernel = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    with progress_bar(True, total=1, file=io.StringIO()) as bar:
        assert not bar.disable

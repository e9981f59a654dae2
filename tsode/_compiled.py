"""Plain functions for the compiler: what is written once serves NumPy, scalar kernels and lanes of runs.

A function marked :func:`jitable` stays a Python function, which NumPy calls with arrays, and compiled code calls it
with what it has. Unlike a function under ``njit`` it is pickled by its name, so that a closure over it has the same
name in every process and is found in Numba's cache on disk.
"""

from numba.extending import register_jitable

__all__ = ["FAST", "jitable"]

# no exceptions at divisions by zero; products and sums may be fused
FAST = {"error_model": "numpy", "fastmath": {"contract"}}

jitable = register_jitable(**FAST)

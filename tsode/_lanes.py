"""One value of every run that goes in lockstep, as one vector."""

__all__ = ["WIDTH", "load", "store"]

WIDTH = 16


def load(array, i):
    """Return row i of an array of lanes, or number i of a plain one."""
    return array[i] + 0.0


def store(array, i, value):
    """Write it back."""
    array[i] = value

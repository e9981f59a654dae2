"""Random streams: one seed in, one independent stream a run out.

Run i of a seed owns the stream with spawn key i, whatever number of runs or threads there is, so a result
depends on its seed alone (NumPy's SeedSequence does the mixing).
"""

import numpy as np

from . import _checks
from ._types import Seed

__all__ = ["generator", "run_sequence", "seed_sequence"]


def seed_sequence(seed: Seed) -> np.random.SeedSequence:
    """Return the SeedSequence that `seed` stands for: None, int, SeedSequence or Generator (from which it draws)."""
    if isinstance(seed, np.random.SeedSequence):
        # A child is replaced by a sequence of its own numbers: results keep the entropy alone.
        return np.random.SeedSequence(seed.generate_state(4).tolist()) if seed.spawn_key else seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence(seed.integers(2**32, size=4).tolist())
    _refuse("seed", seed)
    return np.random.SeedSequence(None if seed is None else int(seed))


def run_sequence(sequence: np.random.SeedSequence, run: int) -> np.random.SeedSequence:
    """Return the SeedSequence of one run; unlike ``spawn`` it leaves `sequence` as it is."""
    return np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, run))


def generator(name: str, rng: Seed) -> np.random.Generator:
    """Return a Generator from a Generator, an int, a SeedSequence or None (fresh entropy)."""
    if not isinstance(rng, (np.random.Generator, np.random.SeedSequence)):
        _refuse(name, rng)
    return np.random.default_rng(rng)


def _refuse(name, seed):
    if seed is None or (isinstance(seed, (int, np.integer)) and _checks.is_number(seed)):
        if seed is not None and seed < 0:
            raise ValueError(f"`{name}` must not be negative, but is {_checks.digits(seed)}")
        return
    raise TypeError(
        f"`{name}` must be a whole number, a numpy Generator, a SeedSequence or None, but is {type(seed).__name__}"
    )

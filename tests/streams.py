"""The published generator in Python's integers, what the laws make of its numbers, and chains on its streams."""

import math

import numpy as np
from models import generic_start

from tsode.sgd import chain

MASK = 2**64 - 1


def reference_xoshiro(state):
    """xoshiro256++ in Python's integers, after the published C code."""
    s = [int(word) for word in state]

    def rotate(x, k):
        return ((x << k) | (x >> (64 - k))) & MASK

    number = (rotate((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
    t = (s[1] << 17) & MASK
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotate(s[3], 45)
    return number, *s


class Generator:
    """One generator of a stream: 64-bit numbers, and what the laws make of them."""

    def __init__(self, words):
        self.words = [int(word) for word in words]

    def bits(self):
        number, *self.words = reference_xoshiro(self.words)
        return number

    def pair(self, law):
        a, b = self.bits(), self.bits()
        if law == "rademacher":
            return [-1.0 if number >> 63 else 1.0 for number in (a, b)]
        if law == "uniform":
            return [math.sqrt(3) * (2 * ((number >> 11) + 0.5) / 2**53 - 1) for number in (a, b)]
        radius = math.sqrt(-2 * math.log(((a >> 11) + 1) / 2**53))
        signed = b - 2**64 if b >> 63 else b
        angle = (signed >> 11) * math.pi / 2 / 2**53
        pair = [radius * math.cos(angle) * (-1) ** (b & 1), radius * math.sin(angle)]
        return pair[::-1] if b & 2 else pair


def sequence_of(run, *children, seed=7):
    return np.random.SeedSequence(seed, spawn_key=(run, *children))


def chain_of(model, N, runs=2, start="generic", limit=1e8, seed=7):
    """Return a group of runs of the overlap chain, by default from a start far from any special point."""
    start = generic_start(model) if start == "generic" else start
    sequences = [sequence_of(run, seed=seed) for run in range(runs)]
    return chain.ChainRuns([model] * runs, [start] * runs, N, sequences, limit)

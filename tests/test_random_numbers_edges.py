"""What is filled into arrays, number by number, from the published generator in Python's integers."""

import math

import numpy as np
import pytest
from test_random_numbers import reference_xoshiro

from tsode.sgd.random_numbers import LAWS, fill, normal_pair, stream_state, uniform_lanes


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


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("lanes", [3, 128])
def test_fill_takes_a_pair_from_every_generator_in_turn(law, lanes):
    """Numbers 2 k lanes + i and (2 k + 1) lanes + i are the pair k of generator i; the state goes on from there."""
    state, rounds = stream_state(np.random.SeedSequence(4), lanes), 3
    generators = [Generator(state[:, i]) for i in range(lanes)]
    wanted = [np.transpose([generator.pair(law) for generator in generators]) for _ in range(rounds)]
    out = np.full(2 * lanes * rounds, np.nan)
    fill(state, out, LAWS[law])
    np.testing.assert_allclose(out, np.ravel(wanted), rtol=1e-13, atol=1e-15)
    assert state.T.tolist() == [generator.words for generator in generators]


def test_stream_is_128_generators_of_numpys_words():
    words = np.random.SeedSequence(9).generate_state(512, np.uint64)
    state = stream_state(np.random.SeedSequence(9))
    assert state.shape == (4, 128)
    np.testing.assert_array_equal(state.ravel(), words)


def test_uniform_numbers_are_the_centres_of_their_cells():
    """The number 0, which the state (0, 1, 0, 0) gives, stands half a cell of 2^-53 above the lower end."""
    words = np.array([[0], [1], [0], [0]], dtype=np.uint64)
    smallest = np.empty(1)
    uniform_lanes(*words, smallest, 0.0, 1.0)
    assert smallest[0] == 2.0**-54


def test_box_muller_at_its_ends():
    """The largest radius belongs to the number 0, the angle is 0 there; the lowest bits turn the quadrant."""
    largest = math.sqrt(2 * 53 * math.log(2))
    for r2, wanted in enumerate([(largest, 0), (-largest, 0), (0, largest), (0, -largest)]):
        found = normal_pair(np.uint64(0), np.uint64(r2))
        np.testing.assert_allclose(found, wanted, rtol=1e-15, atol=0)
    for bits, angle in ((0x8000000000000000, -math.pi / 4), (0x7FFFFFFFFFFFFFFC, math.pi / 4)):
        x, y = normal_pair(np.uint64(0), np.uint64(bits))
        np.testing.assert_allclose((x, y), (largest * math.cos(angle), largest * math.sin(angle)), rtol=1e-15, atol=0)

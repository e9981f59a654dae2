"""Spectra as lists of values: verdict, tolerance, merged values, density."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from tables import rows

from tsode.hessian import Spectrum


@pytest.mark.parametrize(
    ("values", "counts", "gradient", "verdict", "index", "nullity"),
    [
        ([-1.0, 0.0, 2.0], [2, 3, 4], 0.0, "saddle", 2, 3),
        ([-1.0, 2.0], [2, 4], 0.0, "saddle", 2, 0),
        ([0.0, 2.0], [3, 4], 0.0, "marginal minimum", 0, 3),
        ([1.0, 2.0], [3, 4], 0.0, "strict minimum", 0, 0),
        ([-2.0, -1.0], [3, 4], 0.0, "maximum", 7, 0),
        ([-2.0, 0.0], [3, 4], 0.0, "maximum", 3, 4),
        ([-1.0, 2.0], [2, 4], 0.1, "not a critical point", 2, 0),
    ],
)
def test_verdict(values, counts, gradient, verdict, index, nullity):
    spectrum = Spectrum(values, counts, gradient)
    assert (spectrum.verdict, spectrum.index, spectrum.nullity) == (verdict, index, nullity)
    assert spectrum.dimension == sum(counts)
    assert spectrum.trace == np.dot(values, counts)
    assert (spectrum.lowest, spectrum.highest) == (min(values), max(values))


def test_the_tolerance_decides_what_is_zero():
    values = [-1e-7, 0.9e-5, 10.0]
    assert Spectrum(values).index == 1
    loose = Spectrum(values, tolerance=1e-6)
    assert loose.zero == pytest.approx(1e-5)
    assert (loose.index, loose.nullity) == (0, 2)
    assert Spectrum(values, gradient_norm=1e-6, tolerance=1e-6).verdict == "marginal minimum"
    assert Spectrum(values, gradient_norm=1e-4, tolerance=1e-6).verdict == "not a critical point"


def test_the_default_tolerance_is_a_billionth_of_the_largest_eigenvalue():
    spectrum = Spectrum([-0.9e-9, 1.1e-9, 1.0])
    assert (spectrum.nullity, spectrum.index, spectrum.gradient_norm) == (1, 0, 0.0)
    assert Spectrum([-1.1e-9, 1.0]).index == 1
    assert Spectrum([-0.9, 1.1, 1e9]).nullity == 1


def test_a_value_of_just_the_tolerance_is_zero():
    edge = Spectrum([-0.25, 1.0], tolerance=0.25)
    assert (edge.index, edge.nullity, edge.verdict) == (0, 1, "marginal minimum")
    assert Spectrum([1.0], gradient_norm=0.25, tolerance=0.25).verdict == "strict minimum"
    assert Spectrum([1.0], gradient_norm=0.26, tolerance=0.25).verdict == "not a critical point"
    assert Spectrum([0.0, 1.0], gradient_norm=0.0, tolerance=0.0).nullity == 1


def test_merged_values_become_their_weighted_mean():
    spectrum = Spectrum([3.0, 1.0, 1.0 + 4e-12, 2.0, 2.0 + 8e-12], [2, 1, 3, 1, 1])
    np.testing.assert_array_equal(spectrum.multiplicities, [4, 2, 2])
    np.testing.assert_allclose(spectrum.values - [1.0, 2.0, 3.0], [3e-12, 4e-12, 0.0], rtol=1e-3)
    np.testing.assert_array_equal(spectrum.expanded, np.repeat(spectrum.values, [4, 2, 2]))


def test_values_closer_than_rounding_are_one():
    assert len(Spectrum([1.0, 1.0 + 5e-12]).values) == 1
    assert len(Spectrum([1.0, 1.0 + 5e-11]).values) == 2
    # rounding is that of the largest value
    assert len(Spectrum([1.0, 1.0 + 5e-10, 100.0]).values) == 2
    assert len(Spectrum([0.01, 0.01 + 1e-12]).values) == 2
    zeros = Spectrum([0.0, 0.0, 0.0])
    assert (len(zeros.values), zeros.nullity, zeros.verdict) == (1, 3, "marginal minimum")


def test_values_of_multiplicity_zero_do_not_exist():
    spectrum = Spectrum([3.0, -5.0, 1.0, 7.0], [2, 0, 1, 0])
    assert (spectrum.values.tolist(), spectrum.multiplicities.tolist()) == ([1.0, 3.0], [1, 2])
    assert (spectrum.dimension, spectrum.index, spectrum.lowest) == (3, 0, 1.0)


def test_density_is_normalised_and_centred():
    spectrum = Spectrum([-1.0, 3.0], [10**6, 3 * 10**6])
    x = np.linspace(-3, 5, 4001)
    density = spectrum.density(x, 0.1)
    assert trapezoid(density, x) == pytest.approx(1.0, abs=1e-9)
    assert trapezoid(density * x, x) == pytest.approx(2.0, abs=1e-9)
    assert trapezoid(density * (x - 3) ** 2 * (x > 1), x) == pytest.approx(0.75 * 0.01, rel=1e-6)


def test_density_is_made_of_gaussians_at_the_values():
    # a single one of standard deviation 2 at 1, read off at its top and one and two deviations away
    top = 1 / (2 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(Spectrum([1.0]).density([1.0, 3.0, -3.0], 2.0), top * np.exp([0, -0.5, -2]), rtol=1e-14)
    # two of them add up, each value as often as it occurs
    both = (0.25 + 0.75 * np.exp(-2)) / (0.5 * np.sqrt(2 * np.pi))
    assert Spectrum([0.0, 1.0], [1, 3]).density([0.0], 0.5) == pytest.approx(both, rel=1e-14)
    for width in (0.0, -0.5):
        with pytest.raises(ValueError, match="`width` must be larger than 0"):
            Spectrum([1.0]).density([0.0], width)
    with pytest.raises(ValueError, match="`x`"):
        Spectrum([1.0]).density(0.0, 1.0)


def test_arrays_are_read_only():
    spectrum = Spectrum([1.0, 2.0])
    for array in (spectrum.values, spectrum.multiplicities):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_representations_state_verdict_tolerance_and_values():
    few, many = Spectrum([-0.5, 0.0, 1.0], [8, 38, 10]), Spectrum(np.arange(13.0))
    assert rows(few)["verdict"] == ["saddle"]
    assert "1e-09" in rows(few)["nullity"][-1]
    assert "-0.5  x 8" in repr(few)
    assert "..." in repr(many)
    assert "..." not in repr(Spectrum(np.arange(12.0)))
    assert "marginal minimum" in many._repr_html_()


@pytest.mark.parametrize(
    ("error", "match", "arguments"),
    [
        (ValueError, "`values`", {"values": [1.0, np.nan]}),
        (ValueError, "`values`", {"values": []}),
        (ValueError, "`values`", {"values": [1.0], "multiplicities": [0]}),
        (TypeError, "`values`", {"values": "many"}),
        (ValueError, "`multiplicities`", {"values": [1.0, 2.0], "multiplicities": [1]}),
        (ValueError, "`multiplicities`", {"values": [1.0, 2.0], "multiplicities": [1, -1]}),
        (ValueError, "`multiplicities`", {"values": [1.0, 2.0], "multiplicities": [1, 0.5]}),
        (ValueError, "`gradient_norm`", {"values": [1.0], "gradient_norm": -1.0}),
        (ValueError, "`tolerance`", {"values": [1.0], "tolerance": -1.0}),
    ],
)
def test_bad_input(error, match, arguments):
    with pytest.raises(error, match=match):
        Spectrum(**arguments)

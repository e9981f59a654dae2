import numpy as np
import pytest
from scipy.integrate import trapezoid

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


def test_equal_values_are_merged_and_sorted():
    spectrum = Spectrum([2.0, -1.0, 2.0 + 1e-13, 0.0, 2.0 + 1e-6], [1, 2, 3, 4, 5])
    np.testing.assert_allclose(spectrum.values, [-1.0, 0.0, 2.0, 2.0 + 1e-6], atol=1e-12)
    np.testing.assert_array_equal(spectrum.multiplicities, [2, 4, 4, 5])
    np.testing.assert_allclose(np.sort([2.0] * 4 + [-1.0] * 2 + [0.0] * 4 + [2 + 1e-6] * 5), spectrum.expanded)


def test_a_value_of_multiplicity_zero_does_not_exist():
    spectrum = Spectrum([-5.0, 1.0], [0, 3])
    assert (spectrum.dimension, spectrum.index, spectrum.lowest) == (3, 0, 1.0)


def test_density_is_normalised_and_centred():
    spectrum = Spectrum([-1.0, 3.0], [10**6, 3 * 10**6])
    x = np.linspace(-3, 5, 4001)
    density = spectrum.density(x, 0.1)
    assert trapezoid(density, x) == pytest.approx(1.0, abs=1e-9)
    assert trapezoid(density * x, x) == pytest.approx(2.0, abs=1e-9)
    assert trapezoid(density * (x - 3) ** 2 * (x > 1), x) == pytest.approx(0.75 * 0.01, rel=1e-6)


def test_arrays_are_read_only():
    spectrum = Spectrum([1.0, 2.0])
    for array in (spectrum.values, spectrum.multiplicities):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_representations_state_verdict_and_tolerance():
    few, many = Spectrum([-0.5, 0.0, 1.0], [8, 38, 10]), Spectrum(np.arange(100.0))
    assert "saddle" in repr(few)
    assert "-0.5  x 8" in repr(few)
    assert "1e-09" in repr(few)
    assert "..." in repr(many)
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


def test_bad_density():
    with pytest.raises(ValueError, match="`width`"):
        Spectrum([1.0]).density([0.0], 0.0)
    with pytest.raises(ValueError, match="`x`"):
        Spectrum([1.0]).density(0.0, 1.0)

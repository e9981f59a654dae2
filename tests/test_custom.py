"""Functions of the user's own: noted, differentiated, told apart, compiled, kept in files."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

import tsode
from tsode.activations import Custom, Erf, Hermite, NoClosedForm, Polynomial, ReLU, Stored, Tanh

FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "gelu": lambda x: 0.5 * x * (1 + special.erf(x / np.sqrt(2))),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "powers": lambda x: x**3 - 3 * x + (x * x + 2) ** -2 + np.abs(x) ** 1.5 - np.sqrt(1 + x**2),
    "clip": lambda x: np.clip(x, -1, 1) + np.minimum(x, 0.3),
    "conditions": lambda x: np.where((x > -1) & ~(x > 1) | (x == 5), x, np.sign(x)) + x * (x >= 0) - (x < -2),
    "waves": lambda x: np.sin(x) * np.cos(2 * x) + np.cosh(x) - np.sinh(x) + np.log1p(x * x) - np.expm1(x),
    "a loop": lambda x: sum(a * x**i for i, a in enumerate([0.1, 0.2, 0.3])),
    "quotients": lambda x: 2 / (3 + (1 - x) * -x) + special.expit(x) - np.reciprocal(x * x + 1) + np.log(2 + x * x),
    "absolute": abs,
    "roots": lambda x: (1 + x * x) ** 1.5,
}
x = np.linspace(-3, 3, 302) + 0.0123


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_slope_and_curvature(name):
    function, custom, h = FUNCTIONS[name], Custom(FUNCTIONS[name]), 1e-5
    value, slope = custom.function(x)
    np.testing.assert_allclose(value, function(x), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(slope, (function(x + h) - function(x - h)) / (2 * h), rtol=1e-7, atol=1e-8)
    if name in ("tanh", "gelu", "swish", "waves", "a loop", "quotients", "roots"):
        curvature = (custom.slope(x + h) - custom.slope(x - h)) / (2 * h)
        np.testing.assert_allclose(custom.curvature(x), curvature, rtol=1e-6, atol=1e-7)
    else:
        with pytest.raises(NoClosedForm, match="second derivative"):
            custom.curvature(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x if x > 0 else 0.0, "must choose by np.where"),
        (lambda x: float(x), "NumPy's functions, not those of `math`"),
        (lambda x: 3.0, "must depend on x"),
        (lambda x: x + np.ones(3), "single numbers"),
        (np.arctan, "calls 'arctan'"),
        (lambda x: 2**x, "constant exponents"),
        (lambda x: np.add.reduce(x), "single numbers, without options"),
        (5, "must be a function of x, but is int"),
    ],
)
def test_what_cannot_be_noted_is_said(function, message):
    with pytest.raises(TypeError, match=message):
        Custom(function)


def test_functions_are_shown_as_one_expression():
    shown = {
        "1.0 / (1.0 + np.exp(-x))": lambda x: 1 / (1 + np.exp(-x)),
        "np.log(1.0 + np.exp(x))": lambda x: np.log1p(np.exp(x)),
        "(x - 1.0) * (np.exp(x) - 1.0)": lambda x: (x - 1) * np.expm1(x),
        "x": lambda x: x,
        "... in 154 steps": lambda x: sum(np.sin(k * x) / k for k in range(1, 21)),
    }
    for text, function in shown.items():
        assert repr(Custom(function)) == f"Custom(x -> {text})"


def test_equal_functions_are_equal_and_others_are_not():
    made = [Custom(lambda x, a=a: np.tanh(a * x)) for a in (0.5, 0.5000000000000001, 0.5)]
    assert made[0] == made[2]
    assert made[0] != made[1]  # closures of one line
    assert Custom(np.tanh) == Custom(lambda x: np.tanh(x)) != Custom(np.tanh, derivative=lambda x: 1.0)
    again = pickle.loads(pickle.dumps(made[0]))
    assert again == made[0]
    np.testing.assert_array_equal(again(x), made[0](x))


def test_closures_of_one_line_are_told_apart_where_they_are_compiled():
    """The chain of a function that closes over a number, and of one that closes over a function."""

    def squashed(a):
        inner = (lambda x: a * x) if a > 1 else (lambda x: x)
        return Custom(lambda x: np.tanh(inner(x)))

    models = [tsode.TeacherStudent(1, 1, 0.3, activation=squashed(a)) for a in (1.0, 1.5, 2.0)]
    found = [tsode.simulate(model, None, [0.0, 1.0], N=20, runs=16, seed=1).M[:, -1] for model in models]
    assert len(np.unique(np.round(found, 12), axis=0)) == 3
    same = models[0].replace(activation="tanh")
    sgd = tsode.simulate(same, None, [0.0, 1.0], N=20, runs=16, seed=1)
    np.testing.assert_allclose(found[0], sgd.M[:, -1], rtol=1e-12)


def test_derivative_of_the_user_is_taken():
    sign = Custom(np.sign, derivative=lambda x: np.where(np.abs(x) < 1, 1.0, 0.0))
    np.testing.assert_array_equal(sign.slope([-2.0, 0.5]), [0.0, 1.0])
    start = tsode.Overlaps(0.1 * np.eye(1), np.eye(1))
    with pytest.raises(NoClosedForm, match="has kinks or varies too fast"):
        tsode.integrate(tsode.TeacherStudent(1, 1, 0.1, activation=sign), start, 1.0)


def test_custom_tanh_is_the_shipped_one_everywhere():
    given = {"p": 2, "p_star": 1, "learning_rate": 0.5, "noise_variance": 0.1}
    shipped, own = (tsode.TeacherStudent(**given, activation=one) for one in ("tanh", Custom(np.tanh)))
    start = tsode.Overlaps.random(shipped, 20, rng=0)
    odes = [tsode.integrate(model, start, 2.0, rtol=1e-6) for model in (shipped, own)]
    np.testing.assert_allclose(odes[0].loss, odes[1].loss, rtol=1e-12)


@pytest.mark.parametrize("activation", [ReLU(), ReLU(0.1), Hermite(3), Polynomial([0, 1, 0.5]), Tanh()], ids=str)
def test_files_hold_shipped_activations(activation, tmp_path):
    sgd = tsode.simulate(tsode.TeacherStudent(2, 1, 0.1, activation=activation), None, 1.0, N=10, runs=2, seed=1)
    assert tsode.Trajectory.load(sgd.save(tmp_path / "run")).model == sgd.model
    assert "excess_loss" not in sgd.to_arrays()


def test_files_hold_the_loss_of_others_and_no_code(tmp_path):
    model = tsode.TeacherStudent(2, 1, 0.1, activation=Custom(FUNCTIONS["swish"]), teacher_activation="erf")
    sgd = tsode.simulate(model, None, 1.0, N=10, runs=2, seed=1)
    loaded = tsode.Trajectory.load(sgd.save(tmp_path / "run"))
    again = tsode.Trajectory.load(loaded.save(tmp_path / "again"))
    np.testing.assert_array_equal(again.loss, sgd.loss)
    assert isinstance(again.model.activation, Stored)
    assert again.model.activation.parameters == model.activation.parameters
    assert again.model.teacher_activation == Erf()
    assert "final excess loss" in repr(again)
    with pytest.raises(NoClosedForm, match="must be given again"):
        again.model.excess_loss(again.M, again.Q)
    assert again.model.replace(activation=model.activation) == model
    rough = tsode.TeacherStudent(2, 1, 0.1, activation=Custom(FUNCTIONS["relu"]))
    sgd = tsode.simulate(rough, None, 1.0, N=10, runs=2, seed=1)
    assert "excess_loss" not in tsode.Trajectory.load(sgd.save(tmp_path / "rough")).to_xarray()
    broken = {**loaded.to_arrays(), "excess_loss": np.zeros(3)}
    with pytest.raises(ValueError, match="`excess_loss` must have shape"):
        tsode.Trajectory.from_arrays(broken)


def rates():
    """The right-hand sides of all families at one point."""
    from tsode.ode.rhs import right_hand_side

    y, found = np.array([0.2, 0.1, -0.1, 0.4, 0.8, 0.1, 0.1, 1.1]), {}
    for activation in ("relu", ReLU(0.3), Hermite(3), Polynomial([0.1, 1, 0.2, 0.1]), "tanh", Custom(np.sin)):
        model = tsode.TeacherStudent(2, 2, 0.4, 0.1, [0.5, -0.2], [0.3, 0.6], activation=activation)
        found[str(activation)] = right_hand_side(model, rtol=1e-5)(0.0, y).tolist()
    return found


@pytest.mark.slow
def test_compiled_averages_are_the_plain_ones():
    """The same sums without compiler, in plain Python."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import json, test_custom as t; print(json.dumps(t.rates()))"],
        cwd=Path(__file__).parent, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    plain = json.loads(run.stdout)
    for name, found in rates().items():
        # quadrature in NumPy is that of level 1, and leaves out other nodes
        np.testing.assert_allclose(found, plain[name], rtol=0, atol=1e-12 if "tanh" not in name else 2e-7)


def test_quadrature_follows_the_tolerance_and_tells_its_error():
    tanh, v = Tanh(), np.array([0.8, -0.5])
    omega = tsode.Overlaps.random(tsode.TeacherStudent(2, 2, 0.1), 20, rng=0).joint
    errors = [tanh.accuracy(tanh, omega, v, v, rtol=rtol) for rtol in (1e-3, 1e-5, 1e-7, 1e-8)]
    assert np.all(np.diff(np.log10(errors)) < -0.3)
    assert errors[-1] < 3e-8
    assert Erf().accuracy(Erf(), omega, v, v) == ReLU().accuracy(ReLU(), omega, v, v) == 0
    finest = tanh.error_squared(tanh, omega, v, v, 0.0, 6)
    for level, rtol in ((0, 1e-3), (2, 1e-7)):
        found = tanh.error_squared(tanh, omega, v, v, 0.0, level)
        error = np.abs(found - finest).max() / np.abs(finest).max()
        assert 0.5 < tanh.accuracy(tanh, omega, v, v, rtol=rtol) / error < 2


@pytest.mark.parametrize("coefficients", [[], [1.0], [2.0, 0.0], [0.0] * 30 + [1.0], [np.nan, 1.0], "x"])
def test_polynomials_that_are_none(coefficients):
    with pytest.raises((TypeError, ValueError), match="`coefficients` must"):
        Polynomial(coefficients)


def test_polynomials():
    for a in ([0, 1], [1, 2, 3], [0, 0, 1], [0, -3, 0, 1], [1, 0, -2, 0, 3], [0.5, 0, 0, 1]):
        polynomial, wanted = Polynomial(a), np.polynomial.Polynomial(a)
        np.testing.assert_allclose(polynomial(x), wanted(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(polynomial.slope(x), wanted.deriv()(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(polynomial.curvature(x), wanted.deriv(2)(x), rtol=1e-12, atol=1e-12)
    assert (Polynomial([0, 0, 2]).degree, Polynomial([1, 0, 2]).degree, ReLU().degree) == (2, None, 1)
    np.testing.assert_allclose(Hermite(4, normalised=False)(x), x**4 - 6 * x**2 + 3, rtol=1e-12, atol=1e-12)
    for k in (1, 2, 3, 5):
        for l in (1, 2, 3, 5):
            assert Hermite(k).pair(Hermite(l), 1.0, 0.6, 1.0) == pytest.approx((k == l) * 0.6**k, abs=1e-12)


def test_hermite_on_the_sphere_follows_its_overlap_alone():
    """dm/dalpha = eta k m^(k-1) (1 - m^2) - (m/2) eta^2 E[s'^2 D^2], with E[s'^2 D^2] = 12, 96 at m = 0, k = 2, 3."""
    for k, second in ((2, 12.0), (3, 96.0)):
        model = tsode.TeacherStudent(1, 1, 0.01, activation=Hermite(k), constraint="spherical")
        one = np.ones(1)
        assert Hermite(k).error_squared(Hermite(k), np.eye(2), one, one, 0.0) == pytest.approx(second, rel=1e-12)
        m = 0.3
        omega = np.array([[1.0, m], [m, 1.0]])
        noise = Hermite(k).error_squared(Hermite(k), omega, one, one, 0.0)[0, 0]
        wanted = 0.01 * k * m ** (k - 1) * (1 - m * m) - m / 2 * 1e-4 * noise
        ode = tsode.integrate(model, tsode.Overlaps([[m]], [[1.0]]), [0.0, 1e-6], rtol=1e-12)
        assert (ode.M[1, 0, 0] - m) / 1e-6 == pytest.approx(wanted, rel=1e-5)
        assert ode.loss[0] == pytest.approx(1 - m**k, rel=1e-12)

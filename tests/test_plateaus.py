import functools

import numpy as np
import pytest
from models import all_of
from reference import derivatives
from tables import rows

import tsode

MODELS = {
    "default": tsode.TeacherStudent(4, 2, 0.4),
    "noisy": tsode.TeacherStudent(4, 2, 0.4, noise_variance=0.1),
    "underparameterised": tsode.TeacherStudent(2, 3, 0.2, noise_variance=0.2),
    "one student": tsode.TeacherStudent(1, 2, 0.05, noise_variance=0.1),
    "negative outputs": tsode.TeacherStudent(3, 2, 0.2, 0.1, [-0.4] * 3, [-0.5, -0.3]),
    "any teacher": tsode.TeacherStudent(3, 2, 0.2, 0.3, None, [0.7, -0.2], [[1.0, 0.3], [0.3, 0.8]]),
    "traceless teacher": tsode.TeacherStudent(3, 2, 0.3, 0.1, None, [0.5, -0.5]),
    "unequal readouts": tsode.TeacherStudent(3, 2, 0.2, 0.05, [0.5, 0.3, 0.2], [0.7, 0.4], [[1.0, 0.3], [0.3, 0.8]]),
    "nearly equal readouts": tsode.TeacherStudent(2, 2, 0.2, 0.05, [0.5, 0.5001]),
    "mixed signs": tsode.TeacherStudent(3, 2, 0.2, 0.1, [0.5, 0.3, -0.2], [0.7, 0.4]),
    "opposed": tsode.TeacherStudent(2, 2, 0.3, 0.1, None, [-0.5, -0.3]),
    "spherical": tsode.TeacherStudent(4, 2, 0.4, 0.1, constraint="spherical"),
    "spherical, unequal": tsode.TeacherStudent(3, 2, 0.2, 0.1, [0.5, 0.3, 0.2], [0.7, 0.4], constraint="spherical"),
}
FREE = {name: model for name, model in MODELS.items() if not model.spherical}
LEAVING = {name: model for name, model in MODELS.items() if name != "opposed"}


def flatten(overlaps):
    return np.concatenate([overlaps.M.ravel(), overlaps.Q.ravel()])


def right_hand_side(model, gradient_flow=False):
    """The plain ODE, of M and Q in a row."""
    n, shape = model.p * model.p_star, (model.p, model.p_star)

    def slope(_, y):
        dM, dQ = derivatives(model, y[:n].reshape(shape), y[n:].reshape(model.p, model.p), gradient_flow)
        return np.concatenate([dM.ravel(), dQ.ravel()])

    return slope


def jacobian(function, y, h=0.01):
    """Central differences of fifth order; the right-hand sides are polynomials of degree 4, so they are exact."""
    steps = h * np.eye(len(y))
    columns = [
        (8 * (function(0, y + e) - function(0, y - e)) - function(0, y + 2 * e) + function(0, y - 2 * e)) for e in steps
    ]
    return np.array(columns).T / (12 * h)


plateau_of = functools.cache(tsode.plateau)  # a followed branch takes a moment


def at(model, factor, name):
    return model.replace(learning_rate=factor * getattr(plateau_of(model), name))


def settled(model, start_q, alpha=2000.0):
    """The ODE from M = 0 and given norms."""
    start = tsode.Overlaps(np.zeros((model.p, model.p_star)), np.diag(start_q), model.teacher_overlap)
    return tsode.integrate(model, start, [0.0, alpha], rtol=1e-12, atol=1e-14)


def growth(model, alpha):
    """ln of the growth of M along the ODE, from a tiny M in the direction that grows fastest."""
    y, n = flatten(plateau_of(model).overlaps), model.p * model.p_star
    values, vectors = np.linalg.eig(jacobian(right_hand_side(model), y)[:n, :n])
    M = 1e-9 * vectors[:, np.argmax(values.real)].real.reshape(model.p, model.p_star)
    Q = y[n:].reshape(model.p, model.p) + (0 if model.spherical else 1e-15 * np.eye(model.p))  # dead rows need a norm
    ode = tsode.integrate(model, tsode.Overlaps(M, Q, model.teacher_overlap), [0.0, alpha], rtol=1e-11, atol=1e-22)
    return np.log(np.linalg.norm(ode.M[-1]) / np.linalg.norm(ode.M[0]))


@all_of(MODELS)
@pytest.mark.parametrize("gradient_flow", [False, True])
def test_is_a_fixed_point_with_this_jacobian(model, gradient_flow):
    saddle = tsode.plateau(model, gradient_flow)
    y, function = flatten(saddle.overlaps), right_hand_side(model, gradient_flow)
    assert np.abs(function(0, y)).max() < 1e-12
    J, n = jacobian(function, y), model.p * model.p_star
    assert np.linalg.eigvals(J[:n, :n]).real.max() == pytest.approx(saddle.escape_rate, abs=1e-9)
    assert np.abs(J[n:, :n]).max() < 1e-12  # M moves on its own
    free = ~np.eye(model.p, dtype=bool).ravel() if model.spherical else np.full(model.p**2, True)
    assert np.linalg.eigvals(J[n:, n:][free][:, free]).real.max() < 1e-9  # Q stays, or the angles between its rows
    assert saddle.loss == saddle.excess_loss + model.noise_variance / 2


@all_of(FREE)
def test_the_ode_settles_there(model):
    saddle = plateau_of(model)
    end = settled(model, 0.9 * np.diagonal(saddle.overlaps.Q) + 1e-6)
    np.testing.assert_allclose(end.Q[-1], saddle.overlaps.Q, rtol=0, atol=1e-9)
    assert end.loss[-1] == pytest.approx(saddle.loss, abs=1e-9)


@pytest.mark.quick(1)
@pytest.mark.parametrize("seed", range(6))
def test_random_models(seed):
    rng = np.random.default_rng(seed)
    p, p_star = rng.integers(2, 7), rng.integers(1, 5)
    A = rng.standard_normal((p_star, p_star))
    model = tsode.TeacherStudent(
        p, p_star, 1.0, rng.uniform(0, 1), rng.standard_normal(p), rng.standard_normal(p_star), A @ A.T
    )
    model = at(model, rng.uniform(0.1, 1.0), "max_learning_rate")
    saddle = tsode.plateau(model)
    y, function = flatten(saddle.overlaps), right_hand_side(model)
    J, n = jacobian(function, y), model.p * model.p_star
    scale = np.abs(J).max()
    assert np.abs(function(0, y)).max() < 1e-11 * scale
    assert np.linalg.eigvals(J[:n, :n]).real.max() == pytest.approx(saddle.escape_rate, abs=1e-9 * scale)
    assert np.linalg.eigvals(J[n:, n:]).real.max() < 1e-9 * scale


@pytest.mark.quick(5)
@all_of(FREE)
def test_norms_settle_below_the_largest_learning_rate_and_diverge_above(model):
    below, above = at(model, 0.99, "max_learning_rate"), at(model, 1.01, "max_learning_rate")
    Q = tsode.plateau(below).overlaps.Q
    start_q = 0.9 * np.diagonal(Q) + 1e-6
    np.testing.assert_allclose(settled(below, start_q).Q[-1], Q, rtol=0, atol=1e-8)
    assert settled(above, start_q, alpha=1e4).status == "diverged"
    assert np.isnan(tsode.plateau(above).loss)
    assert tsode.plateau(above).overlaps is None


def test_spherical_rows_stay_apart_below_the_largest_learning_rate_and_align_above():
    for factor, side in ((0.99, -1), (1.01, 1)):
        model = at(MODELS["spherical"], factor, "max_learning_rate")
        Q = np.eye(4)
        Q[0, 1] = Q[1, 0] = 1e-6
        start = tsode.Overlaps(np.zeros((4, 2)), Q)
        ode = tsode.integrate(model, start, [0.0, 20.0], rtol=1e-11, atol=1e-16)
        assert np.sign(np.log(ode.Q[-1, 0, 1] / 1e-6)) == side


@all_of(
    {name: MODELS[name] for name in ("noisy", "any teacher", "spherical")}
    | {"unequal readouts": tsode.TeacherStudent(3, 2, 0.1, 0.0, [0.36, 0.33, 0.3], [0.1, 0.18])}
)
def test_the_ode_leaves_below_the_escape_learning_rate_only(model):
    noisy = model.replace(noise_variance=10.0)  # without enough noise the plateau is left wherever it exists
    assert growth(at(noisy, 0.99, "escape_learning_rate"), 50.0) > 0
    assert growth(at(noisy, 1.01, "escape_learning_rate"), 50.0) < 0


@pytest.mark.slow
@all_of({name: model for name, model in LEAVING.items() if name != "spherical, unequal"})  # there Q = I ends earlier
def test_the_ode_leaves_fastest_at_the_fastest_learning_rate(model):
    best = growth(at(model, 1.0, "fastest_learning_rate"), 20.0)
    assert best > growth(at(model, 0.99, "fastest_learning_rate"), 20.0)
    assert best > growth(at(model, 1.01, "fastest_learning_rate"), 20.0)


@all_of(LEAVING)
def test_the_ode_grows_at_the_escape_rate(model):
    rate = plateau_of(model).escape_rate
    assert growth(model, 5 / rate) == pytest.approx(5, rel=1e-7)


@pytest.mark.parametrize("p_star", [1, 3])
def test_gradient_flow_limit_and_the_prefactor_claim(p_star):
    """In gradient flow at fixed eta v the width changes the plateau, but not the rate at which it is left."""
    widths = range(p_star, 33)
    models = [tsode.TeacherStudent(p, p_star, 0.05 * p) for p in widths]  # eta v = 0.05
    saddles = [tsode.plateau(model, gradient_flow=True) for model in models]
    for p, model, saddle in zip(widths, models, saddles):
        assert saddle.q == pytest.approx(p / (p + 2), abs=1e-14)
        assert saddle.loss == pytest.approx(1 / (p + 2) + 1 / p_star, abs=1e-14)
        n = p * p_star
        J = jacobian(right_hand_side(model, True), flatten(saddle.overlaps)) if p < 7 else None
        if J is not None:
            np.testing.assert_allclose(np.linalg.eigvalsh(J[:n, :n]), 0.2 / p_star, rtol=0, atol=1e-12)
    np.testing.assert_allclose([saddle.escape_rate for saddle in saddles], 0.2 / p_star, rtol=0, atol=1e-12)


def test_width_enters_the_rate_at_the_next_order_in_the_learning_rate():
    """1 - g / (4 eta v v*) = c eta v / (2 v*) + O(eta^2), and c depends on p."""
    for p in (2, 8):
        errors = []
        for eta_v in (1e-3, 1e-4):
            saddle = tsode.plateau(tsode.TeacherStudent(p, 2, eta_v * p, noise_variance=0.1))
            c = 2 / (p + 2) + 1 + 0.1
            errors.append(abs(1 - saddle.escape_rate / (2 * eta_v) - c * eta_v))
        assert errors[0] / errors[1] == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (MODELS["default"], "escape_learning_rate", "every learning rate"),
        (MODELS["opposed"], "fastest_learning_rate", "M decays"),
        (MODELS["opposed"], "escape_learning_rate", "M decays"),
        (MODELS["default"].replace(learning_rate=3.0), "loss", "above the learning rate 1.2"),
        (MODELS["default"].replace(learning_rate=3.0), "escape_rate", "above the learning rate 1.2"),
        (MODELS["default"].replace(student_readout=np.zeros(4)), "q", "puts out zero"),
        (MODELS["mixed signs"].replace(constraint="spherical"), "max_learning_rate", "opposite sign align"),
    ],
)
def test_what_does_not_exist_is_nan_with_a_reason(model, name, reason):
    saddle = tsode.plateau(model)
    assert np.isnan(getattr(saddle, name))
    assert reason in saddle.reasons[name]
    assert reason in repr(saddle)


def test_rows_that_cannot_live_or_move():
    q = tsode.plateau(MODELS["default"].replace(student_readout=[0.25, 0.25, -0.1, 0.0])).q
    assert q[2] == 0
    assert q[3] == 1
    assert tsode.plateau(MODELS["default"].replace(p=1, constraint="spherical")).max_learning_rate == np.inf


def test_result_is_readable():
    saddle = tsode.plateau(MODELS["noisy"])
    assert rows(saddle)["escape rate g"] == ["0.168581"]
    assert "0.168581" in saddle._repr_html_()
    with pytest.raises(TypeError, match="`model` must be a TeacherStudent, but is int"):
        tsode.plateau(3)
    with pytest.raises(TypeError, match="`gradient_flow` must be True or False"):
        tsode.plateau(MODELS["noisy"], gradient_flow=1)


def test_plateau_of_unequal_readouts_shows_its_norms():
    saddle = tsode.plateau(tsode.TeacherStudent(2, 1, 0.1, student_readout=[0.75, 0.25], constraint="spherical"))
    assert saddle.q == 1.0
    assert rows(saddle)["norm q"] == ["1"]
    dead = tsode.plateau(tsode.TeacherStudent(2, 1, 0.01, student_readout=[0.5, -0.5]))
    assert dead.q[1] == 0
    assert " ".join(rows(dead)["norm q"]).split() == str(dead.q).split()


def test_loss_on_the_plateau_by_hand():
    """p = p* = 1, v = v* = 1, gradient flow: q = 1/3, hence the loss ((1 - q)^2 + 2 (q^2 + 1) + Delta) / 2."""
    saddle = tsode.plateau(tsode.TeacherStudent(1, 1, 0.01, 0.6), gradient_flow=True)
    assert saddle.q == pytest.approx(1 / 3, rel=1e-14)
    assert saddle.excess_loss == pytest.approx(((2 / 3) ** 2 + 2 * (1 / 9 + 1)) / 2, rel=1e-14)
    assert saddle.loss == pytest.approx(saddle.excess_loss + 0.3, rel=1e-14)
    assert saddle.escape_rate == pytest.approx(4 * 0.01, rel=1e-14)
    assert all(np.isnan(getattr(saddle, name)) for name in saddle.reasons)
    assert "gradient flow knows no learning rate" in repr(saddle)


def test_plateau_is_that_of_sgd_by_default():
    model = tsode.TeacherStudent(4, 2, 0.4)
    assert tsode.plateau(model).q == tsode.plateau(model, gradient_flow=False).q > tsode.plateau(model, True).q
    assert tsode.plateau(model).max_learning_rate == pytest.approx(1.2)


def test_what_is_missing_above_the_largest_learning_rate():
    saddle = tsode.plateau(tsode.TeacherStudent(4, 2, 1.3))
    assert saddle.overlaps is None
    assert np.isnan([saddle.q, saddle.loss, saddle.excess_loss, saddle.escape_rate]).all()
    assert saddle.max_learning_rate == pytest.approx(1.2)
    assert set(saddle.reasons) == {"q", "loss", "excess_loss", "escape_rate", "escape_learning_rate"}

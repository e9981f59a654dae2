"""Models about which nothing is known in closed form: right numbers or NoClosedForm, never the square's."""

import functools
import inspect
import json

import numpy as np
import pytest

import tsode
from tsode import activations, cli, hessian, manifold
from tsode.closed_forms import NoClosedForm
from tsode.inputs import Blocks

SQUARE = tsode.TeacherStudent(3, 2, 0.3, 0.1)


class Unknown(activations.Quadratic):
    """The square, by an activation of the user's own that says nothing about itself in closed form."""

    name = "unknown"
    closed_forms = activations.Activation.closed_forms


MODELS = {
    "erf": SQUARE.replace(activation="erf"),
    "erf of the square": SQUARE.replace(activation="erf", teacher_activation="quadratic"),
    "square of erf": SQUARE.replace(teacher_activation="erf"),
    "unknown": SQUARE.replace(activation=Unknown()),
    "hinge": SQUARE.replace(rule="hinge"),
}
# the square, but trained in another way
TRAINED = {
    "readout": SQUARE.replace(readout_learning_rate=0.1),
    "decay": SQUARE.replace(weight_decay=0.1),
    "batches": SQUARE.replace(batch_size=3),
    "momentum": SQUARE.replace(momentum=0.5),
    "inputs": SQUARE.replace(inputs=tsode.Inputs([1.5, 0.5], [1, 1])),
    "link": SQUARE.replace(rule=tsode.rules.Link(lambda a, b: a * b)),
}
START = tsode.Overlaps.random(SQUARE, N=20, rng=0)
W, W_STAR = START.realise(20, rng=1)
X, Y = np.random.default_rng(2).standard_normal((40, 20)), np.arange(40.0)
ALPHA = np.linspace(0.0, 6.0, 7)
ROTATION = np.eye(3, 2)
ONE = tsode.Overlaps([[0.4]], [[1.0]])


@functools.cache
def ode(model):
    """A loose solution: mixed activations are averaged by quadrature, which takes time."""
    return tsode.integrate(model, START, ALPHA, rtol=1e-4)


def grown(model):
    """Return overlaps that grow from the start, made up: not what any model does."""
    growth = np.linspace(0.5, 1.0, len(ALPHA))[:, None, None]
    scalars, M, Q, blocks = (
        np.ones((len(ALPHA), len(model.rule.scalars(model)))),
        growth * START.M,
        growth * START.Q,
        None,
    )
    if model.inputs is not None:
        halves = (np.stack([each, each], axis=-3) / 2 for each in (M, Q, START.P))
        blocks = Blocks(*halves)
    return tsode.Trajectory(model, ALPHA, M, Q, "completed", ALPHA[-1], scalars=scalars, blocks=blocks)


def zero_modes(model):
    """Return how many zero modes there are where the student is the teacher; -1 if that is no critical point."""
    teacher = tsode.Overlaps(np.eye(2), np.eye(2))
    if model.activation != model.teacher_activation:
        with pytest.raises((NoClosedForm, ValueError), match=r"closed form|critical point|averages"):
            hessian.null_space(model, teacher, 20)
        return -1
    return np.sum(hessian.null_space(model, teacher, 20).counts)


CLOSED = {
    tsode.escape_law: lambda model: tsode.escape_law(model, 1000, 0.05),
    hessian.compare: lambda model: hessian.compare(model, 20),
    hessian.convergence: lambda model: hessian.convergence(model, 20, [2]),
    hessian.gradient_flow_plateau: hessian.gradient_flow_plateau,
    hessian.separation: lambda model: hessian.separation(model, 60, [1, 4]),
    tsode.stationary_fluctuations: tsode.stationary_fluctuations,
    manifold.closest_rotation: lambda model: manifold.closest_rotation(model, START),
    manifold.closest_solution: lambda model: manifold.closest_solution(model, START),
    manifold.dimension: manifold.dimension,
    manifold.distance: lambda model: manifold.distance(model, START),
    manifold.invariants: lambda model: manifold.invariants(grown(model)),
    manifold.loss_floor: manifold.loss_floor,
    manifold.path: lambda model: manifold.path(model, ROTATION, -ROTATION, [0.5]),
    manifold.power_law: lambda model: manifold.power_law(model, 10.0),
    manifold.random_rotation: lambda model: manifold.random_rotation(model, 0),
    manifold.relaxation_rate: manifold.relaxation_rate,
    manifold.solution: manifold.solution,
    manifold.solution_weights: lambda model: manifold.solution_weights(model, W_STAR),
    manifold.tangent_basis: manifold.tangent_basis,
}
# Each returns numbers that depend on the activation.
OPEN = {
    tsode.plateau: lambda model: tsode.plateau(model.replace(p=1, p_star=1, learning_rate=0.1)).loss,
    tsode.fixed_point: lambda model: tsode.fixed_point(model.replace(p=1, p_star=1), ONE).escape_rate,
    tsode.integrate: lambda model: ode(model).M,
    tsode.integrate_many: lambda model: tsode.integrate_many([model], [START], [0.0, 1.0], rtol=1e-4)[0].M,
    tsode.gradient: lambda model: tsode.gradient(model.replace(p=1, p_star=1, learning_rate=0.1), ONE, [0.0, 1.0]).M,
    tsode.giant_steps: lambda model: tsode.giant_steps(model, START, 2).M,
    tsode.optimal_schedule: lambda model: (
        tsode.optimal_schedule(model.replace(p=1, p_star=1), ONE, [0.0, 1.0], None, (0.1, 0.11)).loss
    ),
    tsode.fluctuations: lambda model: (
        tsode.fluctuations(model.replace(p=1, p_star=1, learning_rate=0.1), ONE, [0.0, 0.5]).covariance
    ),
    tsode.simulate: lambda model: tsode.simulate(model, START, [0.0, 2.0], N=20).M[:, -1],
    tsode.simulate_many: lambda model: tsode.simulate_many([model], START, [0.0, 2.0], N=20)[0].M[:, -1],
    tsode.escape_time: lambda model: tsode.escape_time(ode(model), 1.2 * np.sum(START.M**2)),
    tsode.study: lambda model: tsode.study(model, 20, 2, 2.0).results["final excess loss"]["ode"],
    tsode.Trajectory: lambda model: grown(model).loss,
    manifold.layer_balance: lambda model: manifold.layer_balance(grown(model.replace(readout_learning_rate=0.1))),
    tsode.TeacherStudent: lambda model: model.excess_loss(START.M, START.Q),
    hessian.along: lambda model: hessian.along(grown(model), N=20).lowest,
    hessian.empirical_gradient: lambda model: hessian.empirical_gradient(model, W, X, Y),
    hessian.empirical_operator: lambda model: hessian.empirical_operator(model, W, X, Y) @ np.ones(60),
    hessian.empirical_spectrum: lambda model: hessian.empirical_spectrum(model, W, X, Y).values,
    hessian.null_space: lambda model: zero_modes(model.replace(p=2)),
    hessian.population_gradient: lambda model: hessian.population_gradient(model, W, W_STAR),
    hessian.population_operator: lambda model: hessian.population_operator(model, W, W_STAR) @ np.ones(60),
    hessian.population_spectrum: lambda model: hessian.population_spectrum(model, START, 20).values,
    manifold.canonical: lambda model: manifold.canonical(model, W),
    manifold.equivalent: lambda model: manifold.equivalent(model, W, -W[:, ::-1]).squared_difference,
    manifold.nullity: lambda model: manifold.nullity(model, W).nullity,
    manifold.symmetry_distance: lambda model: manifold.symmetry_distance(model, W, W[[1, 0, 2]] + W[[2, 0, 1]]),
    # a saddle has other rotations where the activation is odd; the plain ones are those of the inputs
    hessian.rotations: lambda model: hessian.rotations(model, START).inside,
}
# Of the student alone: it does not matter what the teacher is.
STUDENT = {
    hessian.empirical_gradient, hessian.empirical_operator, hessian.empirical_spectrum, manifold.canonical,
    manifold.equivalent, manifold.layer_balance, manifold.nullity, manifold.symmetry_distance,
}  # fmt: skip
DERIVATIVES = {tsode.gradient, tsode.optimal_schedule}  # they compile a kernel for each activation
NEITHER = {hessian.Comparison, hessian.Separation, tsode.explore}  # hold or show what others have computed


def test_every_analysis_is_looked_at():
    """Whatever takes a model or a trajectory."""
    found = set()
    for room in (tsode, hessian, manifold):
        for name in room.__all__:
            one = getattr(room, name)
            exception = inspect.isclass(one) and issubclass(one, Exception)
            first = [] if inspect.ismodule(one) or exception else [*inspect.signature(one).parameters]
            if first[:1] in (["model"], ["models"], ["trajectory"]):
                found.add(one)
    assert found - NEITHER - set(CLOSED) - set(OPEN) == set()


@pytest.mark.parametrize("function", CLOSED, ids=lambda function: function.__name__)
@pytest.mark.parametrize("model", (MODELS | TRAINED).values(), ids=MODELS | TRAINED)
def test_what_needs_a_closed_form_says_so(function, model):
    with pytest.raises(NoClosedForm, match="`model` must have"):
        CLOSED[function](model)


@functools.cache
def of_the_square(function):
    return np.asarray(OPEN[function](SQUARE))


@pytest.mark.parametrize(
    "function",
    [pytest.param(each, marks=[pytest.mark.slow] * (each in DERIVATIVES)) for each in OPEN],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_what_needs_none_is_the_models_own(function, model):
    """For the square under another name its numbers, for the others none of them."""
    wanted = of_the_square(function)
    try:
        found = np.asarray(OPEN[function](model))
    except NoClosedForm:
        assert not isinstance(model.activation, Unknown)
        return
    assert np.isfinite(found).all() or function is tsode.escape_time  # some never escape
    alone = function in STUDENT and isinstance(model.activation, activations.Quadratic)
    if isinstance(model.activation, Unknown) or alone:
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    elif function is not hessian.rotations:
        assert found.shape != wanted.shape or not np.abs(found - wanted).max() <= 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("function", [tsode.plateau, tsode.study, tsode.gradient, tsode.fixed_point])
def test_trained_readouts_have_no_fixed_points_and_derivatives(function):
    model = TRAINED["readout"]
    more = {tsode.plateau: (), tsode.study: (20,), tsode.gradient: (START, 1.0), tsode.fixed_point: (START,)}[function]
    if function is tsode.study:
        results = function(model, *more, runs=2, alpha_max=2.0).results
        assert results["final excess loss"]["ode"] > 0
    else:
        with pytest.raises(NoClosedForm, match="`model` must have"):
            function(model, *more)


REFUSED = (
    tsode.plateau, tsode.fixed_point, tsode.gradient, tsode.giant_steps, tsode.optimal_schedule,
    manifold.layer_balance, hessian.along, hessian.null_space, hessian.population_gradient,
    hessian.population_operator, hessian.population_spectrum, hessian.rotations,
)  # fmt: skip


@pytest.mark.parametrize("function", REFUSED, ids=lambda function: function.__name__)
def test_what_is_for_isotropic_inputs_alone_says_so(function):
    with pytest.raises(NoClosedForm, match="`model` must have isotropic inputs"):
        OPEN[function](TRAINED["inputs"])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_loss_of_the_plateau_is_no_level_without_a_plateau(model):
    with pytest.raises(NoClosedForm, match=r"tsode\.fixed_point finds"):
        tsode.escape_time(grown(model.replace(student_readout=[0.5, 0.3, 0.2])), loss_fraction=0.5)


# --- studies and scans


@pytest.fixture(scope="module", params=["unknown", "erf", "erf of the square"])
def study(request):
    model = MODELS[request.param].replace(noise_variance=0.0)
    return tsode.study(model, N=500, runs=3, alpha_max=30.0)


def test_study_without_closed_forms_has_what_was_measured(study):
    results = study.results
    assert results["final excess loss"]["ode"] == study.ode.excess_loss[-1]
    law, threshold = study.escape
    assert law is None
    assert results["escape time from this start"]["ode"] == pytest.approx(
        tsode.escape_time(study.ode, threshold), nan_ok=True
    )
    assert {"largest deviation of M (standard errors)", "rms deviation of Q"} <= set(results)
    for name, row in results.items():
        assert np.isnan(row.get("theory", np.nan)) or name.startswith("largest deviation"), name
        assert not any(word in name for word in ("escape rate", "solution", "late ")), name


def test_study_without_closed_forms_says_why_once(study):
    remark = "`model` must have the quadratic activation"
    if study.model.activation != study.model.teacher_activation:
        remark = "`model` must have one activation on both sides"
    assert repr(study).count(remark) == 1
    assert f"σ = {study.model.activation.name}" in repr(study).splitlines()[0]
    assert "its rate" not in repr(study)
    summary = study.summary()
    json.dumps(summary, allow_nan=False)
    assert remark in summary["hessian"]
    figure = study.plot()
    assert f"σ = {study.model.activation.name}" in figure.get_suptitle()
    assert not any("plateau" in line.get_label() for line in figure.axes[0].lines)


def test_study_lasts_until_the_loss_has_fallen():
    """The duration is the study's own choice; for the square under another name that which has the theory's too."""
    model = tsode.TeacherStudent(2, 1, 0.2, activation=Unknown())
    ode = tsode.study(model, N=200, runs=2).ode
    assert ode.excess_loss[-1] < 0.05 * ode.excess_loss[0]
    assert ode.alpha[-1] < 20 * model.natural_time


def test_scan_of_escapes_without_a_law_measures_them():
    """With the same seed as by hand; the grid may vary the activation."""
    grid = {
        "p": 2,
        "p_star": 1,
        "learning_rate": 0.2,
        "dimension": 200,
        "activation": ["quadratic", "erf", activations.ReLU(), activations.Custom(np.tanh)],
    }
    table = tsode.scans.escape(grid, runs=4, threshold=0.1, n_jobs=1).squeeze()
    names = [
        "quadratic",
        "erf",
        "relu",
        '{"name": "custom", "steps": "t0 = np.tanh(x)\\nt1 = t0 * t0\\nt2 = 1.0 - t1\\nt0, t2"}',
    ]
    assert table["activation"].values.tolist() == names
    erf, square = (table.sel(activation=name) for name in ("erf", "quadratic"))
    assert "quadratic activation" in erf["reason"].item()
    assert square["reason"] == ""
    assert np.isnan([erf["law_mean"], erf["law_std"]]).all()
    assert np.isfinite(square["law_mean"])
    point = {"p": 2, "p_star": 1, "learning_rate": 0.2, "noise_variance": 0.0, "constraint": "free",
             "activation": "erf", "dimension": 200}  # fmt: skip
    seed = np.random.SeedSequence((0, tsode.scans.point_seed(point)))
    model = tsode.TeacherStudent(2, 1, 0.2, activation="erf")
    sgd = tsode.simulate(model, None, np.linspace(0, 10 / (0.2 * 0.5), 401), N=200, runs=4, seed=seed)
    np.testing.assert_array_equal(erf["escape_time"], tsode.escape_time(sgd, 0.1))
    assert "escape time" in tsode.plot.escape_curves(table.expand_dims("dimension"), "dimension").get_ylabel()


def test_scan_of_fates_without_theory_leaves_it_empty():
    grid = {"p": 2, "p_star": 2, "learning_rate": [0.1, 0.2], "activation": ["quadratic", "erf"]}
    table = tsode.scans.stability(grid, n_jobs=1).squeeze()
    erf, square = (table.sel(activation=name) for name in ("erf", "quadratic"))
    assert (erf["theory"] == "").all()
    assert np.isnan(erf["max_learning_rate"]).all()
    assert all("quadratic activation" in reason for reason in erf["reason"].values)
    assert (erf["fate"] == "escapes").all()
    assert (square["theory"] == "escapes").all()
    assert tsode.plot.stability_map(table.expand_dims(["p", "p_star"]), activation="erf") is not None


def test_points_do_not_depend_on_activations_that_are_not_named():
    """A grid that says nothing of them has today's points, and thus today's random numbers."""
    grid = {"p": 1, "p_star": 1, "learning_rate": 0.1, "dimension": 50}
    table = tsode.scans.deviation(grid, runs=2, n_jobs=1)
    assert "activation" not in table.dims
    again = tsode.scans.deviation({**grid, "activation": "erf"}, runs=2, n_jobs=1)
    assert again["activation"].values.tolist() == ["erf"]
    assert np.abs(again["deviation"].values / table["deviation"].values - 1).max() > 1e-3


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("command", ["study", "hessian", "scan"])
def test_commands_take_activations(command, tmp_path, capsys):
    quick = ["--p", "2", "--p-star", "1", "--activation", "erf", "--teacher-activation", "quadratic"]
    if command == "study":
        quick += ["-N", "100", "--runs", "2", "--alpha-max", "4", "--out", str(tmp_path)]
        assert cli.main(["study", *quick]) == 0
        assert "σ = erf, σ* = quadratic" in capsys.readouterr().out.splitlines()[0]
    elif command == "scan":
        config = tmp_path / "scan.toml"
        config.write_text('activation = ["erf", "quadratic"]\n')
        more = ["-N", "50", "--runs", "2", "--alpha-max", "1", "--jobs", "1", "--path", str(tmp_path)]
        quick = ["--p", "1", "--p-star", "1", "--config", str(config)]
        assert cli.main(["scan", "deviation", *quick, *more]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:4]] == [
            "activation", "erf", "quadratic"
        ]  # fmt: skip
    else:
        assert cli.main(["hessian", *quick, "--out", str(tmp_path)]) == 2
        assert "one activation on both sides" in capsys.readouterr().err

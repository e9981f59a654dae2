"""What every shipped activation has to fulfil: engines, ODE and loss agree. A new one in the list is tested too."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import tsode
from tsode.activations import SHIPPED, Custom, Hermite, Polynomial, ReLU, activation_of

PAIRS = [*((name, name) for name in SHIPPED), ("erf", "quadratic"), ("erf", "sign"), (Hermite(3), Hermite(3))]
SLOW = [
    (Hermite(2), Polynomial([0.1, 0.5, 0.2])), (ReLU(0.2), "relu"), ("tanh", "erf"), ("relu", "tanh"),
    ("erf", "relu"),
    (Custom(lambda x: x / (1 + np.exp(-x))), "tanh"),
]  # fmt: skip
NAMES = [" learns ".join(dict.fromkeys(map(str, pair))) for pair in [*PAIRS, *SLOW]]
pairs = pytest.mark.parametrize(
    ("student", "teacher"), [*PAIRS, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)], ids=NAMES
)


def model_of(student, teacher, **changes):
    """Every parameter away from its default."""
    given = {
        "p": 3, "p_star": 2, "learning_rate": 0.3, "noise_variance": 0.05, "student_readout": [0.5, 0.2, -0.3],
        "teacher_readout": [0.7, 0.2], "teacher_overlap": [[1.0, 0.3], [0.3, 0.8]],
    }  # fmt: skip
    return tsode.TeacherStudent(**{**given, **changes}, activation=student, teacher_activation=teacher)


@pytest.mark.parametrize("activation", ["quadratic", "erf", "tanh", Hermite(3)], ids=str)
def test_curvature_is_the_derivative_of_the_slope(activation):
    activation, x, h = activation_of(activation), np.linspace(-3, 3, 41), 1e-5
    wanted = (activation.slope(x + h) - activation.slope(x - h)) / (2 * h)
    np.testing.assert_allclose(activation.curvature(x), wanted, rtol=1e-8, atol=1e-9)


@pairs
def test_loss_is_that_of_fresh_samples(student, teacher):
    """Within 4.5 standard errors of 4e5 samples."""
    model, rng = model_of(student, teacher), np.random.default_rng(3)
    start = tsode.Overlaps.random(model, 20, rng=1)
    z = rng.multivariate_normal(np.zeros(5), start.joint, 400_000)
    y = model.teacher_activation(z[:, 3:]) @ model.teacher_readout
    losses = (model.activation(z[:, :3]) @ model.student_readout - y) ** 2 / 2
    assert abs(losses.mean() - model.excess_loss(start.M, start.Q)) < 4.5 * losses.std() / np.sqrt(len(losses))


@pytest.mark.quick(2)
@pairs
@pytest.mark.parametrize("constraint", ["free", pytest.param("spherical", marks=pytest.mark.slow)])
def test_engines_agree_in_law(student, teacher, constraint):
    """Every entry of M and Q after 2 N samples: of 90 comparisons one has p < 1e-4 by chance in 1 of 110 seeds."""
    model = model_of(student, teacher, constraint=constraint, learning_rate=0.15)
    start = None if constraint == "spherical" else tsode.Overlaps.random(model, 40, rng=2)
    options = {"alpha": [0.0, 2.0], "N": 40, "runs": 96}
    chain = tsode.simulate(model, start, seed=1, **options)
    weights = tsode.simulate(model, start, seed=2, engine="weights", **options)
    for one, other in ((chain.M, weights.M), (chain.Q, weights.Q)):
        for k, l in np.ndindex(one.shape[2:]):
            if np.ptp(one[:, -1, k, l]) > 1e-12:  # a norm that the constraint keeps
                assert ks_2samp(one[:, -1, k, l], other[:, -1, k, l]).pvalue > 1e-4


@pytest.mark.slow
@pairs
def test_sgd_approaches_its_ode_as_one_over_root_N(student, teacher):
    """Slope -0.5 +- 0.1 of the root mean square deviation over N = 250 ... 16 000, 32 runs each: an error of 0.02."""
    model = model_of(student, teacher)
    start = tsode.Overlaps.random(model, 20, rng=5)
    alpha = np.linspace(0, 3, 7)
    ode = tsode.integrate(model, start, alpha, rtol=1e-5, atol=1e-7)
    dimensions = 250 * 4 ** np.arange(4)
    deviations = [
        np.sqrt(np.mean((tsode.simulate(model, start, alpha, N=int(N), runs=32, seed=int(N)).M - ode.M) ** 2))
        for N in dimensions
    ]
    slope = np.polyfit(np.log(dimensions), np.log(deviations), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)


def test_what_has_no_closed_form_says_so():
    model = model_of("erf", "erf")
    for analysis in (tsode.plateau, tsode.manifold.solution, tsode.manifold.loss_floor):
        with pytest.raises(tsode.closed_forms.NoClosedForm, match=r"`model` must have .*the quadratic activation"):
            analysis(model)
    with pytest.raises(tsode.closed_forms.NoClosedForm, match="one activation on both sides"):
        tsode.manifold.solution(model_of("erf", "quadratic"))

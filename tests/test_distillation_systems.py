"""Systems of distillation that are schemes: each rule as the derivative of its sample's loss, and numbers of theory."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import ks_2samp, sem

import tsode
from tsode import distillation
from tsode.manifold import polar_factor

P = np.diag([1.6, 1.0, 0.6, 0.3])
TRUTH = tsode.TeacherStudent(
    3, 2, 0.3, 0.4, [0.5, 0.2, -0.3], [0.7, 0.2], [[1.0, 0.3], [0.3, 0.8]], activation="erf"
)  # fmt: skip


def unit(W, v, activation=TRUTH.activation):
    return v @ activation(W)


def truth_of(mu, xi, truth=TRUTH):
    return unit(mu, truth.teacher_readout) + np.sqrt(truth.noise_variance) * xi


def spectral():
    def loss(w, mu, xi, a):
        return (unit(a["amplitude"] * w["student"], TRUTH.student_readout) - truth_of(mu, xi)) ** 2 / 2

    return distillation.spectral(TRUTH), {"student": loss, "amplitude": loss}, 0.3


def features(projector, factors=None):
    U = np.eye(2) if factors is None else np.linalg.eigh(TRUTH.teacher_overlap)[1][:, -1:]
    K0 = np.arange(6.0).reshape(2, 3)[: U.shape[1]] / 4

    def loss(w, mu, xi, a):
        error = a.get("projector", K0) @ w["student"] - U.T @ mu
        return (unit(w["student"], TRUTH.student_readout) - truth_of(mu, xi)) ** 2 / 2 + 0.35 * error @ error

    task = distillation.features(TRUTH, 0.7, projector, factors, K0)
    return task, dict.fromkeys(["student", *task.scalars], loss), 0.3


def exits(mimic):
    truth = TRUTH.replace(readout_learning_rate=0.3)
    task = distillation.exits(truth, (1, 2, 3), [0.5, 1.0, 2.0], mimic)

    def loss(w, mu, xi, a):
        said = [unit(w["student"][:e], a[f"readout {e}"]) for e in (1, 2, 3)]
        last, labels = frozen(said[2]), truth_of(mu, xi)
        wanted = [(1 - m) * labels + m * last for m in mimic]
        return sum(weight * (f - y) ** 2 / 2 for weight, f, y in zip((0.5, 1.0, 2.0), said, wanted))

    memory = {}

    def frozen(value):  # at the point of the derivative, which comes first
        return memory.setdefault("last", value)

    return task, dict.fromkeys(["student", *task.scalars], loss), 0.3, memory


def moving_teacher():
    v = TRUTH.student_readout

    def student(w, mu, xi, a):
        return (unit(w["student"], v) - TAUGHT) ** 2 / 2

    def teacher(w, mu, xi, a):  # its own error, and its student's, times what it says
        from_label = (unit(w["teacher"], v) - truth_of(mu, xi)) ** 2 / 2
        return 0.6 * from_label + 0.4 * (SAID - truth_of(mu, xi)) * unit(w["teacher"], v)

    z = POINT(distillation.moving_teacher(TRUTH, 0.3, 0.4))
    TAUGHT, SAID = unit(z[0]["teacher"], v), unit(z[0]["student"], v)
    return distillation.moving_teacher(TRUTH, 0.3, 0.4), {"student": student, "teacher": teacher}, 0.3


def logits(T):
    def loss(w, mu, xi, a):
        lam = w["student"]
        if T == np.inf:
            return np.var(lam - w["teacher"]) / 2
        taught = softmax(w["teacher"] / T)
        return T**2 * taught @ (np.log(taught) - log_softmax(lam / T))

    return distillation.logits(3, 0.3, T), {"student": loss}, 0.3


def POINT(task):
    rng = np.random.default_rng(1)
    z = {name: rng.standard_normal(count) for name, count in task.rows.items()}
    return z, rng.standard_normal(task.noises), {k: v + rng.standard_normal(v.shape) for k, v in task.scalars.items()}


SYSTEMS = {
    "spectral": spectral,
    "trained projector": lambda: features("trained"),
    "fixed projector": lambda: features("fixed"),
    "paraphraser": lambda: features("trained", 1),
    "exits": lambda: exits((0.0, 0.0, 0.0))[:3],
    "mimicry": lambda: exits((1.0, 0.4, 0.0)),
    "moving teacher": moving_teacher,
    "temperature": lambda: logits(1.7),
    "matching": lambda: logits(np.inf),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_rule_is_the_derivative_of_its_samples_loss(name):
    task, losses, rate, *memory = SYSTEMS[name]()
    z, xi, a = POINT(task)
    found = task.rule(
        {k: v[None] for k, v in z.items()}, xi[None], {k: v[None] for k, v in a.items()}
    )  # fmt: skip
    assert set(found) == set(losses)
    for part, loss in losses.items():
        at = z if part in z else a
        loss(z, z.get("truth"), xi[0] if len(xi) else 0.0, a)
        wanted = np.empty(at[part].shape)
        for i in np.ndindex(wanted.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = at[part].copy()
                moved[i] += step
                given = (z | {part: moved}, a) if part in z else (z, a | {part: moved})
                values.append(loss(given[0], z.get("truth"), xi[0] if len(xi) else 0.0, given[1]))
            wanted[i] = -rate * (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(found[part][0], wanted, atol=1e-8)

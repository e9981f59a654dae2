"""Rules in plain NumPy that many tests share, each beside the loss of a sample that it descends."""

import numpy as np
from scipy.special import expit

import tsode

ETA, ETA_V = 0.4, 0.3
V = np.array([0.8, -0.3])


def error(z, xi, a):
    return (a["v"] * z["student"] ** 2).sum(axis=1) - (z["teacher"] ** 2).mean(axis=1) - 0.5 * xi[:, 0]


def squares(z, xi, a):
    D = error(z, xi, a)[:, None]
    return {"student": -2 * ETA * D * a["v"] * z["student"], "v": -ETA_V * D * z["student"] ** 2}


def projected(z, xi, a):
    """A trained map K of the student's units onto the teacher's, in products of matrices."""
    D = np.einsum("nij,nj->ni", np.broadcast_to(a["K"], (len(z["student"]), 2, 3)), z["student"]) - z["teacher"]
    return {
        "K": -ETA_V * D[:, :, None] * z["student"][:, None, :],
        "student": -ETA * (D[:, :, None] * a["K"]).sum(axis=1),
    }


def features(z, xi, a):
    return np.square((a["K"] * z["student"][:, None, :]).sum(axis=2) - z["teacher"]).sum(axis=1) / 2


def softmax(u):
    e = np.exp(u - u[:, :1])
    return e / e.sum(axis=1, keepdims=True)


def logits(z, xi, a):
    return {"student": -ETA * (softmax(z["student"]) - softmax(z["teacher"]))}


def cross_entropy(z, xi, a):
    u = z["student"] - z["student"][:, :1]
    return np.log(np.exp(u).sum(axis=1)) - (softmax(z["teacher"]) * u).sum(axis=1)


def labels(z, xi, a):
    """Half a soft, half a hard label of a linear student's output."""
    wrong = expit(z["student"] @ V) - expit(z["teacher"][:, 0]) / 2 - np.where(z["teacher"][:, 0] > 0, 0.5, 0.0)
    return {"student": -ETA * wrong[:, None] * V}


def log_loss(z, xi, a):
    u = z["student"] @ V
    return np.logaddexp(0.0, u) - u * (expit(z["teacher"][:, 0]) + (z["teacher"][:, 0] > 0)) / 2


def scheme_of(rows, rule, loss, **more):
    return tsode.Scheme(dict(zip(("student", "teacher"), rows)), rule, outputs={"loss": loss}, **more)


# each with the learning rates at which it descends its loss
SCHEMES = {
    "squares": (
        scheme_of((2, 2), squares, lambda z, xi, a: error(z, xi, a) ** 2 / 2, scalars={"v": [0.6, 0.3]}, noises=1),
        {"student": ETA, "v": ETA_V},
    ),
    "features": (
        scheme_of((3, 2), projected, features, scalars={"K": np.eye(2, 3) + 0.1}),
        {"student": ETA, "K": ETA_V},
    ),
    "softmax": (
        scheme_of((3, 3), logits, cross_entropy),
        {"student": ETA},
    ),
    "labels": (scheme_of((2, 1), labels, log_loss), {"student": ETA}),
}  # fmt: skip


def drawn_by(Omega, a):
    return -0.3 * Omega[1:3, 1:3] + a["gain"] * np.array([[0.0, 0.2], [-0.2, 0.1]])


# rows that move between rows that stand still, a pull that mixes them, and a scalar that both follow
PULLED = tsode.Scheme(
    {"truth": 1, "moves": 2, "rest": 1},
    lambda z, xi, a: {
        "moves": 0.5 * a["gain"][:, None] * z["truth"] + 0.3 * z["rest"] - 0.05 * z["moves"] ** 3,
        "gain": 0.2 * z["moves"][:, 0] * z["rest"][:, 0] - 0.1,
    },
    pull=drawn_by,
    scalars={"gain": 0.7},
)
GRAM = np.array([[1.0, 0.2, -0.1, 0.3], [0.2, 0.9, 0.4, 0.1], [-0.1, 0.4, 1.1, -0.2], [0.3, 0.1, -0.2, 0.8]])

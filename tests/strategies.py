"""Random models, starts, times and files for the property tests; degenerate ones come up among them."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tsode

# Zeros, ties, all signs and near-degeneracy, but far from the limits of floating point.
UNIT = st.floats(-1.0, 1.0).map(lambda x: round(x, 6))


def matrices(*shape):
    return arrays(np.float64, shape, elements=UNIT, fill=st.nothing())


@st.composite
def models(draw, **fixed):
    """Any widths, readouts of any sign, noise, both constraints, P of any rank; `fixed` parameters stay as given."""
    p, p_star = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    T = draw(st.one_of(st.just(np.eye(p_star)), matrices(p_star, p_star).map(lambda T: T / np.sqrt(p_star))))
    drawn = {
        "learning_rate": draw(st.floats(0.01, 0.3)),
        "noise_variance": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "student_readout": draw(matrices(p)),
        "teacher_readout": draw(matrices(p_star)),
        "teacher_overlap": T @ T.T,
        "constraint": draw(st.sampled_from(["free", "spherical"])),
    }
    return tsode.TeacherStudent(p, p_star, **{**drawn, **fixed})


def root(matrix):
    """F with F F^T = `matrix`, which is positive semidefinite of any rank."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))


@st.composite
def starts(draw, model, inside=False):
    """Overlaps of rows of norm near 1 at any angle to the teacher, of any rank, or of full rank if `inside`.

    Parallel units stay parallel, but that can be unstable: a solver's errors then leave the cone of the overlaps that
    weights have, and grow. Long integrations are tried from its inside.
    """
    p, p_star = model.p, model.p_star
    rows = draw(matrices(p, p_star + p)) * np.sqrt(3 / (p + p_star))
    if inside:
        rows = np.hstack([rows, 0.3 * np.eye(p)])
    if model.spherical:
        rows[:, -1] += np.linalg.norm(rows, axis=1) < 1e-3
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return tsode.Overlaps(rows[:, :p_star] @ root(model.teacher_overlap).T, rows @ rows.T, model.teacher_overlap)


@st.composite
def pairs(draw, inside=False, **fixed):
    """A model and a start that fits it."""
    model = draw(models(**fixed))
    return model, draw(starts(model, inside))


@st.composite
def equal_pairs(draw):
    """A free model with equal student readouts, a start, and an orthogonal matrix of the student's width."""
    model, start = draw(pairs(constraint="free"))
    model = tsode.TeacherStudent(**{**model.to_dict(), "student_readout": np.full(model.p, draw(UNIT))})
    return model, start, np.linalg.qr(draw(matrices(model.p, model.p)))[0]


def grids(last):
    """Times from 0 to `last`, at any distances."""
    inner = st.lists(st.floats(0, last, allow_subnormal=False), max_size=8)
    return inner.map(lambda times: np.unique([0.0, *times, last]))


@st.composite
def trajectories(draw):
    """Of the ODE and of both engines, at any learning rate, so that some of them diverge."""
    model, start = draw(pairs())
    model = model.replace(learning_rate=draw(st.floats(1e-3, 30.0)))
    alpha = draw(grids(2.0))
    if draw(st.booleans()):
        return tsode.integrate(model, start, alpha, gradient_flow=draw(st.booleans()))
    return tsode.simulate(
        model, draw(st.sampled_from([start, None])), alpha, N=draw(st.integers(10, 40)), runs=draw(st.integers(1, 3)),
        seed=draw(st.one_of(st.integers(0, 2**128), seed_lists)), engine=draw(st.sampled_from(["chain", "weights"])),
    )  # fmt: skip


seed_lists = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4).map(np.random.SeedSequence)


def file_names():
    """Names that a file can have, among them the longest: 255 bytes, with ".npz"."""
    letter = st.characters(codec="utf-8", exclude_characters="/\0")
    longest = letter.map(lambda letter: letter * (251 // len(letter.encode())))
    short = st.text(letter, min_size=1, max_size=60)  # at most 4 bytes a letter
    name = st.one_of(short, longest).filter(lambda name: name not in (".", "..") and not Path(name).suffix)
    return st.one_of(name, short.map(lambda name: f"{name}.npz"))

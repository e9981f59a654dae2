"""What a person reads: a title, and every number beside its label, as text and in a notebook."""

import re
from html import unescape

import numpy as np
import pytest
from tables import rows

import tsode
from tsode import hessian

PLAIN = tsode.TeacherStudent(4, 2, 0.4)
START = tsode.Overlaps(np.full((4, 2), 0.1), np.eye(4))
GENERAL = tsode.TeacherStudent(
    3, 2, 0.25, 0.1, student_readout=[0.5, 0.2, -0.3], teacher_readout=[0.7, 0.123456],
    teacher_overlap=[[1.0, 0.3], [0.3, 0.8]],
)  # fmt: skip
CASES = {
    "model": (
        lambda: GENERAL,
        "TeacherStudent",
        {
            "student width p": "3",
            "teacher width p*": "2",
            "learning rate η": "0.25",
            "label noise variance Δ": "0.1",
            "student readout v": "[ 0.5,  0.2, -0.3]",
            "teacher readout v*": "0.1235",
            "teacher overlap P": "0.3]",
            "constraint": "free",
        },
    ),
    "model, equal readouts": (
        lambda: tsode.TeacherStudent(2, 1, 0.1, constraint="spherical"),
        "quadratic activation",
        {
            "student readout v": "0.5 each",
            "teacher readout v*": "1 each",
            "teacher overlap P": "identity",
            "constraint": "spherical",
        },
    ),
    "model, long readouts": (
        lambda: tsode.TeacherStudent(8, 9, 0.1, student_readout=np.arange(8), teacher_readout=np.arange(9)),
        "TeacherStudent",
        {
            "student readout v": "[0., 1., 2., 3., 4., 5., 6., 7.]",
            "teacher readout v*": "[0., 1., 2., ..., 6., 7., 8.]",
        },
    ),
    "overlaps": (
        lambda: tsode.Overlaps([[0.123456, 0], [1e-9, 0.5]], np.eye(2)),
        "p = 2, p* = 2",
        {"M (student-teacher)": "0.1235", "Q (student-student)": "1.", "P (teacher-teacher)": "1."},
    ),
    "trajectory of the ODE": (
        lambda: tsode.integrate(PLAIN, START, [0, 1.0]),
        "Trajectory",
        {
            "model": "p = 4, p* = 2, η = 0.4, Δ = 0, free",
            "input dimension N": "infinite",
            "runs": "one",
            "time alpha": "0 to 1, 2 points",
            "status": "completed",
            "final excess loss": "0.6877",
            "engine": "DOP853, rtol=1e-08, atol=1e-10",
        },
    ),
    "trajectory of SGD": (
        lambda: tsode.simulate(tsode.TeacherStudent(2, 1, 0.3), None, [0, 5.0, 10.0], N=60, runs=16, seed=0),
        "Trajectory",
        {
            "input dimension N": "60",
            "runs": "16",
            "time alpha": "0 to 10, 3 points",
            "status": "completed (11), diverged (5)",
            "first run ended at alpha": "2.533",
            "last excess loss before the end": "0.7044",
            "engine": "chain, gaussian inputs",
            "seed": "0",
        },
    ),
    "plateau": (
        lambda: tsode.plateau(PLAIN),
        "Plateau, p = 4, p* = 2",
        {
            "learning rate η": "0.4",
            "norm q": "0.763932",
            "loss": "0.673762",
            "escape rate g": "0.17082",
            "largest learning rate": "1.2",
            "no escape above": "every learning rate",
            "fastest escape at": "0.864911",
        },
    ),
    "Hessian along a trajectory": (
        lambda: hessian.along(tsode.integrate(PLAIN, START, [0, 20.0, 40.0]), N=1000),
        "Hessian",
        {
            "time alpha": "0 to 40, 3 points",
            "input dimension N": "1,000",
            "index (negative)": "8 to 7, at most 8",
            "lowest eigenvalue": "-0.25 to -0.462",
            "gradient norm": "0.5 to 0.227",
        },
    ),
    "spectral density": (
        lambda: hessian.spectral_density(np.diag(np.linspace(0, 1, 500)), steps=20),
        "Lanczos",
        {
            "dimension": "500",
            "probes x steps": "4 x 20",
            "Ritz values": "0.00140797 to 0.996606",
            "mean eigenvalue": "0.505363 +- 0.0037",
        },
    ),
    "spectrum": (
        lambda: hessian.Spectrum(np.arange(14.0) - 3, np.arange(14) + 1000),
        "Spectrum",
        {
            "verdict": "saddle",
            "index (negative)": "3,003",
            "nullity": "1,003",
            "dimension": "14,091",
            "trace": "49546",
            "gradient norm": "0",
            "eigenvalues": "-3 x 1,000",
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_number_stands_beside_its_label(case):
    make, title, wanted = CASES[case]
    result = make()
    found = rows(result)
    page = result._repr_html_()
    cells = " ".join(unescape(re.sub("<.*?>", " ", page)).split())
    assert title in repr(result).split("\n")[0]
    assert title in re.search("<caption.*?</caption>", page).group()
    for label, value in wanted.items():
        said = " ".join(" ".join(found[label]).split())
        assert " ".join(value.split()) in said
        assert label in cells
        assert " ".join(value.split()) in cells


def test_matrices_are_shown_whole_up_to_64_entries():
    def shown(*shape):
        return repr(tsode.Overlaps(np.zeros(shape), np.eye(shape[0])))

    assert "..." not in shown(8, 8)
    assert "..." in shown(13, 5)

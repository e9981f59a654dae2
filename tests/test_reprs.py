"""What a person reads: the tables of all results, letter by letter, and the same rows in a notebook."""

import re
from html import unescape

import numpy as np
import pytest

import tsode
from tsode import hessian

PLAIN = tsode.TeacherStudent(4, 2, 0.4)
START = tsode.Overlaps(np.full((4, 2), 0.1), np.eye(4))
GENERAL = tsode.TeacherStudent(
    3, 2, 0.25, 0.1, student_readout=[0.5, 0.2, -0.3], teacher_readout=[0.7, 0.123456],
    teacher_overlap=[[1.0, 0.3], [0.3, 0.8]],
)  # fmt: skip


def many():
    return tsode.TeacherStudent(9, 9, 0.1, student_readout=np.arange(9) / 8, teacher_readout=np.arange(9) + 1.0)


CASES = {
    "model": (
        lambda: GENERAL,
        """TeacherStudent, quadratic activation
  student width p         3
  teacher width p*        2
  learning rate η         0.25
  label noise variance Δ  0.1
  student readout v       [ 0.5,  0.2, -0.3]
  teacher readout v*      [0.7   , 0.1235]
  teacher overlap P       [[1. , 0.3],
                           [0.3, 0.8]]
  constraint              free""",
    ),
    "model, equal readouts": (
        lambda: tsode.TeacherStudent(2, 1, 0.1, constraint="spherical"),
        """TeacherStudent, quadratic activation
  student width p         2
  teacher width p*        1
  learning rate η         0.1
  label noise variance Δ  0
  student readout v       0.5 each
  teacher readout v*      1 each
  teacher overlap P       identity
  constraint              spherical""",
    ),
    "model, long readouts": (
        many,
        """TeacherStudent, quadratic activation
  student width p         9
  teacher width p*        9
  learning rate η         0.1
  label noise variance Δ  0
  student readout v       [0.   , 0.125, 0.25 , ..., 0.75 , 0.875, 1.   ]
  teacher readout v*      [1., 2., 3., ..., 7., 8., 9.]
  teacher overlap P       identity
  constraint              free""",
    ),
    "overlaps": (
        lambda: tsode.Overlaps([[0.123456, 0], [1e-9, 0.5]], np.eye(2)),
        """Overlaps, p = 2, p* = 2
  M (student-teacher)  [[0.1235 0.    ]
                        [0.     0.5   ]]
  Q (student-student)  [[1. 0.]
                        [0. 1.]]
  P (teacher-teacher)  [[1. 0.]
                        [0. 1.]]""",
    ),
    "trajectory of the ODE": (
        lambda: tsode.integrate(PLAIN, START, [0, 1.0]),
        """Trajectory of the overlaps M and Q
  model              p = 4, p* = 2, η = 0.4, Δ = 0, free
  input dimension N  infinite (ODE)
  runs               one solution
  time alpha         0 to 1, 2 points
  status             completed
  final excess loss  0.6877
  engine             ode, DOP853, rtol=1e-08, atol=1e-10
  seed               None""",
    ),
    "trajectory of SGD": (
        lambda: tsode.simulate(tsode.TeacherStudent(2, 1, 0.3), None, [0, 5.0, 10.0], N=60, runs=16, seed=0),
        """Trajectory of the overlaps M and Q
  model                            p = 2, p* = 1, η = 0.3, Δ = 0, free
  input dimension N                60
  runs                             16
  time alpha                       0 to 10, 3 points
  status                           completed (11), diverged (5)
  first run ended at alpha         2.533
  last excess loss before the end  0.7044
  engine                           sgd, chain, gaussian inputs
  seed                             0""",
    ),
    "plateau": (
        lambda: tsode.plateau(PLAIN),
        """Plateau, p = 4, p* = 2
  learning rate η        0.4
  norm q                 0.763932
  loss                   0.673762
  escape rate g          0.17082
  largest learning rate  1.2
  no escape above        M grows at every learning rate up to the largest
  fastest escape at      0.864911""",
    ),
    "Hessian along a trajectory": (
        lambda: hessian.along(tsode.integrate(PLAIN, START, [0, 20.0, 40.0]), N=1000),
        """Population Hessian along a trajectory
  time alpha         0 to 40, 3 points
  input dimension N  1,000
  index (negative)   8 to 7, at most 8
  lowest eigenvalue  -0.25 to -0.462, at least -0.462
  gradient norm      0.5 to 0.227""",
    ),
    "spectral density": (
        lambda: hessian.spectral_density(np.diag(np.linspace(0, 1, 500)), steps=20),
        """Spectral density by Lanczos quadrature
  dimension        500
  probes x steps   4 x 20
  Ritz values      0.00140797 to 0.996606
  mean eigenvalue  0.505363 +- 0.0037""",
    ),
    "spectrum": (
        lambda: hessian.Spectrum(np.arange(14.0) - 3, np.arange(14) + 1000),
        """Spectrum of a Hessian
  verdict           saddle
  index (negative)  3,003
  nullity           1,003  (absolute value at most 1e-08)
  dimension         14,091
  trace             49546
  gradient norm     0
  eigenvalues                 -3  x 1,000
                              -2  x 1,001
                              -1  x 1,002
                               0  x 1,003
                               1  x 1,004
                               2  x 1,005
                    ...
                               5  x 1,008
                               6  x 1,009
                               7  x 1,010
                               8  x 1,011
                               9  x 1,012
                              10  x 1,013""",
    ),
    "spectrum of twelve": (
        lambda: hessian.Spectrum(np.arange(12.0) + 1, np.ones(12, int)),
        "Spectrum of a Hessian\n  verdict           strict minimum\n  index (negative)  0\n"
        "  nullity           0  (absolute value at most 1.2e-08)\n  dimension         12\n  trace             78\n"
        "  gradient norm     0\n  eigenvalues       "
        + "\n                    ".join(f"{i:12}  x 1" for i in range(1, 13)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_table_is_what_a_person_should_read(case):
    make, wanted = CASES[case]
    result = make()
    assert repr(result) == wanted
    title, *lines = wanted.split("\n")
    page = result._repr_html_()
    assert title in re.search("<caption.*?</caption>", page).group()
    cells = unescape(re.sub("<.*?>", " ", page))
    for word in " ".join(lines).split():
        assert word in cells

"""Plateaus, escape and the manifold of solutions."""

import numpy as np

import tsode
from bad_inputs.things import MODEL, SIGNS, SPHERE, START, W, ode
from tsode import manifold

LAW, TIME, POINT = tsode.escape_law, tsode.escape_time, tsode.fixed_point

CASES = {
    "plateau of no model": (lambda: tsode.plateau(START), TypeError, "`model` must be a TeacherStudent, but is Overla"),
    "plateau of half a flow": (lambda: tsode.plateau(MODEL, 1), TypeError, "`gradient_flow` must be True or False, bu"),
    "fixed point of no model": (lambda: POINT(START, START), TypeError, "`model` must be a TeacherStudent, but is Ov"),
    "fixed point from no start": (lambda: POINT(MODEL, None), TypeError, "`start` must be an Overlaps, but is NoneTy"),
    "fixed point before the start": (lambda: POINT(MODEL, START, -1), ValueError, "`relax` must be at least 0, but i"),
    "fixed point of half a flow": (
        lambda: POINT(MODEL, START, gradient_flow="yes"), TypeError, "`gradient_flow` must be True or False, but is 'y"
    ),
    "fixed point of a start that diverges": (
        lambda: POINT(MODEL.replace(learning_rate=50.0), START, 10.0), ValueError,
        "`model` must have a smaller learning rate, or `start` be another: by alpha = 10 it diverges",
    ),
    "fixed point that is none": (
        lambda: POINT(MODEL.replace(activation="erf", noise_variance=10.0, learning_rate=50.0), START), ValueError,
        "`start` must be closer to a fixed point, or `relax` longer: Newton's method stopped where an overlap still",
    ),
    "following to a learning rate below": (
        lambda: POINT(MODEL, START).follow(highest=0.1), ValueError, "`highest` must be at least 0.2, but is 0.1"
    ),
    "following gradient flow": (
        lambda: POINT(MODEL, START, gradient_flow=True).follow(), ValueError, "`gradient_flow` must be False for a fix"
    ),
    "law of no model": (lambda: LAW("m", 100, 0.05), TypeError, "`model` must be a TeacherStudent, but is str"),
    "law of two signs": (lambda: LAW(SIGNS, 100, 0.05), ValueError, "`model` must have equal readouts on each side an"),
    "law of no escape": (
        lambda: LAW(MODEL.replace(learning_rate=50.0), 100, 0.05), ValueError, "`model` must have a plateau that it lea"
    ),
    "law at a broken N": (lambda: LAW(MODEL, 10.5, 0.05), ValueError, "`N` must be a whole number, but is 10.5"),
    "law at a huge N": (lambda: LAW(MODEL, 10**400, 0.05), ValueError, "`N` must be at most 9007199254740992, but is "),
    "law of no threshold": (lambda: LAW(MODEL, 100, None), TypeError, "`threshold` must be a number, but is NoneType"),
    "law above the solutions": (lambda: LAW(MODEL, 100, 9.0), ValueError, "`threshold` must lie between the tr M M^T "),
    "law below the start": (lambda: LAW(MODEL, 100, 1e-9), ValueError, "`threshold` must lie between the tr M M^T of "),
    "law from nowhere": (
        lambda: LAW(MODEL, 100, 0.05, "sea"), ValueError, "`start` must be one of 'plateau', 'random', but is 'sea'"
    ),
    "law of no scale": (lambda: LAW(MODEL, 1000, 0.05, scale=0), ValueError, "`scale` must be larger than 0, but is 0"),
    "law of a huge scale": (
        lambda: LAW(MODEL, 10**6, 0.05, "random", 30.0), ValueError, "`scale` must be smaller: from 30 the norms do not"
    ),
    "time of no trajectory": (lambda: TIME([1, 2], 0.05), TypeError, "`trajectory` must be a Trajectory, but is list"),
    "time of no threshold": (lambda: TIME(ode()), ValueError, "one of `threshold` and `loss_fraction` must be given, "),
    "time of two thresholds": (lambda: TIME(ode(), 0.1, 0.1), ValueError, "`loss_fraction` must be given, but both ar"),
    "time of a negative threshold": (lambda: TIME(ode(), -1), ValueError, "`threshold` must be larger than 0, but is "),
    "time of threshold zero": (lambda: TIME(ode(), 0), ValueError, "`threshold` must be larger than 0, but is 0"),
    "time of no loss": (lambda: TIME(ode(), loss_fraction=0), ValueError, "`loss_fraction` must be larger than 0"),
    "time of the whole loss": (lambda: TIME(ode(), loss_fraction=1), ValueError, "`loss_fraction` must be below 1, bu"),
    "time of a loss of nan": (
        lambda: TIME(ode(), loss_fraction=np.nan), ValueError, "`loss_fraction` must be finite, but is nan"
    ),
    "balance of no trajectory": (
        lambda: manifold.layer_balance(3), TypeError, "`trajectory` must be a Trajectory, but is int"
    ),
    "balance of a fixed readout": (
        lambda: manifold.layer_balance(tsode.integrate(MODEL, START, 1.0)), ValueError,
        "`trajectory` must be of a homogeneous activation with a trained readout, but its model has Quadratic()"
    ),
    "solution of no model": (lambda: manifold.solution(3), TypeError, "`model` must be a TeacherStudent, but is int"),
    "solution of two signs": (lambda: manifold.solution(SIGNS), ValueError, "`model` must have readouts of one sign, "),
    "solution on the sphere": (lambda: manifold.solution(SPHERE), ValueError, "`model` must be free, or have p = p_st"),
    "solution turned by too much": (
        lambda: manifold.solution(MODEL, [[2.0], [0.0]]), ValueError, "`rotation` must have orthonormal columns, but it"
    ),
    "solution turned by text": (
        lambda: manifold.solution(MODEL, "left"), TypeError, "`rotation` must be an array of real numbers, but is 'left"
    ),
    "weights of no teacher": (
        lambda: manifold.solution_weights(MODEL, np.ones(3)), ValueError, "`W_star` must have shape (p_star, N) = (1, a"
    ),
    "weights of a teacher of nan": (
        lambda: manifold.solution_weights(MODEL, [[np.nan]]), ValueError, "`W_star` must be finite, but has nan at inde"
    ),
    "closest to no start": (
        lambda: manifold.closest_rotation(MODEL, None), TypeError,
        "`start` must be an Overlaps or a tuple (W, W_star), but is NoneType",
    ),
    "closest to half a start": (
        lambda: manifold.closest_solution(MODEL, W), TypeError, "`start` must be an Overlaps or a tuple (W, W_star), bu"
    ),
    "closest to another width": (
        lambda: manifold.closest_solution(MODEL.replace(p=3), START), ValueError,
        "`start` must have widths (p, p_star) = (3, 1), but has (2, 1)",
    ),
    "closest to weights of text": (
        lambda: manifold.closest_rotation(MODEL, ("W", "V")), TypeError, "`W` must be an array of real numbers, but is "
    ),
    "distance from nothing": (
        lambda: manifold.distance(MODEL, 3), TypeError, "`overlaps` must be an Overlaps or a tuple (W, W_star), but is "
    ),
    "distance to a ragged rotation": (
        lambda: manifold.distance(MODEL, START, [[1.0], []]), TypeError, "`rotation` must be an array of real numbers, "
    ),
    "dimension of no model": (lambda: manifold.dimension({}), TypeError, "`model` must be a TeacherStudent, but is di"),
    "tangents at no point": (
        lambda: manifold.tangent_basis(MODEL, np.eye(2)), ValueError, "`rotation` must have shape (p, p_star) = (2, 1),"
    ),
    "rotation from a float": (
        lambda: manifold.random_rotation(MODEL, 0.5), TypeError, "`rng` must be a whole number, a numpy Generator, a Se"
    ),
    "path to nowhere": (
        lambda: manifold.path(MODEL, [[1], [0]], [[0], [2]], [0.5]), ValueError, "`second` must have orthonormal column"
    ),
    "path at no position": (
        lambda: manifold.path(MODEL, [[1], [0]], [[0], [1]], 0.5), ValueError, "`position` must have shape (n,) = (any,"
    ),
    "path between components": (
        lambda: manifold.path(MODEL.replace(p_star=2), np.eye(2), np.diag([1, -1]), [0.5]), ValueError,
        "`first` and `second` must have determinants of one sign",
    ),
    "polar factor of a vector": (
        lambda: manifold.polar_factor([1.0, 2.0]), ValueError, "`matrix` must have shape (..., m, n), but has shape (2,"
    ),
    "polar factor of nan": (lambda: manifold.polar_factor([[np.nan]]), ValueError, "`matrix` must be finite, but has "),
    "polar factor of complex numbers": (
        lambda: manifold.polar_factor([[1j]]), TypeError, "`matrix` must be an array of real numbers, but is complex"
    ),
    "invariants of a model": (
        lambda: manifold.invariants(MODEL), TypeError, "`trajectory` must be a Trajectory, but is TeacherStudent"
    ),
    "power law without surplus": (
        lambda: manifold.power_law(MODEL.replace(p=1), 1.0), ValueError, "`model` must have p > p_star for a power law,"
    ),
    "power law at the start": (
        lambda: manifold.power_law(MODEL, [0.0, 1.0]), ValueError, "`alpha` must be larger than 0, but has 0"
    ),
    "power law at nan": (lambda: manifold.power_law(MODEL, np.nan), ValueError, "`alpha` must be finite, but has nan"),
    "power law of text": (lambda: manifold.power_law(MODEL, "late"), TypeError, "`alpha` must be an array of real num"),
    "power law at huge times": (
        lambda: manifold.power_law(MODEL, 1e200), ValueError, "`alpha` must be at most 1e+30 in size, but has 1e+200"
    ),
    "rate of two readouts": (
        lambda: manifold.relaxation_rate(MODEL.replace(student_readout=[0.1, 0.2])), ValueError,
        "`model` must have equal readouts of the student",
    ),
    "rate of no model": (lambda: manifold.relaxation_rate(None), TypeError, "`model` must be a TeacherStudent, but is"),
    "equivalence of no students": (
        lambda: manifold.equivalent(MODEL, "a", W), TypeError, "`a` must be an array of real numbers, but is 'a'"
    ),
    "equivalence of two dimensions": (
        lambda: manifold.equivalent(MODEL, W, W[:, :9]), ValueError, "`b` must have the shape (2, 20) of `a`, but has"
    ),
    "equivalence of one readout": (
        lambda: manifold.equivalent(MODEL, W, W, [0.5, 0.5]), ValueError, "`readouts` must have shape (2, p) = (2, 2),"
    ),
    "equivalence of anything": (
        lambda: manifold.equivalent(MODEL, W, W, tolerance=1.0), ValueError, "`tolerance` must be at most 0.1, but is "
    ),
    "symmetry of no model": (
        lambda: manifold.symmetry_distance(W, W, W), TypeError, "`model` must be a TeacherStudent, but is ndarray"
    ),
    "canonical form of nan": (
        lambda: manifold.canonical(MODEL, [[np.nan], [1.0]]), ValueError, "`W` must be finite, but has nan at index (0"
    ),
    "canonical form of one readout": (
        lambda: manifold.canonical(MODEL, W, [1.0]), ValueError, "`readout` must have shape (p,) = (2,), but has shape"
    ),
    "nullity of no columns": (
        lambda: manifold.nullity(MODEL, [[], []]), ValueError, "`W` must have at least one column, but has shape (2, 0"
    ),
    "nullity at no tolerance": (
        lambda: manifold.nullity(MODEL, W, tolerance=0), ValueError, "`tolerance` must be larger than 0, but is 0"
    ),
    "sliders of a number": (lambda: tsode.explore(3), TypeError, "`model` must be a TeacherStudent, but is int"),
    "sliders at N = 5": (lambda: tsode.explore(N=5), ValueError, "`N` must be at least 24, but is 5"),
    "floor on the sphere": (lambda: manifold.loss_floor(SPHERE), ValueError, "`model` must be free: the late times of"),
}  # fmt: skip

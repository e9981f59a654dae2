"""Hessians of the population and of samples."""

import numpy as np
from scipy.sparse.linalg import LinearOperator

from bad_inputs.things import MASKED, MODEL, SIGNS, SPECTRUM, SPHERE, START, W_STAR, Odd, W, X, Y, density, ode, sgd
from tsode import hessian, manifold

PLACE = manifold.solution(MODEL)


def samples(function="empirical_gradient", **changes):
    return lambda: getattr(hessian, function)(**{"model": MODEL, "W": W, "X": X, "y": Y, **changes})


def spectrum(values=(1.0, 2.0), *rest, **options):
    return lambda: hessian.Spectrum(values, *rest, **options)


def modes(**changes):
    return lambda: hessian.null_space(**{"model": MODEL, "overlaps": PLACE, "N": 20, **changes})


CASES = {
    "spectrum of nothing": (spectrum([]), ValueError, "`values` must hold at least one eigenvalue of multiplicity 1"),
    "spectrum of nan": (spectrum([1, np.nan]), ValueError, "`values` must be finite, but has nan at index (1,)"),
    "spectrum of text": (spectrum("abc"), TypeError, "`values` must be an array of real numbers, but is 'abc' of type"),
    "spectrum of half an eigenvalue": (spectrum([1], [0.5]), ValueError, "`multiplicities` must be whole numbers from"),
    "spectrum of fewer than none": (spectrum([1, 2], [1, -1]), ValueError, "`multiplicities` must be whole numbers fr"),
    "spectrum of too many": (spectrum([1], [1e20]), ValueError, "`multiplicities` must be at most 9.0072e+15 in size,"),
    "spectrum of other lengths": (spectrum([1], [1, 2]), ValueError, "`multiplicities` must have shape (n,) = (1,), b"),
    "spectrum of a negative gradient": (spectrum(gradient_norm=-1), ValueError, "`gradient_norm` must be at least 0, "),
    "spectrum where all is zero": (spectrum(tolerance=2), ValueError, "`tolerance` must be at most 0.5, but is 2"),
    "density without width": (lambda: SPECTRUM.density([0.0], 0), ValueError, "`width` must be larger than 0, but is "),
    "density of a denormal width": (lambda: SPECTRUM.density([0.0], 1e-320), ValueError, "`width` must be at least 1e"),
    "density at text": (lambda: SPECTRUM.density("0", 1), TypeError, "`x` must be an array of real numbers, but is '0"),
    "density in a matrix": (lambda: density().density([[0.0]], 1), ValueError, "`x` must have shape (m,) = (any,), bu"),
    "mean of nothing": (lambda: density().mean(None), TypeError, "`function` must be callable, but is NoneType"),
    "mean of text": (lambda: density().mean(lambda x: "a"), TypeError, "`function` must be an array of real numbers, "),
    "mean of a sum": (lambda: density().mean(np.sum), ValueError, "`function` must return shape (4, 5), but returns s"),
    "along nothing": (lambda: hessian.along(None), TypeError, "`trajectory` must be a Trajectory, but is NoneType"),
    "along without N": (lambda: hessian.along(ode()), ValueError, "`N` must be given for a solution of the ODEs, whos"),
    "along at N too small": (lambda: hessian.along(ode(), N=2), ValueError, "`N` must be at least 3, but is 2"),
    "along no run": (lambda: hessian.along(sgd()), ValueError, "`run` must be one of 3 runs, but is None"),
    "along a fifth run of three": (lambda: hessian.along(sgd(), run=4), ValueError, "`run` must be one of 3 runs, but"),
    "along with a tolerance of text": (
        lambda: hessian.along(ode(), 20, tolerance="small"), TypeError, "`tolerance` must be a number, but is 'small' o"
    ),
    "compare nothing": (lambda: hessian.compare(None, 20), TypeError, "`model` must be a TeacherStudent, but is NoneT"),
    "compare at huge N": (lambda: hessian.compare(MODEL, 1e30), ValueError, "`N` must be at most 9007199254740992, bu"),
    "compare two signs": (lambda: hessian.compare(SIGNS, 20), ValueError, "`model` must have "),
    "compare at no rotation": (lambda: hessian.compare(MODEL, 20, 3.0), ValueError, "`rotation` must have shape (p, p"),
    "compare where all is zero": (
        lambda: hessian.compare(MODEL, 20, tolerance=1.0), ValueError, "`tolerance` must be at most 0.5, but is 1"
    ),
    "plateau of gradient flow of nothing": (
        lambda: hessian.gradient_flow_plateau(ode()), TypeError, "`model` must be a TeacherStudent, but is Trajectory"
    ),
    "convergence of nothing": (lambda: hessian.convergence(W), TypeError, "`model` must be a TeacherStudent, but is n"),
    "convergence backwards": (
        lambda: hessian.convergence(MODEL, 20, [3, 2]), ValueError, "`ratios` must be positive and strictly increasing,"
    ),
    "convergence at no ratio": (lambda: hessian.convergence(MODEL, 20, []), ValueError, "`ratios` must be positive an"),
    "convergence beyond memory": (
        lambda: hessian.convergence(MODEL, 10**6, [1e-6]), ValueError, "`N` must be small enough for this machine's mem"
    ),
    "convergence on samples beyond memory": (
        lambda: hessian.convergence(MODEL, 20, [1e20]), ValueError, "`ratios` must be small enough for this machine's m"
    ),
    "convergence of a negative seed": (
        lambda: hessian.convergence(MODEL, 20, [2], -1), ValueError, "`seed` must not be negative, but is -1"
    ),
    "separation of two samples": (
        lambda: hessian.separation(MODEL, 60, [0.0]), ValueError, "`ratios` must be positive and strictly increasing"
    ),
    "separation at small N": (lambda: hessian.separation(MODEL, 3), ValueError, "`N` must be well above "),
    "separation of nan": (lambda: hessian.separation(MODEL, 60, [np.nan]), ValueError, "`ratios` must be finite, but "),
    "gradient at no weights": (samples(W=[]), ValueError, "`W` must have shape (p, N) = (2, any), but has shape (0,)"),
    "gradient at weights of no columns": (samples(W=np.ones((2, 0))), ValueError, "`W` must have at least one column,"),
    "gradient on no rows": (samples(X=X[:0], y=Y[:0]), ValueError, "`X` must have shape (n, N) = (at least 1, 20), bu"),
    "gradient on flat rows": (samples(X=X[0]), ValueError, "`X` must have shape (n, N) = (at least 1, 20), but has sh"),
    "gradient on complex rows": (samples(X=X * 1j), TypeError, "`X` must be an array of real numbers, but is of type "),
    "gradient on rows with inf": (
        samples(X=np.where(X > 2, np.inf, X)), ValueError, "`X` must be finite, but has inf at index ("
    ),
    "gradient on masked rows": (samples(X=np.ma.masked_less(X, 0)), ValueError, "`X` must be an array without masked "),
    "gradient of too few labels": (samples(y=Y[:3]), ValueError, "`y` must have shape (n,) = (50,), but has shape (3,"),
    "gradient of labels in words": (samples(y=["a"] * 50), TypeError, "`y` must be an array of real numbers, but is l"),
    "gradient off the sphere": (
        samples(model=SPHERE, W=2 * W), ValueError, "`W` must have rows of squared norm N under the spherical constrain"
    ),
    "operator of no model": (samples("empirical_operator", model=0), TypeError, "`model` must be a TeacherStudent, bu"),
    "operator at another width": (samples("empirical_operator", W=W[:1]), ValueError, "`W` must have shape (p, N) = ("),
    "operator on text": (samples("empirical_operator", X="rows"), TypeError, "`X` must be an array of real numbers, b"),
    "spectrum on samples of nan": (samples("empirical_spectrum", y=Y * np.nan), ValueError, "`y` must be finite, but "),
    "spectrum on samples to a negative tolerance": (
        samples("empirical_spectrum", tolerance=-1), ValueError, "`tolerance` must be at least 0, but is -1"
    ),
    "modes of no point": (modes(overlaps=None), TypeError, "`overlaps` must be an Overlaps, but is NoneType"),
    "modes of no critical point": (modes(overlaps=START), ValueError, "`overlaps` must be a critical point, but has a"),
    "modes in families of numbers": (modes(families=[3]), TypeError, "`families` must be an iterable of Family, but i"),
    "modes in one number": (modes(families=3), TypeError, "`families` must be an iterable of Family, but is int"),
    "modes in a family of another width": (
        modes(families=[hessian.Family("a", np.ones((1, 3, 3)))]), ValueError, "`families` must have shape (any, 2, 3),"
    ),
    "modes in a family of slopes": (
        modes(families=[hessian.Family("a", np.ones((1, 2, 3)))]), ValueError, "`families` must hold zero modes, but 'a"
    ),
    "modes from a bad seed": (modes(rng="a"), TypeError, "`rng` must be a whole number, a numpy Generator, a SeedSequ"),
    "family without a name": (lambda: hessian.Family(3), TypeError, "`name` must be a str, but is int"),
    "family of flat directions": (
        lambda: hessian.Family("a", [1.0, 2.0]), ValueError, "`inside` must have shape (any, any, any), but has shape ("
    ),
    "family of text": (
        lambda: hessian.Family("a", (), "out"), TypeError, "`outside` must be an array of real numbers, but is 'out' of"
    ),
    "rotations of no model": (lambda: hessian.rotations(3, START), TypeError, "`model` must be a TeacherStudent, but "),
    "rotations of no point": (lambda: hessian.rotations(MODEL, W), TypeError, "`overlaps` must be an Overlaps, but is"),
    "population's gradient without a teacher": (
        lambda: hessian.population_gradient(MODEL, W, None), TypeError, "`W_star` must be an array of real numbers, but"
    ),
    "population's gradient at huge weights": (
        lambda: hessian.population_gradient(MODEL, 1e200 * W, W_STAR), ValueError, "`W` must be at most 1e+12 in size, "
    ),
    "population's operator at two dimensions": (
        lambda: hessian.population_operator(MODEL, W, W_STAR[:, :3]), ValueError, "`W_star` must have shape (p_star, N)"
    ),
    "population's operator off the sphere": (
        lambda: hessian.population_operator(SPHERE, 2 * W, W_STAR), ValueError, "`W` must have rows of squared norm N u"
    ),
    "population's spectrum at no N": (
        lambda: hessian.population_spectrum(MODEL, START, None), TypeError, "`N` must be a whole number, but is NoneTyp"
    ),
    "population's spectrum of another teacher": (
        lambda: hessian.population_spectrum(MODEL.replace(teacher_overlap=[[2.0]]), START, 20), ValueError,
        "`overlaps` must have the model's `teacher_overlap` as its P, but has another",
    ),
    "density of no operator": (
        lambda: hessian.spectral_density(Odd()), TypeError, "`operator` must be a LinearOperator or a matrix, but is Od"
    ),
    "density of an oblong": (
        lambda: hessian.spectral_density(np.ones((2, 3))), ValueError, "`operator` must be square, but has shape (2, 3)"
    ),
    "density of nothing": (
        lambda: hessian.spectral_density(np.ones((0, 0))), ValueError, "`operator` must be square, but has shape (0, 0)"
    ),
    "density of a skew matrix": (
        lambda: hessian.spectral_density([[0.0, 1.0], [-1.0, 0.0]] @ np.eye(2)), ValueError, "`operator` must be symmet"
    ),
    "density of nan": (
        lambda: hessian.spectral_density(np.eye(3) * np.nan), ValueError, "`operator` must be finite, but has nan at in"
    ),
    "density of an operator of nan": (
        lambda: hessian.spectral_density(LinearOperator((3, 3), matvec=lambda z: z * np.nan, dtype=float)), ValueError,
        "`operator` must have finite products, but has nan",
    ),
    "density of a complex operator": (
        lambda: hessian.spectral_density(LinearOperator((3, 3), matvec=lambda z: z * 1j, dtype=complex)), TypeError,
        "`operator` must have real products, but is of type complex128",
    ),
    "density in no steps": (lambda: hessian.spectral_density(np.eye(3), 0), ValueError, "`steps` must be at least 1, "),
    "density by too many probes": (
        lambda: hessian.spectral_density(np.eye(3), 3, 10**13), ValueError, "`steps` and `probes` must be small enough "
    ),
    "density of a masked matrix": (
        lambda: hessian.spectral_density(np.ma.masked_array(np.eye(2), mask=np.eye(2))), ValueError,
        "`operator` must be an array without masked entries",
    ),
    "density at masked places": (lambda: SPECTRUM.density(MASKED, 1), ValueError, "`x` must be an array without maske"),
}  # fmt: skip

"""Models, overlaps, ODEs and SGD."""

import dataclasses
import datetime
from fractions import Fraction

import numpy as np
import pandas

import tsode
from bad_inputs.things import MASKED, MODEL, OBJECTS, SPHERE, START, fluctuations
from tsode import activations, rules, schedules

SHIPPED, TEACHERS = (", ".join(map(repr, names)) for names in (activations.SHIPPED, activations.TEACHERS))
ROWS = np.ones((5, 20))
nan = float("nan")
HALVES = tsode.Inputs([1.5, 0.5], [1, 1])
ONE = tsode.Inputs([1.0, 2.0], [1, 0], [0, 1])
LINK = rules.Link(lambda a, b, c, d, e, f, g: a * g)
FULL = [START.M, START.M], [START.Q, START.Q], [START.P, 0 * START.P]


def make(**changes):
    return lambda: tsode.TeacherStudent(**{"p": 2, "p_star": 1, "learning_rate": 0.2, **changes})


def overlaps(M=((0.0,), (0.0,)), Q=((1.0, 0.0), (0.0, 1.0)), P=None):
    return lambda: tsode.Overlaps(M, Q, P)


def ode(model=MODEL, start=START, alpha=1.0, **options):
    return lambda: tsode.integrate(model, start, alpha, **options)


def best(alpha=1.0, **options):
    return lambda: tsode.optimal_schedule(MODEL, START, alpha, **options)


def sgd(model=MODEL, start=None, alpha=1.0, N=20, **options):
    return lambda: tsode.simulate(model, start, alpha, N=N, **{"engine": "weights", **options})


def coarse(model=MODEL, **options):
    return sgd(model, **{"engine": "diffusion", "step": 2.5, **options})


def kept():
    return tsode.simulate(MODEL, None, 1.0, N=20, engine="weights", keep_weights=True)


def other_state(**changes):
    state = {name: array for name, array in {**kept().state, **changes}.items() if array is not None}
    return dataclasses.replace(kept(), state=state)


def goes_on(model=MODEL, alpha=2.0, **options):
    return lambda: tsode.simulate(model, kept(), alpha, **options)


def many(models=(MODEL,), starts=START, alpha=1.0, **options):
    return lambda: tsode.simulate_many(models, starts, alpha, **{"N": 20, **options})


class Nameless(tsode.activations.Erf):
    name = ""


class Taken(tsode.activations.Quadratic):
    name = "erf"


class Forgetful(tsode.activations.Erf):
    name = "forgetful"

    def __init__(self, b):
        self._b = b


class ValueAlone(tsode.activations.Erf):
    name = "value alone"
    function = staticmethod(np.tanh)


CASES = {
    "width is text": (make(p="4"), TypeError, "`p` must be a whole number, but is '4' of type str"),
    "width is a bool": (make(p=True), TypeError, "`p` must be a whole number, but is True"),
    "width is broken": (make(p=2.5), ValueError, "`p` must be a whole number, but is 2.5"),
    "width is nan": (make(p=nan), ValueError, "`p` must be a whole number, but is nan"),
    "width is zero": (make(p=0), ValueError, "`p` must be at least 1, but is 0"),
    "teacher width negative": (make(p_star=-1), ValueError, "`p_star` must be at least 1, but is -1"),
    "fluctuations of momentum": (
        lambda: tsode.fluctuations(MODEL.replace(momentum=0.5), None, 1.0), ValueError,
        "`model` must have the rule 'gradient', a fixed readout and no momentum for fluctuations; take the spread of"
    ),
    "fluctuations of no rate": (
        lambda: tsode.fluctuations(MODEL.replace(learning_rate=[(0, 0.1), (1, 0.2)]), None, 1.0), ValueError,
        "`model` must have a constant learning rate here"
    ),
    "fluctuations of many units": (
        lambda: tsode.fluctuations(tsode.TeacherStudent(4, 2, 0.1, activation="tanh"), None, 1.0), ValueError,
        "`model` must have fewer units, or the square as activation, for fluctuations; take the spread of runs"
    ),
    "fluctuations from weights of no size": (
        lambda: tsode.fluctuations(MODEL, None, 1.0, 0.0), ValueError, "`scale` must be larger than 0, but is 0"
    ),
    "fluctuations at no N": (lambda: fluctuations().M_std(2), ValueError, "`N` must be at least 3, but is 2"),
    "band of no width": (lambda: fluctuations().loss_band(20, 0), ValueError, "`sigmas` must be larger than 0, but is"),
    "no runs drawn": (lambda: fluctuations().sample(2000, 0), ValueError, "`runs` must be at least 1, but is 0"),
    "an escape that is certain": (
        lambda: tsode.fluctuations(MODEL, tsode.Overlaps([[0.5], [0]], np.eye(2)), 1.0).escape_cdf(20, 0.1), ValueError,
        "`start` of the fluctuations must be None, or with M = 0, for the law of an escape"
    ),
    "floor from text": (lambda: tsode.stationary_fluctuations(MODEL, "a"), TypeError, "`start` must be an Overlaps, b"),
    "giant steps of batches": (
        lambda: tsode.giant_steps(MODEL.replace(batch_size=2), START, 3), ValueError,
        "`model` must have no batches, momentum, decay and average of its own for giant steps, but has"
    ),
    "no giant step": (lambda: tsode.giant_steps(MODEL, START, 0), ValueError, "`steps` must be at least 1, but is 0"),
    "giant steps of nothing": (
        lambda: tsode.giant_steps(MODEL, START, 3, 0.0), ValueError, "`samples` must be larger than 0, but is 0"
    ),
    "inputs of a word": (make(inputs="white"), TypeError, "`inputs` must be a tsode.Inputs or None, but is str"),
    "inputs of negative variance": (
        lambda: tsode.Inputs([1.0, -1.0], [1, 1]), ValueError, "`eigenvalues` must be numbers of at least 0"
    ),
    "inputs of no variance": (
        lambda: tsode.Inputs([0.0, 2.0], [1, 0], [0, 1]), ValueError, "`eigenvalues` must be larger than 0 in at least"
    ),
    "inputs with an empty block": (
        lambda: tsode.Inputs([1.0, 2.0], [1, 0]), ValueError, "in block 1 they are 0 and 0"
    ),
    "inputs with half a coordinate": (
        lambda: tsode.Inputs([1.0, 2.0], [1, 0], [0, 0.5]), ValueError, "`counts` must be whole numbers"
    ),
    "inputs with too many fractions": (
        lambda: tsode.Inputs([1.0], [1, 1]), ValueError, "`fractions` must have shape (B,) = (1,), but has shape (2,)"
    ),
    "spectrum that grows": (lambda: tsode.Inputs.power_law(-1, 3), ValueError, "`exponent` must be at least 0, but is"),
    "spikes without a bulk": (lambda: tsode.Inputs.spiked([2.0], 0), ValueError, "`bulk` must be larger than 0, but i"),
    "spectrum of one row": (lambda: tsode.Inputs.from_data(ROWS[:1], 2), ValueError, "`X` must have at least tw"),
    "spectrum of equal rows": (lambda: tsode.Inputs.from_data(ROWS, 2), ValueError, "`X` must have rows that differ"),
    "teacher that is not square": (
        lambda: HALVES.matched(np.ones((2, 2, 3)), [1, 1]), ValueError, "`P_blocks` must have shape (B, p_star, p_star)"
    ),
    "teacher of another number of units": (
        lambda: HALVES.matched(np.ones((2, 1, 1)), [1, 1]), ValueError, "`stored` must have shape (p_star,) = (1,), but"
    ),
    "variance below 0": (
        lambda: HALVES.matched(np.ones((2, 1, 1)), [-1]), ValueError, "`stored` must be numbers of at least 0"
    ),
    "sizes in few dimensions": (
        lambda: tsode.Inputs([1, 1], [1, 1]).sizes(1), ValueError, "`N` must be so large that every block of the inputs"
    ),
    "scales of no dimension": (lambda: tsode.Inputs([1], [1]).scales(0), ValueError, "`N` must be at least 1, but is"),
    "blocks of no inputs": (
        lambda: tsode.Overlaps.from_blocks(None, [START.M], [START.Q], [START.P]), TypeError,
        "`inputs` must be a tsode.Inputs, but is NoneType"
    ),
    "blocks too many": (
        lambda: tsode.Overlaps.from_blocks(HALVES, [START.M], [START.Q], [START.P]), ValueError,
        "`M` must have shape (B, p, p_star) = (2, any, any), but has shape (1, 2, 1)"
    ),
    "start without blocks": (ode(MODEL.replace(inputs=HALVES)), ValueError, "`start` must be overlaps for the model's"),
    "start with blocks": (
        ode(start=tsode.Overlaps.random(MODEL.replace(inputs=HALVES), 20, rng=0)), ValueError,
        "`start` must be overlaps for the model's `inputs`"
    ),
    "chain of more than a block has room for": (
        sgd(MODEL.replace(inputs=ONE), tsode.Overlaps.from_blocks(ONE, *FULL), engine="chain"), ValueError,
        "in a block of 1 coordinates overlaps must have at most this rank, but have more"
    ),
    "loss under nothing": (
        lambda: ode()().loss_under(None), TypeError, "`inputs` must be a tsode.Inputs, but is NoneType"
    ),
    "loss under inputs without blocks": (
        lambda: ode()().loss_under(HALVES), ValueError, "`model` must have inputs with blocks for a loss under others"
    ),
    "batch is empty": (make(batch_size=0), ValueError, "`batch_size` must be at least 1, but is 0"),
    "momentum of one": (make(momentum=1), ValueError, "`momentum` must be at most 0.999999, but is 1"),
    "averaging backwards": (make(averaging_rate=-1), ValueError, "`averaging_rate` must be at least 0, but is -1"),
    "average of a word": (make(averaging_rate="ema"), TypeError, "`averaging_rate` must be a number, but is 'ema'"),
    "average in a file": (
        make(averaging_rate={"name": "ema", "begin": 1.0}), TypeError, "`averaging_rate` must be a number, but is dict"
    ),
    "average of a foreign file": (
        lambda: tsode.TeacherStudent.from_dict({**MODEL.to_dict(), "averaging_rate": {"name": "ema"}}), ValueError,
        "`averaging_rate` must be a number or a uniform average with its `begin`, but is"
    ),
    "average from no time": (
        lambda: tsode.averaging.UniformAverage(None), TypeError, "`begin` must be a number, but is NoneType"
    ),
    "no room for the average": (
        sgd(MODEL.replace(averaging_rate=0.5), N=MODEL.p + MODEL.p_star, engine="chain"), ValueError,
        "`N` must be at least"
    ),
    "giant steps of an average": (
        lambda: tsode.giant_steps(MODEL.replace(averaging_rate=0.5), START, 3), ValueError,
        "`model` must have no batches, momentum, decay and average of its own for giant steps, but has"
    ),
    "average of other times": (
        lambda: tsode.Trajectory(
            MODEL, [0.0], START.M[None], START.Q[None], "completed", 0.0, averaged=ode()()
        ), ValueError, "`averaged` must have overlaps of shape (1, "
    ),
    "decay upwards": (make(weight_decay=-0.1), ValueError, "`weight_decay` must be at least 0, but is -0.1"),
    "readout decays upwards": (make(readout_decay=-1), ValueError, "`readout_decay` must be at least 0, but is -1"),
    "readout learns backwards": (
        make(readout_learning_rate=-0.1), ValueError, "`readout_learning_rate` must be at least 0, but is -0.1"
    ),
    "decay of more than all": (
        sgd(MODEL.replace(weight_decay=30.0)), ValueError, "`N` must be larger than the rates of decay, but is 20"
    ),
    "no room for the velocity": (
        sgd(MODEL.replace(momentum=0.5), N=MODEL.p + MODEL.p_star, engine="chain"), ValueError,
        "`N` must be at least"
    ),
    "readout of other times": (
        lambda: tsode.Trajectory(
            MODEL.replace(readout_learning_rate=0.1), [0.0], START.M[None], START.Q[None], "completed", 0.0
        ), ValueError, "`scalars` must have shape (1, "
    ),
    "activation is unknown": (
        make(activation="cube"), ValueError, f"`activation` must be one of {SHIPPED}, but is 'cube'"
    ),
    "activation is a number": (make(activation=2), TypeError, f"`activation` must be one of {SHIPPED}, but is int"),
    "teacher activation is unknown": (
        make(teacher_activation="sine"), ValueError, f"`teacher_activation` must be one of {TEACHERS}, but is 'sine'"
    ),
    "activation without a name": (make(activation=Nameless()), ValueError, "`activation` must have a `name`"),
    "activation with another's name": (make(activation=Taken()), ValueError, "`activation` must have a `name`"),
    "activation that loses a parameter": (
        make(activation=Forgetful(2.0)), ValueError, "`activation` must be made again by its `parameters`"
    ),
    "activation without a slope": (
        make(activation=ValueAlone()), ValueError, "`activation` must have a `function` that returns value and slope"
    ),
    "dict of no model": (
        lambda: tsode.TeacherStudent.from_dict({"p": 2}), ValueError, "`parameters` must be those of a model, but name"
    ),
    "rule is unknown": (make(rule="magic"), ValueError, "`rule` must be one of 'gradient', 'logistic',"),
    "rule is a number": (make(rule=3), TypeError, "`rule` must be one of 'gradient', 'logistic',"),
    "rule of a dict is unknown": (make(rule={"name": "magic"}), ValueError, "`rule` must be one of 'gradient',"),
    "label is unknown": (lambda: rules.Logistic("warm"), ValueError, "`label` must be one of 'soft', 'hard', 'berno"),
    "temperature is zero": (lambda: rules.Logistic("soft", 0), ValueError, "`temperature` must be larger than 0, but"),
    "link is no function": (lambda: rules.Link(3.0), TypeError, "`function` must be a function of p_star numbers, but"),
    "link of any number": (lambda: rules.Link(lambda *mu: mu[0]), TypeError, "`function` must have a fixed number of"),
    "link is constant": (lambda: rules.Link(lambda a, b: 1.0), TypeError, "`function` must depend on its arguments"),
    "link with a choice": (lambda: rules.Link(lambda a: a if a > 0 else 0), TypeError, "`function` must choose by"),
    "link of a word": (lambda: rules.Link(lambda a: a, "hinge"), TypeError, "`loss` must be a loss of the output, but"),
    "link with a kink": (lambda: rules.Link(lambda a: a, kinks=0.0), ValueError, "`kinks` must have shape (n,) = ("),
    "link of other rows": (
        lambda: tsode.simulate(MODEL.replace(rule=LINK), None, 1.0, N=20),
        ValueError, "`p_star` must be the number of arguments of the link, 7, but is"
    ),
    "margin is negative": (lambda: rules.Hinge(-1), ValueError, "`margin` must be at least 0, but is -1"),
    "threshold is zero": (lambda: rules.Huber(0), ValueError, "`threshold` must be larger than 0, but is 0"),
    "norm is zero": (lambda: rules.Clipped(rules.Gradient(), 0), ValueError, "`norm` must be larger than 0, but is 0"),
    "clipped name": (lambda: rules.Clipped("hinge", 1), TypeError, "`rule` must be a Rule, but is str"),
    "offset is negative": (
        lambda: rules.Normalised(rules.Gradient(), -1), ValueError, "`offset` must be at least 0, but is -1"
    ),
    "student is a sign": (make(activation=activations.Sign()), ValueError, "`activation` must have a slope that is"),
    **{
        f"{name} of another width": (
            lambda name=name: getattr(MODEL, name)(np.zeros((7, 1)), np.eye(7)),
            ValueError,
            "`M` must have shape (..., 2, 1), but has (7, 1)",
        )
        for name in ("excess_loss", "loss_slopes", "loss_curvature")
    },
    "rate is zero": (make(learning_rate=0), ValueError, "`learning_rate` must be larger than 0, but is 0"),
    "rate is nan": (make(learning_rate=nan), ValueError, "`learning_rate` must be finite, but is nan"),
    "rates without times": (make(learning_rate=[0.1, 0.2]), ValueError, "`learning_rate` must have shape (n, 2) = (an"),
    "rates at no time": (make(learning_rate=np.empty((0, 2))), ValueError, "`learning_rate` must hold at least one pa"),
    "rates backwards": (make(learning_rate=[(1, 0.2), (0, 0.1)]), ValueError, "`learning_rate` must have increasing t"),
    "rates of text": (make(learning_rate=["a", "b"]), TypeError, "`learning_rate` must be an array of real numbers, b"),
    "rates with zero": (make(learning_rate=[(0, 0.2), (1, 0)]), ValueError, "`learning_rate` must be larger than 0 at"),
    "rate is a function that raises": (
        make(learning_rate=lambda alpha: alpha["t"]), TypeError, "`learning_rate` must be a function of the time alpha"
    ),
    "rate is a function to text": (
        make(learning_rate=lambda alpha: "a"), TypeError, "`learning_rate` must be a function of the time alpha, but wi"
    ),
    "rate is zero at all times": (make(learning_rate=lambda alpha: 0.0), ValueError, "`learning_rate` must be larger"),
    "rate falls below zero": (
        lambda: tsode.integrate(MODEL.replace(learning_rate=lambda alpha: 0.1 - alpha), START, 1.0), ValueError,
        "`learning_rate` must be finite and not negative at all times, but is -",
    ),
    "sgd at a rate that falls below zero": (
        sgd(MODEL.replace(learning_rate=lambda alpha: 0.1 - alpha)), ValueError, "`learning_rate` must be finite and no"
    ),
    "rate of a file's name": (
        lambda: MODEL.from_dict({**MODEL.to_dict(), "learning_rate": {"name": "step"}}), ValueError,
        "`learning_rate` must be one of 'table', 'power law', 'cosine', 'warm-up', 'function', but is 'step'",
    ),
    "rate of a file without parameters": (
        lambda: MODEL.from_dict({**MODEL.to_dict(), "learning_rate": {"name": "cosine", "final": 0.1}}), ValueError,
        "`learning_rate` must have the parameters of Cosine, but has final",
    ),
    "power law that grows": (lambda: schedules.PowerLaw(1.0, -1.0, 1.0), ValueError, "`exponent` must be at least 0,"),
    "power law from a time on": (lambda: schedules.PowerLaw(1.0, 1.0, 0), ValueError, "`scale` must be larger than 0,"),
    "cosine of no length": (lambda: schedules.Cosine(1.0, 0.0), ValueError, "`duration` must be larger than 0, but is"),
    "warm-up to a table": (
        lambda: schedules.WarmUp([(0, 0.1)], 1.0), ValueError, "`learning_rate` must be without jumps after a warm-up, "
    ),
    "function that is none": (lambda: schedules.Function(3), TypeError, "`learning_rate` must be a function of alpha,"),
    "rate at a time of text": (lambda: MODEL.at("now"), TypeError, "`alpha` must be a number, but is 'now' of type st"),
    "rate where it is zero": (
        lambda: MODEL.replace(learning_rate=schedules.WarmUp(0.1, 1.0)).at(0), ValueError,
        "`learning_rate` must be larger than 0, but is 0",
    ),
    "best rates of no model": (
        lambda: tsode.optimal_schedule(None, START, 1.0), TypeError, "`model` must be a TeacherStudent, but is NoneType"
    ),
    "best rates at one time": (best([1.0]), ValueError, "`alpha` must hold at least two times, but holds 1"),
    "best rates between none": (best(bounds=(1, 1)), ValueError, "`bounds` must be increasing and larger than 0, but"),
    "best rates of three bounds": (best(bounds=(1, 2, 3)), ValueError, "`bounds` must have shape (2,), but has shape"),
    "best rates for nothing": (best([0, 1], weights=[1, 0]), ValueError, "`weights` must not be negative, and not all"),
    "best rates for losses": (best([0, 1], weights=[2, -1]), ValueError, "`weights` must not be negative, and not all"),
    "best rates of averages by NumPy": (
        lambda: tsode.optimal_schedule(MODEL.replace(activation="relu", teacher_activation="erf"), START, 1.0),
        ValueError, "`model` must have activations with compiled averages and the rule",
    ),
    "derivatives at rates that change between the times": (
        lambda: tsode.gradient(MODEL.replace(learning_rate=[(0, 0.1), (0.5, 0.2)]), START, [0, 1]), ValueError,
        "`learning_rates` must be given, or `alpha` hold all times at which the learning rate changes: it is Table",
    ),
    "rate is None": (make(learning_rate=None), TypeError, "`learning_rate` must be a number, but is NoneType"),
    "rate is complex": (make(learning_rate=1j), TypeError, "`learning_rate` must be a number, but is complex"),
    "noise is negative": (make(noise_variance=-0.1), ValueError, "`noise_variance` must be at least 0, but is -0.1"),
    "noise is infinite": (make(noise_variance=np.inf), ValueError, "`noise_variance` must be finite, but is inf"),
    "readout has a wrong length": (
        make(student_readout=[1, 2, 3]), ValueError, "`student_readout` must have shape (p,) = (2,), but has shape (3,)"
    ),
    "readout is text": (make(student_readout=["a", "b"]), TypeError, "`student_readout` must be an array of real"),
    "readout has nan": (make(teacher_readout=[nan]), ValueError, "`teacher_readout` must be finite, but has nan at"),
    "readout is complex": (make(teacher_readout=[1j]), TypeError, "`teacher_readout` must be an array of real numbers"),
    "P has a wrong shape": (
        make(teacher_overlap=np.eye(2)), ValueError,
        "`teacher_overlap` must have shape (p_star, p_star) = (1, 1), but has shape (2, 2)",
    ),
    "P is skew": (
        make(p_star=2, teacher_overlap=[[1, 0.5], [0, 1]]), ValueError, "`teacher_overlap` must be symmetric, but"
    ),
    "P is indefinite": (
        make(teacher_overlap=[[-1.0]]), ValueError,
        "`teacher_overlap` must be positive semidefinite, but has the eigenvalue -1",
    ),
    "constraint is unknown": (
        make(constraint="cubic"), ValueError, "`constraint` must be one of 'free', 'spherical', but is 'cubic'"
    ),
    "constraint is a number": (make(constraint=1), TypeError, "`constraint` must be one of 'free', 'spherical', but"),
    "replace to nonsense": (lambda: MODEL.replace(p=0), ValueError, "`p` must be at least 1, but is 0"),
    "M is flat": (overlaps(M=[0.0, 0.0]), ValueError, "`M` must have shape (p, p_star) = (2, any), but has shape (2,)"),
    "M has a wrong height": (
        overlaps(M=[[0.0]]), ValueError, "`M` must have shape (p, p_star) = (2, any), but has shape (1, 1)"
    ),
    "M has nan": (overlaps(M=[[0.0], [nan]]), ValueError, "`M` must be finite, but has nan at index (1, 0)"),
    "Q is not square": (overlaps(Q=[[1.0, 0.0]]), ValueError, "`Q` must be square, but has shape (1, 2)"),
    "Q is skew": (overlaps(Q=[[1, 0.5], [0.1, 1]]), ValueError, "`Q` must be symmetric, but differs from its"),
    "Q is ragged": (overlaps(Q=[[1, 0.5], [0.1]]), TypeError, "`Q` must be an array of real numbers, but is list"),
    "P has a wrong width": (
        overlaps(P=np.eye(2)), ValueError, "`P` must have shape (p_star, p_star) = (1, 1), but has shape (2, 2)"
    ),
    "no weights have these": (
        overlaps(M=[[2.0], [0.0]]), ValueError,
        "the joint overlap matrix [[`Q`, `M`], [`M`^T, `P`]] must be positive semidefinite, but has the eigenvalue -1",
    ),
    "weights are flat": (
        lambda: tsode.Overlaps.from_weights(np.ones(4), np.ones((1, 4))), ValueError, "`W` must have shape (p, N)"
    ),
    "weights of two dimensions": (
        lambda: tsode.Overlaps.from_weights(np.ones((2, 4)), np.ones((1, 5))), ValueError,
        "`W_star` must have shape (p_star, N) = (any, 4), but has shape (1, 5)",
    ),
    "random in too few dimensions": (
        lambda: tsode.Overlaps.random(MODEL, 2), ValueError, "`N` must be at least 3, but is 2"
    ),
    "random of no scale": (
        lambda: tsode.Overlaps.random(MODEL, 20, scale=0), ValueError, "`scale` must be larger than 0, but is 0"
    ),
    "random from text": (
        lambda: tsode.Overlaps.random(MODEL, 20, rng="a"), TypeError, "`rng` must be a whole number, a numpy Generator"
    ),
    "realise in too few dimensions": (lambda: START.realise(2), ValueError, "`N` must be at least 3, but is 2"),
    "realise at a broken dimension": (lambda: START.realise(3.5), ValueError, "`N` must be a whole number, but is 3.5"),
    "ode of no model": (ode(model="x"), TypeError, "`model` must be a TeacherStudent, but is str"),
    "ode from no start": (ode(start=None), TypeError, "`start` must be an Overlaps, but is NoneType"),
    "ode from another width": (
        ode(start=tsode.Overlaps(np.zeros((3, 1)), np.eye(3))), ValueError,
        "`start` must have widths (p, p_star) = (2, 1), but has (3, 1)",
    ),
    "ode from another teacher": (
        ode(start=tsode.Overlaps(np.zeros((2, 1)), np.eye(2), [[2.0]])), ValueError,
        "`start` must have the model's `teacher_overlap` as its P, but has another",
    ),
    "ode off the sphere": (
        ode(model=SPHERE, start=tsode.Overlaps(np.zeros((2, 1)), 2 * np.eye(2))), ValueError,
        "`start` must have Q_kk = 1 under the spherical constraint, but has 2",
    ),
    "times unsorted": (ode(alpha=[0, 2, 1]), ValueError, "`alpha` must be strictly increasing, but goes from 2 to 1"),
    "times repeated": (ode(alpha=[0, 1, 1]), ValueError, "`alpha` must be strictly increasing, but goes from 1 to 1"),
    "times negative": (ode(alpha=[-1, 1]), ValueError, "`alpha` must not be negative, but starts at -1"),
    "times empty": (ode(alpha=[]), ValueError, "`alpha` must hold at least one time, but is empty"),
    "times nan": (ode(alpha=[0, nan]), ValueError, "`alpha` must be finite, but has nan at index (1,)"),
    "times text": (ode(alpha="later"), TypeError, "`alpha` must be an array of real numbers, but is 'later'"),
    "time zero": (ode(alpha=0), ValueError, "`alpha` must be larger than 0, but is 0"),
    "times in a matrix": (ode(alpha=[[0, 1]]), ValueError, "`alpha` must have shape (T,) = (any,), but"),
    "method unknown": (ode(method="Euler"), ValueError, "`method` must be one of 'RK45', 'RK23', 'DOP853', 'Radau'"),
    "method None": (ode(method=None), TypeError, "`method` must be one of 'RK45', 'RK23'"),
    "rtol zero": (ode(rtol=0), ValueError, "`rtol` must be larger than 0, but is 0"),
    "atol negative": (ode(atol=-1), ValueError, "`atol` must be larger than 0, but is -1"),
    "atol zero, with which zeros are never right": (ode(atol=0), ValueError, "`atol` must be larger than 0, but is 0"),
    "gradient_flow a number": (ode(gradient_flow=1), TypeError, "`gradient_flow` must be True or False, but is int"),
    "sgd of no model": (sgd(model=None), TypeError, "`model` must be a TeacherStudent, but is NoneType"),
    "sgd in too few dimensions": (sgd(N=2), ValueError, "`N` must be at least 3, but is 2"),
    "sgd at infinite N": (sgd(N=np.inf), ValueError, "`N` must be a whole number, but is inf"),
    "sgd from a matrix": (sgd(start=np.eye(2)), TypeError, "`start` must be an Overlaps, a tuple (W, W_star) or None"),
    "sgd from wrong weights": (
        sgd(start=(np.ones((2, 20)), np.ones((2, 20)))), ValueError,
        "`start[1]` must have shape (p_star, N) = (1, 20), but has shape (2, 20)",
    ),
    "sgd from another teacher": (
        sgd(start=(np.ones((2, 20)), 3 * np.ones((1, 20)))), ValueError,
        "`start` must have the model's `teacher_overlap` as its P, but has another",
    ),
    "no runs": (sgd(runs=0), ValueError, "`runs` must be at least 1, but is 0"),
    "seed negative": (sgd(seed=-1), ValueError, "`seed` must not be negative, but is -1"),
    "seed broken": (sgd(seed=1.5), TypeError, "`seed` must be a whole number, a numpy Generator"),
    "engine unknown": (sgd(engine="steam"), ValueError, "`engine` must be one of "),
    "engine None": (sgd(engine=None), TypeError, "`engine` must be one of "),
    "step of the chain": (sgd(engine="chain", step=0.25), ValueError, "`step` must be None for the engine 'chain', "),
    "step of few samples": (coarse(step=2.0), ValueError, "`step` must be at least 50 samples, 2.5 at N = 20, but is"),
    "step of nothing": (coarse(step=0.0), ValueError, "`step` must be larger than 0, but is 0"),
    "step of a word": (coarse(step="long"), TypeError, "`step` must be a number, but is 'long' of type str"),
    "coarse steps of other inputs": (
        coarse(inputs="uniform"), ValueError, "`inputs` must be 'gaussian' for the engine 'diffusion', but is uniform"
    ),
    "coarse steps of batches": (
        coarse(MODEL.replace(batch_size=2)), ValueError, "`model` must have isotropic inputs, a fixed readout, batches"
    ),
    "coarse steps of hinges": (
        coarse(MODEL.replace(rule="hinge")), ValueError, "`model` must have a rule and activations whose averages are"
    ),
    "precision unknown": (sgd(precision="half"), ValueError, "`precision` must be one of 'double', 'single', but is "),
    "precision None": (sgd(precision=None), TypeError, "`precision` must be one of "),
    "precision of the chain": (
        sgd(engine="chain", precision="single"), ValueError, "`precision` must be 'double' for the engine 'chain', but"
    ),
    "inputs unknown": (
        sgd(inputs="cauchy"), ValueError, "`inputs` must be one of 'gaussian', 'rademacher', 'uniform', but is 'cauchy'"
    ),
    "inputs a number": (sgd(inputs=3), TypeError, "`inputs` must be the name of a law or rows of numbers, but is int"),
    "inputs of a wrong width": (
        sgd(inputs=ROWS[:, :7]), ValueError, "`inputs` must have shape (n, N) = (any, 20), but has shape (5, 7)"
    ),
    "inputs with nan": (sgd(inputs=ROWS * nan), ValueError, "`inputs` must be finite, but has nan at index (0, 0)"),
    "row of a wrong width": (
        sgd(inputs=iter([np.ones(3)])), ValueError,
        "`inputs` must have shape (N,) in each row = (20,), but has shape (3,)",
    ),
    "rows for many runs": (sgd(inputs=ROWS, runs=2), ValueError, "`runs` must be 1 with rows as `inputs`"),
    "until text": (sgd(until="escape"), TypeError, "`until` must be a number, a function of (M, Q) or None, but"),
    "until a loss below zero": (ode(until=-1), ValueError, "`until` must be larger than 0, but is -1"),
    "until of one answer": (
        sgd(until=lambda M, Q: True), ValueError, "`until` must return a truth value for each run, shape (1,), but ret"
    ),
    "until of numbers": (
        ode(until=lambda M, Q: M[:, 0, 0]), ValueError, "`until` must return a truth value for each run, shape (201,),"
    ),
    "escaped at zero": (lambda: tsode.escaped(0.0), ValueError, "`threshold` must be larger than 0, but is 0"),
    "observables in a list": (sgd(observables=[len]), TypeError, "`observables` must be a dict of name to function"),
    "observable of a number for a name": (sgd(observables={1: len}), TypeError, "`observables` must be a dict of name"),
    "observable named as what is there": (
        sgd(observables={"loss": len}), ValueError, "`observables` must not be named as what is recorded in any case, b"
    ),
    "observable no function": (sgd(observables={"a": 1}), TypeError, "`observables` must be functions, but 'a' is int"),
    "observable of all runs": (
        sgd(observables={"a": lambda M, Q: M.sum()}), ValueError,
        "`observables` must return real numbers with an axis of 1 runs first, but 'a' returned float64 of shape ()",
    ),
    "observable of weights that are none": (
        sgd(engine="chain", observables={"a": tsode.of_weights(len)}), ValueError,
        "`observables` must be functions of (M, Q) for the engine 'chain', but 'a' is one of the weights",
    ),
    "observable in text": (lambda: tsode.of_weights("W"), TypeError, "`function` must be a function of (W, W_star)"),
    "weights of the chain kept": (
        sgd(engine="chain", keep_weights=True), ValueError, "`keep_weights` must be False for the engine 'chain'"
    ),
    "weights kept a number": (sgd(keep_weights=1), TypeError, "`keep_weights` must be True or False, but is int"),
    "path a number": (sgd(path=3), TypeError, "`path` must be a path, but is int"),
    "path of a figure": (sgd(path="run.png"), ValueError, "`path` must end in .npz, or have no suffix, but ends in"),
    "go on with the ODE": (
        lambda: tsode.simulate(MODEL, tsode.integrate(MODEL, START, 1.0), 2.0), ValueError,
        "`start` must be what `simulate` returned to be continued, of the engine 'weights' with keep_weights=True, but",
    ),
    "go on with another model": (
        goes_on(model=MODEL.replace(learning_rate=0.1)), ValueError, "`model` must be that of the trajectory `start`"
    ),
    "go on to the past": (goes_on(alpha=0.5), ValueError, "`alpha` must be larger than 1, but is 0.5"),
    "go on between the times": (
        goes_on(alpha=[0.5001, 2.0]), ValueError, "`alpha` must be later than the end of the trajectory `start` at 1"
    ),
    "go on in more dimensions": (goes_on(N=21), ValueError, "`N` must be left out or that of the trajectory `start`"),
    "go on from another seed": (goes_on(seed=3), ValueError, "`seed` must be left out or that of the trajectory"),
    "go on with another law": (goes_on(inputs="uniform"), ValueError, "`inputs` must be left out or that of the tra"),
    "go on from half a state": (
        lambda: tsode.simulate(MODEL, other_state(step=None), 2.0), ValueError, "`state` must hold 'step' of shape (1,)"
    ),
    "go on before the beginning": (
        lambda: tsode.simulate(MODEL, other_state(step=np.array([-2])), 2.0), ValueError,
        "`state` must hold whole numbers of samples, 'step', as `simulate` makes it",
    ),
    "go on with other weights": (
        lambda: tsode.simulate(MODEL, other_state(W=np.zeros((1, 2))), 2.0), ValueError,
        "`start` must be a trajectory as `simulate` made it, but 'W' of its `state` is not",
    ),
    "many runs of no model": (many(models=()), ValueError, "`models` must be at least one, with a start, but are none"),
    "many runs of text": (many(models="models"), TypeError, "`models` must be a TeacherStudent, but is str"),
    "many runs from few starts": (
        many(models=[MODEL] * 3, starts=[START] * 2), ValueError, "`starts` must be one or as many as `models` (3), but"
    ),
    "many runs from a matrix": (many(starts=np.eye(2)), TypeError, "`starts` must be an Overlaps, a tuple (W, W_star)"),
    "many runs on rows": (
        many(engine="weights", inputs=ROWS), TypeError, "`inputs` must be the name of a law for many models, but is"
    ),
    "progress a number": (sgd(progress=1), TypeError, "`progress` must be True or False, but is int"),
    "width of a list": (make(p=[2]), TypeError, "`p` must be a whole number, but is list of int"),
    "width without end": (make(p=np.inf), ValueError, "`p` must be a whole number, but is inf"),
    "width beyond floats": (make(p=10**400), ValueError, "`p` must be at most 9007199254740992, but is about 1e400"),
    "width beyond memory": (make(p=10**7), ValueError, "`p` and `p_star` must be small enough for this machine's mem"),
    "width of seconds": (make(p=np.timedelta64(3, "s")), TypeError, "`p` must be a whole number, but is timedelta64"),
    "width of an array": (make(p=np.array([2])), TypeError, "`p` must be a whole number, but is ndarray of int64"),
    "teacher width of bytes": (make(p_star=b"1"), TypeError, "`p_star` must be a whole number, but is bytes"),
    "rate beyond floats": (make(learning_rate=10**400), ValueError, "`learning_rate` must be at most 1e+30, but is ab"),
    "rate too large": (make(learning_rate=1e200), ValueError, "`learning_rate` must be at most 1e+30, but is 1e+200"),
    "rate too small": (make(learning_rate=1e-320), ValueError, "`learning_rate` must be at least 1e-30, but is 9.99"),
    "rate is a date": (
        make(learning_rate=datetime.date(2026, 1, 1)), TypeError, "`learning_rate` must be a number, but is date"
    ),
    "rate is a negative fraction": (
        make(learning_rate=Fraction(-1, 2)), ValueError, "`learning_rate` must be larger than 0, but is -0.5"
    ),
    "noise is true": (make(noise_variance=True), TypeError, "`noise_variance` must be a number, but is True of type b"),
    "readout has a mask": (
        make(student_readout=MASKED), ValueError, "`student_readout` must be an array without masked entries, but has"
    ),
    "readout of objects": (
        make(teacher_readout=OBJECTS), TypeError, "`teacher_readout` must be an array of real numbers, but is ndarray"
    ),
    "readout of figures in text": (
        make(student_readout=["1", "2"]), TypeError, "`student_readout` must be an array of real numbers, but is list o"
    ),
    "readout of truths": (
        make(student_readout=[True, False]), TypeError, "`student_readout` must be an array of real numbers, but is lis"
    ),
    "readout beyond floats": (
        make(student_readout=[10**400, 1]), ValueError, "`student_readout` must be finite as floats, but has a whole nu"
    ),
    "readout too large": (
        make(student_readout=[1e31, 1]), ValueError,
        "`student_readout` must be at most 1e+30 in size, but has 1e+31 at index (0,)",
    ),
    "readout of dates": (
        make(teacher_readout=pandas.Series(pandas.to_datetime(["2026-01-01"]))), TypeError,
        "`teacher_readout` must be an array of real numbers, but is Series",
    ),
    "readout of a generator": (
        make(teacher_readout=(x for x in [1.0])), TypeError, "`teacher_readout` must be an array of real numbers, but i"
    ),
    "P of a table too long": (
        make(teacher_overlap=pandas.DataFrame({"a": [1.0, 2.0]})), ValueError,
        "`teacher_overlap` must have shape (p_star, p_star) = (1, 1), but has shape (2, 1)",
    ),
    "constraint in bytes": (make(constraint=b"free"), TypeError, "`constraint` must be one of 'free', 'spherical'"),
    "replace what is not there": (
        lambda: MODEL.replace(width=3), TypeError, "`changes` must name some of p, p_star, learning_rate, "
    ),
    "replace to text": (
        lambda: MODEL.replace(learning_rate="fast"), TypeError, "`learning_rate` must be a number, but is 'fast'"
    ),
    "M is empty": (overlaps(M=np.zeros((2, 0))), ValueError, "`M` must have at least one row and one column, but has"),
    "all is empty": (
        overlaps(M=np.zeros((0, 1)), Q=np.zeros((0, 0))), ValueError, "`M` must have at least one row and one column"
    ),
    "M is masked": (
        overlaps(M=np.ma.masked_greater([[0.0], [1.0]], 0.5)), ValueError, "`M` must be an array without masked entries"
    ),
    "M is a word": (overlaps(M="M"), TypeError, "`M` must be an array of real numbers, but is 'M' of type str"),
    "Q is too large": (overlaps(Q=1e200 * np.eye(2)), ValueError, "`Q` must be at most 1e+30 in size, but has 1e+200"),
    "Q has inf": (overlaps(Q=np.diag([np.inf, 1])), ValueError, "`Q` must be finite, but has inf at index (0, 0)"),
    "Q is complex": (overlaps(Q=np.eye(2) * 1j), TypeError, "`Q` must be an array of real numbers, but is complex"),
    "weights without end": (
        lambda: tsode.Overlaps.from_weights(np.full((1, 3), np.inf), np.ones((1, 3))), ValueError,
        "`W` must be finite, but has inf at index (0, 0)",
    ),
    "weights without columns": (
        lambda: tsode.Overlaps.from_weights(np.ones((2, 0)), np.ones((1, 0))), ValueError,
        "`W` must have at least one row and one column, but has shape (2, 0)",
    ),
    "weights too large": (
        lambda: tsode.Overlaps.from_weights(np.ones((2, 4)), np.full((1, 4), 1e13)), ValueError,
        "`W_star` must be at most 1e+12 in size, but has 1e+13",
    ),
    "random of no model": (
        lambda: tsode.Overlaps.random(None, 20), TypeError, "`model` must be a TeacherStudent, but is NoneType"
    ),
    "random in huge dimensions": (
        lambda: tsode.Overlaps.random(MODEL, 1e30), ValueError, "`N` must be at most 9007199254740992, but is about 1e3"
    ),
    "random of a huge scale": (
        lambda: tsode.Overlaps.random(MODEL, 20, scale=1e20), ValueError, "`scale` must be at most 1e+12, but is 1e+20"
    ),
    "random from a negative seed": (
        lambda: tsode.Overlaps.random(MODEL, 20, rng=-(10**400)), ValueError, "`rng` must not be negative, but is about"
    ),
    "random from an old generator": (
        lambda: tsode.Overlaps.random(MODEL, 20, rng=np.random.RandomState(0)), TypeError,
        "`rng` must be a whole number, a numpy Generator, a SeedSequence or None, but is RandomState",
    ),
    "realise beyond memory": (
        lambda: START.realise(10**14), ValueError, "`N` must be small enough for this machine's memory of "
    ),
    "ode of a class": (ode(model=tsode.TeacherStudent), TypeError, "`model` must be a TeacherStudent, but is type"),
    "time of text in a list": (ode(alpha=["1"]), TypeError, "`alpha` must be an array of real numbers, but is list of"),
    "time true": (ode(alpha=True), TypeError, "`alpha` must be a number, but is True of type bool"),
    "time without end": (ode(alpha=np.inf), ValueError, "`alpha` must be finite, but is inf"),
    "time in seconds": (ode(alpha=np.timedelta64(3, "s")), TypeError, "`alpha` must be an array of real numbers, but "),
    "time beyond floats": (ode(alpha=10**400), ValueError, "`alpha` must be at most 1e+30, but is about 1e400"),
    "rtol of everything": (ode(rtol=2), ValueError, "`rtol` must be at most 1, but is 2"),
    "rtol nan": (ode(rtol=nan), ValueError, "`rtol` must be finite, but is nan"),
    "atol text": (ode(atol="1e-8"), TypeError, "`atol` must be a number, but is '1e-8' of type str"),
    "many of no model": (
        lambda: tsode.integrate_many([MODEL, None], START, 1.0), TypeError, "`models` must be a TeacherStudent, but is "
    ),
    "many from no start": (
        lambda: tsode.integrate_many(MODEL, [START, 3], 1.0), TypeError, "`starts` must be an Overlaps, but is int"
    ),
    "many and few": (
        lambda: tsode.integrate_many([MODEL] * 3, [START] * 2, 1.0), ValueError,
        "`starts` must be one or as many as `models` (3), but are 2",
    ),
    "many by no method": (
        lambda: tsode.integrate_many(MODEL, START, 1.0, method="Euler"), ValueError, "`method` must be one of 'RK45',"
    ),
    "many backwards": (
        lambda: tsode.integrate_many(MODEL, START, [2, 1]), ValueError, "`alpha` must be strictly increasing, but goes"
    ),
    "derivatives at one time": (
        lambda: tsode.gradient(MODEL, START, [1.0]), ValueError, "`alpha` must hold at least two times, but holds 1"
    ),
    "derivatives of too few rates": (
        lambda: tsode.gradient(MODEL, START, [0, 1, 2], [0.1]), ValueError,
        "`learning_rates` must have shape (T - 1,) = (2,), but has shape (1,)",
    ),
    "derivatives of a rate below zero": (
        lambda: tsode.gradient(MODEL, START, [0, 1], [-0.1]), ValueError, "`learning_rates` must be larger than 0, but"
    ),
    "sgd of more samples than can be counted": (
        sgd(alpha=1e20), ValueError, "`alpha` must be at most 4.5e+14 at N = 20, but is 1e+20"
    ),
    "sgd of more runs than memory": (
        sgd(runs=10**12), ValueError, "`runs`, `alpha` and the model must be small enough for this machine's memory of"
    ),
    "sgd of more weights than memory": (sgd(N=10**14), ValueError, "`N` must be small enough for this machine's memor"),
    "runs true": (sgd(runs=True), TypeError, "`runs` must be a whole number, but is True of type bool"),
    "seed in a list": (sgd(seed=[1, 2]), TypeError, "`seed` must be a whole number, a numpy Generator, a SeedSequence"),
    "seed true": (sgd(seed=True), TypeError, "`seed` must be a whole number, a numpy Generator, a SeedSequence or Non"),
    "inputs in a mask": (
        sgd(inputs=np.ma.masked_less(ROWS, 2)), ValueError, "`inputs` must be an array without masked entries, but has"
    ),
    "inputs of objects": (sgd(inputs=OBJECTS), TypeError, "`inputs` must be an array of real numbers, but is ndarray "),
    "inputs in a dict": (sgd(inputs={"a": 1}), TypeError, "`inputs` must be an array of real numbers, but is 'a' of t"),
    "other inputs for the chain": (
        sgd(engine="chain", inputs="uniform"), ValueError, "`inputs` must be 'gaussian' for the engine 'chain', but is "
    ),
    "weights of text": (
        sgd(start=("W", "V")), TypeError, "`start[0]` must be an array of real numbers, but is 'W' of type str"
    ),
    "study of no model": (lambda: tsode.study(4, N=50), TypeError, "`model` must be a TeacherStudent, but is int"),
    "study of one run": (lambda: tsode.study(MODEL, N=50, runs=1), ValueError, "`runs` must be at least 2, but is 1"),
    "study of no time": (
        lambda: tsode.study(MODEL, N=50, alpha_max=0), ValueError, "`alpha_max` must be larger than 0, but is 0"
    ),
    "study of too much time": (
        lambda: tsode.study(MODEL, N=50, alpha_max=1e20), ValueError, "`alpha_max` must be at most 1.8e+14 at N = 50, b"
    ),
    "study by steam": (
        lambda: tsode.study(MODEL, N=50, engine="steam"), ValueError, "`engine` must be one of 'chain', 'weights', 'd"
    ),
    "study at a broken N": (lambda: tsode.study(MODEL, N="50"), TypeError, "`N` must be a whole number, but is '50' o"),
    "study with half a bar": (
        lambda: tsode.study(MODEL, N=50, progress=0.5), TypeError, "`progress` must be True or False, but is float"
    ),
}  # fmt: skip

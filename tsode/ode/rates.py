r"""The right-hand side of the overlap ODEs in compiled loops: see :mod:`tsode.ode.rhs`."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import carray

from .._compiled import CFunction, jitable, with_name_of
from .._lanes import WIDTH, aligned, load, store
from .._multiply import multiply
from ..activations.error_averages import Averages
from ..model import TeacherStudent

__all__ = ["Rates", "beside", "decay", "is_bare", "nothing", "rates_of", "training"]


class Rates:
    """The right-hand side of one solution, or of up to WIDTH in lockstep, as compiled code takes it.

    Parameters
    ----------
    models : sequence of TeacherStudent
        One for each solution, of the same averages, widths and constraint, and of the same `is_bare`; more than one if
        their averages are written for lanes.
    gradient_flow : bool
        Leave out the term of second order in the learning rate.
    lanes : int
        1 or WIDTH; lanes without a model repeat the first.
    rtol : float
        Relative error that averages by quadrature may have.
    P : sequence of ndarray, optional
        Overlaps of the teachers, if they are not those of the models.

    Attributes
    ----------
    loops : callable
        Where the right-hand side comes from: a function such as :func:`rates_of`.
    pointer, arrays, numbers
        ``call(pointer, (y, *arrays, dy), numbers)`` writes dy/dalpha of the states y, both of shape (n,) or (n, WIDTH).
    """

    loops: Callable[..., Any] | None = None  # `rates_of`, which stands below

    def __init__(
        self,
        models: Sequence[TeacherStudent],
        gradient_flow: bool,
        lanes: int,
        rtol: float,
        P: Sequence[np.ndarray] | None = None,
    ) -> None:
        model, last = models[0], () if lanes == 1 else (lanes,)
        p, n = model.p, model.p + model.p_star
        function = rates_function(model.rule.averages(model), lanes > 1, is_bare(model), type(self).loops)
        teachers = [each.ravel() for each in P or [each.teacher_overlap for each in models]]
        parameters = [each.rule.average_parameters(each, rtol) for each in models]
        more = [np.array([*beside(each), *shares(each)]) for each in models]
        shapes, room = ((n, n), (p, n), (p, n), (p, p)), aligned((n * n + 2 * p * n + p * p, *last))
        ends = itertools.accumulate(rows * columns for rows, columns in shapes)
        work = [room[end - a * b : end].reshape(a, b, *last) for (a, b), end in zip(shapes, ends)]
        self.function = function  # the address is good as long as it lives
        self.pointer = function.pointer
        self.arrays = (*(_side_by_side(rows, lanes) for rows in (teachers, parameters, more)), *work)
        n_scalars = len(model.rule.scalars(model))
        self.numbers = p, model.p_star, len(parameters[0]), n_scalars, int(model.spherical), int(not gradient_flow)


def is_bare(model: TeacherStudent) -> bool:
    """Return whether nothing but the rule moves W, and nothing else is trained."""
    return not (model.weight_decay or len(model.rule.scalars(model)))


def beside(model: TeacherStudent) -> tuple[float, float, float]:
    """Return the rates of what happens beside the step of W, per sample: weight decay, readout decay, learning rate."""
    size, learning_rate = model.batch_size, model.readout_learning_rate / (1 - model.momentum)
    return model.weight_decay / size, model.readout_decay / size, learning_rate / size


def shares(model: TeacherStudent) -> tuple[float, ...]:
    """Return the number of blocks of the inputs, the variance of each and its fraction; isotropic ones are one."""
    if model.inputs is None:
        return 1.0, 1.0, 1.0
    return len(model.inputs), *model.inputs.eigenvalues, *model.inputs.fractions


def _side_by_side(rows, lanes):
    """Return one row, or several as columns, shape (n, lanes); what is missing repeats the first."""
    if lanes == 1:
        return rows[0].copy()
    found = aligned((len(rows[0]), lanes))
    found[:] = rows[0][:, None]
    found[:, : len(rows)] = np.transpose(rows)
    return found


@functools.cache
def rates_function(
    averages: Averages, lanes: bool, bare: bool = True, loops: Callable[..., Any] | None = None
) -> CFunction:
    """Return the C function of the right-hand side.

    It takes y, P, parameters, beside, omega, J, F, K, dy, p, p_star, n_parameters, n_scalars, spherical and
    second_order. Its arrays are those of :class:`Rates`; omega, J, F and K are what it works in. In `beside` stand,
    behind the three rates, the number of blocks of the inputs, their variances and their fractions. `loops` makes the
    jitable function, by default :func:`rates_of`.
    """
    rates = (loops or rates_of)(averages, bare)
    return CFunction(rates, _of_many(rates) if lanes else _of_one(rates), 9, 6)


def _of_one(rates):
    @with_name_of(rates)
    def entry(
        y, P, parameters, beside, omega, J, F, K, dy, p, p_star, n_parameters, n_scalars, spherical, second_order
    ):  # fmt: skip
        n, count = p + p_star, int(carray(beside, (4,))[3])
        size = count * p * n + n_scalars
        rates(
            carray(y, (size,)), carray(P, (count * p_star * p_star,)), carray(parameters, (n_parameters,)),
            carray(beside, (4 + 2 * count,)), carray(omega, (n, n)), carray(J, (p, n)), carray(F, (p, n)),
            carray(K, (p, p)), carray(dy, (size,)), p, p_star, n_parameters, n_scalars, spherical, second_order,
        )  # fmt: skip

    return entry


def _of_many(rates):
    @with_name_of(rates)
    def entry(
        y, P, parameters, beside, omega, J, F, K, dy, p, p_star, n_parameters, n_scalars, spherical, second_order
    ):  # fmt: skip
        n, count = p + p_star, int(carray(beside, (4, WIDTH))[3, 0])
        size = count * p * n + n_scalars
        rates(
            carray(y, (size, WIDTH)), carray(P, (count * p_star * p_star, WIDTH)),
            carray(parameters, (n_parameters, WIDTH)), carray(beside, (4 + 2 * count, WIDTH)),
            carray(omega, (n, n, WIDTH)), carray(J, (p, n, WIDTH)), carray(F, (p, n, WIDTH)), carray(K, (p, p, WIDTH)),
            carray(dy, (size, WIDTH)), p, p_star, n_parameters, n_scalars, spherical, second_order,
        )  # fmt: skip

    return entry


@functools.cache
def rates_of(averages: Averages, bare: bool = True) -> Callable[..., Any]:
    """Return the right-hand side for some averages as a jitable function of the arrays and numbers of Rates."""
    drift, noise = averages.drift, averages.noise
    decays = nothing if bare else decay
    trains = nothing if bare or averages.outputs is None else training(averages.outputs)

    @jitable
    @with_name_of(drift, noise, decays, trains)
    def rates(
        y, P, parameters, beside, omega, J, F, K, dy, p, p_star, n_parameters, n_scalars, spherical, second_order
    ):  # fmt: skip
        # plain loops over the flat state: views and slices of arrays take Numba seconds to compile
        first, last = p * p_star, p * (p_star + p)
        for i in range(p):
            for r in range(p_star):
                store(omega, i, p + r, load(y, i * p_star + r))
                store(omega, p + r, i, load(y, i * p_star + r))
            for j in range(p):
                store(omega, i, j, load(y, first + i * p + j))
        for r in range(p_star):
            for q in range(p_star):
                store(omega, p + r, p + q, load(P, r * p_star + q))
        for k in range(n_scalars):
            store(parameters, 2 + k, load(y, last + k))
        drift(omega, parameters, J)
        multiply(J, omega, F)
        if second_order:
            noise(omega, parameters, J, F, K)
        for k in range(p):
            for r in range(p_star):
                store(dy, k * p_star + r, load(F, k, p + r))
            for l in range(k + 1):
                change = load(F, k, l) + load(F, l, k)
                if second_order:
                    change = change + load(K, k, l)
                store(dy, first + k * p + l, change)
                store(dy, first + l * p + k, change)
        decays(y, beside, dy, first, last)
        if spherical:
            keep_norms(y, dy, p, p_star)
        trains(omega, parameters, beside, y, dy, last, n_scalars)

    return rates


@jitable
def keep_norms(y: np.ndarray, dy: np.ndarray, p: int, p_star: int) -> None:
    """Take off each row half the rate g_k at which its squared norm, Q_kk = 1, would grow."""
    first = p * p_star
    for k in range(p):
        half = 0.5 * load(dy, first + k * p + k)
        for r in range(p_star):
            store(dy, k * p_star + r, load(dy, k * p_star + r) - half * load(y, k * p_star + r))
        for l in range(k):
            other = 0.5 * load(dy, first + l * p + l)
            change = load(dy, first + k * p + l) - (half + other) * load(y, first + k * p + l)
            store(dy, first + k * p + l, change)
            store(dy, first + l * p + k, change)
    # g_k (1 - Q_kk) is zero too, but where the loss pulls the norm inwards, g_k < 0, it would blow up rounding.
    for k in range(p):
        store(dy, first + k * p + k, 0.0)


@jitable
def decay(y: np.ndarray, beside: np.ndarray, dy: np.ndarray, first: int, last: int) -> None:
    """Let W decay: M with the rate, Q with twice the rate."""
    for i in range(last):
        rate = (1.0 if i < first else 2.0) * load(beside, 0)
        store(dy, i, load(dy, i) - rate * load(y, i))


@jitable
def nothing(*given: Any) -> None:
    """Do nothing."""


@functools.cache
def training(outputs: Callable[..., None]) -> Callable[..., None]:
    """Return the function that adds the change of a trained readout."""

    @jitable
    @with_name_of(outputs)
    def train(omega, parameters, beside, y, dy, last, n_scalars):
        g = dy[last:]
        outputs(omega, parameters, g)
        for k in range(n_scalars):
            store(g, k, -load(beside, 2) * load(g, k) - load(beside, 1) * load(y, last + k))

    return train

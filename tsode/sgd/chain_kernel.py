"""The loop over the samples of the overlap chain, for any learning rule, for WIDTH runs in lockstep or for one."""

from numba import njit

from .._compiled import call_step
from .._lanes import every, load, store
from .chain_draws import draw_kernel
from .chain_sweeps import absorb, add, collect, finish, normalise, project, retire, shrink, train

__all__ = ["chain_kernel"]


@njit(cache=True, nogil=True, error_model="numpy")
def chain_kernel(
    rule, parameters, learning_rates, A, L, T, scalars, normals, rest, drawn, lengths, noises, state, redraw_state,
    work, ended, step, stop, N, weight_decay, readout_decay, spherical, limit,
):  # fmt: skip
    """Run samples `step` to `stop`; write into `ended` the sample at which a run diverged; return `stop`.

    Sample n uses row n mod batch of the drawn numbers, which are renewed at its first row, so the result does not
    depend on where the run is interrupted for a record. `normals` and `rest` are views of `drawn` and `lengths`,
    shapes (batch, width, lanes) and (batch, lanes). Decays are rates. `learning_rates` are those of the samples, the
    first of the parameters, or empty where it stays as it is.
    """
    p_star = T.shape[0]
    p = A.shape[0] // p_star
    batch, width, _ = drawn.shape
    lam, column, change = work[:p], work[p : 2 * p], work[2 * p : 3 * p]
    mu, size = work[3 * p : 3 * p + p_star], work[3 * p + p_star : 3 * p + p_star + 1]
    scalar_change = work[3 * p + p_star + 1 :]
    rate, origin = 1.0 / N, step
    while step < stop:
        begin = step % batch
        if begin == 0:
            draw_kernel(drawn, lengths, state, redraw_state, p + p_star, N - p - p_star)
        for row in range(begin, min(batch, begin + stop - step)):
            first = row * width
            in_span = project(A, T, normals, first, lam, mu)
            squares, root = collect(L, normals, first + p_star, load(rest, row), column)
            store(size, 0, rate * (in_span + squares))
            fine = finish(lam, column) < limit  # nan is not
            if learning_rates.shape[0] > 0:
                store(parameters, 0, learning_rates[step - origin])
            noise = first + width - noises
            call_step(rule, lam, mu, normals, noise, noises, size, scalars, parameters, change, scalar_change)
            if weight_decay > 0.0:
                shrink(A, L, column, 1.0 - rate * weight_decay)
            add(A, column, change, p_star, normals, first, squares, root, rate)
            absorb(L, column)
            train(scalars, scalar_change, 1.0 - rate * readout_decay, rate)
            if spherical:
                normalise(A, L, p, p_star)
            step += 1
            if not every(fine):
                retire(A, L, fine, ended, step)
    return step

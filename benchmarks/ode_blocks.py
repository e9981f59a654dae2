"""What does the ODE's right-hand side cost for inputs in blocks: beside its matrix products, and in compiled loops?"""

from report import Report, quickest

import numpy as np

import tsode
from tsode._linear_algebra import joint_matrix, weighted_sum
from tsode._states import start_state
from tsode.ode import rhs
from tsode.ode.block_rates import rates_for
from tsode.ode.blocks import averages_of, block_right_hand_side


def wide(table, p=512, blocks=20):
    """The right-hand side of a wide student, and the products J Omega of all blocks and those of J and K alone."""
    model = tsode.TeacherStudent(p, p, 0.01, noise_variance=0.1, inputs=tsode.Inputs.power_law(1.0, blocks))
    start = tsode.Overlaps.random(model, 10**5, rng=0)
    function, y = block_right_hand_side(model, start.blocks.P), start_state(model, start)
    M, Q = (weighted_sum(model.inputs.eigenvalues, each) for each in start.blocks[:2])
    (J, _), omega = averages_of(model, False, 1e-8)[0](M, Q), joint_matrix(*start.blocks)
    whole, F, K = joint_matrix(M, Q, start.P), np.empty((blocks, *J.shape)), np.empty((p, p))

    def products():
        np.matmul(J, omega, out=F)
        np.matmul(np.matmul(J, whole), J.T, out=K)

    taken, least = quickest([lambda: function(0.0, y), products])
    table.add(f"p = p* = {p}, {blocks} blocks", 1e3 * taken, "ms", "", f"{taken / least:.2f} x its matrix products")


def narrow(table, number=100):
    """The loops of a narrow student beside array operations."""
    for blocks in (1, 3, 10, 30):
        model = tsode.TeacherStudent(4, 2, 0.4, 0.1, inputs=tsode.Inputs.power_law(1.0, blocks))
        start = tsode.Overlaps.random(model, 10**4, rng=0)
        y, rates = start_state(model, start), rates_for([model], [start], False, 1, 1e-8)
        arrays = block_right_hand_side(model, start.blocks.P)

        def loops(_, y, rates=rates):
            return rhs.derivatives(rates.pointer, y, rates.arrays, rates.numbers)

        error = np.abs(loops(0.0, y) - arrays(0.0, y)).max()
        slow, quick = quickest([lambda f=f, y=y: [f(0.0, y) for _ in range(number)] for f in (arrays, loops)])
        note = f"in arrays {1e6 * slow / number:.3g} us"
        table.add(f"(4, 2), {blocks} blocks, in loops", 1e6 * quick / number, "us", f"{error:.0e}", note)


if __name__ == "__main__":
    table = Report("Right-hand side of the ODE for inputs in blocks")
    wide(table)
    narrow(table)
    table.finish()

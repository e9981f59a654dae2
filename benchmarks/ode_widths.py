"""From which student width do matrix products outrun the compiled loops of the ODE's right-hand side?"""

from report import Report, paired

import numpy as np

import tsode
from tsode.ode import rhs

if __name__ == "__main__":
    width = rhs.BLAS_WIDTH
    table = Report(f"Right-hand side: loops below p = {width}, matrix products from there on")
    for p in (4, 8, 16, 32, 40, 44, 48, 64, 128, 512):
        model = tsode.TeacherStudent(p, max(1, p // 4), 0.4)
        start = tsode.Overlaps.random(model, 10**5, rng=0)
        y, number = np.concatenate([start.M.ravel(), start.Q.ravel()]), max(1, 20_000 // p**2)
        forms = []
        for rhs.BLAS_WIDTH in (10**9, 1):
            forms.append(rhs.right_hand_side(model))
        rhs.BLAS_WIDTH = width
        loops, products = paired([lambda f=f, y=y, n=number: [f(0.0, y) for _ in range(n)] for f in forms])
        error = np.abs(forms[0](0.0, y) - forms[1](0.0, y)).max()
        note = f"matrix products: {1e6 * products / number:.4g} us, {products / loops:.2f} x the loops"
        table.add(f"loops, p = {p}", 1e6 * loops / number, "us", f"{error:.0e}", note)
    table.finish()

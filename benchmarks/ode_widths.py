"""From which student width do matrix products outrun the compiled loops of the ODE's right-hand side?"""

from report import Report, paired

import numpy as np

import tsode
from tsode.ode import BLAS_WIDTH, rhs_blas, rhs_kernel

if __name__ == "__main__":
    table = Report(f"Right-hand side: loops below p = {BLAS_WIDTH}, matrix products from there on")
    for p in (4, 8, 16, 32, 40, 44, 48, 64, 128, 512):
        model = tsode.TeacherStudent(p, max(1, p // 4), 0.4)
        start = tsode.Overlaps.random(model, 10**5, rng=0)
        y, work = np.concatenate([start.M.ravel(), start.Q.ravel()]), np.empty((p, p))
        fixed = (model.student_readout, model.teacher_readout, model.teacher_overlap, 0.4, 0.16, 0.0, False)
        number = max(1, 20_000 // p**2)
        loops, products = paired([
            lambda y=y, fixed=fixed, work=work, n=number: [rhs_kernel(y, *fixed, work) for _ in range(n)],
            lambda y=y, fixed=fixed, n=number: [rhs_blas(y, *fixed) for _ in range(n)],
        ])  # fmt: skip
        error = np.abs(rhs_kernel(y, *fixed, work) - rhs_blas(y, *fixed)).max()
        note = f"matrix products: {1e6 * products / number:.4g} us, {products / loops:.2f} x the loops"
        table.add(f"loops, p = {p}", 1e6 * loops / number, "us", f"{error:.0e}", note)
    table.finish()

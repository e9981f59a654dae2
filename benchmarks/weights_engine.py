"""How fast is one-pass SGD on explicit weights, beside the plainest loops that do the same?"""

import tracemalloc

from report import Report, paired, timed

import numpy as np

import tsode
from tsode.sgd.weights import WeightsRun

P, P_STAR, ETA = 8, 4, 0.4
LONGER = 40  # samples of the engine for one of a loop, so that drawing the start does not count
MODEL = tsode.TeacherStudent(P, P_STAR, ETA)
WIDE = tsode.TeacherStudent(64, 32, 0.01)


def numpy_loop(W, W_star, rows):
    """Plain NumPy, in place, no temporaries of size N but x: one sample after the other."""
    v, v_star, root = MODEL.student_readout, MODEL.teacher_readout, np.sqrt(W.shape[1])
    for x in rows:
        lam, mu = W @ x, W_star @ x
        lam /= root
        mu /= root
        D = v @ (lam * lam) - v_star @ (mu * mu)
        c = (-2 * ETA / root) * v * D * lam
        for k in range(P):
            W[k] += c[k] * x


def blas_loop(W, W_star, rows):
    """The same with the rank-one update left to BLAS: the best plain loop that was found."""
    from scipy.linalg.blas import dger

    v, v_star, root, columns = MODEL.student_readout, MODEL.teacher_readout, np.sqrt(W.shape[1]), W.T
    for x in rows:
        lam, mu = W @ x, W_star @ x
        lam /= root
        mu /= root
        D = v @ (lam * lam) - v_star @ (mu * mu)
        dger(1.0, x, (-2 * ETA / root) * v * D * lam, a=columns, overwrite_a=1)


def autograd_loop(W, W_star, rows):
    """PyTorch: the loss of one sample, its gradient by autograd, one step."""
    import torch

    torch.set_num_threads(1)
    v, v_star = torch.tensor(MODEL.student_readout.copy()), torch.tensor(MODEL.teacher_readout.copy())
    weights, teacher, root = torch.tensor(W, requires_grad=True), torch.tensor(W_star), np.sqrt(W.shape[1])
    for x in rows:
        x = torch.from_numpy(x)
        loss = (v @ (weights @ x / root) ** 2 - v_star @ (teacher @ x / root) ** 2) ** 2 / 2
        loss.backward()
        with torch.no_grad():
            weights -= ETA * weights.grad
            weights.grad = None
    W[:] = weights.detach().numpy()


def torch_blocks(weights, count, block, rows=None):
    """PyTorch in single precision, a block of fresh normals, or of rows, at a time: the algorithm of the engine.

    `weights` are those of student and teacher; what has no axis of length N is left to NumPy, which calls faster.
    """
    import torch

    torch.set_num_threads(1)
    p, N = WIDE.p, weights.shape[1]
    v, v_star = WIDE.student_readout, WIDE.teacher_readout
    X, both = torch.empty((block, N)), torch.from_numpy(weights)
    for first in range(0, count, block):
        if rows is None:
            X.normal_()
        else:
            X[:] = torch.from_numpy(rows[first : first + block])
        z, gram = (X @ both.T).numpy() / np.sqrt(N), (X @ X.T).numpy() / N
        C = np.zeros((block, p), dtype=np.float32)
        for s in range(block):
            lam, mu = z[s, :p] + gram[s, :s] @ C[:s], z[s, p:]
            C[s] = (-2 * WIDE.learning_rate) * (v @ (lam * lam) - v_star @ (mu * mu)) * v * lam
        both[:p].addmm_(torch.from_numpy(C.T), X, alpha=1 / np.sqrt(N))


def fresh_rows(N, count):
    """Yield normal rows, each written over the last."""
    rng, x = np.random.default_rng(0), np.empty(N)
    for _ in range(count):
        rng.standard_normal(out=x)
        yield x


def loops():
    found = [("NumPy loop", numpy_loop), ("NumPy loop with BLAS's rank-one update", blas_loop)]
    try:
        import torch  # noqa: F401
    except ImportError:
        print("  (PyTorch is not installed: its loop is left out)")
        return found
    return [*found, ("PyTorch autograd", autograd_loop)]


def speed(report, N):
    start = tsode.Overlaps.random(MODEL, N, rng=0)
    W, W_star = start.realise(N, 7)
    count = max(16, 3_000_000 // N)
    rows = np.random.default_rng(1).standard_normal((64, N))
    exact = tsode.simulate(MODEL, (W, W_star), [0.0, 64 / N], N, engine="weights", inputs=rows)

    def normals():
        for _ in fresh_rows(N, count):
            pass

    def engine():
        tsode.simulate(MODEL, None, [0.0, LONGER * count / N], N, engine="weights")

    first, _, _ = timed(engine, repeat=1)
    named = loops()
    calls = [normals, engine, *(lambda loop=loop: loop(W.copy(), W_star, fresh_rows(N, count)) for _, loop in named)]
    fill, fast, *plain = [seconds / count for seconds in paired(calls)]
    fast /= LONGER
    report.add(f"tsode, N = {N:.0e}", 1e6 * fast, "us/sample", "", "weights engine, one thread", first)
    report.add(f"NumPy's normals alone, N = {N:.0e}", 1e6 * fill, "us/sample", "", f"{fill / fast:.2f} x tsode's time")
    for (name, loop), seconds in zip(named, plain):
        weights = W.copy()
        loop(weights, W_star, rows)
        error = np.abs(weights @ W_star.T / N - exact.M[0, -1]).max()
        note = f"{seconds / fast:.2f} x tsode's time; error: overlaps after 64 equal samples"
        report.add(f"{name}, N = {N:.0e}", 1e6 * seconds, "us/sample", f"{error:.0e}", note)


def wide(report, N=10_000, count=256):
    """Both precisions at a width where products of matrices are most of the work, beside PyTorch in blocks."""
    start, p, case = tsode.Overlaps.random(WIDE, N, rng=0), WIDE.p, f"N = {N:.0e}, (p, p*) = (64, 32)"
    both = start.realise(N, 7)
    rows = np.random.default_rng(1).standard_normal((256, N))

    def after_rows(precision):
        options = {"N": N, "engine": "weights", "inputs": rows, "precision": precision}
        return tsode.simulate(WIDE, both, [0.0, len(rows) / N], **options).M[0, -1]

    def engine(precision):
        run = WeightsRun(WIDE, start, N, np.random.SeedSequence(0), "gaussian", 1e9, precision)
        return lambda: run.advance(run.step + count)

    exact = after_rows("double")
    calls = {f"tsode, {precision} precision": engine(precision) for precision in ("single", "double")}
    errors = [np.abs(after_rows("single") - exact).max(), 0.0]
    for block in (32, 64, 128) if "PyTorch autograd" in dict(loops()) else ():
        weights = np.vstack(both).astype(np.float32)
        torch_blocks(weights, len(rows), block, rows)
        errors.append(np.abs(weights[:p] @ weights[p:].T / N - exact).max())
        calls[f"PyTorch, float32, blocks of {block}"] = lambda w=weights, b=block: torch_blocks(w, count, b)
    single, *_ = times = [seconds / count for seconds in paired(list(calls.values()))]
    for name, seconds, error in zip(calls, times, errors):
        note = f"{seconds / single:.2f} x tsode's single; error: overlaps after {len(rows)} equal samples"
        report.add(f"{name}, {case}", 1e6 * seconds, "us/sample", f"{error:.0e}", note)


def memory(report, N=100_000):
    tracemalloc.start()
    run = WeightsRun(MODEL, tsode.Overlaps.random(MODEL, N, rng=0), N, np.random.SeedSequence(0), "gaussian", 1e9)
    run.advance(64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    weights = 8 * N * (P + P_STAR)
    report.add(
        f"peak memory, N = {N:.0e}", (peak - run.X.nbytes) / weights, "x weights", "", "beyond one block of inputs"
    )


if __name__ == "__main__":
    table = Report(f"SGD on explicit weights, p = {P}, p* = {P_STAR}, one thread")
    for dimension in (1_000, 10_000, 100_000):
        speed(table, dimension)
    wide(table)
    memory(table)
    table.finish()

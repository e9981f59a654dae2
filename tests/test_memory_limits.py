"""What is refused as too large is counted from the arrays that would be made, number by number."""

import numpy as np
import pytest

import tsode
from tsode import _checks, hessian
from tsode.hessian.lanczos import spectral_density

MODEL = tsode.TeacherStudent(p=3, p_star=2, learning_rate=0.1)
W, W_STAR = tsode.Overlaps.random(MODEL, 1000, rng=0).realise(7, rng=0)
X = np.random.default_rng(1).standard_normal((50, 7))
Y = np.square(X @ W_STAR.T) @ MODEL.teacher_readout / 7

CASES = {
    "M, Q, P": (lambda: MODEL.replace(p=4), {"`p` and `p_star`": 4 * 6 + 2 * 2}),
    "W, W_star": (lambda: tsode.Overlaps.random(MODEL, 1000, rng=0).realise(9), {"`N`": 5 * 9}),
    "M, Q of all runs": (
        lambda: tsode.simulate(MODEL, None, [0.0, 0.1, 0.2, 0.3], 10, 2),
        {"`runs`, `alpha` and the model": 2 * 4 * 3 * 5},
    ),
    "weights of SGD": (
        lambda: tsode.simulate(MODEL, None, [0.0, 0.1], 11, engine="weights", inputs=np.ones((5, 11))),
        {"`runs`, `alpha` and the model": 1 * 2 * 3 * 5, "`N`": 5 * 11},
    ),
    "runs of a scan of escapes": (
        lambda: tsode.scans.escape({"p": [1, 3], "p_star": 1, "dimension": 50}, runs=2, n_jobs=1),
        {"`runs`": 2 * 3 * 4},
    ),
    "runs of a scan of deviations": (
        lambda: tsode.scans.deviation({"p": [1, 3], "p_star": 1, "dimension": 50}, runs=2, alpha_max=0.1, n_jobs=1),
        {"`runs`": 2 * 101 * 3 * 4},
    ),
    "nodes and weights": (
        lambda: spectral_density(np.diag(np.arange(30.0)), steps=4, probes=3),
        {"`steps` and `probes`": 2 * 3 * 4},
    ),
    "empirical Hessian": (lambda: hessian.empirical_spectrum(MODEL, W, X, Y), {"`W`": 21 * 21}),
    "samples and Hessian": (
        lambda: hessian.convergence(MODEL, 8, [3, 5]),
        {"`ratios`": 5 * 8 * 8, "`N`": 24 * 24},
    ),
    "weights and samples": (
        lambda: hessian.separation(MODEL, 20, [2, 8]),
        {"`N`": 5 * 20, "`ratios`": 8 * 20 * 20},
    ),
}


@pytest.mark.parametrize(("call", "counts"), CASES.values(), ids=CASES)
def test_what_is_counted(call, counts, monkeypatch):
    seen = []
    monkeypatch.setattr(_checks, "memory", lambda *what_and_count: seen.append(what_and_count))
    call()
    assert set(counts.items()) <= set(seen)


def test_as_much_as_there_is_can_be_had_and_no_more(monkeypatch):
    present = {"SC_PHYS_PAGES": 5, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr("os.sysconf", present.__getitem__)
    _checks.memory("`N`", 5 * 4096 // 8)
    with pytest.raises(ValueError, match="`N` must be small enough for this machine's memory of "):
        _checks.memory("`N`", 5 * 4096 // 8 + 1)


def test_a_system_that_does_not_tell_is_taken_to_have_much(monkeypatch):
    monkeypatch.delattr("os.sysconf")
    _checks.memory("`N`", 2**44)
    with pytest.raises(ValueError, match="`N` must be small enough"):
        _checks.memory("`N`", 2**44 + 1)

"""The table of claims, in small sizes: every number measured, with an error, and as theory says."""

import importlib
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSODE_SMALL", "1")
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("claims")


@pytest.fixture(scope="module")
def rows(script):
    return importlib.import_module("claim_rows")


@pytest.fixture(scope="module")
def claims(script):
    return [claim for measure in script.MEASUREMENTS for claim in measure()]


@pytest.mark.slow
def test_every_claim_holds_within_a_small_error(claims):
    assert len(claims) >= 11
    for claim in claims:
        assert claim.holds, claim
        if claim.way != "count":
            # an error as large as the number would let anything hold
            assert 0 < claim.error < 0.2 * max(abs(claim.theory), 0.5), claim


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_claim_holds_at_other_seeds(script, seed):
    for measure in script.MEASUREMENTS:
        for claim in measure(seed):
            assert claim.holds, claim


def test_seed_reaches_what_is_random(script, monkeypatch, tmp_path):
    seeds = []
    monkeypatch.setattr(script, "MEASUREMENTS", (lambda seed: seeds.append(seed) or iter(()),))
    script.main(["--out", str(tmp_path), "--seed", "5"])
    script.main(["--out", str(tmp_path)])
    assert seeds == [5, 0]
    assert next(script.late_times(0)).measured != next(script.late_times(5)).measured


def test_slope_without_its_correction(rows):
    x, error = np.log([250.0, 1000, 4000, 16_000]), [0.1, 0.2, 0.1, 0.3]
    y = 2 - 0.5 * x + 30 * np.exp(-x)
    assert rows.slope(x, y, error)[0] != pytest.approx(-0.5, abs=1e-3)
    found, spread = rows.slope(x, y, error, np.exp(-x))
    assert found == pytest.approx(-0.5, rel=1e-10)
    noise = np.random.default_rng(0).standard_normal((4000, 4)) * error
    slopes = [rows.slope(x, y + one, error, np.exp(-x))[0] for one in noise]
    assert np.std(slopes) == pytest.approx(spread, rel=0.05)  # 4 standard errors


def test_limits_have_their_bias_within_the_error(rows):
    assert rows.extrapolated((1.01, 0.3), (1.04, 0.0)) == pytest.approx((1.0, 0.4))
    alpha = np.array([1e3, 2e3, 4e3])
    values = 3 + (5 + 2 * np.log(alpha)) / alpha
    found, error = rows.limit(values, values)
    assert found == pytest.approx(3, abs=1e-12)
    assert 1e-4 < error < 1e-3
    assert rows.limit(values, values + 0.1)[1] == pytest.approx(0.1)


def test_claims_are_measured_and_not_repeated(script):
    assert all(claim.holds for claim in script.late_times())
    first, second = ([claim.measured for claim in script.late_times()] for _ in range(2))
    assert first == second
    assert first[1] != 1.0  # a measurement has its own digits


@pytest.mark.parametrize(
    ("measured", "error", "holds"), [(1.0, 0.0, True), (1.1, 0.03, True), (1.1, 0.02, False), (np.nan, 1.0, False)]
)
def test_a_claim_can_fail(rows, measured, error, holds):
    assert rows.Claim("one", 1.0, measured, error, "runs", "01").holds is holds


def test_infinite_error_proves_nothing(rows):
    assert not rows.Claim("one", 1.0, 1.0, np.inf, "runs", "01").holds


def test_exit_status_and_file_tell(script, rows, monkeypatch, tmp_path, capsys):
    good = rows.Claim("good", 1.0, 1.01, 0.02, "runs", "01")
    bad = rows.Claim("bad", 7, 8, 0, "count", "02")
    monkeypatch.setattr(script, "MEASUREMENTS", (lambda seed: iter([good]),))
    assert script.main(["--out", str(tmp_path)]) == 0
    monkeypatch.setattr(script, "MEASUREMENTS", (lambda seed: iter([good, bad]),))
    assert script.main(["--out", str(tmp_path)]) == 1
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.endswith(text)
    assert "| good | 1 | 1.010 ± 0.020 | standard error over runs or starts | 01 | yes |" in text
    assert "| bad | 7 | 8 | exact | 02 | **no** |" in text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.4871, 0.0191, "0.487 ± 0.019"), (10.31, 0.29, "10.31 ± 0.29"), (2 / 3, 1e-12, "0.666666667 ± 1e-12")],
)
def test_numbers_are_written_to_their_error(rows, value, error, text):
    assert rows.pretty(value, error) == text

"""The table of claims, in small sizes: every number measured, with an error, and as theory says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "notebooks" / "claims.py"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSODE_SMALL", "1")
        spec = importlib.util.spec_from_file_location("claims", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        patch.setitem(__import__("sys").modules, "claims", module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def claims(script):
    return [claim for measure in script.MEASUREMENTS for claim in measure()]


def test_every_claim_holds_within_a_small_error(claims):
    assert len(claims) >= 11
    for claim in claims:
        assert claim.holds, claim
        if claim.way != "count":
            # an error as large as the number would let anything hold
            assert 0 < claim.error < 0.2 * max(abs(claim.theory), 0.5), claim


def test_claims_are_measured_and_not_repeated(script):
    first, second = ([claim.measured for claim in script.late_times()] for _ in range(2))
    assert first == second
    assert first[1] != 1.0  # a measurement has its own digits


@pytest.mark.parametrize(
    ("measured", "error", "holds"), [(1.0, 0.0, True), (1.1, 0.03, True), (1.1, 0.02, False), (np.nan, 1.0, False)]
)
def test_a_claim_can_fail(script, measured, error, holds):
    assert script.Claim("one", 1.0, measured, error, "runs", "01").holds is holds


def test_infinite_error_proves_nothing(script):
    assert not script.Claim("one", 1.0, 1.0, np.inf, "runs", "01").holds


def test_exit_status_and_file_tell(script, monkeypatch, tmp_path, capsys):
    good = script.Claim("good", 1.0, 1.01, 0.02, "runs", "01")
    bad = script.Claim("bad", 7, 8, 0, "count", "02")
    monkeypatch.setattr(script, "MEASUREMENTS", (lambda: iter([good]),))
    assert script.main(["--out", str(tmp_path)]) == 0
    monkeypatch.setattr(script, "MEASUREMENTS", (lambda: iter([good, bad]),))
    assert script.main(["--out", str(tmp_path)]) == 1
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.endswith(text)
    assert "| good | 1 | 1.010 ± 0.020 | standard error over runs or starts | 01 | yes |" in text
    assert "| bad | 7 | 8 | exact | 02 | **no** |" in text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.4871, 0.0191, "0.487 ± 0.019"), (10.31, 0.29, "10.31 ± 0.29"), (2 / 3, 1e-12, "0.666666667 ± 1e-12")],
)
def test_numbers_are_written_to_their_error(script, value, error, text):
    assert script.pretty(value, error) == text

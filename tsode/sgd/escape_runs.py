"""SGD from random weights up to the escape: a record is one number, whatever the widths."""

from __future__ import annotations

import numba
import numpy as np

from .._random import seed_sequence
from .._types import Seed
from .._versions import versions
from ..conditions import escaped, overlap_size
from ..escapes import Escapes
from ..model import TeacherStudent
from .crew import run_all
from .records import Records, Wishes, runs_of
from .setting import check_any_start, check_fit, check_setting
from .wide_chain import in_blocks

__all__ = ["escape_runs"]


def escape_runs(
    model: TeacherStudent,
    N: int,
    alpha: np.ndarray,
    threshold: float,
    runs: int,
    seed: Seed,
    engine: str = "chain",
    progress: bool = False,
) -> Escapes:
    """Run SGD from Gaussian weights of unit variance until tr M M^T is above a threshold, up to ``alpha[-1]``.

    The runs are to the bit those of :func:`tsode.simulate`. Arguments have been checked.
    """
    setting = check_setting(N, runs, engine, "gaussian", "double", None)
    setting, sequence = setting._replace(interpreted=model.rule.interpreted), seed_sequence(seed)
    check_any_start(model, None, setting)
    check_fit([model], alpha[-1:], setting, runs, keep=False)
    wishes = Wishes(escaped(threshold), {"size": lambda M, Q: overlap_size(M)}, keep=False, overlaps=False)
    records = Records(runs_of(model, None, sequence, runs), alpha, N, in_blocks(model, runs), wishes)
    run_all([records], setting, numba.get_num_threads(), progress)
    return Escapes(
        model, alpha, records.observables.get("size", np.full((runs, len(alpha)), np.nan)), records.status,
        records.stopped_at(), N, sequence.entropy, str(setting), versions(),
    )  # fmt: skip

"""How the runs of one call are computed, and the checks of what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from .._frames import block_frames, random_frames
from ..model import TeacherStudent
from ..overlaps import Overlaps, check_start
from .diffusion import MOST_SAMPLES, check_diffusion, check_step
from .general_chain import row_count
from .random_numbers import LAWS
from .rows import Rows
from .weights import PRECISIONS, block_size

__all__ = ["ENGINES", "Setting", "check_any_start", "check_fit", "check_samples", "check_setting"]

ENGINES = ("chain", "weights", "diffusion")


class Setting(NamedTuple):
    """How runs are computed: see :func:`tsode.simulate`. `law` is a word for the inputs, `step` None if one by one."""

    N: int
    engine: str
    inputs: str | Iterator[np.ndarray]
    law: str
    precision: str
    step: float | None

    def __str__(self) -> str:
        rounded = "" if self.precision == "double" else f", {self.precision} precision"
        coarse = "" if self.step is None else f", steps of {self.step:g}"
        return f"sgd, {self.engine}, {self.law} inputs{rounded}{coarse}"

    def words(self) -> dict[str, Any]:
        """Return what is kept of it, to go on with."""
        coarse = {} if self.step is None else {"step_length": self.step}
        return {"engine": self.engine, "inputs": self.law, "precision": self.precision, **coarse}

    @property
    def has_weights(self) -> bool:
        """Whether the engine holds the weights."""
        return self.engine == "weights"

    def keeps(self, keep_weights: Any) -> bool:
        """Return whether results are to have what runs need to go on: for the chain it is little, and always there."""
        keep = _checks.flag("keep_weights", keep_weights)
        if keep and not self.has_weights:
            raise ValueError(
                f"`keep_weights` must be False for the engine {self.engine!r}, which has none; take engine='weights'"
            )
        return keep or not self.has_weights


def check_setting(N: int, runs: int, engine: Any, inputs: Any, precision: Any, step: Any) -> Setting:
    """Return the Setting of arguments that fit each other."""
    _checks.choice("engine", engine, ENGINES)
    precision = _checks.choice("precision", precision, tuple(PRECISIONS))
    inputs, law = _check_inputs(inputs, N, runs)
    if engine != "weights":
        if law != "gaussian":
            raise ValueError(
                f"`inputs` must be 'gaussian' for the engine {engine!r}, but is {law}; take engine='weights'"
            )
        if precision != "double":
            raise ValueError(
                f"`precision` must be 'double' for the engine {engine!r}, but is {precision!r}; take engine='weights'"
            )
    if engine == "diffusion":
        step = check_step(step, N)
    elif step is not None:
        raise ValueError(
            f"`step` must be None for the engine {engine!r}, which goes sample by sample, but is {step!r}; take "
            "engine='diffusion'"
        )
    return Setting(N, engine, inputs, law, precision, step)


def check_fit(models: Sequence[TeacherStudent], alpha: np.ndarray, setting: Setting, runs: int, keep: bool) -> None:
    """Refuse too few dimensions, more samples than can be counted, and what does not fit into memory."""
    N = setting.N
    rows = max(row_count(model) + model.p_star for model in models)
    if rows > N and not setting.has_weights:
        raise ValueError(
            f"`N` must be at least {rows} for the engine {setting.engine!r}, but is {N}; take engine='weights'"
        )
    if max(max(model.weight_decay, model.readout_decay) for model in models) >= N:
        raise ValueError(f"`N` must be larger than the rates of decay, but is {N}")
    if setting.step is not None:
        for model in models:
            check_diffusion(model)
    check_samples("alpha", alpha[-1], N, setting.engine)
    sizes = [model.p * (model.p + model.p_star) for model in models]
    _checks.memory("`runs`, `alpha` and the model", runs * len(alpha) * sum(sizes))
    if setting.has_weights:
        widths = [model.p + model.p_star for model in models]
        kept = runs * sum(width + block_size(width, N, 8) for width in widths)
        _checks.memory("`N`", (kept if keep else max(widths)) * N)


def check_samples(name: str, alpha: float, N: int, engine: str) -> None:
    """Refuse a last time at which there have been more samples than an engine can count."""
    _checks.samples(name, alpha, N, MOST_SAMPLES if engine == "diffusion" else _checks.LARGEST_INTEGER)


def check_any_start(
    model: TeacherStudent, start: object, setting: Setting, name: str = "start"
) -> Overlaps | tuple[np.ndarray, np.ndarray] | None:
    """Return a start that fits: Overlaps, for the weights also a pair of weight arrays, or None."""
    if start is None or isinstance(start, Overlaps):
        begin = start if start is None else check_start(model, start, name)
        if model.inputs is not None:  # refuse here what does not fit into blocks of few coordinates
            block_frames(begin, setting.N) if begin else random_frames(model, setting.N, 1.0, np.random.default_rng(0))
        return begin
    if not (isinstance(start, tuple) and len(start) == 2):
        raise TypeError(f"`{name}` must be an Overlaps, a tuple (W, W_star) or None, but is {type(start).__name__}")
    W = _checks.float_array(f"{name}[0]", start[0], (model.p, setting.N), "(p, N)")
    W_star = _checks.float_array(f"{name}[1]", start[1], (model.p_star, setting.N), "(p_star, N)")
    overlaps = check_start(model, Overlaps.from_weights(W, W_star, model.inputs), name)
    return (W, W_star) if setting.has_weights else overlaps


def _check_inputs(inputs, N, runs):
    """Return the name of a law, or an iterator of checked rows; and a word for the record."""
    if isinstance(inputs, str):
        return _checks.choice("inputs", inputs, tuple(LAWS)), inputs
    if not isinstance(inputs, Iterable):
        raise TypeError(f"`inputs` must be the name of a law or rows of numbers, but is {type(inputs).__name__}")
    if runs != 1:
        raise ValueError(f"`runs` must be 1 with rows as `inputs`, each of which is used once, but is {runs}")
    if isinstance(inputs, np.ndarray):
        return Rows(_checks.float_array("inputs", inputs, (None, N), "(n, N)")), "given"
    return (_checks.float_array("inputs", row, (N,), "(N,) in each row") for row in inputs), "given"

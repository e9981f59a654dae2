"""The table of a study and the remarks under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._parameters import describe

if TYPE_CHECKING:
    from .result import Study

__all__ = ["remarks", "table"]

COLUMNS = ("theory", "ode", "sgd")
DEVIATIONS = (
    "Deviations: largest over times and entries of |mean of the runs - ODE|; under 'theory' the level that noise alone "
    "exceeds in 1 study of 20."
)
NOTES = (
    "Escape: tr M M^T above a threshold; its rate is fitted below it, on a window that is finite and thus biased.",
    f"{DEVIATIONS} At finite N the noise of SGD seeds the escape: it comes earlier than in the ODE.",
    "The end's solution is the one closest to the end. The ODE picks that closest to the start, up to 1/sqrt(N); SGD "
    "leaves it as far as the noise of its steps outweighs M at the start.",
)


def table(study: Study) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Return title, header and rows."""
    rows = []
    for name, row in study.results.items():
        cells = [f"{row[column]:.4g}" if np.isfinite(row.get(column, np.nan)) else "" for column in COLUMNS]
        error = row.get("sgd_error", np.nan)
        rows.append((name, *cells[:2], f"{cells[2]} ± {error:.1g}" if np.isfinite(error) else cells[2]))
    run = f"N = {study.sgd.N:,}, {study.sgd.runs} runs, alpha to {study.ode.alpha[-1]:.4g}"
    title = f"Study of {describe(study.model)}: {run}"
    if study.no_plateau:
        title += f"\nNo plateau, and no escape from one: {study.no_plateau}"
    return title, ("", "theory", "ODE", "SGD"), rows


def remarks(study: Study) -> list[str]:
    """Return what is to be said under the table, list of str."""
    if isinstance(study.plateau, str):
        reason = f"No plateau, law, solutions or Hessians in closed form: {study.plateau}"
        return [*_ends(study), reason, "Escape: tr M M^T above a threshold.", DEVIATIONS]
    return [*_ends(study), _verdict(study), *(NOTES[1:] if study.no_plateau else NOTES)]


def _ends(study):
    """Which runs did not finish."""
    ode, sgd = study.ode, study.sgd
    largest = np.nan if isinstance(study.plateau, str) else study.plateau.max_learning_rate
    known = study.no_plateau or not np.isfinite(largest)
    limit = "" if known else f"; no plateau above learning rate {largest:.4g}"
    if ode.status != "completed":
        yield f"The ODE {ode.status} at alpha = {ode.stopped_at:.4g}{limit}."
    if (sgd.status != "completed").any():
        yield (
            f"{(sgd.status != 'completed').sum()} of {sgd.runs} SGD runs did not finish, the first ended at "
            f"alpha = {sgd.stopped_at.min():.4g}{limit}. Numbers are of the others."
        )


def _verdict(study):
    if isinstance(study.hessian, str):
        return f"Hessians not compared: {study.hessian}"
    sides = (("plateau of gradient flow", study.hessian.plateau), ("solutions", study.hessian.manifold))
    return "Hessians at " + "; ".join(
        f"{name}: {side.verdict}, {side.index:,} negative and {side.nullity:,} zero eigenvalues" for name, side in sides
    )

"""The whole comparison for one model in one call: SGD beside its ODE, with the plateau."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import _checks
from ._display import html_columns, text_columns
from ._files import atomic_path, read_npz, write_npz
from ._random import run_sequence, seed_sequence
from .model import check_model
from .ode import integrate
from .overlaps import Overlaps
from .plateaus import plateau
from .sgd import simulate
from .trajectory import Trajectory

__all__ = ["Study", "study"]

COLUMNS = ("theory", "ode", "sgd", "sgd_error")
POINTS = 241


def study(model, N, runs=8, alpha_max=None, seed=0, engine="chain", progress=False):
    """Run SGD and the ODE from one random start and compare them.

    Parameters
    ----------
    model : TeacherStudent
        The pair.
    N : int
        Input dimension, at least p + p_star.
    runs : int
        Number of SGD runs, all from the same overlaps.
    alpha_max : float, optional
        Last time; by default long enough for the ODE to pass the plateau and lose 98 % of what it can lose.
    seed : int, SeedSequence, Generator or None
        Seed of the start and of the runs.
    engine : str
        Engine of ``simulate``.
    progress : bool
        Show a progress bar where a person watches.

    Returns
    -------
    Study

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; the message names it.

    Examples
    --------
    >>> import tsode
    >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.3)
    >>> result = tsode.study(model, N=200, runs=2, alpha_max=5.0)
    >>> sorted(result.summary()["results"])[:2]
    ['final excess loss', 'largest deviation of M (standard errors)']
    """
    check_model(model)
    N = _checks.integer("N", N, minimum=model.p + model.p_star)
    runs = _checks.integer("runs", runs, minimum=2)
    sequence = seed_sequence(seed)
    start_sequence, runs_sequence = run_sequence(sequence, 0), run_sequence(sequence, 1)
    start = Overlaps.random(model, N, rng=start_sequence)
    alpha_max = _time_to_learn(model, start) if alpha_max is None else _checks.number("alpha_max", alpha_max, above=0.0)
    # SGD records after whole samples, so both are compared at those.
    alpha = np.unique(np.rint(np.linspace(0, alpha_max, POINTS) * N)) / N
    ode = integrate(model, start, alpha)
    sgd = simulate(model, start, alpha, N=N, runs=runs, seed=runs_sequence, engine=engine, progress=progress)
    return Study(ode=ode, sgd=sgd)


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """SGD beside its ODE, from one start.

    Attributes
    ----------
    ode : Trajectory
        The ODE's solution.
    sgd : Trajectory
        The runs of SGD, at the same times.
    """

    ode: Trajectory
    sgd: Trajectory

    @property
    def model(self):
        """The pair that was studied."""
        return self.ode.model

    def results(self):
        """Return the compared quantities: name -> {"theory", "ode", "sgd", "sgd_error"}, absent where undefined.

        Errors are standard errors of the mean over runs. Deviations are maxima over times and entries of
        |mean of the runs - ODE|, in standard errors of that mean; at finite N the escape from the plateau
        is seeded by noise, which moves the mean by more than its error.
        """
        ode, sgd = self.ode, self.sgd
        final, final_error = _mean_and_error(sgd.excess_loss[:, -1])
        at_ode, at_sgd = _slowest(ode.alpha, ode.excess_loss), _slowest(sgd.alpha, _mean(sgd.excess_loss))
        level, level_error = _mean_and_error(sgd.excess_loss[:, at_sgd].mean(axis=1))
        found = {
            "plateau excess loss": {
                "theory": plateau(self.model).excess_loss,
                "ode": ode.excess_loss[at_ode].mean(),
                "sgd": level,
                "sgd_error": level_error,
            },
            "final excess loss": {"ode": ode.excess_loss[-1], "sgd": final, "sgd_error": final_error},
        }
        for which in ("M", "Q"):
            largest, typical = _deviation(getattr(ode, which), getattr(sgd, which))
            found[f"largest deviation of {which} (standard errors)"] = {"sgd": largest}
            found[f"rms deviation of {which}"] = {"sgd": typical}
        return {name: {column: float(value) for column, value in row.items()} for name, row in found.items()}

    def summary(self):
        """Return everything that is worth a line, as plain numbers and strings (JSON takes it)."""
        sgd = self.sgd
        return {
            "model": self.model.to_dict(),
            "N": sgd.N,
            "runs": sgd.runs,
            "seed": sgd.seed,
            "alpha_max": float(self.ode.alpha[-1]),
            "engine": sgd.engine,
            "status": {"ode": self.ode.status, "sgd": sgd.status.tolist()},
            "results": {
                name: {column: value if np.isfinite(value) else None for column, value in row.items()}
                for name, row in self.results().items()
            },
            "versions": sgd.versions,
        }

    def plot(self):
        """Draw the study: loss with the plateau, both overlaps, and the final overlap matrix.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from . import plot  # matplotlib takes longer to import than all the rest

        return plot.study_panels(self.ode, self.sgd, plateau(self.model).excess_loss)

    def save(self, directory):
        """Write ``study.npz``, ``study.png`` and ``summary.json``, each of them complete or absent.

        Parameters
        ----------
        directory : path-like
            Made if it does not exist.

        Returns
        -------
        list of pathlib.Path
            The files written.
        """
        from . import plot

        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        paths = [directory / name for name in ("study.npz", "study.png", "summary.json")]
        parts = {"ode": self.ode, "sgd": self.sgd}
        write_npz(
            paths[0],
            {f"{part}.{name}": array for part, run in parts.items() for name, array in run.to_arrays().items()},
        )
        plot.save(self.plot(), paths[1])
        with atomic_path(paths[2]) as temporary:
            temporary.write_text(json.dumps(self.summary(), indent=2, allow_nan=False) + "\n")
        return paths

    @classmethod
    def load(cls, path):
        """Read a ``study.npz``.

        Parameters
        ----------
        path : path-like
            The file, or the folder that it is in.

        Returns
        -------
        Study

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, or it is not a complete study.
        """
        path = Path(path)
        return read_npz(path / "study.npz" if path.is_dir() else path, cls._from_arrays)

    @classmethod
    def _from_arrays(cls, arrays):
        parts = {
            part: Trajectory.from_arrays({name[4:]: array for name, array in arrays.items() if name[:4] == f"{part}."})
            for part in ("ode", "sgd")
        }
        return cls(**parts)

    def _table(self):
        rows = []
        for name, row in self.results().items():
            cells = [f"{row[column]:.4g}" if np.isfinite(row.get(column, np.nan)) else "" for column in COLUMNS[:3]]
            error = row.get("sgd_error", np.nan)
            rows.append((name, *cells[:2], f"{cells[2]} ± {error:.1g}" if np.isfinite(error) else cells[2]))
        model, sgd = self.model, self.sgd
        title = (
            f"Study of p = {model.p}, p* = {model.p_star}, η = {model.learning_rate:g}, Δ = {model.noise_variance:g}, "
            f"{model.constraint}: N = {sgd.N:,}, {sgd.runs} runs, alpha to {self.ode.alpha[-1]:.4g}"
        )
        return title, ("", "theory", "ODE", "SGD"), rows

    def __repr__(self):
        return text_columns(*self._table())

    def _repr_html_(self):
        return html_columns(*self._table())


def _time_to_learn(model, start):
    """Return 1.3 times the time at which the ODE has lost 98 % of what it loses in the long run."""
    v, v_star = np.abs(model.student_readout).max(), np.abs(model.teacher_readout).max()
    horizon = 1 / (model.learning_rate * v * v_star)
    for _ in range(10):
        ode = integrate(model, start, np.linspace(0, horizon, 2001), rtol=1e-6)
        if ode.status == "diverged":
            return float(ode.stopped_at)
        lost = ode.excess_loss[0] - ode.excess_loss
        learnt = np.argmax(lost > 0.98 * lost[-1])
        # Settled: almost nothing more is lost in the second half, and the escape is not still to come.
        if 0 < learnt < 1000 and ode.excess_loss[-1] < 0.1 * ode.excess_loss[0]:
            return float(1.3 * ode.alpha[learnt])
        horizon *= 2
    return float(horizon / 2**7)  # never escapes: show the plateau


def _mean(losses):
    """Return the mean over the runs that were not stopped early; nan where there is none."""
    finite = np.isfinite(losses).all(axis=1)
    return losses[finite].mean(axis=0) if finite.any() else np.full(losses.shape[1], np.nan)


def _mean_and_error(values):
    values = values[np.isfinite(values)]
    if values.size == 0:
        return np.nan, np.nan
    return values.mean(), values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan


def _slowest(alpha, loss):
    """Return the window of times, as a slice, in which the loss changes most slowly before its steepest fall.

    The fall is sought after the transient, where the loss is already below its value at the start's steepest
    descent; the window is 1/20 of the times wide.
    """
    width = max(1, len(alpha) // 20)
    if len(alpha) < 3 * width or not np.isfinite(loss).all():
        return slice(len(alpha) - 1, len(alpha))
    smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
    slope = np.abs(np.diff(smooth))
    half = np.argmax(smooth < (smooth[0] + smooth.min()) / 2)
    first = int(np.argmin(slope[: max(half, 1)]))
    return slice(first, first + width)


def _deviation(ode, sgd):
    """Return the largest |mean - ODE| in standard errors, and its root mean square in plain units."""
    times = min(len(ode), sgd.shape[1])
    sgd = sgd[np.isfinite(sgd).all(axis=(1, 2, 3))][:, 1:times]
    if len(sgd) < 2 or times < 2:
        return np.nan, np.nan
    difference = sgd.mean(axis=0) - ode[1:times]
    error = sgd.std(axis=0, ddof=1) / np.sqrt(len(sgd))
    spread = error > 1e-12  # what a constraint fixes has no statistical error
    return np.max(np.abs(difference[spread]) / error[spread]), np.sqrt(np.mean(difference**2))

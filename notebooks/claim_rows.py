"""A row of the table of claims, and the statistics that its number and error come from."""

import os
from dataclasses import dataclass

import numpy as np

SIGMAS = 4  # a claim fails by chance in one run of 16 000, and the seeds are fixed
SMALL = os.environ.get("TSODE_SMALL") == "1"
WAYS = {
    "runs": "standard error over runs or starts",
    "fit": "what the last extrapolation or a looser tolerance changes",
    "solver": "change with the solver's tolerance, or rounding",
    "count": "exact",
}


@dataclass(frozen=True)
class Claim:
    """One row of the table: a claim, what theory says, what was measured, its error and the way that was found."""

    claim: str
    theory: float
    measured: float
    error: float
    way: str
    shown: str

    @property
    def holds(self):
        """Whether measured and theory differ by at most SIGMAS errors; a count has to be equal."""
        return bool(np.isfinite(self.error) and abs(self.measured - self.theory) <= SIGMAS * self.error)

    def cells(self):
        """Return the cells of the row as text."""
        if self.way == "count":
            theory, measured = f"{self.theory:,.0f}", f"{self.measured:,.0f}"
        else:
            theory, measured = f"{self.theory:.6g}", pretty(self.measured, self.error)
        return self.claim, theory, measured, WAYS[self.way], self.shown, "yes" if self.holds else "**no**"


def pretty(value, error):
    """Return 'value ± error', the error to two digits and the value to the same place."""
    if not error > 0 or not np.isfinite(error):
        return f"{value:.6g} ± {error:.2g}"
    place = int(np.floor(np.log10(error))) - 1
    if abs(value) < error < 1e-4:
        return f"{value:.0e} ± {error:.0e}"
    if place < -6 or abs(value) >= 1e6:
        return f"{value:.9g} ± {error:.2g}"
    return f"{value:.{max(-place, 0)}f} ± {error:.{max(-place, 0)}f}"


def shifted(seed, base):
    """Return `seed` moved out of the way of all seeds of other base seeds."""
    return seed + 10**9 * base


def mean_and_error(values):
    """Return mean and standard error of the finite values."""
    values = np.asarray(values)[np.isfinite(values)]
    return values.mean(), values.std(ddof=1) / np.sqrt(values.size)


def slope(x, y, error, *corrections):
    """Return the slope of a straight line, plus multiples of `corrections`, through y ± error, and its error."""
    weight = 1 / np.asarray(error)
    columns = np.transpose([x, np.ones(len(x)), *corrections]) * weight[:, None]
    inverse = np.linalg.inv(columns.T @ columns)
    return inverse[0] @ (columns.T @ (weight * y)), np.sqrt(inverse[0, 0])


def extrapolated(fine, coarse):
    """Return value and error without the bias that is four times as large in `coarse`, also a value and its error."""
    return (4 * fine[0] - coarse[0]) / 3, np.hypot(4 * fine[1], coarse[1]) / 3


def limit(values, loose):
    """Return the limit of three values at doubled times, of corrections (a + b ln alpha) / alpha, and its error.

    The first extrapolation leaves b, which the second takes out. The error is what the second changes, or what a looser
    tolerance of the solver does.
    """
    (last, found), (_, other) = (twice_extrapolated(np.asarray(x)) for x in (values, loose))
    return found, max(abs(found - last), abs(found - other))


def twice_extrapolated(values):
    """Return values at doubled times without their part in 1 / alpha, and without that in (ln alpha) / alpha."""
    once = 2 * values[1:] - values[:-1]
    return once[1], 2 * once[1] - once[0]


def table(claims):
    """Return the claims as a Markdown table."""
    header = ("claim", "theory", "measured ± error", "kind of error", "notebook", "holds")
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    lines += [" | ".join(claim.cells()) for claim in claims]
    return "\n".join(f"| {line} |" for line in lines) + "\n"

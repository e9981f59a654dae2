"""Functions of many points at once, for work that is too small to be sent one point at a time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .. import _checks

__all__ = ["Batched", "batched"]

OfPoints = Callable[[list[dict[str, Any]]], Iterable[Any]]


@dataclass(frozen=True)
class Batched:
    """A function of a list of points, and how many it is given at most.

    Attributes
    ----------
    function : callable
        List of dicts in, list of as many results out.
    size : int
        Largest number of points.
    """

    function: OfPoints
    size: int

    def __call__(self, points: list[dict[str, Any]]) -> list[Any]:
        """Return the results of some points.

        Raises
        ------
        ValueError
            If there are not as many results as points.
        """
        results = list(self.function(points))
        if len(results) != len(points):
            raise ValueError(
                f"`function` must return one result for each of {len(points)} points, but returned {len(results)}"
            )
        return results


def batched(function: OfPoints, size: int = 256) -> Batched:
    """Let ``scan`` call a function with many points at once.

    Parameters
    ----------
    function : callable
        Takes a list of points, each a dict of the grid's names, and returns a list with a result for each, of the
        kinds that ``scan`` takes. Seeds are its own affair: :func:`tsode.scans.point_seed`.
    size : int
        How many points it is given at most: consecutive ones of the grid. They are computed, kept and resumed
        together, so a result may depend (within a solver's tolerance) on which others were in its batch.

    Returns
    -------
    Batched
        To be given to ``scan`` as its function.

    Raises
    ------
    TypeError, ValueError
        If `function` cannot be called or `size` is no positive whole number.

    Examples
    --------
    >>> import tsode
    >>> def final_losses(points):
    ...     models = [tsode.TeacherStudent(p_star=2, **point) for point in points]
    ...     starts = [tsode.Overlaps.random(model, N=1000, rng=0) for model in models]
    ...     return [ode.loss[-1] for ode in tsode.integrate_many(models, starts, 40.0)]
    >>> table = tsode.scan(tsode.scans.batched(final_losses), {"p": [2, 4], "learning_rate": [0.1, 0.4]}, n_jobs=1)
    >>> table["value"].round(3).values
    array([[0.625, 0.044],
           [0.641, 0.017]])
    """
    if not callable(function):
        raise TypeError(f"`function` must be callable, but is {type(function).__name__}")
    return Batched(function, _checks.integer("size", size, minimum=1))

"""A pair as plain parameters: for files, for comparison, and to make another one of it."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from . import _checks
from ._parameters import is_default, plain

__all__ = ["Forms"]

Model = TypeVar("Model", bound="Forms")


class Forms:
    """Base of a frozen dataclass whose fields say what they are: see :func:`tsode._parameters.about`."""

    def replace(self: Model, **changes: Any) -> Model:
        """Return a model with some parameters changed; readouts and P left at their default follow the widths.

        Parameters
        ----------
        **changes
            Parameters of the class, by name.

        Returns
        -------
        TeacherStudent

        Raises
        ------
        TypeError, ValueError
            If a name is none of the class, or as in the class.

        Examples
        --------
        >>> import tsode
        >>> tsode.TeacherStudent(p=4, p_star=2, learning_rate=0.4).replace(p=2).student_readout
        array([0.5, 0.5])
        """
        kept = {one.name: one.default if is_default(self, one) else getattr(self, one.name) for one in _fields(self)}
        _checks.names("changes", changes, kept)
        return type(self)(**{**kept, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain numbers, strings and lists, as JSON takes them.

        Activations and rule are left out where they are the default.

        Examples
        --------
        >>> import tsode
        >>> tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.4).to_dict()["student_readout"]
        [0.5, 0.5]
        """
        return {
            one.name: plain(getattr(self, one.name))
            for one in _fields(self)
            if not (one.metadata.get("rare") and is_default(self, one))
        }

    @classmethod
    def from_dict(cls: type[Model], parameters: dict[str, Any]) -> Model:
        """Return the model of :meth:`to_dict`, also where it has an activation of the user's own.

        Parameters
        ----------
        parameters : dict
            What `to_dict` returned. Of other activations and rules than shipped ones it has no function:
            :class:`tsode.activations.Stored` and :class:`tsode.rules.Stored` stand for them.

        Returns
        -------
        TeacherStudent

        Raises
        ------
        TypeError, ValueError
            If they are none of a model.

        Examples
        --------
        >>> import tsode
        >>> model = tsode.TeacherStudent(p=2, p_star=1, learning_rate=0.4, activation="relu")
        >>> tsode.TeacherStudent.from_dict(model.to_dict()) == model
        True
        """
        _checks.instance("parameters", parameters, dict, "a dict of a model's parameters")
        known = {one.name for one in _fields(cls)}
        if not {"p", "p_star", "learning_rate"} <= set(parameters) <= known:
            raise ValueError(f"`parameters` must be those of a model, but names {', '.join(map(str, parameters))}")
        load = {one.name: one.metadata["load"] for one in _fields(cls) if "load" in one.metadata}
        return cls(**{name: load[name](value) if name in load else value for name, value in parameters.items()})

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(repr(self.to_dict()))

    def __getstate__(self) -> dict[str, Any]:
        # the parameters alone: what is cached beside them is neither to be pickled nor to be hashed
        return {field.name: getattr(self, field.name) for field in _fields(self)}


def _fields(pair: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(pair)

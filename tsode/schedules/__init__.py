r"""Learning rates that change in time: tables, ready-made laws, and functions of the user's own.

A schedule is a function :math:`\eta(\alpha)` of the time alpha = samples / N. It may jump or bend at its `breakpoints`,
which the ODEs meet exactly. SGD takes the value at the time at which a sample comes.
"""

from .base import Later, Schedule
from .given import WarmUp, rate_of, stored_rate
from .laws import Cosine, PowerLaw, Table
from .own import Function, Stored

__all__ = ["Cosine", "Function", "Later", "PowerLaw", "Schedule", "Stored", "Table", "WarmUp", "rate_of", "stored_rate"]

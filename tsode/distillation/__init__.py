"""Students that learn from other students: systems of the literature, each with its formula and its source.

===================  ===============================================================================================
`lesson`             mixes of labels with what trained teachers say, ensembles, chains of generations
`soft_labels`        a linear student of soft and hard labels; `fixed_sample`: what a fixed sample teaches it
`spectral`           amplitudes and directions trained apart; `pruning_curve`, `active_units`
`features`           the teacher's hidden preactivations, through a projector, trained or not
`exits`              outputs that read the first units alone, from labels or from the last exit; `exit_price`
`moving_teacher`     a teacher that learns while it teaches
`logits`             classes at a temperature, and the matching of logits that it tends to
`matched_noise`      noise for training without data
`example`            each of them at one setting, SGD beside theory
===================  ===============================================================================================

From `spectral` to `logits` each is a :class:`tsode.Scheme`, for :func:`tsode.integrate` and :func:`tsode.simulate`.
"""

from . import fixed_sample
from .example_type import Example
from .examples import EXAMPLES, example
from .exit_price import exit_price
from .exits import exits
from .features import PROJECTORS, features
from .lesson_type import Lesson
from .lessons import lesson
from .logits import logits
from .matched_noise import matched_noise
from .moving_teacher import moving_teacher
from .pruning import active_units, pruning_curve, pruning_law
from .soft_labels import SoftLabels, soft_labels
from .spectral import spectral
from .system import System

__all__ = [
    "EXAMPLES",
    "PROJECTORS",
    "Example",
    "Lesson",
    "SoftLabels",
    "System",
    "active_units",
    "example",
    "exit_price",
    "exits",
    "features",
    "fixed_sample",
    "lesson",
    "logits",
    "matched_noise",
    "moving_teacher",
    "pruning_curve",
    "pruning_law",
    "soft_labels",
    "spectral",
]

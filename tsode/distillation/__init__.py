"""Students that learn from other students: systems of the literature, each with its formula and its source.

`lesson` mixes labels with what trained teachers say: ensembles, born-again chains. `soft_labels` is a linear student of
soft and hard labels, sample by sample, and `fixed_sample` what a fixed sample teaches it.
"""

from . import fixed_sample
from .lessons import Lesson, lesson
from .soft_labels import SoftLabels, soft_labels

__all__ = ["Lesson", "SoftLabels", "fixed_sample", "lesson", "soft_labels"]

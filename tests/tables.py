"""Tables that people read, taken apart: what they say counts, not how it is aligned."""

import re


def rows(result):
    """Return what stands in each row of a table beside its label."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in repr(result).split("\n")[1:]]
    return {label: cells for label, *cells in lines}

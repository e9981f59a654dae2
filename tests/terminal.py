"""A screen, as far as a progress bar asks."""

import io


class Terminal(io.StringIO):
    """Text that says it is a terminal's."""

    def isatty(self):
        return True
